//! Threads that take numbered tasks in order, and how a pass over the data may end early.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::error::FleetError;
use crate::run::Interrupted;

/// Why a pass over the data ended before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    Error(FleetError),
    /// Read again by spilling: rows are not where statistics promised them, or more must be held than fits.
    Spill(&'static str),
    /// Another thread stopped; its reason counts.
    Other,
}

impl Stop {
    /// The reason as an error, where starting over is no remedy.
    pub fn into_error(self) -> FleetError {
        match self {
            Stop::Error(error) => error,
            Stop::Spill(what) => FleetError::Internal { what: what.to_string() },
            Stop::Other => FleetError::Internal { what: "a thread stopped without a reason".to_string() },
        }
    }
}

impl From<FleetError> for Stop {
    fn from(error: FleetError) -> Self {
        Stop::Error(error)
    }
}

impl From<Interrupted> for Stop {
    fn from(interrupted: Interrupted) -> Self {
        Stop::Error(FleetError::Interrupted(interrupted))
    }
}

/// Set once any thread stops, so that the others do not work, or wait, in vain.
#[derive(Default)]
pub(crate) struct Halt(AtomicBool);

impl Halt {
    pub fn check(&self) -> Result<(), Stop> {
        if self.0.load(Ordering::Relaxed) { Err(Stop::Other) } else { Ok(()) }
    }
}

/// Hands the tasks `0 .. tasks` in order to the workers, each on a thread of its own, and gives the workers back.
/// The first worker stays on the calling thread.
pub(crate) fn run<W: Send>(
    workers: Vec<W>,
    tasks: usize,
    halt: &Halt,
    work: impl Fn(&mut W, usize) -> Result<(), Stop> + Sync,
) -> Result<Vec<W>, Stop> {
    let next = AtomicUsize::new(0);
    let reason: Mutex<Option<Stop>> = Mutex::new(None);
    let serve = |mut worker: W| {
        let ended = loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                break Ok(());
            }
            if let Err(stop) = halt.check().and_then(|()| work(&mut worker, task)) {
                break Err(stop);
            }
        };
        if let Err(stop) = ended {
            halt.0.store(true, Ordering::Relaxed);
            if !matches!(stop, Stop::Other) {
                lock(&reason).get_or_insert(stop);
            }
        }
        worker
    };
    let mut workers = workers.into_iter();
    let first = workers.next();
    let workers = std::thread::scope(|scope| {
        // Where the system refuses a thread, those that there are do its work.
        let spawn = |worker| std::thread::Builder::new().spawn_scoped(scope, || serve(worker)).ok();
        let spawned: Vec<_> = workers.map_while(spawn).collect();
        let mut done: Vec<W> = first.into_iter().map(serve).collect();
        for thread in spawned {
            match thread.join() {
                Ok(worker) => done.push(worker),
                // A bug in a worker or in a consumer: it goes on to whoever started the scan.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    match reason.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        Some(stop) => Err(stop),
        None => Ok(workers),
    }
}

/// A lock whose poison is ignored: a panicking worker ends the whole scan anyway.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_done_once_and_the_first_reason_is_kept() {
        for threads in [1, 3] {
            let halt = Halt::default();
            let workers = run(vec![Vec::new(); threads], 100, &halt, |seen, task| {
                seen.push(task);
                Ok(())
            });
            let mut seen: Vec<usize> = workers.unwrap().concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..100).collect::<Vec<_>>());

            let ended = run(vec![(); threads], 100, &halt, |(), task| match task {
                7 => Err(Stop::Spill("seven")),
                _ => Ok(()),
            });
            assert!(matches!(ended, Err(Stop::Spill("seven"))));
        }
    }
}
