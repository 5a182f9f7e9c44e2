//! One binary: every ring of tests that needs more than one room.

mod batches;
mod dataset;
mod dictionary;
mod fleet_files;
mod model;
mod mutants;
mod oracle;
mod reading;
mod score;
mod tidy;
mod writer;
