//! When the successors of failed parts fail, on every path.
//!
//! The courses of parts ([`super::course`]) say on the mean path how many failures of successors each block of weeks
//! brings. How a block's failures spread over its weeks and over paths is the same for all parts of a climate zone, near
//! enough, and is worked out here once a zone and mode: the renewal equation in steps of a week along every path, fed
//! with the zone's first failures on that path, on the use that the zone's mean vehicle has on it and by the law as the
//! path has drawn it. With I(j) put in in week j and A what a vehicle has used up by the beginning of a week,
//!
//! ```text
//! u(k) = f(k) + Σ I(j) (F(A(k + 1) − A(j + ½)) − F(A(k) − A(j + ½))),   I(j) = r(j) + Σ lag(d) u(j − d)
//! ```
//!
//! where f are first failures, r parts put in for what has failed before today, F a new part's chance to have failed.
//! So weather that wears out what stands in the vehicles wears out what is put in, too, and a mild week is mild to both.
//! The share of u − f in a block's mean over paths is what [`Successors::spread`] multiplies the courses' sums by: they
//! keep the differences between vehicles, and the expected count of each block is theirs.
//!
//! Units: lives, counts; f64 in a fixed order through `libm`, the same on every platform.
//! Source: renewal equation, D. R. Cox, Renewal Theory (1962), section 4.1.

use rayon::prelude::*;

use super::course::CourseLaw;
use super::expected::{CountKind, ExpectedRow};
use super::paths::BLOCK_WEEKS;
use super::report_delay::ReportDelay;
use crate::backend::survival::{GROUP_BITS, PART_BITS, PathPlan, SurvivalSums};
use crate::model::survival::{ParameterDraw, SurvivalLaw};

/// Failures of successors against first failures below which a zone's are spread evenly.
const WORTH_FOLLOWING: f64 = 1e-3;

/// How a zone's successors fail.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Successors {
    modes: usize,
    /// `[zone * modes + mode]`: `[path * weeks + week]`, a block's sum over weeks being 1 on the mean of the paths; empty:
    /// evenly.
    shares: Vec<Vec<f64>>,
}

/// What the renewals of a fleet are followed by.
#[derive(Clone, Debug)]
pub struct Followed<'a> {
    pub plan: &'a PathPlan,
    pub laws: &'a [SurvivalLaw],
    /// By [`PathPlan::draws`].
    pub draws: &'a [ParameterDraw],
    /// Modes of which a failure renews the part for all.
    pub sets: Vec<Vec<usize>>,
    pub delay: &'a ReportDelay,
    pub zone_of_cell: &'a [u32],
    /// What the rows count.
    pub count: CountKind,
}

/// One mode in one zone along one path.
struct OnPath<'a> {
    law: &'a CourseLaw,
    /// `[week]`: failures of the parts of today.
    first: Vec<f64>,
    /// `[mechanism * (weeks + 1) + week]`: what a vehicle has used up by the beginning of a week.
    used: Vec<f64>,
}

