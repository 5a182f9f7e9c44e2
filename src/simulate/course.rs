//! The course of a part's place on the mean path: the part may have failed already, fails first, is replaced, and its
//! successors fail again.
//!
//! The survival kernel gives the chance that the part, working today, has failed by every week of a path. What comes
//! of that is worked out here once a part, on the mean of its paths, in blocks of [`BLOCK_WEEKS`] weeks:
//!
//! - *Failed already*: nobody reported a failure, so the part works with chance 1 / (1 + w), where w adds up, over the
//!   past weeks, the chance to have failed then against that of working today, times the chance that the failure would
//!   still be unreported ([`super::report_delay`]). Of modes that compete, w adds up over all of them, each counting as
//!   far as the others had spared the part until then.
//! - *Failed*: a failure is reported and the part about to be replaced ([`super::failed_parts`]): in the middle of the
//!   first block, for nobody knows when. That failure is known, so none is counted; its successors' are.
//! - *Net*: where the model says that modes compete, what fails by one mode cannot fail by another: a block's chance
//!   counts as far as the others have spared the part until its middle. A vehicle that retires takes them all with it. A vehicle whose
//!   last day is known takes every mode with it on that day, whether it competes or not: it has no use after that.
//! - *Renewals*: a failed part is replaced when it is reported (at once where delays are not known), on average in the
//!   middle of a block. The new part begins at damage zero and lives on the use that the vehicle still has before it.
//!   With h(j, k) the chance that a part put in in block j fails in block k, failures are u(k) = f(k) + Σ I(j) h(j, k),
//!   and what is put in, I, is what is reported of u. Beside u runs the number of *pairs* of failures of one place, the
//!   expected value of N (N − 1) / 2, from which the count's variance follows; under a constant hazard the count comes
//!   out as the Poisson law, as it must. What failed before today goes before its successors only where reports count.
//!
//! Skipped where the part fails with less than [`WORTH_RENEWING`] within the horizon and no hazard falls with use: a
//! successor is then no likelier to fail than the part, so less than that share of the failures is left out.
//!
//! Units: lives, damage, chances; f64 in a fixed order through `libm`, the same on every platform.
//! Source: renewal equation, D. R. Cox, Renewal Theory (1962), section 4.1.

use super::expected::CountKind;
use super::paths::BLOCK_WEEKS;
use super::report_delay::ReportDelay;
use super::weeks::DAYS_PER_WEEK;
use crate::model::life::{cumulative_hazard, hazard_increase};

/// A chance to fail within the horizon below which successors are left out.
pub const WORTH_RENEWING: f64 = 0.01;
/// A chance to have failed already below which it is taken for none.
const WORTH_DOUBTING: f64 = 1e-5;
/// Against working today no failure weighs more: what rivals multiply stays finite.
const MOST_AGAINST: f64 = 1e290;
/// Knots of a new part's chance a unit of the square root of its damage, and the largest square root.
const ROOT_KNOTS: f64 = 256.0;
const MOST_ROOT: f64 = 4.0;

/// A failure mode's life law as a course needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct CourseLaw {
    shape: f64,
    /// One a mechanism.
    exponents: Vec<f64>,
    /// The chance to have failed, by the square root of the damage.
    fails: Vec<f64>,
    /// No hazard falls with use.
    pub wears: bool,
}

impl CourseLaw {
    /// The law of a mode: its shape and its mechanisms' clock exponents.
    pub fn new(weibull_shape: f64, clock_exponents: &[f64]) -> Self {
        // Of a lone mechanism only the product is known.
        let (shape, exponents) = match clock_exponents {
            [one] => (weibull_shape * one, vec![1.0]),
            more => (weibull_shape, more.to_vec()),
        };
        let knots = (MOST_ROOT * ROOT_KNOTS) as usize + 1;
        let root = |knot: usize| knot as f64 / ROOT_KNOTS;
        let fails = (0..=knots).map(|knot| -libm::expm1(-cumulative_hazard(root(knot) * root(knot), shape))).collect();
        let wears = exponents.iter().all(|exponent| exponent * shape >= 1.0);
        Self { shape, exponents, fails, wears }
    }

