//! `state.json` of the packed histories: what they were packed from, and which runs belong to them.

use serde::{Deserialize, Serialize};

use super::run::RunRecord;
use crate::fleet::manifest::ManifestAccount;
use crate::fleet::state::consumed::ConsumedFile;
use crate::fleet::state::folder::Generation;
use crate::fleet::time::TimeAxis;

/// Of the layout of packed histories.
const KEPT_VERSION: u32 = 2;

/// One generation of the packed histories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptRecord {
    pub version: u32,
    /// Generations are numbered from 1.
    pub generation: u64,
    pub dictionary_blake3: String,
    pub axis: TimeAxis,
    /// Names of the channels that were read, in the order by which repeated records are settled: the last night's.
    pub channels: Vec<String>,
    /// Those of them, and of what they are derived from, that come from columns of the files: these are kept, in this
    /// order. The others are made from them and from the side tables whenever they are read.
    pub columns: Vec<String>,
    /// Whether vehicle ids are text; integers otherwise.
    pub text_ids: bool,
    /// Vehicles with an ordinal.
    pub vehicles: usize,
    /// Sorted by path.
    pub consumed: Vec<ConsumedFile>,
    /// Earliest first.
    pub runs: Vec<RunRecord>,
    /// Rows since the state began, all nights together.
    pub account: ManifestAccount,
}

impl KeptRecord {
    /// The first generation's predecessor: nothing was read yet.
    pub fn nothing(
        dictionary_blake3: String,
        axis: TimeAxis,
        channels: Vec<String>,
        columns: Vec<String>,
        text_ids: bool,
    ) -> Self {
        Self {
            version: KEPT_VERSION,
            generation: 0,
            dictionary_blake3,
            axis,
            channels,
            columns,
            text_ids,
            vehicles: 0,
            consumed: Vec::new(),
            runs: Vec::new(),
            account: ManifestAccount::default(),
        }
    }
}

impl Generation for KeptRecord {
    const VERSION: u32 = KEPT_VERSION;

    fn number(&self) -> u64 {
        self.generation
    }

    fn log_files(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().map(|run| run.path.as_str())
    }
}
