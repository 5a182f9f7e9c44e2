//! The one home of exit codes and hints: which error ends the process how, and what to do about it.

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Mutex;

use crate::backend::BackendError;
use crate::run::Interrupted;

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
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    #[error("cannot listen for signals")]
    Signals { source: std::io::Error },
    #[error("internal error: {message}")]
    Panicked { message: String },
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
        CliError::Backend(error) => of_backend(error),
        CliError::Interrupted(_) => Exit::Interrupted,
        CliError::Signals { .. } | CliError::Panicked { .. } => Exit::Internal,
    }
}

fn of_backend(error: &BackendError) -> Exit {
    match error {
        BackendError::NoDevice { .. }
        | BackendError::Lost { .. }
        | BackendError::Refused { .. }
        | BackendError::Timeout { .. } => Exit::Device,
        BackendError::OutOfMemory { .. } => Exit::Limit,
        BackendError::Gate(_) => Exit::Internal,
    }
}

/// What to do about an error, where the error does not say so itself.
pub fn hint(error: &CliError) -> Option<String> {
    let text = match error {
        CliError::Backend(BackendError::NoDevice { .. }) => {
            "`fleetwear devices` lists the adapters; `--backend cpu` gives the same result without one"
        }
        CliError::Backend(BackendError::Gate(_)) => {
            "this is a mistake in fleetwear, not in your data: please report it with the command and the message above"
        }
        CliError::Backend(_) => "`--backend cpu` gives the same result without the device",
        CliError::Panicked { .. } => {
            "this is a mistake in fleetwear, not in your data: please report it with the command and the message above"
        }
        CliError::Interrupted(_) | CliError::Signals { .. } => return None,
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
