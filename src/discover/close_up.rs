//! One candidate's channels, code by code around its thresholds: what the third pass over the records sums.
//!
//! Key idea: within a stratum a pair of channels takes few of its cells, so sums are kept for those that occur, in one
//! place for all threads. Sums are integers, so order does not show.
//!
//! Units: expected events, Q40 in sums.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::binning::Binning;
use super::main_effects::{Levels, Rectangle, Side};
use super::refine::{Close, CloseStratum, Event, HALVES};
use super::search::Candidate;
use super::survey::{Block, EventRow, Settled, Survey, half, has_events};
use crate::backend::cube::{events, expected_q40};

/// Bins of the search around a threshold that are looked at code by code.
const AROUND: usize = 2;
/// Bytes of a cell with its place, at most.
const CELL_BYTES: usize = 64;

/// How a candidate is looked at.
#[derive(Clone, Debug)]
pub struct View {
    pub candidate: Candidate,
    /// Places of its channels among all.
    pub channels: [usize; 2],
    pub binnings: [Binning; 2],
    pub levels: [Levels; 2],
    /// The rectangle in these bins.
    pub rectangle: Rectangle,
    /// Its attribute's place and value.
    pub value: Option<(usize, u32)>,
}

impl View {
    pub fn new(settled: &Settled, survey: &Survey, candidate: &Candidate) -> Self {
        let (a, b) = settled.cube.pairs[candidate.pair];
        let Rectangle { row_edge, column_edge, .. } = candidate.rectangle;
        let channels = [settled.channels[a], settled.channels[b]];
        let refined = |place: usize, edge: usize| {
            let coarse = &settled.binnings[place];
            let fine = coarse.refined(edge, AROUND, &survey.records[settled.channels[place]]);
            let at = fine.edges.partition_point(|first| *first < coarse.edges[edge]);
            (fine, at)
        };
        let ((rows, row_edge), (columns, column_edge)) = (refined(a, row_edge), refined(b, column_edge));
        Self {
            rectangle: Rectangle { row_edge, column_edge, ..candidate.rectangle },
            value: (candidate.slab > 0).then(|| settled.slabs[candidate.slab - 1]),
            candidate: candidate.clone(),
            channels,
            levels: [rows.levels(), columns.levels()],
            binnings: [rows, columns],
        }
    }

    /// What its sums take at most.
    pub fn bytes(&self, settled: &Settled) -> usize {
        settled.strata.len() * self.binnings[0].bins() * self.binnings[1].bins() * CELL_BYTES
    }

    fn is_wanted(&self, values: impl Fn(usize) -> u32) -> bool {
        self.value.is_none_or(|(attribute, value)| values(attribute) == value)
    }

    /// The bins of codes; `None`: one is not available.
    fn bins(&self, code: impl Fn(usize) -> u16) -> Option<[u8; 2]> {
        let bin = |place: usize| self.binnings[place].bin_of[usize::from(code(self.channels[place]))];
        let bins = [bin(0), bin(1)];
        (0..2).all(|place| usize::from(bins[place]) < self.binnings[place].bins()).then_some(bins)
    }

    /// Where the events fell, or would have fallen so many days earlier: place in [`super::survey::LATE_DAYS`].
    pub fn events(&self, settled: &Settled, rows: &[EventRow], earlier: Option<usize>) -> Vec<Event> {
        let own = rows.iter().filter(|row| self.is_wanted(|attribute| row.values[attribute]));
        let events = own.filter_map(|row| {
            let codes = match earlier {
                None => &row.codes,
                Some(place) => row.earlier[place].as_ref()?,
            };
            let [row_bin, column] = self.bins(|channel| codes[channel])?;
            let stratum = settled.place(row.stratum)? as u32;
            Some(Event { stratum, half: half(row.id), row: row_bin, column })
        });
        let mut events: Vec<Event> = events.collect();
        events.sort_unstable();
        events
    }
}

/// A cell's expected events of either half.
type Cell = [u64; HALVES];

/// Sums a view's cells by stratum and half of the vehicles.
pub struct CloseUp<'a> {
    pub view: View,
    settled: &'a Settled,
    /// By stratum: the cells that occurred.
    strata: Vec<Mutex<BTreeMap<u32, Cell>>>,
    /// Records by cell, of all strata.
    records: Mutex<Vec<u64>>,
}

/// What a close-up saw.
#[derive(Clone, Debug)]
pub struct Seen {
    pub close: Close,
    /// Records by cell, of all strata.
    pub records: Vec<f64>,
}

impl<'a> CloseUp<'a> {
    pub fn new(settled: &'a Settled, view: View) -> Self {
        let cells = view.binnings[0].bins() * view.binnings[1].bins();
        let strata = settled.strata.iter().map(|_| Mutex::default()).collect();
        Self { view, settled, strata, records: Mutex::new(vec![0; cells]) }
    }

    pub fn push(&self, block: &Block) {
        let columns = self.view.binnings[1].bins();
        let mut records = vec![0_u64; self.view.binnings[0].bins() * columns];
        // Of runs of a stratum, as a vehicle's month is: one lock a run.
        let mut own: BTreeMap<u32, Cell> = BTreeMap::new();
        let places = self.settled.places(&block.stratum);
        let mut from = 0;
        for run in places.chunk_by(|a, b| a == b) {
            for row in from..from + run.len() {
                if !self.view.is_wanted(|attribute| block.values[attribute][row]) {
                    continue;
                }
                let Some([row_bin, column]) = self.view.bins(|channel| block.codes[channel][row]) else { continue };
                let cell = usize::from(row_bin) * columns + usize::from(column);
                records[cell] += 1;
                own.entry(cell as u32).or_default()[usize::from(half(block.id[row]))] +=
                    expected_q40(block.expected[row]);
            }
            from += run.len();
            if has_events(run[0]) && !own.is_empty() {
                let mut held = self.strata[run[0] as usize].lock().unwrap_or_else(PoisonError::into_inner);
                for (cell, part) in &own {
                    let sum = held.entry(*cell).or_default();
                    (sum[0], sum[1]) = (sum[0] + part[0], sum[1] + part[1]);
                }
            }
            own.clear();
        }
        let mut held = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter_mut().zip(records).for_each(|(sum, part)| *sum += part);
    }

    /// What the records summed up to, with the events.
    pub fn finish(self, rows: &[EventRow]) -> (View, Seen) {
        let Self { view, settled, strata, records } = self;
        let strata = strata.into_iter().map(|cells| {
            let cells = cells.into_inner().unwrap_or_else(PoisonError::into_inner);
            let expected = [0, 1].map(|half| cells.values().map(|cell| events(cell[half])).collect());
            CloseStratum { cells: cells.into_keys().collect(), expected }
        });
        let close = Close {
            rows: view.binnings[0].bins(),
            columns: view.binnings[1].bins(),
            strata: strata.collect(),
            events: view.events(settled, rows, None),
        };
        let records = records.into_inner().unwrap_or_else(PoisonError::into_inner);
        (view, Seen { close, records: records.into_iter().map(|count| count as f64).collect() })
    }
}

/// The threshold that an edge stands for: the first code beyond it below, the last one before it above.
pub fn threshold_code(binning: &Binning, side: Side, edge: usize) -> u32 {
    let first = u32::from(binning.edges[edge]);
    match side {
        Side::Below => first,
        Side::Above => first.saturating_sub(1),
    }
}
