//! Values of options that need more than a number: sizes, days, shares, mixes.

use std::path::PathBuf;
use std::str::FromStr;

/// A day, or for datasets with integer periods a period: days since 1970-01-01 or the integer itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf(pub i32);

impl FromStr for AsOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(period) = text.parse::<i32>() {
            return Ok(AsOf(period));
        }
        let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map_err(|_| "expected a date such as 2026-11-30, or a whole number for integer periods".to_owned())?;
        let days = date.signed_duration_since(chrono::NaiveDate::default()).num_days();
        i32::try_from(days).map(AsOf).map_err(|_| "the date is out of range".to_owned())
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit(pub usize);

impl MemoryLimit {
    /// Below this not even one row group's pages of a small dataset fit.
    const LEAST_BYTES: usize = 16 << 20;
}

impl FromStr for MemoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const UNITS: [(&str, u64); 8] = [
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("TiB", 1 << 40),
            ("K", 1 << 10),
            ("M", 1 << 20),
            ("G", 1 << 30),
            ("T", 1 << 40),
        ];
        let (number, unit) =
            UNITS.iter().find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes))).unwrap_or((text, 1));
        let bytes = number
            .trim()
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| "expected a size such as 512MiB or 2GiB".to_owned())?;
        if bytes < Self::LEAST_BYTES { Err("less than 16MiB".to_owned()) } else { Ok(MemoryLimit(bytes)) }
    }
}

/// A folder that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpillFolder(pub PathBuf);

impl FromStr for SpillFolder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let folder = PathBuf::from(text);
        if folder.is_dir() { Ok(SpillFolder(folder)) } else { Err("no such folder".to_owned()) }
    }
}

/// How many bad rows are still fine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxBad {
    Rows(u64),
    /// Percent of the rows that the inputs hold.
    Percent(f64),
}

impl MaxBad {
    /// Whether `bad_rows` of `rows` are more than allowed.
    pub fn exceeded(self, bad_rows: u64, rows: u64) -> bool {
        match self {
            MaxBad::Rows(limit) => bad_rows > limit,
            MaxBad::Percent(limit) => bad_rows as f64 * 100.0 > limit * rows as f64,
        }
    }
}

impl std::fmt::Display for MaxBad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MaxBad::Rows(rows) => write!(f, "{rows}"),
            MaxBad::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for MaxBad {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected a number of rows such as 100, or a share such as 0.5%".to_owned();
        match text.strip_suffix('%') {
            Some(percent) => match percent.parse::<f64>() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(MaxBad::Percent(percent)),
                _ => Err(wrong()),
            },
            None => text.parse().map(MaxBad::Rows).map_err(|_| wrong()),
        }
    }
}

/// A climate zone and how many vehicles of all drive there, relative to the other zones' shares.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneShare {
    pub zone: String,
    pub share: f64,
}

impl FromStr for ZoneShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (zone, share) = text.split_once(['=', ':']).unwrap_or((text, "1"));
        match share.parse::<f64>() {
            Ok(share) if share.is_finite() && share > 0.0 && !zone.is_empty() => {
                Ok(ZoneShare { zone: zone.to_owned(), share })
            }
            _ => Err("expected a zone and a share above zero, such as shenyang=2".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_periods() {
        assert_eq!("1970-01-01".parse(), Ok(AsOf(0)));
        assert_eq!("1969-12-31".parse(), Ok(AsOf(-1)));
        assert_eq!("2024-02-29".parse(), Ok(AsOf(19_782)));
        assert_eq!("202".parse(), Ok(AsOf(202)));
        for wrong in ["2023-02-29", "2024-13-01", "yesterday", "", "99999999999"] {
            assert!(wrong.parse::<AsOf>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!("512MiB".parse(), Ok(MemoryLimit(512 << 20)));
        assert_eq!("2G".parse(), Ok(MemoryLimit(2 << 30)));
        assert_eq!("33554432".parse(), Ok(MemoryLimit(32 << 20)));
        for wrong in ["", "MiB", "-1GiB", "1.5GiB", "15MiB", "99999999TiB", "nan"] {
            assert!(wrong.parse::<MemoryLimit>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn limits_of_bad_rows_are_inclusive() {
        let rows: MaxBad = "10".parse().unwrap();
        assert!(!rows.exceeded(10, 10) && rows.exceeded(11, 1_000_000));
        let share: MaxBad = "0.5%".parse().unwrap();
        assert!(!share.exceeded(5, 1000) && share.exceeded(6, 1000));
        let none: MaxBad = "0%".parse().unwrap();
        assert!(!none.exceeded(0, 0) && none.exceeded(1, 1));
        for wrong in ["", "%", "101%", "-1", "-1%", "NaN%", "1.5"] {
            assert!(wrong.parse::<MaxBad>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn zones() {
        assert_eq!("shenyang".parse(), Ok(ZoneShare { zone: "shenyang".into(), share: 1.0 }));
        assert_eq!("shenyang=0.5".parse(), Ok(ZoneShare { zone: "shenyang".into(), share: 0.5 }));
        for wrong in ["", "=1", "shenyang=", "shenyang=0", "shenyang=-1", "shenyang=inf"] {
            assert!(wrong.parse::<ZoneShare>().is_err(), "{wrong:?}");
        }
    }
}
