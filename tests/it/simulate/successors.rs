//! Failures of successors by week and path against the renewal equation solved in steps of a tenth of a week.

use fleetwear::backend::survival::{GROUP_BITS, PART_BITS, PathPlan, SurvivalSums};
use fleetwear::fixed::threefry::threefry2x32;
use fleetwear::model::life::cumulative_hazard;
use fleetwear::model::survival::{ParameterDraw, SurvivalLaw};
use fleetwear::simulate::expected::{CountKind, ExpectedRow};
use fleetwear::simulate::report_delay::ReportDelay;
use fleetwear::simulate::successors::{Followed, Successors};

const WEEKS: usize = 52;
const PATHS: usize = 12;
const STEPS: usize = 10;
const PARTS: f64 = 1_000.0;

/// A mode whose parts have taken `today` lives, with or without a rival on the same part.
#[derive(Clone, Copy)]
struct Mode {
    shape: f64,
    today: f64,
    lives_a_week: f64,
}

/// What a path's week uses up against the mean: a hard winter that goes over into summer, and weather of its own.
fn weather(path: usize, week: usize) -> f64 {
    let season = libm::exp(0.9 * libm::cos(std::f64::consts::TAU * week as f64 / 52.0));
    let [bits, _] = threefry2x32([4, 2], [path as u32, week as u32 / 4]);
    season * libm::exp(0.8 * (f64::from(bits) / 4_294_967_296.0 - 0.5))
}

/// First failures and those of successors of each mode by week on a path, of one part.
fn played(modes: &[Mode], path: usize, weeks_late: usize) -> Vec<[Vec<f64>; 2]> {
    let steps = WEEKS * STEPS;
    let used: Vec<Vec<f64>> = (modes.iter())
        .map(|mode| {
            let mut sum = 0.0;
            let later = (0..steps).map(|step| {
                sum += mode.lives_a_week * weather(path, step / STEPS) / STEPS as f64;
                sum
            });
            std::iter::once(0.0).chain(later).collect()
        })
        .collect();
    // The chance of each mode to fail within a step of what was put in at the beginning of another, having `prior` lives.
    let fails = |prior: &dyn Fn(&Mode) -> f64, from: usize, step: usize| -> Vec<f64> {
        let hazard = |at: usize, step: usize| {
            cumulative_hazard(prior(&modes[at]) + used[at][step] - used[at][from], modes[at].shape)
        };
        let works = |step: usize| {
            libm::exp(
                (0..modes.len())
                    .map(|at| cumulative_hazard(prior(&modes[at]), modes[at].shape) - hazard(at, step))
                    .sum(),
            )
        };
        let grows: Vec<f64> = (0..modes.len()).map(|at| hazard(at, step + 1) - hazard(at, step)).collect();
        let all: f64 = grows.iter().sum();
        grows.iter().map(|grow| (works(step) - works(step + 1)) * if all > 0.0 { grow / all } else { 0.0 }).collect()
    };
    let mut found = vec![[vec![0.0; WEEKS], vec![0.0; WEEKS]]; modes.len()];
    let mut put_in = vec![0.0; steps + 1];
    for step in 0..steps {
        let first = fails(&|mode| mode.today, 0, step);
        let mut renewed = vec![0.0; modes.len()];
        for from in (0..=step).filter(|&from| put_in[from] > 0.0) {
            let chances = fails(&|_| 0.0, from, step);
            renewed.iter_mut().zip(chances).for_each(|(sum, chance)| *sum += put_in[from] * chance);
        }
        let back = step + 1 + weeks_late * STEPS;
        if back <= steps {
            put_in[back] += first.iter().chain(&renewed).sum::<f64>();
        }
        for (found, (first, renewed)) in found.iter_mut().zip(first.iter().zip(&renewed)) {
            found[0][step / STEPS] += first;
            found[1][step / STEPS] += renewed;
        }
    }
    found
}

