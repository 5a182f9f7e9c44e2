//! A run: packed rows in blocks of vehicles, written once and never changed.
//!
//! Blocks follow one another in pieces of `PIECE_BYTES` or a little more; where each stands, and the BLAKE3 of its bytes,
//! is a table of its own. Each block is checked as it is read: a flipped bit must not become somebody's forecast.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::block;
use crate::fleet::chunk::Chunk;
use crate::fleet::manifest::Manifest;
use crate::fleet::state::arrays::{self, Arrays};
use crate::fleet::state::error::StateError;
use crate::fleet::writer::OutputFolder;

const PIECE_BYTES: usize = 32 << 20;
const BLOCKS: &str = "blocks";

/// What `state.json` says of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its folder within the state.
    pub path: String,
    pub blocks: usize,
    pub rows: u64,
    pub from_tick: i32,
    pub to_tick: i32,
    /// Runs of one level are put together when there are many ([`super::merge`]).
    pub level: u32,
}

/// Where a block stands.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Entry {
    pub block: u32,
    pub rows: u32,
    piece: u32,
    from_byte: u32,
    bytes: u32,
    blake3: [u8; 32],
}

/// A run that can be read.
#[derive(Clone, Debug)]
pub struct Run {
    folder: PathBuf,
    /// By block.
    pub entries: Vec<Entry>,
    pub from_tick: i32,
    pub to_tick: i32,
}

/// Writes a piece under a name.
pub type Put<'a> = dyn Fn(&str, &[u8]) -> Result<(), StateError> + 'a;

/// A run in the making: blocks come in rising order.
pub struct RunWriter<'a> {
    put: &'a Put<'a>,
    piece: Vec<u8>,
    pieces: u32,
    entries: Vec<Entry>,
    ticks: (i32, i32),
}

impl Run {
    /// Opens a run of the state in `state`.
    pub fn open(state: &Path, record: &RunRecord) -> Result<Self, StateError> {
        let folder = state.join(&record.path);
        let entries: Vec<Entry> = Arrays::open(&folder)?.read(BLOCKS, record.blocks)?;
        if entries.iter().map(|entry| u64::from(entry.rows)).sum::<u64>() != record.rows {
            return Err(StateError::damaged(&folder, "its blocks do not hold the rows that the state knows of"));
        }
        Ok(Self { folder, entries, from_tick: record.from_tick, to_tick: record.to_tick })
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn rows(&self) -> u64 {
        self.entries.iter().map(|entry| u64::from(entry.rows)).sum()
    }

    /// Appends the rows of a block with some of their columns; `bytes` is scratch space.
    pub fn read(&self, block: u32, columns: &[usize], out: &mut Chunk, bytes: &mut Vec<u8>) -> Result<(), StateError> {
        let Ok(at) = self.entries.binary_search_by_key(&block, |entry| entry.block) else { return Ok(()) };
        let entry = &self.entries[at];
        let path = self.folder.join(piece_name(entry.piece));
        bytes.resize(entry.bytes as usize, 0);
        let mut file = File::open(&path).map_err(|error| StateError::damaged(&path, error))?;
        let read = file.seek(SeekFrom::Start(entry.from_byte.into())).and_then(|_| file.read_exact(bytes));
        read.map_err(|error| StateError::damaged(&path, error))?;
        if blake3::hash(bytes) != entry.blake3 || block::decode(bytes, block, columns, out).is_none() {
            return Err(StateError::damaged(&path, "its content is not what was written"));
        }
        Ok(())
    }
}

impl<'a> RunWriter<'a> {
    pub fn new(put: &'a Put<'a>) -> Self {
        Self { put, piece: Vec::new(), pieces: 0, entries: Vec::new(), ticks: (i32::MAX, i32::MIN) }
    }

    /// Adds a block as [`block::encode`] wrote it.
    pub fn add(&mut self, block: u32, rows: usize, ticks: (i32, i32), bytes: &[u8]) -> Result<(), StateError> {
        if rows == 0 {
            return Ok(());
        }
        self.entries.push(Entry {
            block,
            rows: rows as u32,
            piece: self.pieces,
            from_byte: self.piece.len() as u32,
            bytes: bytes.len() as u32,
            blake3: *blake3::hash(bytes).as_bytes(),
        });
        self.ticks = (self.ticks.0.min(ticks.0), self.ticks.1.max(ticks.1));
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES { self.put_piece() } else { Ok(()) }
    }

    fn put_piece(&mut self) -> Result<(), StateError> {
        (self.put)(&piece_name(self.pieces), &self.piece)?;
        self.piece.clear();
        self.pieces += 1;
        Ok(())
    }

    /// Writes what is left; the run lies in `folder`.
    pub fn finish(mut self, folder: PathBuf) -> Result<Run, StateError> {
        if !self.piece.is_empty() {
            self.put_piece()?;
        }
        let (from_tick, to_tick) = self.ticks;
        Ok(Run { folder, entries: self.entries, from_tick, to_tick })
    }
}

/// Places a run of the state, its pieces being written; `folder` is its folder in the making.
pub fn place(run: &Run, folder: OutputFolder, path: String, level: u32) -> Result<RunRecord, StateError> {
    arrays::write(&folder, BLOCKS, &run.entries)?;
    folder.finish(Manifest { command: "simulate --state".to_owned(), ..Manifest::default() })?;
    let (from_tick, to_tick) = (run.from_tick, run.to_tick);
    Ok(RunRecord { path, blocks: run.entries.len(), rows: run.rows(), from_tick, to_tick, level })
}

fn piece_name(piece: u32) -> String {
    format!("rows-{piece:05}.bin")
}
