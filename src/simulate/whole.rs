//! Collects whole vehicles from a scan into batches, one buffer a lane, and hands each batch on when it is full.
//!
//! The scan gives all records of a vehicle to one lane before the next vehicle's ([`Order::WholeVehicles`]); a batch
//! is cut between two vehicles only, so whoever takes it sees every record of each. Nothing may depend on where the
//! cuts fall.
//!
//! [`Order::WholeVehicles`]: crate::fleet::chunk::Order::WholeVehicles

use std::sync::{Mutex, PoisonError};

use crate::fleet::chunk::Chunk;
use crate::fleet::scan::{ChunkSink, SinkError};

/// When a batch is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    pub rows: usize,
    pub vehicles: usize,
}

/// Whole vehicles on their way to `take`; `void` forgets what was taken.
pub struct WholeVehicles<'a> {
    size: BatchSize,
    lanes: Vec<Mutex<Lane>>,
    take: &'a (dyn Fn(&Chunk) -> Result<(), SinkError> + Sync),
    void: &'a (dyn Fn() -> Result<(), SinkError> + Sync),
}

#[derive(Default)]
struct Lane {
    rows: Chunk,
    vehicles: usize,
}

impl<'a> WholeVehicles<'a> {
    pub fn new(
        lanes: usize,
        size: BatchSize,
        take: &'a (dyn Fn(&Chunk) -> Result<(), SinkError> + Sync),
        void: &'a (dyn Fn() -> Result<(), SinkError> + Sync),
    ) -> Self {
        Self { size, lanes: (0..lanes.max(1)).map(|_| Mutex::default()).collect(), take, void }
    }

    /// Hands on what is left when the scan is over.
    pub fn finish(self) -> Result<(), SinkError> {
        for lane in self.lanes {
            let lane = lane.into_inner().unwrap_or_else(PoisonError::into_inner);
            if !lane.rows.is_empty() {
                (self.take)(&lane.rows)?;
            }
        }
        Ok(())
    }
}

impl ChunkSink for WholeVehicles<'_> {
    fn push(&self, lane: usize, chunk: &Chunk) -> Result<(), SinkError> {
        let mut lane = self.lanes[lane % self.lanes.len()].lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = lane.rows.vehicle.last() == chunk.vehicle.first();
        let full = lane.rows.len() >= self.size.rows || lane.vehicles >= self.size.vehicles;
        if full && !goes_on {
            (self.take)(&lane.rows)?;
            lane.rows.clear();
            lane.vehicles = 0;
        }
        lane.rows.codes.resize_with(chunk.codes.len(), Vec::new);
        let vehicles = chunk.vehicle.chunk_by(|a, b| a == b).count();
        lane.vehicles += vehicles - usize::from(goes_on && vehicles > 0);
        lane.rows.append(chunk);
        Ok(())
    }

    fn restart(&self) -> Result<(), SinkError> {
        for lane in &self.lanes {
            *lane.lock().unwrap_or_else(PoisonError::into_inner) = Lane::default();
        }
        (self.void)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(vehicles: &[u32]) -> Chunk {
        Chunk { vehicle: vehicles.to_vec(), tick: vec![0; vehicles.len()], codes: vec![vec![7; vehicles.len()]] }
    }

    #[test]
    fn batches_are_cut_between_vehicles_only() {
        let taken = Mutex::new(Vec::new());
        let take = |chunk: &Chunk| {
            taken.lock().unwrap().push(chunk.vehicle.clone());
            Ok(())
        };
        let sink = WholeVehicles::new(1, BatchSize { rows: 3, vehicles: 2 }, &take, &|| Ok(()));
        for vehicles in [&[1, 1, 1][..], &[1, 1], &[1], &[2], &[3, 3], &[4], &[5, 5]] {
            sink.push(0, &chunk(vehicles)).unwrap();
        }
        sink.finish().unwrap();
        assert_eq!(*taken.lock().unwrap(), [vec![1; 6], vec![2, 3, 3], vec![4, 5, 5]]);
    }

    #[test]
    fn a_restart_forgets() {
        let taken = Mutex::new(Vec::new());
        let take = |chunk: &Chunk| {
            taken.lock().unwrap().extend(chunk.vehicle.clone());
            Ok(())
        };
        let sink = WholeVehicles::new(2, BatchSize { rows: 1, vehicles: 1 }, &take, &|| Ok(()));
        sink.push(0, &chunk(&[1])).unwrap();
        sink.restart().unwrap();
        sink.push(1, &chunk(&[2])).unwrap();
        sink.finish().unwrap();
        assert_eq!(*taken.lock().unwrap(), [2]);
    }
}