/// The sums that a fleet of such parts leaves, and what is made of them: renewals by mode, path and week; their truth.
fn spread(modes: &[Mode], weeks_late: usize) -> (Successors, Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let on_paths: Vec<_> = (0..PATHS).map(|path| played(modes, path, weeks_late)).collect();
    let mut survival = SurvivalSums::default();
    let mut expected = Vec::new();
    for at in 0..modes.len() {
        let mut row = ExpectedRow::new(WEEKS);
        for week in 0..WEEKS {
            let mean = |which: usize| on_paths.iter().map(|path| path[at][which][week]).sum::<f64>() / PATHS as f64;
            let q48 = |count: f64| (PARTS * count * (1_u64 << PART_BITS) as f64) as i128;
            (row.failed_q48[week], row.renewed_q48[week]) = (q48(mean(0)), q48(mean(1)));
            let q40 = |path: &Vec<[Vec<f64>; 2]>| (PARTS * path[at][0][week] * (1_u64 << GROUP_BITS) as f64) as u64;
            survival.failures_q40.extend(on_paths.iter().map(q40));
        }
        expected.push(Some(row));
    }
    let source_week = (0..PATHS * WEEKS).map(|at| at as u16).collect();
    let (draws, source_weeks) = (vec![0; PATHS], PATHS * WEEKS);
    let plan =
        PathPlan { paths: PATHS, weeks: WEEKS, zones: 1, source_weeks, source_week, draws, ..PathPlan::default() };
    let laws: Vec<SurvivalLaw> =
        (modes.iter()).map(|mode| SurvivalLaw { weibull_shape: mode.shape, clock_exponents: vec![1.0] }).collect();
    let weeks_lives: Vec<f64> = (modes.iter())
        .flat_map(|mode| (0..source_weeks).map(|at| mode.lives_a_week * weather(at / WEEKS, at % WEEKS)))
        .collect();
    let mut lags = vec![0.0; weeks_late];
    lags.push(1.0);
    let delay = ReportDelay { events: 99, mean_days: 7.0 * weeks_late as f64, days: vec![1.0], lags };
    let followed = Followed {
        plan: &plan,
        laws: &laws,
        draws: &[ParameterDraw::central(&laws)],
        sets: vec![(0..modes.len()).collect()],
        delay: &delay,
        zone_of_cell: &[0],
        count: CountKind::Reports,
    };
    let successors = followed.successors(&survival, &expected, &weeks_lives);
    let renewed = |at: usize| &expected[at].as_ref().unwrap().renewed_q48[..];
    let found = (0..modes.len()).map(|at| successors.spread(&plan, 0, at, renewed(at))).collect();
    let truth = |at: usize| on_paths.iter().flat_map(|path| path[at][1].iter().map(|chance| PARTS * chance)).collect();
    (successors, found, (0..modes.len()).map(truth).collect())
}

#[test]
fn successors_fail_week_by_week_as_the_path_wears_them() {
    let slow = Mode { shape: 1.5, today: 0.6, lives_a_week: 0.03 };
    let sharp = Mode { shape: 4.0, today: 0.7, lives_a_week: 0.05 };
    for (modes, weeks_late) in [(vec![slow], 0), (vec![slow], 3), (vec![sharp], 2), (vec![slow, sharp], 1)] {
        let (_, found, truth) = spread(&modes, weeks_late);
        for (found, truth) in found.iter().zip(&truth) {
            let all: f64 = truth.iter().sum();
            let off: f64 = found.iter().zip(truth).map(|(found, truth)| (found - truth).abs()).sum();
            assert!(off < 0.03 * all, "{} of {all} failures stand in other weeks or paths", 0.5 * off);
            // Evenly within blocks, the same on every path.
            let even = |at: usize| -> f64 {
                let block = at % WEEKS / 4 * 4;
                let of_block = |path: usize| truth[path * WEEKS + block..][..4].iter().sum::<f64>();
                (0..PATHS).map(of_block).sum::<f64>() / (4 * PATHS) as f64
            };
            let off: f64 = truth.iter().enumerate().map(|(at, truth)| (even(at) - truth).abs()).sum();
            assert!(off > 0.2 * all, "what no path moves would pass too: {off} of {all}");
        }
    }
}

#[test]
fn a_zone_without_successors_and_one_that_nobody_knows_are_spread_evenly() {
    let rarely = Mode { shape: 3.0, today: 0.1, lives_a_week: 1e-4 };
    let (successors, _, _) = spread(&[rarely], 0);
    let mut renewed_q48 = vec![0; WEEKS];
    renewed_q48[5] = 8 << PART_BITS;
    let plan = PathPlan { paths: PATHS, weeks: WEEKS, ..PathPlan::default() };
    for zone in [0, 7] {
        let failures = successors.spread(&plan, zone, 0, &renewed_q48);
        for (at, &count) in failures.iter().enumerate() {
            assert_eq!(count, if (4..8).contains(&(at % WEEKS)) { 2.0 } else { 0.0 });
        }
    }
}
