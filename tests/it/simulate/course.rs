//! Courses of parts against closed forms and against lives played out: successors, pairs, rivals, reports.

use fleetwear::backend::survival::{GROUP_BITS, Mark, PathPlan, SurvivalSums};
use fleetwear::fixed::threefry::threefry2x32;
use fleetwear::model::life::{cumulative_hazard, damage_at_hazard, exponential_draw};
use fleetwear::model::survival::{ParameterDraw, SurvivalLaw};
use fleetwear::simulate::count_law::{CountLaw, Moments, quantile};
use fleetwear::simulate::course::{Course, CourseLaw, Courses, Service, Start};
use fleetwear::simulate::expected::{CountKind, ExpectedSums, FleetSums, PartCounts, by_column, sevenths};
use fleetwear::simulate::fleet_forecast::{Counting, Group};
use fleetwear::simulate::report_delay::ReportDelay;
use fleetwear::simulate::successors::Followed;

const WEEKS: usize = 104;
const BLOCKS: usize = WEEKS / 4;

/// A part of one mechanism of damage `today`, which takes on `ahead` evenly over the horizon.
struct Steady {
    law: CourseLaw,
    shape: f64,
    today: f64,
    ahead: f64,
    use_ahead: Vec<f64>,
}

impl Steady {
    fn new(shape: f64, today: f64, ahead: f64) -> Self {
        let use_ahead = (0..=BLOCKS).map(|block| ahead * block as f64 / BLOCKS as f64).collect();
        Self { law: CourseLaw::new(shape, &[1.0]), shape, today, ahead, use_ahead }
    }

    fn start(&self) -> Start<'_> {
        let hazard = |week: usize| cumulative_hazard(self.today + self.ahead * week as f64 / WEEKS as f64, self.shape);
        let works = |week: usize| libm::exp(hazard(0) - hazard(week));
        Start {
            law: &self.law,
            fails: (0..WEEKS).map(|week| works(week) - works(week + 1)).collect(),
            unreported: &[],
            use_ahead: &self.use_ahead,
        }
    }

    fn follow(&self, delay: ReportDelay) -> Course {
        Courses::new(WEEKS, delay, 0.0, CountKind::Failures).follow(&[self.start()], Service::Stays).remove(0)
    }

    /// Mean failures within the horizon and mean pairs, of lives played out with a delay before each replacement.
    fn played(&self, delay_share: f64) -> (f64, f64) {
        let places = 200_000;
        let (mut failures, mut pairs) = (0.0, 0.0);
        for place in 0..places {
            let draw = |life: u32| {
                let [low, high] = threefry2x32([5, 1], [place, life]);
                exponential_draw(u64::from(high) << 32 | u64::from(low))
            };
            let first = cumulative_hazard(self.today, self.shape) + draw(0);
            let mut now = damage_at_hazard(first, self.shape) - self.today;
            let mut count = 0.0;
            for life in 1.. {
                if now > self.ahead {
                    break;
                }
                count += 1.0;
                now += delay_share * self.ahead + damage_at_hazard(draw(life), self.shape);
            }
            failures += count;
            pairs += 0.5 * count * (count - 1.0);
        }
        (failures / f64::from(places), pairs / f64::from(places))
    }
}

fn total(weekly: &[f64]) -> f64 {
    weekly.iter().sum()
}

/// So many weeks to every report.
fn weeks_late(weeks: usize) -> ReportDelay {
    let mut lags = vec![0.0; weeks];
    lags.push(1.0);
    ReportDelay { events: 99, mean_days: 7.0 * weeks as f64, days: vec![1.0], lags }
}

#[test]
fn a_constant_hazard_gives_the_poisson_law() {
    for ahead in [0.05, 0.4, 2.0] {
        let course = Steady::new(1.0, 0.7, ahead).follow(ReportDelay::none());
        let failures = total(&course.first) + total(&course.renewed);
        // What blocks leave out is three failures in one of them.
        let in_block = ahead / BLOCKS as f64;
        assert!((failures / ahead - 1.0).abs() < 0.5 * in_block * in_block + 1e-4, "{ahead}: {failures}");
        let pairs = total(&course.pairs);
        assert!((pairs / (0.5 * ahead * ahead) - 1.0).abs() < 3.0 * in_block * in_block + 1e-4, "{ahead}: {pairs}");
        // First failures alone would not do.
        assert!(ahead < 0.4 || total(&course.first) < 0.85 * ahead);
    }
}

