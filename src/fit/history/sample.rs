//! Which vehicles a fit looks at, and their records as a scan hands them out.
//!
//! Key idea: failures are few and say most, so a vehicle with one is looked at in any case, and of the others a random
//! part, the subcohort; each counts with one over its chance to be looked at (Prentice 1986; the design of Borgan et
//! al. 2000 with weights by what was drawn). Where even the failures are too many, they are drawn from too. What
//! decides is a number made of the vehicle's id and the seed: no result depends on the order of files or vehicles. A
//! vehicle in the sample of one group of modes may be outside that of another: chances are nested.
//!
//! Units: vehicles; bytes.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;

use crate::fixed::threefry::threefry2x32;
use crate::fleet::chunk::Chunk;
use crate::fleet::scan::{ChunkSink, SinkError};
use crate::fleet::shard::shard_of;
use crate::fleet::vehicles::Ids;

const STREAM: u32 = 0x5355_4243;

/// A vehicle's number below one, the same for the same id and seed.
pub fn lot(ids: &Ids, vehicle: usize, seed: u64, stream: u32) -> f64 {
    let hash = match ids {
        Ids::Integer(ids) => shard_of(&ids[vehicle].to_le_bytes(), u32::MAX),
        Ids::Text(ids) => shard_of(ids[vehicle].as_bytes(), u32::MAX),
    };
    let [high, low] = threefry2x32([seed as u32 ^ (seed >> 32) as u32, STREAM ^ stream], [hash, 0]);
    (f64::from(high) * 4_294_967_296.0 + f64::from(low)) / 18_446_744_073_709_551_616.0
}

/// A stratum of the vehicles of a group: those without a failure, or those with one.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Stratum {
    pub vehicles: u64,
    /// Of them, looked at.
    pub sampled: u64,
    /// With this chance.
    pub chance: f64,
}

/// Of the vehicles without a failure, and of those with one.
pub type Strata = [Stratum; 2];

/// The chances of both strata, so that about `room` vehicles are looked at: those with failures first, but they leave
/// half of the room to the others.
pub fn chances(vehicles: [u64; 2], room: u64) -> [f64; 2] {
    let [others, failed] = vehicles.map(|count| count.max(1) as f64);
    let room = room as f64;
    if others + failed <= room {
        return [1.0, 1.0];
    }
    let of_failed =
        if failed + others.min(room / 2.0) <= room { 1.0 } else { (room / 2.0).max(room - others) / failed };
    [((room - of_failed * failed) / others).clamp(0.0, 1.0), of_failed]
}

/// One vehicle's records in time: ticks, and codes row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    pub ticks: Vec<i32>,
    pub codes: Vec<u16>,
}

/// Keeps the records of the wanted vehicles.
pub struct Collector<'a> {
    /// By index of the known vehicles.
    wanted: &'a [bool],
    lanes: Vec<Mutex<HashMap<u32, Kept>>>,
    first_tick: AtomicI32,
    last_tick: AtomicI32,
}

/// What was kept.
pub struct Collected {
    /// By vehicle index, unordered.
    pub vehicles: Vec<(u32, Kept)>,
    /// First and last tick of all records, of whatever vehicle; `None`: no records.
    pub ticks: Option<(i32, i32)>,
}

impl<'a> Collector<'a> {
    pub fn new(wanted: &'a [bool], threads: usize) -> Self {
        Self {
            wanted,
            lanes: (0..threads.max(1)).map(|_| Mutex::default()).collect(),
            first_tick: AtomicI32::new(i32::MAX),
            last_tick: AtomicI32::new(i32::MIN),
        }
    }

    pub fn finish(self) -> Collected {
        let (first, last) = (self.first_tick.into_inner(), self.last_tick.into_inner());
        let lanes = self.lanes.into_iter().map(|lane| lane.into_inner().unwrap_or_else(PoisonError::into_inner));
        Collected { vehicles: lanes.flatten().collect(), ticks: (first <= last).then_some((first, last)) }
    }
}

impl ChunkSink for Collector<'_> {
    fn push(&self, lane: usize, chunk: &Chunk) -> Result<(), SinkError> {
        let Some(lane) = self.lanes.get(lane) else { return Err("a scan has more lanes than threads".into()) };
        if let (Some(&first), Some(&last)) = (chunk.tick.iter().min(), chunk.tick.iter().max()) {
            self.first_tick.fetch_min(first, Ordering::Relaxed);
            self.last_tick.fetch_max(last, Ordering::Relaxed);
        }
        let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
        let mut from = 0;
        while from < chunk.len() {
            let vehicle = chunk.vehicle[from];
            let rows = chunk.vehicle[from..].iter().take_while(|other| **other == vehicle).count();
            if self.wanted.get(vehicle as usize) == Some(&true) {
                let kept = lane.entry(vehicle).or_default();
                let columns = chunk.codes.len();
                if kept.ticks.is_empty() && rows > 1 {
                    // Usually all of the vehicle: no room is wasted.
                    kept.ticks.reserve_exact(rows);
                    kept.codes.reserve_exact(rows * columns);
                }
                kept.ticks.extend_from_slice(&chunk.tick[from..from + rows]);
                for row in from..from + rows {
                    kept.codes.extend(chunk.codes.iter().map(|codes| codes[row]));
                }
            }
            from += rows;
        }
        Ok(())
    }

    fn restart(&self) -> Result<(), SinkError> {
        for lane in &self.lanes {
            lane.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.first_tick.store(i32::MAX, Ordering::Relaxed);
        self.last_tick.store(i32::MIN, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_come_first_and_the_room_is_kept() {
        assert_eq!(chances([90, 10], 100), [1.0, 1.0]);
        assert_eq!(chances([900, 100], 300), [200.0 / 900.0, 1.0]);
        let [others, failed] = chances([1_000, 1_000], 100);
        assert!((others - 0.05).abs() < 1e-12 && (failed - 0.05).abs() < 1e-12);
        assert_eq!(chances([10, 1_000], 1_000), [1.0, 0.99]);
    }

    #[test]
    fn lots_are_even_and_hang_on_id_and_seed_alone() {
        let ids = Ids::Integer((0..20_000).collect());
        let mean = (0..20_000).map(|vehicle| lot(&ids, vehicle, 7, 0)).sum::<f64>() / 20_000.0;
        assert!((mean - 0.5).abs() < 0.01);
        let turned = Ids::Integer((0..20_000).rev().collect());
        assert_eq!(lot(&ids, 3, 7, 0), lot(&turned, 19_996, 7, 0));
        assert!(lot(&ids, 3, 7, 0) != lot(&ids, 3, 8, 0));
    }
}
