//! Reading by vehicle: row groups in parallel, streamed in chunks that end where a vehicle ends.
//!
//! A vehicle at the boundary of neighbouring row groups, a *seam*, is held back until all of them are read, then
//! sorted and handed out by whoever read the last. Every other vehicle's rows must stand together in one row group;
//! one bit a vehicle notices where they do not.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::chunk::{Chunk, run_end};
use super::decode::{Batch, ReadError};
use super::ids::NO_VEHICLE;
use super::plan::{RowGroup, Seam, VehicleId};
use super::pool::{Stop, lock, run};
use super::seen::Seen;
use super::worker::{Pass, Worker};

const NOT_CLUSTERED: &str = "a vehicle's rows do not stand together";
const TOO_LARGE: &str = "one vehicle has more rows than fit into memory";

/// A seam's rows so far.
struct SeamRows {
    rows: Chunk,
    row_groups_left: usize,
}

struct ByVehicle<'a> {
    pass: &'a Pass<'a>,
    row_groups: &'a [RowGroup],
    seams: &'a [Seam],
    held: Vec<Mutex<SeamRows>>,
    held_bytes: AtomicUsize,
    /// The seams of each row group.
    seams_of: Vec<Vec<usize>>,
    seen: Seen,
}

/// Reads the row groups, which stand in the order of their vehicles.
pub(crate) fn read<'a>(pass: &'a Pass<'a>, row_groups: &[RowGroup], seams: &[Seam]) -> Result<Vec<Worker<'a>>, Stop> {
    let columns = pass.context.wanted.len();
    let mut seams_of = vec![Vec::new(); row_groups.len()];
    for (seam, Seam { row_groups, .. }) in seams.iter().enumerate() {
        row_groups.iter().for_each(|&position| seams_of[position].push(seam));
    }
    let hold = |seam: &Seam| {
        Mutex::new(SeamRows { rows: Chunk::with_columns(columns), row_groups_left: seam.row_groups.len() })
    };
    let by_vehicle = ByVehicle {
        pass,
        row_groups,
        seams,
        held: seams.iter().map(hold).collect(),
        held_bytes: AtomicUsize::new(0),
        seams_of,
        seen: Seen::default(),
    };
    run(pass.workers(), row_groups.len(), &pass.halt, |worker, position| {
        by_vehicle.read_row_group(worker, position)?;
        by_vehicle.finish_seams(worker, position)?;
        pass.finish_row_group(row_groups[position].file)
    })
}

impl ByVehicle<'_> {
    fn read_row_group(&self, worker: &mut Worker, position: usize) -> Result<(), Stop> {
        let row_group = &self.row_groups[position];
        match self.stream(worker, position) {
            Ok(()) => Ok(()),
            Err(ReadError::Stop(stop)) => Err(stop),
            Err(ReadError::Unreadable(problem)) => {
                self.pass.unreadable(row_group.file, problem);
                Ok(())
            }
        }
    }

    fn stream(&self, worker: &mut Worker, position: usize) -> Result<(), ReadError> {
        let row_group = &self.row_groups[position];
        if self.pass.is_unreadable(row_group.file) {
            return Ok(());
        }
        let mut reader = self.pass.open(row_group)?;
        if self.pass.is_void() {
            return reader.drain();
        }
        let mut batch = Batch::default();
        let mut stream = Stream {
            scan: self,
            worker,
            vehicle: NO_VEHICLE,
            open: Chunk::with_columns(self.pass.context.wanted.len()),
            compact_at: 2 * self.pass.chunk_rows,
            seams: self.seams_of[position].iter().map(|&seam| SeamStream::new(self, seam)).collect(),
        };
        while reader.next(&mut batch, &mut stream.worker.tally)? {
            stream.take(&batch).map_err(ReadError::Stop)?;
        }
        stream.end().map_err(ReadError::Stop)?;
        self.pass.hash_held(&reader, row_group.file).map_err(ReadError::from)
    }

    /// Hands out the seams of which this was the last row group.
    fn finish_seams(&self, worker: &mut Worker, position: usize) -> Result<(), Stop> {
        for &seam in &self.seams_of[position] {
            let mut held = lock(&self.held[seam]);
            held.row_groups_left -= 1;
            if held.row_groups_left > 0 {
                continue;
            }
            let mut rows = std::mem::take(&mut held.rows);
            drop(held);
            self.held_bytes.fetch_sub(rows.held_bytes(), Ordering::Relaxed);
            let Some(&vehicle) = rows.vehicle.first() else { continue };
            if !self.seen.insert(vehicle) {
                return Err(Stop::Spill(NOT_CLUSTERED));
            }
            worker.settle(&mut rows);
            self.pass.push(worker, &rows)?;
        }
        Ok(())
    }
}

