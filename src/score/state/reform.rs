//! Vehicles formed anew: their sums from all their records, in place of what yesterday's sums and tonight's records
//! gave.
//!
//! The reader hands out the whole fleet; only rows of the chosen vehicles go on, into cells that are these vehicles'
//! slots, one after the other.

use std::sync::{Mutex, PoisonError, RwLock};

use super::cell_sums::{CellRows, CellSummer, CellSums};
use super::cells::ABSENT;
use super::merge::Widths;
use super::sink::TooManyRepeats;
use crate::fleet::chunk::Chunk;
use crate::fleet::scan::{ChunkSink, SinkError};
use crate::score::slots::SlotPlan;
use crate::score::sums::FleetSums;

/// Opens a summer, and again when the scan starts over.
pub type OpenSummer<'a> = dyn Fn() -> Result<CellSummer<'a>, SinkError> + Sync + 'a;

/// The vehicles to form anew, numbered densely.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chosen {
    /// Tonight's indices, rising.
    pub vehicles: Vec<u32>,
    /// Number of a vehicle by its index; [`ABSENT`]: not chosen.
    number: Vec<u32>,
    /// First cell of each, and the number of all cells.
    first_cell: Vec<u32>,
}

impl Chosen {
    pub fn new(mut vehicles: Vec<u32>, plan: &SlotPlan) -> Self {
        vehicles.sort_unstable();
        vehicles.dedup();
        let mut number = vec![ABSENT; vehicles.last().map_or(0, |&last| last as usize + 1)];
        let mut first_cell = vec![0];
        let mut cells = 0;
        for (place, &vehicle) in vehicles.iter().enumerate() {
            number[vehicle as usize] = place as u32;
            cells += plan.of(vehicle as usize).len() as u32;
            first_cell.push(cells);
        }
        Self { vehicles, number, first_cell }
    }

    pub fn cells(&self) -> usize {
        self.first_cell.last().map_or(0, |&cells| cells as usize)
    }

    /// Tonight's slot of every cell.
    pub fn slots<'p>(&'p self, plan: &'p SlotPlan) -> impl Iterator<Item = usize> + 'p {
        self.vehicles.iter().flat_map(|&vehicle| plan.of(vehicle as usize))
    }

    fn number_of(&self, vehicle: u32) -> Option<usize> {
        self.number.get(vehicle as usize).filter(|&&number| number != ABSENT).map(|&number| number as usize)
    }
}

/// Takes the chunks of a scan over everything.
pub struct ReformSink<'a> {
    chosen: &'a Chosen,
    plan: &'a SlotPlan,
    open: &'a OpenSummer<'a>,
    summer: RwLock<Option<CellSummer<'a>>>,
    /// Rows from this tick on are kept for the log.
    kept_from_tick: i32,
    /// Vehicles whose rows are kept, sorted.
    kept: &'a [u32],
    rows: Mutex<Chunk>,
    most_rows: usize,
    lanes: Vec<Mutex<Lane>>,
}

/// Rows of one chunk that go on.
#[derive(Default)]
struct Lane {
    cell: Vec<u32>,
    number: Vec<u32>,
    rows: Chunk,
}

impl<'a> ReformSink<'a> {
    /// Rows of the vehicles `kept` from `kept_from_tick` on are handed out at the end, at most `most_rows`: their codes
    /// in the log are no longer right.
    pub fn new(
        chosen: &'a Chosen,
        plan: &'a SlotPlan,
        open: &'a OpenSummer<'a>,
        threads: usize,
        kept_from_tick: i32,
        kept: &'a [u32],
        most_rows: usize,
    ) -> Result<Self, SinkError> {
        Ok(Self {
            chosen,
            plan,
            open,
            summer: RwLock::new(Some(open()?)),
            kept_from_tick,
            kept,
            rows: Mutex::default(),
            most_rows,
            lanes: (0..threads.max(1)).map(|_| Mutex::default()).collect(),
        })
    }

    /// The sums by cell, and the rows that were kept.
    pub fn finish(self) -> Result<(CellSums, Chunk), SinkError> {
        let summer = match self.summer.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(summer) => summer,
            None => (self.open)()?,
        };
        let rows = self.rows.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((summer.finish(self.chosen.cells(), self.chosen.vehicles.len())?, rows))
    }
}

impl ChunkSink for ReformSink<'_> {
    fn push(&self, lane_number: usize, chunk: &Chunk) -> Result<(), SinkError> {
        let mut lane = self.lanes[lane_number % self.lanes.len()].lock().unwrap_or_else(PoisonError::into_inner);
        let Lane { cell, number, rows } = &mut *lane;
        cell.clear();
        number.clear();
        rows.clear();
        rows.codes.resize_with(chunk.codes.len(), Vec::new);
        let mut row = 0;
        for of_vehicle in chunk.vehicle.chunk_by(|a, b| a == b) {
            let end = row + of_vehicle.len();
            let vehicle = of_vehicle[0];
            if let Some(place) = self.chosen.number_of(vehicle) {
                let (_, boundaries) = self.plan.boundaries(vehicle as usize);
                for &tick in &chunk.tick[row..end] {
                    let segment = boundaries.partition_point(|&boundary| boundary < tick);
                    cell.push(self.chosen.first_cell[place] + segment as u32);
                    number.push(place as u32);
                }
                rows.append_range(chunk, row, end);
            }
            row = end;
        }
        if rows.is_empty() {
            return Ok(());
        }
        for row in 0..rows.len() {
            if rows.tick[row] >= self.kept_from_tick && self.kept.binary_search(&rows.vehicle[row]).is_ok() {
                let mut kept = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
                kept.codes.resize_with(rows.codes.len(), Vec::new);
                kept.append_range(rows, row, row + 1);
                if kept.len() > self.most_rows {
                    return Err(Box::new(TooManyRepeats { limit: self.most_rows }));
                }
            }
        }
        let summer = self.summer.read().unwrap_or_else(PoisonError::into_inner);
        match summer.as_ref() {
            Some(summer) => {
                summer.push(lane_number, &CellRows { cell, vehicle: number, tick: &rows.tick, codes: &rows.codes })
            }
            None => Ok(()),
        }
    }

    fn restart(&self) -> Result<(), SinkError> {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = Chunk::default();
        *self.summer.write().unwrap_or_else(PoisonError::into_inner) = Some((self.open)()?);
        Ok(())
    }
}

/// Puts the sums of the chosen vehicles in place of what `sums` holds for them.
pub(super) fn put_in_place(chosen: &Chosen, formed: &CellSums, sums: &mut FleetSums, plan: &SlotPlan, widths: Widths) {
    let Widths { mechanisms, words, drivers, exposures } = widths;
    for (cell, slot) in chosen.slots(plan).enumerate() {
        copy(&mut sums.damage.clocks_q48, slot, &formed.damage.clocks_q48, cell, mechanisms);
        copy(&mut sums.damage.capped, slot, &formed.damage.capped, cell, words);
        copy(&mut sums.tally.missing, slot, &formed.tally.missing, cell, exposures);
        sums.tally.slots[slot] = formed.tally.slots[cell];
    }
    if !sums.damage.drivers.is_empty() {
        for (place, &vehicle) in chosen.vehicles.iter().enumerate() {
            copy(&mut sums.damage.drivers, vehicle as usize, &formed.damage.drivers, place, drivers);
        }
    }
}

fn copy<T: Copy>(to: &mut [T], row: usize, from: &[T], from_row: usize, width: usize) {
    to[row * width..][..width].copy_from_slice(&from[from_row * width..][..width]);
}
