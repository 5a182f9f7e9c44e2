//! A synthetic fleet with planted facts, and the truth about it.
//!
//! Vehicles of several driving styles live in the weather of nine cities and record their days; their parts fail by
//! the model's own life laws, on the very integers that the kernels add up, so that every other command can be judged
//! against what was planted. Every random number is a function of the seed and of what it is for (which vehicle,
//! which day, which purpose): the same fleet comes out on any number of threads.

pub mod calibrate;
pub mod climate;
pub mod day;
pub mod dictionary;
pub mod draw;
pub mod error;
pub mod fleet;
pub mod generate;
pub mod histories;
pub mod identity;
pub mod life;
pub mod order;
pub mod plan;
pub mod sensor;
pub mod style;
pub mod table;
pub mod truth;
pub mod wear;

pub use error::SynthError;
pub use generate::generate;
pub use plan::{IdKind, Layout, SynthPlan, SynthReport};