#[test]
fn successors_fail_as_lives_played_out_do() {
    for (shape, today, ahead, weeks) in
        [(3.0, 0.8, 1.5, 0), (4.3, 0.2, 2.5, 0), (1.4, 0.9, 0.6, 0), (3.0, 0.8, 2.5, 12), (0.8, 0.5, 1.0, 0)]
    {
        let steady = Steady::new(shape, today, ahead);
        let delay = if weeks == 0 { ReportDelay::none() } else { weeks_late(weeks) };
        let course = steady.follow(delay);
        let (failures, pairs) = steady.played(weeks as f64 / WEEKS as f64);
        let found = total(&course.first) + total(&course.renewed);
        let renewed = failures - total(&course.first);
        // Three standard errors of the play, and what blocks of four weeks cost.
        let error = 3.0 * (failures / 200_000.0_f64).sqrt() + 0.015 * renewed;
        assert!((found - failures).abs() < error, "{shape} {today} {ahead}: {found} instead of {failures}");
        let error = 3.0 * (pairs / 200_000.0_f64).sqrt() + 0.03 * pairs;
        assert!((total(&course.pairs) - pairs).abs() < error, "{shape}: {} {pairs}", total(&course.pairs));
        assert!(renewed > 4.0 * error || weeks == 0 && renewed > 0.01, "nothing to be seen: {renewed}");
    }
}

#[test]
fn rivals_share_what_fails_and_each_goes_on() {
    let one = Steady::new(1.0, 0.0, 0.5);
    let two = Steady::new(1.0, 0.0, 1.0);
    let courses = Courses::new(WEEKS, ReportDelay::none(), 0.0, CountKind::Failures)
        .follow(&[one.start(), two.start()], Service::MayRetire);
    let either = -libm::expm1(-1.5);
    for (course, share, rate) in [(&courses[0], 1.0 / 3.0, 0.5), (&courses[1], 2.0 / 3.0, 1.0)] {
        assert!((total(&course.first) / (share * either) - 1.0).abs() < 1e-3, "{}", total(&course.first));
        let all = total(&course.first) + total(&course.renewed);
        assert!((all / rate - 1.0).abs() < 5e-3, "a rival's replacement renews the part for both: {all}");
        assert!((total(&course.pairs) / (0.5 * rate * rate) - 1.0).abs() < 0.02, "{}", total(&course.pairs));
    }
    let alone =
        Courses::new(WEEKS, ReportDelay::none(), 0.0, CountKind::Failures).follow(&[one.start()], Service::MayRetire);
    assert!(total(&alone[0].first) > 1.4 * total(&courses[0].first));
}

#[test]
fn who_retires_fails_no_more() {
    let steady = Steady::new(1.0, 0.0, 0.5);
    let per_week = 0.01;
    let retiring = Courses::new(WEEKS, ReportDelay::none(), per_week, CountKind::Failures);
    let course = retiring.follow(&[steady.start()], Service::MayRetire).remove(0);
    let rate = 0.5 / WEEKS as f64;
    let expected = rate * -libm::expm1(-per_week * WEEKS as f64) / per_week;
    let all = total(&course.first) + total(&course.renewed);
    assert!((all / expected - 1.0).abs() < 3e-3, "{all} {expected}");
    // Only where the model says so.
    assert_eq!(retiring.follow(&[steady.start()], Service::Stays).remove(0), steady.follow(ReportDelay::none()));
}

