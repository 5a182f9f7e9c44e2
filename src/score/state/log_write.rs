//! The log of packed records: what a night adds to it.
//!
//! Rows are gathered by day and written in files of one day each, so that a later night finds the few days it needs
//! without touching the others. Days with few rows, as late records bring them, share one file. All threads append to
//! the same gathering; whoever fills a file takes it out and writes it alone.
//!
//! Columns: `ordinal` (the vehicle's number in the state), `tick`, and the codes of the model's channels, in the
//! order of the model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, Int32Array, RecordBatch, UInt16Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::record::LogFile;
use crate::fleet::manifest::Manifest;
use crate::fleet::state::error::StateError;
use crate::fleet::state::folder::log_name;
use crate::fleet::time::TimeAxis;
use crate::fleet::writer::{Encoding, OutputFolder, TableSpec, WriteError};

/// Rows of a file: enough for several threads to share a night, few enough to gather many days at once.
const FILE_ROWS: usize = 1 << 18;
/// Days with fewer rows share a file with others.
const FEW_ROWS: usize = 1 << 12;

pub const ORDINAL: &str = "ordinal";
pub const TICK: &str = "tick";

/// Takes a night's records.
pub struct LogWriter {
    folder: OutputFolder,
    name: String,
    spec: TableSpec,
    axis: TimeAxis,
    covered_from_tick: i32,
    /// Bytes gathered at most before the largest day is written.
    limit_bytes: usize,
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    /// Rows of each day; those that take the place of others apart.
    days: BTreeMap<(bool, i32), Rows>,
    bytes: usize,
    files_begun: usize,
    files: Vec<LogFile>,
}

/// Rows of a log, column by column.
#[derive(Clone, Debug, Default)]
struct Rows {
    ordinal: Vec<u32>,
    tick: Vec<i32>,
    codes: Vec<Vec<u16>>,
}

impl Rows {
    fn append(&mut self, other: Rows) {
        self.ordinal.extend(other.ordinal);
        self.tick.extend(other.tick);
        self.codes.resize_with(other.codes.len(), Vec::new);
        self.codes.iter_mut().zip(other.codes).for_each(|(column, added)| column.extend(added));
    }
}

impl LogWriter {
    /// Begins the log folder of a generation. Rows before `covered_from_tick` are not kept; `channels` is the number
    /// of code columns.
    pub fn create(
        state: &Path,
        generation: u64,
        axis: TimeAxis,
        covered_from_tick: i32,
        channels: usize,
        limit_bytes: usize,
    ) -> Result<Self, StateError> {
        let name = log_name(generation);
        let target: PathBuf = state.join(&name);
        let mut spec = TableSpec::new("log", schema(channels), &[]);
        spec.rows_per_row_group = FILE_ROWS;
        spec.encoding = Encoding::Dictionary;
        Ok(Self {
            folder: OutputFolder::create(&target)?,
            name,
            spec,
            axis,
            covered_from_tick,
            limit_bytes,
            gathered: Mutex::default(),
        })
    }

    /// Adds rows. `overrides`: they take the place of earlier rows.
    pub fn push(&self, ordinal: &[u32], tick: &[i32], codes: &[Vec<u16>], overrides: bool) -> Result<(), StateError> {
        let mut kept: Vec<(i32, u32)> = tick
            .iter()
            .zip(0u32..)
            .filter(|(tick, _)| **tick >= self.covered_from_tick)
            .map(|(&tick, row)| (self.axis.day(tick), row))
            .collect();
        kept.sort_unstable();
        let bytes_per_row = 8 + 2 * codes.len();
        let mut full = Vec::new();
        {
            let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
            for of_day in kept.chunk_by(|a, b| a.0 == b.0) {
                let day = (overrides, of_day[0].0);
                let rows = gathered.days.entry(day).or_default();
                rows.codes.resize_with(codes.len(), Vec::new);
                rows.ordinal.extend(of_day.iter().map(|&(_, row)| ordinal[row as usize]));
                rows.tick.extend(of_day.iter().map(|&(_, row)| tick[row as usize]));
                for (column, codes) in rows.codes.iter_mut().zip(codes) {
                    column.extend(of_day.iter().map(|&(_, row)| codes[row as usize]));
                }
                let is_full = rows.ordinal.len() >= FILE_ROWS;
                gathered.bytes += of_day.len() * bytes_per_row;
                if is_full {
                    full.extend(gathered.take(day, bytes_per_row));
                }
            }
            while gathered.bytes > self.limit_bytes {
                let Some(largest) = gathered.largest() else { break };
                full.extend(gathered.take(largest, bytes_per_row));
            }
        }
        full.into_iter().try_for_each(|(number, rows, overrides)| self.write(number, rows, overrides))
    }

