//! One binary: every ring of tests that needs more than one room.

mod dataset;
mod dictionary;
mod model;
mod tidy;
mod writer;
