//! A channel's codes: each dictionary entry is quantised once, each row looks its code up.

use arrow::array::ArrayRef;

use super::super::decode::ReadError;
use super::super::quantise::{CellCounts, CellFault, Quantiser};
use super::Consumer;
use super::runs::{Malformed, Runs};

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

/// "Not available" is the largest code, and stands behind a table's entries: one vectorised pass tells.
fn all_available(codes: &[u16], not_available: u16) -> bool {
    let last = not_available.saturating_sub(1);
    codes.iter().fold(0, |over, code| over | code.saturating_sub(last)) == 0
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
        let bits = indices.iter().fold(0, |bits, index| bits | index) as usize;
        match self.table.codes.first_chunk::<DIRECT_ENTRIES>() {
            Some(table) if bits < DIRECT_ENTRIES => {
                codes.extend(indices.iter().map(|&index| table[usize::from(index as u16)]));
            }
            _ => {
                let of_index = |&index: &u32| self.table.codes.get(index as usize).copied().unwrap_or(not_available);
                codes.extend(indices.iter().map(of_index));
            }
        }
        if all_available(&codes[start..], not_available) {
            return Ok(true);
        }
        if indices.iter().any(|&index| index as usize >= self.table.entries) {
            return Ok(false);
        }
        if !self.table.faults.is_empty() {
            let entry_faults = self.table.faults.as_slice();
            let of_row =
                |(row, &index): (usize, &u32)| entry_faults[index as usize].map(|fault| ((start + row) as u32, fault));
            faults.extend(indices.iter().enumerate().filter_map(of_row));
        }
        Ok(true)
    }

    /// A cell without a code, or an index beyond the entries, sends the rows the other way.
    fn unpack(&mut self, indices: &mut Runs, rows: usize) -> Result<bool, Malformed> {
        let Some(table) = self.table.codes.first_chunk::<DIRECT_ENTRIES>() else { return Ok(false) };
        let codes = &mut self.out.codes;
        let start = codes.len();
        codes.resize(start + rows, 0);
        indices.read_as(&mut codes[start..], |index| table[usize::from(index as u16)])?;
        let all = all_available(&codes[start..], self.quantiser.not_available());
        if !all {
            codes.truncate(start);
        }
        Ok(all)
    }

    fn values(&mut self, values: &ArrayRef) -> Result<(), ReadError> {
        Ok(self.quantiser.codes(values, &mut self.out.codes, &mut self.out.faults)?)
    }
}
