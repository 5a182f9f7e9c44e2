//! The damage backend of the host: every thread that pushes runs the kernel itself.
//!
//! A batch is cut into stretches of rows whose slots share a locked range ([`super::ranges`]); inside a stretch the
//! kernel adds without asking anybody, and where another thread is in the range, into sums of its own. Clocks wrap and commute, so the order of threads does not show.
//! Units: log2 rates in 2^-18, clocks in 2^-48 lives. Twin: `shaders/damage.wgsl`.

use std::ops::Range;
use std::sync::MutexGuard;

use super::drivers::VehicleSums;
use super::instructions::Instructions;
use super::ranges::{RANGE_ROWS, Ranges, stretch_end};
use super::tables::Group;
use crate::backend::gate::{Batch, DRIVER_RECORDS, Seen, check_request};
use crate::backend::{BackendError, DamageBackend, DamageBatch, DamageRequest, DamageSums, SlotMasks};
use crate::model::tables::{DamageTables, GROUP_LANES};

/// Rows of a stretch at most: their columns stay in the second-level cache while the groups pass over them.
const STRETCH_ROWS: usize = 16_384;
/// A stretch of fewer rows waits for its range: it is done sooner than sums are made and merged.
const ASIDE_ROWS: usize = 1_024;
/// Stretches aside at a time: neighbouring chunks share the ranges at their borders. Threads that walk all ranges one
/// behind the other do better to wait once.
const ASIDES: usize = 2;

/// The kernel on the host's cores.
pub struct CpuDamage {
    tables: DamageTables,
    groups: Vec<Group>,
    masks: SlotMaskTable,
    instructions: Instructions,
    /// Columns of a vehicle's driver sums; `None`: not asked for.
    driver_width: Option<usize>,
    slots: Ranges<SlotSums>,
    vehicles: Ranges<VehicleSums>,
    seen: Seen,
}

/// Rows of a batch that share a range.
pub struct Stretch<'a> {
    pub batch: Batch<'a>,
    pub rows: Range<usize>,
}

/// The clocks of a range's slots.
pub struct SlotSums {
    groups: usize,
    words: usize,
    clocks_q48: Vec<ClockRow>,
    capped: Vec<u32>,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct ClockRow([u64; GROUP_LANES]);

/// Masks of the slots that have one of their own, and the default.
pub struct SlotMaskTable {
    masks: SlotMasks,
}

impl SlotMaskTable {
    #[inline(always)]
    pub fn of(&self, slot: u32, group: usize) -> u32 {
        let groups = self.masks.default.len();
        // Without a default there are no interactions, and no mask matters.
        match self.masks.masks.get(slot as usize * groups + group) {
            Some(mask) => *mask,
            None => self.masks.default.get(group).copied().unwrap_or(0),
        }
    }
}

impl SlotSums {
    fn new(groups: usize, words: usize) -> Self {
        Self {
            groups,
            words,
            clocks_q48: vec![ClockRow([0; GROUP_LANES]); RANGE_ROWS * groups],
            capped: vec![0; RANGE_ROWS * words],
        }
    }

    /// The eight clocks of a slot in a group.
    #[inline(always)]
    pub fn clocks_mut(&mut self, slot: u32, group: usize) -> &mut [u64; GROUP_LANES] {
        &mut self.clocks_q48[(slot as usize & (RANGE_ROWS - 1)) * self.groups + group].0
    }

    /// Adds what was summed aside for the same range.
    fn merge(&mut self, other: &Self) {
        for (clocks, others) in self.clocks_q48.iter_mut().zip(&other.clocks_q48) {
            clocks.0.iter_mut().zip(others.0).for_each(|(clock, other)| *clock = clock.wrapping_add(other));
        }
        self.capped.iter_mut().zip(&other.capped).for_each(|(capped, other)| *capped |= other);
    }

    /// Remembers that increments of these lanes were capped.
    pub fn flag_capped(&mut self, slot: u32, group: usize, lanes: u32) {
        let mechanism = group * GROUP_LANES;
        let word = (slot as usize & (RANGE_ROWS - 1)) * self.words + mechanism / 32;
        self.capped[word] |= lanes << (mechanism % 32);
    }
}

impl CpuDamage {
    /// Opens the fastest kernel that this processor runs.
    pub fn open(request: &DamageRequest) -> Result<Self, BackendError> {
        let fastest = Instructions::available().pop().unwrap_or(Instructions::Scalar);
        Self::open_with(request, fastest)
    }

