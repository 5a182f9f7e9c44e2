//! What is counted per slot beside the clocks: records, first and last time, records without an exposure.
//!
//! Counts add up and times take the least and the greatest, so any order and any split give the same. Threads collect
//! the changes of a chunk first and then apply them under locks of `RANGE_SLOTS` slots.

use std::sync::{Mutex, PoisonError, RwLock};

/// Slots that share a lock.
const RANGE_SLOTS: usize = 1 << 12;

/// Of one slot. Ticks are meaningless where `records` is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotTally {
    pub records: u32,
    pub first_tick: i32,
    pub last_tick: i32,
}

impl SlotTally {
    pub const EMPTY: SlotTally = SlotTally { records: 0, first_tick: i32::MAX, last_tick: i32::MIN };

    pub fn add(&mut self, other: &SlotTally) {
        self.records = self.records.saturating_add(other.records);
        self.first_tick = self.first_tick.min(other.first_tick);
        self.last_tick = self.last_tick.max(other.last_tick);
    }
}

/// The tally of all slots, at rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub slots: Vec<SlotTally>,
    /// Exposure channels of the model.
    pub exposures: usize,
    /// Records of the slot where the exposure is not available: `missing[slot * exposures + exposure]`.
    pub missing: Vec<u32>,
}

impl Tally {
    pub fn empty(slots: usize, exposures: usize) -> Self {
        Self { slots: vec![SlotTally::EMPTY; slots], exposures, missing: vec![0; slots * exposures] }
    }

    /// Records of a slot without this exposure.
    pub fn missing(&self, slot: usize, exposure: usize) -> u32 {
        self.missing[slot * self.exposures + exposure]
    }

    /// Adds slot `from` of another tally to slot `to`.
    pub fn add_slot(&mut self, to: usize, other: &Tally, from: usize) {
        self.slots[to].add(&other.slots[from]);
        for exposure in 0..self.exposures {
            let cell = &mut self.missing[to * self.exposures + exposure];
            *cell = cell.saturating_add(other.missing(from, exposure));
        }
    }
}

/// What one chunk adds.
#[derive(Clone, Debug, Default)]
pub struct TallyChanges {
    /// Slots, best grouped by range.
    pub slots: Vec<(u32, SlotTally)>,
    /// (slot, exposure, records).
    pub missing: Vec<(u32, u32, u32)>,
}

/// The tally while threads add to it. Slots come into being when they are first added to.
#[derive(Debug)]
pub struct SharedTally {
    exposures: usize,
    ranges: RwLock<Vec<Mutex<Option<Tally>>>>,
}

impl SharedTally {
    pub fn new(exposures: usize) -> Self {
        Self { exposures, ranges: RwLock::default() }
    }

    /// Adds what a chunk brought, and empties it for the next.
    pub fn apply(&self, changes: &mut TallyChanges) {
        let highest = changes.slots.iter().map(|(slot, _)| *slot as usize / RANGE_SLOTS).max().unwrap_or(0);
        let mut ranges = self.ranges.read().unwrap_or_else(PoisonError::into_inner);
        if highest >= ranges.len() {
            drop(ranges);
            let mut growing = self.ranges.write().unwrap_or_else(PoisonError::into_inner);
            while growing.len() <= highest {
                growing.push(Mutex::new(None));
            }
            drop(growing);
            ranges = self.ranges.read().unwrap_or_else(PoisonError::into_inner);
        }
        for of_range in changes.slots.chunk_by(|a, b| a.0 as usize / RANGE_SLOTS == b.0 as usize / RANGE_SLOTS) {
            let range = of_range[0].0 as usize / RANGE_SLOTS;
            let mut tally = ranges[range].lock().unwrap_or_else(PoisonError::into_inner);
            let tally = tally.get_or_insert_with(|| Tally::empty(RANGE_SLOTS, self.exposures));
            for (slot, change) in of_range {
                tally.slots[*slot as usize % RANGE_SLOTS].add(change);
            }
        }
        for &(slot, exposure, records) in &changes.missing {
            let mut tally = ranges[slot as usize / RANGE_SLOTS].lock().unwrap_or_else(PoisonError::into_inner);
            let tally = tally.get_or_insert_with(|| Tally::empty(RANGE_SLOTS, self.exposures));
            let cell = &mut tally.missing[slot as usize % RANGE_SLOTS * self.exposures + exposure as usize];
            *cell = cell.saturating_add(records);
        }
        changes.slots.clear();
        changes.missing.clear();
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.ranges.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The tally of `slots` slots.
    pub fn finish(self, slots: usize) -> Tally {
        let mut whole = Tally::empty(0, self.exposures);
        whole.slots.reserve_exact(slots);
        whole.missing.reserve_exact(slots * self.exposures);
        let ranges = self.ranges.into_inner().unwrap_or_else(PoisonError::into_inner);
        for range in ranges.into_iter().take(slots.div_ceil(RANGE_SLOTS)) {
            let range = range.into_inner().unwrap_or_else(PoisonError::into_inner);
            let range = range.unwrap_or_else(|| Tally::empty(RANGE_SLOTS, self.exposures));
            whole.slots.extend_from_slice(&range.slots);
            whole.missing.extend_from_slice(&range.missing);
        }
        whole.slots.resize(slots, SlotTally::EMPTY);
        whole.missing.resize(slots * self.exposures, 0);
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(slot: u32, tick: i32) -> (u32, SlotTally) {
        (slot, SlotTally { records: 1, first_tick: tick, last_tick: tick })
    }

    #[test]
    fn changes_commute_and_cross_ranges() {
        let far = 3 * RANGE_SLOTS as u32 + 1;
        let all = [one(0, 5), one(far, 7), one(0, -2), one(4095, 1), one(4096, 1)];
        let tally_in = |order: &[usize]| {
            let shared = SharedTally::new(2);
            for &index in order {
                let slot = all[index].0;
                shared.apply(&mut TallyChanges { slots: vec![all[index]], missing: vec![(slot, 1, 1)] });
            }
            shared.finish(far as usize + 5)
        };
        let tally = tally_in(&[0, 1, 2, 3, 4]);
        assert_eq!(tally, tally_in(&[4, 2, 1, 3, 0]));
        assert_ne!(tally, tally_in(&[0, 1, 2, 3]));
        assert_eq!(tally.slots[0], SlotTally { records: 2, first_tick: -2, last_tick: 5 });
        assert_eq!((tally.missing(0, 0), tally.missing(0, 1), tally.missing(far as usize, 1)), (0, 2, 1));
        assert_eq!(tally.slots.len(), far as usize + 5);
        assert_eq!(tally.slots[far as usize + 4], SlotTally::EMPTY);
    }

    #[test]
    fn nothing_counted_and_cleared() {
        let shared = SharedTally::new(0);
        shared.apply(&mut TallyChanges::default());
        shared.apply(&mut TallyChanges { slots: vec![one(9, 9)], missing: vec![] });
        shared.clear();
        assert_eq!(shared.finish(10), Tally::empty(10, 0));
    }
}
