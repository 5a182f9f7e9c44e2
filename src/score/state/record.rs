//! `state.json`: what a generation of the state was made from, and which files belong to it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::fleet::manifest::ManifestAccount;
use crate::fleet::scan::ScanKind;
use crate::fleet::state::consumed::ConsumedFile;
use crate::fleet::state::folder::Generation;
use crate::fleet::time::TimeAxis;

/// Of the layout of the state folder, and of the arithmetic of what it sums: states of another version are refused.
pub const STATE_VERSION: u32 = 1;

/// One generation of the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateRecord {
    pub version: u32,
    /// Generations are numbered from 1.
    pub generation: u64,
    pub made_from: MadeFrom,
    /// Last day that counts, on the dataset's axis.
    pub as_of_day: i32,
    /// Day of the latest record read, even if it was after `as_of_day`; none read: `None`.
    pub latest_day: Option<i32>,
    /// Every stored record with this tick or a later one is in the log.
    pub covered_from_tick: i32,
    pub dimensions: Dimensions,
    /// Whether vehicle ids are text; integers otherwise.
    pub text_ids: bool,
    /// Sorted by path.
    pub consumed: Vec<ConsumedFile>,
    pub log: Vec<LogFile>,
    /// Rows since the state began, all nights together.
    pub account: ManifestAccount,
    /// The scores that this generation belongs to.
    pub scores: ScoresOfState,
}

/// What must stay the same from night to night.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeFrom {
    pub model: String,
    pub model_blake3: String,
    pub dictionary_blake3: String,
    pub axis: TimeAxis,
    pub drivers: bool,
}

/// Lengths that follow from model and dictionary, to check the arrays by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimensions {
    pub vehicles: usize,
    pub segments: usize,
    pub mechanisms: usize,
    pub exposures: usize,
    /// Driver sums of a vehicle.
    pub drivers: usize,
    /// Code columns of the log.
    pub channels: usize,
}

/// A file of packed records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    /// Relative to the state folder, with forward slashes.
    pub path: String,
    pub rows: u64,
    pub blake3: String,
    pub from_tick: i32,
    pub to_tick: i32,
    /// Its rows take the place of earlier ones with the same vehicle and tick.
    pub overrides: bool,
}

/// Where a generation's scores went: a run that was killed between placing them and swapping the pointer is known by
/// this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoresOfState {
    pub out: PathBuf,
    pub content_hash: String,
    pub vehicles: u64,
    pub rows: u64,
    pub scan_kind: ScanKind,
}

impl Generation for StateRecord {
    const VERSION: u32 = STATE_VERSION;

    fn log_files(&self) -> impl Iterator<Item = &str> {
        self.log.iter().map(|file| file.path.as_str())
    }

    fn number(&self) -> u64 {
        self.generation
    }
}
