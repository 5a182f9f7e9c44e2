//! A sample of the records, each with a chance that grows with what is expected of it: where replicates draw their
//! events from, with all their channels at once.
//!
//! Key idea: every record's number is exponential with its expected events as the rate, made of the vehicle's id, the
//! time and the seed; the records with the smallest numbers are kept. Which they are depends on neither order nor split,
//! and partial samples merge. A record of expectation `e` is kept with the chance `1 − exp(−T e)`, `T` the smallest
//! number that is not, so it stands for `e` over that chance.
//!
//! Units: expected events. Source: Efraimidis & Spirakis (2006); Duffield, Lund & Thorup (2007) on the weights.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::fixed::threefry::threefry2x32;

/// Records of the pool for each observed event, so that it adds little to the replicates' own spread.
const RECORDS_AN_EVENT: usize = 64;
/// Records of the pool at least and at most.
const RECORDS: (usize, usize) = (1 << 16, 1 << 20);
const STREAM: u32 = 0x504F_4F4C;

/// A record of the pool, or an event: where it lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub stratum: u32,
    /// One a channel.
    pub bins: Box<[u8]>,
    /// One a crossed attribute: the slab of its value, [`NO_SLAB`] without one.
    pub slabs: Box<[u32]>,
}

/// Many of them, column by column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    pub stratum: Vec<u32>,
    /// By channel.
    pub bins: Vec<Vec<u8>>,
    /// By crossed attribute.
    pub slabs: Vec<Vec<u32>>,
}

impl Places {
    pub fn new(channels: usize, attributes: usize) -> Self {
        Self { stratum: Vec::new(), bins: vec![Vec::new(); channels], slabs: vec![Vec::new(); attributes] }
    }

    pub fn push(&mut self, place: &Place) {
        self.stratum.push(place.stratum);
        for (column, bin) in self.bins.iter_mut().zip(&place.bins) {
            column.push(*bin);
        }
        for (column, slab) in self.slabs.iter_mut().zip(&place.slabs) {
            column.push(*slab);
        }
    }

    pub fn len(&self) -> usize {
        self.stratum.len()
    }

    pub fn is_empty(&self) -> bool {
        self.stratum.is_empty()
    }
}

/// A record in no slab of an attribute.
pub const NO_SLAB: u32 = u32::MAX;

#[derive(Clone, Debug)]
struct Kept {
    number: f64,
    /// Tells records of the same number apart.
    key: [u32; 2],
    expected: f64,
    place: Place,
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.total_cmp(&other.number).then(self.key.cmp(&other.key))
    }
}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Kept {}

/// Collects a part of the records.
#[derive(Clone, Debug)]
pub struct Collector {
    seed: u64,
    room: usize,
    /// One more than fits: the first that is not kept.
    kept: BinaryHeap<Kept>,
}

/// The sample, sorted by stratum.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    pub places: Places,
    /// Sum of weights of the records of the same stratum up to and with this one.
    reached: Vec<f64>,
    /// By stratum: where its records begin, and one more.
    starts: Vec<usize>,
}

/// Records that a pool for so many events holds.
pub fn room(events: usize) -> usize {
    (events * RECORDS_AN_EVENT).clamp(RECORDS.0, RECORDS.1)
}

impl Collector {
    pub fn new(seed: u64, room: usize) -> Self {
        Self { seed, room, kept: BinaryHeap::new() }
    }

    /// Offers a record: `id`, a hash of its vehicle's id, and its tick tell it from others. `place` is asked for only
    /// where the record is kept.
    pub fn offer(&mut self, id: u32, tick: i32, expected: f64, place: impl FnOnce() -> Place) {
        if expected <= 0.0 {
            return;
        }
        let key = [id, tick as u32];
        let [high, low] = threefry2x32([self.seed as u32 ^ (self.seed >> 32) as u32, STREAM], key);
        let uniform = (f64::from(high) * 4_294_967_296.0 + f64::from(low) + 0.5) / 18_446_744_073_709_551_616.0;
        let full = self.kept.len() > self.room;
        let last = self.kept.peek().map_or(f64::INFINITY, |kept| kept.number);
        // −ln(u) is at least 1 − u: most records are turned away without a logarithm.
        if full && 1.0 - uniform > last * expected {
            return;
        }
        let number = -libm::log(uniform) / expected;
        if full && number > last {
            return;
        }
        self.keep(Kept { number, key, expected, place: place() });
    }

    fn keep(&mut self, kept: Kept) {
        self.kept.push(kept);
        if self.kept.len() > self.room + 1 {
            self.kept.pop();
        }
    }

    /// Takes in another part.
    pub fn merge(&mut self, other: Self) {
        for kept in other.kept {
            self.keep(kept);
        }
    }

