//! The survival backend of the host: every thread that pushes runs the kernel itself.
//!
//! A batch's parts are taken group by group, in tiles; a run of tiles adds to sums of its own, which reach the
//! group's under its lock when the run ends. Sums are integers and commute, so neither order nor threads show.
//! Units: p of a part in Q48, sums over parts in Q40. Twin: `shaders/survival.wgsl`.

use std::sync::{Mutex, PoisonError};

use super::instructions::Instructions;
use super::survival_starts::{Futures, LANES, ModeLanes, TILE_PARTS, Tile, TileSums, Weeks};
use crate::backend::BackendError;
use crate::backend::survival::{PathPlan, SurvivalBackend, SurvivalBatch, SurvivalRequest, SurvivalSums};
use crate::backend::survival_gate::{PartCounts, check_batch, check_plan};
use crate::model::survival::SurvivalTables;

/// The kernel on the host's cores.
pub struct CpuSurvival {
    tables: SurvivalTables,
    plan: PathPlan,
    groups: usize,
    weeks: Weeks,
    modes: Vec<ModeLanes>,
    draw_of_lane: Vec<u32>,
    instructions: Instructions,
    counts: PartCounts,
    /// `[group * modes + mode]`.
    sums: Vec<Mutex<Option<GroupSums>>>,
}

/// The sums of a group's parts of one mode, `[column * width + lane]`.
struct GroupSums {
    failures_q40: Vec<u64>,
    squares_q40: Vec<u64>,
}

impl CpuSurvival {
    /// Opens the fastest kernel that this processor runs.
    pub fn open(request: &SurvivalRequest) -> Result<Self, BackendError> {
        let fastest = Instructions::available().pop().unwrap_or(Instructions::Scalar);
        Self::open_with(request, fastest)
    }

    /// Opens a kernel by its instruction set, for tests and benches.
    pub fn open_with(request: &SurvivalRequest, instructions: Instructions) -> Result<Self, BackendError> {
        check_plan(request)?;
        let SurvivalRequest { tables, plan, groups } = request;
        let weeks = Weeks::new(plan);
        let draw_of_lane: Vec<u32> =
            (0..weeks.width).map(|lane| plan.draws.get(lane).or(plan.draws.first()).copied().unwrap_or(0)).collect();
        Ok(Self {
            modes: tables.modes.iter().map(|mode| ModeLanes::new(mode, &draw_of_lane)).collect(),
            draw_of_lane,
            weeks,
            counts: PartCounts::new(*groups, tables.modes.len()),
            sums: (0..groups * tables.modes.len()).map(|_| Mutex::new(None)).collect(),
            tables: (*tables).clone(),
            plan: (*plan).clone(),
            groups: *groups,
            instructions,
        })
    }

    fn request(&self) -> SurvivalRequest<'_> {
        SurvivalRequest { tables: &self.tables, plan: &self.plan, groups: self.groups }
    }

    /// Computes parts of one group, given by their places in the batch.
    fn add_group(&self, futures: &Futures, batch: &SurvivalBatch, parts: &[u32], group: u32, parts_q48: &mut [u64]) {
        let mut sums = TileSums::new(futures.width, self.plan.columns());
        for parts in parts.chunks(TILE_PARTS) {
            let tile = Tile::new(futures, batch, parts);
            for first in (0..futures.width).step_by(LANES) {
                self.instructions.add_survival(futures, &tile, first, &mut sums);
            }
            sums.take_parts(&tile, parts_q48);
        }
        let place = group as usize * self.tables.modes.len() + batch.mode;
        let mut held = self.sums[place].lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_mut() {
            None => *held = Some(GroupSums { failures_q40: sums.failures_q40, squares_q40: sums.squares_q40 }),
            Some(held) => {
                for (to, from) in held.failures_q40.iter_mut().zip(sums.failures_q40) {
                    *to += from;
                }
                for (to, from) in held.squares_q40.iter_mut().zip(sums.squares_q40) {
                    *to += from;
                }
            }
        }
    }
}

impl SurvivalBackend for CpuSurvival {
    fn push(&self, batch: &SurvivalBatch, parts_q48: &mut [u64]) -> Result<(), BackendError> {
        check_batch(&self.request(), batch, parts_q48)?;
        self.counts.add(batch.mode, batch.group)?;
        let lanes = &self.modes[batch.mode];
        let futures = Futures::new(&self.tables, batch.mode, &self.plan, &self.weeks, lanes, &self.draw_of_lane);
        let mut order: Vec<u32> = (0..batch.group.len() as u32).collect();
        order.sort_by_key(|part| batch.group[*part as usize]);
        for parts in order.chunk_by(|a, b| batch.group[*a as usize] == batch.group[*b as usize]) {
            self.add_group(&futures, batch, parts, batch.group[parts[0] as usize], parts_q48);
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<SurvivalSums, BackendError> {
        let (columns, paths, width) = (self.plan.columns(), self.plan.paths, self.weeks.width);
        let places = self.sums.len() * columns * paths;
        let mut sums = SurvivalSums { failures_q40: vec![0; places], squares_q40: vec![0; places] };
        for (place, held) in self.sums.into_iter().enumerate() {
            let Some(held) = held.into_inner().unwrap_or_else(PoisonError::into_inner) else { continue };
            for column in 0..columns {
                let to = (place * columns + column) * paths;
                let from = column * width..column * width + paths;
                sums.failures_q40[to..to + paths].copy_from_slice(&held.failures_q40[from.clone()]);
                sums.squares_q40[to..to + paths].copy_from_slice(&held.squares_q40[from]);
            }
        }
        Ok(sums)
    }

    fn description(&self) -> String {
        format!("cpu ({})", self.instructions.name())
    }
}
