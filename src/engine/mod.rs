//! The conductor: reader → batches → backend → reducers → writer.
//!
//! A command is a plan, checked once, and a call that takes it and gives a report. Nothing is printed; what a
//! listener should hear goes through [`crate::run::Control`].

pub mod accumulate;
pub mod backtest;
mod backtest_cut;
pub mod backtest_plan;
mod backtest_write;
pub mod discover;
mod discover_passes;
pub mod error;
pub mod fit;
mod histories;
pub mod inspect;
pub mod monitor;
pub mod monitor_report;
pub mod night;
pub mod plan;
pub mod prepare;
pub mod recall;
mod recall_defect;
mod recall_facts;
mod recall_notes;
pub mod recall_plan;
mod recall_write;
pub mod report;
pub mod score;
pub mod simulate;
mod simulate_memory;
mod simulate_monitors;
mod simulate_passes;
pub mod simulate_plan;
mod simulate_setup;
mod simulate_tables;
pub mod simulate_urgent;
pub mod verify;
mod verify_futures;
mod verify_nights;
pub mod write_scores;

pub use backtest::backtest;
pub use backtest_plan::{BacktestPlan, BacktestReport};
pub use discover::{DiscoverPlan, DiscoverReport, discover};
pub use error::EngineError;
pub use fit::{FitPlan, FitReport, fit, fit_histories};
pub use inspect::{InspectPlan, Inspection, inspect_vehicle};
pub use monitor::{MonitorRequest, monitor};
pub use monitor_report::{MonitorSummary, Monitoring};
pub use plan::ScorePlan;
pub use recall::recall;
pub use recall_plan::{RecallPlan, RecallReport};
pub use report::{ScoreReport, Timings};
pub use score::score;
pub use simulate::simulate;
pub use simulate_plan::{ExpectedDifference, SimulatePlan, SimulateReport};
pub use verify::{VerifyPlan, VerifyReport, verify};
