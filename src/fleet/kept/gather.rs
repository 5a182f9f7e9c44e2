//! Tonight's records on their way into the state: each thread packs what it gets and writes it, sorted, as a run of its
//! own whenever its share of the memory is full.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::merge;
use super::run::{Run, RunWriter};
use crate::fleet::chunk::Chunk;
use crate::fleet::scan::{ChunkSink, SinkError};
use crate::fleet::settle::key;
use crate::fleet::state::error::StateError;
use crate::fleet::state::ids::Ordinals;

/// Bytes of a row beside its codes, and of its key while it is sorted.
const ROW_BYTES: usize = 8 + 16;

/// Takes tonight's chunks. One lane a thread.
pub struct Gather<'a> {
    ordinals: &'a Ordinals,
    /// Places of the kept columns in a chunk.
    columns: &'a [usize],
    /// Where runs wait to be put together.
    folder: &'a Path,
    most_rows: usize,
    lanes: Vec<Mutex<Chunk>>,
    runs: Mutex<Vec<Run>>,
    begun: AtomicUsize,
}

impl<'a> Gather<'a> {
    pub fn new(
        ordinals: &'a Ordinals,
        columns: &'a [usize],
        folder: &'a Path,
        threads: usize,
        memory_bytes: usize,
    ) -> Self {
        // A row is there twice while it is sorted.
        let row_bytes = 2 * (ROW_BYTES + 2 * columns.len());
        Self {
            ordinals,
            columns,
            folder,
            most_rows: (memory_bytes / threads.max(1) / row_bytes).max(1),
            lanes: (0..threads.max(1)).map(|_| Mutex::new(Chunk::with_columns(columns.len()))).collect(),
            runs: Mutex::default(),
            begun: AtomicUsize::new(0),
        }
    }

    /// The runs of all rows, earliest first.
    pub fn finish(self) -> Result<Vec<Run>, StateError> {
        for lane in &self.lanes {
            self.flush(&mut lane.lock().unwrap_or_else(PoisonError::into_inner))?;
        }
        let mut runs = self.runs.into_inner().unwrap_or_else(PoisonError::into_inner);
        runs.sort_by_key(|run| (run.from_tick, run.to_tick));
        Ok(runs)
    }

    fn flush(&self, rows: &mut Chunk) -> Result<(), StateError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut keys: Vec<(u64, u32)> = (rows.vehicle.iter().zip(&rows.tick).zip(0..))
            .map(|((&vehicle, &tick), row)| (key(vehicle, tick), row))
            .collect();
        keys.sort_unstable();
        let order: Vec<u32> = keys.into_iter().map(|(_, row)| row).collect();
        let mut sorted = Chunk::with_columns(rows.codes.len());
        merge::take(rows, &order, &mut sorted);
        rows.clear();
        let folder = self.folder.join(self.begun.fetch_add(1, Ordering::Relaxed).to_string());
        std::fs::create_dir(&folder).map_err(|error| StateError::io(&folder, "make folder", error))?;
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(|error| StateError::io(&path, "write", error))
        };
        let mut writer = RunWriter::new(&put);
        merge::write(&sorted, &mut writer)?;
        let run = writer.finish(folder.clone())?;
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).push(run);
        Ok(())
    }
}

impl ChunkSink for Gather<'_> {
    fn push(&self, lane: usize, chunk: &Chunk) -> Result<(), SinkError> {
        let mut rows = self.lanes[lane % self.lanes.len()].lock().unwrap_or_else(PoisonError::into_inner);
        rows.vehicle.extend(chunk.vehicle.iter().map(|&vehicle| self.ordinals.of(vehicle)));
        rows.tick.extend_from_slice(&chunk.tick);
        for (codes, &column) in rows.codes.iter_mut().zip(self.columns) {
            codes.extend_from_slice(&chunk.codes[column]);
        }
        if rows.len() >= self.most_rows {
            self.flush(&mut rows)?;
        }
        Ok(())
    }

    fn restart(&self) -> Result<(), SinkError> {
        self.lanes.iter().for_each(|lane| lane.lock().unwrap_or_else(PoisonError::into_inner).clear());
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }
}
