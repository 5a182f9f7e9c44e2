//! Learning from failures: what a life law's parameters are, and how well they are known.
//!
//! Two sources, one room each. [`history`] fits a model's free parameters to histories and work orders. [`lives`] takes a
//! plain table of lives (age at failure, or age reached) and fits a distribution of age.

pub mod history;
pub mod lives;
