//! What every cube backend checks once, at its edge: the plan when it is opened, a batch when it is pushed.
//!
//! Kernels index slabs and cells without asking. No cell can overflow, because all that was ever pushed is counted and
//! a cell is a part of it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cube::{CubeBatch, CubePlan, MOST_BINS};

/// Cells of all slabs at most: 16 GiB of sums.
const MOST_CELLS: usize = 1 << 30;

/// A caller broke what it promised: a mistake in the program, not in the user's data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CubeGateError {
    #[error("cube {what}: got {got}, expected {expected}")]
    Length { what: &'static str, got: usize, expected: usize },
    #[error("cube {what} {at}: got {got}, limit {limit}")]
    Limit { what: &'static str, at: usize, got: u64, limit: u64 },
    #[error("cubes: more events are expected in all than a sum can hold")]
    Overflow,
}

/// Checks a plan once, when a backend is opened.
pub fn check_plan(plan: &CubePlan) -> Result<(), CubeGateError> {
    for (at, bins) in plan.bins.iter().enumerate() {
        if !(1..=MOST_BINS).contains(bins) {
            return Err(CubeGateError::Limit {
                what: "bins of channel",
                at,
                got: *bins as u64,
                limit: MOST_BINS as u64,
            });
        }
    }
    for (at, (a, b)) in plan.pairs.iter().enumerate() {
        let (got, limit) = (*a.max(b) as u64, plan.bins.len() as u64);
        if got >= limit {
            return Err(CubeGateError::Limit { what: "channel of pair", at, got, limit });
        }
    }
    match plan.cells().checked_mul(plan.slabs) {
        Some(cells) if cells <= MOST_CELLS => Ok(()),
        _ => Err(CubeGateError::Limit {
            what: "cells of slabs",
            at: plan.slabs,
            got: plan.cells() as u64,
            limit: MOST_CELLS as u64,
        }),
    }
}

/// Checks a batch, so that kernels index without asking.
pub fn check_batch(plan: &CubePlan, batch: &CubeBatch) -> Result<(), CubeGateError> {
    let rows = batch.slab.len();
    let exactly = |what, got, expected| {
        if got == expected { Ok(()) } else { Err(CubeGateError::Length { what, got, expected }) }
    };
    exactly("columns", batch.bins.len(), plan.bins.len())?;
    exactly("expected events", batch.expected_q40.len(), rows)?;
    let slab = batch.slab.iter().fold(0, |largest, slab| u32::max(largest, *slab)) as usize;
    if rows > 0 && slab >= plan.slabs {
        let at = batch.slab.iter().position(|one| *one as usize == slab).unwrap_or(0);
        return Err(CubeGateError::Limit { what: "slab of row", at, got: slab as u64, limit: plan.slabs as u64 });
    }
    for (column, bins) in batch.bins.iter().zip(&plan.bins) {
        exactly("rows of a column", column.len(), rows)?;
        let largest = column.iter().fold(0, |largest, bin| u8::max(largest, *bin));
        if rows > 0 && usize::from(largest) >= *bins {
            let at = column.iter().position(|bin| *bin == largest).unwrap_or(0);
            return Err(CubeGateError::Limit { what: "bin of row", at, got: largest.into(), limit: *bins as u64 });
        }
    }
    Ok(())
}

/// All that was pushed so far.
#[derive(Debug, Default)]
pub struct Total {
    expected_q40: AtomicU64,
}

impl Total {
    /// Counts a batch, or nothing of it where a sum could overflow.
    pub fn add(&self, batch: &CubeBatch) -> Result<(), CubeGateError> {
        let own = batch.expected_q40.iter().try_fold(0_u64, |sum, one| sum.checked_add(*one));
        let own = own.ok_or(CubeGateError::Overflow)?;
        let add = |sum: u64| sum.checked_add(own);
        self.expected_q40.try_update(Ordering::Relaxed, Ordering::Relaxed, add).map_err(|_| CubeGateError::Overflow)?;
        Ok(())
    }
}
