//! Reading packed histories: what [`crate::fleet::scan::scan`] hands out of the files, out of the state.
//!
//! Every vehicle's records come whole and in rising time, whatever order is asked for. Where several rows have one
//! vehicle and time, all channels of the state are made for them and the lexicographically smallest codes count: the
//! choice is that of a scan that reads those channels, and the same whichever channels are asked for now.

use super::block::Span;
use super::merge::{self, Reader, Room, Scratch};
use super::record::KeptRecord;
use super::refill::{Refill, from_columns};
use super::run::Run;
use crate::fleet::chunk::{Chunk, run_end};
use crate::fleet::dataset::Dataset;
use crate::fleet::error::FleetError;
use crate::fleet::pool::{Halt, Stop, run};
use crate::fleet::scan::{ChunkSink, ScanReport, ScanRequest};
use crate::fleet::settle;
use crate::fleet::shard::shard_of;
use crate::fleet::state::folder::StateFolder;
use crate::fleet::vehicles::Ids;
use crate::run::{Control, Event};

/// Histories that a state has taken up, tonight's among them.
#[derive(Debug)]
pub struct KeptHistories {
    pub record: KeptRecord,
    pub(super) runs: Vec<Run>,
    /// Dictionary indices of the record's channels, and of those whose columns are kept, in the order of the columns.
    pub(super) channels: Vec<usize>,
    pub(super) columns: Vec<usize>,
    /// Tonight's index of each ordinal.
    pub(super) index: Vec<u32>,
    /// Of tonight's files; ids of all vehicles.
    pub tonight: ScanReport,
    /// Rows of files that are gone.
    pub(super) rows_gone: u64,
    /// Whether the state was begun tonight.
    pub begun: bool,
    pub(super) _held: Held,
}

/// What is held, so that nobody removes what is still read.
#[derive(Debug)]
pub(super) enum Held {
    State { _folder: StateFolder<KeptRecord> },
    Temporary { _folder: tempfile::TempDir },
}

/// What a thread has for itself.
#[derive(Default)]
struct Worker {
    lane: usize,
    scratch: Scratch,
    span: Chunk,
    out: Chunk,
}

/// A request, settled.
struct Reading<'a> {
    kept: &'a KeptHistories,
    reader: Reader<'a>,
    request: &'a ScanRequest,
    /// Places among the kept columns, and what is made of them.
    columns: Vec<usize>,
    refill: Refill<'a>,
    all_columns: Vec<usize>,
    refill_all: Refill<'a>,
    /// Of the requested channels among the state's.
    places: Vec<Option<usize>>,
    last_tick: i32,
    ids: &'a Ids,
}

impl KeptHistories {
    /// Rows of all files that the records came from, by their metadata.
    pub fn history_rows(&self, dataset: &Dataset) -> u64 {
        dataset.history_rows() + self.rows_gone
    }

    /// The day of the latest record.
    pub fn latest_day(&self) -> Option<i32> {
        self.runs.iter().map(|run| self.record.axis.day(run.to_tick)).max()
    }

    /// Hands the records up to the request's day to `sink`, of the request's channels, all of which the state has.
    /// How to read is not the request's choice.
    ///
    /// # Errors
    ///
    /// A damaged state, a failure of the sink, interruption.
    pub fn scan(
        &self,
        dataset: &Dataset,
        request: &ScanRequest,
        control: &Control,
        sink: &dyn ChunkSink,
    ) -> Result<ScanReport, FleetError> {
        let columns_of = |channels: &[usize]| -> Vec<usize> {
            let needed = from_columns(&dataset.dictionary, channels);
            (0..self.columns.len()).filter(|&place| needed.contains(&self.columns[place])).collect()
        };
        let columns = columns_of(&request.channels);
        let at_hand: Vec<usize> = columns.iter().map(|&place| self.columns[place]).collect();
        let reading = Reading {
            kept: self,
            reader: Reader::new(&self.runs, Room::new(self.columns.len(), request.threads, request.memory_limit_bytes)),
            request,
            refill: Refill::new(dataset, &request.channels, &at_hand)?,
            columns,
            all_columns: (0..self.columns.len()).collect(),
            refill_all: Refill::new(dataset, &self.channels, &self.columns)?,
            places: request.channels.iter().map(|asked| self.channels.iter().position(|own| own == asked)).collect(),
            last_tick: request.as_of_day.map_or(i32::MAX, |day| dataset.axis.last_tick_of(day)),
            ids: &self.tonight.ids,
        };
        control.emit(Event::Stage { name: "read", total_rows: Some(self.runs.iter().map(Run::rows).sum()) });
        let mut spans = merge::spans(&self.runs, &reading.reader.room);
        if request.reversed {
            spans.reverse();
        }
        let workers = (0..request.threads.max(1)).map(|lane| Worker { lane, ..Worker::default() }).collect();
        let read = run(workers, spans.len(), &Halt::default(), |worker: &mut Worker, at| {
            control.check()?;
            reading.hand_out(spans[at], worker, sink, control)?;
            Ok(())
        });
        read.map_err(Stop::into_error)?;
        Ok(self.tonight.clone())
    }
}

