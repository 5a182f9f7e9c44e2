//! One Parquet file of the histories: its footer, read within bounds, and ranges of its bytes.
//!
//! Every size that a footer states is checked against the file before anything is allocated or decoded for it, so
//! that a malformed file costs no more than its own length.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};

use super::error::FleetError;
use super::files::SourceFile;
use super::guard::guarded;
use super::scan::UnreadableFile;
use super::stamp::Stamp;

/// A larger footer would decode into hundreds of megabytes; a footer of a sane file is far below one.
pub const MAX_FOOTER_BYTES: u64 = 32 << 20;
/// Parquet's own limit on the row groups of an encrypted file; one more is no sane file.
pub const MAX_ROW_GROUPS: usize = 32_767;
pub const MAX_COLUMNS: usize = 10_000;
/// "PAR1" at both ends and the footer's length.
const SHELL_BYTES: u64 = 12;
const TAIL_BYTES: u64 = 8;

/// A file whose footer could be read.
#[derive(Clone, Debug)]
pub(crate) struct HistoryFile {
    pub source: SourceFile,
    pub stamp: Stamp,
    pub rows: u64,
    pub metadata: ArrowReaderMetadata,
}

/// What became of a file's footer.
#[derive(Clone, Debug)]
pub(crate) enum Footer {
    Read(HistoryFile),
    Unreadable(UnreadableFile, Stamp),
}

impl HistoryFile {
    /// Reads the footer. A malformed file is no error; one that the system does not hand out is.
    pub fn open(source: &SourceFile) -> Result<Footer, FleetError> {
        let path = &source.path;
        let ranged = RangedFile::open(path)?;
        let stamp = ranged.stamp;
        let mut rows = None;
        let parsed = guarded(|| parse(&ranged, &mut rows)).unwrap_or_else(Err);
        if let Some(source) = ranged.take_io_error() {
            return Err(FleetError::io(path, source));
        }
        Ok(match parsed {
            Ok((metadata, rows)) => Footer::Read(HistoryFile { source: source.clone(), stamp, rows, metadata }),
            Err(problem) => Footer::Unreadable(UnreadableFile { path: path.clone(), rows, problem }, stamp),
        })
    }

    /// Opens the file again to read a row group; it must still be the one whose footer was read.
    pub fn reopen(&self) -> Result<RangedFile, FleetError> {
        let ranged = RangedFile::open(&self.source.path)?;
        match ranged.stamp.is_as_written(&self.stamp) {
            true => Ok(ranged),
            false => Err(FleetError::Changed { file: self.source.path.clone() }),
        }
    }

    pub fn path(&self) -> &PathBuf {
        &self.source.path
    }

    /// Where the columns of a row group begin and end, all that there are.
    pub fn range_of(&self, row_group: usize) -> Range<u64> {
        let columns = self.metadata.metadata().row_groups().get(row_group).map(|row_group| row_group.columns());
        let ranges = columns.unwrap_or_default().iter().map(|column| column.byte_range());
        let whole = ranges.fold((u64::MAX, 0), |(from, to), (start, bytes)| (from.min(start), to.max(start + bytes)));
        whole.0..whole.1
    }
}

/// `rows` is set as soon as the metadata says it, so that it is known even if a later check fails.
fn parse(file: &RangedFile, rows: &mut Option<u64>) -> Result<(ArrowReaderMetadata, u64), String> {
    let bytes = file.stamp.bytes;
    if bytes < SHELL_BYTES {
        return Err(format!("{bytes} bytes are no Parquet file"));
    }
    let tail = file.get_bytes(bytes - TAIL_BYTES, TAIL_BYTES as usize).map_err(|error| error.to_string())?;
    let tail = FooterTail::try_from(tail.as_ref()).map_err(|error| error.to_string())?;
    if tail.is_encrypted_footer() {
        return Err("its footer is encrypted".to_string());
    }
    let footer_bytes = tail.metadata_length() as u64;
    if footer_bytes > bytes - SHELL_BYTES {
        return Err(format!("its footer claims {footer_bytes} bytes, the file has {bytes}"));
    }
    if footer_bytes > MAX_FOOTER_BYTES {
        return Err(format!("its footer has {footer_bytes} bytes, the limit is {MAX_FOOTER_BYTES}"));
    }
    let footer =
        file.get_bytes(bytes - TAIL_BYTES - footer_bytes, footer_bytes as usize).map_err(|error| error.to_string())?;
    let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(|error| error.to_string())?;
    let claimed = u64::try_from(metadata.file_metadata().num_rows())
        .map_err(|_| "its footer claims a negative number of rows".to_string())?;
    check_sizes(&metadata, claimed, bytes)?;
    *rows = Some(claimed);
    let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
        .map_err(|error| error.to_string())?;
    Ok((metadata, claimed))
}

fn check_sizes(metadata: &ParquetMetaData, claimed_rows: u64, file_bytes: u64) -> Result<(), String> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    if columns > MAX_COLUMNS {
        return Err(format!("it has {columns} columns, the limit is {MAX_COLUMNS}"));
    }
    let row_groups = metadata.num_row_groups();
    if row_groups > MAX_ROW_GROUPS {
        return Err(format!("it has {row_groups} row groups, the limit is {MAX_ROW_GROUPS}"));
    }
    let mut rows = 0_u64;
    for (index, row_group) in metadata.row_groups().iter().enumerate() {
        let held = u64::try_from(row_group.num_rows()).ok();
        rows = held.and_then(|held| rows.checked_add(held)).ok_or(format!("row group {index} has a bad row count"))?;
        check_ranges(row_group, file_bytes).map_err(|problem| format!("row group {index}: {problem}"))?;
    }
    match rows == claimed_rows {
        true => Ok(()),
        false => Err(format!("its footer claims {claimed_rows} rows, its row groups {rows}")),
    }
}

