//! The reference kernel: plain loops over [`increment_q48`]. What it computes is the definition; every other kernel,
//! on any device, must give the same bits.
//!
//! Twin: `shaders/damage.wgsl`.

use std::ops::Range;

use super::damage::{SlotMaskTable, SlotSums, Stretch};
use super::tables::Group;
use crate::fixed::exp2::increment_q48;
use crate::model::tables::Lanes;

/// Adds the increments of the stretch's rows to the clocks of their slots.
pub fn add_increments(group: &Group, masks: &SlotMaskTable, stretch: &Stretch, sums: &mut SlotSums) {
    add_rows(group, masks, stretch, stretch.rows.clone(), sums);
}

/// The same for some of the stretch's rows: what a vector kernel leaves over.
pub fn add_rows(group: &Group, masks: &SlotMaskTable, stretch: &Stretch, rows: Range<usize>, sums: &mut SlotSums) {
    for row in rows {
        let slot = stretch.batch.slot()[row];
        let log2_q18 = log2_rates(group, masks.of(slot, group.index), stretch, row);
        add_lanes(group, slot, &log2_q18, sums);
    }
}

/// The sum of base, table entries and surviving interactions of one record.
fn log2_rates(group: &Group, slot_mask: u32, stretch: &Stretch, row: usize) -> Lanes {
    let mut log2_q18 = group.base_q18.0;
    let mut mask = slot_mask & group.interaction_bits;
    for input in &group.inputs {
        let code = usize::from(stretch.batch.codes()[input.column][row]);
        add(&mut log2_q18, &input.rows()[code << group.layout.code_shift()].0);
        if let Some(masks) = &input.masks {
            mask &= masks[code];
        }
    }
    while mask != 0 {
        add(&mut log2_q18, &group.interactions_q18[mask.trailing_zeros() as usize].0);
        mask &= mask - 1;
    }
    log2_q18
}

fn add(sums: &mut Lanes, entries: &Lanes) {
    for (sum, entry) in sums.iter_mut().zip(entries) {
        *sum = sum.wrapping_add(*entry);
    }
}

/// Raises two to the sums and adds them to the slot's clocks; flags what was capped.
pub fn add_lanes(group: &Group, slot: u32, log2_q18: &Lanes, sums: &mut SlotSums) {
    let mut capped_lanes = 0;
    let clocks = sums.clocks_mut(slot, group.index);
    for (lane, (clock, sum)) in clocks.iter_mut().zip(log2_q18).enumerate() {
        let (increment, capped) = increment_q48(*sum);
        *clock = clock.wrapping_add(increment);
        capped_lanes |= u32::from(capped) << lane;
    }
    if capped_lanes != 0 {
        sums.flag_capped(slot, group.index, capped_lanes);
    }
}
