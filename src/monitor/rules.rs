//! One monitor, ready to watch: the model's figures with all that the panel taught.
//!
//! Units: thresholds and limits in the channel's unit; days on the dataset's axis, where a step is the usual distance
//! of two samples.

use super::baseline::Baseline;
use super::calibrate::{Calibration, Limits};
use super::law::{BaselineSeries, Law};
use super::panel::Series;
use super::reference::Reference;
use crate::fixed::threefry::threefry2x32;
use crate::fleet::time::TimeAxis;
use crate::model::channel::Channel;
use crate::model::spec::{Direction, Monitor};

/// Fewest samples of a baseline, however short the model wants it.
pub const LEAST_BASELINE_SAMPLES: usize = 10;
/// Most, so that no model makes a vehicle's state unbounded: ten years of days.
const MOST_BASELINE_SAMPLES: f64 = 3_650.0;
/// A vehicle's scale is never taken below this share of the fleet's: a stuck value that moves by one step is no drift.
const LEAST_SCALE_SHARE: f64 = 0.25;
/// Alarms are counted against days; the budget is stated per so many.
const BUDGET_DAYS: f64 = 100_000.0;

/// The budget is kept over a watch of so long. Fixed, so that limits do not rise with the days that have been watched:
/// then an alarm of last night would vanish or move tonight, and the alarms of all nights together would exceed the
/// budget. A year, for sums reach their steady state within weeks and vehicles with a poor baseline have alarmed by then:
/// of a longer watch the alarms a day are no more, and of a shorter one fewer.
const CALIBRATED_DAYS: f64 = 365.0;
/// And over so many samples at least: of records of weeks or months a year is too few for sums to reach their steady
/// state, and a limit read off it would let the years after exceed the budget.
const LEAST_CALIBRATED_SAMPLES: f64 = 120.0;

/// How the dataset measures time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steps {
    /// Usual distance of two samples on the axis.
    pub step: f64,
    /// Days of one unit of the axis.
    pub days_per_unit: f64,
}

impl Steps {
    /// `period_days`: the usual length of a record. An integer axis counts records.
    pub fn new(axis: TimeAxis, period_days: f64) -> Self {
        match axis {
            TimeAxis::Integer => Self { step: 1.0, days_per_unit: period_days },
            TimeAxis::Days | TimeAxis::SecondsSince2000 => Self { step: period_days, days_per_unit: 1.0 },
        }
    }

    /// Days that a sample stands for.
    pub fn days_per_sample(self) -> f64 {
        self.step * self.days_per_unit
    }
}

/// What a watch goes by.
#[derive(Clone, Debug)]
pub struct Rules {
    pub channel: Channel,
    pub direction: Direction,
    pub threshold: Option<f64>,
    pub limit: Option<f64>,
    /// Whether values go wrong above the threshold, and meet the limit from below.
    pub threshold_above: bool,
    pub limit_above: bool,
    pub baseline_samples: usize,
    pub steps: Steps,
    /// Smallest scale of a baseline.
    pub floor: f64,
    pub reference: Reference,
    pub law: Law,
    pub limits: Limits,
}

impl Rules {
    /// Learns from the panel and simulates the limits. `number` tells this monitor's random numbers from another's.
    pub fn learn(
        monitor: &Monitor,
        channel: &Channel,
        steps: Steps,
        panel: &[Series],
        lots: usize,
        (seed, number): (u64, u32),
    ) -> Self {
        let days_per_sample = steps.days_per_sample();
        let samples = libm::ceil(monitor.baseline_days / days_per_sample).min(MOST_BASELINE_SAMPLES) as usize;
        let baseline_samples = samples.max(LEAST_BASELINE_SAMPLES);
        let step_size = channel.factor.abs();
        let reference = Reference::learn(panel, lots, baseline_samples, step_size);
        let typical_scale = reference.fleet.map_or(0.0, |fleet| fleet.scale);
        let floor = step_size.max(LEAST_SCALE_SHARE * typical_scale);
        let whole = panel.iter().filter(|series| series.values.len() >= baseline_samples);
        let baselines: Vec<BaselineSeries> = whole
            .map(|series| {
                let (mut baseline, mut last) = (BaselineSeries::default(), None);
                for (day, value) in reference.less_effects(series).take(baseline_samples) {
                    baseline.follows.push(follows(steps, last, day));
                    baseline.values.push(value);
                    last = Some(day);
                }
                baseline
            })
            .collect();
        let law = Law::estimate(&baselines, floor);
        let year = libm::ceil(CALIBRATED_DAYS / days_per_sample);
        let limits = Calibration {
            law: &law,
            direction: monitor.direction,
            baseline_samples,
            watched_samples: year.clamp(LEAST_CALIBRATED_SAMPLES, MOST_BASELINE_SAMPLES) as u32,
            budget: monitor.false_alarms_per_100000_days / BUDGET_DAYS * days_per_sample,
            key: threefry2x32([seed as u32, (seed >> 32) as u32], [KEY_OF_MONITORS, number]),
        }
        .limits();
        let level = reference.fleet.map(|fleet| fleet.level);
        let above = |value: Option<f64>| match (monitor.direction, value, level) {
            (Direction::Rising, _, _) => true,
            (Direction::Falling, _, _) => false,
            (Direction::Both, Some(value), Some(level)) => value >= level,
            (Direction::Both, _, _) => true,
        };
        Self {
            channel: channel.clone(),
            direction: monitor.direction,
            threshold: monitor.threshold,
            limit: monitor.limit,
            threshold_above: above(monitor.threshold),
            limit_above: above(monitor.limit),
            baseline_samples,
            steps,
            floor,
            reference,
            law,
            limits,
        }
    }

    /// Whether a value lies beyond the threshold; exactly on it is not beyond, whatever rounding made of the value.
    #[inline]
    pub fn is_beyond_threshold(&self, value: f64) -> bool {
        let tolerance = 1e-6 * self.channel.factor.abs();
        self.threshold.is_some_and(|threshold| {
            if self.threshold_above { value > threshold + tolerance } else { value < threshold - tolerance }
        })
    }

    /// Whether a sample of `day` is the one right after a sample of `last`.
    #[inline]
    pub fn follows(&self, last: Option<i32>, day: i32) -> bool {
        follows(self.steps, last, day)
    }

    /// What is normal where a vehicle has no baseline of its own.
    pub fn baseline_of_lot(&self, lot: u32) -> Option<Baseline> {
        self.reference.of_lot(lot)
    }
}

/// Set apart from other users of the seed.
const KEY_OF_MONITORS: u32 = 0x6d6f_6e69;
/// How much longer than usual a step may be.
const LONGEST_STEP: f64 = 1.5;

fn follows(steps: Steps, last: Option<i32>, day: i32) -> bool {
    last.is_some_and(|last| f64::from(day) - f64::from(last) <= LONGEST_STEP * steps.step)
}
