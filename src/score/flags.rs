//! What a reader of a score should know before trusting it.

use crate::fleet::flags::{Remark, Remarks};

/// A remark on one row of the scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Flag {
    /// The vehicle has no record on or before the as-of day.
    NoRecords,
    /// The part was put in after the vehicle's last record.
    NoRecordsSinceStart,
    /// No record in the recent window: the recent rate is null.
    NoRecentRecords,
    /// No replacement and no sale or build date: the clock runs since the first record, and what came before is
    /// unknown.
    StartUnknown,
    /// The first record is more than [`LATE_DAYS`] after the part's start: its use in between is not in the clock.
    HistoryStartsLate,
    /// At least one record reached a whole life and was capped: the model does not fit this vehicle.
    IncrementCapped,
    /// A clock has passed 32,768 lives, the most that its column holds, and stands there; or the part has so many
    /// records that its clock may have wrapped. The model does not fit this vehicle, or its records.
    ClockAtLimit,
    /// The exposure is not available in more than [`MISSING_SHARE`] of the part's records: the clock is too low.
    ExposureMissing,
    /// The mode ages with time, and the part's records cover less than [`COVERED_SHARE`] of the periods from the first of
    /// them to the last: time that no record covers is not in the clock.
    HistoryHasGaps,
    /// A later replacement of the component does not say at which of the model's positions.
    ReplacementNotPlaced,
    /// The vehicle left service on or before the as-of day.
    Retired,
    /// Only the histories know this vehicle: no attributes and no events.
    UnlistedVehicle,
}

/// Days between a part's start and the first record that are still ordinary.
pub const LATE_DAYS: i32 = 31;
/// Share of records without exposure that is still ordinary.
pub const MISSING_SHARE: f64 = 0.05;

/// Share of the periods with a record that is still ordinary. A vehicle that rests one day a week has 0.86, one that
/// leaves out weekends 0.71: the clock of its calendar mechanisms then is short by more than a quarter.
pub const COVERED_SHARE: f64 = 0.8;

/// All flags with their names, in the order in which a row names them.
pub const NAMES: [(Flag, &str); 12] = [
    (Flag::NoRecords, "no_records"),
    (Flag::NoRecordsSinceStart, "no_records_since_start"),
    (Flag::NoRecentRecords, "no_recent_records"),
    (Flag::StartUnknown, "start_unknown"),
    (Flag::HistoryStartsLate, "history_starts_late"),
    (Flag::IncrementCapped, "increment_capped"),
    (Flag::ClockAtLimit, "clock_at_limit"),
    (Flag::ExposureMissing, "exposure_missing"),
    (Flag::HistoryHasGaps, "history_has_gaps"),
    (Flag::ReplacementNotPlaced, "replacement_not_placed"),
    (Flag::Retired, "retired"),
    (Flag::UnlistedVehicle, "unlisted_vehicle"),
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
        assert_eq!(flags.to_string(), "");
        flags.raise(Flag::Retired, true);
        flags.raise(Flag::IncrementCapped, true);
        flags.raise(Flag::NoRecords, false);
        assert_eq!(flags.to_string(), "increment_capped,retired");
        for (index, (flag, _)) in NAMES.iter().enumerate() {
            assert_eq!(*flag as usize, index);
        }
    }
}
