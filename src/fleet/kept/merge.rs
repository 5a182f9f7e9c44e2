//! Several runs as one: the rows of a block in the order of (vehicle, tick), each once.
//!
//! A row that came again with the same codes is dropped. Of rows with equal vehicle and tick but other codes all are
//! kept, for which of them counts is a question of the channels that are read ([`super::read`]): so runs can be put
//! together in any order, at any time, and nothing of the result depends on it.
//!
//! When [`RUNS_OF_LEVEL`] runs of one level stand beside each other they are put together into one of the next level. A
//! row is therefore written once for each level, and a reader meets a handful of runs of each.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;

use super::block::{BLOCK_VEHICLES, encode};
use super::run::{Run, RunRecord, RunWriter};
use crate::fleet::chunk::Chunk;
use crate::fleet::error::FleetError;
use crate::fleet::pool::{self, Halt, Stop, lock};
use crate::fleet::rows_file::row_bytes;
use crate::fleet::state::error::StateError;
use crate::run::Control;

/// Runs of a level that are put together.
pub const RUNS_OF_LEVEL: usize = 8;
/// Blocks that are put together at a time, where they fit.
const BLOCKS_AT_ONCE: usize = 64;

/// Space that reading a block uses again and again.
#[derive(Debug, Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    unordered: Chunk,
    order: Vec<u32>,
}

/// The level of a run of so many rows: how often its rows of one vehicle fill [`RUNS_OF_LEVEL`].
pub fn level_of(rows: u64, vehicles: usize) -> u32 {
    (rows / (vehicles as u64).max(1)).max(1).ilog(RUNS_OF_LEVEL as u64)
}

/// Which runs are put together with a new one of this level, and the level of what comes of it.
pub fn joined(runs: &[RunRecord], level: u32) -> (BTreeSet<usize>, u32) {
    let (mut joined, mut level) = (BTreeSet::new(), level);
    loop {
        let alike: Vec<usize> = (0..runs.len()).filter(|&run| runs[run].level == level).collect();
        if alike.len() + 1 < RUNS_OF_LEVEL {
            return (joined, level);
        }
        joined.extend(alike);
        level += 1;
    }
}

/// All blocks of some runs, and how many of them fit into memory at once, rows with this many columns.
pub fn blocks(runs: &[Run], columns: usize, memory_bytes: usize) -> (Vec<u32>, usize) {
    let mut rows: BTreeMap<u32, usize> = BTreeMap::new();
    for entry in runs.iter().flat_map(|run| &run.entries) {
        *rows.entry(entry.block).or_default() += entry.rows as usize;
    }
    // As read, in order, and on their way on.
    let largest_bytes = 3 * rows.values().max().map_or(1, |rows| rows * (row_bytes(columns) + 4));
    (rows.into_keys().collect(), (memory_bytes / largest_bytes).max(1))
}

/// Replaces `rows` with a block's rows in order, each once; ordinals stand for vehicles.
pub fn rows(
    runs: &[Run],
    block: u32,
    columns: &[usize],
    scratch: &mut Scratch,
    rows: &mut Chunk,
) -> Result<(), StateError> {
    let Scratch { bytes, unordered, order } = scratch;
    for chunk in [&mut *rows, &mut *unordered] {
        chunk.clear();
        chunk.codes.resize_with(columns.len(), Vec::new);
    }
    for run in runs {
        run.read(block, columns, unordered, bytes)?;
    }
    sort(unordered, |vehicle| (vehicle % BLOCK_VEHICLES) as usize, order);
    if order.is_empty() {
        std::mem::swap(rows, unordered);
    } else {
        take(unordered, order, rows);
    }
    rows.drop_repeats();
    Ok(())
}

