//! Packed rows, row by row, in memory or in an unnamed temporary file.
//!
//! A row is its vehicle index (u32), its tick (i32) and its codes (u16 each), in the machine's byte order: it is
//! written and read by one run.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::chunk::Chunk;
use super::error::FleetError;
use super::settle::Settler;

/// Bytes read at a time, by each thread.
const READ_BYTES: usize = 128 << 10;
/// Vehicle and tick.
const KEY_BYTES: usize = 8;

pub(crate) fn row_bytes(columns: usize) -> usize {
    KEY_BYTES + 2 * columns
}

/// Where rows are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    Memory,
    /// Temporary files in this folder.
    Folder(&'a Path),
}

/// What a set of rows spans.
#[derive(Clone, Debug)]
pub(crate) struct Extent {
    pub rows: u64,
    pub vehicles: (u32, u32),
    pub ticks: (i32, i32),
}

impl Default for Extent {
    fn default() -> Self {
        Self { rows: 0, vehicles: (u32::MAX, 0), ticks: (i32::MAX, i32::MIN) }
    }
}

impl Extent {
    /// Appends some rows of a chunk to a buffer and counts them in.
    pub fn write(&mut self, chunk: &Chunk, rows: &[u32], buffer: &mut Vec<u8>) {
        for &row in rows {
            let row = row as usize;
            let (vehicle, tick) = (chunk.vehicle[row], chunk.tick[row]);
            buffer.extend_from_slice(&vehicle.to_ne_bytes());
            buffer.extend_from_slice(&tick.to_ne_bytes());
            for column in &chunk.codes {
                buffer.extend_from_slice(&column[row].to_ne_bytes());
            }
            self.vehicles = (self.vehicles.0.min(vehicle), self.vehicles.1.max(vehicle));
            self.ticks = (self.ticks.0.min(tick), self.ticks.1.max(tick));
        }
        self.rows += rows.len() as u64;
    }

    fn add(&mut self, other: &Extent) {
        self.rows += other.rows;
        self.vehicles = (self.vehicles.0.min(other.vehicles.0), self.vehicles.1.max(other.vehicles.1));
        self.ticks = (self.ticks.0.min(other.ticks.0), self.ticks.1.max(other.ticks.1));
    }
}

/// A growing set of rows.
#[derive(Debug)]
pub(crate) struct RowsFile {
    pub extent: Extent,
    columns: usize,
    memory: Vec<u8>,
    file: Option<(File, std::path::PathBuf)>,
    /// Bytes read so far, once reading has begun.
    read: Option<usize>,
}

impl RowsFile {
    pub fn new(columns: usize) -> Self {
        Self { extent: Extent::default(), columns, memory: Vec::new(), file: None, read: None }
    }

    /// Adds rows that [`Extent::write`] has written.
    pub fn append(&mut self, bytes: &[u8], extent: &Extent, place: &Place) -> Result<(), FleetError> {
        self.extent.add(extent);
        match place {
            Place::Memory => self.memory.extend_from_slice(bytes),
            Place::Folder(folder) => {
                if bytes.is_empty() {
                    return Ok(());
                }
                let fail = |source| FleetError::Spill { folder: folder.to_path_buf(), source };
                let (file, _) = match &mut self.file {
                    Some(file) => file,
                    none => none.insert((tempfile::tempfile_in(folder).map_err(fail)?, folder.to_path_buf())),
                };
                file.write_all(bytes).map_err(fail)?;
            }
        }
        Ok(())
    }

    /// Reads the next rows into `chunk`, which is cleared; false at the end.
    pub fn read_some(&mut self, chunk: &mut Chunk) -> Result<bool, FleetError> {
        chunk.clear();
        let row_bytes = row_bytes(self.columns);
        let at_once = READ_BYTES / row_bytes * row_bytes;
        let done = self.read.unwrap_or(0);
        let held = self.extent.rows as usize * row_bytes;
        let end = held.min(done + at_once.max(row_bytes));
        if let Some((file, folder)) = &mut self.file {
            let fail = |source| FleetError::Spill { folder: folder.to_path_buf(), source };
            if self.read.is_none() {
                file.seek(SeekFrom::Start(0)).map_err(fail)?;
            }
            self.memory.resize(end - done, 0);
            file.read_exact(&mut self.memory).map_err(fail)?;
            unpack(&self.memory, self.columns, chunk);
        } else {
            unpack(&self.memory[done..end], self.columns, chunk);
        }
        self.read = Some(end);
        Ok(!chunk.is_empty())
    }