    /// Damage of clocks in lives.
    pub fn damage(&self, lives: impl Iterator<Item = f64>) -> f64 {
        let one = |(lives, &exponent): (f64, &f64)| match exponent {
            1.0 => lives,
            0.5 => libm::sqrt(lives),
            _ => libm::pow(lives, exponent),
        };
        lives.zip(&self.exponents).map(one).sum()
    }

    /// The chance that a new part has failed when it has taken so much.
    pub fn new_part_fails(&self, damage: f64) -> f64 {
        let place = libm::sqrt(damage).min(MOST_ROOT) * ROOT_KNOTS;
        let knot = place as usize;
        self.fails[knot] + (place - knot as f64) * (self.fails[knot + 1] - self.fails[knot])
    }

    /// The hazard of what was used up lately; lives, one a mechanism.
    pub fn hazard_of(&self, clocks: &[f64], lately: &[f64]) -> f64 {
        let before = self.damage(clocks.iter().zip(lately).map(|(clock, lately)| (clock - lately).max(0.0)));
        let today = self.damage(clocks.iter().copied());
        hazard_increase(before, (today - before).max(0.0), self.shape)
    }

    /// For every past week, the latest first: the chance to have failed in it unreported, against that of working
    /// today. `use_of(weeks)` is what each mechanism used up in the last so many weeks.
    pub fn failed_unreported(&self, clocks: &[f64], not_yet: &[f64], use_of: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let before =
            |weeks: usize| self.damage((0..clocks.len()).map(|one| (clocks[one] - use_of(one, weeks)).max(0.0)));
        let today = self.damage(clocks.iter().copied());
        // The hazard since, whose exponential is the chance to have worked then against now.
        let since = |weeks: usize| {
            let then = before(weeks);
            hazard_increase(then, (today - then).max(0.0), self.shape)
        };
        if libm::expm1(since(not_yet.len()).min(700.0)) < WORTH_DOUBTING {
            return Vec::new();
        }
        let mut later = 0.0;
        let weeks = not_yet.iter().enumerate().map(|(week, not_yet)| {
            let earlier = libm::expm1(since(week + 1).min(700.0));
            let failed = (earlier - later) * not_yet;
            later = earlier;
            failed.max(0.0)
        });
        weeks.collect()
    }
}

/// One mode of a part of one vehicle.
#[derive(Debug)]
pub struct Start<'a> {
    pub law: &'a CourseLaw,
    /// `[week]`: the chance that the part, working today, fails in it; a mean over paths.
    pub fails: Vec<f64>,
    /// From [`CourseLaw::failed_unreported`]; empty: none.
    pub unreported: &'a [f64],
    /// `[mechanism * (blocks + 1) + block]`: what the vehicle will have used up by the block's beginning.
    pub use_ahead: &'a [f64],
}

/// How long the vehicle stays in service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Throughout.
    Stays,
    /// It retires at the fleet's rate.
    MayRetire,
    /// For so many days from today.
    Until { days: u32 },
}

impl Service {
    /// The part of a week that lies before the vehicle's known end.
    fn share_of_week(self, week: usize) -> f64 {
        let Self::Until { days } = self else { return 1.0 };
        let left = f64::from(days) - week as f64 * f64::from(DAYS_PER_WEEK);
        (left / f64::from(DAYS_PER_WEEK)).clamp(0.0, 1.0)
    }

    /// Of what happens in a week before that end, the part that happens before a mark, if `share` of the whole week
    /// lies before the mark.
    pub fn share_at_mark(self, week: usize, share: f64) -> f64 {
        match self.share_of_week(week) {
            0.0 => share,
            in_service => (share / in_service).min(1.0),
        }
    }
}

/// What comes of one mode of a part, by week.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// The chance to have failed already; 1 if that is known.
    pub failed_already: f64,
    /// `[week]`: the chance that the part of today fails in it.
    pub first: Vec<f64>,
    /// `[week]`: failures of its successors; empty: left out.
    pub renewed: Vec<f64>,
    /// `[week]`: by how much the expected number of pairs of failures grows.
    pub pairs: Vec<f64>,
    /// `[week]`: reports of what has failed already.
    pub standing: Vec<f64>,
    /// `[week]`: parts put in for what has failed already; of modes that share a part the first counts them.
    pub returned: Vec<f64>,
    /// All of the above end with it.
    pub service: Service,
}

