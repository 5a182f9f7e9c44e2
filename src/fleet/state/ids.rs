//! Vehicle ids as arrays on disk, by ordinal: a vehicle's number in a state, which never changes.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, LargeStringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Int64Type;

use super::arrays::{self, Arrays};
use super::error::StateError;
use crate::fleet::writer::OutputFolder;

/// Writes ids, Int64 or LargeUtf8 without nulls.
pub fn write(folder: &OutputFolder, ids: &ArrayRef) -> Result<(), StateError> {
    match ids.as_primitive_opt::<Int64Type>() {
        Some(ids) => arrays::write(folder, "id", ids.values()),
        None => {
            let ids = ids.as_string::<i64>();
            arrays::write(folder, "id_end", ids.offsets().inner())?;
            arrays::write(folder, "id_bytes", ids.value_data())
        }
    }
}

/// Reads this many ids of the generation in `folder`.
pub fn read(arrays: &Arrays, folder: &Path, text: bool, vehicles: usize) -> Result<ArrayRef, StateError> {
    if !text {
        return Ok(Arc::new(Int64Array::from(arrays.read::<i64>("id", vehicles)?)));
    }
    let ends: Vec<i64> = arrays.read("id_end", vehicles + 1)?;
    let bytes: Vec<u8> = arrays.read("id_bytes", ends.last().map_or(0, |&end| end.max(0) as usize))?;
    if ends.first() != Some(&0) || ends.windows(2).any(|pair| pair[0] > pair[1]) {
        return Err(StateError::damaged(folder, "its ids do not fit together"));
    }
    let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
    let ids = LargeStringArray::try_new(ends, Buffer::from_vec(bytes), None);
    Ok(Arc::new(ids.map_err(|error| StateError::damaged(folder, error))?))
}

/// The state's number of each of tonight's vehicle indices.
#[derive(Clone, Debug)]
pub struct Ordinals {
    /// Of the vehicles that were known before the scan.
    pub of_index: Vec<u32>,
    /// Of the first vehicle that only the scan knows.
    pub next: u32,
}

impl Ordinals {
    #[inline]
    pub fn of(&self, index: u32) -> u32 {
        match self.of_index.get(index as usize) {
            Some(&ordinal) => ordinal,
            None => self.next + (index - self.of_index.len() as u32),
        }
    }
}
