//! The dataset's time axis: an `i32` tick a record.
//!
//! Dates become days since 1970-01-01, text too; text with a time of day is refused row by row, since days would hide
//! all but one record of a day. Timestamps become seconds since 2000-01-01 UTC, to 2068. No record is from before
//! 1970: such a date is a clock that was never set, and is refused. An integer period stays as it is, and then every day in the dataset (replacements, as-of) is such an integer too.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, TimeUnit};
use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use super::error::FleetError;
use super::quantise::{converted, plain};

/// What a tick counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeAxis {
    Days,
    SecondsSince2000,
    Integer,
}

/// Days from 1970-01-01 to 2000-01-01.
pub const DAYS_TO_2000: i32 = 10_957;
pub const SECONDS_PER_DAY: i32 = 86_400;
pub const SHORTEST_MONTH_DAYS: u32 = 28;
pub const LONGEST_MONTH_DAYS: u32 = 31;

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

/// What a column of times may be.
pub const ACCEPTED: &str = "a date, a timestamp, ISO text of a date or an integer period";
const MILLISECONDS_PER_DAY: i64 = 86_400_000;

/// Why a row has no tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickFault {
    Null,
    /// Before 1970, beyond what the axis holds, or text that is no date or is finer than one.
    OutOfRange,
}

impl TimeAxis {
    /// The axis that a time column of this type asks for, if it can be one.
    pub fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::Date32 | DataType::Date64 => Some(Self::Days),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Self::Days),
            DataType::Timestamp(_, _) => Some(Self::SecondsSince2000),
            integer if integer.is_integer() => Some(Self::Integer),
            _ => None,
        }
    }

    /// Appends the tick of each time to `out`, 0 where there is none; those rows (counted from the array's first) are
    /// appended to `faults`, rising. The array's type must ask for this axis ([`TimeAxis::of`]).
    pub fn ticks(
        self,
        array: &dyn Array,
        out: &mut Vec<i32>,
        faults: &mut Vec<(usize, TickFault)>,
    ) -> Result<(), FleetError> {
        let (start, first_fault) = (out.len(), faults.len());
        self.ticks_of_any_year(array, out, faults)?;
        // Days rise with ticks, so that the least of a batch tells whether there is anything to look for.
        let is_early = |tick: i32| self.is_before_1970(self.day(tick));
        if out[start..].iter().copied().min().is_some_and(is_early) {
            // A row that was faulty already holds a tick of 0, which is no early one.
            for (row, tick) in out[start..].iter_mut().enumerate().filter(|(_, tick)| is_early(**tick)) {
                *tick = 0;
                faults.push((row, TickFault::OutOfRange));
            }
            faults[first_fault..].sort_by_key(|(row, _)| *row);
        }
        Ok(())
    }

    /// Whether nothing can have been recorded on a day.
    pub fn is_before_1970(self, day: i32) -> bool {
        self != TimeAxis::Integer && day < 0
    }

    /// The same for times that are no record's: bounds, keys, a vehicle's own dates.
    pub fn ticks_of_any_year(
        self,
        array: &dyn Array,
        out: &mut Vec<i32>,
        faults: &mut Vec<(usize, TickFault)>,
    ) -> Result<(), FleetError> {
        if Self::of(array.data_type()) != Some(self) {
            return Err(FleetError::Internal { what: format!("{} as a time of {self:?}", array.data_type()) });
        }
        let start = out.len();
        let first_fault = faults.len();
        match array.data_type() {
            DataType::Date32 => out.extend_from_slice(array.as_primitive::<Date32Type>().values()),
            DataType::Int32 => out.extend_from_slice(array.as_primitive::<Int32Type>().values()),
            DataType::Dictionary(_, _) => return self.ticks_of_any_year(&plain(array)?, out, faults),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                // Text that is no date becomes null, which the text itself is not.
                let dates = converted(array, &DataType::Date32)?;
                out.extend_from_slice(dates.as_primitive::<Date32Type>().values());
                let texts = converted(array, &DataType::Utf8)?;
                let texts = texts.as_string::<i32>();
                let unreadable =
                    |row: &usize| array.is_valid(*row) && (dates.is_null(*row) || !is_midnight(texts.value(*row)));
                faults.extend((0..array.len()).filter(unreadable).map(|row| (row, TickFault::OutOfRange)));
            }
            _ => {
                // Every other type fits i64 but for the largest unsigned numbers, which become null like bad text.
                let wide = converted(array, &DataType::Int64)?;
                let unit = Unit::of(array.data_type());
                for (row, &raw) in wide.as_primitive::<Int64Type>().values().iter().enumerate() {
                    let too_large = wide.is_null(row) && array.is_valid(row);
                    match i32::try_from(unit.tick(raw)) {
                        Ok(tick) if !too_large => out.push(tick),
                        _ => {
                            out.push(0);
                            if array.is_valid(row) {
                                faults.push((row, TickFault::OutOfRange));
                            }
                        }
                    }
                }
            }
        }
        if array.logical_null_count() > 0 {
            let nulls = array.logical_nulls();
            let is_null = |row: &usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(*row));
            faults.extend((0..array.len()).filter(is_null).map(|row| (row, TickFault::Null)));
            faults[first_fault..].sort_by_key(|(row, _)| *row);
        }
        for (row, _) in &faults[first_fault..] {
            out[start + row] = 0;
        }
        Ok(())
    }

    /// The day of each date of a table whose dates need not be as fine as the histories'; `None` where it is missing
    /// or out of range. The column's type must satisfy [`TimeAxis::takes_days_of`].
    pub fn days(self, array: &dyn Array) -> Result<Vec<Option<i32>>, FleetError> {
        let axis = Self::of(array.data_type()).unwrap_or(self);
        let (mut ticks, mut faults) = (Vec::with_capacity(array.len()), Vec::new());
        axis.ticks_of_any_year(array, &mut ticks, &mut faults)?;
        let mut days: Vec<Option<i32>> = ticks.into_iter().map(|tick| Some(axis.day(tick))).collect();
        for (row, _) in faults {
            days[row] = None;
        }
        Ok(days)
    }

    /// Whether a table's column of this type can say days of this axis: dates and timestamps mix, integers do not.
    pub fn takes_days_of(self, data_type: &DataType) -> bool {
        Self::of(data_type).is_some_and(|other| (other == Self::Integer) == (self == Self::Integer))
    }
}

