//! Packed records on their way from the reader to a consumer.

/// Rows of some vehicles, column by column. All columns have the same length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chunk {
    /// Dense vehicle index ([`super::vehicles::Vehicles`]). Rows of one vehicle stand together.
    pub vehicle: Vec<u32>,
    /// Time of the record on the dataset's axis ([`super::time::TimeAxis`]).
    pub tick: Vec<i32>,
    /// Codes, one column a requested channel, in the order of the request.
    pub codes: Vec<Vec<u16>>,
}

impl Chunk {
    pub fn len(&self) -> usize {
        self.vehicle.len()
    }

    pub fn is_empty(&self) -> bool {
        self.vehicle.is_empty()
    }
}

/// In which order a consumer wants its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Clocks commute: any order, several threads at once.
    Any,
    /// Every vehicle's records in rising time; all chunks of a vehicle go through the same lane, in order.
    TimeOrderedPerVehicle,
    /// As above, and all of a vehicle's records come before the next vehicle's of that lane: in one chunk, or, where
    /// they are too many for one, in chunks that follow each other. Files by time are read by spilling.
    WholeVehicles,
}

/// End of the run of equal values that begins at `from`.
pub(crate) fn run_end(values: &[u32], from: usize) -> usize {
    const BLOCK: usize = 16;
    let value = values[from];
    let mut end = from + 1;
    while let Some(block) = values.get(end..end + BLOCK) {
        if block.iter().fold(0, |difference, &other| difference | (other ^ value)) != 0 {
            break;
        }
        end += BLOCK;
    }
    while values.get(end) == Some(&value) {
        end += 1;
    }
    end
}
