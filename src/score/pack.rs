//! From the reader's chunks to a backend's batches: the slot column, the columns of the tables, the tally.
//!
//! Rows of a vehicle stand together in a chunk, so the vehicle's boundaries are looked up once a run and most runs
//! lie in one slot; everything per row is a plain loop that the compiler vectorises. A thread's buffers stay with its
//! lane: nothing is allocated a chunk but a list of column pointers.
//!
//! Units: ticks of the dataset's axis, codes of channels.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::slots::SlotPlan;
use super::sums::FleetSums;
use super::tally::{SharedTally, SlotTally, TallyChanges};
use crate::backend::{BackendError, DamageBackend, DamageBatch};
use crate::fleet::chunk::{Chunk, run_end};
use crate::fleet::scan::{ChunkSink, SinkError};
use crate::model::compiled::{CompiledExposure, CompiledModel};
use crate::model::tables::TableInput;

/// An exposure channel of the model: where "not available" means no increment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExposureColumn {
    /// Column of a chunk, index into [`CompiledModel::channels`].
    pub column: usize,
    /// The code that means "not available".
    pub not_available: u16,
}

/// The exposure channels of a model, each once, by rising column. `codes[column]` is the number of codes of the
/// channel's declared range ([`crate::model::channel::Channel::codes`]).
pub fn exposure_columns(model: &CompiledModel, codes: &[u32]) -> Vec<ExposureColumn> {
    let mut columns: Vec<usize> = model
        .mechanisms
        .iter()
        .filter_map(|mechanism| match mechanism.exposure {
            CompiledExposure::Channel(column) => Some(column),
            CompiledExposure::Constant(_) => None,
        })
        .collect();
    columns.sort_unstable();
    columns.dedup();
    columns.into_iter().map(|column| ExposureColumn { column, not_available: codes[column] as u16 }).collect()
}

const NOT_OPEN: &str = "a backend is used that could not be opened again";

/// Opens a backend, and again when a scan starts over.
pub type OpenBackend<'a> = dyn Fn() -> Result<Box<dyn DamageBackend>, BackendError> + Sync + 'a;

/// Packs chunks for a backend. One lane a thread.
pub struct Packer<'a> {
    plan: &'a SlotPlan,
    inputs: &'a [TableInput],
    exposures: &'a [ExposureColumn],
    open: &'a OpenBackend<'a>,
    /// Written only when a scan starts over; `None` only if it could not be opened again.
    backend: RwLock<Option<Box<dyn DamageBackend>>>,
    tally: SharedTally,
    lanes: Vec<Mutex<Lane>>,
    pack_ns: AtomicU64,
    kernel_ns: AtomicU64,
}

/// Buffers of one thread.
#[derive(Default)]
struct Lane {
    slot: Vec<u32>,
    /// Codes of the pair inputs, in the order of the inputs.
    pairs: Vec<Vec<u16>>,
    changes: TallyChanges,
}

/// Thread time spent on chunks, all threads together.
#[derive(Clone, Copy, Debug, Default)]
pub struct PackTimes {
    pub pack: Duration,
    pub kernel: Duration,
}

impl<'a> Packer<'a> {
    pub fn new(
        plan: &'a SlotPlan,
        inputs: &'a [TableInput],
        exposures: &'a [ExposureColumn],
        threads: usize,
        open: &'a OpenBackend<'a>,
    ) -> Result<Self, BackendError> {
        Ok(Self {
            plan,
            inputs,
            exposures,
            open,
            backend: RwLock::new(Some(open()?)),
            tally: SharedTally::new(exposures.len()),
            lanes: (0..threads.max(1)).map(|_| Mutex::default()).collect(),
            pack_ns: AtomicU64::new(0),
            kernel_ns: AtomicU64::new(0),
        })
    }

    pub fn times(&self) -> PackTimes {
        PackTimes {
            pack: Duration::from_nanos(self.pack_ns.load(Ordering::Relaxed)),
            kernel: Duration::from_nanos(self.kernel_ns.load(Ordering::Relaxed)),
        }
    }

    /// What the backend is.
    pub fn description(&self) -> String {
        let backend = self.backend.read().unwrap_or_else(PoisonError::into_inner);
        backend.as_ref().map(|backend| backend.description()).unwrap_or_default()
    }

    /// The sums of the vehicles in `ids`, all that were pushed.
    pub fn finish(self, ids: crate::fleet::vehicles::Ids) -> Result<FleetSums, SinkError> {
        let vehicles = ids.len().max(self.plan.known());
        let slots = self.plan.slots(vehicles)?;
        let backend = self.backend.into_inner().unwrap_or_else(PoisonError::into_inner).ok_or(NOT_OPEN)?;
        Ok(FleetSums { ids, vehicles, damage: backend.finish(slots, vehicles)?, tally: self.tally.finish(slots) })
    }
}

