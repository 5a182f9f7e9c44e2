//! Records of days that already have one: looked up in the log, and settled as the reader settles them.
//!
//! Of records with equal vehicle and time the lexicographically smallest codes count. A record that is not in the log
//! is new. One that is, is a duplicate; if its codes are the smaller ones, the old record's increments are taken out
//! (summed once more, apart) and the new one's put in, and the log is told.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::cell_sums::{CellRows, CellSummer, CellSums};
use super::log_read::LogReader;
use super::log_write::LogWriter;
use super::merge::Widths;
use super::presence::Presence;
use crate::fleet::chunk::Chunk;
use crate::fleet::scan::{ChunkSink, SinkError};
use crate::fleet::state::ids::Ordinals;
use crate::fleet::time::TimeAxis;
use crate::run::Control;
use crate::score::pack::Packer;
use crate::score::slots::SlotPlan;
use crate::score::sums::FleetSums;

/// What became of the rows that were kept aside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    /// Rows that were in the log: duplicates.
    pub duplicates: u64,
    /// Rows that were not: new.
    pub fresh: Chunk,
    /// Rows that take the place of old ones; vehicles are tonight's indices.
    pub replacing: Chunk,
    /// The rows whose place they take, in the same order.
    pub replaced: Chunk,
}

/// Looks every row of `perhaps` up. Vehicles are tonight's indices, each (vehicle, tick) once.
pub fn settle(perhaps: &Chunk, ordinals: &Ordinals, log: &LogReader, control: &Control) -> Result<Settled, SinkError> {
    let mut settled = Settled::default();
    if perhaps.is_empty() {
        return Ok(settled);
    }
    let mut ticks: Vec<(i32, i32)> = perhaps.tick.iter().map(|&tick| (tick, tick)).collect();
    ticks.sort_unstable();
    ticks.dedup();
    let mut row_of: HashMap<(u32, i32), u32> = HashMap::with_capacity(perhaps.len());
    let mut asked: Vec<u64> = Vec::new();
    for (row, (&vehicle, &tick)) in perhaps.vehicle.iter().zip(&perhaps.tick).enumerate() {
        let ordinal = ordinals.of(vehicle);
        row_of.insert((ordinal, tick), row as u32);
        let word = ordinal as usize / 64;
        if word >= asked.len() {
            asked.resize(word + 1, 0);
        }
        asked[word] |= 1 << (ordinal % 64);
    }
    // Most vehicles are not asked for: one bit says so before anything is hashed.
    let wanted = |ordinal: u32, tick: i32| {
        asked.get(ordinal as usize / 64).is_some_and(|word| word >> (ordinal % 64) & 1 == 1)
            && row_of.contains_key(&(ordinal, tick))
    };
    let found: Mutex<Vec<Option<Vec<u16>>>> = Mutex::new(vec![None; perhaps.len()]);
    let take = |_: usize, rows: &Chunk| -> Result<(), SinkError> {
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        for (row, key) in rows.vehicle.iter().copied().zip(rows.tick.iter().copied()).enumerate() {
            if let Some(&asked) = row_of.get(&key) {
                found[asked as usize] = Some(rows.codes.iter().map(|column| column[row]).collect());
            }
        }
        Ok(())
    };
    log.find(&ticks, &wanted, &take, control)?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    for chunk in [&mut settled.fresh, &mut settled.replacing, &mut settled.replaced] {
        chunk.codes.resize_with(perhaps.codes.len(), Vec::new);
    }
    for (row, old) in found.into_iter().enumerate() {
        let Some(old) = old else {
            settled.fresh.append_range(perhaps, row, row + 1);
            continue;
        };
        settled.duplicates += 1;
        let new = perhaps.codes.iter().map(|column| column[row]);
        if new.lt(old.iter().copied()) {
            settled.replacing.append_range(perhaps, row, row + 1);
            settled.replaced.vehicle.push(perhaps.vehicle[row]);
            settled.replaced.tick.push(perhaps.tick[row]);
            settled.replaced.codes.iter_mut().zip(old).for_each(|(column, code)| column.push(code));
        }
    }
    // New rows were kept aside in no order; the packer wants a vehicle's rows together.
    sort(&mut settled.fresh);
    Ok(settled)
}

