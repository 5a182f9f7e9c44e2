//! The records as they come by, and what is learnt of them the first time: how often each code occurs, and what is
//! expected of each stratum.
//!
//! Key idea: a stratum (a zone's month) is rescaled so that as much is expected of it as happened, because weather is
//! shared and a zone may differ from others in ways that no channel tells; the vehicles with one value of an attribute
//! are so by themselves, as far as their events tell. A stratum without events says nothing, and is left out. Sums are
//! integers, so parts merge in any order.
//!
//! Units: expected events, Q40 in sums.

use std::collections::BTreeMap;

use super::binning::{Binning, SEARCH_BINS};
use super::main_effects::Levels;
use crate::backend::cube::{CubePlan, events, expected_q40};

/// A record or event without a value of an attribute.
pub const NO_VALUE: u32 = u32::MAX;
/// Days by which events are moved to earlier records, to see what late dates would do.
pub const LATE_DAYS: [i32; 3] = [1, 3, 7];
/// A value of a crossed attribute is looked at with so many events.
const FEWEST_EVENTS: usize = 10;
/// Expected events for which it counts in a stratum that a value of an attribute has the rate that it has elsewhere.
const VALUE_PRIOR_EVENTS: f64 = 5.0;
/// A stratum of which nothing is known.
const NO_STRATUM: u32 = u32::MAX;

/// Records on which something was expected, column by column.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// A hash of the vehicle's id.
    pub id: Vec<u32>,
    pub tick: Vec<i32>,
    /// The stratum's key: any number.
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
    /// By key of the stratum.
    pub expected_q40: BTreeMap<u32, u64>,
    /// By attribute, value and key of the stratum.
    pub by_value_q40: BTreeMap<(u32, u32, u32), u64>,
}

impl Survey {
    /// `codes`: by channel, how many there are besides "not available".
    pub fn new(codes: &[u32]) -> Self {
        Self {
            records: codes.iter().map(|codes| vec![0; *codes as usize + 1]).collect(),
            expected_q40: BTreeMap::new(),
            by_value_q40: BTreeMap::new(),
        }
    }

    pub fn push(&mut self, block: &Block) {
        for (records, codes) in self.records.iter_mut().zip(&block.codes) {
            for code in codes {
                records[usize::from(*code)] += 1;
            }
        }
        let wide: Vec<u64> = block.expected.iter().map(|one| expected_q40(*one)).collect();
        in_runs(&block.stratum, &wide, |stratum, sum| *self.expected_q40.entry(*stratum).or_default() += sum);
        for (attribute, values) in (0..).zip(&block.values) {
            let keys: Vec<(u32, u32)> = values.iter().copied().zip(block.stratum.iter().copied()).collect();
            in_runs(&keys, &wide, |(value, stratum), sum| {
                *self.by_value_q40.entry((attribute, *value, *stratum)).or_default() += sum;
            });
        }
    }

    pub fn merge(&mut self, other: Self) {
        for (own, other) in self.records.iter_mut().zip(&other.records) {
            for (sum, part) in own.iter_mut().zip(other) {
                *sum += part;
            }
        }
        for (key, part) in other.expected_q40 {
            *self.expected_q40.entry(key).or_default() += part;
        }
        for (key, part) in other.by_value_q40 {
            *self.by_value_q40.entry(key).or_default() += part;
        }
    }
}

/// Sums over runs of equal keys: a vehicle's month is looked up once.
fn in_runs<K: PartialEq>(keys: &[K], values: &[u64], mut add: impl FnMut(&K, u64)) {
    let mut from = 0;
    for run in keys.chunk_by(|a, b| a == b) {
        add(&run[0], values[from..from + run.len()].iter().sum());
        from += run.len();
    }
}