/// Whether a text holds nothing finer than a date: no time of day, no offset that would move it to another day.
fn is_midnight(text: &str) -> bool {
    const DATE: usize = "2000-01-01".len();
    text.trim().bytes().skip(DATE).all(|byte| matches!(byte, b'T' | b' ' | b'0' | b':' | b'.' | b'Z'))
}

/// Days of the calendar month that a day (since 1970-01-01) falls in; `None` outside the calendar's range.
pub fn days_of_month(day: i32) -> Option<u32> {
    let date = NaiveDate::from_num_days_from_ce_opt(day.checked_add(EPOCH_DAYS_FROM_CE)?)?;
    Some(u32::from(date.num_days_in_month()))
}

/// From the proleptic year 1's first day, counted as 1, to 1970-01-01.
const EPOCH_DAYS_FROM_CE: i32 = 719_163;

/// How raw 64-bit times become ticks.
#[derive(Clone, Copy)]
enum Unit {
    Plain,
    MillisecondsOfDays,
    PerSecond(i64),
}

impl Unit {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Date64 => Self::MillisecondsOfDays,
            DataType::Timestamp(TimeUnit::Second, _) => Self::PerSecond(1),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Self::PerSecond(1_000),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::PerSecond(1_000_000),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Self::PerSecond(1_000_000_000),
            _ => Self::Plain,
        }
    }

    fn tick(self, raw: i64) -> i64 {
        match self {
            Self::Plain => raw,
            Self::MillisecondsOfDays => raw.div_euclid(MILLISECONDS_PER_DAY),
            Self::PerSecond(parts) => {
                raw.div_euclid(parts).saturating_sub(i64::from(DAYS_TO_2000) * i64::from(SECONDS_PER_DAY))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::*;

    use super::*;

    fn ticks(array: &dyn Array) -> (Vec<i32>, Vec<(usize, TickFault)>) {
        let axis = TimeAxis::of(array.data_type()).unwrap();
        let (mut out, mut faults) = (vec![7], vec![(99, TickFault::Null)]);
        axis.ticks(array, &mut out, &mut faults).unwrap();
        assert_eq!((out.remove(0), faults.remove(0)), (7, (99, TickFault::Null)), "what was there stays");
        (out, faults)
    }

    #[test]
    fn dates_of_any_type_are_days() {
        use TickFault::{Null, OutOfRange};
        let date32 = Date32Array::from(vec![Some(0), None, Some(-1), Some(i32::MAX)]);
        assert_eq!(ticks(&date32), (vec![0, 0, 0, i32::MAX], vec![(1, Null), (2, OutOfRange)]));
        let date64 = Date64Array::from(vec![Some(86_399_999), Some(-1), None, Some(i64::MAX)]);
        assert_eq!(ticks(&date64), (vec![0, 0, 0, 0], vec![(1, OutOfRange), (2, Null), (3, OutOfRange)]));
        let text = StringArray::from(vec![Some("1970-01-02"), Some("31.12.2024"), None, Some("1969-12-31")]);
        assert_eq!(ticks(&text), (vec![1, 0, 0, 0], vec![(1, OutOfRange), (2, Null), (3, OutOfRange)]));
        let keys = Int8Array::from(vec![Some(1), Some(0), None]);
        let coded = DictionaryArray::new(keys, Arc::new(StringArray::from(vec!["1970-01-02", "x"])));
        assert_eq!(ticks(&coded), (vec![0, 1, 0], vec![(0, OutOfRange), (2, Null)]));
    }

    #[test]
    fn timestamps_of_any_unit_are_seconds_rounded_down() {
        let y2000 = i64::from(DAYS_TO_2000) * 86_400;
        let seconds = TimestampSecondArray::from(vec![Some(y2000), Some(y2000 - 1), None, Some(i64::MIN), Some(0)]);
        let wanted = (vec![0, -1, 0, 0, -(y2000 as i32)], vec![(2, TickFault::Null), (3, TickFault::OutOfRange)]);
        assert_eq!(ticks(&seconds), wanted);
        let micro = TimestampMicrosecondArray::from(vec![(y2000 * 1_000_000) - 1, y2000 * 1_000_000 + 999_999]);
        assert_eq!(ticks(&micro.with_timezone("+08:00")).0, [-1, 0]);
        // A microsecond before midnight belongs to the last second of the old year.
        let before = TimestampMicrosecondArray::from(vec![-1, 0]);
        assert_eq!(ticks(&before), (vec![0, -(y2000 as i32)], vec![(0, TickFault::OutOfRange)]));
        assert_eq!(TimeAxis::Days.days(&before).unwrap(), [Some(-1), Some(0)], "a vehicle may be that old");
        let nano = TimestampNanosecondArray::from(vec![i64::MAX]);
        assert_eq!(ticks(&nano).0.len(), 1);
        let limits = TimestampMillisecondArray::from(vec![
            (y2000 + i64::from(i32::MAX)) * 1000 + 999,
            (y2000 + 1 + i64::from(i32::MAX)) * 1000,
        ]);
        assert_eq!(ticks(&limits), (vec![i32::MAX, 0], vec![(1, TickFault::OutOfRange)]));
    }

    #[test]
    fn integers_stay_as_they_are() {
        let wide = Int64Array::from(vec![202_401, i64::from(i32::MAX) + 1]);
        assert_eq!(ticks(&wide), (vec![202_401, 0], vec![(1, TickFault::OutOfRange)]));
        let huge = UInt64Array::from(vec![Some(3), Some(u64::MAX), None]);
        assert_eq!(ticks(&huge), (vec![3, 0, 0], vec![(1, TickFault::OutOfRange), (2, TickFault::Null)]));
        assert_eq!(ticks(&UInt8Array::from(vec![255])).0, [255]);
        assert_eq!(TimeAxis::of(&DataType::Float64), None);
    }

    #[test]
    fn days_mix_dates_with_timestamps_but_not_with_integers() {
        assert!(TimeAxis::Days.takes_days_of(&DataType::Timestamp(TimeUnit::Second, None)));
        assert!(TimeAxis::SecondsSince2000.takes_days_of(&DataType::Date32));
        assert!(!TimeAxis::Days.takes_days_of(&DataType::Int32));
        assert!(!TimeAxis::Integer.takes_days_of(&DataType::Date32));
        let noon = TimestampSecondArray::from(vec![Some(43_200), None]);
        assert_eq!(TimeAxis::Days.days(&noon).unwrap(), [Some(0), None]);
    }

    #[test]
    fn the_last_tick_of_a_day_is_on_it() {
        for axis in [TimeAxis::Days, TimeAxis::SecondsSince2000, TimeAxis::Integer] {
            for day in [-1000, DAYS_TO_2000, 20_000] {
                let last = axis.last_tick_of(day);
                assert_eq!((axis.day(last), axis.day(last + 1)), (day, day + 1), "{axis:?}");
            }
        }
    }
}
