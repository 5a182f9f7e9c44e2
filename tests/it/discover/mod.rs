//! `discover`: its statistics against plain formulas, a planted rule found again, nothing found where there is nothing.

mod figures;
mod fleet;
mod oracle;
mod outside;
mod rule;
pub mod world;
