//! Statistics of row groups, as the planner wants them.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;

use super::columns::{FileColumns, Place};
use super::dictionary::Dictionary;
use super::guard::guarded;
use super::history_file::HistoryFile;
use super::ids::IdKind;
use super::plan::{Bounds, RowGroup, VehicleId};
use super::time::TimeAxis;

/// The row groups of a file that have rows. Statistics that are missing or make no sense are unknown.
pub(crate) fn row_groups(
    position: usize,
    file: &HistoryFile,
    columns: &FileColumns,
    dictionary: &Dictionary,
) -> Vec<RowGroup> {
    let metadata = file.metadata.metadata();
    let count = metadata.num_row_groups();
    let histories = &dictionary.histories;
    let vehicles = ranges(file, &columns.vehicle, &histories.vehicle);
    let ticks = ranges(file, &columns.time, &histories.time);
    let all_rows = metadata.row_groups().iter().map(|row_group| u64::try_from(row_group.num_rows()).unwrap_or(0));
    let rows_of: Vec<u64> = all_rows.collect();
    (0..count)
        .filter(|&index| rows_of[index] > 0)
        .map(|index| RowGroup {
            file: position,
            index,
            rows: rows_of[index],
            vehicles: vehicles.bounds(index, rows_of[index], |low, high| vehicle_bounds(low, high, index)),
            ticks: ticks.bounds(index, rows_of[index], |low, high| tick_bounds(low, high, index, columns.axis)),
        })
        .collect()
}

/// Smallest and largest values and null counts of a column, by row group.
struct Ranges {
    low_high: Option<(ArrayRef, ArrayRef)>,
    nulls: Vec<Option<u64>>,
}

fn ranges(file: &HistoryFile, place: &Place, column: &str) -> Ranges {
    let metadata = file.metadata.metadata();
    let count = metadata.num_row_groups();
    if let Place::Partition(value) = place {
        let rows = metadata.row_groups().iter().map(|row_group| u64::try_from(row_group.num_rows()).ok());
        let nulls = if value.is_null(0) { rows.collect() } else { vec![Some(0); count] };
        let spread = place.array(&[], count).ok();
        return Ranges { low_high: spread.map(|spread| (spread.clone(), spread)), nulls };
    }
    // Statistics come from outside like everything else in a file, and a converter may give up on them.
    let read = guarded(|| {
        let schema = file.metadata.schema();
        let converter = StatisticsConverter::try_new(column, schema, file.metadata.parquet_schema()).ok()?;
        let low = converter.row_group_mins(metadata.row_groups()).ok()?;
        let high = converter.row_group_maxes(metadata.row_groups()).ok()?;
        let nulls = converter.with_missing_null_counts_as_zero(false).row_group_null_counts(metadata.row_groups());
        (low.len() == count && high.len() == count).then_some(((low, high), nulls.ok()))
    });
    let (low_high, nulls) = match read {
        Ok(Some((low_high, nulls))) => (Some(low_high), nulls),
        _ => (None, None),
    };
    let nulls = match nulls {
        Some(nulls) if nulls.len() == count => nulls.iter().collect(),
        _ => vec![None; count],
    };
    Ranges { low_high, nulls }
}

impl Ranges {
    fn bounds<T>(
        &self,
        index: usize,
        rows: u64,
        convert: impl Fn(&ArrayRef, &ArrayRef) -> Option<Bounds<T>>,
    ) -> Bounds<T> {
        if self.nulls[index] == Some(rows) {
            return Bounds::Empty;
        }
        match &self.low_high {
            Some((low, high)) if low.is_valid(index) && high.is_valid(index) => {
                convert(low, high).unwrap_or(Bounds::Unknown)
            }
            _ => Bounds::Unknown,
        }
    }
}

fn vehicle_bounds(low: &ArrayRef, high: &ArrayRef, index: usize) -> Option<Bounds<VehicleId>> {
    let id = |array: &ArrayRef| -> Option<VehicleId> {
        let one = array.slice(index, 1);
        Some(match IdKind::of(one.data_type())? {
            IdKind::Integer => VehicleId::Integer(integer(&one)?),
            IdKind::Text => {
                let text = cast(&one, &DataType::LargeUtf8).ok()?;
                VehicleId::Text(text.as_string::<i64>().value(0).as_bytes().to_vec())
            }
        })
    };
    let (low, high) = (id(low)?, id(high)?);
    (low <= high).then_some(Bounds::Within(low, high))
}

fn integer(one: &ArrayRef) -> Option<i64> {
    match one.data_type() {
        DataType::UInt64 => i64::try_from(one.as_primitive::<UInt64Type>().value(0)).ok(),
        _ => {
            let wide = cast(one, &DataType::Int64).ok()?;
            wide.is_valid(0).then(|| wide.as_primitive::<Int64Type>().value(0))
        }
    }
}

fn tick_bounds(low: &ArrayRef, high: &ArrayRef, index: usize, axis: TimeAxis) -> Option<Bounds<i32>> {
    let tick = |array: &ArrayRef| {
        let (mut ticks, mut faults) = (Vec::new(), Vec::new());
        axis.ticks_of_any_year(&array.slice(index, 1), &mut ticks, &mut faults).ok()?;
        ticks.first().copied().filter(|_| faults.is_empty())
    };
    let (low, high) = (tick(low)?, tick(high)?);
    (low <= high).then_some(Bounds::Within(low, high))
}
