//! What came of a scoring run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::night::NightReport;
use crate::fleet::account::Account;
use crate::fleet::manifest::Manifest;
use crate::fleet::scan::{ScanKind, UnreadableFile};
use crate::fleet::time::TimeAxis;
use crate::fleet::writer::folder::{MANIFEST, SUCCESS};

/// A finished scoring run. The folder is in place.
#[derive(Clone, Debug)]
pub struct ScoreReport {
    pub out: PathBuf,
    pub vehicles: u64,
    /// Rows written: vehicles times (failure mode, position).
    pub rows: u64,
    pub account: Account,
    /// Files of which no row counts.
    pub unreadable: Vec<UnreadableFile>,
    pub scan_kind: ScanKind,
    pub axis: TimeAxis,
    pub as_of_day: i32,
    /// BLAKE3 over the rows in canonical order: equal for equal data, whatever the machine.
    pub content_hash: String,
    pub timings: Timings,
    /// What computed, and why that.
    pub device: String,
    pub device_reason: String,
    pub warnings: Vec<String>,
    /// As written.
    pub manifest: Manifest,
    /// What a night did, where a state is kept.
    pub night: Option<NightReport>,
}

/// Where the time went. `scan` is wall time from the first to the last record; `read`, `pack` and `kernel` divide it
/// in the proportion of thread time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// Dictionary, tables, model, footers, slots.
    pub plan: Duration,
    pub scan: Duration,
    /// Part of `scan`: reading, decoding, quantising.
    pub read: Duration,
    /// Part of `scan`: slots, pair terms, tally.
    pub pack: Duration,
    /// Part of `scan`: in the backend's hands.
    pub kernel: Duration,
    /// Read-back of the sums, the fleet's means and medians.
    pub finish: Duration,
    /// Rows, Parquet, content hash, commit.
    pub write: Duration,
    pub total: Duration,
}

/// A day as people write it: ISO 8601, or the integer period.
pub fn day_text(axis: TimeAxis, day: i32) -> String {
    let date = chrono::NaiveDate::default().checked_add_signed(chrono::Duration::days(i64::from(day)));
    match (axis, date) {
        (TimeAxis::Days | TimeAxis::SecondsSince2000, Some(date)) => date.to_string(),
        _ => day.to_string(),
    }
}

/// The content hash of a result that is in place; `None` if there is none.
pub(super) fn content_hash_of(out: &Path) -> Option<String> {
    read_manifest(out)?.content_hash
}

/// The manifest of a result that is in place.
pub(super) fn read_manifest(out: &Path) -> Option<Manifest> {
    if !out.join(SUCCESS).exists() {
        return None;
    }
    serde_json::from_str(&std::fs::read_to_string(out.join(MANIFEST)).ok()?).ok()
}
