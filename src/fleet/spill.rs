//! Reading anything: packed rows are partitioned by vehicle, each partition is sorted, settled and handed out.
//!
//! Partitions stay in memory while they fit, and go to unnamed temporary files, which vanish however the run ends,
//! when they do not. A partition that is still too large to sort is divided again, by vehicle index and, for a
//! vehicle that alone is too large, by time; what is left of one vehicle and time is folded to the row that counts.

use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;

use super::by_time::end_of_vehicle;
use super::chunk::Chunk;
use super::decode::{Batch, ReadError};
use super::plan::RowGroup;
use super::pool::{Halt, Stop, lock, run};
use super::rows_file::{Extent, Place, RowsFile, row_bytes};
use super::settle::{gather, order};
use super::worker::{Pass, Worker};

/// Files that stay open while rows are partitioned. Dividing one opens [`DIVISION`] more a thread; the program asks the
/// system for as many when it starts.
const MAX_PARTITIONS: usize = 256;
/// Rows of a thread wait in a buffer of this many bytes for their partition, or of fewer where there are many of both.
const MOST_BUFFER_BYTES: usize = 32 << 10;
/// Buffers have at least one part in this many of the memory.
const BUFFERS_SHARE: usize = 8;
/// Parts that a partition which is too large is divided into.
const DIVISION: u64 = 16;
/// Bytes that sorting takes on top of a packed row: its key and index, and its turn in a chunk.
pub(crate) const SORT_BYTES: usize = 16;

struct Spilling<'a> {
    pass: &'a Pass<'a>,
    partitions: Vec<Mutex<RowsFile>>,
    /// Rows that one thread may sort at once.
    sort_rows: u64,
    /// Rows that wait in a buffer.
    buffer_rows: usize,
    place: Place<'a>,
}

/// A thread's buffers of the first phase.
struct Partitioner<'a> {
    worker: Worker<'a>,
    chunk: Chunk,
    by_partition: ByPartition,
    buffers: Vec<Vec<u8>>,
    extents: Vec<Extent>,
}

/// Reads the row groups in any order. `folder` is where temporary files go, `memory_bytes` what rows may take.
pub(crate) fn read<'a>(
    pass: &'a Pass<'a>,
    row_groups: &[RowGroup],
    folder: &Path,
    memory_bytes: usize,
) -> Result<Vec<Worker<'a>>, Stop> {
    let columns = pass.context.wanted.len();
    let rows: u64 = row_groups.iter().map(|row_group| row_group.rows).sum();
    let row_bytes = row_bytes(columns);
    let sort_rows = (pass.worker_bytes / (row_bytes + SORT_BYTES)).max(2) as u64;
    // Twice as many as needed, since vehicles do not divide evenly, and enough to keep all threads busy.
    let wanted = (rows / sort_rows * 2).max(4 * pass.threads as u64) as usize;
    let partitions = wanted.clamp(1, MAX_PARTITIONS);
    let left_bytes = buffer_room(rows, row_bytes, memory_bytes);
    let place = if left_bytes.is_some() { Place::Memory } else { Place::Folder(folder) };
    let buffer_bytes = left_bytes.map_or(pass.worker_bytes, |left| (left / pass.threads.max(1)).min(pass.worker_bytes));
    let spilling = Spilling {
        pass,
        partitions: (0..partitions).map(|_| Mutex::new(RowsFile::new(columns))).collect(),
        sort_rows,
        buffer_rows: buffer_rows(buffer_bytes, partitions, row_bytes),
        place,
    };
    let partitioners = pass.workers().into_iter().map(|worker| Partitioner {
        worker,
        chunk: Chunk::with_columns(columns),
        by_partition: ByPartition::default(),
        buffers: vec![Vec::new(); partitions],
        extents: vec![Extent::default(); partitions],
    });
    let partitioners = run(partitioners.collect(), row_groups.len(), &pass.halt, |partitioner, position| {
        let row_group = &row_groups[position];
        match spilling.partition(partitioner, row_group) {
            Ok(()) => {}
            Err(ReadError::Stop(stop)) => return Err(stop),
            Err(ReadError::Unreadable(problem)) => pass.unreadable(row_group.file, problem),
        }
        pass.finish_row_group(row_group.file)
    })?;
    let mut workers = Vec::with_capacity(partitioners.len());
    for mut partitioner in partitioners {
        for partition in 0..partitions {
            spilling.flush(&mut partitioner, partition)?;
        }
        workers.push(partitioner.worker);
    }
    if pass.is_void() {
        return Ok(workers);
    }
    run(workers, partitions, &Halt::default(), |worker, partition| {
        let rows = std::mem::replace(&mut *lock(&spilling.partitions[partition]), RowsFile::new(columns));
        spilling.hand_out(worker, rows)
    })
}

