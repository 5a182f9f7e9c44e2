//! The short trial behind `auto` for survival: the same made-up parts through the processor and through an adapter.
//!
//! The answer depends on the model, the plan and the machine alone and is kept for the life of the process. It decides
//! which device works, never what comes out. Units: steps (part × path × column) per second.

use std::time::Instant;

use super::limits::GpuLimits;
use super::survival::GpuSurvival;
use super::trial::Trial;
use crate::backend::BackendError;
use crate::backend::cpu::survival::CpuSurvival;
use crate::backend::survival::{SurvivalBackend, SurvivalBatch, SurvivalRequest, pack_increments};

/// Parts of the trial's batch.
const PARTS: usize = 1 << 12;
/// Clocks and weekly increments of a made-up part: half a life, and a life in ten years.
const CLOCK_Q48: u64 = 1 << 47;
const INCREMENT_Q48: u64 = (1 << 48) / 520;

/// Measures both, or recalls what was measured for the same adapter and a plan of the same size.
pub fn compare(
    adapter: &wgpu::Adapter,
    limits: GpuLimits,
    threads: usize,
    request: &SurvivalRequest,
) -> Result<Trial, BackendError> {
    let (modes, paths, columns) = (request.tables.modes.len(), request.plan.paths, request.plan.columns());
    let question = format!(
        "survival on {}: {threads} threads, {modes} modes, {paths} paths, {columns} columns, {} source weeks",
        adapter.get_info().name,
        request.plan.source_weeks
    );
    Trial::recalled(question, || {
        let one_thread = steps_per_s(request, &CpuSurvival::open(request)?)?;
        Ok(Trial {
            cpu_per_s: one_thread * threads as f64,
            gpu_per_s: steps_per_s(request, &GpuSurvival::open_on(request, adapter, limits)?)?,
            unit: "steps",
        })
    })
}

/// Pushes a batch of each mode, after a small one that warms up.
fn steps_per_s(request: &SurvivalRequest, backend: &dyn SurvivalBackend) -> Result<f64, BackendError> {
    let modes = request.tables.modes.len();
    for mode in 0..modes {
        push(request, backend, mode, 1)?;
    }
    let started = Instant::now();
    for mode in 0..modes {
        push(request, backend, mode, PARTS)?;
    }
    let steps = PARTS * modes * request.plan.paths * request.plan.columns();
    Ok(steps as f64 / started.elapsed().as_secs_f64().max(1e-9))
}

fn push(
    request: &SurvivalRequest,
    backend: &dyn SurvivalBackend,
    mode: usize,
    parts: usize,
) -> Result<(), BackendError> {
    let plan = request.plan;
    let mechanisms = request.tables.modes[mode].exponents.len();
    let mut increments = vec![0; plan.source_weeks];
    let shift = pack_increments(&vec![INCREMENT_Q48; plan.source_weeks], plan.weeks, &mut increments);
    let batch = SurvivalBatch {
        mode,
        group: &vec![0; parts],
        profile: &(0..parts as u32).collect::<Vec<_>>(),
        clocks_q48: &vec![CLOCK_Q48; parts * mechanisms],
        zone: &vec![0; parts],
        increments: &increments.repeat(parts * mechanisms),
        shifts: &vec![shift; parts * mechanisms],
    };
    backend.push(&batch, &mut vec![0; parts * plan.columns()])
}