/// Fills `order` with the rows of a chunk in the order of (vehicle, tick, codes); empty: they stand in it.
fn sort(chunk: &Chunk, place: impl Fn(u32) -> usize, order: &mut Vec<u32>) {
    order.clear();
    let in_order = (1..chunk.len())
        .all(|row| (chunk.vehicle[row - 1], chunk.tick[row - 1]) < (chunk.vehicle[row], chunk.tick[row]));
    if in_order {
        return;
    }
    // Runs come in the order of time, so that within a vehicle there is hardly anything left to sort.
    let mut next = vec![0_usize; BLOCK_VEHICLES as usize + 1];
    chunk.vehicle.iter().for_each(|&vehicle| next[place(vehicle) + 1] += 1);
    (1..next.len()).for_each(|at| next[at] += next[at - 1]);
    let ends: Vec<usize> = next[1..].to_vec();
    order.resize(chunk.len(), 0);
    for (row, &vehicle) in chunk.vehicle.iter().enumerate() {
        order[next[place(vehicle)]] = row as u32;
        next[place(vehicle)] += 1;
    }
    let codes = |row: u32| chunk.codes.iter().map(move |column| column[row as usize]);
    let mut from = 0;
    for to in ends {
        let own = &mut order[from..to];
        if !own.is_sorted_by(|&a, &b| chunk.tick[a as usize] < chunk.tick[b as usize]) {
            own.sort_unstable_by(|&a, &b| {
                chunk.tick[a as usize].cmp(&chunk.tick[b as usize]).then_with(|| codes(a).cmp(codes(b)))
            });
        }
        from = to;
    }
}

/// Appends the rows that `order` names.
pub fn take(from: &Chunk, order: &[u32], to: &mut Chunk) {
    to.vehicle.extend(order.iter().map(|&row| from.vehicle[row as usize]));
    to.tick.extend(order.iter().map(|&row| from.tick[row as usize]));
    for (column, source) in to.codes.iter_mut().zip(&from.codes) {
        column.extend(order.iter().map(|&row| source[row as usize]));
    }
}

/// Adds the blocks of rows that rise by (vehicle, tick) to a run.
pub fn write(rows: &Chunk, writer: &mut RunWriter) -> Result<(), StateError> {
    let mut from = 0;
    let mut bytes = Vec::new();
    for vehicles in rows.vehicle.chunk_by(|a, b| a / BLOCK_VEHICLES == b / BLOCK_VEHICLES) {
        let range = from..from + vehicles.len();
        from = range.end;
        let mut own = Chunk::with_columns(rows.codes.len());
        own.append_range(rows, range.start, range.end);
        bytes.clear();
        encode(&own, &mut bytes);
        writer.add(vehicles[0] / BLOCK_VEHICLES, own.len(), ticks(&own, 0..own.len()), &bytes)?;
    }
    Ok(())
}

fn ticks(rows: &Chunk, range: Range<usize>) -> (i32, i32) {
    let ticks = rows.tick[range].iter();
    ticks.fold((i32::MAX, i32::MIN), |(least, largest), &tick| (least.min(tick), largest.max(tick)))
}

/// How runs are put together.
#[derive(Clone, Copy)]
pub struct Together<'a> {
    /// Columns of the runs.
    pub columns: usize,
    pub threads: usize,
    pub memory_bytes: usize,
    pub control: &'a Control<'a>,
}

impl Together<'_> {
    /// Puts runs together into one in `folder`; `put` writes its pieces.
    pub fn put(self, runs: &[Run], folder: PathBuf, put: &super::run::Put) -> Result<Run, FleetError> {
        let (blocks, at_once) = blocks(runs, self.columns, self.memory_bytes);
        let columns: Vec<usize> = (0..self.columns).collect();
        let mut writer = RunWriter::new(put);
        for some in blocks.chunks(at_once.min(BLOCKS_AT_ONCE)) {
            self.control.check().map_err(FleetError::Interrupted)?;
            let encoded = Mutex::new(vec![Encoded::default(); some.len()]);
            let workers = (0..self.threads.clamp(1, some.len())).map(|_| (Scratch::default(), Chunk::default()));
            let work = |(scratch, whole): &mut (Scratch, Chunk), at: usize| -> Result<(), Stop> {
                rows(runs, some[at], &columns, scratch, whole).map_err(FleetError::from)?;
                let mut bytes = Vec::new();
                encode(whole, &mut bytes);
                lock(&encoded)[at] = Encoded { rows: whole.len(), ticks: ticks(whole, 0..whole.len()), bytes };
                Ok(())
            };
            pool::run(workers.collect(), some.len(), &Halt::default(), work).map_err(Stop::into_error)?;
            for (&block, encoded) in some.iter().zip(lock(&encoded).iter()) {
                writer.add(block, encoded.rows, encoded.ticks, &encoded.bytes)?;
            }
        }
        Ok(writer.finish(folder)?)
    }
}