/// What all courses share.
#[derive(Clone, Debug, PartialEq)]
pub struct Courses {
    weeks: usize,
    blocks: usize,
    delay: ReportDelay,
    /// [`ReportDelay::not_yet`].
    not_yet: Vec<f64>,
    /// `[lag]` in blocks: from a failure to its replacement.
    block_lags: Vec<f64>,
    /// `[week]`: the chance to be in service in its middle; empty: nobody retires.
    in_service: Vec<f64>,
    /// What pairs are pairs of.
    count: CountKind,
}

impl Courses {
    /// Of a horizon, with the law of the delay and the rate at which vehicles retire.
    pub fn new(weeks: usize, delay: ReportDelay, retire_per_week: f64, count: CountKind) -> Self {
        let mut block_lags = vec![0.0; delay.lags.len() / BLOCK_WEEKS + 2];
        for (lag, chance) in delay.lags.iter().enumerate() {
            for week in 0..BLOCK_WEEKS {
                block_lags[(lag + week) / BLOCK_WEEKS] += chance / BLOCK_WEEKS as f64;
            }
        }
        let in_service = match retire_per_week {
            0.0 => Vec::new(),
            rate => (0..weeks).map(|week| libm::exp(-rate * (week as f64 + 0.5))).collect(),
        };
        let not_yet = delay.not_yet();
        Self { weeks, blocks: weeks.div_ceil(BLOCK_WEEKS), delay, not_yet, block_lags, in_service, count }
    }

    pub fn delay(&self) -> &ReportDelay {
        &self.delay
    }

    /// `[weeks]`: the chance that a failure so many weeks back is unreported; empty: all are reported at once.
    pub fn not_yet(&self) -> &[f64] {
        if self.delay.events > 0 { &self.not_yet } else { &[] }
    }

    pub fn count(&self) -> CountKind {
        self.count
    }

    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The courses of modes of one part; several modes compete.
    pub fn follow(&self, modes: &[Start], service: Service) -> Vec<Course> {
        let mut fails: Vec<Vec<f64>> = modes.iter().map(|mode| mode.fails.clone()).collect();
        let mut unreported: Vec<Vec<f64>> = modes.iter().map(|mode| mode.unreported.to_vec()).collect();
        if modes.len() > 1 {
            self.net_of_each_other(&mut fails);
            self.unreported_net_of_each_other(&mut unreported);
        }
        let works = 1.0 / (1.0 + unreported.iter().flatten().sum::<f64>());
        let of_today = fails.into_iter().zip(&unreported);
        let mut courses: Vec<Course> =
            of_today.map(|(fails, unreported)| self.of_today(fails, unreported, works)).collect();
        let at_all: f64 = courses.iter().map(|course| course.first.iter().sum::<f64>() + course.failed_already).sum();
        let known = modes.iter().all(|mode| !mode.use_ahead.is_empty());
        if known && (at_all >= WORTH_RENEWING || !modes.iter().all(|mode| mode.law.wears)) {
            self.renew(modes, &mut courses);
        }
        self.retire(&mut courses, service);
        courses
    }

    /// The courses of modes of one part that has failed and is about to be replaced. `use_ahead` must be known.
    pub fn follow_failed(&self, modes: &[Start], service: Service) -> Vec<Course> {
        let nothing = || Course {
            failed_already: 1.0,
            first: vec![0.0; self.weeks],
            renewed: Vec::new(),
            pairs: Vec::new(),
            standing: Vec::new(),
            returned: Vec::new(),
            service: Service::Stays,
        };
        let mut courses: Vec<Course> = modes.iter().map(|_| nothing()).collect();
        if let Some(first) = courses.first_mut() {
            // In the middle of the first block.
            let block = BLOCK_WEEKS.min(self.weeks);
            first.returned = vec![1.0 / block as f64; block];
        }
        self.renew(modes, &mut courses);
        self.retire(&mut courses, service);
        courses
    }

