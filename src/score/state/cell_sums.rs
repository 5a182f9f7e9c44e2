//! Sums over any set of cells: pieces of vehicles' time that are formed apart from the night's slots.
//!
//! The same kernel and tally as for slots; only the numbers of cells and vehicles are the caller's own, so that a few
//! thousand of them cost no more than they are.

use std::sync::{Mutex, PoisonError};

use crate::backend::{DamageBackend, DamageBatch, DamageSums};
use crate::fleet::chunk::run_end;
use crate::fleet::scan::SinkError;
use crate::model::tables::TableInput;
use crate::score::pack::{ExposureColumn, count_missing, table_columns};
use crate::score::tally::{SharedTally, SlotTally, Tally, TallyChanges};

/// Sums records into cells. One lane a thread.
pub struct CellSummer<'a> {
    inputs: &'a [TableInput],
    exposures: &'a [ExposureColumn],
    backend: Box<dyn DamageBackend>,
    tally: SharedTally,
    lanes: Vec<Mutex<Lane>>,
}

/// Buffers of one thread.
#[derive(Default)]
struct Lane {
    pairs: Vec<Vec<u16>>,
    changes: TallyChanges,
}

/// What was summed, by cell; driver sums by vehicle number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CellSums {
    pub damage: DamageSums,
    pub tally: Tally,
}

/// Rows of a batch: all columns have the same length, but for `codes`, one column a channel of the model.
#[derive(Clone, Copy, Debug)]
pub struct CellRows<'a> {
    pub cell: &'a [u32],
    /// The caller's own vehicle numbers, for the driver sums.
    pub vehicle: &'a [u32],
    pub tick: &'a [i32],
    pub codes: &'a [Vec<u16>],
}

impl<'a> CellSummer<'a> {
    /// `backend` was opened with a mask for every cell.
    pub fn new(
        inputs: &'a [TableInput],
        exposures: &'a [ExposureColumn],
        backend: Box<dyn DamageBackend>,
        threads: usize,
    ) -> Self {
        let lanes = (0..threads.max(1)).map(|_| Mutex::default()).collect();
        Self { inputs, exposures, backend, tally: SharedTally::new(exposures.len()), lanes }
    }

    /// Adds records. Threads with different lanes do not wait for one another.
    pub fn push(&self, lane: usize, rows: &CellRows) -> Result<(), SinkError> {
        let mut lane = self.lanes[lane % self.lanes.len()].lock().unwrap_or_else(PoisonError::into_inner);
        let Lane { pairs, changes } = &mut *lane;
        let mut from = 0;
        while from < rows.cell.len() {
            let to = run_end(rows.cell, from);
            let mut tally = SlotTally { records: (to - from) as u32, ..SlotTally::EMPTY };
            for &tick in &rows.tick[from..to] {
                tally.first_tick = tally.first_tick.min(tick);
                tally.last_tick = tally.last_tick.max(tick);
            }
            changes.slots.push((rows.cell[from], tally));
            from = to;
        }
        for (exposure, column) in self.exposures.iter().enumerate() {
            let codes = &rows.codes[column.column];
            count_missing(codes, column.not_available, rows.cell, exposure as u32, &mut changes.missing);
        }
        self.tally.apply(changes);
        let codes = table_columns(self.inputs, rows.codes, pairs);
        self.backend.push(&DamageBatch { slot: rows.cell, vehicle: rows.vehicle, codes: &codes })?;
        Ok(())
    }

    pub fn finish(self, cells: usize, vehicles: usize) -> Result<CellSums, SinkError> {
        Ok(CellSums { damage: self.backend.finish(cells, vehicles)?, tally: self.tally.finish(cells) })
    }
}
