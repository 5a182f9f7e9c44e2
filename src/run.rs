//! A run's cancellation and its messages: the library is silent, it emits [`Event`]s and whoever started it listens.

use std::sync::atomic::{AtomicBool, Ordering};

/// What a run tells whoever listens.
#[derive(Clone, Debug)]
pub enum Event {
    /// A stage began, e.g. "read"; `total_rows` where it is known.
    Stage { name: &'static str, total_rows: Option<u64> },
    /// This many more rows are done.
    Rows(u64),
    /// Something the user should know that did not stop the run.
    Warning(String),
}

/// The run was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Handed down to every long loop.
pub struct Control<'a> {
    cancelled: &'a AtomicBool,
    listener: &'a (dyn Fn(Event) + Sync),
}

impl<'a> Control<'a> {
    pub fn new(cancelled: &'a AtomicBool, listener: &'a (dyn Fn(Event) + Sync)) -> Self {
        Self { cancelled, listener }
    }

    /// A run nobody listens to and nobody stops.
    pub fn silent() -> Control<'static> {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Control { cancelled: &NEVER, listener: &|_| {} }
    }

    /// The same cancellation, with nobody listening: for a part of a run that has messages of its own.
    pub fn unheard(&self) -> Control<'a> {
        Control { cancelled: self.cancelled, listener: &|_| {} }
    }

    /// Called at least once per chunk of work, so that a run stops within seconds.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
    }

    pub fn emit(&self, event: Event) {
        (self.listener)(event);
    }
}