#[test]
fn who_leaves_on_a_known_day_fails_until_then() {
    let steady = Steady::new(1.0, 0.0, 0.5);
    let courses = Courses::new(WEEKS, ReportDelay::none(), 0.01, CountKind::Failures);
    // Today, within a week, at the end of one, in the last.
    for days in [0, 3, 70, 74, 7 * WEEKS as u32 - 1] {
        let course = courses.follow(&[steady.start()], Service::Until { days }).remove(0);
        let expected = 0.5 * f64::from(days) / (7.0 * WEEKS as f64);
        let all = total(&course.first) + total(&course.renewed);
        // Successors' failures are spread evenly over their block of four weeks, of which half a block's hazard is too many.
        let error = 0.5 * 0.5 / BLOCKS as f64;
        assert!((all / expected.max(1e-12) - 1.0).abs() < error || days == 0 && all == 0.0, "{days}: {all} {expected}");
        // To marks in the week of the end: before it and after it.
        let marks =
            vec![Mark { week: 10, sevenths: 2 }, Mark { week: 10, sevenths: 6 }, Mark { week: 11, sevenths: 0 }];
        let plan = PathPlan { paths: 1, weeks: WEEKS, marks, ..PathPlan::default() };
        let mut chances: Vec<f64> = steady.start().fails;
        (1..WEEKS).for_each(|week| chances[week] += chances[week - 1]);
        for mark in &plan.marks {
            let (week, share) = (mark.week as usize, f64::from(mark.sevenths) / 7.0);
            chances.push(chances[week - 1] + share * (chances[week] - chances[week - 1]));
        }
        let counts = PartCounts::new(&course, &chances, &plan, &courses);
        let in_service = |at: usize| {
            let mark = plan.marks[at];
            course.service.share_at_mark(mark.week as usize, sevenths(mark))
        };
        let renewed = by_column(&counts.renewed, &plan, &in_service);
        for (at, until) in [72.0, 76.0, 77.0].into_iter().enumerate() {
            let to_mark = counts.first[WEEKS + at] + renewed[WEEKS + at];
            let expected = 0.5 * f64::min(until, f64::from(days)) / (7.0 * WEEKS as f64);
            assert!((to_mark - expected).abs() < error * expected + 1e-12, "{days} {until}: {to_mark} {expected}");
        }
    }
}

#[test]
fn a_failed_part_gives_its_place_to_a_new_one() {
    let courses = Courses::new(WEEKS, weeks_late(3), 0.0, CountKind::Failures);
    let (old, new) = (Steady::new(3.0, 0.9, 1.5), Steady::new(3.0, 0.0, 1.5));
    let course = courses.follow_failed(&[old.start()], Service::Stays).remove(0);
    assert_eq!((course.failed_already, total(&course.first), total(&course.standing)), (1.0, 0.0, 0.0));
    // As one that is new in two weeks: a hundred weeks and two of use.
    let late = Steady::new(3.0, 0.0, 1.5 * 102.0 / WEEKS as f64);
    let expected = late.played(3.0 / 102.0).0;
    let all = total(&course.renewed);
    assert!((all / expected - 1.0).abs() < 0.02, "{all} instead of {expected}");
    // It is a new part's first failure that makes no pair.
    let first = courses.follow(&[new.start()], Service::Stays).remove(0);
    assert!((total(&course.pairs) / total(&first.pairs) - 1.0).abs() < 0.15, "{:?}", total(&course.pairs));
}

#[test]
fn a_part_without_report_may_have_failed_already() {
    // Reports come three weeks after the failure; the hazard of a week is `rate`.
    for rate in [0.002, 0.3] {
        let steady = Steady::new(1.0, 200.0 * rate, WEEKS as f64 * rate);
        let delay = weeks_late(3);
        let unreported =
            steady.law.failed_unreported(&[steady.today], &delay.not_yet(), |_, weeks| weeks as f64 * rate);
        let start = Start { unreported: &unreported, ..steady.start() };
        let course = Courses::new(WEEKS, delay, 0.0, CountKind::Failures).follow(&[start], Service::Stays).remove(0);
        // It worked three weeks ago for sure, and is not known to have failed since.
        let failed = -libm::expm1(-3.0 * rate);
        assert!((course.failed_already / failed - 1.0).abs() < 1e-9, "{} {failed}", course.failed_already);
        assert!((total(&course.standing) / failed - 1.0).abs() < 1e-9 && total(&course.standing[3..]) == 0.0);
        let first = (1.0 - failed) * -libm::expm1(-rate * WEEKS as f64);
        assert!((total(&course.first) / first - 1.0).abs() < 1e-9);
    }
    // One that nobody could have missed has not failed.
    assert_eq!(ReportDelay::none().not_yet(), [0.0]);
    let steady = Steady::new(3.0, 1e-3, 0.1);
    assert!(steady.law.failed_unreported(&[1e-3], &[1.0, 0.5], |_, weeks| 1e-4 * weeks as f64).is_empty());
}