fn check_ranges(row_group: &RowGroupMetaData, file_bytes: u64) -> Result<(), String> {
    for column in row_group.columns() {
        let name = column.column_descr().name();
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        let end = start.checked_add(column.compressed_size());
        let inside = start >= 0
            && column.compressed_size() >= 0
            && end.and_then(|end| u64::try_from(end).ok()).is_some_and(|end| end <= file_bytes);
        if !inside {
            return Err(format!("the bytes of column {name:?} lie outside the file"));
        }
        // A flat column has one value, perhaps null, a row. A count beyond it would keep a decoder busy for nothing.
        let flat = column.column_descr().max_rep_level() == 0;
        if flat && column.num_values() != row_group.num_rows() {
            let values = column.num_values();
            return Err(format!("column {name:?} claims {values} values in {} rows", row_group.num_rows()));
        }
    }
    Ok(())
}

/// A file read at positions, so that threads do not share a cursor; ranges beyond its end are refused before
/// anything is allocated for them.
#[derive(Debug)]
pub(crate) struct RangedFile {
    file: Arc<File>,
    pub stamp: Stamp,
    io_error: Arc<Mutex<Option<io::Error>>>,
    held: Held,
}

/// Bytes of a file that are in memory, and where they begin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub start: u64,
    pub bytes: Bytes,
}

impl Held {
    /// The bytes from there on, none if they are not in memory.
    pub fn since(&self, start: u64) -> Bytes {
        let skipped = start.checked_sub(self.start).and_then(|skipped| usize::try_from(skipped).ok());
        match skipped {
            Some(skipped) if skipped < self.bytes.len() => self.bytes.slice(skipped..),
            _ => Bytes::new(),
        }
    }
}

impl RangedFile {
    pub fn open(path: &Path) -> Result<Self, FleetError> {
        let file = File::open(path).map_err(|source| FleetError::io(path, source))?;
        let metadata = file.metadata().map_err(|source| FleetError::io(path, source))?;
        Ok(Self {
            file: Arc::new(file),
            stamp: Stamp::from(&metadata),
            io_error: Arc::default(),
            held: Held::default(),
        })
    }

    /// Shares the open file with a decoder.
    pub fn share(&self) -> Self {
        Self { file: self.file.clone(), io_error: self.io_error.clone(), held: self.held.clone(), ..*self }
    }

    /// Reads a range that lies in the file, once: what is asked of it later comes from memory.
    pub fn hold(&mut self, range: Range<u64>) -> io::Result<()> {
        let bytes = range.end.saturating_sub(range.start);
        let mut held = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(range.start))?;
        file.take(bytes).read_to_end(&mut held)?;
        if (held.len() as u64) < bytes {
            return Err(became_shorter());
        }
        self.held = Held { start: range.start, bytes: held.into() };
        Ok(())
    }

    pub fn held(&self) -> &Held {
        &self.held
    }

    /// The system's own error, if it failed to hand out bytes that are there: not the file's fault.
    pub fn take_io_error(&self) -> Option<io::Error> {
        self.io_error.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }

    fn keep(&self, error: io::Error) -> ParquetError {
        let shown = ParquetError::General(error.to_string());
        *self.io_error.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(error);
        shown
    }
}

impl Length for RangedFile {
    fn len(&self) -> u64 {
        self.stamp.bytes
    }
}

impl ChunkReader for RangedFile {
    type T = BufReader<RangeRead>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        // Page headers are read this way, some hundred bytes each; the pages behind them come by `get_bytes`.
        const HEADER_BYTES: usize = 1 << 10;
        let held = self.held.since(start);
        Ok(BufReader::with_capacity(HEADER_BYTES, RangeRead { file: self.file.clone(), held, position: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let inside = start.checked_add(length as u64).is_some_and(|end| end <= self.stamp.bytes);
        if !inside {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} lie outside the file")));
        }
        let mut held = self.held.since(start);
        if length <= held.len() {
            return Ok(held.split_to(length));
        }
        let mut held = vec![0; length];
        read_exact_at(&self.file, &mut held, start).map_err(|error| self.keep(error))?;
        Ok(held.into())
    }
}

/// A cursor of its own over a shared file.
pub(crate) struct RangeRead {
    file: Arc<File>,
    /// What is in memory of what comes next.
    held: Bytes,
    position: u64,
}

impl Read for RangeRead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = match self.held.is_empty() {
            true => read_at(&self.file, into, self.position)?,
            false => {
                let read = into.len().min(self.held.len());
                self.held.copy_to_slice(&mut into[..read]);
                read
            }
        };
        self.position += read as u64;
        Ok(read)
    }
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, position)
}

#[cfg(windows)]
fn read_at(file: &File, into: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, position)
}

fn became_shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter")
}

fn read_exact_at(file: &File, mut into: &mut [u8], mut position: u64) -> io::Result<()> {
    while !into.is_empty() {
        match read_at(file, into, position) {
            Ok(0) => return Err(became_shorter()),
            Ok(read) => {
                into = &mut into[read..];
                position += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
