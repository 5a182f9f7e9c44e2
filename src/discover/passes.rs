//! What the records are looked at for, the second time (cubes and the pool) and the third (one candidate's thresholds).
//!
//! Every pass takes blocks of records in any order, from several threads at once; sums are integers and the pool merges,
//! so nothing depends on how the blocks were cut.
//!
//! Units: expected events, Q40 in cubes.

use std::sync::{Mutex, PoisonError};

use super::binning::Binning;
use super::main_effects::{Rectangle, Side};
use super::pool::{self, Collector, NO_SLAB, Place, Places, Pool};
use super::refine::{Event, HALVES, Strata};
use super::search::Candidate;
use super::survey::{Block, EventRow, Settled, Survey, half};
use crate::backend::BackendError;
use crate::backend::cpu::cube::CpuCube;
use crate::backend::cube::{CubeBackend, CubeBatch, CubePlan, CubeSums, events, expected_q40};

/// Bins of the search around a threshold that are looked at code by code.
const AROUND: usize = 2;

/// Sums cubes and samples the pool.
pub struct CubePass<'a> {
    settled: &'a Settled,
    backend: Box<dyn CubeBackend>,
    /// Samples that no push is adding to just now.
    idle: Mutex<Vec<Collector>>,
    fresh: Collector,
}

impl<'a> CubePass<'a> {
    pub fn new(settled: &'a Settled, backend: Box<dyn CubeBackend>, seed: u64, events_seen: usize) -> Self {
        let fresh = Collector::new(seed, pool::room(events_seen));
        Self { settled, backend, idle: Mutex::default(), fresh }
    }

    pub fn push(&self, block: &Block) -> Result<(), BackendError> {
        let settled = self.settled;
        let expected: Vec<f64> = block
            .expected
            .iter()
            .zip(&block.stratum)
            .map(|(one, stratum)| one * settled.rates[*stratum as usize])
            .collect();
        let wide: Vec<u64> = expected.iter().map(|one| expected_q40(*one)).collect();
        let bins: Vec<Vec<u8>> = (settled.channels.iter().zip(&settled.binnings))
            .map(|(channel, binning)| {
                block.codes[*channel].iter().map(|code| binning.bin_of[usize::from(*code)]).collect()
            })
            .collect();
        let columns: Vec<&[u8]> = bins.iter().map(Vec::as_slice).collect();
        self.backend.push(&CubeBatch { slab: &vec![0; block.len()], bins: &columns, expected_q40: &wide })?;
        let mut slabs = Vec::with_capacity(block.values.len());
        for (attribute, values) in block.values.iter().enumerate() {
            let slab: Vec<u32> = values.iter().map(|value| settled.slab(attribute, *value)).collect();
            // Records without a slab are left out.
            let which: Vec<usize> = (0..block.len()).filter(|row| slab[*row] != NO_SLAB).collect();
            let own: Vec<Vec<u8>> = bins.iter().map(|column| which.iter().map(|row| column[*row]).collect()).collect();
            let columns: Vec<&[u8]> = own.iter().map(Vec::as_slice).collect();
            let own_slab: Vec<u32> = which.iter().map(|row| slab[*row]).collect();
            let own_wide: Vec<u64> = which.iter().map(|row| wide[*row]).collect();
            self.backend.push(&CubeBatch { slab: &own_slab, bins: &columns, expected_q40: &own_wide })?;
            slabs.push(slab);
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut sample = idle.unwrap_or_else(|| self.fresh.clone());
        for (row, expected) in expected.iter().enumerate() {
            sample.offer(block.id[row], block.tick[row], *expected, || Place {
                stratum: block.stratum[row],
                bins: bins.iter().map(|column| column[row]).collect(),
                slabs: slabs.iter().map(|column| column[row]).collect(),
            });
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
        Ok(())
    }

    /// What sums the cubes.
    pub fn description(&self) -> String {
        self.backend.description()
    }

    pub fn finish(self) -> Result<(CubeSums, Pool), BackendError> {
        let mut merged = self.fresh;
        for part in self.idle.into_inner().unwrap_or_else(PoisonError::into_inner) {
            merged.merge(part);
        }
        Ok((self.backend.finish()?, merged.finish(self.settled.rates.len())))
    }
}

/// Where the events fell, in the bins of the search.
pub fn event_places(settled: &Settled, rows: &[EventRow]) -> Places {
    let mut places = Places::new(settled.channels.len(), rows.first().map_or(0, |row| row.values.len()));
    for row in rows {
        let bins = settled.channels.iter().zip(&settled.binnings);
        places.push(&Place {
            stratum: row.stratum,
            bins: bins.map(|(channel, binning)| binning.bin_of[usize::from(row.codes[*channel])]).collect(),
            slabs: row.values.iter().enumerate().map(|(attribute, value)| settled.slab(attribute, *value)).collect(),
        });
    }
    places
}

/// Pairs whose channels are no copies of each other, and the copies: (channel, of which), by place. Copies are known by
/// their bins over the pool, which tell each other in both directions.
pub fn without_copies(settled: &Settled, pool: &Pool) -> (Vec<usize>, Vec<(usize, usize)>) {
    let determines = |a: usize, b: usize| {
        let mut told = vec![None; 256];
        let mut pairs = pool.places.bins[a].iter().zip(&pool.places.bins[b]);
        pairs.all(|(from, to)| *told[usize::from(*from)].get_or_insert(*to) == *to)
    };
    let channels = settled.channels.len();
    let mut copy_of: Vec<Option<usize>> = vec![None; channels];
    if !pool.places.is_empty() {
        for b in 1..channels {
            copy_of[b] = (0..b).find(|a| copy_of[*a].is_none() && determines(*a, b) && determines(b, *a));
        }
    }
    let keep = |(a, b): &(usize, usize)| copy_of[*a].is_none() && copy_of[*b].is_none();
    let pairs = (0..settled.cube.pairs.len()).filter(|pair| keep(&settled.cube.pairs[*pair])).collect();
    (pairs, copy_of.iter().enumerate().filter_map(|(copy, of)| of.map(|of| (copy, of))).collect())
}

/// One candidate's channels, code by code around its thresholds.
#[derive(Clone, Debug)]
pub struct View {
    pub candidate: Candidate,
    /// Places of its channels among all.
    pub channels: [usize; 2],
    pub binnings: [Binning; 2],
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
            binnings: [rows, columns],
        }
    }

