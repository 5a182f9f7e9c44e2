//! From records to sums: one scan through one backend, and what to do when the device fails.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::EngineError;
use super::prepare::{Cut, Prepared};
use crate::backend::{self, BackendError, Choice, DamageBackend, DamageRequest, DeviceShare};
use crate::fleet::chunk::Order;
use crate::fleet::scan::{ScanKind, ScanReport, ScanRequest, scan};
use crate::fleet::vehicles::Ids;
use crate::run::{Control, Event};
use crate::score::pack::{PackTimes, Packer};
use crate::score::sums::FleetSums;

/// How to accumulate. Nothing here bears on the sums but the shard and the as-of limit.
#[derive(Clone, Debug)]
pub struct Way {
    pub backend: Choice,
    pub device: Option<String>,
    pub device_share: DeviceShare,
    /// Go on with smaller batches, then on the processor, if the device fails.
    pub fallback: bool,
    pub threads: usize,
    pub memory_limit_bytes: usize,
    pub chunk_rows: usize,
    pub reversed: bool,
    pub shard: Option<(u32, u32)>,
    pub scan_kind: Option<ScanKind>,
    pub hash_inputs: bool,
    pub drivers: bool,
    /// Records later than the cut's day are left out. Not needed where that day is the latest record's.
    pub skip_later: bool,
}

impl Way {
    /// Opens the backend for about so many records; `why` learns why this one.
    pub(super) fn open(
        &self,
        records: u64,
        prepared: &Prepared,
        cut: &Cut,
        why: &Mutex<String>,
        control: &Control,
    ) -> Result<Box<dyn DamageBackend>, BackendError> {
        let request = DamageRequest { tables: &prepared.model.tables, masks: &cut.masks, drivers: self.drivers };
        let device = self.device.as_deref();
        let mut opened = backend::open_for(records, self.device_share, self.backend, device, self.threads, &request)?;
        *why.lock().unwrap_or_else(PoisonError::into_inner) = opened.why;
        opened.backend.watch(control.stop());
        Ok(opened.backend)
    }

