//! A channel's codes: each dictionary entry is quantised once, each row looks its code up.

use arrow::array::ArrayRef;

use super::super::decode::ReadError;
use super::super::quantise::{CellCounts, CellFault, Quantiser};
use super::Consumer;

/// A column of codes, and which rows have none and why, rising by row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coded {
    pub codes: Vec<u16>,
    pub faults: Vec<(u32, CellFault)>,
}

impl Coded {
    pub fn clear(&mut self) {
        self.codes.clear();
        self.faults.clear();
    }

    /// Counts the cells of the rows `from .. to` that have no code.
    pub fn count(&self, from: usize, to: usize, cells: &mut CellCounts) {
        let place = |row: usize| self.faults.partition_point(|(fault_row, _)| (*fault_row as usize) < row);
        if !self.faults.is_empty() {
            self.faults[place(from)..place(to)].iter().for_each(|(_, fault)| cells.count(*fault));
        }
    }
}

/// Entries of a dictionary that 16-bit indices reach: no look-up in a table of so many needs a check.
const DIRECT_ENTRIES: usize = 1 << 16;

/// The codes of a dictionary's entries.
#[derive(Default)]
pub(crate) struct CodeTable {
    /// Filled up to `DIRECT_ENTRIES`.
    codes: Vec<u16>,
    entries: usize,
    /// By entry; empty where every entry has a code.
    faults: Vec<Option<CellFault>>,
}

/// Where the codes of a batch go.
pub(crate) struct CodesOut<'a> {
    pub quantiser: &'a Quantiser,
    pub table: &'a mut CodeTable,
    pub out: &'a mut Coded,
}

impl Consumer for CodesOut<'_> {
    fn dictionary(&mut self, entries: &ArrayRef, nullable: bool) -> Result<(), ReadError> {
        let CodeTable { codes, entries: count, faults } = &mut *self.table;
        let mut faulty = Vec::new();
        codes.clear();
        self.quantiser.codes(entries, codes, &mut faulty)?;
        if nullable {
            faulty.push((codes.len() as u32, CellFault::Missing));
            codes.push(self.quantiser.not_available());
        }
        *count = codes.len();
        codes.resize(codes.len().max(DIRECT_ENTRIES), self.quantiser.not_available());
        faults.clear();
        if !faulty.is_empty() {
            faults.resize(*count, None);
            faulty.into_iter().for_each(|(entry, fault)| faults[entry as usize] = Some(fault));
        }
        Ok(())
    }

    fn indices(&mut self, indices: &[u32]) -> Result<bool, ReadError> {
        let Coded { codes, faults } = &mut *self.out;
        let (start, not_available) = (codes.len(), self.quantiser.not_available());
        let largest = indices.iter().fold(0, |largest: u32, &index| largest.max(index)) as usize;
        if largest >= self.table.entries {
            return Ok(indices.is_empty());
        }
        match self.table.codes.first_chunk::<DIRECT_ENTRIES>() {
            Some(table) if largest < DIRECT_ENTRIES => {
                codes.extend(indices.iter().map(|&index| table[usize::from(index as u16)]));
            }
            _ => codes.extend(indices.iter().map(|&index| self.table.codes[index as usize])),
        }
        let added = &codes[start..];
        // "Not available" is the largest code, so one vectorised maximum says whether any cell has none.
        if !self.table.faults.is_empty()
            && added.iter().fold(0, |largest: u16, &code| largest.max(code)) >= not_available
        {
            let entry_faults = self.table.faults.as_slice();
            let of_row =
                |(row, &index): (usize, &u32)| entry_faults[index as usize].map(|fault| ((start + row) as u32, fault));
            faults.extend(indices.iter().enumerate().filter_map(of_row));
        }
        Ok(true)
    }

    fn values(&mut self, values: &ArrayRef) -> Result<(), ReadError> {
        Ok(self.quantiser.codes(values, &mut self.out.codes, &mut self.out.faults)?)
    }
}
