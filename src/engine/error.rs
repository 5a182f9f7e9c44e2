//! Why a run ended without a result.

use std::path::PathBuf;

use crate::backend::BackendError;
use crate::backtest::BacktestError;
use crate::discover::error::DiscoverError;
use crate::fit::history::HistoryFitError;
use crate::fleet::error::FleetError;
use crate::fleet::scan::SinkError;
use crate::fleet::state::error::{StateError, StockError};
use crate::fleet::writer::WriteError;
use crate::model::error::ModelError;
use crate::monitor::error::MonitorError;
use crate::recall::RecallError;
use crate::run::Interrupted;
use crate::score::slots::TooManySlots;
use crate::score::state::night::NightError;
use crate::simulate::error::SimulateError;

/// Any failure of a command of the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Fleet(FleetError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Slots(#[from] TooManySlots),
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    #[error(transparent)]
    Fit(#[from] HistoryFitError),
    #[error(transparent)]
    Backtest(#[from] BacktestError),
    /// What went wrong on one cut day of a back-test.
    #[error("as of {as_of}: {source}")]
    AtCut { as_of: String, source: Box<EngineError> },
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    #[error(transparent)]
    Recall(#[from] RecallError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// `--keep` names an attribute that the vehicles table lacks.
    #[error("no attribute {name:?} to keep; {}", known_attributes(known))]
    UnknownAttribute { name: String, known: Vec<String> },
    /// Two columns of the scores would have one name.
    #[error("{}: the scores have a column {column:?} of their own; {remedy}", dictionary.display())]
    ColumnTwice { dictionary: PathBuf, column: String, remedy: &'static str },
    /// No record and no as-of day: nothing to score.
    #[error(
        "the histories hold no dated record, so there is no latest day: check the files, or give a day with --as-of"
    )]
    NoRecords,
    /// A number where the dataset has dates.
    #[error(
        "day {day} as of which to score lies in no year that this dataset can hold: write a date, such as --as-of 2026-10-31"
    )]
    AsOf { day: i32 },
    #[error("no vehicle {id:?} in the dataset; ids are {kind}")]
    UnknownVehicle { id: String, kind: &'static str },
    #[error("cannot start {threads} threads: {problem}")]
    Threads { threads: usize, problem: String },
    /// A promise of the program itself is broken: a bug.
    #[error("internal: {what}; please report this")]
    Internal { what: String },
}

fn known_attributes(known: &[String]) -> String {
    if known.is_empty() {
        "the dataset has none: list them under [vehicles] attributes in dataset.toml".to_owned()
    } else {
        format!("the dataset has {}", known.join(", "))
    }
}

impl From<FleetError> for EngineError {
    fn from(error: FleetError) -> Self {
        match error {
            FleetError::Sink(error) => error.into(),
            FleetError::Interrupted(interrupted) => Self::Interrupted(interrupted),
            other => Self::Fleet(other),
        }
    }
}

impl From<StockError> for EngineError {
    fn from(error: StockError) -> Self {
        match error {
            StockError::State(error) => Self::State(error),
            StockError::Fleet(error) => error.into(),
        }
    }
}

impl From<NightError> for EngineError {
    fn from(error: NightError) -> Self {
        match error {
            NightError::State(error) => Self::State(error),
            NightError::Fleet(error) => error.into(),
            NightError::Backend(error) => Self::Backend(error),
            NightError::Sink(error) => error.into(),
        }
    }
}

impl From<SinkError> for EngineError {
    /// What our own consumers fail with.
    fn from(error: SinkError) -> Self {
        let error = match error.downcast::<BackendError>() {
            Ok(error) => return Self::Backend(*error),
            Err(other) => other,
        };
        let error = match error.downcast::<TooManySlots>() {
            Ok(error) => return Self::Slots(*error),
            Err(other) => other,
        };
        let error = match error.downcast::<SimulateError>() {
            Ok(error) => return Self::Simulate(*error),
            Err(other) => other,
        };
        let error = match error.downcast::<Interrupted>() {
            Ok(interrupted) => return Self::Interrupted(*interrupted),
            Err(other) => other,
        };
        let error = match error.downcast::<StateError>() {
            Ok(error) => return Self::State(*error),
            Err(other) => other,
        };
        match error.downcast::<FleetError>() {
            Ok(error) => (*error).into(),
            Err(other) => Self::Internal { what: other.to_string() },
        }
    }
}

impl From<arrow::error::ArrowError> for EngineError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Internal { what: format!("rows of the scores do not fit their schema: {error}") }
    }
}
