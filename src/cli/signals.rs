//! Ctrl-C and SIGTERM ask the run to stop at its next check; a second one ends the process at once. Commands that
//! leave nothing to clean up end at the first.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::exit::{CliError, Exit};
use crate::run::Stop;

static STOP: LazyLock<Stop> = LazyLock::new(Stop::default);
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// From here on signals end the process at once, with their exit code: for commands that make nothing, and that may
/// wait for a driver or a file system which asks no flag.
pub fn end_at_once() -> Result<(), CliError> {
    let always = Arc::new(AtomicBool::new(true));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&always))
            .map_err(|source| CliError::Signals { source })?;
    }
    Ok(())
}

/// From here on signals raise the flag instead of killing the process.
pub fn listen() -> Result<(), CliError> {
    for signal in [SIGINT, SIGTERM] {
        // Handlers run in the order of registration: the first signal finds the flag down and raises it, the second
        // finds it raised and ends the process.
        flag::register_conditional_shutdown(signal, 128 + signal, STOP.flag())
            .and_then(|_| flag::register_usize(signal, Arc::clone(&SIGNAL), signal as usize))
            .and_then(|_| flag::register(signal, STOP.flag()))
            .map_err(|source| CliError::Signals { source })?;
    }
    Ok(())
}

/// The flag that a run watches.
pub fn stop() -> &'static Stop {
    &STOP
}

/// The exit code of the signal that came, if one came.
pub fn exit_code() -> Option<Exit> {
    match SIGNAL.load(Ordering::Relaxed) as i32 {
        SIGINT => Some(Exit::Interrupted),
        SIGTERM => Some(Exit::Terminated),
        _ => None,
    }
}
