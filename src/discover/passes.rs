//! What the records are looked at for the second time: cubes and the pool. The third is [`super::close_up`].
//!
//! The pass takes blocks of records in any order, from several threads at once; sums are integers and the pool merges,
//! so nothing depends on how the blocks were cut.
//!
//! Units: expected events, Q40 in cubes.

use std::sync::{Mutex, PoisonError};

use super::pool::{self, Collector, NO_SLAB, Place, Places, Pool};
use super::survey::{Block, EventRow, Settled, has_events};
use crate::backend::BackendError;
use crate::backend::cube::{CubeBackend, CubeBatch, CubeSums, expected_q40};

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
        let stratum = settled.places(&block.stratum);
        let which: Vec<usize> = (0..block.len()).filter(|row| has_events(stratum[*row])).collect();
        let stratum: Vec<u32> = which.iter().map(|row| stratum[*row]).collect();
        let expected: Vec<f64> = (which.iter().zip(&stratum))
            .map(|(row, stratum)| block.expected[*row] * settled.rates[*stratum as usize])
            .collect();
        let wide: Vec<u64> = expected.iter().map(|one| expected_q40(*one)).collect();
        let bins: Vec<Vec<u8>> = (settled.channels.iter().zip(&settled.binnings))
            .map(|(channel, binning)| {
                let codes = &block.codes[*channel];
                which.iter().map(|row| binning.bin_of[usize::from(codes[*row])]).collect()
            })
            .collect();
        let columns: Vec<&[u8]> = bins.iter().map(Vec::as_slice).collect();
        self.backend.push(&CubeBatch { slab: &vec![0; which.len()], bins: &columns, expected_q40: &wide })?;
        let mut slabs = Vec::with_capacity(block.values.len());
        for (attribute, values) in block.values.iter().enumerate() {
            let slab: Vec<u32> = which.iter().map(|row| settled.slab(attribute, values[*row])).collect();
            // Records without a slab are left out.
            let with_slab: Vec<usize> = (0..which.len()).filter(|at| slab[*at] != NO_SLAB).collect();
            let own: Vec<Vec<u8>> =
                bins.iter().map(|column| with_slab.iter().map(|at| column[*at]).collect()).collect();
            let columns: Vec<&[u8]> = own.iter().map(Vec::as_slice).collect();
            let own_slab: Vec<u32> = with_slab.iter().map(|at| slab[*at]).collect();
            let own_wide: Vec<u64> = (with_slab.iter())
                .map(|at| expected_q40(expected[*at] * settled.slab_rate(slab[*at], stratum[*at])))
                .collect();
            self.backend.push(&CubeBatch { slab: &own_slab, bins: &columns, expected_q40: &own_wide })?;
            slabs.push(slab);
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut sample = idle.unwrap_or_else(|| self.fresh.clone());
        for (at, (row, expected)) in which.iter().zip(&expected).enumerate() {
            sample.offer(block.id[*row], block.tick[*row], *expected, || Place {
                stratum: stratum[at],
                bins: bins.iter().map(|column| column[at]).collect(),
                slabs: slabs.iter().map(|column| column[at]).collect(),
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
        let Some(stratum) = settled.place(row.stratum) else { continue };
        places.push(&Place {
            stratum: stratum as u32,
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
