//! What a generation holds of each vehicle, in memory, and as arrays on disk.
//!
//! A vehicle's number in the state, its *ordinal*, is its place in these arrays and never changes; the log of packed
//! records names vehicles by it. Sums stand per segment of the vehicle's time ([`super::cells`]).

use crate::backend::DamageSums;
use crate::fleet::vehicles::Ids;
use crate::fleet::writer::OutputFolder;
use crate::score::tally::{SlotTally, Tally};

use super::arrays::{self, Arrays};
use super::cells::Segments;
use super::error::StateError;
use super::presence::Presence;
use super::record::{Dimensions, StateRecord};

/// Everything a generation knows of its vehicles, by ordinal.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub ids: Ids,
    /// A hash of what of the vehicle's attributes bears on its increments.
    pub traits: Vec<u64>,
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

    pub fn write(&self, folder: &OutputFolder) -> Result<(), StateError> {
        let id_type = match &self.ids {
            Ids::Integer(ids) => {
                arrays::write(folder, "id", ids)?;
                "integer"
            }
            Ids::Text(ids) => {
                let mut ends = Vec::with_capacity(ids.len());
                let mut bytes = Vec::with_capacity(ids.iter().map(String::len).sum());
                for id in ids {
                    bytes.extend_from_slice(id.as_bytes());
                    ends.push(bytes.len() as u64);
                }
                arrays::write(folder, "id_end", &ends)?;
                arrays::write(folder, "id_bytes", &bytes)?;
                "text"
            }
        };
        folder.write_file("id_type", id_type.as_bytes())?;
        arrays::write(folder, "traits", &self.traits)?;
        arrays::write(folder, "presence_last_day", &column(&self.presence, |presence| presence.last_day))?;
        arrays::write(folder, "presence_mask", &column(&self.presence, |presence| presence.mask))?;
        let boundaries: Vec<u32> = (0..self.segments.vehicles()).map(|v| self.segments.boundaries(v).len() as u32).collect();
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
        let id_type = std::fs::read_to_string(folder.join("id_type")).map_err(|error| StateError::damaged(folder, error))?;
        let ids = if id_type == "integer" {
            Ids::Integer(arrays.read("id", vehicles)?)
        } else {
            let ends: Vec<u64> = arrays.read("id_end", vehicles)?;
            let bytes: Vec<u8> = arrays.read("id_bytes", ends.last().map_or(0, |&end| end as usize))?;
            let text = String::from_utf8(bytes).map_err(|error| StateError::damaged(folder, error))?;
            let starts = std::iter::once(0).chain(ends.iter().copied());
            let ids: Option<Vec<String>> =
                starts.zip(&ends).map(|(start, &end)| text.get(start as usize..end as usize).map(str::to_owned)).collect();
            Ids::Text(ids.ok_or_else(|| damaged("its ids do not fit together"))?)
        };
        let last_days: Vec<i32> = arrays.read("presence_last_day", vehicles)?;
        let masks: Vec<u128> = arrays.read("presence_mask", vehicles)?;
        let presence = last_days.into_iter().zip(masks).map(|(last_day, mask)| Presence { last_day, mask }).collect();
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
            traits: arrays.read("traits", vehicles)?,
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
