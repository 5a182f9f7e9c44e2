//! Tonight's sums as the next generation of the state.
//!
//! Vehicles keep their ordinals; new ones come behind. Rows are moved from the order of tonight's indices to that of
//! the ordinals, block by block on all threads.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, LargeStringArray};
use arrow::datatypes::Int64Type;
use rayon::prelude::*;

use super::cells::{ABSENT, Segments};
use super::merge::Widths;
use super::presence::Presence;
use super::stored::Stored;
use super::traits::FleetTraits;
use crate::backend::DamageSums;
use crate::fleet::state::ids::Ordinals;
use crate::fleet::vehicles::Ids;
use crate::score::slots::SlotPlan;
use crate::score::sums::FleetSums;
use crate::score::tally::{SlotTally, Tally};

/// Vehicles of a block.
const BLOCK_VEHICLES: usize = 1 << 12;

/// Tonight's side of the next generation.
pub struct Tonight<'a> {
    pub sums: &'a FleetSums,
    pub plan: &'a SlotPlan,
    pub ordinals: &'a Ordinals,
    /// Days of tonight's new records by vehicle index; vehicles beyond have none.
    pub presence: &'a [Presence],
    pub traits: &'a FleetTraits,
}

/// What a block of vehicles fills.
struct Block<'a> {
    vehicles: &'a [u32],
    clocks_q48: &'a mut [u64],
    capped: &'a mut [u32],
    drivers: &'a mut [i64],
    slots: &'a mut [SlotTally],
    missing: &'a mut [u32],
}

/// The next generation. `before` is the one that the night began with.
pub(super) fn collect(before: Option<&Stored>, tonight: &Tonight, widths: Widths) -> Stored {
    let Tonight { sums, plan, ordinals, .. } = *tonight;
    let kept = before.map_or(0, |before| before.presence.len());
    let vehicles = ordinals.next as usize + sums.vehicles.saturating_sub(ordinals.of_index.len());
    let mut index = vec![ABSENT; vehicles.max(kept)];
    for vehicle in 0..sums.vehicles as u32 {
        index[ordinals.of(vehicle) as usize] = vehicle;
    }
    let mut segments = Segments { base: Vec::with_capacity(index.len() + 1), boundary_ticks: Vec::new() };
    segments.base.push(0);
    for &vehicle in &index {
        let boundaries = if vehicle == ABSENT { &[][..] } else { plan.boundaries(vehicle as usize).1 };
        segments.push(boundaries);
    }
    let count = segments.base.last().map_or(0, |&count| count as usize);
    let Widths { mechanisms, words, drivers, exposures } = widths;
    let mut damage = DamageSums {
        clocks_q48: vec![0; count * mechanisms],
        capped: vec![0; count * words],
        drivers: vec![0; index.len() * drivers],
    };
    let mut tally = Tally::empty(count, exposures);
    let mut blocks = Vec::with_capacity(index.len().div_ceil(BLOCK_VEHICLES));
    {
        let mut clocks_q48 = damage.clocks_q48.as_mut_slice();
        let mut capped = damage.capped.as_mut_slice();
        let mut driver_sums = damage.drivers.as_mut_slice();
        let mut slots = tally.slots.as_mut_slice();
        let mut missing = tally.missing.as_mut_slice();
        for (number, vehicles) in index.chunks(BLOCK_VEHICLES).enumerate() {
            let first = number * BLOCK_VEHICLES;
            let rows = (segments.base[first + vehicles.len()] - segments.base[first]) as usize;
            blocks.push(Block {
                vehicles,
                clocks_q48: take(&mut clocks_q48, rows * mechanisms),
                capped: take(&mut capped, rows * words),
                drivers: take(&mut driver_sums, vehicles.len() * drivers),
                slots: take(&mut slots, rows),
                missing: take(&mut missing, rows * exposures),
            });
        }
    }
    blocks.into_par_iter().for_each(|block| fill(block, tonight, widths));
    let presence = index
        .par_iter()
        .enumerate()
        .map(|(ordinal, &vehicle)| {
            let mut presence =
                before.and_then(|before| before.presence.get(ordinal)).copied().unwrap_or(Presence::NONE);
            if let Some(new) = tonight.presence.get(vehicle as usize) {
                presence.merge(new);
            }
            presence
        })
        .collect();
    let traits = index
        .iter()
        .enumerate()
        .map(|(ordinal, &vehicle)| match vehicle {
            ABSENT => before.and_then(|before| before.traits.get(ordinal)).copied().unwrap_or_default(),
            vehicle => tonight.traits.of(vehicle as usize),
        })
        .collect();
    let unlisted = index
        .iter()
        .enumerate()
        .map(|(ordinal, &vehicle)| match vehicle {
            ABSENT => before.and_then(|before| before.unlisted.get(ordinal)).copied().unwrap_or(0),
            vehicle => u8::from(vehicle as usize >= plan.known()),
        })
        .collect();
    Stored { ids: ids_by_ordinal(before, &sums.ids, &index), unlisted, traits, presence, segments, tally, damage }
}

fn fill(block: Block, tonight: &Tonight, widths: Widths) {
    let Widths { mechanisms, words, drivers, exposures } = widths;
    let sums = tonight.sums;
    let mut row = 0;
    for (place, &vehicle) in block.vehicles.iter().enumerate() {
        if vehicle == ABSENT {
            row += 1;
            continue;
        }
        for slot in tonight.plan.of(vehicle as usize) {
            let clocks = &sums.damage.clocks_q48[slot * mechanisms..][..mechanisms];
            block.clocks_q48[row * mechanisms..][..mechanisms].copy_from_slice(clocks);
            block.capped[row * words..][..words].copy_from_slice(&sums.damage.capped[slot * words..][..words]);
            block.slots[row] = sums.tally.slots[slot];
            let missing = &sums.tally.missing[slot * exposures..][..exposures];
            block.missing[row * exposures..][..exposures].copy_from_slice(missing);
            row += 1;
        }
        let of_vehicle = &sums.damage.drivers[vehicle as usize * drivers..][..drivers];
        block.drivers[place * drivers..][..drivers].copy_from_slice(of_vehicle);
    }
}

fn ids_by_ordinal(before: Option<&Stored>, ids: &Ids, index: &[u32]) -> ArrayRef {
    let old = before.map(|before| &before.ids);
    match ids {
        Ids::Integer(ids) => {
            let old = old.and_then(|old| old.as_primitive_opt::<Int64Type>());
            let id = |(ordinal, &vehicle): (usize, &u32)| match ids.get(vehicle as usize) {
                Some(&id) => id,
                None => old.filter(|old| ordinal < old.len()).map_or(0, |old| old.value(ordinal)),
            };
            Arc::new(Int64Array::from_iter_values(index.iter().enumerate().map(id)))
        }
        Ids::Text(ids) => {
            let old = old.and_then(|old| old.as_string_opt::<i64>());
            let id = |(ordinal, &vehicle): (usize, &u32)| match ids.get(vehicle as usize) {
                Some(id) => id.as_str(),
                None => old.filter(|old| ordinal < old.len()).map_or("", |old| old.value(ordinal)),
            };
            Arc::new(LargeStringArray::from_iter_values(index.iter().enumerate().map(id)))
        }
    }
}

fn take<'a, T>(slice: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let (head, tail) = std::mem::take(slice).split_at_mut(count);
    *slice = tail;
    head
}
