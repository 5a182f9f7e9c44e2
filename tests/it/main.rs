//! One binary: every ring of tests that needs more than one room.

mod tidy;
mod writer;
