//! What a generation holds of each vehicle, in memory, and as arrays on disk.
//!
//! A vehicle's number in the state, its *ordinal*, is its place in these arrays and never changes; the log of packed
//! records names vehicles by it. Sums stand per segment of the vehicle's time ([`super::cells`]).

use arrow::array::{Array, ArrayRef};

use crate::backend::DamageSums;
use crate::fleet::writer::OutputFolder;
use crate::score::tally::{SlotTally, Tally};

use super::cells::Segments;
use super::presence::Presence;
use super::record::{Dimensions, StateRecord};
use super::traits::Traits;
use crate::fleet::state::arrays::{self, Arrays};
use crate::fleet::state::error::StateError;
use crate::fleet::state::ids;

/// Everything a generation knows of its vehicles, by ordinal.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Int64 or LargeUtf8, without nulls.
    pub ids: ArrayRef,
    /// Whether only the histories knew the vehicle: 1 if so. Such a vehicle stays in the fleet, records or not.
    pub unlisted: Vec<u8>,
    pub traits: Vec<Traits>,
    pub presence: Vec<Presence>,
    pub segments: Segments,
    /// Of the segments.
    pub tally: Tally,
    /// Clocks and capped bits of the segments; driver sums of the vehicles, only the columns that the model uses.
    pub damage: DamageSums,
}

impl Stored {
    /// The lengths that `state.json` remembers, for a model of this many mechanisms and driver columns.
    pub fn dimensions(&self, mechanisms: usize, drivers: usize, channels: usize) -> Dimensions {
        Dimensions {
            vehicles: self.ids.len(),
            segments: self.tally.slots.len(),
            mechanisms,
            exposures: self.tally.exposures,
            drivers,
            channels,
        }
    }

    /// Tick of a vehicle's first record; the greatest tick if it has none.
    pub fn first_tick(&self, ordinal: usize) -> i32 {
        let slots = self.segments.of(ordinal).map(|segment| &self.tally.slots[segment]);
        slots.filter(|slot| slot.records > 0).map(|slot| slot.first_tick).min().unwrap_or(i32::MAX)
    }

    pub fn write(&self, folder: &OutputFolder) -> Result<(), StateError> {
        ids::write(folder, &self.ids)?;
        arrays::write(folder, "unlisted", &self.unlisted)?;
        arrays::write(folder, "masks_hash", &column(&self.traits, |traits| traits.masks))?;
        arrays::write(folder, "side_tables_hash", &column(&self.traits, |traits| traits.side_tables))?;
        arrays::write(folder, "presence_last_day", &column(&self.presence, |presence| presence.last_day))?;
        arrays::write(folder, "presence_mask", &column(&self.presence, |presence| presence.mask))?;
        let boundaries: Vec<u32> =
            (0..self.segments.vehicles()).map(|v| self.segments.boundaries(v).len() as u32).collect();
        arrays::write(folder, "boundaries", &boundaries)?;
        arrays::write(folder, "boundary_tick", &self.segments.boundary_ticks)?;
        arrays::write(folder, "records", &column(&self.tally.slots, |slot| slot.records))?;
        arrays::write(folder, "first_tick", &column(&self.tally.slots, |slot| slot.first_tick))?;
        arrays::write(folder, "last_tick", &column(&self.tally.slots, |slot| slot.last_tick))?;
        arrays::write(folder, "missing", &self.tally.missing)?;
        arrays::write(folder, "clock_q48", &self.damage.clocks_q48)?;
        arrays::write(folder, "capped", &self.damage.capped)?;
        arrays::write(folder, "driver", &self.damage.drivers)
    }

    pub fn read(folder: &std::path::Path, record: &StateRecord) -> Result<Self, StateError> {
        let Dimensions { vehicles, segments: count, mechanisms, exposures, drivers, .. } = record.dimensions;
        let arrays = Arrays::open(folder)?;
        let damaged = |problem: &str| StateError::damaged(folder, problem);
        let ids = ids::read(&arrays, folder, record.text_ids, vehicles)?;
        let last_days: Vec<i32> = arrays.read("presence_last_day", vehicles)?;
        let masks: Vec<u128> = arrays.read("presence_mask", vehicles)?;
        let presence = last_days.into_iter().zip(masks).map(|(last_day, mask)| Presence { last_day, mask }).collect();
        let masks_hashes: Vec<u64> = arrays.read("masks_hash", vehicles)?;
        let side_tables_hashes: Vec<u64> = arrays.read("side_tables_hash", vehicles)?;
        let traits = masks_hashes.into_iter().zip(side_tables_hashes);
        let traits = traits.map(|(masks, side_tables)| Traits { masks, side_tables }).collect();
        let boundaries: Vec<u32> = arrays.read("boundaries", vehicles)?;
        let mut base = Vec::with_capacity(vehicles + 1);
        base.push(0u32);
        let mut next = 0u64;
        for &boundaries in &boundaries {
            next += u64::from(boundaries) + 1;
            base.push(next as u32);
        }
        if next != count as u64 || u32::try_from(count).is_err() {
            return Err(damaged("its segments do not fit its vehicles"));
        }
        let segments = Segments { base, boundary_ticks: arrays.read("boundary_tick", count - vehicles)? };
        let records: Vec<u32> = arrays.read("records", count)?;
        let first_ticks: Vec<i32> = arrays.read("first_tick", count)?;
        let last_ticks: Vec<i32> = arrays.read("last_tick", count)?;
        let slots = records
            .into_iter()
            .zip(first_ticks.into_iter().zip(last_ticks))
            .map(|(records, (first_tick, last_tick))| SlotTally { records, first_tick, last_tick })
            .collect();
        Ok(Self {
            ids,
            unlisted: arrays.read("unlisted", vehicles)?,
            traits,
            presence,
            segments,
            tally: Tally { slots, exposures, missing: arrays.read("missing", count * exposures)? },
            damage: DamageSums {
                clocks_q48: arrays.read("clock_q48", count * mechanisms)?,
                capped: arrays.read("capped", count * mechanisms.div_ceil(32))?,
                drivers: arrays.read("driver", vehicles * drivers)?,
            },
        })
    }
}

fn column<T, V>(rows: &[T], value: impl Fn(&T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}
