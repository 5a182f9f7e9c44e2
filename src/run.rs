//! A run's cancellation and its messages: the library is silent, it emits [`Event`]s and whoever started it listens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

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

/// What stops a run once it is raised, from any thread or signal handler. Clones are the same flag.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn check(&self) -> Result<(), Interrupted> {
        if self.0.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
    }

    /// For handlers that can do no more than raise it.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// Handed down to every long loop.
pub struct Control<'a> {
    stop: &'a Stop,
    listener: &'a (dyn Fn(Event) + Sync),
}

impl<'a> Control<'a> {
    pub fn new(stop: &'a Stop, listener: &'a (dyn Fn(Event) + Sync)) -> Self {
        Self { stop, listener }
    }

    /// A run nobody listens to and nobody stops.
    pub fn silent() -> Control<'static> {
        static NEVER: LazyLock<Stop> = LazyLock::new(Stop::default);
        Control { stop: &NEVER, listener: &|_| {} }
    }

    /// The same cancellation, with nobody listening: for a part of a run that has messages of its own.
    pub fn unheard(&self) -> Control<'a> {
        Control { stop: self.stop, listener: &|_| {} }
    }

    /// Called at least once per chunk of work, so that a run stops within seconds.
    pub fn check(&self) -> Result<(), Interrupted> {
        self.stop.check()
    }

    /// For what waits where no control can go.
    pub fn stop(&self) -> &'a Stop {
        self.stop
    }

    pub fn emit(&self, event: Event) {
        (self.listener)(event);
    }
}
