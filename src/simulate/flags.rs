//! What a reader of a forecast should know before trusting it.

use crate::fleet::flags::{Remark, Remarks};

/// A remark on one row of the forecasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Flag {
    /// The vehicle has no record on or before the as-of day: all it does is its cohort's mean.
    NoRecords,
    /// Fewer than [`SHORT_WEEKS`] weeks of records: its future is its cohort's mean.
    ShortHistory,
    /// Less than a year of records: seasons it has not seen are its cohort's, at the vehicle's own pace.
    SeasonsFromCohort,
    /// More than one week in [`GAP_SHARE`] between first and last record was lost ([`super::gaps`]): its cohort's mean,
    /// at the vehicle's own pace, stands there, in the clocks and in the futures.
    GapsFromCohort,
    /// No record in the last [`STALE_DAYS`] days: unless it rests so long now and then, the clocks have gone on with its
    /// cohort's mean at its own pace.
    NoRecentRecords,
    /// No record for [`super::gaps::SILENT_WEEKS`] or longer, and it does not rest so long: its clocks have stood still
    /// since those weeks, and no chance of it alerts.
    LongSilent,
    /// The records begin later than the part: its use before is estimated from its mean since, and where no
    /// replacement is on record, from what renewals nobody wrote down leave of it.
    EarlierUseEstimated,
    /// Neither a replacement nor a sale or build date: the clock runs since the first record.
    StartUnknown,
    /// The zone's records hold no block of some season: others stand in for it.
    SeasonNotOnRecord,
    /// The horizon is longer than the zone's records: futures repeat blocks.
    HorizonBeyondRecords,
    /// A later replacement of the component does not say at which of the model's positions.
    ReplacementNotPlaced,
    /// Only the histories know this vehicle: no attributes and no events.
    UnlistedVehicle,
    /// A failure of the part is reported and no replacement since: it has failed, and what follows is its successor's.
    FailedNotReplaced,
    /// The same more than [`super::failed_parts::STANDS_DAYS`] ago: taken for repaired, by nobody knows what.
    OldFailureNotReplaced,
    /// The vehicle's last day is announced and lies within the horizon: nothing of it fails after that.
    LeavesService,
}

/// Below this many weeks of records a vehicle has no pace of its own.
pub const SHORT_WEEKS: u32 = 8;
/// Weeks of a year of records.
pub const YEAR_WEEKS: u32 = 52;
/// One week in so many may be missing.
pub const GAP_SHARE: u32 = 20;
/// Days without records that are still ordinary.
pub const STALE_DAYS: i32 = 31;

/// All flags with their names, in the order in which a row names them.
pub const NAMES: [(Flag, &str); 15] = [
    (Flag::NoRecords, "no_records"),
    (Flag::ShortHistory, "short_history"),
    (Flag::SeasonsFromCohort, "seasons_from_cohort"),
    (Flag::GapsFromCohort, "gaps_from_cohort"),
    (Flag::NoRecentRecords, "no_recent_records"),
    (Flag::LongSilent, "long_silent"),
    (Flag::EarlierUseEstimated, "earlier_use_estimated"),
    (Flag::StartUnknown, "start_unknown"),
    (Flag::SeasonNotOnRecord, "season_not_on_record"),
    (Flag::HorizonBeyondRecords, "horizon_beyond_records"),
    (Flag::ReplacementNotPlaced, "replacement_not_placed"),
    (Flag::UnlistedVehicle, "unlisted_vehicle"),
    (Flag::FailedNotReplaced, "failed_not_replaced"),
    (Flag::OldFailureNotReplaced, "old_failure_not_replaced"),
    (Flag::LeavesService, "leaves_service"),
];

impl Remark for Flag {
    const NAMES: &'static [(Self, &'static str)] = &NAMES;

    fn place(self) -> u8 {
        self as u8
    }
}

/// The flags of one row.
pub type Flags = Remarks<Flag>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_order() {
        let mut flags = Flags::default();
        flags.raise(Flag::UnlistedVehicle, true);
        flags.raise(Flag::ShortHistory, true);
        flags.raise(Flag::NoRecords, false);
        assert_eq!(flags.to_string(), "short_history,unlisted_vehicle");
        for (index, (flag, _)) in NAMES.iter().enumerate() {
            assert_eq!(*flag as usize, index);
        }
    }
}
