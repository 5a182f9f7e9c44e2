//! One binary: every ring of tests that needs more than one room.

mod batches;
mod buses;
mod dataset;
mod determinism;
mod dictionary;
mod fleet_files;
mod model;
mod mutants;
mod oracle;
mod reading;
mod score;
mod small_fleet;
mod tidy;
mod writer;
