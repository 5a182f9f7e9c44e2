//! Why a result could not be written. Every variant names the path; after any of them nothing is left behind.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The target holds something already: at the start, or when another run committed first.
    #[error("output folder {path:?} exists and is not empty: name a new folder or remove this one")]
    Conflict { path: PathBuf },
    /// A live run holds the target's lock.
    #[error("output folder {path:?} is being written by another run: wait for it or name another folder")]
    InUse { path: PathBuf },
    #[error("output path {path:?} cannot be used: {problem}")]
    InvalidPath { path: PathBuf, problem: &'static str },
    /// Disk, quota or file size limit.
    #[error("no room to write {path:?}: free some space or name a folder on another disk")]
    Full { path: PathBuf, source: io::Error },
    #[error("cannot {action} {path:?}")]
    Io { path: PathBuf, action: &'static str, source: io::Error },
    #[error("cannot encode {path:?} as Parquet")]
    Parquet { path: PathBuf, source: ParquetError },
    #[error("table {table:?} has no column {column:?} to sort or encode by")]
    NoColumn { table: String, column: String },
    #[error("cannot encode {path:?} as JSON")]
    Json { path: PathBuf, source: serde_json::Error },
    /// A hasher was appended where its rows do not begin on a block boundary.
    #[error("content hash: {rows} rows before an appended range, which is no multiple of {block_rows}")]
    Misaligned { rows: u64, block_rows: u64 },
    #[error("content hash: rows of type {got}, expected {expected}")]
    OtherSchema { got: String, expected: String },
    #[error("content hash: column {column:?} has type {data_type}, which has no canonical form yet")]
    UnhashableType { column: String, data_type: String },
}

impl WriteError {
    /// Sorts an I/O error by what the user can do about it.
    pub(crate) fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { path, source }
            }
            _ => Self::Io { path, action, source },
        }
    }

    /// The Parquet writer wraps the file's I/O errors; this unwraps them.
    pub(crate) fn parquet(path: &Path, source: ParquetError) -> Self {
        match source {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(io_error) => Self::io(path, "write", *io_error),
                Err(other) => Self::Parquet { path: path.to_path_buf(), source: ParquetError::External(other) },
            },
            source => Self::Parquet { path: path.to_path_buf(), source },
        }
    }
}
