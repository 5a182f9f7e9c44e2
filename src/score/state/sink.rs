//! Tonight's records on their way in: which are new, which may be repeats of earlier nights.
//!
//! A vehicle's presence settles nearly every record without a look at anything else: no record on that day means new.
//! A record on a day that has one is kept aside and looked up in the log ([`super::repeats`]); a record older than the
//! presence or the log can tell is counted, and its vehicle formed anew from the histories.
//!
//! Vehicles that the state knows come first among the ids, so their ordinals are known before the scan begins; others
//! get theirs in the order in which the scan numbers them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, RwLock};

use super::cells::ABSENT;
use super::log_write::LogWriter;
use super::presence::Presence;
use super::stored::Stored;
use crate::fleet::chunk::Chunk;
use crate::fleet::scan::{ChunkSink, SinkError};
use crate::fleet::state::error::StateError;
use crate::fleet::state::ids::Ordinals;
use crate::fleet::time::TimeAxis;
use crate::score::pack::Packer;

/// Vehicles that share a lock.
const RANGE_VEHICLES: usize = 1 << 12;

/// Too many records would have to be looked up one by one: everything is read again instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {limit} records of earlier nights came again: forming the state anew is cheaper")]
pub struct TooManyRepeats {
    pub limit: usize,
}

/// What the state says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Novelty {
    New,
    /// To be looked up in the log.
    Perhaps,
    /// Before the log begins, and perhaps known.
    Untold,
}

/// Opens tonight's log, and again when the scan starts over.
pub type OpenLog<'a> = dyn Fn() -> Result<LogWriter, StateError> + Sync + 'a;

/// Takes tonight's chunks. One lane a thread.
pub struct NightSink<'a> {
    pub packer: Packer<'a>,
    axis: TimeAxis,
    ordinals: &'a Ordinals,
    /// `None` on the first night: all is new.
    stored: Option<&'a Stored>,
    covered_from_tick: i32,
    open_log: &'a OpenLog<'a>,
    log: RwLock<Option<LogWriter>>,
    presence: RwLock<Vec<Mutex<Vec<Presence>>>>,
    /// Rows to look up, by vehicle index.
    perhaps: Mutex<Chunk>,
    most_repeats: usize,
    /// Rows that cannot be told, by vehicle index.
    untold: Mutex<BTreeMap<u32, u64>>,
    lanes: Vec<Mutex<Lane>>,
}

/// Buffers of one thread.
#[derive(Default)]
struct Lane {
    ordinals: Chunk,
    fresh: Chunk,
}

/// What a scan leaves in the sink beside the packer's sums.
pub struct Gathered<'a> {
    pub packer: Packer<'a>,
    pub log: LogWriter,
    /// Days of tonight's new records, by vehicle index; vehicles beyond have none.
    pub presence: Vec<Presence>,
    pub perhaps: Chunk,
    pub untold: BTreeMap<u32, u64>,
}

impl<'a> NightSink<'a> {
    /// `stored` and the tick from which its log is complete; at most `most_repeats` rows are kept aside.
    #[expect(clippy::too_many_arguments, reason = "the one place where a night's inputs meet")]
    pub fn new(
        packer: Packer<'a>,
        axis: TimeAxis,
        ordinals: &'a Ordinals,
        stored: Option<&'a Stored>,
        covered_from_tick: i32,
        open_log: &'a OpenLog<'a>,
        threads: usize,
        most_repeats: usize,
    ) -> Result<Self, StateError> {
        Ok(Self {
            packer,
            axis,
            ordinals,
            stored,
            covered_from_tick,
            open_log,
            log: RwLock::new(Some(open_log()?)),
            presence: RwLock::default(),
            perhaps: Mutex::default(),
            most_repeats,
            untold: Mutex::default(),
            lanes: (0..threads.max(1)).map(|_| Mutex::default()).collect(),
        })
    }