    /// What comes after the vehicle's end does not come.
    fn retire(&self, courses: &mut [Course], service: Service) {
        let in_service = |week: usize| match service {
            Service::MayRetire => self.in_service.get(week).copied().unwrap_or(1.0),
            Service::Stays | Service::Until { .. } => service.share_of_week(week),
        };
        if service == Service::Stays {
            return;
        }
        for course in courses {
            course.service = service;
            let Course { first, renewed, pairs, standing, returned, .. } = course;
            for counts in [first, renewed, pairs, standing, returned] {
                counts.iter_mut().enumerate().for_each(|(week, count)| *count *= in_service(week));
            }
        }
    }

    /// The part of today by one mode, which works with chance `works`.
    fn of_today(&self, mut first: Vec<f64>, unreported: &[f64], works: f64) -> Course {
        if works < 1.0 {
            first.iter_mut().for_each(|chance| *chance *= works);
        }
        // A failure `past` weeks back, unreported, waits on: of the lags that are left it takes each with its weight.
        let reported_in = |week: usize| -> f64 {
            let of_week = |(past, failed): (usize, &f64)| match self.delay.lags.get(past + 1 + week) {
                Some(lag) if self.not_yet[past] > 0.0 => failed * works * lag / self.not_yet[past],
                _ => 0.0,
            };
            unreported.iter().enumerate().map(of_week).sum()
        };
        let standing = match unreported {
            [] => Vec::new(),
            _ => (0..self.weeks).map(reported_in).collect(),
        };
        let failed_already = unreported.iter().sum::<f64>() * works;
        let returned = standing.clone();
        let (renewed, pairs, service) = (Vec::new(), Vec::new(), Service::Stays);
        Course { failed_already, first, renewed, pairs, standing, returned, service }
    }

    /// What fails by one mode cannot fail by another.
    fn net_of_each_other(&self, fails: &mut [Vec<f64>]) {
        let mut works = vec![1.0; fails.len()];
        for week in 0..self.weeks {
            let gross: Vec<f64> = fails.iter().map(|fails| fails[week]).collect();
            for (at, fails) in fails.iter_mut().enumerate() {
                let spared = (0..works.len()).filter(|&other| other != at);
                fails[week] *= spared.map(|other| works[other] - 0.5 * gross[other]).product::<f64>();
            }
            works.iter_mut().zip(gross).for_each(|(works, gross)| *works -= gross);
        }
    }

    /// The same looking back: against working today, to have been spared by a mode until then is the likelier the longer
    /// ago. Counted like the failures that follow, so that two modes add up to what either of them does.
    fn unreported_net_of_each_other(&self, unreported: &mut [Vec<f64>]) {
        let mut spared = vec![1.0; unreported.len()];
        for (week, &not_yet) in self.not_yet.iter().enumerate().filter(|(_, not_yet)| **not_yet > 0.0) {
            let gross: Vec<f64> =
                unreported.iter().map(|weeks| weeks.get(week).map_or(0.0, |against| against / not_yet)).collect();
            for (at, weeks) in unreported.iter_mut().enumerate() {
                let Some(against) = weeks.get_mut(week) else { continue };
                let others = (0..spared.len()).filter(|&other| other != at);
                for other in others {
                    *against = (*against * (spared[other] + 0.5 * gross[other])).min(MOST_AGAINST);
                }
            }
            spared.iter_mut().zip(gross).for_each(|(spared, gross)| *spared = (*spared + gross).min(MOST_AGAINST));
        }
    }

