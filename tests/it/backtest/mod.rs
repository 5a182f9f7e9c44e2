//! The back-test from files to files: it sees nothing that came later, its measures are those of the chances that were
//! stated, and what makes no sense is refused.

mod buses;
mod look_ahead;
mod refusals;
mod synthetic;
mod two_futures;

use fleetwear::engine::BacktestReport;

/// A measure of all cuts together.
pub fn value(report: &BacktestReport, mode: &str, horizon_days: Option<u32>, measure: &str) -> Option<f64> {
    let found = report.measured.measures.iter().find(|one| {
        one.cut.is_none() && one.failure_mode == mode && one.horizon_days == horizon_days && one.measure == measure
    });
    found.unwrap_or_else(|| panic!("no {measure} of {mode} at {horizon_days:?}")).value
}
