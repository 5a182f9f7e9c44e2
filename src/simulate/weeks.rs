//! Calendar weeks of a dataset's time axis, and which days a record covers.
//!
//! Weeks begin on Monday. A record of a day counts in the week of that day; the record of a longer period (week,
//! month, a length in days) is spread over the weeks of its days in proportion, in integers: the parts add up to the
//! whole exactly. A record's period ends on its day, except that a month's record covers the calendar month of its
//! day. A trip counts on its day.
//!
//! Units: days since 1970-01-01. Where time is an integer, a period of a day counts as a day and a period of a week as
//! one calendar week; no other integer period has a place on a calendar.

use chrono::{Datelike, NaiveDate};

use crate::fleet::time::TimeAxis;

pub const DAYS_PER_WEEK: i32 = 7;
/// 1970-01-01 was a Thursday: the Monday of its week lies three days before.
const DAYS_TO_MONDAY: i32 = 3;

/// How long the records of a dataset are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordLength {
    /// Of one day, or taken as such.
    Day,
    Week,
    CalendarMonth,
    /// By the code of this column of a chunk.
    Column(usize),
}

/// How ticks become days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeekAxis {
    pub axis: TimeAxis,
    /// A tick is a whole week.
    pub ticks_are_weeks: bool,
}

/// The week that a day lies in.
pub fn week_of(day: i32) -> i32 {
    (day.saturating_add(DAYS_TO_MONDAY)).div_euclid(DAYS_PER_WEEK)
}

/// The Monday of a week.
pub fn first_day(week: i32) -> i32 {
    week.saturating_mul(DAYS_PER_WEEK) - DAYS_TO_MONDAY
}

/// The last week that is over at the end of a day.
pub fn last_whole_week(day: i32) -> i32 {
    week_of(day.saturating_add(1)) - 1
}

impl WeekAxis {
    /// The last calendar day that a day (or period) of the dataset's axis covers.
    pub fn calendar_day(self, day: i32) -> i32 {
        if self.ticks_are_weeks { first_day(day).saturating_add(DAYS_PER_WEEK - 1) } else { day }
    }

    /// The day (or period) of the dataset's axis that holds a calendar day.
    pub fn axis_day(self, calendar_day: i32) -> i32 {
        if self.ticks_are_weeks { week_of(calendar_day) } else { calendar_day }
    }

    /// The last calendar day of a tick.
    pub fn day(self, tick: i32) -> i32 {
        self.calendar_day(self.axis.day(tick))
    }
}

/// First and last day of a record that ends on `day`; `length_days` counts where the length is a column.
pub fn span(length: RecordLength, day: i32, length_days: i32) -> (i32, i32) {
    match length {
        RecordLength::Day => (day, day),
        RecordLength::Week => (day - (DAYS_PER_WEEK - 1), day),
        RecordLength::Column(_) => (day.saturating_sub(length_days.max(1) - 1), day),
        RecordLength::CalendarMonth => month_of(day).unwrap_or((day, day)),
    }
}

/// First and last day of the calendar month that a day lies in.
fn month_of(day: i32) -> Option<(i32, i32)> {
    let epoch = NaiveDate::default();
    let date = epoch.checked_add_signed(chrono::Duration::days(i64::from(day)))?;
    let first = day - (date.day0() as i32);
    Some((first, first + i32::from(date.num_days_in_month()) - 1))
}

/// Calls `add(week, part)` for every week of the days `first ..= last`, with parts of `amount` in proportion to the
/// days: they add up to `amount`.
pub fn spread(amount: u64, (first, last): (i32, i32), mut add: impl FnMut(i32, u64)) {
    let days = u128::from((last - first).unsigned_abs()) + 1;
    let mut given = 0;
    for week in week_of(first)..=week_of(last) {
        let passed = (first_day(week) + DAYS_PER_WEEK).min(last + 1) - first;
        let up_to_here = (u128::from(amount) * u128::from(passed.unsigned_abs()) / days) as u64;
        add(week, up_to_here - given);
        given = up_to_here;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_monday() {
        // 2024-01-01 was a Monday, 19,723 days after 1970-01-01.
        assert_eq!((week_of(19_722) + 1, first_day(week_of(19_723))), (week_of(19_723), 19_723));
        assert_eq!(week_of(19_723), week_of(19_729));
        assert_eq!((week_of(-3), week_of(-4)), (0, -1));
        assert_eq!(last_whole_week(19_729), week_of(19_723), "Sunday ends its week");
        assert_eq!(last_whole_week(19_728), week_of(19_723) - 1);
    }

    #[test]
    fn a_month_is_spread_over_its_weeks_and_nothing_is_lost() {
        // 2024-02: Thursday the 1st to Thursday the 29th.
        let february = span(RecordLength::CalendarMonth, 19_769, 0);
        assert_eq!(february, (19_754, 19_782));
        for amount in [29, 1, 1 << 60, 123_456_789] {
            let mut parts = Vec::new();
            spread(amount, february, |week, part| parts.push((week, part)));
            assert_eq!(parts.iter().map(|(_, part)| part).sum::<u64>(), amount);
            assert_eq!(parts.len(), 5);
        }
        let mut parts = Vec::new();
        spread(29, february, |_, part| parts.push(part));
        assert_eq!(parts, [4, 7, 7, 7, 4]);
    }

    #[test]
    fn a_record_of_days_ends_on_its_day() {
        assert_eq!(span(RecordLength::Week, 100, 0), (94, 100));
        assert_eq!(span(RecordLength::Column(0), 100, 3), (98, 100));
        assert_eq!(span(RecordLength::Column(0), 100, 0), (100, 100));
        let weeks = WeekAxis { axis: TimeAxis::Integer, ticks_are_weeks: true };
        assert_eq!((week_of(weeks.day(7)), weeks.axis_day(weeks.day(7))), (7, 7));
        let (first, last) = span(RecordLength::Week, weeks.day(7), 0);
        assert_eq!((week_of(first), week_of(last)), (7, 7));
    }
}
