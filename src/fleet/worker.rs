//! One pass over the data: what its threads share, and what each has for itself.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::by_time::Once;
use super::chunk::{Chunk, Order};
use super::decode::{Batch, Context, ReadError, RowGroupReader};
use super::error::FleetError;
use super::input_hash::InputHashes;
use super::pack::Packer;
use super::plan::RowGroup;
use super::pool::{Halt, Stop, lock};
use super::scan::ChunkSink;
use super::settle::Settler;
use super::tally::Tally;

/// What the threads of a pass share.
pub(crate) struct Pass<'a> {
    pub context: Context<'a>,
    pub sink: &'a dyn ChunkSink,
    pub order: Order,
    pub threads: usize,
    pub chunk_rows: usize,
    /// What one thread may hold of rows that cannot be handed out yet.
    pub worker_bytes: usize,
    pub halt: Halt,
    /// Files found to be unreadable in this pass, with the problem.
    pub failed: Mutex<BTreeMap<usize, String>>,
    /// Set with the first of them: nothing is handed out any more, the rest is read only to find all such files.
    void: AtomicBool,
    /// By file: row groups with rows, and how many of them are not done yet.
    row_groups: Vec<(usize, AtomicUsize)>,
    hashes: &'a InputHashes,
}

/// What a thread has for itself.
pub(crate) struct Worker<'a> {
    pub lane: usize,
    pub tally: Tally,
    pub settler: Settler,
    pub once: Once,
    packer: Packer<'a>,
}

impl<'a> Pass<'a> {
    pub fn new(
        context: Context<'a>,
        sink: &'a dyn ChunkSink,
        order: Order,
        (threads, chunk_rows, worker_bytes): (usize, usize, usize),
        hashes: &'a InputHashes,
    ) -> Self {
        let count = |file: &super::history_file::HistoryFile| {
            let row_groups = file.metadata.metadata().row_groups();
            let count = row_groups.iter().filter(|row_group| row_group.num_rows() > 0).count();
            (count, AtomicUsize::new(count))
        };
        let row_groups = context.files.iter().map(count).collect();
        Self {
            context,
            sink,
            order,
            threads,
            chunk_rows,
            worker_bytes,
            halt: Halt::default(),
            failed: Mutex::default(),
            void: AtomicBool::new(false),
            row_groups,
            hashes,
        }
    }

    pub fn workers(&'a self) -> Vec<Worker<'a>> {
        (0..self.threads)
            .map(|lane| Worker {
                lane,
                tally: Tally::default(),
                settler: Settler::default(),
                once: Once::default(),
                packer: Packer::new(&self.context),
            })
            .collect()
    }

    /// Hands a chunk to the consumer; its rows count as scored.
    pub fn push(&self, worker: &mut Worker, chunk: &Chunk) -> Result<(), Stop> {
        let lane = worker.lane;
        self.push_to(lane, worker, chunk)
    }

    /// As [`Self::push`] to a lane that the caller holds.
    pub fn push_to(&self, lane: usize, worker: &mut Worker, chunk: &Chunk) -> Result<(), Stop> {
        self.context.control.check()?;
        if chunk.is_empty() || self.is_void() {
            return Ok(());
        }
        worker.tally.scored += chunk.len() as u64;
        self.sink.push(lane, chunk).map_err(|error| Stop::Error(FleetError::Sink(error)))
    }

    /// Notes that a file cannot be decoded.
    pub fn unreadable(&self, file: usize, problem: String) {
        lock(&self.failed).entry(file).or_insert(problem);
        self.void.store(true, Ordering::Relaxed);
    }

    pub fn is_unreadable(&self, file: usize) -> bool {
        self.is_void() && lock(&self.failed).contains_key(&file)
    }

    /// Whether what is handed out is going to be forgotten anyway.
    pub fn is_void(&self) -> bool {
        self.void.load(Ordering::Relaxed)
    }

    /// Opens a row group.
    pub fn open(&'a self, row_group: &'a RowGroup) -> Result<RowGroupReader<'a>, ReadError> {
        let reader = RowGroupReader::open(&self.context, row_group)?;
        self.hash_held(&reader, row_group.file)?;
        Ok(reader)
    }

    /// Hashes what a reader holds of its file, if it is its turn.
    pub fn hash_held(&self, reader: &RowGroupReader, file: usize) -> Result<(), FleetError> {
        self.hashes.take(self.context.files[file].path(), reader.held(), self.context.control)
    }

    /// To be called once a row group: hashes its share of the file.
    pub fn finish_row_group(&self, file: usize) -> Result<(), Stop> {
        let Some((count, left)) = self.row_groups.get(file) else { return Ok(()) };
        let done = *count - left.fetch_sub(1, Ordering::Relaxed).saturating_sub(1);
        let (file, control) = (&self.context.files[file], self.context.control);
        let hashed = if done == *count {
            self.hashes.hash(file.path(), control)
        } else {
            self.hashes.advance(file.path(), file.stamp.bytes / *count as u64 * done as u64, control)
        };
        hashed.map_err(Stop::Error)
    }
}

impl Worker<'_> {
    /// Appends rows of a batch to a chunk.
    pub fn pack(&mut self, batch: &Batch, from: usize, to: usize, chunk: &mut Chunk) -> Result<(), Stop> {
        self.packer.append(batch, (from, to), chunk, &mut self.tally).map_err(Stop::Error)
    }

    /// Removes and counts duplicates; sorts the rows only if they do not rise already. Vehicles must be whole.
    pub fn settle(&mut self, chunk: &mut Chunk) {
        self.tally.duplicates += self.settler.settle(chunk);
    }
}
