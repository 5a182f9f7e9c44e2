//! The damage backend of the host: every thread that pushes runs the kernel itself.
//!
//! A batch is cut into stretches of rows whose slots share a locked range ([`super::ranges`]); inside a stretch the
//! kernel adds without asking anybody. Clocks wrap and commute, so the order of threads does not show.
//! Units: log2 rates in 2^-18, clocks in 2^-48 lives. Twin: `shaders/damage.wgsl`.

use std::ops::Range;

use super::drivers::VehicleSums;
use super::instructions::Instructions;
use super::ranges::{RANGE_ROWS, Ranges, stretch_end};
use super::tables::Group;
use crate::backend::gate::{Batch, DRIVER_RECORDS, Seen, check_request};
use crate::backend::{BackendError, DamageBackend, DamageBatch, DamageRequest, DamageSums, SlotMasks};
use crate::model::tables::{DamageTables, GROUP_LANES};

/// Rows of a stretch at most: their columns stay in the second-level cache while the groups pass over them.
const STRETCH_ROWS: usize = 16_384;

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

    fn add_increments(&self, batch: Batch) {
        let slots = batch.slot();
        let mut start = 0;
        while start < slots.len() {
            let end = stretch_end(slots, start, STRETCH_ROWS);
            let mut range = self.slots.lock(slots[start]);
            let sums = range.get_or_insert_with(|| SlotSums::new(self.groups.len(), self.words()));
            let stretch = Stretch { batch, rows: start..end };
            for group in &self.groups {
                self.instructions.add_increments(group, &self.masks, &stretch, sums);
            }
            start = end;
        }
    }

    /// The same, and the driver sums of a few rows while their tables' lines are still in the nearest cache.
    fn add_increments_and_drivers(&self, batch: Batch, width: usize) {
        let (slots, vehicles) = (batch.slot(), batch.vehicle());
        let mut start = 0;
        while start < slots.len() {
            let end = stretch_end(slots, start, STRETCH_ROWS);
            let end = stretch_end(&vehicles[..end], start, STRETCH_ROWS);
            // Every thread locks a range of slots first and one of vehicles second, so none waits in a circle.
            let mut slot_range = self.slots.lock(slots[start]);
            let mut vehicle_range = self.vehicles.lock(vehicles[start]);
            let clocks = slot_range.get_or_insert_with(|| SlotSums::new(self.groups.len(), self.words()));
            let drivers = vehicle_range.get_or_insert_with(|| VehicleSums::new(width));
            for tile in (start..end).step_by(DRIVER_RECORDS) {
                let stretch = Stretch { batch, rows: tile..end.min(tile + DRIVER_RECORDS) };
                for group in &self.groups {
                    self.instructions.add_increments(group, &self.masks, &stretch, clocks);
                }
                self.instructions.add_driver_rows(&self.groups, &stretch, drivers);
            }
            start = end;
        }
    }
}

impl DamageBackend for CpuDamage {
    fn push(&self, batch: &DamageBatch) -> Result<(), BackendError> {
        let batch = Batch::check(&self.tables, batch)?;
        self.seen.note(&batch, self.driver_width.is_some());
        match self.driver_width {
            Some(width) => self.add_increments_and_drivers(batch, width),
            None => self.add_increments(batch),
        }
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