    /// Appends all rows to `whole`.
    pub fn read_all(&mut self, whole: &mut Chunk) -> Result<(), FleetError> {
        let rows = self.extent.rows as usize;
        whole.vehicle.reserve_exact(rows);
        whole.tick.reserve_exact(rows);
        whole.codes.iter_mut().for_each(|column| column.reserve_exact(rows));
        let mut some = Chunk::with_columns(self.columns);
        while self.read_some(&mut some)? {
            whole.append(&some);
        }
        Ok(())
    }

    /// Of rows of one vehicle and tick the one that counts, and how many others there were.
    pub fn smallest(&mut self) -> Result<(Chunk, u64), FleetError> {
        let mut settler = Settler::default();
        let (mut held, mut some) = (Chunk::with_columns(self.columns), Chunk::with_columns(self.columns));
        let mut dropped = 0;
        while self.read_some(&mut some)? {
            held.append(&some);
            dropped += settler.sort(&mut held);
        }
        Ok((held, dropped))
    }
}

fn unpack(bytes: &[u8], columns: usize, chunk: &mut Chunk) {
    let rows = || bytes.chunks_exact(row_bytes(columns));
    let word = |row: &[u8], at: usize| [row[at], row[at + 1], row[at + 2], row[at + 3]];
    chunk.vehicle.extend(rows().map(|row| u32::from_ne_bytes(word(row, 0))));
    chunk.tick.extend(rows().map(|row| i32::from_ne_bytes(word(row, 4))));
    for (column, codes) in chunk.codes.iter_mut().enumerate() {
        let at = KEY_BYTES + 2 * column;
        codes.extend(rows().map(|row| u16::from_ne_bytes([row[at], row[at + 1]])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_memory_and_from_a_file() {
        let rows = 100_000_u32;
        let chunk = Chunk {
            vehicle: (0..rows).map(|row| row.wrapping_mul(0x9e37_79b1)).collect(),
            tick: (0..rows).map(|row| -(row as i32)).collect(),
            codes: vec![(0..rows).map(|row| row as u16).collect(), (0..rows).map(|row| (row >> 3) as u16).collect()],
        };
        let folder = std::env::temp_dir();
        for place in [Place::Memory, Place::Folder(&folder)] {
            let mut file = RowsFile::new(2);
            for part in 0..4 {
                let (mut extent, mut buffer) = (Extent::default(), Vec::new());
                let from = part * rows / 4;
                extent.write(&chunk, &(from..from + rows / 4).collect::<Vec<_>>(), &mut buffer);
                file.append(&buffer, &extent, &place).unwrap();
            }
            assert_eq!(file.extent.rows, u64::from(rows));
            assert_eq!(file.extent.ticks, (1 - rows as i32, 0));
            let mut back = Chunk::with_columns(2);
            file.read_all(&mut back).unwrap();
            assert!(back == chunk);
        }
    }

    #[test]
    fn the_smallest_of_equals_is_kept() {
        let mut file = RowsFile::new(1);
        let chunk = Chunk { vehicle: vec![7; 3], tick: vec![1; 3], codes: vec![vec![5, 2, 9]] };
        let (mut extent, mut buffer) = (Extent::default(), Vec::new());
        extent.write(&chunk, &[0, 1, 2], &mut buffer);
        file.append(&buffer, &extent, &Place::Memory).unwrap();
        let kept = Chunk { vehicle: vec![7], tick: vec![1], codes: vec![vec![2]] };
        assert_eq!(file.smallest().unwrap(), (kept, 2));
    }
}
