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
use crate::fleet::time::TimeAxis;
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

/// Tonight's sums of a block of neighbouring vehicles.
pub(super) struct Block<'a> {
    pub vehicles: Range<usize>,
    pub first_slot: usize,
    pub clocks_q48: &'a mut [u64],
    pub capped: &'a mut [u32],
    pub drivers: &'a mut [i64],
    pub tally: &'a mut [SlotTally],
    pub missing: &'a mut [u32],
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

/// Cuts the sums of a fleet into blocks of vehicles.
pub(super) fn blocks<'a>(sums: &'a mut FleetSums, plan: &SlotPlan, widths: Widths) -> Vec<Block<'a>> {
    let mut blocks = Vec::with_capacity(sums.vehicles.div_ceil(BLOCK_VEHICLES));
    let mut clocks_q48 = sums.damage.clocks_q48.as_mut_slice();
    let mut capped = sums.damage.capped.as_mut_slice();
    let mut drivers = sums.damage.drivers.as_mut_slice();
    let mut tally = sums.tally.slots.as_mut_slice();
    let mut missing = sums.tally.missing.as_mut_slice();
    let mut first = 0;
    while first < sums.vehicles {
        let end = (first + BLOCK_VEHICLES).min(sums.vehicles);
        let slots = plan.of(first).start..plan.of(end - 1).end;
        let count = slots.len();
        blocks.push(Block {
            vehicles: first..end,
            first_slot: slots.start,
            clocks_q48: take(&mut clocks_q48, count * widths.mechanisms),
            capped: take(&mut capped, count * widths.words),
            drivers: take(&mut drivers, (end - first) * widths.drivers),
            tally: take(&mut tally, count),
            missing: take(&mut missing, count * widths.exposures),
        });
        first = end;
    }
    blocks
}

fn take<'a, T>(slice: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let (head, tail) = std::mem::take(slice).split_at_mut(count);
    *slice = tail;
    head
}

impl Overlay<'_> {
    /// Adds the stored sums to tonight's.
    pub(super) fn apply(&self, sums: &mut FleetSums, plan: &SlotPlan, widths: Widths) {
        blocks(sums, plan, widths).into_par_iter().for_each(|mut block| {
            for vehicle in block.vehicles.clone() {
                let ordinal = self.ordinal.get(vehicle).copied().unwrap_or(ABSENT) as usize;
                if ordinal < self.stored.presence.len() {
                    self.add_vehicle(&mut block, vehicle, ordinal, widths, plan);
                }
            }
        });
    }

    fn add_vehicle(&self, block: &mut Block, vehicle: usize, ordinal: usize, widths: Widths, plan: &SlotPlan) {
        let Self { stored, mapping, cells, .. } = *self;
        let Widths { mechanisms, words, exposures, .. } = widths;
        let (first_slot, boundaries) = plan.boundaries(vehicle);
        let mut cell = mapping.cells_of(ordinal).start;
        let last_cell = mapping.cells_of(ordinal).end;
        for segment in stored.segments.of(ordinal) {
            let rest_slot = mapping.slot_of_segment[segment];
            let rest = (rest_slot as usize).wrapping_sub(block.first_slot);
            if rest_slot == ABSENT || rest >= block.tally.len() {
                continue;
            }
            let held = &stored.tally.slots[segment];
            let mut left = *held;
            add_clocks(block, rest, &stored.damage.clocks_q48[segment * mechanisms..][..mechanisms], mechanisms);
            let segment_capped = &stored.damage.capped[segment * words..][..words];
            let capped = match self.rest_capped.is_empty() {
                true => segment_capped,
                false => self.rest_capped.get(&(segment as u32)).map_or(segment_capped, Vec::as_slice),
            };
            for (word, capped) in block.capped[rest * words..][..words].iter_mut().zip(capped) {
                *word |= capped;
            }
            for exposure in 0..exposures {
                let missing = &mut block.missing[rest * exposures + exposure];
                *missing = missing.wrapping_add(stored.tally.missing(segment, exposure));
            }
            while cell < last_cell && mapping.cells[cell].segment as usize == segment {
                let to = mapping.cells[cell].slot as usize - block.first_slot;
                for mechanism in 0..mechanisms {
                    let moved = cells.damage.clocks_q48[cell * mechanisms + mechanism];
                    let sum = &mut block.clocks_q48[to * mechanisms + mechanism];
                    *sum = sum.wrapping_add(moved);
                    let sum = &mut block.clocks_q48[rest * mechanisms + mechanism];
                    *sum = sum.wrapping_sub(moved);
                }
                for word in 0..words {
                    block.capped[to * words + word] |= cells.damage.capped[cell * words + word];
                }
                for exposure in 0..exposures {
                    let moved = cells.tally.missing(cell, exposure);
                    let count = &mut block.missing[to * exposures + exposure];
                    *count = count.wrapping_add(moved);
                    let count = &mut block.missing[rest * exposures + exposure];
                    *count = count.wrapping_sub(moved);
                }
                let moved = &cells.tally.slots[cell];
                block.tally[to].add(moved);
                left.records = left.records.saturating_sub(moved.records);
                cell += 1;
            }
            if left.records != held.records {
                let slot = (rest_slot - first_slot) as usize;
                let after = slot.checked_sub(1).and_then(|before| boundaries.get(before)).copied();
                narrow(&mut left, held, after, boundaries.get(slot).copied(), &stored.presence[ordinal], plan.axis);
            }
            if left.records > 0 {
                block.tally[rest].add(&left);
            }
        }
        let tonight = &mut block.drivers[(vehicle - block.vehicles.start) * widths.drivers..][..widths.drivers];
        for (tonight, &sum) in tonight.iter_mut().zip(&stored.damage.drivers[ordinal * widths.drivers..]) {
            *tonight = tonight.wrapping_add(sum);
        }
    }
}

fn add_clocks(block: &mut Block, slot: usize, clocks_q48: &[u64], mechanisms: usize) {
    for (sum, clock) in block.clocks_q48[slot * mechanisms..][..mechanisms].iter_mut().zip(clocks_q48) {
        *sum = sum.wrapping_add(*clock);
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