    fn is_wanted(&self, values: impl Fn(usize) -> u32) -> bool {
        self.value.is_none_or(|(attribute, value)| values(attribute) == value)
    }

    /// Where the events fell, or would have fallen so many days earlier: place in [`super::survey::LATE_DAYS`].
    pub fn events(&self, rows: &[EventRow], earlier: Option<usize>) -> Vec<Event> {
        let own = rows.iter().filter(|row| self.is_wanted(|attribute| row.values[attribute]));
        let events = own.filter_map(|row| {
            let codes = match earlier {
                None => &row.codes,
                Some(place) => row.earlier[place].as_ref()?,
            };
            let bin = |place: usize| self.binnings[place].bin_of[usize::from(codes[self.channels[place]])];
            let bins = [bin(0), bin(1)];
            let known = (0..2).all(|place| usize::from(bins[place]) < self.binnings[place].bins());
            known.then_some(Event { stratum: row.stratum, half: half(row.id), row: bins[0], column: bins[1] })
        });
        let mut events: Vec<Event> = events.collect();
        events.sort_unstable();
        events
    }
}

/// Sums a view's cells by stratum and half of the vehicles.
pub struct CloseUp {
    pub view: View,
    strata: usize,
    cube: CpuCube,
}

/// What a close-up saw.
#[derive(Clone, Debug)]
pub struct Seen {
    pub strata: Strata,
    /// Records by cell, of all strata.
    pub records: Vec<f64>,
}

impl CloseUp {
    pub fn new(settled: &Settled, view: View) -> Result<Self, BackendError> {
        let strata = settled.rates.len();
        let bins = view.binnings.iter().map(|binning| binning.bins() + 1).collect();
        let cube = CpuCube::open(&CubePlan { slabs: strata * HALVES, bins, pairs: vec![(0, 1)] })?;
        Ok(Self { view, strata, cube })
    }

    pub fn push(&self, block: &Block) -> Result<(), BackendError> {
        let view = &self.view;
        let which: Vec<usize> =
            (0..block.len()).filter(|row| view.is_wanted(|attribute| block.values[attribute][*row])).collect();
        let column = |place: usize| -> Vec<u8> {
            let (codes, bin_of) = (&block.codes[view.channels[place]], &view.binnings[place].bin_of);
            which.iter().map(|row| bin_of[usize::from(codes[*row])]).collect()
        };
        let slab: Vec<u32> =
            which.iter().map(|row| block.stratum[*row] * HALVES as u32 + u32::from(half(block.id[*row]))).collect();
        let expected: Vec<u64> = which.iter().map(|row| expected_q40(block.expected[*row])).collect();
        self.cube.push(&CubeBatch { slab: &slab, bins: &[&column(0), &column(1)], expected_q40: &expected })
    }

    /// What the records summed up to, with the events.
    pub fn finish(self, rows: &[EventRow]) -> Result<(View, Seen), BackendError> {
        let Self { view, strata, cube } = self;
        let sums = Box::new(cube).finish()?;
        let (down, across) = (view.binnings[0].bins(), view.binnings[1].bins());
        let mut expected = Vec::with_capacity(strata * HALVES * across * down);
        let mut records = vec![0.0; across * down];
        for slab in 0..strata * HALVES {
            for row in 0..down {
                for column in 0..across {
                    let cell = (slab * (down + 1) + row) * (across + 1) + column;
                    expected.push(events(sums.expected_q40[cell]));
                    records[row * across + column] += sums.records[cell] as f64;
                }
            }
        }
        let strata = Strata {
            row_values: view.binnings[0].mean_code.clone(),
            column_values: view.binnings[1].mean_code.clone(),
            strata,
            expected,
            events: view.events(rows, None),
        };
        Ok((view, Seen { strata, records }))
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
