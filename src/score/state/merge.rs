//! Yesterday's sums laid over tonight's: stored segments and the cells cut from them, added to tonight's slots.
//!
//! Slots of neighbouring vehicles stand together, so the fleet is cut into blocks of vehicles that threads fill apart.
//! Clocks and driver sums wrap; counts of a rest are the segment's less its cells'; its first and last day come from
//! the vehicle's presence, because a least and a greatest cannot be subtracted. Such a tick is the first or last of its
//! day: scores look at days only.

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;

use super::cell_sums::CellSums;
use super::cells::{ABSENT, Mapping};
use super::presence::Presence;
use super::stored::Stored;
use crate::fleet::state::error::StateError;
use crate::fleet::time::TimeAxis;
use crate::run::Control;
use crate::score::slots::SlotPlan;
use crate::score::sums::FleetSums;
use crate::score::tally::SlotTally;

/// Vehicles of a block.
const BLOCK_VEHICLES: usize = 1 << 12;

/// What is laid over tonight's sums.
#[derive(Clone, Copy)]
pub struct Overlay<'a> {
    pub stored: &'a Stored,
    pub mapping: &'a Mapping,
    /// Sums of the mapping's cells.
    pub cells: &'a CellSums,
    /// Capped bits of rests, by segment, where they are not the segment's own.
    pub rest_capped: &'a HashMap<u32, Vec<u32>>,
    /// Ordinal by tonight's vehicle index, [`ABSENT`] for vehicles that the state does not know.
    pub ordinal: &'a [u32],
}

/// Tonight's fleet.
#[derive(Clone, Copy)]
struct Fleet<'a> {
    vehicles: usize,
    plan: &'a SlotPlan,
}

/// Tonight's rows of a block of neighbouring vehicles.
struct Block<'a, T> {
    vehicles: Range<usize>,
    first_slot: usize,
    values: &'a mut [T],
    width: usize,
}

/// Rows of the state: `width` values for each segment, and for each cell.
struct Rows<'a, T> {
    stored: &'a [T],
    cells: &'a [T],
    width: usize,
}

/// How wide the rows of the sums are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Widths {
    pub mechanisms: usize,
    pub words: usize,
    pub drivers: usize,
    pub exposures: usize,
}

impl Widths {
    pub fn new(mechanisms: usize, driver_columns: usize, exposures: usize) -> Self {
        Self { mechanisms, words: mechanisms.div_ceil(32), drivers: driver_columns, exposures }
    }
}

impl Fleet<'_> {
    /// Cuts rows of `width` values a slot into blocks of vehicles.
    fn blocks<'a, T>(&self, mut rows: &'a mut [T], width: usize) -> Vec<Block<'a, T>> {
        let mut blocks = Vec::with_capacity(self.vehicles.div_ceil(BLOCK_VEHICLES));
        for first in (0..self.vehicles).step_by(BLOCK_VEHICLES) {
            let vehicles = first..(first + BLOCK_VEHICLES).min(self.vehicles);
            let slots = self.plan.of(first).start..self.plan.of(vehicles.end - 1).end;
            let (values, behind) = rows.split_at_mut(slots.len() * width);
            rows = behind;
            blocks.push(Block { vehicles, first_slot: slots.start, values, width });
        }
        blocks
    }
}

impl<T> Block<'_, T> {
    /// Where the row of a slot begins, if the block has it.
    fn row(&self, slot: u32) -> Option<usize> {
        let row = (slot as usize).checked_sub(self.first_slot)? * self.width;
        (slot != ABSENT && row + self.width <= self.values.len()).then_some(row)
    }
}