#[test]
fn rivals_without_report_have_failed_once_at_most() {
    // Two or three equal rivals, all of whose failures of the last three weeks are unreported.
    for (rivals, rate) in [(2, 0.1), (2, 0.3), (2, 2.0), (3, 0.1), (3, 0.3)] {
        let steady = Steady::new(1.0, 200.0 * rate, WEEKS as f64 * rate);
        let delay = weeks_late(3);
        let unreported =
            steady.law.failed_unreported(&[steady.today], &delay.not_yet(), |_, weeks| weeks as f64 * rate);
        let starts: Vec<Start> = (0..rivals).map(|_| Start { unreported: &unreported, ..steady.start() }).collect();
        let courses = Courses::new(WEEKS, delay, 0.0, CountKind::Failures).follow(&starts, Service::MayRetire);
        let failed: f64 = courses.iter().map(|course| course.failed_already).sum();
        let truth = -libm::expm1(-3.0 * rate * f64::from(rivals));
        // Of three rivals a week's midpoint is not exact.
        let error = if rivals == 2 { 1e-9 } else { 0.02 };
        assert!((failed / truth - 1.0).abs() < error, "{rivals} {rate}: {failed} instead of {truth}");
        let first: f64 = courses.iter().map(|course| total(&course.first)).sum();
        assert!(failed + first <= 1.0 + 1e-12 && failed + first > 0.97, "{rivals} {rate}: {failed} and {first}");
        let standing: f64 = courses.iter().map(|course| total(&course.standing)).sum();
        assert!((standing / failed - 1.0).abs() < 1e-9, "what has failed is reported once");
    }
    // One that may have failed and one that cannot: the former's odds hold for both.
    let [old, new] = [Steady::new(1.0, 9.0, 1.0), Steady::new(1.0, 0.0, 0.5)];
    let unreported = old.law.failed_unreported(&[9.0], &weeks_late(3).not_yet(), |_, weeks| 0.1 * weeks as f64);
    let old = Start { unreported: &unreported, ..old.start() };
    let courses =
        Courses::new(WEEKS, weeks_late(3), 0.0, CountKind::Failures).follow(&[old, new.start()], Service::MayRetire);
    let works = libm::exp(-0.3);
    assert!((courses[0].failed_already + works - 1.0).abs() < 1e-9 && courses[1].failed_already == 0.0);
    assert!((total(&courses[1].first) / (works * -libm::expm1(-1.5) / 3.0) - 1.0).abs() < 1e-3);
    // Overdue beyond what numbers hold.
    let dead = vec![1e304; 3];
    let steady = Steady::new(1.0, 9.0, 1.0);
    let starts = [(); 3].map(|()| Start { unreported: &dead, ..steady.start() });
    let courses = Courses::new(WEEKS, weeks_late(3), 0.0, CountKind::Failures).follow(&starts, Service::MayRetire);
    let failed: f64 = courses.iter().map(|course| course.failed_already).sum();
    assert!((failed - 1.0).abs() < 1e-9, "{failed}");
}

#[test]
fn reports_pair_with_those_of_what_failed_before_today() {
    // Reports come three weeks after failures: a part that worked then for sure is a renewal process of reports, whose
    // cycles last a life and, after the first, three weeks more.
    let rate = 0.06;
    let steady = Steady::new(1.0, 200.0 * rate, WEEKS as f64 * rate);
    let delay = weeks_late(3);
    let unreported = steady.law.failed_unreported(&[steady.today], &delay.not_yet(), |_, weeks| weeks as f64 * rate);
    let pairs = |count: CountKind| {
        let start = Start { unreported: &unreported, ..steady.start() };
        let course = Courses::new(WEEKS, delay.clone(), 0.0, count).follow(&[start], Service::Stays).remove(0);
        total(&delay.reported(&course.pairs))
    };
    let (places, mut played) = (200_000, 0.0);
    for place in 0..places {
        let draw = |life: u32| {
            let [low, high] = threefry2x32([6, 1], [place, life]);
            exponential_draw(u64::from(high) << 32 | u64::from(low)) / rate
        };
        let (mut now, mut count) = (draw(0), 0.0);
        while now < WEEKS as f64 {
            count += 1.0;
            now += 3.0 + draw(count as u32);
        }
        played += 0.5 * count * (count - 1.0) / f64::from(places);
    }
    let reports = pairs(CountKind::Reports);
    assert!((reports / played - 1.0).abs() < 0.03, "{reports} instead of {played}");
    // One place in six has failed already, and has five successors on average: 6 % of the pairs.
    let without = pairs(CountKind::Failures) / reports;
    assert!((0.9..0.97).contains(&without), "a failure before today is none to come: {without}");
}

