//! One binary: every ring of tests that needs more than one room.

mod model;
mod tidy;
mod writer;
