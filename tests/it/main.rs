//! One binary: every ring of tests that needs more than one room.

mod batches;
mod dataset;
mod dictionary;
mod fleet_files;
mod model;
mod reading;
mod tidy;
mod writer;
