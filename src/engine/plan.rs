//! What a scoring run is to do, settled before it begins.

use std::path::PathBuf;

use crate::backend::{Choice, DeviceShare};
use crate::fleet::scan::ScanKind;

/// Rows of a chunk where nobody says otherwise: its columns stay in a core's second-level cache from decoding to the
/// kernel.
pub const CHUNK_ROWS: usize = 1 << 14;

/// A scoring run. [`ScorePlan::new`] fills in what hardly anybody changes.
#[derive(Clone, Debug)]
pub struct ScorePlan {
    /// `dataset.toml`, or the folder that holds it.
    pub data: PathBuf,
    /// A model file, or the name of a shipped model.
    pub model: String,
    /// Folder to write; must be empty or not there.
    pub out: PathBuf,
    pub backend: Choice,
    /// Part of an adapter's name, or its PCI id.
    pub device: Option<String>,
    /// How much of the device the run may take at first.
    pub device_share: DeviceShare,
    /// Go on with smaller batches, then on the processor, if the device is lost or out of memory.
    pub fallback: bool,
    pub threads: usize,
    /// For buffers; what results and the id table take comes on top.
    pub memory_limit_bytes: usize,
    /// Where rows go that do not fit; `None`: where the result is staged.
    pub spill_folder: Option<PathBuf>,
    /// Last day that counts on the dataset's axis ([`crate::fleet::time`]); `None`: the day of the latest record.
    pub as_of_day: Option<i32>,
    /// Attributes to carry into the scores.
    pub keep: Vec<String>,
    /// Keep a state here and go on from it, night by night.
    pub state: Option<PathBuf>,
    /// Begin the state anew.
    pub rebuild_state: bool,
    /// Sum what explains each vehicle's rate. Without it the driver columns are null.
    pub drivers: bool,
    /// Put the BLAKE3 hashes of the inputs into the manifest.
    pub hash_inputs: bool,
    /// The rest bears on speed alone; `verify` varies it to show that.
    pub chunk_rows: usize,
    pub reversed: bool,
    /// Force a scan kind instead of the planner's pick.
    pub scan_kind: Option<ScanKind>,
}

impl ScorePlan {
    /// Scores `data` with `model` into `out` on all cores, or on a GPU where it pays.
    pub fn new(data: PathBuf, model: impl Into<String>, out: PathBuf) -> Self {
        Self {
            data,
            model: model.into(),
            out,
            backend: Choice::Auto,
            device: None,
            device_share: DeviceShare::default(),
            fallback: true,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_limit_bytes: 512 << 20,
            spill_folder: None,
            as_of_day: None,
            keep: Vec::new(),
            state: None,
            rebuild_state: false,
            drivers: true,
            hash_inputs: true,
            chunk_rows: CHUNK_ROWS,
            reversed: false,
            scan_kind: None,
        }
    }
}