    pub fn finish(mut self, strata: usize) -> Pool {
        let beyond = if self.kept.len() > self.room { self.kept.pop() } else { None };
        let mut kept = self.kept.into_sorted_vec();
        kept.sort_by_key(|kept| kept.place.stratum);
        let (channels, attributes) = kept.first().map_or((0, 0), |one| (one.place.bins.len(), one.place.slabs.len()));
        let mut pool = Pool {
            places: Places::new(channels, attributes),
            reached: Vec::with_capacity(kept.len()),
            starts: vec![0; strata + 1],
        };
        let (mut sum, mut stratum) = (0.0, u32::MAX);
        for kept in kept {
            let chance = beyond.as_ref().map_or(1.0, |beyond| -libm::expm1(-beyond.number * kept.expected));
            if kept.place.stratum != stratum {
                (sum, stratum) = (0.0, kept.place.stratum);
            }
            sum += kept.expected / chance;
            pool.reached.push(sum);
            pool.starts[stratum as usize + 1] += 1;
            pool.places.push(&kept.place);
        }
        for at in 0..strata {
            pool.starts[at + 1] += pool.starts[at];
        }
        pool
    }
}

impl Pool {
    /// What each record stands for, in expected events.
    pub fn weights(&self) -> Vec<f64> {
        let before = |place: usize| match self.starts.binary_search(&place) {
            Ok(_) => 0.0,
            Err(_) => self.reached[place - 1],
        };
        self.reached.iter().enumerate().map(|(place, reached)| reached - before(place)).collect()
    }

    /// The record at a share between 0 and 1 of a stratum's weight; of all records where the pool has none of it.
    pub fn draw(&self, stratum: u32, share: f64) -> usize {
        let (from, to) = (self.starts[stratum as usize], self.starts[stratum as usize + 1]);
        if from == to {
            return ((share * self.places.len() as f64) as usize).min(self.places.len().saturating_sub(1));
        }
        let wanted = share * self.reached[to - 1];
        let own = self.reached[from..to].partition_point(|reached| *reached <= wanted);
        (from + own).min(to - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{Collector, NO_SLAB, Place, Places, Pool};

    fn place(record: u32) -> Place {
        Place { stratum: record % 3, bins: [(record % 7) as u8].into(), slabs: [NO_SLAB].into() }
    }

    /// Expectations over four orders of magnitude.
    fn expected(record: u32) -> f64 {
        libm::exp(f64::from(record % 11) - 8.0)
    }

    fn sampled(room: usize, parts: u32) -> Pool {
        let mut merged = Collector::new(7, room);
        for part in 0..parts {
            let mut own = Collector::new(7, room);
            for record in (0..20_000).filter(|record| record % parts == part).rev() {
                own.offer(record, 5, expected(record), || place(record));
            }
            merged.merge(own);
        }
        merged.finish(3)
    }

    #[test]
    fn any_split_keeps_the_same_records_and_weights_tell_all() {
        let (one, four) = (sampled(2_000, 1), sampled(2_000, 4));
        assert_eq!((one.places.len(), &one.places, &one.reached), (2_000, &four.places, &four.reached));
        for stratum in 0..3 {
            let all: f64 = (0..20_000).filter(|record| record % 3 == stratum).map(expected).sum();
            let told = one.reached[one.starts[stratum as usize + 1] - 1];
            assert!((told / all - 1.0).abs() < 0.05, "{told} for {all}");
            let own = one.weights().into_iter().zip(&one.places.stratum).filter(|(_, own)| **own == stratum);
            let sum: f64 = own.map(|(weight, _)| weight).sum();
            assert!((sum / told - 1.0).abs() < 1e-9, "{sum} for {told}");
        }
    }

    #[test]
    fn a_pool_of_all_records_draws_by_what_is_expected() {
        let pool = sampled(30_000, 2);
        assert_eq!(pool.places.len(), 20_000);
        let mut drawn = [0.0; 7];
        for draw in 0..30_000 {
            let place = pool.draw(1, (f64::from(draw) + 0.5) / 30_000.0);
            assert_eq!(pool.places.stratum[place], 1);
            drawn[usize::from(pool.places.bins[0][place])] += 1.0 / 30_000.0;
        }
        let of = |bin: u32| (0..20_000).filter(|one| one % 3 == 1 && one % 7 == bin).map(expected).sum::<f64>();
        let all: f64 = (0..7).map(of).sum();
        for bin in 0..7 {
            assert!((drawn[bin as usize] - of(bin) / all).abs() < 0.002);
        }
        let mut places = Places::new(1, 1);
        places.push(&place(1));
        let none = Pool { starts: vec![0, 0, 1], reached: vec![1.0], places };
        assert_eq!(none.draw(0, 0.9), 0);
    }
}
