//! The dataset: data dictionary, planner, reader, row account, writer.
//!
//! The reader hands out [`chunk::Chunk`]s: packed `u16` codes with a dense vehicle index and a tick a row.

pub mod account;
mod by_time;
mod by_vehicle;
pub mod check;
pub mod chunk;
mod columns;
pub mod dataset;
mod decode;
pub mod derived;
pub mod dictionary;
mod dictionary_parse;
pub mod error;
pub mod events;
pub mod files;
pub mod flags;
pub mod guard;
mod history_file;
pub mod ids;
pub mod init;
mod input_hash;
pub mod joins;
mod lakehouse;
mod latest;
pub mod manifest;
mod pack;
mod pages;
pub mod partition;
mod plan;
mod pool;
pub mod quantise;
mod row_groups;
mod rows_file;
pub mod scan;
mod seen;
mod settle;
pub mod shard;
mod spill;
mod table_file;
pub mod tables;
mod tally;
pub mod time;
mod toml_section;
pub mod vehicles;
mod worker;
pub mod writer;