    pub fn finish(self) -> Result<Gathered<'a>, StateError> {
        let log = match self.log.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(log) => log,
            None => (self.open_log)()?,
        };
        let ranges = self.presence.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut presence = Vec::with_capacity(ranges.len() * RANGE_VEHICLES);
        for range in ranges {
            presence.extend(range.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(Gathered {
            packer: self.packer,
            log,
            presence,
            perhaps: self.perhaps.into_inner().unwrap_or_else(PoisonError::into_inner),
            untold: self.untold.into_inner().unwrap_or_else(PoisonError::into_inner),
        })
    }

    fn novelty(&self, stored: &Stored, ordinal: usize, tick: i32) -> Novelty {
        match stored.presence.get(ordinal).unwrap_or(&Presence::NONE).on(self.axis.day(tick)) {
            Some(false) => Novelty::New,
            Some(true) if tick >= self.covered_from_tick => Novelty::Perhaps,
            None if tick < stored.first_tick(ordinal) => Novelty::New,
            Some(true) | None => Novelty::Untold,
        }
    }

    /// Takes rows that are known to be new.
    fn take(&self, lane_number: usize, chunk: &Chunk, ordinals: &mut Chunk) -> Result<(), SinkError> {
        self.packer.push(lane_number, chunk)?;
        self.note_days(chunk);
        let covered_days = chunk.tick.iter().any(|&tick| tick >= self.covered_from_tick);
        if covered_days && let Some(log) = self.log.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            ordinals.vehicle.clear();
            ordinals.vehicle.extend(chunk.vehicle.iter().map(|&vehicle| self.ordinals.of(vehicle)));
            log.push(&ordinals.vehicle, &chunk.tick, &chunk.codes, false)?;
        }
        Ok(())
    }

    fn note_days(&self, chunk: &Chunk) {
        let highest = chunk.vehicle.iter().max().map_or(0, |&vehicle| vehicle as usize / RANGE_VEHICLES);
        let mut ranges = self.presence.read().unwrap_or_else(PoisonError::into_inner);
        if highest >= ranges.len() {
            drop(ranges);
            let mut growing = self.presence.write().unwrap_or_else(PoisonError::into_inner);
            while growing.len() <= highest {
                growing.push(Mutex::new(vec![Presence::NONE; RANGE_VEHICLES]));
            }
            drop(growing);
            ranges = self.presence.read().unwrap_or_else(PoisonError::into_inner);
        }
        let mut row = 0;
        for vehicles in chunk.vehicle.chunk_by(|a, b| *a as usize / RANGE_VEHICLES == *b as usize / RANGE_VEHICLES) {
            let range = vehicles[0] as usize / RANGE_VEHICLES;
            let mut held = ranges[range].lock().unwrap_or_else(PoisonError::into_inner);
            for (&vehicle, &tick) in vehicles.iter().zip(&chunk.tick[row..]) {
                held[vehicle as usize % RANGE_VEHICLES].add(self.axis.day(tick));
            }
            row += vehicles.len();
        }
    }
}

impl ChunkSink for NightSink<'_> {
    fn push(&self, lane_number: usize, chunk: &Chunk) -> Result<(), SinkError> {
        let mut lane = self.lanes[lane_number % self.lanes.len()].lock().unwrap_or_else(PoisonError::into_inner);
        let Lane { ordinals, fresh } = &mut *lane;
        let Some(stored) = self.stored else { return self.take(lane_number, chunk, ordinals) };
        let novelty = |row: usize| {
            let ordinal = self.ordinals.of(chunk.vehicle[row]);
            if ordinal == ABSENT { Novelty::New } else { self.novelty(stored, ordinal as usize, chunk.tick[row]) }
        };
        let Some(first) = (0..chunk.len()).find(|&row| novelty(row) != Novelty::New) else {
            return self.take(lane_number, chunk, ordinals);
        };
        fresh.clear();
        fresh.codes.resize_with(chunk.codes.len(), Vec::new);
        fresh.append_range(chunk, 0, first);
        for row in first..chunk.len() {
            match novelty(row) {
                Novelty::New => fresh.append_range(chunk, row, row + 1),
                Novelty::Perhaps => {
                    let mut perhaps = self.perhaps.lock().unwrap_or_else(PoisonError::into_inner);
                    perhaps.codes.resize_with(chunk.codes.len(), Vec::new);
                    perhaps.append_range(chunk, row, row + 1);
                    if perhaps.len() > self.most_repeats {
                        return Err(Box::new(TooManyRepeats { limit: self.most_repeats }));
                    }
                }
                Novelty::Untold => {
                    let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
                    *untold.entry(chunk.vehicle[row]).or_default() += 1;
                }
            }
        }
        self.take(lane_number, fresh, ordinals)
    }

    fn restart(&self) -> Result<(), SinkError> {
        self.packer.restart()?;
        self.presence.write().unwrap_or_else(PoisonError::into_inner).clear();
        *self.perhaps.lock().unwrap_or_else(PoisonError::into_inner) = Chunk::default();
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        // The old folder must be gone before the new one can be made.
        *log = None;
        *log = Some((self.open_log)()?);
        Ok(())
    }
}
