//! Tonight's sums as the next generation of the state.
//!
//! Vehicles keep their ordinals; new ones come behind. Nothing is copied into the order of the ordinals: each array is
//! made piece by piece as it is written ([`arrays::write_made`]), so that it is not held twice.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, LargeStringArray};
use arrow::datatypes::{DataType, Int64Type};
use bytemuck::Pod;
use rayon::prelude::*;

use super::cells::{ABSENT, Segments};
use super::merge::Widths;
use super::presence::Presence;
use super::record::Dimensions;
use super::stored::Stored;
use super::traits::{FleetTraits, Traits};
use crate::fleet::state::arrays;
use crate::fleet::state::error::StateError;
use crate::fleet::state::ids::{self, Ordinals};
use crate::fleet::vehicles::Ids;
use crate::fleet::writer::OutputFolder;
use crate::run::Control;
use crate::score::slots::SlotPlan;
use crate::score::sums::FleetSums;
use crate::score::tally::SlotTally;

/// Tonight's side of the next generation.
#[derive(Clone, Copy)]
pub struct Tonight<'a> {
    pub sums: &'a FleetSums,
    pub plan: &'a SlotPlan,
    pub ordinals: &'a Ordinals,
    /// Days of tonight's new records by vehicle index; vehicles beyond have none.
    pub presence: &'a [Presence],
    pub traits: &'a FleetTraits,
}

/// The next generation, in the order of the ordinals.
pub(super) struct Collected<'a> {
    /// The generation that the night began with.
    before: Option<&'a Stored>,
    tonight: Tonight<'a>,
    widths: Widths,
    /// Tonight's vehicle index of each ordinal, [`ABSENT`] where it has none.
    index: Vec<u32>,
    segments: Segments,
}

impl<'a> Collected<'a> {
    pub fn new(before: Option<&'a Stored>, tonight: Tonight<'a>, widths: Widths) -> Self {
        let Tonight { sums, plan, ordinals, .. } = tonight;
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
        Self { before, tonight, widths, index, segments }
    }

    /// The lengths that `state.json` remembers; `channels` is the number of code columns of the log.
    pub fn dimensions(&self, channels: usize) -> Dimensions {
        let Widths { mechanisms, drivers, exposures, .. } = self.widths;
        Dimensions {
            vehicles: self.index.len(),
            segments: self.segments.base.last().map_or(0, |&count| count as usize),
            mechanisms,
            exposures,
            drivers,
            channels,
        }
    }

    /// Writes all arrays. Returns whether the ids are text.
    pub fn write(&self, folder: &OutputFolder, control: &Control) -> Result<bool, StateError> {
        let ids = self.ids();
        ids::write(folder, &ids)?;
        let text_ids = *ids.data_type() == DataType::LargeUtf8;
        drop(ids);
        arrays::write(folder, "unlisted", &self.of_vehicles(|ordinal, vehicle| self.unlisted(ordinal, vehicle)))?;
        let traits = self.of_vehicles(|ordinal, vehicle| self.traits(ordinal, vehicle));
        arrays::write(folder, "masks_hash", &column(&traits, |traits| traits.masks))?;
        arrays::write(folder, "side_tables_hash", &column(&traits, |traits| traits.side_tables))?;
        drop(traits);
        let presence = self.of_vehicles(|ordinal, vehicle| self.presence(ordinal, vehicle));
        arrays::write(folder, "presence_last_day", &column(&presence, |presence| presence.last_day))?;
        arrays::write(folder, "presence_mask", &column(&presence, |presence| presence.mask))?;
        drop(presence);
        let boundaries = self.of_vehicles(|ordinal, _| self.segments.boundaries(ordinal).len() as u32);
        arrays::write(folder, "boundaries", &boundaries)?;
        arrays::write(folder, "boundary_tick", &self.segments.boundary_ticks)?;

        control.check()?;

        let Widths { mechanisms, words, drivers, exposures } = self.widths;
        let FleetSums { damage, tally, .. } = self.tonight.sums;
        let slot = |slot: Option<usize>| slot.map_or(SlotTally::EMPTY, |slot| tally.slots[slot]);
        self.write_segments(folder, control, "records", 1, |at, values| values.push(slot(at).records))?;
        self.write_segments(folder, control, "first_tick", 1, |at, values| values.push(slot(at).first_tick))?;
        self.write_segments(folder, control, "last_tick", 1, |at, values| values.push(slot(at).last_tick))?;
        self.write_segments(folder, control, "missing", exposures, |at, values| {
            extend(values, &tally.missing, at, exposures)
        })?;
        self.write_segments(folder, control, "clock_q48", mechanisms, |at, values| {
            extend(values, &damage.clocks_q48, at, mechanisms);
        })?;
        self.write_segments(folder, control, "capped", words, |at, values| extend(values, &damage.capped, at, words))?;
        arrays::write_made(folder, control, "driver", self.index.len() * drivers, |range| {
            of_rows(range, drivers, |rows, values| {
                for &vehicle in &self.index[rows] {
                    extend(values, &damage.drivers, (vehicle != ABSENT).then_some(vehicle as usize), drivers);
                }
            })
        })?;
        Ok(text_ids)
    }