impl Overlay<'_> {
    /// Adds the stored sums to tonight's. Each array of theirs is read, added and let go before the next.
    pub(super) fn apply(
        &self,
        sums: &mut FleetSums,
        plan: &SlotPlan,
        widths: Widths,
        control: &Control,
    ) -> Result<(), StateError> {
        let Self { stored, cells, .. } = *self;
        let FleetSums { vehicles, damage, tally, .. } = sums;
        let fleet = Fleet { vehicles: *vehicles, plan };
        let Widths { mechanisms, words, drivers, exposures } = widths;

        let clocks_q48 = stored.sums.clocks_q48()?;
        let held = Rows { stored: &clocks_q48, cells: &cells.damage.clocks_q48, width: mechanisms };
        self.lay(fleet, &mut damage.clocks_q48, held, u64::wrapping_add, u64::wrapping_sub);
        drop(clocks_q48);
        control.check()?;

        let missing = stored.sums.missing()?;
        let held = Rows { stored: &missing, cells: &cells.tally.missing, width: exposures };
        self.lay(fleet, &mut tally.missing, held, u32::wrapping_add, u32::wrapping_sub);
        drop(missing);
        control.check()?;

        let mut capped = stored.sums.capped()?;
        for (&segment, rest) in self.rest_capped {
            capped[segment as usize * words..][..words].copy_from_slice(rest);
        }
        // Whether a bit stays with the rest is known already.
        let held = Rows { stored: &capped, cells: &cells.damage.capped, width: words };
        self.lay(fleet, &mut damage.capped, held, |sum, bits| sum | bits, |rest, _| rest);
        drop(capped);
        control.check()?;

        let stored_drivers = stored.sums.drivers()?;
        let of_vehicle = damage.drivers.par_chunks_mut(drivers.max(1)).enumerate();
        of_vehicle.filter_map(|(vehicle, sums)| Some((self.known(vehicle)?, sums))).for_each(|(ordinal, sums)| {
            for (sum, held) in sums.iter_mut().zip(&stored_drivers[ordinal * drivers..]) {
                *sum = sum.wrapping_add(*held);
            }
        });
        drop(stored_drivers);

        fleet.blocks(&mut tally.slots, 1).into_par_iter().for_each(|mut block| self.lay_tally(&mut block, plan));
        Ok(())
    }

    /// Adds segments to the slots of their rests, and moves cells from there to their own.
    fn lay<T: Copy + Send + Sync>(
        &self,
        fleet: Fleet,
        tonight: &mut [T],
        held: Rows<T>,
        add: impl Fn(T, T) -> T + Sync,
        subtract: impl Fn(T, T) -> T + Sync,
    ) {
        let Rows { stored, cells, width } = held;
        fleet.blocks(tonight, width).into_par_iter().for_each(|block| {
            self.segments_of(block.vehicles.clone(), |_, ordinal, segment, slot| {
                let Some(rest) = block.row(slot) else { return };
                for (sum, &held) in block.values[rest..][..width].iter_mut().zip(&stored[segment * width..]) {
                    *sum = add(*sum, held);
                }
                for cell in self.mapping.cells_of_segment(ordinal, segment) {
                    let Some(to) = block.row(self.mapping.cells[cell].slot) else { continue };
                    for (column, &moved) in cells[cell * width..][..width].iter().enumerate() {
                        block.values[to + column] = add(block.values[to + column], moved);
                        block.values[rest + column] = subtract(block.values[rest + column], moved);
                    }
                }
            });
        });
    }

    fn lay_tally(&self, block: &mut Block<SlotTally>, plan: &SlotPlan) {
        self.segments_of(block.vehicles.clone(), |vehicle, ordinal, segment, rest_slot| {
            let Some(rest) = block.row(rest_slot) else { return };
            let held = &self.stored.tally[segment];
            let mut left = *held;
            for cell in self.mapping.cells_of_segment(ordinal, segment) {
                let moved = &self.cells.tally.slots[cell];
                let Some(to) = block.row(self.mapping.cells[cell].slot) else { continue };
                block.values[to].add(moved);
                left.records = left.records.saturating_sub(moved.records);
            }
            if left.records != held.records {
                let (first_slot, boundaries) = plan.boundaries(vehicle);
                let slot = (rest_slot - first_slot) as usize;
                let after = slot.checked_sub(1).and_then(|before| boundaries.get(before)).copied();
                let presence = &self.stored.presence[ordinal];
                narrow(&mut left, held, after, boundaries.get(slot).copied(), presence, plan.axis);
            }
            if left.records > 0 {
                block.values[rest].add(&left);
            }
        });
    }

    /// Every stored segment of these vehicles, as (vehicle, ordinal, segment, slot of its rest).
    fn segments_of(&self, vehicles: Range<usize>, mut each: impl FnMut(usize, usize, usize, u32)) {
        for vehicle in vehicles {
            let Some(ordinal) = self.known(vehicle) else { continue };
            for segment in self.stored.segments.of(ordinal) {
                each(vehicle, ordinal, segment, self.mapping.slot_of_segment[segment]);
            }
        }
    }

    /// The ordinal of one of tonight's vehicles, if the state has it.
    fn known(&self, vehicle: usize) -> Option<usize> {
        let ordinal = self.ordinal.get(vehicle).copied().unwrap_or(ABSENT) as usize;
        (ordinal < self.stored.presence.len()).then_some(ordinal)
    }
}

/// First and last tick of what is left of a segment between two boundaries.
fn narrow(
    left: &mut SlotTally,
    held: &SlotTally,
    after_tick: Option<i32>,
    to_tick: Option<i32>,
    presence: &Presence,
    axis: TimeAxis,
) {
    if let Some(after_tick) = after_tick.filter(|&after| after >= held.first_tick) {
        let day = presence.first_from(axis.day(after_tick).saturating_add(1));
        left.first_tick = day.map_or(held.last_tick, |day| axis.last_tick_of(day.saturating_sub(1)).saturating_add(1));
    }
    if let Some(to_tick) = to_tick.filter(|&to| to < held.last_tick) {
        left.last_tick = presence.last_to(axis.day(to_tick)).map_or(to_tick, |day| axis.last_tick_of(day));
    }
}
