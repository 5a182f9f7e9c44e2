//! Yesterday's sums laid over tonight's: stored segments and the cells cut from them, added to tonight's slots.
//!
//! Slots of neighbouring vehicles stand together, so the fleet is cut into blocks of vehicles that threads fill apart.
//! The stored arrays are read a span of ordinals at a time, so that only tonight's sums are ever whole in memory.
//! Clocks and driver sums wrap; counts of a rest are the segment's less its cells'; its first and last day come from
//! the vehicle's presence, because a least and a greatest cannot be subtracted. Such a tick is the first or last of its
//! day: scores look at days only.

use std::collections::HashMap;
use std::ops::Range;

use bytemuck::Pod;
use rayon::prelude::*;

use super::cell_sums::CellSums;
use super::cells::{ABSENT, Mapping};
use super::presence::Presence;
use super::stored::Stored;
use crate::fleet::state::arrays::Spans;
use crate::fleet::state::error::StateError;
use crate::fleet::time::TimeAxis;
use crate::run::Control;
use crate::score::slots::SlotPlan;
use crate::score::sums::FleetSums;
use crate::score::tally::SlotTally;

/// Vehicles of a block.
const BLOCK_VEHICLES: usize = 1 << 12;

/// Bytes of a span of a stored array, but for a single vehicle that has more.
const SPAN_BYTES: usize = 32 << 20;

/// What is laid over tonight's sums.
#[derive(Clone, Copy)]
pub struct Overlay<'a> {
    pub stored: &'a Stored,
    pub mapping: &'a Mapping,
    /// Sums of the mapping's cells.
    pub cells: &'a CellSums,
    /// Capped bits of rests, by segment, where they are not the segment's own.
    pub rest_capped: &'a HashMap<u32, Vec<u32>>,
    /// Tonight's vehicle index by ordinal, [`ABSENT`] for vehicles that are not in tonight's fleet.
    pub index: &'a [u32],
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
    stored: Spans<'a, T>,
    cells: &'a [T],
    width: usize,
}

/// A vehicle of tonight's that the state knows. Sorted by vehicle they follow the blocks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    vehicle: u32,
    ordinal: u32,
}

