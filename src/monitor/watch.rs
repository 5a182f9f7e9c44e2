//! The watch over one vehicle's channel: bounded, serialisable state that takes records in time order.
//!
//! Key idea: first the vehicle's own samples are kept until they make its baseline; then they are forgotten, and two
//! sums and the last six weeks remain. The threshold is watched from the first sample on. A watch ends with its part:
//! whoever replaces the part closes the watch and begins another. Late records cannot be fed afterwards: such a
//! vehicle is replayed from its first record. Its floats are to be stored by their bits.
//! Units: the channel's; days on the dataset's axis.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::alarm::{Alarm, Flag, Flags, Reason};
use super::baseline::Baseline;
use super::detectors::Detectors;
use super::law::BaselineSeries;
use super::panel::{DaySum, value_of};
use super::rules::Rules;
use super::slope::{DaysToLimit, LEAST_SAMPLES, Trend};

/// Samples that the trend rests on: six weeks of days.
pub const RECENT_SAMPLES: usize = 42;
/// Fewer samples make a trend that is flagged.
const FEW_SAMPLES: usize = 8;
/// Samples of which [`WANTED_BEYOND`] must lie beyond the threshold: one reading alone is a glitch.
const THRESHOLD_SAMPLES: u8 = 0b111;
const WANTED_BEYOND: u32 = 2;
/// Share of records without the channel, and of samples after a gap, that is still ordinary.
const MISSING_SHARE: f64 = 0.5;
const GAP_SHARE: f64 = 0.1;

/// When a detector spoke, and since when it had seen it coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Spoken {
    day: i32,
    onset_day: i32,
}

/// State of one vehicle and monitor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    part_started_day: Option<i32>,
    records: u32,
    missing: u32,
    samples: u32,
    gaps: u32,
    /// Samples after the baseline and up to the first statistical alarm: what false alarms are counted against.
    watched: u32,
    today: DaySum,
    last_day: Option<i32>,
    learning: BaselineSeries,
    baseline: Option<Baseline>,
    detectors: Detectors,
    recent: VecDeque<(i32, f32)>,
    /// Whether the last samples lay beyond the threshold, newest in bit 0.
    beyond: u8,
    beyond_since_day: i32,
    threshold: Option<Spoken>,
    drift: Option<Spoken>,
    variance: Option<Spoken>,
}

/// What remains of a watch when it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ended {
    pub samples: u32,
    /// Samples at risk of a statistical alarm.
    pub watched: u32,
    pub has_baseline: bool,
    pub alarm: Option<Alarm>,
}

impl Watch {
    /// A watch over a part put in on `day`, or over the first one.
    pub fn since(part_started_day: Option<i32>) -> Self {
        Self { part_started_day, ..Self::default() }
    }

    /// Takes a record; days must not fall.
    #[inline]
    pub fn record(&mut self, rules: &Rules, day: i32, code: u16) {
        self.records = self.records.saturating_add(1);
        if code == rules.channel.not_available() {
            self.missing = self.missing.saturating_add(1);
        } else if let Some((day, mean_code)) = self.today.add(day, code) {
            self.sample(rules, day, value_of(&rules.channel, mean_code));
        }
    }

    fn sample(&mut self, rules: &Rules, day: i32, value: f64) {
        let follows = rules.follows(self.last_day, day);
        self.gaps += u32::from(!follows && self.last_day.is_some());
        self.last_day = Some(day);
        self.samples = self.samples.saturating_add(1);
        self.watch_threshold(rules, day, value);
        let less_effect = value - rules.reference.effect(day);
        if self.recent.len() == RECENT_SAMPLES {
            self.recent.pop_front();
        }
        self.recent.push_back((day, less_effect as f32));
        match &self.baseline {
            None => self.learn(rules, less_effect as f32, follows),
            Some(baseline) => {
                self.watched += u32::from(self.drift.is_none() && self.variance.is_none());
                self.detectors.add(baseline, rules.direction, day, less_effect, follows);
                let drift = self.detectors.drift();
                if self.drift.is_none() && drift.sum >= rules.limits.drift {
                    self.drift = Some(Spoken { day, onset_day: drift.since_day.unwrap_or(day) });
                }
                let variance = &self.detectors.variance;
                if self.variance.is_none() && variance.sum >= rules.limits.variance {
                    self.variance = Some(Spoken { day, onset_day: variance.since_day.unwrap_or(day) });
                }
            }
        }
    }

    fn learn(&mut self, rules: &Rules, value: f32, follows: bool) {
        self.learning.values.push(value);
        self.learning.follows.push(follows);
        if self.learning.values.len() == rules.baseline_samples {
            let learning = std::mem::take(&mut self.learning);
            let follows = |index: usize| learning.follows[index];
            self.baseline = Some(Baseline::of(&learning.values, follows, rules.floor, &mut Vec::new()));
        }
    }

