//! Why a state cannot be used or kept, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::fleet::error::FleetError;
use crate::fleet::writer::WriteError;
use crate::run::Interrupted;

/// Any failure of the state folder. Nothing of the state was changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A live run holds the state's lock, or another run committed to it meanwhile.
    #[error("state {path:?} is in use by another run: wait for it to end and run again")]
    InUse { path: PathBuf },
    #[error("{path:?} is not a state folder: it holds {found:?}; name a new or empty folder")]
    Foreign { path: PathBuf, found: String },
    #[error(
        "state {path:?} was written by version {got} of its format, this program reads version {expected}; rebuild it with --rebuild-state"
    )]
    Version { path: PathBuf, got: u32, expected: u32 },
    #[error("state file {path:?} is damaged: {problem}; rebuild the state with --rebuild-state")]
    Damaged { path: PathBuf, problem: String },
    /// The state was made from something else than what tonight's run is given.
    #[error(
        "the state was made with another {what} ({stored}, now {now}): give the one it was made with, or rebuild it with --rebuild-state"
    )]
    OtherInput { what: &'static str, stored: String, now: String },
    #[error(
        "history files have changed since the state took their rows, and no file has their former content: {}; restore them, or rebuild the state from the files as they are with --rebuild-state",
        names(files, files.len())
    )]
    FilesChanged { files: Vec<String> },
    #[error(
        "history files had rows after the as-of day of the night that read them, are needed again and are gone: {}; restore them, or rebuild the state from the files that are there with --rebuild-state",
        names(files, files.len())
    )]
    FilesNeeded { files: Vec<String> },
    #[error(
        "as-of {now} is before the state's own {stored}: a state only goes forward; give a later day, or another state folder"
    )]
    AsOfBack { stored: String, now: String },
    /// Some vehicles have to be formed anew, and the files that hold their records are not there any more.
    #[error(
        "{vehicles} vehicles have to be formed anew from histories that are gone; vehicles: {}; files: {}; restore the files, or rebuild the state from the files that are there with --rebuild-state",
        names(example_vehicles, *vehicles),
        names(files, files.len())
    )]
    HistoriesGone { vehicles: usize, example_vehicles: Vec<String>, files: Vec<String> },
    #[error("cannot {action} {path:?}")]
    Io { path: PathBuf, action: &'static str, source: io::Error },
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Why stock cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum StockError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

impl From<StateError> for FleetError {
    /// As from a consumer of a scan, which reading and writing packed records is.
    fn from(error: StateError) -> Self {
        Self::Sink(Box::new(error))
    }
}

/// The first few of many names.
fn names(names: &[String], all: usize) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if all > names.len().min(SHOWN) { format!("{shown} and {} more", all - names.len().min(SHOWN)) } else { shown }
}

impl StateError {
    pub(crate) fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), action, source }
    }

    pub(crate) fn damaged(path: &Path, problem: impl ToString) -> Self {
        Self::Damaged { path: path.to_path_buf(), problem: problem.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_cut() {
        let vehicles: Vec<String> = (0..7).map(|vehicle| format!("V{vehicle}")).collect();
        let error =
            StateError::HistoriesGone { vehicles: 9, example_vehicles: vehicles, files: vec!["a.parquet".into()] };
        let text = error.to_string();
        assert!(text.contains("9 vehicles") && text.contains("V4 and 4 more; files: a.parquet;"), "{text}");
    }
}