/// Those of some known vehicles, sorted, that lie in a range of vehicles.
fn within<'k>(known: &'k [Known], vehicles: &Range<usize>) -> &'k [Known] {
    let before = |end: usize| known.partition_point(|known| (known.vehicle as usize) < end);
    &known[before(vehicles.start)..before(vehicles.end)]
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
    /// Adds the stored sums to tonight's.
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

        let held = Rows { stored: stored.sums.clocks_q48(), cells: &cells.damage.clocks_q48, width: mechanisms };
        let clocks_q48 = &mut damage.clocks_q48;
        self.lay(fleet, clocks_q48, held, |_, _| {}, u64::wrapping_add, u64::wrapping_sub, control)?;

        let held = Rows { stored: stored.sums.missing(), cells: &cells.tally.missing, width: exposures };
        self.lay(fleet, &mut tally.missing, held, |_, _| {}, u32::wrapping_add, u32::wrapping_sub, control)?;

        let held = Rows { stored: stored.sums.capped(), cells: &cells.damage.capped, width: words };
        let rests = |segments: Range<usize>, capped: &mut [u32]| {
            for (&segment, rest) in
                self.rest_capped.iter().filter(|(segment, _)| segments.contains(&(**segment as usize)))
            {
                capped[(segment as usize - segments.start) * words..][..words].copy_from_slice(rest);
            }
        };
        // Whether a bit stays with the rest is known already.
        self.lay(fleet, &mut damage.capped, held, rests, |sum, bits| sum | bits, |rest, _| rest, control)?;

        self.add_drivers(&mut damage.drivers, drivers, control)?;
        let known = self.known(0..self.index.len());
        let blocks = fleet.blocks(&mut tally.slots, 1).into_par_iter();
        blocks.for_each(|mut block| self.lay_tally(&mut block, &known, plan));
        Ok(())
    }

    /// Adds segments to the slots of their rests, and moves cells from there to their own. `mend` sees a span of
    /// stored rows, and which segments they are, before they are added.
    #[expect(clippy::too_many_arguments, reason = "the one way in which an array is laid over another")]
    fn lay<T: Pod + Send + Sync>(
        &self,
        fleet: Fleet,
        tonight: &mut [T],
        mut held: Rows<T>,
        mend: impl Fn(Range<usize>, &mut [T]),
        add: impl Fn(T, T) -> T + Sync,
        subtract: impl Fn(T, T) -> T + Sync,
        control: &Control,
    ) -> Result<(), StateError> {
        let (cells, width) = (held.cells, held.width);
        let base = &self.stored.segments.base;
        for ordinals in spans(base, width * size_of::<T>()) {
            control.check()?;
            let segments = base[ordinals.start] as usize..base[ordinals.end] as usize;
            let stored = held.stored.read(segments.start * width..segments.end * width)?;
            mend(segments.clone(), stored);
            let (stored, known) = (&*stored, self.known(ordinals));
            fleet.blocks(tonight, width).into_par_iter().for_each(|block| {
                self.segments_of(within(&known, &block.vehicles), |_, ordinal, segment, slot| {
                    let Some(rest) = block.row(slot) else { return };
                    let row = &stored[(segment - segments.start) * width..][..width];
                    for (sum, &held) in block.values[rest..][..width].iter_mut().zip(row) {
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
        Ok(())
    }

    /// Adds each vehicle's driver sums.
    fn add_drivers(&self, tonight: &mut [i64], drivers: usize, control: &Control) -> Result<(), StateError> {
        let mut held = self.stored.sums.drivers();
        let width = drivers.max(1);
        let vehicles = self.index.len();
        let span = (SPAN_BYTES / (width * size_of::<i64>())).max(1);
        for first in (0..vehicles).step_by(span) {
            control.check()?;
            let ordinals = first..(first + span).min(vehicles);
            let stored = &*held.read(ordinals.start * drivers..ordinals.end * drivers)?;
            let known = self.known(ordinals.clone());
            tonight.par_chunks_mut(BLOCK_VEHICLES * width).enumerate().for_each(|(block, sums)| {
                let from = block * BLOCK_VEHICLES;
                for &Known { vehicle, ordinal } in within(&known, &(from..from + BLOCK_VEHICLES)) {
                    let row = &stored[(ordinal as usize - ordinals.start) * drivers..][..drivers];
                    for (sum, held) in sums[(vehicle as usize - from) * drivers..].iter_mut().zip(row) {
                        *sum = sum.wrapping_add(*held);
                    }
                }
            });
        }
        Ok(())
    }

    fn lay_tally(&self, block: &mut Block<SlotTally>, known: &[Known], plan: &SlotPlan) {
        self.segments_of(within(known, &block.vehicles), |vehicle, ordinal, segment, rest_slot| {
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
    fn segments_of(&self, known: &[Known], mut each: impl FnMut(usize, usize, usize, u32)) {
        for &Known { vehicle, ordinal } in known {
            for segment in self.stored.segments.of(ordinal as usize) {
                each(vehicle as usize, ordinal as usize, segment, self.mapping.slot_of_segment[segment]);
            }
        }
    }

    /// The vehicles of some ordinals that are in tonight's fleet, sorted by vehicle.
    fn known(&self, ordinals: Range<usize>) -> Vec<Known> {
        let place = |ordinal: usize| Known { vehicle: self.index[ordinal], ordinal: ordinal as u32 };
        let mut known: Vec<Known> = ordinals.map(place).filter(|known| known.vehicle != ABSENT).collect();
        known.par_sort_unstable();
        known
    }
}

/// Ranges of ordinals whose segments, rows of so many bytes, make up a span each. `base`: first segment by ordinal.
fn spans(base: &[u32], row_bytes: usize) -> Vec<Range<usize>> {
    let most = (SPAN_BYTES / row_bytes.max(1)).max(1);
    let (mut spans, mut first) = (Vec::new(), 0);
    while first + 1 < base.len() {
        let fitting = base.partition_point(|&segment| segment as usize <= base[first] as usize + most) - 1;
        let end = fitting.max(first + 1);
        spans.push(first..end);
        first = end;
    }
    spans
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_all_ordinals_and_hold_no_more_than_fits() {
        let row_bytes = SPAN_BYTES / 4;
        assert_eq!(
            spans(&[0, 2, 4, 5, 12, 13], row_bytes),
            [0..2, 2..3, 3..4, 4..5],
            "the fourth vehicle alone has more"
        );
        assert_eq!(spans(&[0, 1, 2], 0).first(), Some(&(0..2)));
        assert!(spans(&[0], 8).is_empty());
    }
}
