//! Reading by time: slices of row groups whose times overlap no other slice's, such as a file a day with all
//! vehicles in it. A slice is held packed, settled, and handed out; slices are decoded in parallel.
//!
//! For [`Order::TimeOrderedPerVehicle`] slices are applied one after the other: each is split into lanes by vehicle
//! index, and every lane takes the slices in order while later ones are being decoded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::chunk::{Chunk, Order};
use super::decode::{Batch, ReadError};
use super::plan::{RowGroup, Slice};
use super::pool::{Stop, lock, run};
use super::settle::gather;
use super::worker::{Pass, Worker};

const OUTSIDE: &str = "a time lies outside what the file's statistics say";
/// Vehicles that share a lane stand in blocks of this many, so that a lane's rows are near each other.
const LANE_BLOCK: u32 = 256;

struct ByTime<'a> {
    pass: &'a Pass<'a>,
    slices: &'a [Slice],
    /// Slice and place in it of every row group, in order.
    tasks: Vec<(usize, usize)>,
    held: Vec<Mutex<SliceRows>>,
    lanes: Vec<Lane>,
    /// Which slices may hold rows, and room for how many.
    open: Mutex<Open>,
    room: usize,
    /// A slice was opened or closed.
    changed: Condvar,
}

/// Slices are opened in their order, none before all earlier ones: one that is applied after another must not take
/// the room that the other waits for.
#[derive(Default)]
struct Open {
    /// Slices below this one have been opened.
    next: usize,
    /// Slices that are open now.
    holding: usize,
}

#[derive(Default)]
struct SliceRows {
    parts: Vec<Chunk>,
    row_groups_done: usize,
}

#[derive(Default)]
struct Lane {
    /// Settled rows by slice; the mark of the slice's lanes yet to be applied goes with them.
    waiting: Mutex<BTreeMap<usize, LaneRows>>,
    /// The slice to apply next. Whoever holds it applies.
    next: Mutex<usize>,
}

struct LaneRows {
    chunks: Vec<Chunk>,
    lanes_left: std::sync::Arc<AtomicUsize>,
}

/// Reads the slices, which stand in the order of time. `slices_at_once` fit into memory.
pub(crate) fn read<'a>(pass: &'a Pass<'a>, slices: &[Slice], slices_at_once: usize) -> Result<Vec<Worker<'a>>, Stop> {
    let tasks = slices.iter().enumerate();
    let by_time = ByTime {
        pass,
        slices,
        tasks: tasks.flat_map(|(slice, rows)| (0..rows.row_groups.len()).map(move |place| (slice, place))).collect(),
        held: slices.iter().map(|_| Mutex::default()).collect(),
        lanes: (0..pass.threads).map(|_| Lane::default()).collect(),
        open: Mutex::default(),
        room: slices_at_once.max(1),
        changed: Condvar::new(),
    };
    run(pass.workers(), by_time.tasks.len(), &pass.halt, |worker, task| {
        let (slice, place) = by_time.tasks[task];
        by_time.enter(slice)?;
        let row_group = &slices[slice].row_groups[place];
        match by_time.decode(worker, slice, row_group) {
            Ok(()) => {}
            Err(ReadError::Stop(stop)) => return Err(stop),
            Err(ReadError::Unreadable(problem)) => pass.unreadable(row_group.file, problem),
        }
        by_time.finish_row_group(worker, slice)?;
        pass.finish_row_group(row_group.file)
    })
}