fn sort(chunk: &mut Chunk) {
    let mut order: Vec<usize> = (0..chunk.len()).collect();
    order.sort_unstable_by_key(|&row| (chunk.vehicle[row], chunk.tick[row]));
    chunk.vehicle = order.iter().map(|&row| chunk.vehicle[row]).collect();
    chunk.tick = order.iter().map(|&row| chunk.tick[row]).collect();
    for column in &mut chunk.codes {
        *column = order.iter().map(|&row| column[row]).collect();
    }
}

impl Settled {
    /// Adds what is new, and the replacing rows, to tonight's sums and log.
    pub fn push(
        &self,
        packer: &Packer,
        log: &LogWriter,
        ordinals: &Ordinals,
        presence: &mut Vec<Presence>,
        axis: TimeAxis,
    ) -> Result<(), SinkError> {
        for (rows, overrides) in [(&self.fresh, false), (&self.replacing, true)] {
            packer.push(0, rows)?;
            let numbers: Vec<u32> = rows.vehicle.iter().map(|&vehicle| ordinals.of(vehicle)).collect();
            log.push(&numbers, &rows.tick, &rows.codes, overrides)?;
        }
        for (&vehicle, &tick) in self.fresh.vehicle.iter().zip(&self.fresh.tick) {
            if vehicle as usize >= presence.len() {
                presence.resize(vehicle as usize + 1, Presence::NONE);
            }
            presence[vehicle as usize].add(axis.day(tick));
        }
        Ok(())
    }

    /// Sums the replaced rows into cells, one a row.
    pub fn sum_replaced(&self, summer: CellSummer) -> Result<CellSums, SinkError> {
        let rows: Vec<u32> = (0..self.replaced.len() as u32).collect();
        let tick = &self.replaced.tick;
        summer.push(0, &CellRows { cell: &rows, vehicle: &rows, tick, codes: &self.replaced.codes })?;
        summer.finish(rows.len(), rows.len())
    }

    /// Takes the replaced rows' sums out of tonight's. Returns the vehicles of which a capped record was taken out:
    /// whether another one remains cannot be told.
    pub(super) fn take_out(
        &self,
        replaced: &CellSums,
        sums: &mut FleetSums,
        plan: &SlotPlan,
        widths: Widths,
    ) -> Vec<u32> {
        let Widths { mechanisms, words, drivers, exposures } = widths;
        let mut doubtful = Vec::new();
        for (row, (&vehicle, &tick)) in self.replaced.vehicle.iter().zip(&self.replaced.tick).enumerate() {
            let (first, boundaries) = plan.boundaries(vehicle as usize);
            let slot = first as usize + boundaries.partition_point(|&boundary| boundary < tick);
            for mechanism in 0..mechanisms {
                let sum = &mut sums.damage.clocks_q48[slot * mechanisms + mechanism];
                *sum = sum.wrapping_sub(replaced.damage.clocks_q48[row * mechanisms + mechanism]);
            }
            if replaced.damage.capped[row * words..][..words].iter().any(|&word| word != 0) {
                doubtful.push(vehicle);
            }
            let records = &mut sums.tally.slots[slot].records;
            *records = records.saturating_sub(1);
            for exposure in 0..exposures {
                let missing = &mut sums.tally.missing[slot * exposures + exposure];
                *missing = missing.saturating_sub(replaced.tally.missing(row, exposure));
            }
            if !sums.damage.drivers.is_empty() {
                for driver in 0..drivers {
                    let sum = &mut sums.damage.drivers[vehicle as usize * drivers + driver];
                    *sum = sum.wrapping_sub(replaced.damage.drivers[row * drivers + driver]);
                }
            }
        }
        doubtful
    }
}
