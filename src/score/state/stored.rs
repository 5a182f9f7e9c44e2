//! What a generation holds of each vehicle.
//!
//! A vehicle's number in the state, its *ordinal*, is its place in these arrays and never changes; the log of packed
//! records names vehicles by it. Sums stand per segment of the vehicle's time ([`super::cells`]). They are most of a
//! generation and wanted once, so they stay on disk ([`StoredSums`]); the rest is in memory all night.

use arrow::array::ArrayRef;

use super::cells::Segments;
use super::presence::Presence;
use super::record::{Dimensions, StateRecord};
use super::traits::Traits;
use crate::fleet::state::arrays::{Arrays, Spans};
use crate::fleet::state::error::StateError;
use crate::fleet::state::ids;
use crate::score::tally::SlotTally;

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
    pub tally: Vec<SlotTally>,
    pub sums: StoredSums,
}

/// The sums of a generation, read when they are asked for and never held whole. That the files are whole is seen at once;
/// a flipped bit only then.
#[derive(Clone, Debug)]
pub struct StoredSums {
    arrays: Arrays,
    dimensions: Dimensions,
}

impl StoredSums {
    fn expect(&self) -> Result<(), StateError> {
        let Dimensions { vehicles, segments, mechanisms, exposures, drivers, .. } = self.dimensions;
        self.arrays.expect::<u64>("clock_q48", segments * mechanisms)?;
        self.arrays.expect::<u32>("capped", segments * mechanisms.div_ceil(32))?;
        self.arrays.expect::<u32>("missing", segments * exposures)?;
        self.arrays.expect::<i64>("driver", vehicles * drivers)
    }

    /// By segment and mechanism.
    pub fn clocks_q48(&self) -> Spans<'_, u64> {
        self.arrays.spans("clock_q48", self.dimensions.segments * self.dimensions.mechanisms)
    }

    /// Bits of the mechanisms, by segment.
    pub fn capped(&self) -> Spans<'_, u32> {
        self.arrays.spans("capped", self.dimensions.segments * self.dimensions.mechanisms.div_ceil(32))
    }

    /// Records without an exposure, by segment and exposure.
    pub fn missing(&self) -> Spans<'_, u32> {
        self.arrays.spans("missing", self.dimensions.segments * self.dimensions.exposures)
    }

    /// By vehicle and driver column of the model.
    pub fn drivers(&self) -> Spans<'_, i64> {
        self.arrays.spans("driver", self.dimensions.vehicles * self.dimensions.drivers)
    }
}

impl Stored {
    /// Tick of a vehicle's first record; the greatest tick if it has none.
    pub fn first_tick(&self, ordinal: usize) -> i32 {
        let slots = self.segments.of(ordinal).map(|segment| &self.tally[segment]);
        slots.filter(|slot| slot.records > 0).map(|slot| slot.first_tick).min().unwrap_or(i32::MAX)
    }

    pub fn read(folder: &std::path::Path, record: &StateRecord) -> Result<Self, StateError> {
        let Dimensions { vehicles, segments: count, .. } = record.dimensions;
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
        let tally = records
            .into_iter()
            .zip(first_ticks.into_iter().zip(last_ticks))
            .map(|(records, (first_tick, last_tick))| SlotTally { records, first_tick, last_tick })
            .collect();
        let unlisted = arrays.read("unlisted", vehicles)?;
        let sums = StoredSums { arrays, dimensions: record.dimensions };
        sums.expect()?;
        Ok(Self { ids, unlisted, traits, presence, segments, tally, sums })
    }
}