#[test]
fn late_weeks_are_as_wide_as_renewal_on_every_path() {
    // 400 parts that wear out within the horizon, on paths whose use differs by a tenth throughout.
    let (parts, paths) = (400.0, 64);
    let courses = Courses::new(WEEKS, ReportDelay::none(), 0.0, CountKind::Failures);
    // One week on record for each path, which it lives through all the time.
    let source_week = (0..paths as u16).flat_map(|path| vec![path; WEEKS]).collect();
    let (draws, zones) = (vec![0; paths], 1);
    let plan = PathPlan { paths, weeks: WEEKS, zones, source_weeks: paths, source_week, draws, ..PathPlan::default() };
    let on_paths: Vec<Steady> = (0..paths)
        .map(|path| Steady::new(4.3, 0.3, 2.2 * (1.0 + 0.173 * (2.0 * (path as f64 + 0.5) / paths as f64 - 1.0))))
        .collect();
    let fails: Vec<Vec<f64>> = on_paths.iter().map(|steady| steady.start().fails).collect();
    let mean: Vec<f64> =
        (0..WEEKS).map(|week| fails.iter().map(|fails| fails[week]).sum::<f64>() / paths as f64).collect();
    let centre = Steady::new(4.3, 0.3, 2.2);
    let course = courses.follow(&[Start { fails: mean.clone(), ..centre.start() }], Service::Stays).remove(0);
    let mut chances = mean.clone();
    (1..WEEKS).for_each(|week| chances[week] += chances[week - 1]);
    let counts = PartCounts::new(&course, &chances, &plan, &courses);
    let expected = ExpectedSums::new(1, WEEKS);
    (0..parts as usize).for_each(|_| expected.add(0, &counts));
    let mut survival = SurvivalSums::default();
    for week in 0..WEEKS {
        for fails in &fails {
            let chance = fails[week];
            let q40 = |count: f64| (count * (1_u64 << GROUP_BITS) as f64) as u64;
            survival.failures_q40.push(q40(parts * chance));
            survival.squares_q40.push(q40(parts * chance * chance));
        }
    }
    let groups = [Group { group_by: "fleet".into(), value: None, cells: vec![0] }];
    let (kind, delay, widening) = (CountKind::Failures, ReportDelay::none(), vec![vec![1.0; WEEKS]]);
    let counting = Counting {
        plan: &plan,
        modes: 1,
        groups: &groups,
        as_of_day: 0,
        kind,
        delay: &delay,
        widening: &widening,
        zone_of_cell: &[0],
        parameters_drawn: false,
        keep_laws: false,
    };

    let laws = [SurvivalLaw { weibull_shape: 4.3, clock_exponents: vec![1.0] }];
    let followed = Followed {
        plan: &plan,
        laws: &laws,
        draws: &[ParameterDraw::central(&laws)],
        sets: vec![vec![0]],
        delay: &delay,
        zone_of_cell: &[0],
        count: kind,
    };
    let weeks_lives: Vec<f64> = on_paths.iter().map(|steady| steady.ahead / WEEKS as f64).collect();
    let expected = expected.finish();
    let successors = followed.successors(&survival, &expected, &weeks_lives);
    let sums = FleetSums { survival, expected, successors };
    let rows = counting.rows(&sums);
    let renewals: Vec<Course> = on_paths.iter().map(|steady| steady.follow(ReportDelay::none())).collect();
    for week in [60, 80, 100] {
        let laws: Vec<CountLaw> = (renewals.iter())
            .map(|course| {
                let chance = course.first[week] + course.renewed[week];
                CountLaw::of(Moments { mean: parts * chance, squares: parts * chance * chance })
            })
            .collect();
        let truth = [0.05, 0.5, 0.95].map(|level| quantile(&laws, level));
        let row = rows.iter().find(|row| row.window.column == week).unwrap();
        for (found, truth) in row.quantiles.into_iter().zip(truth) {
            assert!((found - truth).abs() <= 2, "week {week}: {:?}, of renewals {truth}", row.quantiles);
        }
    }
}
