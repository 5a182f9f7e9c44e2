//! Which side of a new boundary a capped record lies on.
//!
//! That an increment was capped is one bit for a whole segment, and bits cannot be taken out of a sum. Where a cell cut
//! from a segment holds a capped record, the rest is summed too, for its bits alone; where the rest reaches behind the
//! log, the vehicle is formed anew.

use std::collections::HashMap;

use super::cell_sums::{CellRows, CellSummer, CellSums};
use super::cells::Mapping;
use super::log_read::LogReader;
use super::night::{Before, NightError};
use crate::fleet::chunk::Chunk;
use crate::fleet::scan::SinkError;
use crate::run::Control;
use crate::score::slots::SlotPlan;

/// The capped bits of rests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RestCapped {
    /// Words of the rest by segment; rests of other segments have the segment's own.
    pub words: HashMap<u32, Vec<u32>>,
    /// Ordinals of vehicles whose rest reaches behind the log.
    pub unresolved: Vec<u32>,
}

/// A rest that has to be summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rest {
    ordinal: u32,
    segment: u32,
    from_tick: i32,
    to_tick: i32,
}

/// Opens a summer for cells of these vehicles (tonight's indices).
pub(super) type OpenRests<'a, 's> = dyn Fn(&[u32]) -> Result<CellSummer<'s>, NightError> + 'a;

/// Finds the rests beside cells with capped records, and sums them from the log.
pub(super) fn resolve(
    before: &Before,
    mapping: &Mapping,
    cells: &CellSums,
    plan: &SlotPlan,
    log: &LogReader,
    open: &OpenRests,
    control: &Control,
) -> Result<RestCapped, NightError> {
    let mut resolved = RestCapped::default();
    let words = if mapping.cells.is_empty() { 0 } else { cells.damage.capped.len() / mapping.cells.len() };
    if words == 0 || cells.damage.capped.iter().all(|&word| word == 0) {
        return Ok(resolved);
    }
    let mut rests: Vec<Rest> = Vec::new();
    for (cell, capped) in cells.damage.capped.chunks(words).enumerate() {
        let segment = mapping.cells[cell].segment;
        if capped.iter().all(|&word| word == 0) || rests.last().is_some_and(|rest| rest.segment == segment) {
            continue;
        }
        let ordinal = mapping.first_cell.partition_point(|&first| first as usize <= cell) - 1;
        let held = &before.stored.tally[segment as usize];
        let (first_slot, boundaries) = plan.boundaries(before.index[ordinal] as usize);
        let slot = (mapping.slot_of_segment[segment as usize] - first_slot) as usize;
        let after = slot.checked_sub(1).and_then(|place| boundaries.get(place));
        let from_tick = after.map_or(held.first_tick, |&after| held.first_tick.max(after.saturating_add(1)));
        let to_tick = boundaries.get(slot).map_or(held.last_tick, |&to| held.last_tick.min(to));
        if from_tick < before.record.covered_from_tick {
            resolved.unresolved.push(ordinal as u32);
        } else {
            rests.push(Rest { ordinal: ordinal as u32, segment, from_tick, to_tick });
        }
    }
    if rests.is_empty() {
        return Ok(resolved);
    }
    // Segments of one vehicle follow one another, and their rests do not overlap.
    let mut of_ordinal: HashMap<u32, Vec<u32>> = HashMap::new();
    for (number, rest) in rests.iter().enumerate() {
        of_ordinal.entry(rest.ordinal).or_default().push(number as u32);
    }
    let rest_at = |ordinal: u32, tick: i32| {
        let numbers = of_ordinal.get(&ordinal)?;
        numbers.iter().copied().find(|&number| {
            let rest = &rests[number as usize];
            rest.from_tick <= tick && tick <= rest.to_tick && mapping.cell_at(ordinal as usize, tick).is_none()
        })
    };
    let vehicles: Vec<u32> = rests.iter().map(|rest| before.index[rest.ordinal as usize]).collect();
    let summer = open(&vehicles)?;
    let mut ticks: Vec<(i32, i32)> = rests.iter().map(|rest| (rest.from_tick, rest.to_tick)).collect();
    ticks.sort_unstable();
    ticks.dedup();
    let take = |lane: usize, rows: &Chunk| -> Result<(), SinkError> {
        let of_row = rows.vehicle.iter().zip(&rows.tick);
        let cell: Vec<u32> = of_row.map(|(&ordinal, &tick)| rest_at(ordinal, tick).unwrap_or(0)).collect();
        summer.push(lane, &CellRows { cell: &cell, vehicle: &cell, tick: &rows.tick, codes: &rows.codes })
    };
    log.find(&ticks, &|ordinal, tick| rest_at(ordinal, tick).is_some(), &take, control)?;
    let sums = summer.finish(rests.len(), 0)?;
    for (rest, capped) in rests.iter().zip(sums.damage.capped.chunks(words)) {
        resolved.words.insert(rest.segment, capped.to_vec());
    }
    Ok(resolved)
}