impl Followed<'_> {
    /// Follows all zones and modes, on the current rayon pool. `weeks_lives` is what a zone's mean vehicle used up in each
    /// source week: `[(zone * mechanisms + mechanism) * source weeks + week]`, mechanisms in the order of the modes.
    pub fn successors(
        &self,
        survival: &SurvivalSums,
        expected: &[Option<ExpectedRow>],
        weeks_lives: &[f64],
    ) -> Successors {
        let (plan, modes) = (self.plan, self.laws.len());
        let mut shares = vec![Vec::new(); plan.zones * modes];
        for set in &self.sets {
            let laws: Vec<Vec<CourseLaw>> = set.iter().map(|&mode| self.laws_drawn(mode)).collect();
            let zones = (0..plan.zones).into_par_iter();
            let followed = zones.map(|zone| self.zone(zone, set, &laws, survival, expected, weeks_lives));
            for (zone, of_set) in followed.collect::<Vec<_>>().into_iter().enumerate() {
                for (&mode, of_mode) in set.iter().zip(of_set) {
                    shares[zone * modes + mode] = of_mode;
                }
            }
        }
        Successors { modes, shares }
    }

    fn laws_drawn(&self, mode: usize) -> Vec<CourseLaw> {
        let exponents = &self.laws[mode].clock_exponents;
        self.draws.par_iter().map(|draw| CourseLaw::new(draw.weibull_shapes[mode], exponents)).collect()
    }

    /// Of the modes of a set in a zone.
    fn zone(
        &self,
        zone: usize,
        set: &[usize],
        laws: &[Vec<CourseLaw>],
        survival: &SurvivalSums,
        expected: &[Option<ExpectedRow>],
        weeks_lives: &[f64],
    ) -> Vec<Vec<f64>> {
        let (plan, modes) = (self.plan, self.laws.len());
        let cells = || (0..self.zone_of_cell.len()).filter(|&cell| self.zone_of_cell[cell] as usize == zone);
        let weekly = |mode: usize, of: fn(&ExpectedRow) -> &[i128]| -> Vec<f64> {
            let mut sums = vec![0_i128; plan.weeks];
            for row in cells().filter_map(|cell| expected.get(cell * modes + mode)?.as_ref()) {
                sums.iter_mut().zip(of(row)).for_each(|(sum, one)| *sum += one);
            }
            sums.into_iter().map(|sum| sum as f64 / (1_u64 << PART_BITS) as f64).collect()
        };
        let failed: fn(&ExpectedRow) -> &[i128] = match self.count {
            CountKind::Failures => |row| &row.first_q48,
            CountKind::Reports => |row| &row.failed_q48,
        };
        let (mut first, mut renewed) = (0.0, 0.0);
        for &mode in set {
            first += weekly(mode, failed).iter().sum::<f64>();
            renewed += weekly(mode, |row| &row.renewed_q48).iter().sum::<f64>();
        }
        if renewed <= WORTH_FOLLOWING * first {
            return vec![Vec::new(); set.len()];
        }
        let mut returned = vec![0.0; plan.weeks];
        for &mode in set {
            let of_mode = weekly(mode, |row| &row.returned_q48);
            returned.iter_mut().zip(of_mode).for_each(|(sum, one)| *sum += one);
        }
        let on_paths: Vec<(Vec<f64>, Vec<f64>)> = (set.iter())
            .map(|&mode| {
                let mut kernel = vec![0_u128; plan.weeks * plan.paths];
                let place = |cell: usize| (cell * modes + mode) * plan.columns() * plan.paths;
                for of_cell in cells().filter_map(|cell| survival.failures_q40.get(place(cell)..)) {
                    kernel.iter_mut().zip(of_cell).for_each(|(sum, &one)| *sum += u128::from(one));
                }
                let kernel = kernel.into_iter().map(|sum| sum as f64 / (1_u64 << GROUP_BITS) as f64).collect();
                (weekly(mode, failed), kernel)
            })
            .collect();
        let mut found: Vec<Vec<f64>> = vec![Vec::with_capacity(plan.paths * plan.weeks); set.len()];
        for path in 0..plan.paths {
            let course = |at: usize| {
                let (failed, kernel) = &on_paths[at];
                let first = failed.iter().zip(kernel.chunks(plan.paths)).map(|(failed, kernel)| {
                    let centre = kernel.iter().sum::<f64>() / plan.paths as f64;
                    if centre > 0.0 { failed * kernel[path] / centre } else { *failed }
                });
                let draw = plan.draws[path] as usize;
                let used = self.used(zone, set[at], path, weeks_lives);
                OnPath { law: &laws[at][draw], first: first.collect(), used }
            };
            let courses: Vec<OnPath> = (0..set.len()).map(course).collect();
            for (found, failures) in found.iter_mut().zip(renewed_on_path(&courses, &returned, &self.delay.lags)) {
                found.extend(failures);
            }
        }
        found.iter_mut().for_each(|failures| self.shares_of_blocks(failures));
        found
    }

    /// What the mean vehicle of a zone has used up by the beginning of each week.
    fn used(&self, zone: usize, mode: usize, path: usize, weeks_lives: &[f64]) -> Vec<f64> {
        let plan = self.plan;
        let before: usize = self.laws[..mode].iter().map(|law| law.clock_exponents.len()).sum();
        let all: usize = self.laws.iter().map(|law| law.clock_exponents.len()).sum();
        let source_week = &plan.source_week[(zone * plan.paths + path) * plan.weeks..][..plan.weeks];
        let rates = &self.draws[plan.draws[path] as usize].rates_log2;
        let mut used = Vec::new();
        for mechanism in before..before + self.laws[mode].clock_exponents.len() {
            let weeks = &weeks_lives[(zone * all + mechanism) * plan.source_weeks..][..plan.source_weeks];
            let rate = libm::exp2(rates[mechanism]);
            let mut sum = 0.0;
            used.push(sum);
            used.extend(source_week.iter().map(|&week| {
                sum += rate * weeks[usize::from(week)];
                sum
            }));
        }
        used
    }

    /// From failures on paths to shares of a block's mean over paths; even where a block has none.
    fn shares_of_blocks(&self, failures: &mut [f64]) {
        let (paths, weeks) = (self.plan.paths, self.plan.weeks);
        for from in (0..weeks).step_by(BLOCK_WEEKS) {
            let block = from..weeks.min(from + BLOCK_WEEKS);
            let sum: f64 = failures.chunks(weeks).map(|path| path[block.clone()].iter().sum::<f64>()).sum();
            let even = 1.0 / block.len() as f64;
            for path in failures.chunks_mut(weeks) {
                let scaled = |failures: f64| if sum > 0.0 { failures * paths as f64 / sum } else { even };
                path[block.clone()].iter_mut().for_each(|failures| *failures = scaled(*failures));
            }
        }
    }
}

