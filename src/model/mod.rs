//! What a failure mode is: the TOML language, the curves, the compiled integer tables and the life law.
//!
//! `model` knows no other room but [`crate::fixed`].

pub mod channel;
pub mod tables;