    fn watch_threshold(&mut self, rules: &Rules, day: i32, value: f64) {
        let beyond = rules.is_beyond_threshold(value);
        if beyond && self.beyond == 0 {
            self.beyond_since_day = day;
        }
        self.beyond = (self.beyond << 1 | u8::from(beyond)) & THRESHOLD_SAMPLES;
        if beyond && self.threshold.is_none() && self.beyond.count_ones() >= WANTED_BEYOND {
            self.threshold = Some(Spoken { day, onset_day: self.beyond_since_day });
        }
    }

    /// Ends the watch: with the part if it was replaced, else with the data.
    pub fn end(mut self, rules: &Rules, lot: u32, replaced_day: Option<i32>) -> Ended {
        if let Some((day, mean_code)) = self.today.take() {
            self.sample(rules, day, value_of(&rules.channel, mean_code));
        }
        Ended {
            samples: self.samples,
            watched: self.watched,
            has_baseline: self.baseline.is_some(),
            alarm: self.alarm(rules, lot, replaced_day),
        }
    }

    fn alarm(&self, rules: &Rules, lot: u32, replaced_day: Option<i32>) -> Option<Alarm> {
        let spoken =
            [(Reason::Threshold, self.threshold), (Reason::Drift, self.drift), (Reason::Variance, self.variance)];
        let first =
            spoken.iter().filter_map(|(reason, spoken)| Some((spoken.as_ref()?.day, *reason, *spoken.as_ref()?)));
        let (alarm_day, reason, spoken) = first.min_by_key(|(day, reason, _)| (*day, *reason))?;
        let &(assessed_day, last_value) = self.recent.back()?;
        // Samples from before the onset would flatten the trend.
        let onset_day = self.drift.map_or(spoken.onset_day, |drift| drift.onset_day);
        let mut samples: Vec<(i32, f32)> = self.recent.iter().copied().filter(|(day, _)| *day >= onset_day).collect();
        let few = samples.len() < FEW_SAMPLES;
        if samples.len() < LEAST_SAMPLES {
            samples = self.recent.iter().copied().collect();
        }
        let trend = Trend::of(&samples, rules.law.lag1);
        let days = match (&trend, rules.limit) {
            (Some(trend), Some(limit)) => trend.days_to(limit, rules.limit_above).scaled(rules.steps.days_per_unit),
            _ => DaysToLimit::default(),
        };
        let baseline = self.baseline.or_else(|| rules.baseline_of_lot(lot));
        let per_day = |slope: f64| slope / rules.steps.days_per_unit;
        let mut flags = Flags::default();
        flags.raise(Flag::BaselineIncomplete, self.baseline.is_none());
        flags.raise(Flag::BaselineFromLot, self.baseline.is_none() && baseline.is_some());
        flags.raise(Flag::ConstantBaseline, self.baseline.is_some_and(|baseline| baseline.constant));
        flags.raise(Flag::MostlyMissing, f64::from(self.missing) > MISSING_SHARE * f64::from(self.records));
        flags.raise(Flag::Gaps, f64::from(self.gaps) > GAP_SHARE * f64::from(self.samples));
        flags.raise(Flag::NoDayReference, !rules.reference.has_effects);
        flags.raise(Flag::LawAssumed, rules.law.vehicles == 0);
        flags.raise(Flag::FewSamples, few);
        flags.raise(
            Flag::SlopeUncertain,
            trend.is_none_or(|trend| trend.slope_lower <= 0.0 && trend.slope_upper >= 0.0),
        );
        flags.raise(Flag::LimitReached, days.days == Some(0.0));
        let quiet = self.detectors.drift().sum == 0.0 && self.detectors.variance.sum == 0.0 && self.beyond == 0;
        flags.raise(Flag::Receded, self.baseline.is_some() && quiet);
        flags.raise(Flag::Replaced, replaced_day.is_some());
        Some(Alarm {
            part_started_day: self.part_started_day,
            reason,
            onset_day: spoken.onset_day,
            alarm_day,
            threshold_day: self.threshold.map(|spoken| spoken.day),
            drift_day: self.drift.map(|spoken| spoken.day),
            variance_day: self.variance.map(|spoken| spoken.day),
            assessed_day,
            baseline: baseline.map(|baseline| baseline.level),
            level: trend.map_or(f64::from(last_value), |trend| trend.level),
            slope_per_day: trend.map(|trend| per_day(trend.slope_per_day)),
            slope_lower: trend.map(|trend| per_day(trend.slope_lower)),
            slope_upper: trend.map(|trend| per_day(trend.slope_upper)),
            days_to_limit: days,
            replaced_day,
            flags,
        })
    }
}
