//! Warnings against what came: right and false ones, failures missed, accuracy, and what they would have cost.
//!
//! Key idea: plain accuracy of a rare failure is that of never warning; so the balanced one (the mean of the share of
//! failures warned of and the share of the others left alone) stands beside it. A pilot is smaller than the record, so
//! the interval that a pilot of so many vehicles would see is drawn: vehicles of the record, with replacement.
//!
//! Units: cases by weight; money in the user's own.

use rayon::prelude::*;

use super::case::{Case, Cases, Estimate, few};
use crate::fixed::threefry::threefry2x32;

/// Cases by warning and fate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Confusion {
    pub right: f64,
    pub false_alarms: f64,
    pub missed: f64,
    pub left_alone: f64,
}

impl Confusion {
    pub fn of<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Self {
        let mut all = Self::default();
        for case in cases {
            let place = match (case.warned, case.failed) {
                (true, true) => &mut all.right,
                (true, false) => &mut all.false_alarms,
                (false, true) => &mut all.missed,
                (false, false) => &mut all.left_alone,
            };
            *place += case.weight;
        }
        all
    }

    fn add(&mut self, other: &Self) {
        self.right += other.right;
        self.false_alarms += other.false_alarms;
        self.missed += other.missed;
        self.left_alone += other.left_alone;
    }

    pub fn accuracy(&self) -> Option<f64> {
        let right = self.right + self.left_alone;
        share(right, right + self.false_alarms + self.missed)
    }

