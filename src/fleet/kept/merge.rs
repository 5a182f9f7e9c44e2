//! Several runs as one: the rows of a block in the order of (vehicle, tick), each once.
//!
//! A row that came again with the same codes is dropped. Of rows with equal vehicle and tick but other codes all are
//! kept, for which of them counts is a question of the channels that are read ([`super::read`]): so runs can be put
//! together in any order, at any time, and nothing of the result depends on it.
//!
//! When [`RUNS_OF_LEVEL`] runs of one level stand beside each other they are put together into one of the next level. A
//! row is therefore written once for each level, and a reader meets a handful of runs of each.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use rayon::prelude::*;

use super::block::{BLOCK_VEHICLES, encode};
use super::run::{Run, RunRecord, RunWriter};
use crate::fleet::chunk::Chunk;
use crate::fleet::error::FleetError;
use crate::fleet::state::error::{StateError, StockError};
use crate::run::Control;

/// Runs of a level that are put together.
pub const RUNS_OF_LEVEL: usize = 8;
/// Blocks that are put together at a time.
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

/// All blocks of some runs.
pub fn blocks(runs: &[Run]) -> Vec<u32> {
    let blocks: BTreeSet<u32> = runs.iter().flat_map(|run| run.entries.iter().map(|entry| entry.block)).collect();
    blocks.into_iter().collect()
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

/// Puts runs of this many columns together. Runs on the current rayon pool.
pub fn put_together(
    runs: &[Run],
    columns: usize,
    folder: PathBuf,
    put: &dyn Fn(&str, &[u8]) -> Result<(), StateError>,
    control: &Control,
) -> Result<Run, StockError> {
    let columns: Vec<usize> = (0..columns).collect();
    let mut writer = RunWriter::new(put);
    for some in blocks(runs).chunks(BLOCKS_AT_ONCE) {
        control.check().map_err(FleetError::Interrupted)?;
        let encode_block = |&block: &u32| -> Result<_, StateError> {
            let (mut whole, mut bytes) = (Chunk::default(), Vec::new());
            rows(runs, block, &columns, &mut Scratch::default(), &mut whole)?;
            encode(&whole, &mut bytes);
            Ok((block, whole.len(), ticks(&whole, 0..whole.len()), bytes))
        };
        let encoded: Vec<_> = some.par_iter().map(encode_block).collect::<Result<_, _>>()?;
        for (block, rows, ticks, bytes) in encoded {
            writer.add(block, rows, ticks, &bytes)?;
        }
    }
    Ok(writer.finish(folder)?)
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
        let whole = put_together(&runs, 1, own.clone(), &put, &Control::silent()).unwrap();
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