/// What partitions that stay in memory leave of it for buffers; `None` where they do not fit or leave too little to be
/// quick. A vector that grows has room for up to twice what it holds.
fn buffer_room(rows: u64, row_bytes: usize, memory_bytes: usize) -> Option<usize> {
    let held = rows.saturating_mul(2 * row_bytes as u64);
    let left = memory_bytes.checked_sub(usize::try_from(held).ok()?)?;
    (left >= memory_bytes / BUFFERS_SHARE).then_some(left)
}

/// Rows that wait in each of a thread's buffers, which hold this many bytes in all. Nothing is sorted while buffers
/// fill: what sorting will take is theirs, but for what partitions hold in memory.
fn buffer_rows(worker_bytes: usize, partitions: usize, row_bytes: usize) -> usize {
    ((worker_bytes / partitions).min(MOST_BUFFER_BYTES) / row_bytes).max(1)
}

/// A vehicle's partition. The index is mixed, so that neighbours do not all fall into one.
fn partition_of(vehicle: u32, partitions: usize) -> usize {
    let mixed = vehicle.wrapping_mul(0x9e37_79b1);
    ((u64::from(mixed) * partitions as u64) >> 32) as usize
}

/// Rows sorted by their partition, by counting.
#[derive(Default)]
struct ByPartition {
    rows: Vec<u32>,
    /// Where each partition's rows end.
    ends: Vec<usize>,
}

impl ByPartition {
    /// Takes the partition of each row.
    fn sort(&mut self, partitions: usize, of_row: impl Iterator<Item = usize> + Clone) {
        self.ends.clear();
        self.ends.resize(partitions, 0);
        let mut count = 0;
        for partition in of_row.clone() {
            self.ends[partition] += 1;
            count += 1;
        }
        // First where each begins; every row then moves its partition's mark on to the end.
        let mut begin = 0;
        for end in &mut self.ends {
            begin += std::mem::replace(end, begin);
        }
        self.rows.clear();
        self.rows.resize(count, 0);
        for (row, partition) in (0..).zip(of_row) {
            self.rows[self.ends[partition]] = row;
            self.ends[partition] += 1;
        }
    }

    /// Positions in `rows` of one partition's.
    fn range(&self, partition: usize) -> Range<usize> {
        let begin = partition.checked_sub(1).map_or(0, |before| self.ends[before]);
        begin..self.ends[partition]
    }
}