impl ChunkSink for Packer<'_> {
    fn push(&self, lane: usize, chunk: &Chunk) -> Result<(), SinkError> {
        let Some(highest) = chunk.vehicle.iter().max() else { return Ok(()) };
        // Checked once a chunk, so that the slots below need no check.
        self.plan.slots(*highest as usize + 1)?;
        let began = Instant::now();
        let mut lane = self.lanes[lane % self.lanes.len()].lock().unwrap_or_else(PoisonError::into_inner);
        let Lane { slot, pairs, changes } = &mut *lane;
        fill_slots(self.plan, &chunk.vehicle, &chunk.tick, slot, &mut changes.slots);
        for (exposure, column) in self.exposures.iter().enumerate() {
            count_missing(
                &chunk.codes[column.column],
                column.not_available,
                slot,
                exposure as u32,
                &mut changes.missing,
            );
        }
        self.tally.apply(changes);
        let codes = table_columns(self.inputs, &chunk.codes, pairs);
        let packed = Instant::now();
        let backend = self.backend.read().unwrap_or_else(PoisonError::into_inner);
        let batch = DamageBatch { slot, vehicle: &chunk.vehicle, codes: &codes };
        backend.as_ref().ok_or(NOT_OPEN)?.push(&batch)?;
        let pushed = Instant::now();
        self.pack_ns.fetch_add((packed - began).as_nanos() as u64, Ordering::Relaxed);
        self.kernel_ns.fetch_add((pushed - packed).as_nanos() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn restart(&self) -> Result<(), SinkError> {
        self.tally.clear();
        let mut backend = self.backend.write().unwrap_or_else(PoisonError::into_inner);
        // The old one goes first: a device may not have room for the sums of both.
        *backend = None;
        *backend = Some((self.open)()?);
        Ok(())
    }
}

/// The columns of the tables from the columns of a chunk. `pairs` holds those that have to be made.
pub(crate) fn table_columns<'c>(
    inputs: &[TableInput],
    codes: &'c [Vec<u16>],
    pairs: &'c mut Vec<Vec<u16>>,
) -> Vec<&'c [u16]> {
    pairs.resize_with(inputs.len(), Vec::new);
    for (input, column) in inputs.iter().zip(pairs.iter_mut()) {
        if let TableInput::Pair { channel_a, channel_b, bins_a, bins_b } = input {
            column.clear();
            let rows = codes[*channel_a].iter().zip(&codes[*channel_b]);
            column.extend(rows.map(|(&a, &b)| bins_a[usize::from(a)] + bins_b[usize::from(b)]));
        }
    }
    let columns = inputs.iter().zip(pairs.iter());
    columns
        .map(|(input, pair)| match input {
            TableInput::Channel(channel) => codes[*channel].as_slice(),
            TableInput::Pair { .. } => pair.as_slice(),
        })
        .collect()
}

/// The slot of every row, and what each run of one slot adds to the tally.
fn fill_slots(
    plan: &SlotPlan,
    vehicle: &[u32],
    tick: &[i32],
    slot: &mut Vec<u32>,
    changes: &mut Vec<(u32, SlotTally)>,
) {
    slot.clear();
    let mut from = 0;
    while from < vehicle.len() {
        let to = run_end(vehicle, from);
        let ticks = &tick[from..to];
        let (first_slot, boundaries) = plan.boundaries(vehicle[from] as usize);
        let (mut first_tick, mut last_tick) = (i32::MAX, i32::MIN);
        for &tick in ticks {
            first_tick = first_tick.min(tick);
            last_tick = last_tick.max(tick);
        }
        let lowest = boundaries.partition_point(|&boundary| boundary < first_tick);
        let inside = boundaries[lowest..].partition_point(|&boundary| boundary < last_tick);
        let first_slot = first_slot + lowest as u32;
        slot.resize(to, first_slot);
        if inside == 0 {
            changes.push((first_slot, SlotTally { records: (to - from) as u32, first_tick, last_tick }));
        } else {
            for &boundary in &boundaries[lowest..lowest + inside] {
                for (slot, &tick) in slot[from..].iter_mut().zip(ticks) {
                    *slot += u32::from(tick > boundary);
                }
            }
            let mut row = from;
            while row < to {
                let end = run_end(slot, row);
                let mut tally = SlotTally { records: (end - row) as u32, ..SlotTally::EMPTY };
                for &tick in &tick[row..end] {
                    tally.first_tick = tally.first_tick.min(tick);
                    tally.last_tick = tally.last_tick.max(tick);
                }
                changes.push((slot[row], tally));
                row = end;
            }
        }
        from = to;
    }
}

/// Counts the rows of each slot whose code is "not available".
pub(crate) fn count_missing(
    codes: &[u16],
    not_available: u16,
    slot: &[u32],
    exposure: u32,
    changes: &mut Vec<(u32, u32, u32)>,
) {
    const BLOCK_ROWS: usize = 256;
    for (codes, slot) in codes.chunks(BLOCK_ROWS).zip(slot.chunks(BLOCK_ROWS)) {
        // Nearly always none: one vectorised pass decides.
        if codes.iter().fold(0, |any, &code| any | u32::from(code == not_available)) == 0 {
            continue;
        }
        for (_, &slot) in codes.iter().zip(slot).filter(|(code, _)| **code == not_available) {
            match changes.last_mut() {
                Some(last) if last.0 == slot && last.1 == exposure => last.2 += 1,
                _ => changes.push((slot, exposure, 1)),
            }
        }
    }
}
