//! What a monitor says of a vehicle: an alarm, with its days, its trend and the remarks that belong to it.
//!
//! Units: the channel's, a day, days on the dataset's axis.

use super::slope::DaysToLimit;
use crate::fleet::flags::{Remark, Remarks};

/// Which detector spoke first. On one day the threshold goes first, then drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The value lay beyond the model's threshold on two of three samples.
    Threshold,
    Drift,
    /// Day-to-day differences have grown.
    Variance,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::Threshold => "threshold",
            Reason::Drift => "drift",
            Reason::Variance => "variance",
        }
    }
}

/// The alarm of one part of one vehicle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    /// When the watched part was put in, if it is not the first.
    pub part_started_day: Option<i32>,
    pub reason: Reason,
    /// Since when, by the detector that spoke first.
    pub onset_day: i32,
    /// The first of the detectors' days.
    pub alarm_day: i32,
    pub threshold_day: Option<i32>,
    pub drift_day: Option<i32>,
    pub variance_day: Option<i32>,
    /// The last sample of the part: baseline, level and trend are as of then.
    pub assessed_day: i32,
    pub baseline: Option<f64>,
    pub level: f64,
    pub slope_per_day: Option<f64>,
    pub slope_lower: Option<f64>,
    pub slope_upper: Option<f64>,
    pub days_to_limit: DaysToLimit,
    /// When the part was replaced after its alarm.
    pub replaced_day: Option<i32>,
    pub flags: Flags,
}

/// A remark on an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Flag {
    /// Fewer samples than a baseline takes: only the threshold was watched.
    BaselineIncomplete,
    /// The baseline given is the lot's (or the fleet's), not the vehicle's own.
    BaselineFromLot,
    /// The channel did not vary in the baseline: its scale is the smallest that means anything.
    ConstantBaseline,
    /// More than half of the records lack the channel.
    MostlyMissing,
    /// More than a tenth of the samples came after a gap.
    Gaps,
    /// Too few lots to tell what the whole fleet does on a day.
    NoDayReference,
    /// Too few whole baselines in the fleet, or neighbouring samples in them: the detectors' limits rest on an assumed law.
    LawAssumed,
    /// The trend rests on fewer than eight samples.
    FewSamples,
    /// The slope's interval holds zero: no last day for the limit.
    SlopeUncertain,
    /// The limit is met already.
    LimitReached,
    /// All detectors have fallen back to zero since.
    Receded,
    /// The part was replaced since.
    Replaced,
}

/// All flags with their names, in the order in which a row names them.
pub const NAMES: [(Flag, &str); 12] = [
    (Flag::BaselineIncomplete, "baseline_incomplete"),
    (Flag::BaselineFromLot, "baseline_from_lot"),
    (Flag::ConstantBaseline, "constant_baseline"),
    (Flag::MostlyMissing, "mostly_missing"),
    (Flag::Gaps, "gaps"),
    (Flag::NoDayReference, "no_day_reference"),
    (Flag::LawAssumed, "law_assumed"),
    (Flag::FewSamples, "few_samples"),
    (Flag::SlopeUncertain, "slope_uncertain"),
    (Flag::LimitReached, "limit_reached"),
    (Flag::Receded, "receded"),
    (Flag::Replaced, "replaced"),
];

impl Remark for Flag {
    const NAMES: &'static [(Self, &'static str)] = &NAMES;

    fn place(self) -> u8 {
        self as u8
    }
}

/// The flags of one alarm.
pub type Flags = Remarks<Flag>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_named_in_order() {
        let mut flags = Flags::default();
        assert_eq!(flags.to_string(), "");
        flags.raise(Flag::Replaced, true);
        flags.raise(Flag::Gaps, true);
        flags.raise(Flag::Receded, false);
        assert_eq!(flags.to_string(), "gaps,replaced");
        for (index, (flag, _)) in NAMES.iter().enumerate() {
            assert_eq!(index, *flag as usize);
        }
    }
}
