//! The dataset: data dictionary, planner, reader, row account, writer.
//!
//! The reader hands out [`chunk::Chunk`]s: packed `u16` codes with a dense vehicle index and a tick a row.

pub mod account;
pub mod chunk;
pub mod derived;
pub mod dictionary;
mod dictionary_parse;
pub mod error;
pub mod events;
pub mod files;
pub mod ids;
pub mod joins;
mod lakehouse;
pub mod manifest;
pub mod partition;
pub mod quantise;
pub mod scan;
mod table_file;
pub mod tables;
pub mod time;
mod toml_section;
pub mod vehicles;
pub mod writer;
