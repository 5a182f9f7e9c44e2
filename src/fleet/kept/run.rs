//! A run: packed rows in blocks of vehicles, written once and never changed.
//!
//! Blocks are halved until they have few rows or one vehicle; they follow one another in pieces of `PIECE_BYTES` or a little more; where each stands, and the BLAKE3 of its bytes,
//! is a table of its own. Each block is checked as it is read: a flipped bit must not become somebody's forecast.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::block::{self, Span};
use crate::fleet::chunk::Chunk;
use crate::fleet::error::FleetError;
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
    from_byte: u64,
    bytes: u64,
    first_vehicle: u32,
    vehicles: u32,
    pub rows: u32,
    piece: u32,
    blake3: [u8; 32],
}

impl Entry {
    pub fn span(&self) -> Span {
        Span { first: self.first_vehicle, vehicles: self.vehicles }
    }
}

/// A run that can be read.
#[derive(Clone, Debug)]
pub struct Run {
    folder: PathBuf,
    /// By vehicle.
    pub entries: Vec<Entry>,
    pub from_tick: i32,
    pub to_tick: i32,
}

/// Writes a piece under a name.
pub type Put<'a> = dyn Fn(&str, &[u8]) -> Result<(), StateError> + 'a;

/// A block in bytes.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub span: Span,
    rows: u32,
    ticks: (i32, i32),
    bytes: Vec<u8>,
}

impl Encoded {
    /// The rows of a span, which rise by (vehicle, tick), in blocks of [`block::MOST_ROWS`] at most or of one vehicle.
    pub fn blocks(rows: &Chunk, span: Span) -> Result<Vec<Self>, FleetError> {
        let (mut spans, mut blocks) = (vec![span], Vec::new());
        while let Some(span) = spans.pop() {
            let own = span.rows(&rows.vehicle);
            if own.len() > block::MOST_ROWS && span.vehicles > 1 {
                let [low, high] = span.halves();
                spans.extend([high, low]);
            } else if !own.is_empty() {
                blocks.push(Self::of(rows, own, span)?);
            }
        }
        Ok(blocks)
    }

    fn of(rows: &Chunk, own: Range<usize>, span: Span) -> Result<Self, FleetError> {
        let ticks = rows.tick[own.clone()].iter();
        let ticks = ticks.fold((i32::MAX, i32::MIN), |(least, largest), &tick| (least.min(tick), largest.max(tick)));
        let mut part = Chunk::with_columns(rows.codes.len());
        part.append_range(rows, own.start, own.end);
        let too_many = || FleetError::TooMany { what: "rows of one vehicle", limit: u32::MAX.into() };
        let mut bytes = Vec::new();
        block::encode(&part, span, &mut bytes).ok_or_else(too_many)?;
        Ok(Self { span, rows: u32::try_from(part.len()).map_err(|_| too_many())?, ticks, bytes })
    }
}

/// What reading a span of a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    Read,
    /// So many rows in all would be more than there is room for; nothing of the block that is too much was read.
    TooMany(usize),
}

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

    /// The blocks that hold vehicles of a span.
    fn entries_of(&self, span: Span) -> &[Entry] {
        let before = |entry: &Entry| !entry.span().holds_all(span) && entry.first_vehicle < span.first;
        let from = self.entries.partition_point(before);
        let own = |entry: &Entry| entry.span().holds_all(span) || span.holds_all(entry.span());
        &self.entries[from..from + self.entries[from..].partition_point(own)]
    }

    /// How many rows of a span it holds, where only a part of a block is asked for as if all vehicles had as many.
    pub fn rows_about(&self, span: Span) -> u64 {
        let part = |entry: &Entry| {
            let vehicles = u64::from(entry.vehicles.min(span.vehicles));
            (u64::from(entry.rows) * vehicles).div_ceil(u64::from(entry.vehicles.max(1)))
        };
        self.entries_of(span).iter().map(part).sum()
    }

    /// Appends the rows of a span with some of their columns, as long as there are no more than `most_rows` with those
    /// that are there already; `bytes` is scratch space.
    pub fn read(
        &self,
        span: Span,
        columns: &[usize],
        most_rows: usize,
        out: &mut Chunk,
        bytes: &mut Vec<u8>,
    ) -> Result<Amount, StateError> {
        for entry in self.entries_of(span) {
            let path = self.folder.join(piece_name(entry.piece));
            bytes.resize(entry.bytes as usize, 0);
            let mut file = File::open(&path).map_err(|error| StateError::damaged(&path, error))?;
            let read = file.seek(SeekFrom::Start(entry.from_byte)).and_then(|_| file.read_exact(bytes));
            read.map_err(|error| StateError::damaged(&path, error))?;
            let damaged = || StateError::damaged(&path, "its content is not what was written");
            if blake3::hash(bytes) != entry.blake3 {
                return Err(damaged());
            }
            let packed = block::open(bytes, entry.span(), span).ok_or_else(damaged)?;
            let rows = out.len() + packed.rows();
            if rows > most_rows {
                return Ok(Amount::TooMany(rows));
            }
            packed.unpack(columns, out).ok_or_else(damaged)?;
        }
        Ok(Amount::Read)
    }
}

impl<'a> RunWriter<'a> {
    pub fn new(put: &'a Put<'a>) -> Self {
        Self { put, piece: Vec::new(), pieces: 0, entries: Vec::new(), ticks: (i32::MAX, i32::MIN) }
    }

    /// Adds a block.
    pub fn add(&mut self, block: &Encoded) -> Result<(), StateError> {
        self.entries.push(Entry {
            from_byte: self.piece.len() as u64,
            bytes: block.bytes.len() as u64,
            first_vehicle: block.span.first,
            vehicles: block.span.vehicles,
            rows: block.rows,
            piece: self.pieces,
            blake3: *blake3::hash(&block.bytes).as_bytes(),
        });
        self.ticks = (self.ticks.0.min(block.ticks.0), self.ticks.1.max(block.ticks.1));
        self.piece.extend_from_slice(&block.bytes);
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
