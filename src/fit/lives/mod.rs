//! `fit --lifetimes`: life distributions from a plain table of lives, for people who have no histories.
//!
//! ```text
//! table (CSV, xlsx, Parquet) ──► columns (which is the time, the event …) ──► rows (lives, what is set aside and why)
//!   ──► likelihood of a law (jet, law) ──► newton ──► estimate (profile: likelihood-ratio intervals)
//!   ──► curve (Kaplan–Meier, Nelson–Aalen) · units, recurrent (mean cumulative function) · nevada (sales × returns)
//!   ──► report ──► output (Parquet, JSON, plot)
//! ```
//!
//! A life is an age at which something failed, or an interval in which it must have failed, or an age that it has
//! outlived; `entry` is the age from which it was watched. Every row of the file is used or set aside by reason.

pub mod chi_square;
pub mod columns;
pub mod curve;
pub mod error;
pub mod estimate;
pub mod events;
pub mod fitted_group;
pub mod jet;
pub mod law;
pub mod life;
pub mod likelihood;
pub mod matrix;
pub mod nevada;
pub mod newton;
mod output;
pub mod plan;
mod plot;
pub mod profile;
pub mod recurrent;
pub mod report;
pub mod rows;
mod run;
pub mod table;
mod units;

pub use error::LivesError;
pub use plan::LivesPlan;
pub use run::fit_lives;