    pub fn balanced_accuracy(&self) -> Option<f64> {
        let failures = share(self.right, self.right + self.missed)?;
        Some(0.5 * (failures + share(self.left_alone, self.left_alone + self.false_alarms)?))
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

fn one(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// Of the warnings, the share that was right.
pub fn precision(cases: &Cases) -> Option<Estimate> {
    cases.ratio(|case| one(case.warned && case.failed), |case| one(case.warned))
}

/// Of the failures, the share that was warned of.
pub fn recall(cases: &Cases) -> Option<Estimate> {
    cases.ratio(|case| one(case.warned && case.failed), |case| one(case.failed))
}

/// Of all, the share that was warned of and failed, or neither.
pub fn accuracy(cases: &Cases) -> Option<Estimate> {
    cases.ratio(|case| one(case.warned == case.failed), |_| 1.0)
}

/// The mean of the share of failures warned of and the share of the others left alone.
pub fn balanced_accuracy(cases: &Cases) -> Option<Estimate> {
    let all = Confusion::of(cases.all());
    let value = all.balanced_accuracy()?;
    let (failed, working) = (all.right + all.missed, all.false_alarms + all.left_alone);
    let (hit, alone) = (all.right / failed, all.left_alone / working);
    let variance = cases.variance_of_sum(|case| {
        let beyond =
            if case.failed { (one(case.warned) - hit) / failed } else { (one(!case.warned) - alone) / working };
        0.5 * case.weight * beyond
    });
    Some(Estimate { value, standard_error: variance.sqrt() })
}

/// Pilots drawn.
const REPLICATES: u32 = 1_000;
/// Vehicles of a pilot from which the normal law says the same as drawing.
const MOST_DRAWN: usize = 20_000;
/// Keeps these numbers apart from all others of a seed.
const PILOT_STREAM: u32 = 0x7069_6c6f;

/// What a pilot of so many vehicles would see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pilot {
    /// 2.5 and 97.5 % of the plain accuracy.
    pub accuracy: (f64, f64),
    /// Of the balanced one; `None` where fewer than half of the pilots saw a failure and a survivor.
    pub balanced: Option<(f64, f64)>,
    /// Share of the pilots that saw both, and so have a balanced accuracy.
    pub with_failures: f64,
}

/// Draws pilots; `None` without cases. The same for one seed, whatever the threads.
pub fn pilot(cases: &Cases, vehicles: usize, seed: u64) -> Option<Pilot> {
    let own: Vec<Confusion> = cases.by_vehicle().map(Confusion::of).collect();
    if own.is_empty() || vehicles == 0 {
        return None;
    }
    if vehicles > MOST_DRAWN {
        // The record's own error, as if it had so many vehicles.
        let scale = (own.len() as f64 / few(own.len()) / vehicles as f64).sqrt();
        let scaled = |of: Estimate| Estimate { standard_error: of.standard_error * scale, ..of }.between(0.0, 1.0);
        let accuracy = scaled(accuracy(cases)?);
        let balanced = balanced_accuracy(cases).map(scaled);
        return Some(Pilot { accuracy, with_failures: one(balanced.is_some()), balanced });
    }
    let key = [seed as u32 ^ (seed >> 32) as u32, PILOT_STREAM];
    let drawn: Vec<(f64, Option<f64>)> = (0..REPLICATES)
        .into_par_iter()
        .map(|replicate| {
            let mut sum = Confusion::default();
            for place in 0..vehicles as u32 {
                let word = threefry2x32(key, [replicate, place])[0];
                sum.add(&own[((u64::from(word) * own.len() as u64) >> 32) as usize]);
            }
            (sum.accuracy().unwrap_or(0.0), sum.balanced_accuracy())
        })
        .collect();
    let ends = |mut values: Vec<f64>| -> (f64, f64) {
        values.sort_by(f64::total_cmp);
        let at = |level: f64| values[((values.len() - 1) as f64 * level) as usize];
        (at(0.025), at(0.975))
    };
    let balanced: Vec<f64> = drawn.iter().filter_map(|one| one.1).collect();
    let with_failures = balanced.len() as f64 / f64::from(REPLICATES);
    Some(Pilot {
        accuracy: ends(drawn.iter().map(|one| one.0).collect()),
        balanced: (with_failures >= 0.5).then(|| ends(balanced)),
        with_failures,
    })
}

/// What things cost, in the user's own money.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// A failure on the road that nobody warned of, repair included.
    pub missed: f64,
    /// A warning that leads to nothing: the visit and the look.
    pub false_alarm: f64,
    /// A part replaced on a right warning.
    pub replacement: f64,
}

/// What warnings would have cost, beside the ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlay {
    pub as_warned: f64,
    /// Without any warning: every failure missed.
    pub without_warnings: f64,
    /// With every failure warned of and nothing else.
    pub perfect: f64,
    /// At the threshold that would have cost least, known only in hindsight.
    pub at_best_threshold: f64,
    pub best_threshold: f64,
}

impl Costs {
    fn of(&self, all: &Confusion) -> f64 {
        self.missed * all.missed + self.false_alarm * all.false_alarms + self.replacement * all.right
    }