impl Reading<'_> {
    fn hand_out(
        &self,
        span: Span,
        worker: &mut Worker,
        sink: &dyn ChunkSink,
        control: &Control,
    ) -> Result<(), FleetError> {
        let Worker { lane, scratch, span: whole, out } = worker;
        let mut take = |span: Span, scratch: &mut Scratch, rows: &mut Chunk| -> Result<(), FleetError> {
            let mut is_filled = false;
            self.name(rows);
            if !rows.rises() {
                self.reader.again(span, &self.all_columns, scratch, rows)?;
                self.name(rows);
                self.settle(rows)?;
                is_filled = true;
            }
            self.hand_on(rows, is_filled, out, *lane, sink)?;
            control.emit(Event::Rows(rows.len() as u64));
            Ok(())
        };
        self.reader.parts(span, &self.columns, scratch, whole, &mut take)
    }

    /// Tonight's indices for ordinals.
    fn name(&self, rows: &mut Chunk) {
        rows.vehicle.iter_mut().for_each(|ordinal| *ordinal = self.kept.index[*ordinal as usize]);
    }

    fn hand_on(
        &self,
        rows: &Chunk,
        is_filled: bool,
        out: &mut Chunk,
        lane: usize,
        sink: &dyn ChunkSink,
    ) -> Result<(), FleetError> {
        let mut from = 0;
        out.clear();
        out.codes.resize_with(rows.codes.len(), Vec::new);
        while from < rows.len() {
            let to = run_end(&rows.vehicle, from);
            let counting = rows.tick[from..to].partition_point(|&tick| tick <= self.last_tick);
            if self.is_wanted(rows.vehicle[from]) {
                if !out.is_empty() && out.len() + counting > self.request.chunk_rows {
                    self.push(out, is_filled, lane, sink)?;
                    out.codes.resize_with(rows.codes.len(), Vec::new);
                }
                out.append_range(rows, from, from + counting);
            }
            from = to;
        }
        self.push(out, is_filled, lane, sink)
    }

    /// Hands rows out and forgets them.
    fn push(&self, out: &mut Chunk, is_filled: bool, lane: usize, sink: &dyn ChunkSink) -> Result<(), FleetError> {
        if out.is_empty() {
            return Ok(());
        }
        if !is_filled {
            self.refill.fill(out)?;
        }
        sink.push(lane, out).map_err(FleetError::Sink)?;
        out.clear();
        out.codes.clear();
        Ok(())
    }

    /// Of the rows of a block, all columns, the ones that count; the codes are those of the request then.
    fn settle(&self, rows: &mut Chunk) -> Result<(), FleetError> {
        self.refill_all.fill(rows)?;
        let mut counting: Vec<u32> = Vec::with_capacity(rows.len());
        let codes =
            |rows: &Chunk, row: u32| -> Vec<u16> { rows.codes.iter().map(|codes| codes[row as usize]).collect() };
        for row in 0..rows.len() as u32 {
            let same = |other: u32| {
                let key = |row: u32| settle::key(rows.vehicle[row as usize], rows.tick[row as usize]);
                key(row) == key(other)
            };
            match counting.last_mut().filter(|last| same(**last)) {
                Some(last) if codes(rows, row) < codes(rows, *last) => *last = row,
                Some(_) => {}
                None => counting.push(row),
            }
        }
        let mut settled = Chunk::with_columns(rows.codes.len());
        merge::take(rows, &counting, &mut settled);
        let lacks = || FleetError::Internal { what: "a channel is asked for that the state lacks".to_owned() };
        let asked: Option<Vec<Vec<u16>>> =
            self.places.iter().map(|place| Some(settled.codes[(*place)?].clone())).collect();
        settled.codes = asked.ok_or_else(lacks)?;
        *rows = settled;
        Ok(())
    }

    fn is_wanted(&self, vehicle: u32) -> bool {
        let Some((shard, shards)) = self.request.shard else { return true };
        let of = match self.ids {
            Ids::Integer(ids) => ids.get(vehicle as usize).map(|id| shard_of(&id.to_le_bytes(), shards)),
            Ids::Text(ids) => ids.get(vehicle as usize).map(|id| shard_of(id.as_bytes(), shards)),
        };
        of == Some(shard)
    }
}
