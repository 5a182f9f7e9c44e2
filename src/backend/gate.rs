//! What every backend checks once, at its edge, so that no kernel checks anything again: the shape of the compiled
//! tables when it is opened, lengths and codes of a batch when it is pushed.
//!
//! Kernels index tables by codes without asking; a [`Batch`] is the proof that they may.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{DamageBatch, DamageRequest};
use crate::model::tables::{DamageTables, GROUP_INTERACTIONS, GROUP_LANES};

/// Largest magnitude of a driver entry: 64 records of it still fit an `i32` lane ([`DRIVER_RECORDS`]).
pub const DRIVER_ENTRY_LIMIT: i32 = 1 << 24;
/// Records whose driver entries are summed in `i32` before they are widened: 64 * 2^24 = 2^30 < 2^31.
pub const DRIVER_RECORDS: usize = 64;
const _: () = assert!(DRIVER_ENTRY_LIMIT as i64 * (DRIVER_RECORDS as i64) < i32::MAX as i64);

/// A caller broke what it promised: a mistake in the program, not in the user's data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    #[error("compiled tables, group {group}: {what}: got {got}, expected {expected}")]
    TableShape { what: &'static str, group: usize, got: usize, expected: usize },
    #[error("compiled tables, group {group}: {what}: got {got}, limit {limit}")]
    TableLimit { what: &'static str, group: usize, got: usize, limit: usize },
    #[error("batch: got {got} code columns, the model's tables read {expected}")]
    ColumnCount { got: usize, expected: usize },
    #[error("batch: {what} column {column} has {got} rows, the slot column {expected}")]
    ColumnLength { what: &'static str, column: usize, got: usize, expected: usize },
    #[error("batch: code column {column} row {row} holds {got}, its table has {table_rows} rows")]
    Code { column: usize, row: usize, got: u16, table_rows: u32 },
    #[error("sums of {limit} {what}s asked for, but {what} {largest} was pushed")]
    Beyond { what: &'static str, largest: u64, limit: usize },
}

/// A batch whose columns all have the same length and whose codes all lie below their tables' row counts.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    slot: &'a [u32],
    vehicle: &'a [u32],
    codes: &'a [&'a [u16]],
}

impl<'a> Batch<'a> {
    /// Checks `batch` against `tables`. An error leaves the backend as it was: nothing of the batch is added.
    pub fn check(tables: &DamageTables, batch: &DamageBatch<'a>) -> Result<Self, GateError> {
        let rows = batch.slot.len();
        let same_length = |what: &'static str, column: usize, got: usize| {
            if got == rows { Ok(()) } else { Err(GateError::ColumnLength { what, column, got, expected: rows }) }
        };
        same_length("vehicle", 0, batch.vehicle.len())?;
        if batch.codes.len() != tables.input_rows.len() {
            return Err(GateError::ColumnCount { got: batch.codes.len(), expected: tables.input_rows.len() });
        }
        for (column, (codes, table_rows)) in batch.codes.iter().zip(&tables.input_rows).enumerate() {
            same_length("code", column, codes.len())?;
            // What codes are over the last row, saturating: an instruction that every x86-64 has, unlike a maximum.
            let last = u16::try_from(table_rows.saturating_sub(1)).unwrap_or(u16::MAX);
            if codes.iter().fold(0, |over, code| over | code.saturating_sub(last)) != 0 {
                let row = codes.iter().position(|&code| code > last).unwrap_or(0);
                return Err(GateError::Code { column, row, got: codes[row], table_rows: *table_rows });
            }
            if *table_rows == 0 && rows > 0 {
                return Err(GateError::Code { column, row: 0, got: codes[0], table_rows: 0 });
            }
        }
        Ok(Self { slot: batch.slot, vehicle: batch.vehicle, codes: batch.codes })
    }

    pub fn slot(&self) -> &'a [u32] {
        self.slot
    }

    pub fn vehicle(&self) -> &'a [u32] {
        self.vehicle
    }

    /// One column a table input.
    pub fn codes(&self) -> &'a [&'a [u16]] {
        self.codes
    }
}

/// One more than the largest slot and vehicle pushed so far: rows are counted by a `u32`, so this needs a wider type.
#[derive(Debug, Default)]
pub struct Seen {
    slots: AtomicU64,
    vehicles: AtomicU64,
}

impl Seen {
    /// Vehicles matter only where driver sums are kept.
    pub fn note(&self, batch: &Batch, drivers: bool) {
        let columns = [Some((&self.slots, batch.slot)), drivers.then_some((&self.vehicles, batch.vehicle))];
        for (seen, rows) in columns.into_iter().flatten().filter(|(_, rows)| !rows.is_empty()) {
            let largest = rows.iter().fold(0, |largest, row| u32::max(largest, *row));
            seen.fetch_max(u64::from(largest) + 1, Ordering::Relaxed);
        }
    }

    /// An error if sums of fewer slots or vehicles are asked for than were pushed: nothing is dropped silently.
    pub fn within(&self, slots: usize, vehicles: usize) -> Result<(), GateError> {
        for (what, seen, limit) in [("slot", &self.slots, slots), ("vehicle", &self.vehicles, vehicles)] {
            let seen = seen.load(Ordering::Relaxed);
            if seen > limit as u64 {
                return Err(GateError::Beyond { what, largest: seen - 1, limit });
            }
        }
        Ok(())
    }
}

/// Checks what a model compiler promises about its tables, and the masks against them.
pub fn check_request(request: &DamageRequest) -> Result<(), GateError> {
    let DamageRequest { tables, masks, .. } = request;
    let exactly = |what: &'static str, group: usize, got: usize, expected: usize| {
        if got == expected { Ok(()) } else { Err(GateError::TableShape { what, group, got, expected }) }
    };
    let at_most = |what: &'static str, group: usize, got: usize, limit: usize| {
        if got <= limit { Ok(()) } else { Err(GateError::TableLimit { what, group, got, limit }) }
    };
    let groups = tables.groups.len();
    exactly("groups for the mechanisms", 0, groups, tables.mechanisms.div_ceil(GROUP_LANES))?;
    for table_rows in &tables.input_rows {
        at_most("rows of a table input", 0, *table_rows as usize, 1 << 16)?;
    }
    for (index, group) in tables.groups.iter().enumerate() {
        at_most("interactions", index, group.interactions_q18.len(), GROUP_INTERACTIONS)?;
        for input in &group.inputs {
            at_most("index of a table input", index, input.input + 1, tables.input_rows.len())?;
            let table_rows = tables.input_rows[input.input] as usize;
            exactly("rate rows of a table input", index, input.rows_q18.len(), table_rows)?;
            exactly("driver rows of a table input", index, input.driver_rows.len(), table_rows)?;
            if let Some(code_masks) = &input.masks {
                exactly("code masks of a table input", index, code_masks.len(), table_rows)?;
            }
            for lanes in &input.driver_rows {
                for (lane, entry) in lanes.iter().enumerate() {
                    let entry = entry.unsigned_abs() as usize;
                    at_most("driver entry", index, entry, DRIVER_ENTRY_LIMIT as usize)?;
                    if input.driver_lanes >> lane & 1 == 0 {
                        exactly("driver entry of a lane that is not summed", index, entry, 0)?;
                    }
                }
            }
        }
    }
    if tables.groups.iter().any(|group| !group.interactions_q18.is_empty()) {
        exactly("default slot masks", 0, masks.default.len(), groups)?;
        exactly("slot masks left over", 0, masks.masks.len() % groups, 0)?;
    }
    Ok(())
}
