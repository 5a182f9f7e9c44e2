//! `verify` for futures: a short simulation of the same data by several ways gives one content hash.

use std::time::Instant;

use super::error::EngineError;
use super::prepare::Prepared;
use super::score::thread_pool;
use super::simulate::{run, taken};
use super::simulate_plan::SimulatePlan;
use super::simulate_setup::Setup;
use super::verify::{VerifyPlan, VerifyRun};
use crate::backend::{BackendError, Choice};
use crate::fleet::dataset::Dataset;
use crate::fleet::error::FleetError;
use crate::fleet::scan::ScanKind;
use crate::model::spec::Model;
use crate::run::{Control, Event};
use crate::simulate::error::SimulateError;

/// Paths and weeks: enough for every step to matter.
const PATHS: usize = 8;
const HORIZON_WEEKS: usize = 26;

/// What was run, and (run, why not) of what was not.
pub type Futures = (Vec<VerifyRun>, Vec<(&'static str, String)>);

/// Simulates by every way; the first is what the others are compared with.
pub fn futures(plan: &VerifyPlan, control: &Control) -> Result<Futures, EngineError> {
    let mut first = SimulatePlan::new(plan.data.clone(), plan.model.clone(), std::path::PathBuf::new());
    (first.backend, first.threads, first.fallback, first.pack) = (Choice::Cpu, 1, false, false);
    (first.paths, first.horizon_weeks, first.hash_inputs) = (PATHS, HORIZON_WEEKS, false);
    (first.memory_limit_bytes, first.as_of_day) = (plan.memory_limit_bytes, plan.as_of_day);
    first.spill_folder = plan.spill_folder.clone();
    let all = SimulatePlan { threads: plan.threads.max(2), pack: true, ..first.clone() };
    let folder = plan.spill_folder.clone().unwrap_or_else(std::env::temp_dir);
    let state = tempfile::tempdir_in(&folder).map_err(|source| FleetError::Spill { folder, source })?;
    let kept = SimulatePlan { state: Some(state.path().to_path_buf()), ..all.clone() };
    let gpu = SimulatePlan { backend: Choice::Gpu, device: plan.device.clone(), ..all.clone() };
    let ways = [
        ("futures: cpu, one thread", first),
        ("futures: all threads, batches of 17", SimulatePlan { batch_vehicles: 17, ..all.clone() }),
        (
            "futures: sorted on disk, files reversed",
            SimulatePlan { scan_kind: Some(ScanKind::Spill), reversed: true, pack: false, ..all },
        ),
        ("futures: packed, in two nights", kept),
        ("futures: gpu", gpu),
    ];
    let required = plan.backend == Choice::Gpu || plan.device.is_some();
    let (mut runs, mut skipped) = (Vec::new(), Vec::new());
    for (name, way) in ways {
        if way.backend == Choice::Gpu && plan.backend == Choice::Cpu {
            skipped.push((name, "only the processor was asked for".to_owned()));
            continue;
        }
        control.emit(Event::Stage { name, total_rows: None });
        let began = Instant::now();
        match take_half(&way, control).and_then(|()| run(&way, None, control)) {
            Ok(report) => runs.push(VerifyRun {
                name,
                device: report.device,
                content_hash: report.content_hash,
                seconds: began.elapsed().as_secs_f64(),
            }),
            Err(EngineError::Backend(error @ BackendError::NoDevice { .. })) if !required => {
                skipped.push((name, error.to_string()));
            }
            Err(EngineError::Simulate(error @ SimulateError::NoCalendar)) => {
                skipped.push((name, error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((runs, skipped))
}

/// Takes up the first half of the dataset's files in the plan's state, as an earlier night would have.
fn take_half(plan: &SimulatePlan, control: &Control) -> Result<(), EngineError> {
    let Some(state) = &plan.state else { return Ok(()) };
    let model = Model::load(&plan.model)?;
    let mut prepared = Prepared::of(Dataset::open(&plan.data, plan.threads, control)?, &model)?;
    prepared.dataset.spill_to(plan.spill_folder.as_deref());
    let setup = Setup::new(plan, &prepared, &model)?;
    prepared.dataset.files.truncate(prepared.dataset.files.len() / 2);
    let dataset = &mut prepared.dataset;
    thread_pool(plan.threads)?.install(|| taken(state, plan, &setup, dataset, control)).map(drop)
}