    /// Writes an array of `width` values a segment; `push` appends those of one of tonight's slots, or of none.
    fn write_segments<T: Pod + Send>(
        &self,
        folder: &OutputFolder,
        control: &Control,
        name: &str,
        width: usize,
        push: impl Fn(Option<usize>, &mut Vec<T>) + Sync,
    ) -> Result<(), StateError> {
        let base = &self.segments.base;
        let count = base.last().map_or(0, |&count| count as usize);
        arrays::write_made(folder, control, name, count * width, |range| {
            of_rows(range, width, |rows, values| {
                let mut ordinal = base.partition_point(|&first| first as usize <= rows.start) - 1;
                for segment in rows {
                    while segment >= base[ordinal + 1] as usize {
                        ordinal += 1;
                    }
                    let slot = match self.index[ordinal] {
                        ABSENT => None,
                        vehicle => {
                            Some(self.tonight.plan.of(vehicle as usize).start + segment - base[ordinal] as usize)
                        }
                    };
                    push(slot, values);
                }
            })
        })
    }

    /// A value for each ordinal and tonight's vehicle there.
    fn of_vehicles<T: Send>(&self, value: impl Fn(usize, u32) -> T + Sync) -> Vec<T> {
        self.index.par_iter().enumerate().map(|(ordinal, &vehicle)| value(ordinal, vehicle)).collect()
    }

    fn presence(&self, ordinal: usize, vehicle: u32) -> Presence {
        let before = self.before.and_then(|before| before.presence.get(ordinal));
        let mut presence = before.copied().unwrap_or(Presence::NONE);
        if let Some(new) = self.tonight.presence.get(vehicle as usize) {
            presence.merge(new);
        }
        presence
    }

    fn traits(&self, ordinal: usize, vehicle: u32) -> Traits {
        match vehicle {
            ABSENT => self.before.and_then(|before| before.traits.get(ordinal)).copied().unwrap_or_default(),
            vehicle => self.tonight.traits.of(vehicle as usize),
        }
    }

    fn unlisted(&self, ordinal: usize, vehicle: u32) -> u8 {
        match vehicle {
            ABSENT => self.before.and_then(|before| before.unlisted.get(ordinal)).copied().unwrap_or(0),
            vehicle => u8::from(vehicle as usize >= self.tonight.plan.known()),
        }
    }

    fn ids(&self) -> ArrayRef {
        let old = self.before.map(|before| &before.ids);
        match &self.tonight.sums.ids {
            Ids::Integer(ids) => {
                let old = old.and_then(|old| old.as_primitive_opt::<Int64Type>());
                let id = |(ordinal, &vehicle): (usize, &u32)| match ids.get(vehicle as usize) {
                    Some(&id) => id,
                    None => old.filter(|old| ordinal < old.len()).map_or(0, |old| old.value(ordinal)),
                };
                Arc::new(Int64Array::from_iter_values(self.index.iter().enumerate().map(id)))
            }
            Ids::Text(ids) => {
                let old = old.and_then(|old| old.as_string_opt::<i64>());
                let id = |(ordinal, &vehicle): (usize, &u32)| match ids.get(vehicle as usize) {
                    Some(id) => id.as_str(),
                    None => old.filter(|old| ordinal < old.len()).map_or("", |old| old.value(ordinal)),
                };
                Arc::new(LargeStringArray::from_iter_values(self.index.iter().enumerate().map(id)))
            }
        }
    }
}

/// The values of a range of an array with `width` values a row: `push` appends whole rows.
fn of_rows<T>(range: Range<usize>, width: usize, push: impl FnOnce(Range<usize>, &mut Vec<T>)) -> Vec<T> {
    let rows = range.start / width..range.end.div_ceil(width);
    let (first, mut values) = (rows.start * width, Vec::with_capacity(rows.len() * width));
    push(rows, &mut values);
    values.truncate(range.end - first);
    values.drain(..range.start - first);
    values
}

/// Appends the values of a row; zeros for none.
fn extend<T: Pod>(values: &mut Vec<T>, all: &[T], row: Option<usize>, width: usize) {
    match row {
        Some(row) => values.extend_from_slice(&all[row * width..][..width]),
        None => values.resize(values.len() + width, T::zeroed()),
    }
}

fn column<T, V>(rows: &[T], value: impl Fn(&T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_cuts_rows_holds_what_the_whole_array_has_there() {
        let push = |rows: Range<usize>, values: &mut Vec<usize>| values.extend(rows.start * 3..rows.end * 3);
        for range in [0..12, 1..2, 2..7, 3..6, 5..12, 11..12] {
            assert_eq!(of_rows(range.clone(), 3, push), range.collect::<Vec<_>>());
        }
    }
}
