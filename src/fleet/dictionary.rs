//! The data dictionary, parsed and resolved: which files and columns stand for what. Users do not convert their
//! data; `dataset.toml` maps it. Parsed in `dictionary_parse`.

use std::path::{Path, PathBuf};

use super::dictionary_parse;
use super::error::FleetError;
use crate::model::channel::{Channel, PeriodLength, Schema};

/// Codes a declared range may have: `u16` less the one that means "not available".
pub const MAX_CODES: u32 = 65_535;
/// Name of the built-in channel of a dataset whose period is the month: days of the record's calendar month.
pub const PERIOD_DAYS: &str = "period_days";
const DAYS_PER_WEEK: f64 = 7.0;

/// A whole `dataset.toml`, checked for consistency but not yet against files.
#[derive(Clone, Debug)]
pub struct Dictionary {
    /// The file itself, for error messages.
    pub path: PathBuf,
    /// BLAKE3 of the text that was parsed, hex: the file may say something else by now.
    pub blake3: String,
    pub histories: Histories,
    /// All channels, in the order of the file; then the built-in `period_days` where the period is a month.
    pub channels: Vec<ChannelDefinition>,
    pub joins: Vec<Join>,
    pub vehicles: Option<VehiclesTable>,
    pub events: Option<EventsTable>,
}

impl Dictionary {
    /// Reads a `dataset.toml`, or the one in a folder.
    pub fn load(path: &Path) -> Result<Self, FleetError> {
        let path = if path.is_dir() { path.join("dataset.toml") } else { path.to_path_buf() };
        let bytes = std::fs::read(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => FleetError::NoDictionary { path: path.clone() },
            _ => FleetError::io(&path, source),
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            FleetError::Dictionary {
                file: path.clone(),
                line: 1 + valid.iter().filter(|&&byte| byte == b'\n').count(),
                key: "TOML".to_string(),
                problem: "is not UTF-8".to_string(),
                remedy: "save the file as UTF-8".to_string(),
            }
        })?;
        dictionary_parse::dictionary(&path, &text)
    }

    /// Parses the text of a `dataset.toml` that stands, or would stand, at `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, FleetError> {
        dictionary_parse::dictionary(path, text)
    }

    /// The dataset as a model sees it.
    pub fn schema(&self) -> Schema {
        let period_length = match self.histories.period {
            Period::Day => PeriodLength::Constant(1.0),
            Period::Week => PeriodLength::Constant(DAYS_PER_WEEK),
            Period::Trip => PeriodLength::Unknown,
            Period::Channel(index) => PeriodLength::Channel(index),
            // The built-in channel stands behind the declared ones.
            Period::Month => self.channel_index(PERIOD_DAYS).map_or(PeriodLength::Unknown, PeriodLength::Channel),
        };
        Schema {
            channels: self.channels.iter().map(|definition| definition.channel.clone()).collect(),
            period_length,
            attributes: self.vehicles.as_ref().map(|table| table.attributes.clone()).unwrap_or_default(),
        }
    }

    pub fn channel_index(&self, name: &str) -> Option<usize> {
        self.channels.iter().position(|definition| definition.channel.name == name)
    }

    /// The channels asked for and all that they are derived from, each behind its operands: the order to fill them in.
    pub fn with_operands(&self, wanted: &[usize]) -> Vec<usize> {
        let mut ordered = Vec::new();
        for &index in wanted {
            self.push_with_operands(index, &mut ordered);
        }
        ordered
    }

    fn push_with_operands(&self, index: usize, ordered: &mut Vec<usize>) {
        if ordered.contains(&index) {
            return;
        }
        if let Some(ChannelSource::Derived { a, b, .. }) = self.channels.get(index).map(|channel| &channel.source) {
            self.push_with_operands(*a, ordered);
            self.push_with_operands(*b, ordered);
        }
        ordered.push(index);
    }

    /// The built-in channel of months.
    pub(super) fn period_days() -> ChannelDefinition {
        let channel = Channel {
            name: PERIOD_DAYS.to_string(),
            unit: "d".to_string(),
            factor: 1.0,
            offset: 0.0,
            first: i64::from(super::time::SHORTEST_MONTH_DAYS),
            codes: super::time::LONGEST_MONTH_DAYS - super::time::SHORTEST_MONTH_DAYS + 1,
        };
        ChannelDefinition { channel, source: ChannelSource::PeriodDays, missing: Vec::new() }
    }
}

