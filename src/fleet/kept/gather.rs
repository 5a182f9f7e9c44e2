//! Records on their way into packed histories: each thread packs what it gets and writes it, sorted, as a run of its own
//! whenever its share of the memory is full. When there are `MOST_RUNS` of one level they are put together into one of
//! the next, so that however much there is to read, it ends in a few.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::merge::{self, Together};
use super::run::{Put, Run, RunWriter};
use crate::fleet::chunk::Chunk;
use crate::fleet::error::FleetError;
use crate::fleet::scan::{ChunkSink, SinkError};
use crate::fleet::settle::key;
use crate::fleet::state::error::StateError;
use crate::fleet::state::ids::Ordinals;
use crate::run::Control;

/// Runs of a level that are put together.
const MOST_RUNS: usize = 32;
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
    /// By level.
    runs: Mutex<Vec<Vec<Run>>>,
    begun: AtomicUsize,
    memory_bytes: usize,
    control: &'a Control<'a>,
}

impl<'a> Gather<'a> {
    pub fn new(
        ordinals: &'a Ordinals,
        columns: &'a [usize],
        folder: &'a Path,
        threads: usize,
        memory_bytes: usize,
        control: &'a Control<'a>,
    ) -> Self {
        // A row is there twice while it is sorted.
        let row_bytes = 2 * (ROW_BYTES + 2 * columns.len());
        Self {
            ordinals,
            columns,
            folder,
            // Rows are numbered in 32 bits, a chunk more among them.
            most_rows: (memory_bytes / threads.max(1) / row_bytes).clamp(1, 1 << 31),
            lanes: (0..threads.max(1)).map(|_| Mutex::new(Chunk::with_columns(columns.len()))).collect(),
            runs: Mutex::default(),
            begun: AtomicUsize::new(0),
            memory_bytes: memory_bytes / threads.max(1),
            control,
        }
    }

    /// The runs of all rows, earliest first.
    pub fn finish(self) -> Result<Vec<Run>, FleetError> {
        for lane in &self.lanes {
            self.flush(&mut lane.lock().unwrap_or_else(PoisonError::into_inner))?;
        }
        let mut runs = self.runs.into_inner().unwrap_or_else(PoisonError::into_inner).concat();
        runs.sort_by_key(|run| (run.from_tick, run.to_tick));
        Ok(runs)
    }

    fn flush(&self, rows: &mut Chunk) -> Result<(), FleetError> {
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
        let run = self.begin(|folder, put| {
            let mut writer = RunWriter::new(put);
            merge::write(&sorted, &mut writer)?;
            Ok(writer.finish(folder)?)
        })?;
        // Whoever fills a level puts it together; the others wait when they are full themselves.
        let mut levels = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut level, mut run) = (0, Some(run));
        while let Some(added) = run.take() {
            if level == levels.len() {
                levels.push(Vec::new());
            }
            levels[level].push(added);
            if levels[level].len() == MOST_RUNS {
                let mut full = std::mem::take(&mut levels[level]);
                full.sort_by_key(|run| (run.from_tick, run.to_tick));
                let (columns, memory_bytes) = (self.columns.len(), self.memory_bytes);
                let together = Together { columns, threads: 1, memory_bytes, control: self.control };
                run = Some(self.begin(|folder, put| together.put(&full, folder, put))?);
                for old in full {
                    std::fs::remove_dir_all(old.folder())
                        .map_err(|error| StateError::io(old.folder(), "remove", error))?;
                }
            }
            level += 1;
        }
        Ok(())
    }

    /// Makes a run in a folder of its own.
    fn begin(&self, make: impl FnOnce(PathBuf, &Put) -> Result<Run, FleetError>) -> Result<Run, FleetError> {
        let folder = self.folder.join(self.begun.fetch_add(1, Ordering::Relaxed).to_string());
        std::fs::create_dir(&folder).map_err(|error| StateError::io(&folder, "make folder", error))?;
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(|error| StateError::io(&path, "write", error))
        };
        make(folder.clone(), &put)
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
