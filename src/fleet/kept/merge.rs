//! Several runs as one: the rows of a span of vehicles in the order of (vehicle, tick), each once. A span is as wide as
//! its rows find room in the memory that may be used, down to a single vehicle.
//!
//! A row that came again with the same codes is dropped. Of rows with equal vehicle and tick but other codes all are
//! kept, for which of them counts is a question of the channels that are read ([`super::read`]): so runs can be put
//! together in any order, at any time, and nothing of the result depends on it.
//!
//! When [`RUNS_OF_LEVEL`] runs of one level stand beside each other they are put together into one of the next level. A
//! row is therefore written once for each level, and a reader meets a handful of runs of each.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;

use super::block::Span;
use super::run::{Amount, Encoded, Run, RunRecord, RunWriter};
use crate::fleet::chunk::Chunk;
use crate::fleet::error::FleetError;
use crate::fleet::pool::{self, Halt, Stop, lock};
use crate::fleet::rows_file::row_bytes;
use crate::fleet::state::error::StateError;
use crate::run::Control;

/// Runs of a level that are put together.
pub const RUNS_OF_LEVEL: usize = 8;
/// Spans that a thread puts together before what came of them is written: packed they take a fraction of their room.
const SPANS_OF_THREAD: usize = 4;

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

/// How much may be held at a time.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    columns: usize,
    /// Half of the memory, divided over the threads.
    rows_of_thread: usize,
    /// The other half: a vehicle whose rows are more than that goes through it alone.
    rows_alone: usize,
    bytes: usize,
}

impl Room {
    /// For rows with so many columns.
    pub fn new(columns: usize, threads: usize, memory_bytes: usize) -> Self {
        // As read, in order, and on their way on.
        let row_bytes = 3 * (row_bytes(columns) + size_of::<u32>());
        let rows = |bytes: usize| (bytes / row_bytes).clamp(1, u32::MAX as usize);
        let bytes = memory_bytes / 2;
        Self { columns, rows_of_thread: rows(bytes / threads.max(1)), rows_alone: rows(bytes), bytes }
    }

    fn refusal(&self, rows: usize) -> FleetError {
        let row_bytes = 3 * (row_bytes(self.columns) + size_of::<u32>());
        let (needed_bytes, limit_bytes) = ((rows as u64).saturating_mul(row_bytes as u64), self.bytes as u64);
        FleetError::Memory { what: "the packed history of one vehicle", needed_bytes, limit_bytes }
    }
}

/// The spans of all vehicles of some runs, in order: as many of them as likely find room in a thread's share.
pub fn spans(runs: &[Run], room: &Room) -> Vec<Span> {
    let groups: BTreeSet<Span> =
        runs.iter().flat_map(|run| &run.entries).map(|entry| Span::around(entry.span().first)).collect();
    let (mut spans, mut left) = (Vec::new(), groups.into_iter().rev().collect::<Vec<_>>());
    while let Some(span) = left.pop() {
        let rows: u64 = runs.iter().map(|run| run.rows_about(span)).sum();
        if rows > room.rows_of_thread as u64 && span.vehicles > 1 {
            let [low, high] = span.halves();
            left.extend([high, low]);
        } else if rows > 0 {
            spans.push(span);
        }
    }
    spans
}

/// Reads spans of runs, one worker at a time beyond its share of the memory.
#[derive(Debug)]
pub struct Reader<'a> {
    pub runs: &'a [Run],
    pub room: Room,
    alone: Mutex<()>,
}

impl<'a> Reader<'a> {
    pub fn new(runs: &'a [Run], room: Room) -> Self {
        Self { runs, room, alone: Mutex::default() }
    }

    /// Hands the rows of a span to `take`, ordinals for vehicles, in order and each once, all of a vehicle together; in
    /// several parts where they are more than was thought.
    pub fn parts(
        &self,
        span: Span,
        columns: &[usize],
        scratch: &mut Scratch,
        whole: &mut Chunk,
        take: &mut dyn FnMut(Span, &mut Scratch, &mut Chunk) -> Result<(), FleetError>,
    ) -> Result<(), FleetError> {
        let mut left = vec![span];
        while let Some(span) = left.pop() {
            match rows(self.runs, span, columns, self.room.rows_of_thread, scratch, whole)? {
                Amount::Read if whole.is_empty() => {}
                Amount::Read => take(span, scratch, whole)?,
                Amount::TooMany(_) if span.vehicles > 1 => {
                    let [low, high] = span.halves();
                    left.extend([high, low]);
                }
                Amount::TooMany(_) => {
                    let _alone = lock(&self.alone);
                    match rows(self.runs, span, columns, self.room.rows_alone, scratch, whole)? {
                        Amount::Read => take(span, scratch, whole)?,
                        Amount::TooMany(rows) => return Err(self.room.refusal(rows)),
                    }
                    // Room for so many is not kept.
                    (*scratch, *whole) = (Scratch::default(), Chunk::default());
                }
            }
        }
        Ok(())
    }

    /// The rows of a part once more, with other columns.
    pub fn again(
        &self,
        span: Span,
        columns: &[usize],
        scratch: &mut Scratch,
        whole: &mut Chunk,
    ) -> Result<(), FleetError> {
        match rows(self.runs, span, columns, self.room.rows_alone, scratch, whole)? {
            Amount::Read => Ok(()),
            Amount::TooMany(rows) => Err(self.room.refusal(rows)),
        }
    }
}

