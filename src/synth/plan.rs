//! What fleet to make.

use std::collections::BTreeSet;

use super::error::SynthError;

/// Vehicles that the five characters of a synthetic VIN's serial can tell apart (33^5).
pub const MAX_VEHICLES: u32 = 39_135_393;
/// A hundred years; dates stay within four digits.
pub const MAX_DAYS: u32 = 36_525;

/// A fleet, settled: nothing in here has a default any more.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthPlan {
    pub vehicles: u32,
    /// Days of history, from [`SynthPlan::start_day`] on.
    pub days: u32,
    pub seed: u64,
    /// Days since 1970-01-01.
    pub start_day: i32,
    pub layout: Layout,
    pub ids: IdKind,
    /// Climate zones and their shares, which need not add up to one. Empty: all nine, evenly.
    pub zones: Vec<(String, f64)>,
    /// A shipped model's name or a file: the life laws by which parts fail.
    pub model: String,
    /// Plants no interaction: the model's interactions are left out of the wear.
    pub without_rule: bool,
    pub threads: usize,
    /// Rows of a history file by vehicle, about: it holds so many vehicles as would fill it if all were in the fleet
    /// all the time. Part of what is made, unlike the threads.
    pub rows_per_file: u32,
}

/// How the histories are cut into files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Files of some vehicles each, sorted by vehicle and day.
    Vehicle,
    /// A file a day with all vehicles in it.
    Day,
}

/// What identifies a vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// Column `vin`: 17 characters with a valid check digit.
    Vin,
    /// Column `vehicle_id`: 64-bit integer.
    Integer,
}

impl IdKind {
    /// The column's name.
    pub fn column(self) -> &'static str {
        match self {
            IdKind::Vin => "vin",
            IdKind::Integer => "vehicle_id",
        }
    }
}

impl SynthPlan {
    /// `vehicles` passenger cars from 2023-01-01 on, by vehicle, with VINs, in all nine climates.
    pub fn new(vehicles: u32, days: u32, seed: u64) -> Self {
        Self {
            vehicles,
            days,
            seed,
            start_day: 19_358,
            layout: Layout::Vehicle,
            ids: IdKind::Vin,
            zones: Vec::new(),
            model: "ev-passenger".to_owned(),
            without_rule: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            rows_per_file: 1 << 20,
        }
    }

    /// The day after the last day of history.
    pub fn end_day(&self) -> i32 {
        self.start_day + self.days as i32
    }

    pub(super) fn check(&self) -> Result<(), SynthError> {
        let refuse = |option, got: String, limit: String| Err(SynthError::Option { option, got, limit });
        if !(1..=MAX_VEHICLES).contains(&self.vehicles) {
            return refuse("vehicles", self.vehicles.to_string(), format!("1 to {MAX_VEHICLES}"));
        }
        if !(1..=MAX_DAYS).contains(&self.days) {
            return refuse("days", self.days.to_string(), format!("1 to {MAX_DAYS}"));
        }
        // 1970-01-01 to 2170: what four-digit years, Date32 and the random counters all hold with room to spare.
        if !(0..=73_050).contains(&self.start_day) {
            return refuse("start date", format!("day {} since 1970-01-01", self.start_day), "1970 to 2169".to_owned());
        }
        if self.threads == 0 {
            return refuse("threads", "0".to_owned(), "1 or more".to_owned());
        }
        if self.rows_per_file == 0 {
            return refuse("rows per file", "0".to_owned(), "1 or more".to_owned());
        }
        if let Some((zone, share)) = self.zones.iter().find(|(_, share)| !(share.is_finite() && *share > 0.0)) {
            return refuse("zones", format!("{zone}:{share}"), "shares above zero".to_owned());
        }
        let mut seen = BTreeSet::new();
        if let Some((zone, _)) = self.zones.iter().find(|(zone, _)| !seen.insert(zone)) {
            return refuse("zones", format!("{zone} twice"), "each zone once".to_owned());
        }
        Ok(())
    }
}

/// What was made.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthReport {
    pub vehicles: u32,
    /// Rows of the histories.
    pub rows: u64,
    /// Rows of the work order table, duplicates and faults included.
    pub work_orders: u64,
    /// (failure mode, parts that failed), reported or not.
    pub failures: Vec<(String, u64)>,
    /// Bytes of the histories.
    pub history_bytes: u64,
    /// One name for all files: a hash over their paths and hashes.
    pub content_hash: String,
    pub seconds: f64,
}
