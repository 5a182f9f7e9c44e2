//! `discover`: its statistics against plain formulas, a planted rule found again, nothing found where there is nothing.

mod fleet;
mod oracle;
mod outside;
mod rule;
pub mod world;
