//! `fit --lifetimes`: life distributions from a plain table of lives, for people who have no histories.
//!
//! ```text
//! table (CSV, xlsx, Parquet) ──► columns (which is the time, the event …) ──► rows (lives + what is set aside, and why)
//! ```
//!
//! A life is an age at which something failed, or an interval in which it must have failed, or an age that it has
//! outlived; `entry` is the age from which it was watched. Every row of the file is used or set aside by reason.

pub mod columns;
pub mod error;
pub mod events;
pub mod life;
pub mod plan;
pub mod rows;
pub mod table;

pub use error::LivesError;
pub use plan::LivesPlan;