    /// Adds the successors' failures.
    #[allow(clippy::needless_range_loop, reason = "blocks and modes each index several tables at once")]
    fn renew(&self, modes: &[Start], courses: &mut [Course]) {
        let (blocks, count) = (self.blocks, modes.len());
        let in_block =
            |weeks: &[f64], block: usize| -> f64 { weeks.iter().skip(block * BLOCK_WEEKS).take(BLOCK_WEEKS).sum() };
        // A new part's use from the middle of a block to the end of another.
        let fails_by = |mode: &Start, from: usize, to: usize| {
            let used = (0..mode.law.exponents.len()).map(|mechanism| {
                let ahead = &mode.use_ahead[mechanism * (blocks + 1)..][..blocks + 1];
                (ahead[to + 1] - 0.5 * (ahead[from] + ahead[from + 1])).max(0.0)
            });
            mode.law.new_part_fails(mode.law.damage(used))
        };
        // Failures with those that went before, what is put in, and how often the mode has failed before it was.
        let mut failures = vec![vec![0.0; blocks]; count];
        let mut pairs = vec![vec![0.0; blocks]; count];
        let mut put_in = vec![0.0; blocks];
        let mut carried = vec![vec![0.0; blocks]; count];
        let mut failed_before = vec![vec![0.0; count]; blocks];
        for block in 0..blocks {
            for (course, carried) in courses.iter().zip(&mut carried) {
                let standing = in_block(&course.standing, block);
                put_in[block] += in_block(&course.returned, block);
                if self.count == CountKind::Reports {
                    carried[block] += standing;
                }
            }
            let mut now: Vec<f64> = courses.iter().map(|course| in_block(&course.first, block)).collect();
            let mut now_carried = now.clone();
            let (mut before, mut before_carried) = (now.clone(), now.clone());
            for from in 0..=block {
                if from == block {
                    self.replace(block, &now, &now_carried, &mut put_in, &mut carried, 0..1);
                    (before, before_carried) = (now.clone(), now_carried.clone());
                }
                if put_in[from] <= 0.0 {
                    continue;
                }
                let fails: Vec<f64> = modes.iter().map(|mode| fails_by(mode, from, block)).collect();
                for at in 0..count {
                    let spared = (0..count).filter(|&other| other != at);
                    let works = |other: usize| 1.0 - 0.5 * (fails[other] + failed_before[from][other]);
                    let chance = (fails[at] - failed_before[from][at]) * spared.map(works).product::<f64>();
                    now[at] += put_in[from] * chance;
                    pairs[at][block] += carried[at][from] * chance;
                    for (one, now_carried) in now_carried.iter_mut().enumerate() {
                        let own = if one == at { put_in[from] } else { 0.0 };
                        *now_carried += (carried[one][from] + own) * chance;
                    }
                }
                failed_before[from] = fails;
            }
            // What was put in in this block and failed in it is put in once more.
            let again =
                |now: &[f64], before: &[f64]| -> Vec<f64> { now.iter().zip(before).map(|(a, b)| a - b).collect() };
            let (twice, twice_carried) = (again(&now, &before), again(&now_carried, &before_carried));
            self.replace(block, &twice, &twice_carried, &mut put_in, &mut carried, 0..1);
            self.replace(block, &now, &now_carried, &mut put_in, &mut carried, 1..self.block_lags.len());
            for (failures, now) in failures.iter_mut().zip(now) {
                failures[block] = now;
            }
        }
        for (at, course) in courses.iter_mut().enumerate() {
            let weeks_of = |block: usize| BLOCK_WEEKS.min(self.weeks - block * BLOCK_WEEKS) as f64;
            let by_week = |of_block: &dyn Fn(usize) -> f64| -> Vec<f64> {
                (0..self.weeks).map(|week| of_block(week / BLOCK_WEEKS) / weeks_of(week / BLOCK_WEEKS)).collect()
            };
            course.renewed = by_week(&|block| f64::max(failures[at][block] - in_block(&course.first, block), 0.0));
            course.pairs = by_week(&|block| pairs[at][block]);
        }
    }

    /// What fails in a block is put in anew, after delays of so many blocks.
    fn replace(
        &self,
        block: usize,
        failed: &[f64],
        failed_carried: &[f64],
        put_in: &mut [f64],
        carried: &mut [Vec<f64>],
        lags: std::ops::Range<usize>,
    ) {
        for (lag, chance) in self.block_lags[lags.clone()].iter().enumerate() {
            let to = block + lags.start + lag;
            if to < self.blocks && *chance > 0.0 {
                put_in[to] += chance * failed.iter().sum::<f64>();
                for (carried, failed) in carried.iter_mut().zip(failed_carried) {
                    carried[to] += chance * failed;
                }
            }
        }
    }
}