impl ByTime<'_> {
    /// Waits until the slice may hold rows. Row groups are handed out in order, so every open slice gets finished by
    /// the threads that do not wait.
    fn enter(&self, slice: usize) -> Result<(), Stop> {
        let mut open = lock(&self.open);
        loop {
            if slice < open.next {
                return Ok(());
            }
            if slice == open.next && open.holding < self.room {
                open.next += 1;
                open.holding += 1;
                self.changed.notify_all();
                return Ok(());
            }
            self.pass.halt.check()?;
            self.pass.context.control.check()?;
            // The time-out is for the two checks above; an opened or closed slice wakes at once.
            const CHECK_EVERY: Duration = Duration::from_millis(50);
            open = match self.changed.wait_timeout(open, CHECK_EVERY) {
                Ok((open, _)) => open,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn decode(&self, worker: &mut Worker, slice: usize, row_group: &RowGroup) -> Result<(), ReadError> {
        if self.pass.is_unreadable(row_group.file) {
            return Ok(());
        }
        let mut reader = self.pass.open(row_group)?;
        if self.pass.is_void() {
            return reader.drain();
        }
        let Slice { first_tick, last_tick, .. } = self.slices[slice];
        let mut batch = Batch::default();
        let mut parts = Vec::new();
        while reader.next(&mut batch, &mut worker.tally)? {
            let inside = |tick: &i32| (first_tick <= *tick) & (*tick <= last_tick);
            if !batch.tick.iter().fold(true, |fine, tick| fine & inside(tick)) {
                return Err(ReadError::Stop(Stop::Spill(OUTSIDE)));
            }
            let mut part = Chunk::with_columns(self.pass.context.wanted.len());
            worker.pack(&batch, 0, batch.rows(), &mut part).map_err(ReadError::Stop)?;
            parts.push(part);
        }
        lock(&self.held[slice]).parts.append(&mut parts);
        Ok(())
    }

    /// Settles and hands out a slice whose last row group this was.
    fn finish_row_group(&self, worker: &mut Worker, slice: usize) -> Result<(), Stop> {
        let parts = {
            let mut held = lock(&self.held[slice]);
            held.row_groups_done += 1;
            if held.row_groups_done < self.slices[slice].row_groups.len() {
                return Ok(());
            }
            std::mem::take(&mut held.parts)
        };
        let chunks = self.settle(worker, slice, parts);
        match self.pass.order {
            Order::Any => {
                for chunk in &chunks {
                    self.pass.push(worker, chunk)?;
                }
                drop(chunks);
                self.close();
                Ok(())
            }
            // The planner spills for whole vehicles, so here it means what it has in common with the time order.
            Order::TimeOrderedPerVehicle | Order::WholeVehicles => self.apply(worker, slice, &chunks),
        }
    }

    /// Chunks of the slice's rows without duplicates; every vehicle's rows in one chunk, in rising time.
    fn settle(&self, worker: &mut Worker, slice: usize, parts: Vec<Chunk>) -> Vec<Chunk> {
        // With one row a vehicle there is nothing to sort: the usual file a day.
        if self.slices[slice].is_one_tick() && worker.once.each_once(&parts) {
            return parts;
        }
        let mut whole = Chunk::with_columns(self.pass.context.wanted.len());
        for part in parts {
            whole.append(&part);
        }
        let rows = whole.len();
        let order = worker.settler.order(&whole);
        worker.tally.duplicates += (rows - order.len()) as u64;
        let mut chunks = Vec::new();
        let mut from = 0;
        while from < order.len() {
            let to = end_of_vehicle(order, from, self.pass.chunk_rows);
            let mut chunk = Chunk::with_columns(whole.codes.len());
            gather(&whole, &order[from..to], &mut chunk);
            chunks.push(chunk);
            from = to;
        }
        chunks
    }

    fn close(&self) {
        lock(&self.open).holding -= 1;
        self.changed.notify_all();
    }

    /// Splits a slice into lanes and applies whatever lanes are ready for.
    fn apply(&self, worker: &mut Worker, slice: usize, chunks: &[Chunk]) -> Result<(), Stop> {
        let lanes_left = std::sync::Arc::new(AtomicUsize::new(self.lanes.len()));
        for (lane, rows) in split(chunks, self.lanes.len()).into_iter().enumerate() {
            let rows = LaneRows { chunks: rows, lanes_left: lanes_left.clone() };
            lock(&self.lanes[lane].waiting).insert(slice, rows);
        }
        for step in 0..self.lanes.len() {
            self.drain_lane(worker, (worker.lane + step) % self.lanes.len())?;
        }
        Ok(())
    }

    /// Applies the slices that a lane is ready for, unless another thread is doing so.
    fn drain_lane(&self, worker: &mut Worker, number: usize) -> Result<(), Stop> {
        let lane = &self.lanes[number];
        loop {
            let Ok(mut next) = lane.next.try_lock() else { return Ok(()) };
            loop {
                // In a statement of its own, so that the lock is released before the rows are applied.
                let ready = lock(&lane.waiting).remove(&next);
                let Some(rows) = ready else { break };
                for chunk in &rows.chunks {
                    self.pass.push_to(number, worker, chunk)?;
                }
                *next += 1;
                if rows.lanes_left.fetch_sub(1, Ordering::Relaxed) == 1 {
                    self.close();
                }
            }
            let due = *next;
            drop(next);
            // A slice that came in after the last look, while this thread still held the lane, is this thread's.
            if !lock(&lane.waiting).contains_key(&due) {
                return Ok(());
            }
        }
    }
}

/// The end of the last whole vehicle within `chunk_rows` rows from `from`, or of the first vehicle if it is longer.
pub(crate) fn end_of_vehicle(order: &[(u64, u32)], from: usize, chunk_rows: usize) -> usize {
    let vehicle = |row: usize| order[row].0 >> 32;
    let full = from + chunk_rows;
    if full >= order.len() {
        return order.len();
    }
    let cut = vehicle(full);
    let start = from + order[from..full].partition_point(|(key, _)| key >> 32 < cut);
    if start > from { start } else { full + order[full..].partition_point(|(key, _)| key >> 32 <= cut) }
}

/// Rows by lane, in chunks no longer than they came.
fn split(chunks: &[Chunk], lanes: usize) -> Vec<Vec<Chunk>> {
    if lanes == 1 {
        return vec![chunks.to_vec()];
    }
    let lane_of = |vehicle: u32| (vehicle / LANE_BLOCK) as usize % lanes;
    let mut by_lane = vec![Vec::new(); lanes];
    for chunk in chunks {
        let mut rows_of = vec![Vec::new(); lanes];
        for (row, &vehicle) in chunk.vehicle.iter().enumerate() {
            rows_of[lane_of(vehicle)].push(row);
        }
        for (lane, rows) in rows_of.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            by_lane[lane].push(Chunk {
                vehicle: rows.iter().map(|&row| chunk.vehicle[row]).collect(),
                tick: rows.iter().map(|&row| chunk.tick[row]).collect(),
                codes: chunk.codes.iter().map(|column| rows.iter().map(|&row| column[row]).collect()).collect(),
            });
        }
    }
    by_lane
}

/// Finds out whether vehicles occur once each.
#[derive(Default)]
pub(crate) struct Once {
    bits: Vec<u64>,
}

impl Once {
    pub fn each_once(&mut self, parts: &[Chunk]) -> bool {
        self.bits.clear();
        let largest = parts.iter().flat_map(|part| &part.vehicle).copied().max().unwrap_or(0);
        self.bits.resize(largest as usize / 64 + 1, 0);
        parts.iter().flat_map(|part| &part.vehicle).fold(true, |once, &vehicle| {
            let word = &mut self.bits[vehicle as usize / 64];
            let bit = 1 << (vehicle % 64);
            let new = *word & bit == 0;
            *word |= bit;
            once & new
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_where_a_vehicle_ends() {
        let order: Vec<(u64, u32)> =
            [1, 1, 2, 2, 2, 2, 3].iter().zip(0..).map(|(&vehicle, row)| (vehicle << 32, row)).collect();
        assert_eq!(end_of_vehicle(&order, 0, 1), 2);
        assert_eq!(end_of_vehicle(&order, 0, 3), 2);
        assert_eq!(end_of_vehicle(&order, 2, 3), 6);
        assert_eq!(end_of_vehicle(&order, 2, 4), 6);
        assert_eq!(end_of_vehicle(&order, 2, 5), 7);
        assert_eq!(end_of_vehicle(&order, 0, 7), 7);
        assert_eq!(end_of_vehicle(&order, 0, 6), 6);
    }

    #[test]
    fn a_repeated_vehicle_is_noticed() {
        let part = |vehicles: &[u32]| Chunk { vehicle: vehicles.to_vec(), ..Chunk::default() };
        let mut once = Once::default();
        assert!(once.each_once(&[part(&[5, 0]), part(&[64])]));
        assert!(!once.each_once(&[part(&[5, 0]), part(&[5])]));
        assert!(once.each_once(&[]));
    }
}
