//! From clocks to scores: parts and their starts, slots, packing, damage, hazard, drivers, output rows.
//!
//! The order of work: [`parts`] says which parts a model has and since when each runs; [`slots`] cuts every
//! vehicle's time at those starts; [`masks`] says which interactions a vehicle allows; [`pack`] turns the reader's
//! chunks into batches for a backend and keeps the [`tally`]; [`sums`] holds what came of it and merges partial
//! results; [`fleet`] derives what a vehicle is compared with; [`row`] scores one part; [`output`] writes the rows.

pub mod drivers;
pub mod flags;
pub mod fleet;
pub mod masks;
pub mod output;
pub mod pack;
pub mod parts;
pub mod repeating;
pub mod row;
pub mod slots;
pub mod state;
pub mod sums;
pub mod tally;
