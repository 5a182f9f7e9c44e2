//! The data dictionary, parsed and resolved: which files and columns stand for what. Users do not convert their
//! data; `dataset.toml` maps it.

use std::path::PathBuf;

use crate::model::channel::Channel;

/// A whole `dataset.toml`, checked for consistency but not yet against files.
#[derive(Clone, Debug)]
pub struct Dictionary {
    /// The file itself, for error messages and hashes.
    pub path: PathBuf,
    pub histories: Histories,
    /// All channels, in the order of the file; then the built-in `period_days` where the period is a month.
    pub channels: Vec<ChannelDefinition>,
    pub joins: Vec<Join>,
    pub vehicles: Option<VehiclesTable>,
    pub events: Option<EventsTable>,
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
    /// Values in the channel's unit (a float column's default, and its only choice).
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
}

#[derive(Clone, Debug)]
pub struct FindingColumn {
    pub column: String,
    pub confirmed: Vec<String>,
    pub not_found: Vec<String>,
}
