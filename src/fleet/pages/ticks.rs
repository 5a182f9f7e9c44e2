//! The time column's ticks: each dictionary entry is converted once.

use arrow::array::ArrayRef;

use super::super::decode::ReadError;
use super::super::time::{TickFault, TimeAxis};
use super::Consumer;

/// The ticks of a dictionary's entries.
#[derive(Default)]
pub(crate) struct TickTable {
    ticks: Vec<i32>,
    /// By entry; empty where every entry has a tick.
    faults: Vec<Option<TickFault>>,
}

/// Where the ticks of a batch go; faults rise by row.
pub(crate) struct TicksOut<'a> {
    pub axis: TimeAxis,
    pub table: &'a mut TickTable,
    pub ticks: &'a mut Vec<i32>,
    pub faults: &'a mut Vec<(usize, TickFault)>,
}

impl Consumer for TicksOut<'_> {
    fn dictionary(&mut self, entries: &ArrayRef, nullable: bool) -> Result<(), ReadError> {
        let TickTable { ticks, faults } = &mut *self.table;
        let mut faulty = Vec::new();
        ticks.clear();
        self.axis.ticks(entries, ticks, &mut faulty)?;
        if nullable {
            faulty.push((ticks.len(), TickFault::Null));
            ticks.push(0);
        }
        faults.clear();
        if !faulty.is_empty() {
            faults.resize(ticks.len(), None);
            faulty.into_iter().for_each(|(entry, fault)| faults[entry] = Some(fault));
        }
        Ok(())
    }

    fn indices(&mut self, indices: &[u32]) -> Result<bool, ReadError> {
        let TickTable { ticks, faults } = &*self.table;
        let start = self.ticks.len();
        let mut all_inside = true;
        self.ticks.extend(indices.iter().map(|&index| match ticks.get(index as usize) {
            Some(&tick) => tick,
            None => {
                all_inside = false;
                0
            }
        }));
        if !faults.is_empty() && all_inside {
            let of_row = |(row, &index): (usize, &u32)| faults[index as usize].map(|fault| (start + row, fault));
            self.faults.extend(indices.iter().enumerate().filter_map(of_row));
        }
        Ok(all_inside)
    }

    fn values(&mut self, values: &ArrayRef) -> Result<(), ReadError> {
        let (start, first_fault) = (self.ticks.len(), self.faults.len());
        self.axis.ticks(values, self.ticks, self.faults)?;
        self.faults[first_fault..].iter_mut().for_each(|(row, _)| *row += start);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    #[test]
    fn null_has_an_index_of_its_own_and_no_index_lies_beyond() {
        let (mut table, mut ticks, mut faults) = (TickTable::default(), vec![9], Vec::new());
        let axis = TimeAxis::Integer;
        let mut out = TicksOut { axis, table: &mut table, ticks: &mut ticks, faults: &mut faults };
        let entries: ArrayRef = Arc::new(Int64Array::from(vec![5, i64::MAX]));
        assert!(out.dictionary(&entries, true).is_ok());
        assert!(matches!(out.indices(&[0, 2, 1, 0]), Ok(true)));
        assert!(matches!(out.indices(&[3]), Ok(false)));
        assert!(out.dictionary(&entries, false).is_ok());
        assert!(matches!(out.indices(&[2]), Ok(false)));
        assert_eq!(ticks[..5], [9, 5, 0, 0, 5]);
        assert_eq!(faults, [(2, TickFault::Null), (3, TickFault::OutOfRange)]);
    }
}