/// Failures of successors by mode and week along one path; what fails by one mode is renewed for all.
fn renewed_on_path(modes: &[OnPath], returned: &[f64], lags: &[f64]) -> Vec<Vec<f64>> {
    let weeks = returned.len();
    let fails_by = |mode: &OnPath, from: usize, to: usize| {
        let used = mode.used.chunks(weeks + 1).map(|used| (used[to] - 0.5 * (used[from] + used[from + 1])).max(0.0));
        mode.law.new_part_fails(mode.law.damage(used))
    };
    let mut put_in = returned.to_vec();
    // By the week of putting in: what has failed of it, a share.
    let mut failed = vec![vec![0.0; weeks]; modes.len()];
    let mut renewed = vec![vec![0.0; weeks]; modes.len()];
    let mut by_now = vec![0.0; modes.len()];
    for week in 0..weeks {
        for from in 0..=week {
            if from == week {
                let so_far: f64 = (0..modes.len()).map(|at| modes[at].first[week] + renewed[at][week]).sum();
                put_in[week] += lags.first().copied().unwrap_or(1.0) * so_far;
            }
            if put_in[from] <= 0.0 {
                continue;
            }
            modes.iter().zip(&mut by_now).for_each(|(mode, by_now)| *by_now = fails_by(mode, from, week + 1));
            for (at, renewed) in renewed.iter_mut().enumerate() {
                let others = (0..modes.len()).filter(|&other| other != at);
                let spared: f64 = others.map(|other| 1.0 - 0.5 * (by_now[other] + failed[other][from])).product();
                renewed[week] += put_in[from] * (by_now[at] - failed[at][from]) * spared;
            }
            failed.iter_mut().zip(&by_now).for_each(|(failed, by_now)| failed[from] = *by_now);
        }
        let fails: f64 = (0..modes.len()).map(|at| modes[at].first[week] + renewed[at][week]).sum();
        for (later, lag) in put_in[week..].iter_mut().zip(lags).skip(1) {
            *later += lag * fails;
        }
    }
    renewed
}

impl Successors {
    /// Failures of a zone's successors of one mode, `[path * weeks + week]`, from what the courses say by week.
    pub fn spread(&self, plan: &PathPlan, zone: usize, mode: usize, renewed_q48: &[i128]) -> Vec<f64> {
        let (paths, weeks) = (plan.paths, plan.weeks);
        let blocks: Vec<f64> = (renewed_q48[..weeks].chunks(BLOCK_WEEKS))
            .map(|weeks| weeks.iter().sum::<i128>() as f64 / (1_u64 << PART_BITS) as f64)
            .collect();
        if blocks.iter().all(|&count| count == 0.0) {
            return vec![0.0; paths * weeks];
        }
        let shares = self.shares.get(zone * self.modes + mode).map_or(&[][..], Vec::as_slice);
        let at = |at: usize| {
            let block = at % weeks / BLOCK_WEEKS;
            let even = 1.0 / BLOCK_WEEKS.min(weeks - block * BLOCK_WEEKS) as f64;
            blocks[block] * shares.get(at).copied().unwrap_or(even)
        };
        (0..paths * weeks).map(at).collect()
    }
}