impl Spilling<'_> {
    fn partition(&self, own: &mut Partitioner, row_group: &RowGroup) -> Result<(), ReadError> {
        if self.pass.is_unreadable(row_group.file) {
            return Ok(());
        }
        let mut reader = self.pass.open(row_group)?;
        if self.pass.is_void() {
            return reader.drain();
        }
        let mut batch = Batch::default();
        while reader.next(&mut batch, &mut own.worker.tally)? {
            own.chunk.clear();
            own.worker.pack(&batch, 0, batch.rows(), &mut own.chunk).map_err(ReadError::Stop)?;
            // Repeats next to each other, such as a file of one row repeated, need not go through the disk.
            own.worker.tally.duplicates += own.chunk.drop_repeats();
            self.distribute(own).map_err(ReadError::Stop)?;
        }
        Ok(())
    }

    fn distribute(&self, own: &mut Partitioner) -> Result<(), Stop> {
        let partitions = self.partitions.len();
        own.by_partition.sort(partitions, own.chunk.vehicle.iter().map(|&vehicle| partition_of(vehicle, partitions)));
        for partition in 0..partitions {
            let mut rows = own.by_partition.range(partition);
            while !rows.is_empty() {
                let room = self.buffer_rows.saturating_sub(own.extents[partition].rows as usize);
                let now = rows.start..rows.end.min(rows.start + room);
                // Grown by itself it would take room for up to twice as many.
                if own.buffers[partition].is_empty() {
                    own.buffers[partition].reserve_exact(self.buffer_rows * row_bytes(own.chunk.codes.len()));
                }
                own.extents[partition].write(
                    &own.chunk,
                    &own.by_partition.rows[now.clone()],
                    &mut own.buffers[partition],
                );
                rows.start = now.end;
                if own.extents[partition].rows as usize >= self.buffer_rows {
                    self.flush(own, partition)?;
                }
            }
        }
        Ok(())
    }

    fn flush(&self, own: &mut Partitioner, partition: usize) -> Result<(), Stop> {
        let buffer = &mut own.buffers[partition];
        if !buffer.is_empty() {
            lock(&self.partitions[partition]).append(buffer, &own.extents[partition], &self.place)?;
            buffer.clear();
            own.extents[partition] = Extent::default();
        }
        Ok(())
    }

    fn hand_out(&self, worker: &mut Worker, mut rows: RowsFile) -> Result<(), Stop> {
        self.pass.context.control.check()?;
        if rows.extent.rows > self.sort_rows {
            return self.divide(worker, rows);
        }
        let mut whole = Chunk::with_columns(self.pass.context.wanted.len());
        rows.read_all(&mut whole)?;
        drop(rows);
        let count = whole.len();
        let mut keys = Vec::with_capacity(count);
        order(&whole, &mut keys);
        worker.tally.duplicates += (count - keys.len()) as u64;
        let mut chunk = Chunk::with_columns(whole.codes.len());
        let mut from = 0;
        while from < keys.len() {
            let to = end_of_vehicle(&keys, from, self.pass.chunk_rows);
            chunk.clear();
            gather(&whole, &keys[from..to], &mut chunk);
            self.pass.push(worker, &chunk)?;
            from = to;
        }
        Ok(())
    }

    /// Divides rows by vehicle or, where there is but one, by time. The parts are handed out in order, so a vehicle's
    /// rows still come in rising time.
    fn divide(&self, worker: &mut Worker, mut rows: RowsFile) -> Result<(), Stop> {
        let Extent { vehicles: (first_vehicle, last_vehicle), ticks: (first_tick, last_tick), .. } = rows.extent;
        let columns = self.pass.context.wanted.len();
        let by_vehicle = first_vehicle != last_vehicle;
        if !by_vehicle && first_tick == last_tick {
            let (smallest, dropped) = rows.smallest()?;
            worker.tally.duplicates += dropped;
            return self.pass.push(worker, &smallest);
        }
        let (low, high) = match by_vehicle {
            true => (i64::from(first_vehicle), i64::from(last_vehicle)),
            false => (i64::from(first_tick), i64::from(last_tick)),
        };
        let width = ((high - low) as u64 + 1).div_ceil(DIVISION).max(1);
        let mut parts: Vec<RowsFile> = (0..DIVISION).map(|_| RowsFile::new(columns)).collect();
        let (mut chunk, mut buffer) = (Chunk::with_columns(columns), Vec::new());
        let mut by_part = ByPartition::default();
        while rows.read_some(&mut chunk)? {
            self.pass.context.control.check()?;
            let of_value = |value: i64| ((value - low) as u64 / width) as usize;
            match by_vehicle {
                true => by_part.sort(parts.len(), chunk.vehicle.iter().map(|&vehicle| of_value(i64::from(vehicle)))),
                false => by_part.sort(parts.len(), chunk.tick.iter().map(|&tick| of_value(i64::from(tick)))),
            }
            for (index, part) in parts.iter_mut().enumerate() {
                let mut extent = Extent::default();
                buffer.clear();
                extent.write(&chunk, &by_part.rows[by_part.range(index)], &mut buffer);
                part.append(&buffer, &extent, &self.place)?;
            }
        }
        drop(rows);
        for part in parts {
            self.hand_out(worker, part)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_by_partition_in_their_order() {
        let mut sorted = ByPartition::default();
        for (partitions, of_row) in [(4, vec![2, 0, 2, 3, 0, 2]), (1, vec![0, 0]), (3, vec![])] {
            sorted.sort(partitions, of_row.iter().copied());
            assert_eq!(sorted.rows.len(), of_row.len());
            for partition in 0..partitions {
                let expected: Vec<u32> =
                    (0..).zip(&of_row).filter(|(_, of)| **of == partition).map(|(row, _)| row).collect();
                assert_eq!(sorted.rows[sorted.range(partition)], expected);
            }
        }
    }

    #[test]
    fn the_buffers_of_many_threads_stay_within_their_share() {
        for (limit_bytes, threads) in [(512 << 20, 64), (512 << 20, 2), (64 << 20, 64), (16 << 20, 256)] {
            for columns in [1, 10, 40] {
                let worker_bytes = limit_bytes / 2 / threads;
                let row_bytes = row_bytes(columns);
                let held = threads * MAX_PARTITIONS * buffer_rows(worker_bytes, MAX_PARTITIONS, row_bytes) * row_bytes;
                assert!(held <= limit_bytes / 2, "{held} of {limit_bytes} bytes, {threads} threads");
            }
        }
    }

    #[test]
    fn partitions_in_memory_and_buffers_stay_within_it_together() {
        let (memory_bytes, row_bytes) = (256 << 20, row_bytes(10));
        let most = (memory_bytes - memory_bytes / BUFFERS_SHARE) as u64 / (2 * row_bytes as u64);
        for rows in [0, 1 << 20, most / 2, most] {
            let left = buffer_room(rows, row_bytes, memory_bytes).unwrap();
            for threads in [1, 8, 64] {
                let of_a_buffer = buffer_rows(left / threads, MAX_PARTITIONS, row_bytes) * row_bytes;
                let held = 2 * rows as usize * row_bytes + threads * MAX_PARTITIONS * of_a_buffer;
                assert!(held <= memory_bytes, "{rows} rows, {threads} threads: {held}");
            }
        }
        assert_eq!(buffer_room(most + 1, row_bytes, memory_bytes), None);
    }
}