    /// Opens a kernel by its instruction set, for tests and benches.
    pub fn open_with(request: &DamageRequest, instructions: Instructions) -> Result<Self, BackendError> {
        check_request(request)?;
        let tables = request.tables;
        Ok(Self {
            groups: (tables.groups.iter().enumerate())
                .map(|(index, group)| Group::new(index, group, tables.mechanisms, request.drivers))
                .collect(),
            tables: tables.clone(),
            masks: SlotMaskTable { masks: request.masks.clone() },
            instructions,
            driver_width: request.drivers.then(|| tables.driver_columns()),
            slots: Ranges::default(),
            vehicles: Ranges::default(),
            seen: Seen::default(),
        })
    }

    fn words(&self) -> usize {
        self.tables.mechanisms.div_ceil(32)
    }

    /// Adds the batch's rows. Where another thread is in a range, a long stretch is summed aside and added at the end,
    /// when the other has gone on: neighbouring chunks of long histories share ranges, and waiting would put their
    /// threads in a row.
    fn add(&self, batch: Batch) {
        let (slots, vehicles) = (batch.slot(), batch.vehicle());
        let mut aside: Vec<(usize, RangeSums)> = Vec::new();
        let mut start = 0;
        while start < slots.len() {
            let mut end = stretch_end(slots, start, STRETCH_ROWS);
            if self.driver_width.is_some() {
                end = stretch_end(&vehicles[..end], start, STRETCH_ROWS);
            }
            let stretch = Stretch { batch, rows: start..end };
            let entered = match end - start < ASIDE_ROWS || aside.len() == ASIDES {
                true => Some(self.enter(batch, start)),
                false => self.try_enter(batch, start),
            };
            match entered {
                Some(mut ranges) => {
                    let sums = ranges.sums(self);
                    self.add_stretch(&stretch, sums.0, sums.1);
                }
                None => {
                    let mut sums =
                        RangeSums { slots: self.slot_sums(), vehicles: self.driver_width.map(VehicleSums::new) };
                    self.add_stretch(&stretch, &mut sums.slots, sums.vehicles.as_mut());
                    aside.push((start, sums));
                }
            }
            start = end;
        }
        for (row, sums) in aside {
            let mut ranges = self.enter(batch, row);
            let (slots, vehicles) = ranges.sums(self);
            slots.merge(&sums.slots);
            if let (Some(vehicles), Some(sums)) = (vehicles, &sums.vehicles) {
                vehicles.merge(sums);
            }
        }
    }

    /// The ranges of a row's slot and, with drivers, of its vehicle. Every thread locks slots first, so that none waits
    /// in a circle.
    fn enter(&self, batch: Batch, row: usize) -> Entered<'_> {
        let slots = self.slots.lock(batch.slot()[row]);
        Entered { slots, vehicles: self.driver_width.map(|_| self.vehicles.lock(batch.vehicle()[row])) }
    }

    /// The same if nobody else is there.
    fn try_enter(&self, batch: Batch, row: usize) -> Option<Entered<'_>> {
        let slots = self.slots.try_lock(batch.slot()[row])?;
        let vehicles = match self.driver_width {
            Some(_) => Some(self.vehicles.try_lock(batch.vehicle()[row])?),
            None => None,
        };
        Some(Entered { slots, vehicles })
    }

    fn slot_sums(&self) -> SlotSums {
        SlotSums::new(self.groups.len(), self.words())
    }

    /// With drivers, those of a few rows while their tables' lines are still in the nearest cache.
    fn add_stretch(&self, stretch: &Stretch, clocks: &mut SlotSums, drivers: Option<&mut VehicleSums>) {
        let increments = |stretch: &Stretch, clocks: &mut SlotSums| {
            for group in &self.groups {
                self.instructions.add_increments(group, &self.masks, stretch, clocks);
            }
        };
        let Some(drivers) = drivers else { return increments(stretch, clocks) };
        let Range { start, end } = stretch.rows;
        for tile in (start..end).step_by(DRIVER_RECORDS) {
            let stretch = Stretch { batch: stretch.batch, rows: tile..end.min(tile + DRIVER_RECORDS) };
            increments(&stretch, clocks);
            self.instructions.add_driver_rows(&self.groups, &stretch, drivers);
        }
    }
}

/// What is summed for a range of slots and, with drivers, of vehicles.
struct RangeSums {
    slots: SlotSums,
    vehicles: Option<VehicleSums>,
}

/// The same under their locks; there are no sums where nobody has been yet.
struct Entered<'a> {
    slots: MutexGuard<'a, Option<SlotSums>>,
    vehicles: Option<MutexGuard<'a, Option<VehicleSums>>>,
}

impl Entered<'_> {
    fn sums(&mut self, of: &CpuDamage) -> (&mut SlotSums, Option<&mut VehicleSums>) {
        let slots = self.slots.get_or_insert_with(|| of.slot_sums());
        let width = of.driver_width.unwrap_or(0);
        (slots, self.vehicles.as_mut().map(|range| range.get_or_insert_with(|| VehicleSums::new(width))))
    }
}

