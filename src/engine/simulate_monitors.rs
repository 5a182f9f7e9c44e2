//! The monitors of a simulation: which of the model's run, over the same records as the futures, and what a report
//! says of them.

use super::error::EngineError;
use super::histories::Histories;
use super::monitor::{MonitorRequest, watch};
use super::monitor_report::Monitoring;
use super::simulate_plan::{MonitorFinding, SimulatePlan};
use crate::model::spec::Model;
use crate::run::Control;
use crate::simulate::error::SimulateError;

/// Cohorts of a higher corrected p are not named.
const NOTABLE_P: f64 = 0.05;

/// The model with the monitors that are to run.
#[derive(Debug)]
pub struct Watch(Model);

impl Watch {
    /// Settles what runs: nothing without `plan.monitors`, else all, under the plan's budget of false alarms if it has
    /// one.
    pub fn new(plan: &SimulatePlan, spec: &Model) -> Result<Self, SimulateError> {
        let asked = plan.false_alarms_per_100000_days;
        if let Some(got) = asked.filter(|got| !(got.is_finite() && *got > 0.0)) {
            return Err(SimulateError::FalseAlarms { got });
        }
        let mut model = spec.clone();
        if !plan.monitors {
            model.monitors.clear();
        }
        for monitor in &mut model.monitors {
            monitor.false_alarms_per_100000_days = asked.unwrap_or(monitor.false_alarms_per_100000_days);
        }
        Ok(Self(model))
    }

    /// Watches the fleet up to a day; nothing where no monitor runs. `settled_by`: as in [`MonitorRequest`].
    pub fn run(
        &self,
        plan: &SimulatePlan,
        histories: Histories,
        as_of_day: i32,
        settled_by: Vec<usize>,
        control: &Control,
    ) -> Result<Option<Monitoring>, EngineError> {
        if self.0.monitors.is_empty() {
            return Ok(None);
        }
        let request = MonitorRequest {
            as_of_day: Some(as_of_day),
            threads: plan.threads,
            memory_limit_bytes: plan.memory_limit_bytes,
            chunk_rows: plan.chunk_rows,
            reversed: plan.reversed,
            scan_kind: plan.scan_kind,
            settled_by,
            ..MonitorRequest::new(plan.seed)
        };
        watch(histories, &self.0, &request, control).map(Some)
    }
}

/// What a report says of each monitor.
pub fn findings(monitoring: &Monitoring) -> Vec<MonitorFinding> {
    let finding = |(number, one): (usize, &super::monitor_report::MonitorSummary)| MonitorFinding {
        monitor: one.monitor.clone(),
        alarms: one.threshold_alarms + one.drift_alarms + one.variance_alarms,
        budgeted: one.samples_watched as f64 * one.days_per_sample * one.false_alarms_per_100000_days / 1e5,
        cohort: (monitoring.cohorts.iter())
            .find(|cohort| cohort.monitor == number && cohort.p_adjusted < NOTABLE_P)
            .cloned(),
    };
    monitoring.monitors.iter().enumerate().map(finding).collect()
}
