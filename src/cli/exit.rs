//! The one home of exit codes and hints: which error ends the process how, and what to do about it.

use std::error::Error;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use super::bench::recipe::RecipeError;
use super::worst::WorstError;
use crate::backend::BackendError;
use crate::backtest::BacktestError;
use crate::discover::error::DiscoverError;
use crate::engine::EngineError;
use crate::fit::history::HistoryFitError;
use crate::fit::lives::LivesError;
use crate::fleet::error::FleetError;
use crate::fleet::state::error::StateError;
use crate::fleet::writer::WriteError;
use crate::model::error::ModelError;
use crate::recall::RecallError;
use crate::run::Interrupted;
use crate::simulate::error::SimulateError;
use crate::synth::SynthError;

/// How the process may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    /// A mistake of ours.
    Internal = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// A configuration or model is invalid.
    Config = 3,
    /// An input is unreadable or violates the contract.
    Input = 4,
    /// Finished, but more bad rows than `--max-bad`.
    BadRows = 5,
    /// The output's place is taken or cannot be written.
    Conflict = 6,
    /// A device is required but not there, or was lost.
    Device = 7,
    /// Memory, disk or another limit.
    Limit = 8,
    /// `verify` found a difference.
    Verification = 9,
    /// Ctrl-C, after a clean stop: 128 + SIGINT.
    Interrupted = 130,
    /// SIGTERM, after a clean stop: 128 + SIGTERM.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Whatever stopped a command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Options that contradict each other.
    #[error("{problem}")]
    Usage { problem: String },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Synth(#[from] SynthError),
    #[error(transparent)]
    Lives(#[from] LivesError),
    #[error(transparent)]
    Recall(#[from] RecallError),
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    Worst(#[from] WorstError),
    #[error("cannot write {path:?}")]
    Export { path: PathBuf, source: io::Error },
    #[error("cannot write to stdout")]
    Unwritten { source: io::Error },
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    #[error("cannot listen for signals")]
    Signals { source: io::Error },
    #[error("internal error: {message}")]
    Panicked { message: String },
}

/// Options that contradict each other.
pub fn usage(problem: String) -> CliError {
    CliError::Usage { problem }
}

impl CliError {
    /// Whether the run stopped because it was asked to.
    pub fn is_interruption(&self) -> bool {
        of(self) == Exit::Interrupted
    }
}

/// The exit code of an error.
pub fn of(error: &CliError) -> Exit {
    match error {
        CliError::Usage { .. } => Exit::Usage,
        CliError::Engine(error) => of_engine(error),
        CliError::Fleet(error) => of_fleet(error),
        CliError::Model(error) => of_model(error),
        CliError::Backend(error) => of_backend(error),
        CliError::Synth(error) => of_synth(error),
        CliError::Lives(error) => of_lives(error),
        CliError::Recall(error) => of_recall(error),
        CliError::Recipe(RecipeError::Io { source, .. })
        | CliError::Export { source, .. }
        | CliError::Unwritten { source } => of_writing(source),
        CliError::Worst(_) => Exit::Input,
        CliError::Recipe(RecipeError::Parquet { .. }) => Exit::Input,
        CliError::Recipe(RecipeError::Write(error)) => of_write(error),
        CliError::Recipe(RecipeError::Interrupted(_)) | CliError::Interrupted(_) => Exit::Interrupted,
        CliError::Signals { .. } | CliError::Panicked { .. } => Exit::Internal,
    }
}

fn of_engine(error: &EngineError) -> Exit {
    match error {
        EngineError::Fleet(error) => of_fleet(error),
        EngineError::Model(error) => of_model(error),
        EngineError::Backend(error) => of_backend(error),
        EngineError::Write(error) => of_write(error),
        EngineError::State(error) => of_state(error),
        EngineError::Slots(_) | EngineError::Threads { .. } => Exit::Limit,
        EngineError::Simulate(error) => of_simulate(error),
        EngineError::Fit(error) => of_history_fit(error),
        EngineError::Backtest(error) => of_backtest(error),
        EngineError::AtCut { source, .. } => of_engine(source),
        EngineError::Discover(error) => of_discover(error),
        EngineError::Recall(error) => of_recall(error),
        EngineError::Interrupted(_) => Exit::Interrupted,
        EngineError::UnknownAttribute { .. } | EngineError::ColumnTwice { .. } | EngineError::Monitor(_) => {
            Exit::Config
        }
        EngineError::NoRecords => Exit::Input,
        EngineError::UnknownVehicle { .. } | EngineError::AsOf { .. } => Exit::Usage,
        EngineError::Internal { .. } => Exit::Internal,
    }
}

fn of_simulate(error: &SimulateError) -> Exit {
    match error {
        SimulateError::UnknownGroup { .. }
        | SimulateError::UnknownChannel { .. }
        | SimulateError::UnusedChannel { .. }
        | SimulateError::NoCalendar
        | SimulateError::NoReportDays
        | SimulateError::Law(_) => Exit::Config,
        SimulateError::Option { .. } | SimulateError::FalseAlarms { .. } => Exit::Usage,
        SimulateError::TooManyGroups { .. } | SimulateError::TooManyCohorts { .. } => Exit::Limit,
        SimulateError::Model(error) => of_model(error),
        SimulateError::Backend(error) => of_backend(error),
    }
}

fn of_backtest(error: &BacktestError) -> Exit {
    match error {
        BacktestError::Option { .. }
        | BacktestError::FromAfterTo { .. }
        | BacktestError::MonthsWithoutCalendar
        | BacktestError::TooManyCuts { .. }
        | BacktestError::FollowUp { .. }
        | BacktestError::SplitWithoutFit { .. } => Exit::Usage,
        BacktestError::NoEvents | BacktestError::NoFailures | BacktestError::NoReplacements => Exit::Config,
    }
}

fn of_history_fit(error: &HistoryFitError) -> Exit {
    match error {
        HistoryFitError::NothingFree { .. }
        | HistoryFitError::NoEvents
        | HistoryFitError::NoFailures
        | HistoryFitError::OtherPositions { .. } => Exit::Config,
        HistoryFitError::UnknownMode { .. } | HistoryFitError::Option { .. } => Exit::Usage,
        HistoryFitError::TooMany { .. } | HistoryFitError::TooManyRatios { .. } => Exit::Limit,
        HistoryFitError::Model(error) => of_model(error),
        HistoryFitError::Simulate(error) => of_simulate(error),
    }
}

fn of_discover(error: &DiscoverError) -> Exit {
    match error {
        DiscoverError::UnknownMode { .. }
        | DiscoverError::UnknownChannel { .. }
        | DiscoverError::UnknownAttribute { .. } => Exit::Usage,
        DiscoverError::TooFewChannels { .. } | DiscoverError::TooFewEvents { .. } => Exit::Input,
        DiscoverError::Model(error) => of_model(error),
        DiscoverError::Fit(error) => of_history_fit(error),
    }
}

fn of_state(error: &StateError) -> Exit {
    match error {
        StateError::InUse { .. } | StateError::Foreign { .. } => Exit::Conflict,
        StateError::Version { .. }
        | StateError::Damaged { .. }
        | StateError::OtherInput { .. }
        | StateError::FilesChanged { .. }
        | StateError::FilesNeeded { .. }
        | StateError::AsOfBack { .. }
        | StateError::HistoriesGone { .. } => Exit::Input,
        StateError::Io { source, .. } => of_writing(source),
        StateError::Write(error) => of_write(error),
        StateError::Interrupted(_) => Exit::Interrupted,
    }
}

fn of_fleet(error: &FleetError) -> Exit {
    match error {
        FleetError::Dictionary { .. } | FleetError::NoDictionary { .. } => Exit::Config,
        FleetError::MissingColumn { .. }
        | FleetError::WrongType { .. }
        | FleetError::MixedIds { .. }
        | FleetError::IdOutOfRange { .. }
        | FleetError::Lakehouse { .. }
        | FleetError::NoFiles { .. }
        | FleetError::BadPath { .. }
        | FleetError::Unreadable { .. }
        | FleetError::Changed { .. }
        | FleetError::PartitionValue { .. } => Exit::Input,
        FleetError::TooMany { .. } | FleetError::Memory { .. } => Exit::Limit,
        FleetError::Spill { source, .. } => of_writing(source),
        FleetError::Io { source, .. } if is_full(source) => Exit::Limit,
        FleetError::Io { .. } => Exit::Input,
        FleetError::Interrupted(_) => Exit::Interrupted,
        FleetError::Sink(error) => of_sink(error.as_ref()),
        FleetError::Internal { .. } => Exit::Internal,
    }
}

/// A consumer's error comes through the reader without its type.
fn of_sink(error: &(dyn Error + Send + Sync + 'static)) -> Exit {
    if let Some(error) = error.downcast_ref::<EngineError>() {
        of_engine(error)
    } else if let Some(error) = error.downcast_ref::<BackendError>() {
        of_backend(error)
    } else if let Some(error) = error.downcast_ref::<WriteError>() {
        of_write(error)
    } else {
        Exit::Internal
    }
}

/// Every fault of a model is the model's, also where its file is not there.
fn of_model(_: &ModelError) -> Exit {
    Exit::Config
}

fn of_backend(error: &BackendError) -> Exit {
    match error {
        BackendError::NoDevice { .. }
        | BackendError::Lost { .. }
        | BackendError::Refused { .. }
        | BackendError::Timeout { .. } => Exit::Device,
        BackendError::OutOfMemory { .. } => Exit::Limit,
        BackendError::Interrupted(_) => Exit::Interrupted,
        BackendError::Gate(_) | BackendError::SurvivalGate(_) | BackendError::CubeGate(_) => Exit::Internal,
    }
}

fn of_synth(error: &SynthError) -> Exit {
    match error {
        SynthError::Option { .. } | SynthError::UnknownZone { .. } => Exit::Usage,
        SynthError::NoChannel { .. } => Exit::Config,
        SynthError::Model(error) => of_model(error),
        SynthError::Write(error) => of_write(error),
        SynthError::Interrupted(_) => Exit::Interrupted,
        SynthError::Climate { .. } | SynthError::Table { .. } => Exit::Internal,
    }
}

fn of_lives(error: &LivesError) -> Exit {
    match error {
        LivesError::Io { .. }
        | LivesError::Unreadable { .. }
        | LivesError::Row { .. }
        | LivesError::Cell { .. }
        | LivesError::NoLives { .. } => Exit::Input,
        LivesError::TooLarge { .. } => Exit::Limit,
        LivesError::NoColumn { .. }
        | LivesError::NotFound { .. }
        | LivesError::Twice { .. }
        | LivesError::Option { .. } => Exit::Usage,
        LivesError::Write(error) => of_write(error),
        LivesError::Interrupted(_) => Exit::Interrupted,
    }
}

fn of_recall(error: &RecallError) -> Exit {
    match error {
        RecallError::Option { .. }
        | RecallError::Cohort { .. }
        | RecallError::NoAttribute { .. }
        | RecallError::UnknownDefect { .. } => Exit::Usage,
        RecallError::Economics { .. } => Exit::Config,
        RecallError::TooFewFailures { .. }
        | RecallError::NoFit { .. }
        | RecallError::NoReplicates { .. }
        | RecallError::Nobody { .. }
        | RecallError::NoIdColumn { .. } => Exit::Input,
        RecallError::Lives(error) => of_lives(error),
        RecallError::Write(error) => of_write(error),
        RecallError::Interrupted(_) => Exit::Interrupted,
    }
}

fn of_write(error: &WriteError) -> Exit {
    match error {
        WriteError::Conflict { .. } | WriteError::InUse { .. } | WriteError::InvalidPath { .. } => Exit::Conflict,
        WriteError::Full { .. } => Exit::Limit,
        WriteError::Io { source, .. } => of_writing(source),
        WriteError::Parquet { source, .. } => {
            source.source().and_then(|source| source.downcast_ref::<io::Error>()).map_or(Exit::Internal, of_writing)
        }
        WriteError::NoColumn { .. }
        | WriteError::Json { .. }
        | WriteError::Misaligned { .. }
        | WriteError::OtherSchema { .. }
        | WriteError::UnhashableType { .. } => Exit::Internal,
    }
}

fn of_writing(source: &io::Error) -> Exit {
    if is_full(source) { Exit::Limit } else { Exit::Conflict }
}

fn is_full(source: &io::Error) -> bool {
    matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// What to do about an error, where the error does not say so itself.
pub fn hint(error: &CliError) -> Option<String> {
    let text = match (error, of(error)) {
        (CliError::Panicked { .. }, _) => {
            "this is a mistake in fleetwear, not in your data: please report it with the command and the message above"
        }
        (CliError::Usage { .. } | CliError::Synth(_), Exit::Usage) => "`--help` after the command says what it takes",
        (_, Exit::Device) => {
            "`fleetwear devices` lists the adapters; `--backend cpu` gives the same result without one"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// Where the latest panic happened, as the hook saw it.
static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Runs `work`; a panic in it, on this thread or on one it waits for, becomes an error. Panics print nothing by
/// themselves: a reader may catch one (a decoder that trips over a malformed file) and go on.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, CliError>) -> Result<T, CliError> {
    panic::set_hook(Box::new(|details| {
        let message = match (details.payload().downcast_ref::<&str>(), details.payload().downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (None, Some(text)) => text.clone(),
            (None, None) => "a thread panicked".to_owned(),
        };
        // The scope that waited for a panicked thread repeats it without its place.
        if message == "a scoped thread panicked" {
            return;
        }
        let place = details.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
        if let Ok(mut last) = LAST_PANIC.lock() {
            *last = Some(message + &place.unwrap_or_default());
        }
    }));
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let last = LAST_PANIC.lock().ok().and_then(|mut last| last.take());
        Err(CliError::Panicked { message: last.unwrap_or_else(|| "a thread panicked".to_owned()) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_worker_is_an_internal_error_that_says_where() {
        let outcome = guarded(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| panic!("planted in a worker"));
            });
            Ok(())
        });
        let _ = panic::take_hook();
        let error = outcome.unwrap_err();
        assert_eq!(of(&error), Exit::Internal);
        let message = error.to_string();
        assert!(message.contains("planted in a worker at ") && message.contains("exit.rs:"), "{message}");
        assert!(hint(&error).unwrap().contains("report"));
    }
}
