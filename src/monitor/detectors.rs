//! The two statistical detectors of a vehicle: CUSUMs on deviations and on their differences.
//!
//! Key idea: one-sided cumulative sums (Page 1954) of standardised values, cut at [`CLIP`] so that a single spike
//! cannot set one off. Drift sums the deviation from the baseline less [`DRIFT_ALLOWANCE`]. Variance sums the square
//! of the day-to-day difference over its normal square less [`VARIANCE_ALLOWANCE`]: a drift of a fraction of a scale a
//! day hardly shows in differences. The same code runs in use and in calibration, so that a limit means what it says.
//! Units: multiples of the vehicle's own scales.

use serde::{Deserialize, Serialize};

use super::baseline::Baseline;
use crate::model::spec::Direction;

/// Deviations count up to this many scales.
pub const CLIP: f64 = 4.0;
/// The deviation that a drift CUSUM lets pass: half of the shift it is best at, one scale (statistics of Page's test).
pub const DRIFT_ALLOWANCE: f64 = 0.5;
/// What the variance CUSUM lets pass. Best for variance grown by r: r ln r / (r - 1), which is 1.65 at r = 2.7.
pub const VARIANCE_ALLOWANCE: f64 = 1.65;

/// A sum that forgets good days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    pub sum: f64,
    /// The day on which the sum last rose from zero: the estimate of the onset.
    pub since_day: Option<i32>,
}

impl Cusum {
    #[inline]
    pub fn add(&mut self, day: i32, increment: f64) {
        let sum = self.sum + increment;
        if sum <= 0.0 {
            *self = Self::default();
        } else {
            if self.since_day.is_none() {
                self.since_day = Some(day);
            }
            self.sum = sum;
        }
    }
}

/// Sums of one vehicle since its baseline was complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detectors {
    pub rising: Cusum,
    pub falling: Cusum,
    pub variance: Cusum,
    /// The last sample, if the next one may follow on it.
    last_value: Option<f64>,
}

impl Detectors {
    /// Takes a sample; `follows` says that it is the one after the last, without a gap.
    #[inline]
    pub fn add(&mut self, baseline: &Baseline, direction: Direction, day: i32, value: f64, follows: bool) {
        let deviation = ((value - baseline.level) / baseline.scale).clamp(-CLIP, CLIP);
        if direction != Direction::Falling {
            self.rising.add(day, deviation - DRIFT_ALLOWANCE);
        }
        if direction != Direction::Rising {
            self.falling.add(day, -deviation - DRIFT_ALLOWANCE);
        }
        if let Some(last) = self.last_value.filter(|_| follows) {
            let difference = ((value - last) / baseline.difference_scale).clamp(-CLIP, CLIP);
            self.variance.add(day, difference * difference - VARIANCE_ALLOWANCE);
        }
        self.last_value = Some(value);
    }

    /// The drift sum that has grown most.
    #[inline]
    pub fn drift(&self) -> &Cusum {
        if self.rising.sum >= self.falling.sum { &self.rising } else { &self.falling }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Baseline = Baseline { level: 10.0, scale: 2.0, difference_scale: 2.0, constant: false };

    #[test]
    fn a_sum_knows_since_when_it_grows() {
        let mut cusum = Cusum::default();
        for (day, increment) in [(1, 1.0), (2, -2.0), (5, 0.5), (6, 0.5), (9, -0.25)] {
            cusum.add(day, increment);
        }
        assert_eq!(cusum, Cusum { sum: 0.75, since_day: Some(5) });
        cusum.add(10, -0.75);
        assert_eq!(cusum, Cusum::default());
    }

    #[test]
    fn direction_chooses_the_sums() {
        let run = |direction, value: f64| {
            let mut detectors = Detectors::default();
            (0..10).for_each(|day| detectors.add(&UNIT, direction, day, value, true));
            (detectors.rising.sum, detectors.falling.sum)
        };
        assert_eq!(run(Direction::Rising, 14.0), (15.0, 0.0));
        assert_eq!(run(Direction::Rising, 6.0), (0.0, 0.0));
        assert_eq!(run(Direction::Falling, 6.0), (0.0, 15.0));
        assert_eq!(run(Direction::Both, 6.0), (0.0, 15.0));
        assert_eq!(run(Direction::Both, 1e9), (35.0, 0.0), "clipped at four scales");
    }

    #[test]
    fn variance_hears_swings_and_not_drift() {
        let (mut swings, mut drifts, mut gaps) = (Detectors::default(), Detectors::default(), Detectors::default());
        for day in 0..40 {
            let swing = 10.0 + if day % 2 == 0 { 3.0 } else { -3.0 };
            swings.add(&UNIT, Direction::Rising, day, swing, true);
            gaps.add(&UNIT, Direction::Rising, day, swing, false);
            drifts.add(&UNIT, Direction::Rising, day, 10.0 + 0.4 * f64::from(day), true);
        }
        assert!(swings.variance.sum > 200.0 && swings.variance.since_day == Some(1));
        assert!(swings.rising.sum < 3.0, "{}", swings.rising.sum);
        assert_eq!(drifts.variance.sum, 0.0);
        assert!(drifts.rising.sum > 50.0);
        assert_eq!(gaps.variance.sum, 0.0, "a difference over a gap says nothing");
    }
}
