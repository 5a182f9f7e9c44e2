//! Why a table of lives could not be read or fitted: the file, the row and the column, and what was expected there.

use std::io;
use std::path::PathBuf;

use crate::fleet::writer::WriteError;
use crate::run::Interrupted;

#[derive(Debug, thiserror::Error)]
pub enum LivesError {
    #[error("cannot read {file:?}")]
    Io { file: PathBuf, source: io::Error },
    #[error("{file:?} has {bytes} bytes; a table of lives may have {limit}: say it with counts, or take `--data`")]
    TooLarge { file: PathBuf, bytes: u64, limit: u64 },
    /// Neither text nor a workbook nor Parquet, or damaged.
    #[error("{file:?}: {problem}")]
    Unreadable { file: PathBuf, problem: String },
    /// A cell or a row that stops the reading.
    #[error("{file:?}, {row_word} {row}: {problem}")]
    Row { file: PathBuf, row_word: &'static str, row: u64, problem: String },
    #[error("{file:?}, {row_word} {row}, column {column:?}: {problem}")]
    Cell { file: PathBuf, row_word: &'static str, row: u64, column: String, problem: String },
    /// An option names a column that is not there.
    #[error("{file:?}: {option} names column {column:?}, which is not there{}; it has {known}", did_you_mean(.nearest))]
    NoColumn { file: PathBuf, option: &'static str, column: String, nearest: Option<String>, known: String },
    /// No option names the column and none is called like one.
    #[error("{file:?}: no column is called like {what}; say {option} NAME. It has {known}")]
    NotFound { file: PathBuf, what: &'static str, option: &'static str, known: String },
    #[error("{file:?}: {first} and {second} both name column {column:?}")]
    Twice { file: PathBuf, first: &'static str, second: &'static str, column: String },
    #[error("{file:?}: no row holds a life: {reasons}")]
    NoLives { file: PathBuf, reasons: String },
    #[error("{option}: {problem}")]
    Option { option: &'static str, problem: String },
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default()
}
