//! One binary: every ring of tests that needs more than one room.

// .clippy.toml allows these in test functions alone, and what tests share stands outside of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod backtest;
mod batches;
mod buses;
mod choice;
mod cli;
mod cube;
mod dataset;
mod determinism;
mod dictionary;
mod discover;
mod faults;
mod fit_history;
mod fit_lives;
mod fleet_files;
#[cfg(feature = "gpu")]
mod functions;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(feature = "gpu")]
mod layout;
mod model;
mod monitor;
mod mutants;
mod oracle;
mod reading;
mod reading_faults;
mod reading_pages;
mod recall;
mod score;
mod simulate;
mod skipped;
mod small_fleet;
mod state;
mod survival;
mod synth;
mod tidy;
mod writer;