/// One row group on its way.
struct Stream<'s, 'w, 'a> {
    scan: &'s ByVehicle<'a>,
    worker: &'s mut Worker<'w>,
    /// The vehicle of the row before.
    vehicle: u32,
    /// Rows that are not handed out yet; more rows of the last vehicle may come.
    open: Chunk,
    /// When `open` is as long as this, duplicates are removed before all of the vehicle is there.
    compact_at: usize,
    seams: Vec<SeamStream>,
}

struct SeamStream {
    seam: usize,
    index: Option<u32>,
    rows: Chunk,
    compact_at: usize,
}

impl SeamStream {
    fn new(scan: &ByVehicle, seam: usize) -> Self {
        let rows = Chunk::with_columns(scan.pass.context.wanted.len());
        Self { seam, index: None, rows, compact_at: 2 * scan.pass.chunk_rows }
    }
}

impl Stream<'_, '_, '_> {
    fn take(&mut self, batch: &Batch) -> Result<(), Stop> {
        // All ids of the batch have their index by now, so a seam that is not known yet has no rows in it.
        for seam in self.seams.iter_mut().filter(|seam| seam.index.is_none()) {
            let ids = self.scan.pass.context.ids;
            seam.index = match &self.scan.seams[seam.seam].vehicle {
                VehicleId::Integer(id) => ids.index_of_integer(*id),
                VehicleId::Text(id) => std::str::from_utf8(id).ok().and_then(|id| ids.index_of(id)),
            };
        }
        let chunk_rows = self.scan.pass.chunk_rows;
        // Rows `from .. row` are known to belong to `open`, but not copied yet.
        let mut from = 0;
        let mut row = 0;
        // Where the rows begin that belong to a vehicle of which more may come, if that is in this batch.
        let mut last_begins = None;
        while row < batch.rows() {
            let vehicle = batch.vehicle[row];
            let run = run_end(&batch.vehicle, row) - row;
            let seam = self.seams.iter().position(|seam| seam.index == Some(vehicle));
            if let Some(seam) = seam {
                self.copy(batch, from, row)?;
                from = row + run;
                last_begins = Some(from);
                self.copy_to_seam(batch, seam, row, row + run)?;
            } else if vehicle != self.vehicle {
                if !self.scan.seen.insert(vehicle) {
                    return Err(Stop::Spill(NOT_CLUSTERED));
                }
                last_begins = Some(row);
                let waiting = self.open.len() + (row - from);
                if waiting > 0 && waiting + run > chunk_rows {
                    self.copy(batch, from, row)?;
                    from = row;
                    self.hand_out()?;
                }
            }
            self.vehicle = vehicle;
            row += run;
        }
        // Whole vehicles go now: joined to what the next batch brings, they could exceed a chunk.
        if let Some(last_begins) = last_begins {
            self.copy(batch, from, last_begins)?;
            from = from.max(last_begins);
            self.hand_out()?;
        }
        self.copy(batch, from, batch.rows())?;
        if self.open.len() >= self.compact_at {
            self.worker.settle(&mut self.open);
            self.compact_at = 2 * self.open.len().max(chunk_rows);
            self.check_size(self.open.held_bytes())?;
        }
        Ok(())
    }

    fn copy(&mut self, batch: &Batch, from: usize, to: usize) -> Result<(), Stop> {
        if from < to {
            self.worker.pack(batch, from, to, &mut self.open)?;
        }
        Ok(())
    }

    fn copy_to_seam(&mut self, batch: &Batch, seam: usize, from: usize, to: usize) -> Result<(), Stop> {
        let seam = &mut self.seams[seam];
        self.worker.pack(batch, from, to, &mut seam.rows)?;
        if seam.rows.len() >= seam.compact_at {
            self.worker.settle(&mut seam.rows);
            seam.compact_at = 2 * seam.rows.len().max(self.scan.pass.chunk_rows);
            let bytes = seam.rows.held_bytes();
            self.check_size(bytes)?;
        }
        Ok(())
    }

    fn check_size(&self, bytes: usize) -> Result<(), Stop> {
        if bytes > self.scan.pass.worker_bytes { Err(Stop::Spill(TOO_LARGE)) } else { Ok(()) }
    }

    fn hand_out(&mut self) -> Result<(), Stop> {
        if self.open.is_empty() {
            return Ok(());
        }
        self.worker.settle(&mut self.open);
        self.scan.pass.push(self.worker, &self.open)?;
        self.open.clear();
        self.compact_at = 2 * self.scan.pass.chunk_rows;
        Ok(())
    }

    fn end(mut self) -> Result<(), Stop> {
        self.hand_out()?;
        for mut seam in self.seams {
            self.worker.settle(&mut seam.rows);
            let mut held = lock(&self.scan.held[seam.seam]);
            let before = held.rows.held_bytes();
            held.rows.append(&seam.rows);
            let added = held.rows.held_bytes() - before;
            let bytes = self.scan.held_bytes.fetch_add(added, Ordering::Relaxed) + added;
            if bytes > self.scan.pass.worker_bytes {
                return Err(Stop::Spill(TOO_LARGE));
            }
        }
        Ok(())
    }
}
