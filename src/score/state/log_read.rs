//! The log of packed records: finding rows in it.
//!
//! The two key columns of every file in the wanted stretch of time are read first, and codes only of the rows that
//! somebody wants. A file is hashed before it is read: a flipped bit must not become somebody's score. Where a later night replaced a row, the latest replacement counts and the row itself does not.
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

use super::log_write::schema;
use super::record::LogFile;
use crate::fleet::chunk::Chunk;
use crate::fleet::scan::SinkError;
use crate::fleet::state::error::StateError;
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
        let open = Opened::new(path, &file.blake3, self.channels)?;
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

/// BLAKE3 of a file, hex.
fn hash(path: &Path) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// A log file with its footer read.
struct Opened {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
}

impl Opened {
    fn new(path: PathBuf, blake3: &str, channels: usize) -> Result<Self, StateError> {
        if hash(&path).map_err(|error| StateError::damaged(&path, error))? != blake3 {
            return Err(StateError::damaged(&path, "its content is not what was written"));
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::log_write::LogWriter;
    use super::*;
    use crate::fleet::time::TimeAxis;

    type Row = (u32, i32, u16, u16);

    fn push(log: &LogWriter, rows: &[Row], overrides: bool) {
        let ordinal: Vec<u32> = rows.iter().map(|row| row.0).collect();
        let tick: Vec<i32> = rows.iter().map(|row| row.1).collect();
        let codes = [rows.iter().map(|row| row.2).collect(), rows.iter().map(|row| row.3).collect()];
        log.push(&ordinal, &tick, &codes, overrides).unwrap();
    }

    /// Two nights: rows of many days, then one new row and two that replace.
    fn two_nights(folder: &Path, limit_bytes: usize) -> Vec<LogFile> {
        let first = LogWriter::create(folder, 1, TimeAxis::Days, 10, 2, limit_bytes).unwrap();
        for vehicle in 0..50 {
            let rows: Vec<Row> = (5..200).map(|day| (vehicle, day, day as u16, vehicle as u16)).collect();
            push(&first, &rows, false);
        }
        let mut files = first.finish().unwrap();
        assert!(files.iter().all(|file| file.from_tick >= 10), "what is older is not kept");
        let second = LogWriter::create(folder, 2, TimeAxis::Days, 10, 2, limit_bytes).unwrap();
        push(&second, &[(50, 30, 1, 1)], false);
        push(&second, &[(7, 30, 0, 7), (8, 31, 0, 8)], true);
        files.extend(second.finish().unwrap());
        files
    }

    fn find(folder: &Path, files: &[LogFile], ticks: &[(i32, i32)], wanted: fn(u32, i32) -> bool) -> Vec<Row> {
        let log = LogReader::open(folder, files, 2, 10).unwrap();
        let found = Mutex::new(Vec::new());
        let take = |_: usize, rows: &Chunk| -> Result<(), SinkError> {
            let row = |row: usize| (rows.vehicle[row], rows.tick[row], rows.codes[0][row], rows.codes[1][row]);
            found.lock().unwrap().extend((0..rows.len()).map(row));
            Ok(())
        };
        let count = log.find(ticks, &wanted, &take, &Control::silent()).unwrap();
        let mut found = found.into_inner().unwrap();
        assert_eq!(count, found.len() as u64);
        found.sort_unstable();
        found
    }

    #[test]
    fn rows_are_found_once_and_replacements_count() {
        for limit_bytes in [1 << 20, 4000] {
            let folder = tempfile::tempdir().unwrap();
            let files = two_nights(folder.path(), limit_bytes);
            let found =
                find(folder.path(), &files, &[(30, 31)], |vehicle, tick| vehicle > 5 && (30..=31).contains(&tick));
            assert_eq!(found.len(), 44 * 2 + 1);
            assert_eq!(found[..4], [(6, 30, 30, 6), (6, 31, 31, 6), (7, 30, 0, 7), (7, 31, 31, 7)]);
            assert!(found.contains(&(8, 31, 0, 8)) && found.contains(&(50, 30, 1, 1)));
            let every = find(folder.path(), &files, &[(0, 300)], |_, _| true);
            assert_eq!(every.len(), 50 * 190 + 1);
            assert_eq!(find(folder.path(), &files, &[(0, 9)], |_, tick| tick < 10), []);
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let files = two_nights(folder.path(), 1 << 20);
        let path = folder.path().join(&files[0].path);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let log = LogReader::open(folder.path(), &files, 2, 10).unwrap();
        let error = log.find(&[(0, 300)], &|_, _| true, &|_, _| Ok(()), &Control::silent()).unwrap_err();
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
}
