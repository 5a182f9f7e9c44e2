//! The vehicle column's dense indices: each dictionary entry is looked up when a row first uses it. Entries that no
//! row uses must not become vehicles.

use arrow::array::{Array, ArrayRef, NullArray, UInt32Array};
use arrow::compute::take;

use super::super::chunk::run_end;
use super::super::decode::ReadError;
use super::super::error::FleetError;
use super::super::ids::{IdReader, NO_VEHICLE};
use super::Consumer;

/// The indices of a dictionary's entries, as far as they were used.
pub(crate) struct VehicleTable {
    entries: ArrayRef,
    /// By entry; the last one stands for null.
    index: Vec<Option<u32>>,
    used: Vec<u32>,
    found: Vec<u32>,
}

impl VehicleTable {
    pub fn new() -> Self {
        Self { entries: std::sync::Arc::new(NullArray::new(0)), index: Vec::new(), used: Vec::new(), found: Vec::new() }
    }
}

/// Where the indices of a batch go.
pub(crate) struct VehiclesOut<'a, 't> {
    pub ids: &'a mut IdReader<'t>,
    pub table: &'a mut VehicleTable,
    pub out: &'a mut Vec<u32>,
}

impl Consumer for VehiclesOut<'_, '_> {
    fn dictionary(&mut self, entries: &ArrayRef, nullable: bool) -> Result<(), ReadError> {
        self.table.entries = entries.clone();
        self.table.index.clear();
        self.table.index.resize(entries.len(), None);
        if nullable {
            self.table.index.push(Some(NO_VEHICLE));
        }
        Ok(())
    }

    fn indices(&mut self, indices: &[u32]) -> Result<bool, ReadError> {
        let VehicleTable { entries, index, used, found } = &mut *self.table;
        used.clear();
        let mut from = 0;
        while from < indices.len() {
            match index.get_mut(indices[from] as usize) {
                None => return Ok(false),
                Some(known) if known.is_none() => {
                    // Filled in below.
                    *known = Some(NO_VEHICLE);
                    used.push(indices[from]);
                }
                Some(_) => {}
            }
            from = run_end(indices, from);
        }
        if !used.is_empty() {
            let ids = take(entries, &UInt32Array::from(used.clone()), None)
                .map_err(|error| FleetError::Internal { what: error.to_string() })?;
            found.clear();
            self.ids.index(&ids, found)?;
            for (&entry, &found) in used.iter().zip(found.iter()) {
                index[entry as usize] = Some(found);
            }
        }
        let mut from = 0;
        while from < indices.len() {
            let to = run_end(indices, from);
            let vehicle = index[indices[from] as usize].unwrap_or(NO_VEHICLE);
            self.out.resize(self.out.len() + (to - from), vehicle);
            from = to;
        }
        Ok(true)
    }

    fn values(&mut self, values: &ArrayRef) -> Result<(), ReadError> {
        Ok(self.ids.index(values, self.out)?)
    }
}
