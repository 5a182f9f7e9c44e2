//! Fitting a model's free parameters to histories and events.
//!
//! ```text
//! model + small tables ──► plan (groups, free parameters, sample) ──► scan ──► build (lives, marks) ──► estimate
//! ```
//!
//! [`plan`] settles, by the [`request`], what is free and which vehicles are looked at ([`sample`]); one scan keeps their records; [`build`]
//! makes of them the [`lives`] of every place and the sums at their marks; [`law`] is the group's hazard as a function
//! of its parameters, [`likelihood`] what the lives say of it; [`maximise`] climbs it, and [`estimate`] gives numbers
//! with their errors; [`output`] writes them into the model and tables. A life is used once its start and its use are
//! known; the rest is counted by reason.

mod bootstrap;
pub mod build;
pub mod error;
pub mod estimate;
pub mod law;
pub mod likelihood;
pub mod lives;
pub mod matrix;
pub mod maximise;
pub mod output;
pub mod plan;
pub mod request;
pub mod sample;

pub use error::HistoryFitError;
pub use estimate::{Estimate, GroupFit, Status};
pub use plan::{HistoryFit, SettledFit};
pub use request::FitRequest;