/// What follows from the survey: bins, rates, slabs.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// Places of the channels that are looked at: those with more than one bin.
    pub channels: Vec<usize>,
    /// One each.
    pub binnings: Vec<Binning>,
    /// The priors of their bins' levels.
    pub levels: Vec<Levels>,
    /// Keys of the strata with events, rising.
    pub strata: Vec<u32>,
    /// One each: what its expected events are multiplied by.
    pub rates: Vec<f64>,
    /// By slab from 1 on: place of its attribute, and the value's number.
    pub slabs: Vec<(usize, u32)>,
    /// By attribute and value: its slab.
    slab_of: Vec<Vec<u32>>,
    pub cube: CubePlan,
    /// By slab, 0 included: place of its attribute.
    pub attribute: Vec<usize>,
    /// By slab from 1 on, by stratum: what expected events are multiplied by besides.
    slab_rates: Vec<Vec<f64>>,
}

impl Settled {
    /// `values`: by crossed attribute, how many it has.
    pub fn new(survey: &Survey, events_seen: &[EventRow], values: &[usize]) -> Self {
        let mut settled = Self::default();
        for (channel, records) in survey.records.iter().enumerate() {
            let binning = Binning::by_quantiles(records, SEARCH_BINS);
            if binning.bins() > 1 {
                settled.channels.push(channel);
                settled.levels.push(binning.levels());
                settled.binnings.push(binning);
            }
        }
        let mut numbers: BTreeMap<u32, f64> = BTreeMap::new();
        for event in events_seen {
            *numbers.entry(event.stratum).or_default() += 1.0;
        }
        for (key, number) in numbers {
            let expected = survey.expected_q40.get(&key).map_or(0.0, |sum| events(*sum));
            if expected > 0.0 {
                settled.strata.push(key);
                settled.rates.push(number / expected);
            }
        }
        settled.attribute.push(0);
        for (attribute, count) in values.iter().enumerate() {
            let mut slab_of = vec![super::pool::NO_SLAB; *count];
            for (value, slab) in slab_of.iter_mut().enumerate() {
                let own = events_seen.iter().filter(|event| event.values[attribute] as usize == value).count();
                if own >= FEWEST_EVENTS && own < events_seen.len() {
                    settled.slabs.push((attribute, value as u32));
                    settled.attribute.push(attribute);
                    settled.add_rates(survey, events_seen, attribute, value as u32);
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

    /// The rates of a value of an attribute: how far it differs from others, and then from stratum to stratum.
    fn add_rates(&mut self, survey: &Survey, events_seen: &[EventRow], attribute: usize, value: u32) {
        let expected: Vec<f64> = (self.strata.iter().zip(&self.rates))
            .map(|(key, rate)| {
                rate * survey.by_value_q40.get(&(attribute as u32, value, *key)).map_or(0.0, |sum| events(*sum))
            })
            .collect();
        let mut numbers = vec![0.0; self.strata.len()];
        for event in events_seen.iter().filter(|event| event.values[attribute] == value) {
            if let Some(place) = self.place(event.stratum) {
                numbers[place] += 1.0;
            }
        }
        let (all, wanted): (f64, f64) = (numbers.iter().sum(), expected.iter().sum());
        let level = if wanted > 0.0 { all / wanted } else { 0.0 };
        let rate = |(number, expected): (&f64, &f64)| {
            level * (number + VALUE_PRIOR_EVENTS) / (level * expected + VALUE_PRIOR_EVENTS)
        };
        self.slab_rates.push(numbers.iter().zip(&expected).map(rate).collect());
    }

    /// The place of a stratum, by its key.
    pub fn place(&self, key: u32) -> Option<usize> {
        self.strata.binary_search(&key).ok()
    }

    /// Places of strata, of which most are those of the rows before.
    pub fn places(&self, keys: &[u32]) -> Vec<u32> {
        let mut last = (NO_STRATUM, NO_STRATUM);
        let place = |key: &u32| {
            if last.0 != *key || last.1 == NO_STRATUM {
                last = (*key, self.place(*key).map_or(NO_STRATUM, |place| place as u32));
            }
            last.1
        };
        keys.iter().map(place).collect()
    }

    /// What is expected of a record of a stratum is multiplied by this for a slab.
    pub fn slab_rate(&self, slab: u32, stratum: u32) -> f64 {
        self.slab_rates[slab as usize - 1][stratum as usize]
    }
}

/// Whether a place is one of a stratum with events.
pub fn has_events(place: u32) -> bool {
    place != NO_STRATUM
}