/// A block in bytes.
#[derive(Clone, Default)]
struct Encoded {
    rows: usize,
    ticks: (i32, i32),
    bytes: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(level: u32) -> RunRecord {
        RunRecord { path: String::new(), blocks: 0, rows: 0, from_tick: 0, to_tick: 0, level }
    }

    #[test]
    fn levels_fill_up_and_over() {
        assert_eq!([0, 99, 800, 73_000].map(|rows| level_of(rows, 100)), [0, 0, 1, 3]);
        let levels = |levels: &[u32], new| joined(&levels.iter().map(|&level| record(level)).collect::<Vec<_>>(), new);
        assert_eq!(levels(&[], 3), (BTreeSet::new(), 3));
        assert_eq!(levels(&[3, 0, 0, 0, 0, 0, 0], 0), (BTreeSet::new(), 0));
        assert_eq!(levels(&[3, 0, 0, 0, 0, 0, 0, 0], 0), ((1..8).collect(), 1));
        let full = [3, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(levels(&full, 0), ((1..15).collect(), 2));
    }

    #[test]
    fn rows_are_put_in_order_and_only_equal_ones_dropped() {
        let parts: [&[(u32, i32, u16)]; 3] =
            [&[(1, 5, 9), (1, 6, 9), (2, 1, 1)], &[(0, 3, 3), (1, 5, 8), (1, 7, 1)], &[(1, 5, 9), (1, 4, 4)]];
        let folder = tempfile::tempdir().unwrap();
        let runs: Vec<Run> = (parts.iter().enumerate())
            .map(|(number, part)| {
                let own = folder.path().join(number.to_string());
                std::fs::create_dir(&own).unwrap();
                let put = |name: &str, bytes: &[u8]| -> Result<(), StateError> {
                    std::fs::write(own.join(name), bytes).unwrap();
                    Ok(())
                };
                let mut part = part.to_vec();
                part.sort();
                let rows = Chunk {
                    vehicle: part.iter().map(|row| row.0 + 300).collect(),
                    tick: part.iter().map(|row| row.1).collect(),
                    codes: vec![part.iter().map(|row| row.2).collect()],
                };
                let mut writer = RunWriter::new(&put);
                write(&rows, &mut writer).unwrap();
                writer.finish(own.clone()).unwrap()
            })
            .collect();
        let expected = [(0, 3, 3), (1, 4, 4), (1, 5, 8), (1, 5, 9), (1, 6, 9), (1, 7, 1), (2, 1, 1)];
        let read = |runs: &[Run]| {
            let mut all = Chunk::default();
            rows(runs, 1, &[0], &mut Scratch::default(), &mut all).unwrap();
            let rows = all.vehicle.iter().zip(&all.tick).zip(&all.codes[0]);
            rows.map(|((vehicle, tick), code)| (vehicle - 300, *tick, *code)).collect::<Vec<_>>()
        };
        assert_eq!(read(&runs), expected);
        let reversed: Vec<Run> = runs.iter().rev().cloned().collect();
        assert_eq!(read(&reversed), expected);
        let own = folder.path().join("all");
        std::fs::create_dir(&own).unwrap();
        let put = |name: &str, bytes: &[u8]| -> Result<(), StateError> {
            std::fs::write(own.join(name), bytes).unwrap();
            Ok(())
        };
        let together = Together { columns: 1, threads: 2, memory_bytes: 1 << 20, control: &Control::silent() };
        let whole = together.put(&runs, own.clone(), &put).unwrap();
        assert_eq!((whole.rows(), whole.from_tick, whole.to_tick), (7, 1, 7));
        let whole = [whole];
        assert_eq!(read(&whole), expected);
        // A flipped bit is noticed.
        let piece = own.join("rows-00000.bin");
        let mut bytes = std::fs::read(&piece).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&piece, bytes).unwrap();
        let mut none = Chunk::default();
        assert!(rows(&whole, 1, &[0], &mut Scratch::default(), &mut none).is_err());
    }
}
