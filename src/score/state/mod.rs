//! Night by night: what is kept from one run to the next, so that a night reads only its new files and gives exactly
//! what a run over everything would give.

pub mod arrays;
mod capped;
pub mod cell_sums;
pub mod cells;
pub mod collect;
pub mod error;
pub mod folder;
mod incremental;
pub mod log_read;
pub mod log_write;
pub mod merge;
pub mod night;
pub mod presence;
pub mod record;
pub mod reform;
pub mod repeats;
pub mod sink;
pub mod stock;
pub mod store;
pub mod stored;
pub mod traits;
