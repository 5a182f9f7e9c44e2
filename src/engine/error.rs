//! Why a run ended without a result.

use crate::backend::BackendError;
use crate::fleet::writer::WriteError;
use crate::run::Interrupted;
use crate::score::slots::TooManySlots;

/// Any failure of a command of the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Slots(#[from] TooManySlots),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// `--keep` names an attribute that the vehicles table lacks.
    #[error("no attribute {name:?} to keep; the dataset's vehicles have: {}", known.join(", "))]
    UnknownAttribute { name: String, known: Vec<String> },
    /// No record and no as-of day: nothing to score.
    #[error("the histories hold no dated record, so there is no latest day; give one with --as-of, or check the files")]
    NoRecords,
    #[error("cannot start {threads} threads: {problem}")]
    Threads { threads: usize, problem: String },
    /// A promise of the program itself is broken: a bug.
    #[error("internal: {what}; please report this")]
    Internal { what: String },
}
