//! `recall`: how many will fail, and how surely that is known.
//!
//! ```text
//! table of lives ──► at_risk (who can fail, with what chance) ──► lives (the fit, and the way to know its error)
//!   ──► resample (what else could have been seen) ──► prediction (plug-in bounds, calibrated tail by tail)
//!   ──► table_run ──► output (Parquet, JSON, manifest)
//! ```
//!
//! Key idea: bounds from a fitted law that is taken as known are too narrow: of the bearing cages a 90 % interval covers
//! 79 %. [`prediction`] finds the level at which the same bounds, computed from what else could have been seen, cover
//! what is asked, and takes the bounds of that level.
//!
//! Units: ages and horizons in the table's own unit; counts are of units that fail for the first time.

pub mod at_risk;
mod draws;
pub mod error;
pub mod few;
pub mod lives;
mod output;
pub mod plan;
pub mod prediction;
pub mod report;
pub mod resample;
mod table_run;

pub use error::RecallError;
pub use table_run::recall_lives;
