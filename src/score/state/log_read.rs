//! The log of packed records: finding rows in it.
//!
//! The two key columns of every file in the wanted stretch of time are read first, and codes only of the rows that
//! somebody wants. Where a later night replaced a row, the latest replacement counts and the row itself does not.
//!
//! Chunks that come from the log carry ordinals where the reader's carry vehicle indices.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, UInt16Type, UInt32Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use rayon::prelude::*;

use super::error::StateError;
use super::log_write::schema;
use super::record::LogFile;
use crate::fleet::chunk::Chunk;
use crate::fleet::scan::SinkError;
use crate::run::Control;

const BATCH_ROWS: usize = 1 << 16;

/// Takes rows that were found, on the thread of this number.
pub type TakeRows<'a> = dyn Fn(usize, &Chunk) -> Result<(), SinkError> + Sync + 'a;

/// The log of one generation.
pub struct LogReader<'a> {
    folder: &'a Path,
    files: &'a [LogFile],
    channels: usize,
    covered_from_tick: i32,
    /// Row of `replaced` by (ordinal, tick).
    row_of_replaced: HashMap<(u32, i32), u32>,
    replaced: Chunk,
}

impl<'a> LogReader<'a> {
    /// `folder` is the state's; `files` in the order in which they were written.
    pub fn open(
        folder: &'a Path,
        files: &'a [LogFile],
        channels: usize,
        covered_from_tick: i32,
    ) -> Result<Self, StateError> {
        let mut reader = Self {
            folder,
            files,
            channels,
            covered_from_tick,
            row_of_replaced: HashMap::new(),
            replaced: Chunk { codes: vec![Vec::new(); channels], ..Chunk::default() },
        };
        for file in files.iter().filter(|file| file.overrides) {
            let Some(rows) = reader.matches(file, &|_, _| true)? else { continue };
            for row in 0..rows.len() {
                let next = reader.replaced.len() as u32;
                reader.row_of_replaced.insert((rows.vehicle[row], rows.tick[row]), next);
                reader.replaced.vehicle.push(rows.vehicle[row]);
                reader.replaced.tick.push(rows.tick[row]);
                for (column, codes) in reader.replaced.codes.iter_mut().zip(&rows.codes) {
                    column.push(codes[row]);
                }
            }
        }
        Ok(reader)
    }

    /// Rows that replaced others.
    pub fn overrides(&self) -> usize {
        self.row_of_replaced.len()
    }

    /// Finds the rows that are `wanted` (by ordinal and tick), all of which lie in the stretches `ticks` (first and
    /// last, both included). Runs on the current rayon pool; returns how many there are.
    pub fn find(
        &self,
        ticks: &[(i32, i32)],
        wanted: &(dyn Fn(u32, i32) -> bool + Sync),
        take: &TakeRows,
        control: &Control,
    ) -> Result<u64, SinkError> {
        let overlaps = |from: i32, to: i32| ticks.iter().any(|&(first, last)| first <= to && from <= last);
        let counts = |ordinal: u32, tick: i32| {
            wanted(ordinal, tick)
                && (self.row_of_replaced.is_empty() || !self.row_of_replaced.contains_key(&(ordinal, tick)))
        };
        let found: u64 = self
            .files
            .par_iter()
            .filter(|file| !file.overrides && overlaps(file.from_tick, file.to_tick))
            .map(|file| -> Result<u64, SinkError> {
                control.check()?;
                let Some(rows) = self.matches(file, &counts)? else { return Ok(0) };
                take(rayon::current_thread_index().unwrap_or(0), &rows)?;
                Ok(rows.len() as u64)
            })
            .try_reduce(|| 0, |a, b| Ok(a + b))?;
        let mut rows = Chunk { codes: vec![Vec::new(); self.channels], ..Chunk::default() };
        for (&(ordinal, tick), &row) in &self.row_of_replaced {
            if wanted(ordinal, tick) {
                rows.vehicle.push(ordinal);
                rows.tick.push(tick);
                for (column, codes) in rows.codes.iter_mut().zip(&self.replaced.codes) {
                    column.push(codes[row as usize]);
                }
            }
        }
        if !rows.is_empty() {
            take(0, &rows)?;
        }
        Ok(found + rows.len() as u64)
    }

    /// The wanted rows of one file.
    fn matches(&self, file: &LogFile, wanted: &dyn Fn(u32, i32) -> bool) -> Result<Option<Chunk>, StateError> {
        let path = self.folder.join(&file.path);
        let open = Opened::new(path, self.channels)?;
        let mut rows = Chunk::default();
        let mut selectors: Vec<RowSelector> = Vec::new();
        for batch in open.columns(&[0, 1], None)? {
            let batch = batch.map_err(|error| StateError::damaged(&open.path, error))?;
            let ordinals = batch.column(0).as_primitive::<UInt32Type>().values();
            let ticks = batch.column(1).as_primitive::<Int32Type>().values();
            for (&ordinal, &tick) in ordinals.iter().zip(ticks) {
                let found = tick >= self.covered_from_tick && wanted(ordinal, tick);
                if found {
                    rows.vehicle.push(ordinal);
                    rows.tick.push(tick);
                }
                match selectors.last_mut() {
                    Some(last) if last.skip != found => last.row_count += 1,
                    _ => selectors.push(if found { RowSelector::select(1) } else { RowSelector::skip(1) }),
                }
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        rows.codes = vec![Vec::with_capacity(rows.len()); self.channels];
        let code_columns: Vec<usize> = (2..2 + self.channels).collect();
        for batch in open.columns(&code_columns, Some(selectors.into()))? {
            let batch = batch.map_err(|error| StateError::damaged(&open.path, error))?;
            for (column, codes) in rows.codes.iter_mut().zip(batch.columns()) {
                column.extend_from_slice(codes.as_primitive::<UInt16Type>().values());
            }
        }
        if rows.codes.iter().any(|column| column.len() != rows.len()) {
            return Err(StateError::damaged(&open.path, "its columns differ in length"));
        }
        Ok(Some(rows))
    }
}

/// A log file with its footer read.
struct Opened {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
}

impl Opened {
    fn new(path: PathBuf, channels: usize) -> Result<Self, StateError> {
        let file = File::open(&path).map_err(|error| StateError::damaged(&path, error))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default())
            .map_err(|error| StateError::damaged(&path, error))?;
        let expected = schema(channels);
        let types = |fields: &arrow::datatypes::Fields| -> Vec<_> {
            fields.iter().map(|field| (field.name().clone(), field.data_type().clone(), field.is_nullable())).collect()
        };
        if types(metadata.schema().fields()) != types(expected.fields()) {
            return Err(StateError::damaged(&path, "its columns are not those of a log"));
        }
        Ok(Self { path, file, metadata })
    }

    fn columns(
        &self,
        columns: &[usize],
        selection: Option<RowSelection>,
    ) -> Result<ParquetRecordBatchReader, StateError> {
        let file = self.file.try_clone().map_err(|error| StateError::io(&self.path, "open", error))?;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        builder = builder.with_projection(mask).with_batch_size(BATCH_ROWS);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        builder.build().map_err(|error| StateError::damaged(&self.path, error))
    }
}