/// The histories table.
#[derive(Clone, Debug)]
pub struct Histories {
    pub files: Files,
    pub vehicle: String,
    pub time: String,
    pub period: Period,
}

/// A file, a glob, a Hive-partitioned folder, or the files named in a list.
#[derive(Clone, Debug)]
pub struct Files {
    /// As written, for messages.
    pub spec: String,
    /// What relative paths refer to: the folder of `dataset.toml`.
    pub base: PathBuf,
}

/// What a record covers.
#[derive(Clone, Debug, PartialEq)]
pub enum Period {
    Day,
    Week,
    Month,
    Trip,
    /// The channel of this index holds the record's length in days.
    Channel(usize),
}

/// A mean Gregorian month.
const DAYS_PER_MONTH: f64 = 365.2425 / 12.0;

impl Period {
    /// The usual length of a record in days; trips are put together by day, and a channel's lengths are not known here.
    pub fn usual_days(&self) -> f64 {
        match self {
            Period::Day | Period::Trip | Period::Channel(_) => 1.0,
            Period::Week => DAYS_PER_WEEK,
            Period::Month => DAYS_PER_MONTH,
        }
    }
}

/// A channel and where its values come from.
#[derive(Clone, Debug)]
pub struct ChannelDefinition {
    pub channel: Channel,
    pub source: ChannelSource,
    /// Raw values that mean "not available", besides null and NaN.
    pub missing: Vec<f64>,
}

#[derive(Clone, Debug)]
pub enum ChannelSource {
    /// A column of the histories. `stored` says what an integer column holds.
    Column { column: String, stored: Stored },
    /// A column of the side table of this index in [`Dictionary::joins`].
    Join { join: usize, column: String, stored: Stored },
    /// Computed from the values of two other channels; "not available" if either is.
    Derived { operation: Operation, a: usize, b: usize },
    /// Days in the calendar month of the record.
    PeriodDays,
}

/// What the numbers of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Raw codes of `value = offset + factor * code` (an integer column's default).
    Code,
    /// Values in the channel's unit (a float column's default). A float column may be declared to hold codes: tools
    /// that know no missing integers write such columns as floats.
    Value,
    /// Not said: by the column's type.
    ByType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Difference,
    Sum,
    Product,
    Ratio,
}

/// A side table that supplies channels, keyed by vehicle attributes and, if `time` is given, by the record's time.
#[derive(Clone, Debug)]
pub struct Join {
    pub name: String,
    pub files: Files,
    /// (attribute of the vehicle, column of the side table).
    pub attributes: Vec<(String, String)>,
    /// Column of the side table that equals the record's time.
    pub time: Option<String>,
}

#[derive(Clone, Debug)]
pub struct VehiclesTable {
    pub files: Files,
    pub vehicle: String,
    pub build_date: Option<String>,
    pub sale_date: Option<String>,
    pub end_date: Option<String>,
    pub attributes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct EventsTable {
    pub files: Files,
    pub vehicle: String,
    pub occurred_on: String,
    pub reported_on: Option<String>,
    pub component: String,
    pub position: Option<String>,
    /// Column and the raw values of each kind; `None`: every row is a replacement.
    pub kind: Option<KindColumn>,
    pub finding: Option<FindingColumn>,
    pub odometer_km: Option<String>,
    pub cost: Option<String>,
}

#[derive(Clone, Debug)]
pub struct KindColumn {
    pub column: String,
    pub failure: Vec<String>,
    pub replacement: Vec<String>,
    pub inspection: Vec<String>,
    pub outcome: Vec<String>,
    /// Kinds that are passed over, a service for example.
    pub other: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct FindingColumn {
    pub column: String,
    pub confirmed: Vec<String>,
    pub not_found: Vec<String>,
}