/// Replaces `rows` with a span's rows in order, each once, if they are not too many.
fn rows(
    runs: &[Run],
    span: Span,
    columns: &[usize],
    most_rows: usize,
    scratch: &mut Scratch,
    rows: &mut Chunk,
) -> Result<Amount, StateError> {
    let Scratch { bytes, unordered, order } = scratch;
    for chunk in [&mut *rows, &mut *unordered] {
        chunk.clear();
        chunk.codes.resize_with(columns.len(), Vec::new);
    }
    for run in runs {
        if let Amount::TooMany(rows) = run.read(span, columns, most_rows, unordered, bytes)? {
            return Ok(Amount::TooMany(rows));
        }
    }
    sort(unordered, span, order);
    if order.is_empty() {
        std::mem::swap(rows, unordered);
    } else {
        take(unordered, order, rows);
    }
    rows.drop_repeats();
    Ok(Amount::Read)
}

/// Fills `order` with the rows of a chunk in the order of (vehicle, tick, codes); empty: they stand in it.
fn sort(chunk: &Chunk, span: Span, order: &mut Vec<u32>) {
    let place = |vehicle: u32| (vehicle - span.first) as usize;
    order.clear();
    let in_order = (1..chunk.len())
        .all(|row| (chunk.vehicle[row - 1], chunk.tick[row - 1]) < (chunk.vehicle[row], chunk.tick[row]));
    if in_order {
        return;
    }
    // Runs come in the order of time, so that within a vehicle there is hardly anything left to sort.
    let mut next = vec![0_usize; span.vehicles as usize + 1];
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
pub fn write(rows: &Chunk, writer: &mut RunWriter) -> Result<(), FleetError> {
    let mut from = 0;
    while from < rows.len() {
        let span = Span::around(rows.vehicle[from]);
        for block in Encoded::blocks(rows, span)? {
            writer.add(&block)?;
        }
        from = span.rows(&rows.vehicle).end;
    }
    Ok(())
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
        let reader = Reader::new(runs, Room::new(self.columns, self.threads, self.memory_bytes));
        let columns: Vec<usize> = (0..self.columns).collect();
        let mut writer = RunWriter::new(put);
        let spans = spans(runs, &reader.room);
        for some in spans.chunks(SPANS_OF_THREAD * self.threads.max(1)) {
            self.control.check().map_err(FleetError::Interrupted)?;
            let encoded = Mutex::new(vec![Vec::new(); some.len()]);
            let workers = (0..self.threads.clamp(1, some.len())).map(|_| (Scratch::default(), Chunk::default()));
            let work = |(scratch, whole): &mut (Scratch, Chunk), at: usize| -> Result<(), Stop> {
                let mut own = Vec::new();
                let mut encode = |span: Span, _: &mut Scratch, rows: &mut Chunk| -> Result<(), FleetError> {
                    own.extend(Encoded::blocks(rows, span)?);
                    Ok(())
                };
                reader.parts(some[at], &columns, scratch, whole, &mut encode)?;
                lock(&encoded)[at] = own;
                Ok(())
            };
            pool::run(workers.collect(), some.len(), &Halt::default(), work).map_err(Stop::into_error)?;
            for block in lock(&encoded).iter().flatten() {
                writer.add(block)?;
            }
        }
        Ok(writer.finish(folder)?)
    }
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

    /// Memory of which half holds so many rows of one column.
    fn room_for(rows: usize) -> usize {
        2 * rows * 3 * (row_bytes(1) + size_of::<u32>())
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
            // With room for all, and for the rows of the vehicle that has most.
            let [much, little] = [1 << 20, room_for(6)].map(|memory_bytes| {
                let room = Room::new(1, 1, memory_bytes);
                let reader = Reader::new(runs, room);
                let (mut found, mut parts) = (Vec::new(), 0);
                for span in spans(runs, &room) {
                    let mut take = |_: Span, _: &mut Scratch, all: &mut Chunk| {
                        let rows = all.vehicle.iter().zip(&all.tick).zip(&all.codes[0]);
                        found.extend(rows.map(|((vehicle, tick), code)| (vehicle - 300, *tick, *code)));
                        parts += 1;
                        Ok(())
                    };
                    reader.parts(span, &[0], &mut Scratch::default(), &mut Chunk::default(), &mut take).unwrap();
                }
                (found, parts)
            });
            // Once they are one run, a row less is read.
            let parts = if runs.len() > 1 { 3 } else { 2 };
            assert!(much.0 == little.0 && much.1 == 1 && little.1 == parts, "{much:?} {little:?}");
            much.0
        };
        assert_eq!(read(&runs), expected);
        // Six rows of vehicle 301, one of them twice, find no room.
        let reader = Reader::new(&runs, Room::new(1, 1, room_for(5)));
        let too_much = spans(&runs, &reader.room).into_iter().find_map(|span| {
            let (scratch, whole) = (&mut Scratch::default(), &mut Chunk::default());
            reader.parts(span, &[0], scratch, whole, &mut |_, _, _| Ok(())).err()
        });
        let Some(FleetError::Memory { needed_bytes, limit_bytes, .. }) = too_much else { panic!("{too_much:?}") };
        assert_eq!(needed_bytes, limit_bytes / 5 * 6);
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
        assert!(rows(&whole, Span::around(300), &[0], 9, &mut Scratch::default(), &mut none).is_err());
    }
}