impl DamageBackend for CpuDamage {
    fn push(&self, batch: &DamageBatch) -> Result<(), BackendError> {
        let batch = Batch::check(&self.tables, batch)?;
        self.seen.note(&batch, self.driver_width.is_some());
        self.add(batch);
        Ok(())
    }

    fn finish(mut self: Box<Self>, slots: usize, vehicles: usize) -> Result<DamageSums, BackendError> {
        self.seen.within(slots, vehicles)?;
        let (mechanisms, words, groups) = (self.tables.mechanisms, self.words(), self.groups.len());
        let mut sums = DamageSums {
            clocks_q48: vec![0; slots * mechanisms],
            capped: vec![0; slots * words],
            drivers: vec![0; self.driver_width.map_or(0, |width| vehicles * width)],
        };
        for first in (0..slots).step_by(RANGE_ROWS) {
            let Some(range) = self.slots.take(first as u32) else { continue };
            let rows = RANGE_ROWS.min(slots - first);
            for row in 0..rows {
                let from = range.clocks_q48[row * groups..(row + 1) * groups].iter().flat_map(|clocks| clocks.0);
                let to = &mut sums.clocks_q48[(first + row) * mechanisms..][..mechanisms];
                to.iter_mut().zip(from).for_each(|(to, from)| *to = from);
            }
            sums.capped[first * words..(first + rows) * words].copy_from_slice(&range.capped[..rows * words]);
        }
        if let Some(width) = self.driver_width {
            for first in (0..vehicles).step_by(RANGE_ROWS) {
                let Some(range) = self.vehicles.take(first as u32) else { continue };
                let sums_here = RANGE_ROWS.min(vehicles - first) * width;
                sums.drivers[first * width..][..sums_here].copy_from_slice(&range.sums[..sums_here]);
            }
        }
        Ok(sums)
    }

    fn description(&self) -> String {
        format!("cpu ({})", self.instructions.name())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::tables::{GroupInput, GroupTables};

    /// One input of eight codes with drivers, one record in eight capped.
    fn tables() -> DamageTables {
        let row = |code: i32| std::array::from_fn(|lane| (code << 14) - ((lane as i32) << 12));
        let input = GroupInput {
            input: 0,
            rows_q18: (0..8).map(row).collect(),
            masks: None,
            driver_rows: (0..8).map(row).collect(),
            driver_lanes: 0xff,
        };
        let group =
            GroupTables { base_q18: [-(7 << 14); GROUP_LANES], inputs: vec![input], interactions_q18: Vec::new() };
        DamageTables { input_rows: vec![8], groups: vec![group], mechanisms: GROUP_LANES }
    }

    /// One push of long stretches of two ranges, while another thread is in the first.
    fn contended(drivers: bool, hold_vehicles: bool) {
        let (tables, masks) = (tables(), SlotMasks { masks: Vec::new(), default: vec![0] });
        let codes: Vec<u16> = (0..3 * ASIDE_ROWS).map(|row| (row * 5 % 8) as u16).collect();
        let last = RANGE_ROWS as u32;
        let slots: Vec<u32> = (0..codes.len()).map(|row| [0, 1, last][row / ASIDE_ROWS]).collect();
        let open = || CpuDamage::open(&DamageRequest { tables: &tables, masks: &masks, drivers }).unwrap();
        let batch = DamageBatch { slot: &slots, vehicle: &slots, codes: &[&codes] };
        let (alone, contended) = (open(), open());
        for backend in [&alone, &contended] {
            backend.push(&batch).unwrap();
        }
        let sums_of_last = || contended.slots.lock(last).as_ref().map(|sums| sums.clocks_q48[0].0);
        let once = sums_of_last();
        std::thread::scope(|scope| {
            let held_slots = (!hold_vehicles).then(|| contended.slots.lock(0));
            let held_vehicles = hold_vehicles.then(|| contended.vehicles.lock(0));
            let pushing = scope.spawn(|| contended.push(&batch));
            let patience = Instant::now();
            while sums_of_last() == once {
                assert!(patience.elapsed() < Duration::from_secs(20), "it waited for the first range");
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(!pushing.is_finished(), "it added to a range that another held");
            drop((held_slots, held_vehicles));
            pushing.join().unwrap().unwrap();
        });
        alone.push(&batch).unwrap();
        let count = RANGE_ROWS + 1;
        let [alone, contended] = [alone, contended].map(|backend| Box::new(backend).finish(count, count).unwrap());
        assert_eq!([alone.capped[0], alone.capped[1], alone.capped[2], alone.capped[RANGE_ROWS]], [1, 1, 0, 1]);
        assert_eq!(alone, contended);
    }

    #[test]
    fn where_another_is_in_a_range_its_rows_are_summed_aside_and_the_rest_goes_on() {
        contended(false, false);
        contended(true, false);
        contended(true, true);
    }
}