    /// What the reader is asked for, in any order.
    pub(super) fn scan_request(&self, prepared: &Prepared, cut: &Cut) -> ScanRequest {
        ScanRequest {
            channels: prepared.channels.clone(),
            order: Order::Any,
            as_of_day: self.skip_later.then_some(cut.as_of_day),
            threads: self.threads,
            memory_limit_bytes: self.memory_limit_bytes,
            chunk_rows: self.chunk_rows,
            reversed: self.reversed,
            shard: self.shard,
            kind: self.scan_kind,
            hash_inputs: self.hash_inputs,
            files: None,
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Accumulated {
    pub sums: FleetSums,
    /// Its ids have moved to the sums.
    pub scan: ScanReport,
    pub scan_time: Duration,
    pub times: PackTimes,
    /// Waiting for the backend to hand out its sums.
    pub readback_time: Duration,
    /// What computed, and why that.
    pub device: String,
    pub device_reason: String,
}

/// Fewest rows of a chunk after a device failed.
const LEAST_CHUNK_ROWS: usize = 1 << 10;

/// Scans the histories into sums. If the device fails and `way` allows, starts over with smaller batches, then on the
/// processor, with a warning each time.
pub fn accumulate(prepared: &Prepared, cut: &Cut, way: &Way, control: &Control) -> Result<Accumulated, EngineError> {
    let once = |way: &Way| accumulate_once(prepared, cut, way, control);
    with_fallback(way, control, once, |done| &mut done.device_reason)
}

/// How to go on after a device failed.
pub(super) trait Fallback: Sized {
    /// Whether to go on at all.
    fn is_allowed(&self) -> bool;

    /// The same with smaller batches and a smaller share of the device.
    fn smaller(&self) -> Self;

    /// The same on the processor.
    fn on_processor(&self) -> Self;
}

impl Fallback for Way {
    fn is_allowed(&self) -> bool {
        self.fallback
    }

    fn smaller(&self) -> Self {
        let chunk_rows = (self.chunk_rows / 8).max(LEAST_CHUNK_ROWS);
        Self { chunk_rows, device_share: DeviceShare { small: true, ..self.device_share }, ..self.clone() }
    }

    fn on_processor(&self) -> Self {
        Self { backend: Choice::Cpu, device: None, ..self.clone() }
    }
}

/// Does a thing once, and again with smaller batches, then on the processor, while the device fails and `way` allows.
/// The story goes into `reason`.
pub(super) fn with_fallback<W: Fallback, T>(
    way: &W,
    control: &Control,
    once: impl Fn(&W) -> Result<T, EngineError>,
    reason: impl Fn(&mut T) -> &mut String,
) -> Result<T, EngineError> {
    let smaller = way.smaller();
    let mut story = String::new();
    for (way, next) in [(way, "again with smaller batches"), (&smaller, "on the processor")] {
        match once(way) {
            Err(EngineError::Backend(error)) if way.is_allowed() && error.is_device_failure() => {
                control.emit(Event::Warning(format!("{error}; starting over {next}")));
                story = format!("{story}{error}; started over {next}; ");
            }
            Ok(mut done) => {
                reason(&mut done).insert_str(0, &story);
                return Ok(done);
            }
            Err(error) => return Err(error),
        }
    }
    let mut done = once(&way.on_processor())?;
    *reason(&mut done) = story.trim_end_matches("; ").to_owned();
    Ok(done)
}

fn accumulate_once(prepared: &Prepared, cut: &Cut, way: &Way, control: &Control) -> Result<Accumulated, EngineError> {
    let why = Mutex::new(String::new());
    let open = || way.open(prepared.dataset.history_rows(), prepared, cut, &why, control);
    let packer = Packer::new(&cut.slots, &prepared.model.inputs, &prepared.exposures, way.threads, &open)?;
    let request = way.scan_request(prepared, cut);
    let began = Instant::now();
    let mut scan = scan(&prepared.dataset, &request, control, &packer)?;
    let scan_time = began.elapsed();
    let (times, device) = (packer.times(), packer.description());
    let began = Instant::now();
    let sums = packer.finish(std::mem::replace(&mut scan.ids, Ids::Integer(Vec::new())))?;
    let device_reason = why.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Accumulated { sums, scan, scan_time, times, readback_time: began.elapsed(), device, device_reason })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn way(fallback: bool) -> Way {
        Way {
            backend: Choice::Gpu,
            device: Some("card".to_owned()),
            device_share: DeviceShare::default(),
            fallback,
            threads: 2,
            memory_limit_bytes: 1 << 28,
            chunk_rows: 1 << 16,
            reversed: false,
            shard: None,
            scan_kind: None,
            hash_inputs: false,
            drivers: true,
            skip_later: false,
        }
    }

    /// Tries until as many attempts as there are errors have failed: how often, the last way, and what came of it.
    fn attempts(fallback: bool, errors: Vec<BackendError>) -> (usize, Way, Result<String, EngineError>) {
        let (tried, left) = (RefCell::new(Vec::new()), RefCell::new(errors));
        let once = |way: &Way| {
            tried.borrow_mut().push(way.clone());
            left.borrow_mut().pop().map_or(Ok("chosen".to_owned()), |error| Err(error.into()))
        };
        let done = with_fallback(&way(fallback), &Control::silent(), once, |reason| reason);
        let tried = tried.into_inner();
        (tried.len(), tried[tried.len() - 1].clone(), done)
    }

    fn lost() -> BackendError {
        BackendError::Lost { device: "card".to_owned(), reason: "unplugged".to_owned() }
    }

    fn out_of_memory() -> BackendError {
        BackendError::OutOfMemory { device: "card".to_owned(), what: "sums", asked_bytes: 1 << 30 }
    }

    #[test]
    fn a_device_that_fails_is_tried_smaller_and_then_left() {
        let (tried, last, done) = attempts(true, vec![]);
        assert_eq!((tried, last.chunk_rows, done.unwrap().as_str()), (1, 1 << 16, "chosen"));

        let (tried, last, done) = attempts(true, vec![out_of_memory()]);
        assert_eq!(
            (tried, last.backend, last.device_share, last.chunk_rows),
            (2, Choice::Gpu, DeviceShare { small: true, memory_bytes: None }, 1 << 13)
        );
        let story = done.unwrap();
        assert!(story.contains("out of memory") && story.ends_with("again with smaller batches; chosen"), "{story}");

        let (tried, last, done) = attempts(true, vec![lost(), out_of_memory()]);
        assert_eq!((tried, last.backend, last.device), (3, Choice::Cpu, None));
        let story = done.unwrap();
        assert!(story.contains("unplugged") && story.ends_with("on the processor"), "{story}");
    }

    #[test]
    fn nothing_is_tried_again_where_that_is_not_allowed_or_cannot_help() {
        let (tried, _, done) = attempts(false, vec![lost()]);
        assert!(tried == 1 && matches!(done, Err(EngineError::Backend(BackendError::Lost { .. }))));
        let missing = BackendError::NoDevice { wanted: None, why: "none".to_owned() };
        let (tried, _, done) = attempts(true, vec![missing]);
        assert!(tried == 1 && matches!(done, Err(EngineError::Backend(BackendError::NoDevice { .. }))));
    }
}
