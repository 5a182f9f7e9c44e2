//! The dataset: data dictionary, planner, reader, row account, writer.
//!
//! The reader hands out [`chunk::Chunk`]s: packed `u16` codes with a dense vehicle index and a tick a row.

pub mod account;
pub mod chunk;
pub mod dictionary;
pub mod manifest;
pub mod scan;
pub mod time;
pub mod vehicles;
pub mod writer;
