//! What a simulation takes of the memory: batches of whole vehicles, sums over groups.

use super::simulate_plan::SimulatePlan;
use super::simulate_setup::Setup;
use crate::backend::survival::PathPlan;
use crate::simulate::cohort::CohortSums;
use crate::simulate::error::SimulateError;
use crate::simulate::large_parts::LargeParts;
use crate::simulate::profile::Kernel;

/// Refuses cohorts whose weeks so far take more than half of the plan's limit, which batches leave.
pub fn check_cohorts(plan: &SimulatePlan, kernels: &[Kernel], sums: &[CohortSums]) -> Result<(), SimulateError> {
    let of = |(kernel, sums): (&Kernel, &CohortSums)| sums.bytes(kernel.cohorts.len());
    let bytes = kernels.iter().zip(sums).map(of).fold(0_u64, u64::saturating_add);
    let limit = plan.memory_limit_bytes as u64 / 2;
    let cohorts = kernels.iter().map(|kernel| kernel.cohorts.len()).max().unwrap_or(0);
    if bytes > limit { Err(SimulateError::TooManyCohorts { cohorts, bytes, limit }) } else { Ok(()) }
}

/// Refuses sums over groups that take more than the plan's limit.
pub fn check_memory(plan: &SimulatePlan, setup: &Setup, paths: &PathPlan, modes: usize) -> Result<(), SimulateError> {
    let sides = 1 + u64::from(setup.changed.is_some());
    let counts = setup.cells as u64 * modes as u64 * paths.columns() as u64;
    // When successors fail, by zone, mode, path and week.
    let successors = (paths.zones * modes) as u64 * (8 * paths.paths * paths.weeks) as u64;
    // Two sums of eight bytes a path, and once more when they are handed out; expected counts, and the parts that are told apart.
    let apart = (size_of::<LargeParts>() + LargeParts::MOST_BYTES) as u64;
    let of_cells = counts.saturating_mul(32 * paths.paths as u64 + 96 + apart);
    // Which weeks are lived again, for both sides; twice, for a backend has its own.
    let weeks = 2 * (paths.source_week.len() * size_of::<u16>()) as u64;
    let bytes = of_cells.saturating_add(successors).saturating_mul(sides).saturating_add(weeks);
    let limit = plan.memory_limit_bytes as u64;
    if bytes > limit { Err(SimulateError::TooManyGroups { groups: setup.cells, bytes, limit }) } else { Ok(()) }
}

/// Bytes of a batch at most.
pub fn batch_bytes(plan: &SimulatePlan) -> usize {
    plan.memory_limit_bytes / 4 / plan.threads.max(1)
}

/// What a vehicle of a batch takes besides its records: profiles as u64 and as filled, those of a scenario too, as
/// packed, slots and masks; of every part its results by week, and the chances to have failed in each past week, unreported.
pub fn vehicle_bytes(weeks: usize, mechanisms: usize, parts: usize, horizon_weeks: usize, lags: usize) -> usize {
    // Marks beside the weeks: of the forecasts, of a quarter, of alerts.
    let columns = horizon_weeks + 8;
    weeks * mechanisms * 40 + parts * (columns * 8 + lags * size_of::<f64>() + size_of::<Vec<f64>>())
}

/// The rows that a batch holds.
pub fn batch_rows(plan: &SimulatePlan, setup: &Setup) -> usize {
    let row_bytes = 12 + 2 * setup.columns.channels.len();
    (batch_bytes(plan) / row_bytes).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::course::CourseLaw;

    #[test]
    fn a_batch_holds_the_chances_of_past_weeks_too() {
        // A part that may have failed in any of so many past weeks.
        let (parts, lags) = (12, 53);
        let law = CourseLaw::new(1.0, &[1.0]);
        let unreported = law.failed_unreported(&[9.0], &vec![0.5; lags], |_, weeks| 0.1 * weeks as f64);
        let held = parts * (size_of_val(&unreported) + size_of_val(unreported.as_slice()));
        let without = vehicle_bytes(104, 11, parts, 104, 0) - parts * size_of_val(&unreported);
        assert!(held > 5_000 && vehicle_bytes(104, 11, parts, 104, lags) >= without + held);
    }
}
