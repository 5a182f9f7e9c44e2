//! The dataset's time axis: an `i32` tick a record.
//!
//! Dates become days since 1970-01-01. Timestamps become seconds since 2000-01-01 UTC (1932 to 2068). An integer
//! period stays as it is, and then every day in the dataset (replacements, as-of) is such an integer too.

/// What a tick counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeAxis {
    Days,
    SecondsSince2000,
    Integer,
}

/// Days from 1970-01-01 to 2000-01-01.
pub const DAYS_TO_2000: i32 = 10_957;
pub const SECONDS_PER_DAY: i32 = 86_400;

impl TimeAxis {
    /// The day (or integer period) that a tick falls on.
    pub fn day(self, tick: i32) -> i32 {
        match self {
            TimeAxis::Days | TimeAxis::Integer => tick,
            TimeAxis::SecondsSince2000 => tick.div_euclid(SECONDS_PER_DAY) + DAYS_TO_2000,
        }
    }

    /// The last tick of a day: a record counts for a part started on `day` if its tick is later than this.
    pub fn last_tick_of(self, day: i32) -> i32 {
        match self {
            TimeAxis::Days | TimeAxis::Integer => day,
            TimeAxis::SecondsSince2000 => {
                let next_midnight = (i64::from(day) + 1 - i64::from(DAYS_TO_2000)) * i64::from(SECONDS_PER_DAY);
                (next_midnight - 1).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
            }
        }
    }
}
