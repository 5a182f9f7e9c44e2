//! The days on which a back-test stands: from a first day to a last one by a step.
//!
//! Units: calendar days since 1970-01-01. Months are the calendar's, counted from the first day: a step that ends in a
//! shorter month stands on its last day, and the next one is back on the first day's date.

use std::fmt;
use std::str::FromStr;

use chrono::{Months, NaiveDate};

use super::error::BacktestError;

/// Cut days of one back-test.
pub const MOST_CUTS: usize = 1_000;

/// How far the date is rolled at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Days(u32),
    Weeks(u32),
    Months(u32),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(days) => write!(f, "{days}d"),
            Self::Weeks(weeks) => write!(f, "{weeks}w"),
            Self::Months(months) => write!(f, "{months}m"),
        }
    }
}

impl FromStr for Step {
    type Err = String;

    /// `30d`, `4w`, `1m`; a bare number is days.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected days, weeks or months such as 30d, 4w or 1m, above zero".to_owned();
        let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let count: u32 = number.parse().map_err(|_| wrong())?;
        let step = match &text[number.len()..] {
            "" | "d" => Self::Days(count),
            "w" => Self::Weeks(count),
            "m" => Self::Months(count),
            _ => return Err(wrong()),
        };
        if count == 0 { Err(wrong()) } else { Ok(step) }
    }
}

/// All days from `first` on, `last` included. `calendar`: whether days are dates; else months are refused.
pub fn cuts(first: i32, last: i32, step: Step, calendar: bool) -> Result<Vec<i32>, BacktestError> {
    let text = |day: i32| date(day).filter(|_| calendar).map_or_else(|| day.to_string(), |date| date.to_string());
    if first > last {
        return Err(BacktestError::FromAfterTo { from: text(first), to: text(last) });
    }
    if !calendar && matches!(step, Step::Months(_)) {
        return Err(BacktestError::MonthsWithoutCalendar);
    }
    let nth = |number: u32| -> Option<i32> {
        let days = |length: i64| i32::try_from(i64::from(first) + i64::from(number) * length).ok();
        match step {
            Step::Days(length) => days(i64::from(length)),
            Step::Weeks(length) => days(7 * i64::from(length)),
            Step::Months(length) => {
                let date = date(first)?.checked_add_months(Months::new(number.checked_mul(length)?))?;
                i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
            }
        }
    };
    let zero = match step {
        Step::Days(length) | Step::Weeks(length) | Step::Months(length) => length == 0,
    };
    if zero {
        let expected = "a step above zero";
        return Err(BacktestError::Option { option: "step", got: step.to_string(), expected });
    }
    let days: Vec<i32> =
        (0..=MOST_CUTS as u32).map_while(nth).take_while(|&day| (first..=last).contains(&day)).collect();
    if days.len() > MOST_CUTS {
        return Err(BacktestError::TooManyCuts { step: step.to_string(), got: days.len(), most: MOST_CUTS });
    }
    Ok(days)
}

fn date(day: i32) -> Option<NaiveDate> {
    NaiveDate::default().checked_add_signed(chrono::Duration::days(i64::from(day)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> i32 {
        text.parse::<NaiveDate>().unwrap().signed_duration_since(NaiveDate::default()).num_days() as i32
    }

    #[test]
    fn days_weeks_and_months() {
        assert_eq!(cuts(10, 40, Step::Days(10), true).unwrap(), [10, 20, 30, 40]);
        assert_eq!(cuts(10, 39, Step::Weeks(2), false).unwrap(), [10, 24, 38]);
        let months = cuts(day("2023-12-31"), day("2024-03-31"), Step::Months(1), true).unwrap();
        let dates = ["2023-12-31", "2024-01-31", "2024-02-29", "2024-03-31"];
        assert_eq!(months, dates.map(day), "a short month does not shorten those after it");
        assert_eq!(cuts(5, 5, Step::Days(30), true).unwrap(), [5]);
    }

    #[test]
    fn what_makes_no_days_is_refused() {
        assert!(matches!(cuts(6, 5, Step::Days(1), true), Err(BacktestError::FromAfterTo { .. })));
        assert!(matches!(cuts(1, 5, Step::Days(0), true), Err(BacktestError::Option { option: "step", .. })));
        assert!(matches!(cuts(1, 5, Step::Months(1), false), Err(BacktestError::MonthsWithoutCalendar)));
        assert!(matches!(cuts(0, 5_000, Step::Days(1), true), Err(BacktestError::TooManyCuts { .. })));
        assert_eq!(cuts(i32::MAX - 1, i32::MAX, Step::Weeks(u32::MAX), true).unwrap(), [i32::MAX - 1]);
    }

    #[test]
    fn steps_as_they_are_typed() {
        let parsed = |text: &str| text.parse::<Step>();
        assert_eq!(parsed("30"), Ok(Step::Days(30)));
        assert_eq!(parsed("30d"), Ok(Step::Days(30)));
        assert_eq!(parsed("4w").map(|step| step.to_string()), Ok("4w".to_owned()));
        assert_eq!(parsed("6m"), Ok(Step::Months(6)));
        for wrong in ["0", "0w", "m", "", "-3d", "1y", "1.5w", "99999999999d"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
