//! Reading the histories: what a consumer asks for, and what it gets back.

use super::account::Account;
use super::chunk::{Chunk, Order};
use super::time::TimeAxis;
use super::vehicles::Ids;

/// What a consumer wants to read.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// Indices into the dictionary's channels; a chunk's columns stand in this order.
    pub channels: Vec<usize>,
    pub order: Order,
    /// Records later than this day are skipped and counted.
    pub as_of_day: Option<i32>,
    pub threads: usize,
    /// Bytes the reader may hold at a time: chunks, decode buffers, sort buffers.
    pub memory_limit_bytes: usize,
    /// Rows a chunk holds at most, unless one vehicle alone has more.
    pub chunk_rows: usize,
    /// Take files and row groups in reverse: nothing may depend on it.
    pub reversed: bool,
    /// Only vehicles whose id hashes to shard `.0` of `.1`.
    pub shard: Option<(u32, u32)>,
    /// Force a scan kind instead of the planner's pick.
    pub kind: Option<ScanKind>,
    /// Compute the BLAKE3 hash of every input file while reading.
    pub hash_inputs: bool,
}

/// The planner's three ways to read a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanKind {
    /// Row groups cover disjoint ranges of vehicles (they may share the vehicle at a boundary).
    ByVehicle,
    /// Row groups fall into slices of disjoint time, each small enough to hold.
    ByTime,
    /// Anything else: packed rows partitioned by vehicle hash into temporary files, each sorted.
    Spill,
}

/// Takes chunks. Called from several threads at once, but never twice at once with the same `lane` (below
/// `threads`). With [`Order::TimeOrderedPerVehicle`] all chunks of a vehicle come with the same lane, one after the
/// other, in rising time.
pub trait ChunkSink: Sync {
    fn push(&self, lane: usize, chunk: &Chunk) -> Result<(), SinkError>;

    /// Everything pushed so far is void: forget it, the scan starts over. This happens when rows turn out not to be
    /// ordered as the files' statistics promised, or when a file turns out to be unreadable after some of its rows
    /// were pushed (none of its rows may count then). Vehicle indices are handed out anew. No push is under way.
    fn restart(&self) -> Result<(), SinkError>;
}

/// Whatever stopped a consumer.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// What came of a scan.
#[derive(Clone, Debug)]
pub struct ScanReport {
    pub kind: ScanKind,
    pub axis: TimeAxis,
    pub account: Account,
    /// Every vehicle that has an index: the known ones first.
    pub ids: Ids,
    /// All files that the dictionary names, in path order, whether or not they could be read.
    pub inputs: Vec<InputFile>,
    /// Files of which no row counts, in path order.
    pub unreadable: Vec<UnreadableFile>,
    /// How often the scan started over, see [`ChunkSink::restart`].
    pub restarts: u32,
}

/// A file that cannot be decoded. Its rows are quarantined as a whole, so that no result depends on how far a reader
/// got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableFile {
    pub path: std::path::PathBuf,
    /// Rows by its metadata; `None` where the metadata itself cannot be read, and then the account lacks them.
    pub rows: Option<u64>,
    pub problem: String,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct InputFile {
    pub path: std::path::PathBuf,
    pub bytes: u64,
    pub modified_ns: i128,
    pub rows: u64,
    /// BLAKE3 of the whole file, hex; empty if not asked for.
    pub blake3: String,
}
