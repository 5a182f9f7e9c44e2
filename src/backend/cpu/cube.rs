//! The cube backend of the host: every thread that pushes adds to sums of its own, which are merged at the end. Where
//! memory does not hold as many sums as there are threads, some wait.
//!
//! Rows are taken in short stretches of one slab, pair after pair, so that a pair's cells and the stretch's columns
//! stay in the first-level cache. Sums are integers and commute, so neither order nor threads show.
//! Units: expected events in Q40. Twin: `shaders/cube.wgsl`.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::backend::BackendError;
use crate::backend::cube::{CubeBackend, CubeBatch, CubePlan, CubeSums};
use crate::backend::cube_gate::{Total, check_batch, check_plan};

/// Rows of a stretch.
const STRETCH_ROWS: usize = 4096;

/// Expected events, and records.
type Cell = [u64; 2];

/// The kernel on the host's cores.
pub struct CpuCube {
    plan: CubePlan,
    first_cells: Vec<usize>,
    cells: usize,
    total: Total,
    held: Mutex<Held>,
    /// Told when sums are free again.
    freed: Condvar,
    most_sums: usize,
}

/// Sums, and how many there are.
#[derive(Default)]
struct Held {
    /// Those that no push is adding to just now.
    idle: Vec<Vec<Cell>>,
    made: usize,
}

impl CpuCube {
    /// `memory_limit_bytes`: for all sums together, one for each thread that pushes; one there is in any case.
    pub fn open(plan: &CubePlan, memory_limit_bytes: usize) -> Result<Self, BackendError> {
        check_plan(plan)?;
        let bytes = (plan.slabs * plan.cells() * size_of::<Cell>()).max(1);
        Ok(Self {
            first_cells: (0..plan.pairs.len()).map(|pair| plan.first_cell(pair)).collect(),
            cells: plan.cells(),
            total: Total::default(),
            held: Mutex::default(),
            freed: Condvar::new(),
            most_sums: (memory_limit_bytes / bytes).max(1),
            plan: plan.clone(),
        })
    }

    /// Sums to add to, for one push.
    fn taken(&self) -> Vec<Cell> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(own) = held.idle.pop() {
                return own;
            }
            if held.made < self.most_sums {
                held.made += 1;
                return vec![[0; 2]; self.plan.slabs * self.cells];
            }
            held = self.freed.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Adds rows of one slab to its cells.
    fn add(&self, batch: &CubeBatch, rows: std::ops::Range<usize>, slab: &mut [Cell]) {
        let expected_q40 = &batch.expected_q40[rows.clone()];
        for (pair, (a, b)) in self.plan.pairs.iter().enumerate() {
            let first = self.first_cells[pair];
            let cells = &mut slab[first..first + self.plan.pair_cells(pair)];
            let bins_b = self.plan.bins[*b];
            let (bins_of_a, bins_of_b) = (&batch.bins[*a][rows.clone()], &batch.bins[*b][rows.clone()]);
            for ((bin_a, bin_b), expected) in bins_of_a.iter().zip(bins_of_b).zip(expected_q40) {
                let cell = &mut cells[usize::from(*bin_a) * bins_b + usize::from(*bin_b)];
                cell[0] += expected;
                cell[1] += 1;
            }
        }
    }
}

impl CubeBackend for CpuCube {
    fn push(&self, batch: &CubeBatch) -> Result<(), BackendError> {
        check_batch(&self.plan, batch)?;
        self.total.add(batch)?;
        let mut own = self.taken();
        let mut from = 0;
        while from < batch.slab.len() {
            let slab = batch.slab[from];
            let stretch = &batch.slab[from..batch.slab.len().min(from + STRETCH_ROWS)];
            let to = from + stretch.iter().position(|other| *other != slab).unwrap_or(stretch.len());
            let first = slab as usize * self.cells;
            self.add(batch, from..to, &mut own[first..first + self.cells]);
            from = to;
        }
        self.held.lock().unwrap_or_else(PoisonError::into_inner).idle.push(own);
        self.freed.notify_one();
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<CubeSums, BackendError> {
        let mut parts = self.held.into_inner().unwrap_or_else(PoisonError::into_inner).idle.into_iter();
        let mut merged = parts.next().unwrap_or_else(|| vec![[0; 2]; self.plan.slabs * self.cells]);
        for own in parts {
            for (sum, own) in merged.iter_mut().zip(own) {
                sum[0] += own[0];
                sum[1] += own[1];
            }
        }
        Ok(CubeSums {
            expected_q40: merged.iter().map(|cell| cell[0]).collect(),
            records: merged.iter().map(|cell| cell[1]).collect(),
        })
    }

    fn description(&self) -> String {
        "cpu".to_owned()
    }
}