    /// The outlay for all cases.
    pub fn outlay(&self, cases: &Cases) -> Outlay {
        let (failed, working) = cases.failed_and_not();
        let without_warnings = self.missed * failed;
        let (mut at_best_threshold, mut best_threshold) = (without_warnings, f64::INFINITY);
        for point in super::auc::roc(cases) {
            let (right, false_alarms) = (point.true_positive_rate * failed, point.false_positive_rate * working);
            let all = Confusion { right, false_alarms, missed: failed - right, left_alone: working - false_alarms };
            if self.of(&all) < at_best_threshold {
                (at_best_threshold, best_threshold) = (self.of(&all), point.threshold);
            }
        }
        Outlay {
            as_warned: self.of(&Confusion::of(cases.all())),
            without_warnings,
            perfect: self.replacement * failed,
            at_best_threshold,
            best_threshold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four right warnings, two false ones, one failure missed, thirteen left alone; a vehicle each.
    fn twenty() -> Cases {
        let fates = [(true, true, 4), (true, false, 2), (false, true, 1), (false, false, 13)];
        let mut cases = Vec::new();
        for (warned, failed, count) in fates {
            for _ in 0..count {
                let probability = if warned { 0.4 } else { 0.1 };
                cases.push(Case { vehicle: cases.len() as u64, probability, warned, failed, weight: 1.0 });
            }
        }
        Cases::new(cases)
    }

    #[test]
    fn shares_by_hand() {
        let cases = twenty();
        let value = |estimate: Option<Estimate>| estimate.unwrap().value;
        assert!((value(precision(&cases)) - 4.0 / 6.0).abs() < 1e-15);
        assert!((value(recall(&cases)) - 4.0 / 5.0).abs() < 1e-15);
        assert!((value(accuracy(&cases)) - 17.0 / 20.0).abs() < 1e-15);
        assert!((value(balanced_accuracy(&cases)) - 0.5 * (0.8 + 13.0 / 15.0)).abs() < 1e-15);
        // Two independent binomials: ¼ (pq/n + pq/n), with vehicles' factor 20/19.
        let variance: f64 = 0.25 * (0.8 * 0.2 / 5.0 + (13.0 / 15.0) * (2.0 / 15.0) / 15.0);
        let error = balanced_accuracy(&cases).unwrap().standard_error;
        assert!((error - f64::sqrt(variance * 20.0 / 19.0)).abs() < 1e-12);
        let binomial = f64::sqrt(0.85 * 0.15 / 19.0);
        assert!((accuracy(&cases).unwrap().standard_error - binomial).abs() < 1e-12);
        assert_eq!(precision(&Cases::new(Vec::new())), None);
    }

    #[test]
    fn a_pilot_sees_the_binomials_interval() {
        let cases = twenty();
        let drawn = pilot(&cases, 400, 3).unwrap();
        // 85 % of 400: 95 % of pilots within ± 0.035.
        let (lower, upper) = drawn.accuracy;
        assert!((lower - 0.815).abs() < 0.008 && (upper - 0.885).abs() < 0.008, "{drawn:?}");
        assert_eq!(drawn.with_failures, 1.0);
        assert_eq!(pilot(&cases, 400, 3), Some(drawn), "the same seed, the same pilots");
        assert_ne!(pilot(&cases, 400, 4), Some(drawn));
        // Hardly any pilot of one vehicle sees both a failure and a survivor.
        let single = pilot(&cases, 1, 3).unwrap();
        assert_eq!((single.balanced, single.with_failures), (None, 0.0));
        // A large one by the normal law: as wide as drawing says, by the square root of the size.
        let large = pilot(&cases, 40_000, 3).unwrap();
        let width = |ends: (f64, f64)| ends.1 - ends.0;
        assert!((width(large.accuracy) * 10.0 / width(drawn.accuracy) - 1.0).abs() < 0.1, "{large:?}");
        assert!((width(large.balanced.unwrap()) * 10.0 / width(drawn.balanced.unwrap()) - 1.0).abs() < 0.12);
        assert_eq!(pilot(&Cases::new(Vec::new()), 400, 3), None);
    }

    #[test]
    fn an_outlay_by_hand() {
        let costs = Costs { missed: 1_000.0, false_alarm: 100.0, replacement: 300.0 };
        let outlay = costs.outlay(&twenty());
        assert_eq!(outlay.as_warned, 1_000.0 + 200.0 + 1_200.0);
        assert_eq!((outlay.without_warnings, outlay.perfect), (5_000.0, 1_500.0));
        // Of the three thresholds (nobody, 0.4, 0.1) the middle one costs least: 2,400 against 5,000 and 3,000.
        assert_eq!((outlay.at_best_threshold, outlay.best_threshold), (2_400.0, 0.4));
        let dear = Costs { missed: 10.0, ..costs }.outlay(&twenty());
        assert_eq!((dear.at_best_threshold, dear.best_threshold), (50.0, f64::INFINITY), "better not to warn at all");
    }
}
