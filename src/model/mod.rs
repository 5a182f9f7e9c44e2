//! What a failure mode is: the TOML language, the curves, the compiled integer tables and the life law.
//!
//! `model` knows no other room but [`crate::fixed`]. A model goes one way: text → [`spec::Model`] (checked by itself)
//! → [`compile::compile`] against a dataset's [`channel::Schema`] → [`compiled::CompiledModel`] (integers for the
//! kernels, names for the host).

pub mod channel;
pub mod compile;
pub mod compiled;
pub mod covariance;
pub mod curve;
pub mod error;
pub mod explain;
pub mod free;
pub mod life;
pub mod normal;
mod parse;
pub mod rewrite;
pub mod scenario;
pub mod shipped;
pub mod slope;
pub mod spec;
pub mod surface;
pub mod survival;
pub mod tables;
pub mod waterfall;
