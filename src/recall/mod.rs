//! `recall`: how many will fail, and how surely that is known.
//!
//! ```text
//! table of lives ──► at_risk (who can fail, with what chance) ──► lives (the fit, and the way to know its error)
//!   ──► resample (what else could have been seen) ──► prediction (plug-in bounds, calibrated tail by tail)
//!   ──► table_run ──► output (Parquet, JSON, manifest)
//!
//! vehicles ──► cohort (expression, or a list) ──► one simulation, the cohort as a group ──► futures ──► prediction
//!   ──► boundary (lot, plant, build dates) · incidents · economics ──► money
//!   ──► fleet_report ──► fleet_tables (Parquet) · workbook (xlsx) · page (HTML)
//! ```
//!
//! Key idea: bounds from a fitted law that is taken as known are too narrow: of the bearing cages a 90 % interval covers
//! 79 %. [`prediction`] finds the level at which the same bounds, computed from what else could have been seen, cover
//! what is asked, and takes the bounds of that level.
//!
//! Units: of tables of lives, ages and horizons in the table's own unit, and counts of units that fail for the first time;
//! of vehicles, days, and counts of failures, those of successors among them.

pub mod at_risk;
pub mod boundary;
pub mod cohort;
mod draws;
pub mod economics;
pub mod error;
pub mod exposure;
pub mod expression;
pub mod few;
pub mod fleet_report;
pub mod fleet_tables;
pub mod futures;
pub mod incidents;
pub mod lives;
pub mod money;
mod output;
pub mod page;
mod page_money;
pub mod plan;
pub mod prediction;
pub mod report;
pub mod resample;
mod table_run;
pub mod workbook;

pub use error::RecallError;
pub use table_run::recall_lives;
