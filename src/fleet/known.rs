//! What of a dataset counts: everything, or what was known on a day; of all vehicles, or of a share of them.
//!
//! Key idea: rows that do not count are dropped before anything is made of them: before ids get numbers, before repeated
//! rows are settled, before names are gathered. So a dataset as it was known on a day is the dataset of files that end
//! there, to the byte, and no consumer can look ahead by mistake. Of the histories a scan's own as-of day does the same.
//!
//! Known on a day are:
//!
//! - vehicles that were in service: sold by then, or built where no sale is on record, or without either date;
//! - the end of service if it had come. A later one may have been announced or not; nothing tells, so it is not known;
//! - events that had occurred and been reported. What else stands in their rows (finding, cost) is taken to have been
//!   known then too;
//! - rows of side tables by their own time: no record up to a day asks for a later one. A side table without time, and
//!   attributes of vehicles, are taken to have been what they are.
//!
//! Units: days of the dataset's axis.

use std::path::Path;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::filter;
use arrow::error::ArrowError;

use super::error::FleetError;
use super::shard::in_shard;

/// What counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// `None`: whatever the files say.
    pub on_day: Option<i32>,
    pub vehicles: Share,
}

/// Which vehicles count, by a hash of their ids ([`super::shard`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Share {
    #[default]
    All,
    /// One shard of so many.
    Shard(u32, u32),
    /// All but one shard of so many.
    AllBut(u32, u32),
}

impl Known {
    pub fn on(day: i32) -> Self {
        Self { on_day: Some(day), vehicles: Share::All }
    }

    /// The rows of a batch that count; `None`: all. `ids` is the column of vehicles, `known_day` of a row the day from
    /// which it is known, if it has one.
    pub(super) fn rows(
        &self,
        ids: &ArrayRef,
        known_day: &dyn Fn(usize) -> Option<i32>,
    ) -> Result<Option<BooleanArray>, FleetError> {
        if *self == Self::default() {
            return Ok(None);
        }
        let own = match self.vehicles {
            Share::All => vec![true; ids.len()],
            Share::Shard(shard, shards) => in_shard(ids.as_ref(), (shard, shards)).map_err(internal)?,
            Share::AllBut(shard, shards) => {
                // Rows without an id belong to all shards, and so they stay.
                let one = in_shard(ids.as_ref(), (shard, shards)).map_err(internal)?;
                one.iter().enumerate().map(|(row, own)| !own || ids.is_null(row)).collect()
            }
        };
        let is_known = |row: usize| match (self.on_day, known_day(row)) {
            (Some(day), Some(known)) => known <= day,
            _ => true,
        };
        Ok(Some(own.iter().enumerate().map(|(row, own)| Some(*own && is_known(row))).collect()))
    }

    /// A day that is known: `None` where it is yet to come.
    pub(super) fn day(&self, day: Option<i32>) -> Option<i32> {
        day.filter(|&day| self.on_day.is_none_or(|last| day <= last))
    }
}

/// The rows of a batch that count.
pub(super) fn kept(columns: &[ArrayRef], rows: Option<&BooleanArray>) -> Result<Vec<ArrayRef>, FleetError> {
    match rows {
        None => Ok(columns.to_vec()),
        Some(rows) => columns.iter().map(|column| filter(column, rows).map_err(internal)).collect(),
    }
}

fn internal(error: ArrowError) -> FleetError {
    FleetError::Internal { what: error.to_string() }
}

/// A column's days for deciding what is known: a column of another type is refused where it is read for good.
pub(super) fn days_or_none(
    column: Option<(&String, &ArrayRef)>,
    axis: super::time::TimeAxis,
    file: &Path,
) -> Result<Option<Vec<Option<i32>>>, FleetError> {
    column.map(|(name, array)| super::table_file::days(array, axis, file, name)).transpose()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, Int64Array};

    use super::*;

    #[test]
    fn days_and_shares_decide_and_what_has_neither_stays() {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(4)]));
        let days = [Some(10), Some(11), None, Some(9)];
        let rows = |known: Known| -> Vec<bool> {
            let rows = known.rows(&ids, &|row| days[row]).unwrap().unwrap();
            rows.iter().map(Option::unwrap).collect()
        };
        assert_eq!(rows(Known::on(10)), [true, false, true, true]);
        assert!(Known::default().rows(&ids, &|_| Some(i32::MAX)).unwrap().is_none());
        let one = rows(Known { on_day: None, vehicles: Share::Shard(0, 2) });
        let other = rows(Known { on_day: None, vehicles: Share::AllBut(0, 2) });
        for row in [0, 1, 3] {
            assert_ne!(one[row], other[row]);
        }
        assert!(one[2] && other[2], "a row without a vehicle is nobody's");
        assert_eq!((Known::on(10).day(Some(10)), Known::on(10).day(Some(11))), (Some(10), None));
        let kept = kept(std::slice::from_ref(&ids), Some(&BooleanArray::from(vec![true, false, false, true]))).unwrap();
        assert_eq!(kept[0].len(), 2);
    }
}
