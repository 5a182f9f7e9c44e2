//! The records as they come by, and what is learnt of them the first time: how often each code occurs, and what is
//! expected of each stratum.
//!
//! Key idea: a stratum (a zone's month) is rescaled so that as much is expected of it as happened, because weather is
//! shared and a zone may differ from others in ways that no channel tells. Sums are integers, so parts merge in any
//! order.
//!
//! Units: expected events, Q40 in sums.

use super::binning::{Binning, SEARCH_BINS};
use crate::backend::cube::{CubePlan, events, expected_q40};

/// A record or event without a value of an attribute.
pub const NO_VALUE: u32 = u32::MAX;
/// Days by which events are moved to earlier records, to see what late dates would do.
pub const LATE_DAYS: [i32; 3] = [1, 3, 7];
/// A value of a crossed attribute is looked at with so many events.
const FEWEST_EVENTS: usize = 10;

/// Records on which something was expected, column by column.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// A hash of the vehicle's id.
    pub id: Vec<u32>,
    pub tick: Vec<i32>,
    pub stratum: Vec<u32>,
    pub expected: Vec<f64>,
    /// By channel.
    pub codes: Vec<Vec<u16>>,
    /// By crossed attribute: the value's number, or [`NO_VALUE`].
    pub values: Vec<Vec<u32>>,
}

/// A failure, at the record of its day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventRow {
    pub id: u32,
    pub stratum: u32,
    pub codes: Vec<u16>,
    /// The codes so many days earlier ([`LATE_DAYS`]), where the part was at risk then.
    pub earlier: [Option<Vec<u16>>; 3],
    pub values: Vec<u32>,
}

/// Which half of the vehicles one belongs to.
pub fn half(id: u32) -> u8 {
    (id & 1) as u8
}

impl Block {
    pub fn new(channels: usize, attributes: usize) -> Self {
        Self { codes: vec![Vec::new(); channels], values: vec![Vec::new(); attributes], ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.id.is_empty()
    }

    pub fn clear(&mut self) {
        self.id.clear();
        self.tick.clear();
        self.stratum.clear();
        self.expected.clear();
        self.codes.iter_mut().for_each(Vec::clear);
        self.values.iter_mut().for_each(Vec::clear);
    }
}

/// What the first look at the records tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// By channel and code, that of "not available" last.
    pub records: Vec<Vec<u64>>,
    /// By stratum.
    pub expected_q40: Vec<u64>,
}

impl Survey {
    /// `codes`: by channel, how many there are besides "not available".
    pub fn new(codes: &[u32], strata: usize) -> Self {
        Self {
            records: codes.iter().map(|codes| vec![0; *codes as usize + 1]).collect(),
            expected_q40: vec![0; strata],
        }
    }

    pub fn push(&mut self, block: &Block) {
        for (records, codes) in self.records.iter_mut().zip(&block.codes) {
            for code in codes {
                records[usize::from(*code)] += 1;
            }
        }
        for (stratum, expected) in block.stratum.iter().zip(&block.expected) {
            self.expected_q40[*stratum as usize] += expected_q40(*expected);
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.records.iter_mut().zip(&other.records) {
            for (sum, part) in own.iter_mut().zip(other) {
                *sum += part;
            }
        }
        for (sum, part) in self.expected_q40.iter_mut().zip(&other.expected_q40) {
            *sum += part;
        }
    }
}

/// What follows from the survey: bins, rates, slabs.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// Places of the channels that are looked at: those with more than one bin.
    pub channels: Vec<usize>,
    /// One each.
    pub binnings: Vec<Binning>,
    /// By stratum: what its expected events are multiplied by.
    pub rates: Vec<f64>,
    /// By slab from 1 on: place of its attribute, and the value's number.
    pub slabs: Vec<(usize, u32)>,
    /// By attribute and value: its slab.
    slab_of: Vec<Vec<u32>>,
    pub cube: CubePlan,
    /// By slab, 0 included: place of its attribute.
    pub attribute: Vec<usize>,
}

impl Settled {
    /// `values`: by crossed attribute, how many it has.
    pub fn new(survey: &Survey, events_seen: &[EventRow], values: &[usize]) -> Self {
        let mut settled = Self::default();
        for (channel, records) in survey.records.iter().enumerate() {
            let binning = Binning::by_quantiles(records, SEARCH_BINS);
            if binning.bins() > 1 {
                settled.channels.push(channel);
                settled.binnings.push(binning);
            }
        }
        let mut numbers = vec![0.0; survey.expected_q40.len()];
        for event in events_seen {
            numbers[event.stratum as usize] += 1.0;
        }
        let expected = survey.expected_q40.iter().map(|sum| events(*sum));
        let rate = |(number, expected): (&f64, f64)| if expected > 0.0 { number / expected } else { 0.0 };
        settled.rates = numbers.iter().zip(expected).map(rate).collect();
        settled.attribute.push(0);
        for (attribute, count) in values.iter().enumerate() {
            let mut slab_of = vec![super::pool::NO_SLAB; *count];
            for (value, slab) in slab_of.iter_mut().enumerate() {
                let own = events_seen.iter().filter(|event| event.values[attribute] as usize == value).count();
                if own >= FEWEST_EVENTS && own < events_seen.len() {
                    settled.slabs.push((attribute, value as u32));
                    settled.attribute.push(attribute);
                    *slab = settled.slabs.len() as u32;
                }
            }
            settled.slab_of.push(slab_of);
        }
        let bins = settled.binnings.iter().map(|binning| binning.bins() + 1).collect();
        settled.cube = CubePlan::all_pairs(1 + settled.slabs.len(), bins);
        settled
    }

    /// The slab of a value of a crossed attribute.
    pub fn slab(&self, attribute: usize, value: u32) -> u32 {
        self.slab_of[attribute].get(value as usize).copied().unwrap_or(super::pool::NO_SLAB)
    }

    /// What the bins of the channels stand for.
    pub fn bin_values(&self) -> Vec<Vec<f64>> {
        self.binnings.iter().map(|binning| binning.mean_code.clone()).collect()
    }
}
