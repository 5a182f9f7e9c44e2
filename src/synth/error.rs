//! Why a fleet could not be made.

use crate::fleet::writer::WriteError;
use crate::model::error::ModelError;
use crate::run::Interrupted;

#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    #[error("{option} is {got}, allowed is {limit}")]
    Option { option: &'static str, got: String, limit: String },
    #[error("no climate zone {zone:?}; there are {known}")]
    UnknownZone { zone: String, known: String },
    #[error("climate normals, line {line}: {problem}")]
    Climate { line: usize, problem: String },
    #[error("model {model:?} reads channel {channel:?}, which a synthetic fleet does not record")]
    NoChannel { model: String, channel: String },
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("cannot lay out table {table:?}")]
    Table { table: &'static str, source: arrow::error::ArrowError },
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}