    /// Writes what is left and places the folder. Files in the order of their names.
    pub fn finish(self) -> Result<Vec<LogFile>, StateError> {
        use rayon::prelude::*;
        let mut left = Vec::new();
        {
            let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
            let mut few: [Rows; 2] = Default::default();
            for ((overrides, _), rows) in std::mem::take(&mut gathered.days) {
                let shared = &mut few[usize::from(overrides)];
                if rows.ordinal.len() >= FEW_ROWS {
                    left.push((gathered.begin_file(), rows, overrides));
                } else {
                    shared.append(rows);
                    if shared.ordinal.len() >= FILE_ROWS {
                        left.push((gathered.begin_file(), std::mem::take(shared), overrides));
                    }
                }
            }
            for (rows, overrides) in few.into_iter().zip([false, true]) {
                if !rows.ordinal.is_empty() {
                    left.push((gathered.begin_file(), rows, overrides));
                }
            }
        }
        left.into_par_iter().try_for_each(|(number, rows, overrides)| self.write(number, rows, overrides))?;
        let mut files = self.gathered.into_inner().unwrap_or_else(PoisonError::into_inner).files;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        self.folder.finish(Manifest { command: "score --state".to_owned(), ..Manifest::default() })?;
        Ok(files)
    }

    fn write(&self, number: usize, rows: Rows, overrides: bool) -> Result<(), StateError> {
        let (Some(&from_tick), Some(&to_tick)) = (rows.tick.iter().min(), rows.tick.iter().max()) else {
            return Ok(());
        };
        let file = format!("{number:06}.parquet");
        let count = rows.ordinal.len() as u64;
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(UInt32Array::from(rows.ordinal)), Arc::new(Int32Array::from(rows.tick))];
        columns.extend(rows.codes.into_iter().map(|codes| Arc::new(UInt16Array::from(codes)) as ArrayRef));
        let batch = RecordBatch::try_new(Arc::clone(&self.spec.schema), columns)
            .map_err(|error| WriteError::parquet(Path::new(&file), error.into()))?;
        let mut part = self.folder.part_writer(&file, &self.spec)?;
        part.write(&batch)?;
        let blake3 = part.close()?.blake3;
        let path = format!("{}/{file}", self.name);
        let file = LogFile { path, rows: count, blake3, from_tick, to_tick, overrides };
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner).files.push(file);
        Ok(())
    }
}

impl Gathered {
    fn begin_file(&mut self) -> usize {
        self.files_begun += 1;
        self.files_begun
    }

    fn take(&mut self, day: (bool, i32), bytes_per_row: usize) -> Option<(usize, Rows, bool)> {
        let rows = self.days.remove(&day)?;
        self.bytes = self.bytes.saturating_sub(rows.ordinal.len() * bytes_per_row);
        Some((self.begin_file(), rows, day.0))
    }

    fn largest(&self) -> Option<(bool, i32)> {
        self.days.iter().max_by_key(|(_, rows)| rows.ordinal.len()).map(|(day, _)| *day)
    }
}

/// Columns of a log file.
pub fn schema(channels: usize) -> SchemaRef {
    let mut fields = vec![Field::new(ORDINAL, DataType::UInt32, false), Field::new(TICK, DataType::Int32, false)];
    fields.extend((0..channels).map(|channel| Field::new(format!("code_{channel}"), DataType::UInt16, false)));
    Arc::new(Schema::new(fields))
}
