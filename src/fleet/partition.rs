//! Columns that a file does not hold but its folder names: `date=2024-01-01/zone=3/part-0.parquet`.
//!
//! A partition value is text; what it means follows from what the dictionary uses the column for, never from a guess
//! over all values. A number is always a value in the channel's unit, unless the channel is declared as codes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Date32Array, Float64Array, Int64Array, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};

use super::error::FleetError;
use super::files::SourceFile;
use super::ids::IdKind;
use super::time::TimeAxis;

/// What a column is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionUse {
    Channel,
    Id(IdKind),
    Time(TimeAxis),
    Text,
}

impl PartitionUse {
    /// The type that a partition column of this use has.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Channel => DataType::Float64,
            Self::Id(IdKind::Integer) | Self::Time(TimeAxis::Integer) => DataType::Int64,
            Self::Id(IdKind::Text) | Self::Text => DataType::Utf8,
            Self::Time(TimeAxis::Days) => DataType::Date32,
            Self::Time(TimeAxis::SecondsSince2000) => DataType::Timestamp(TimeUnit::Second, None),
        }
    }

    fn accepted(self) -> &'static str {
        match self {
            Self::Channel => "a number",
            Self::Id(IdKind::Integer) => "a whole number, as the other vehicle ids are",
            Self::Time(TimeAxis::Integer) => "a whole number, as the other times are",
            Self::Time(_) => "a date such as 2024-01-31",
            Self::Id(IdKind::Text) | Self::Text => "text",
        }
    }
}

/// The axis that a partition value as time column asks for: dates, or else integers.
pub fn time_axis(value: &str) -> Option<TimeAxis> {
    if date(value).is_some() { Some(TimeAxis::Days) } else { value.parse::<i64>().is_ok().then_some(TimeAxis::Integer) }
}

/// The kind of id that a partition value as vehicle column is.
pub fn id_kind(value: &str) -> IdKind {
    if value.parse::<i64>().is_ok() { IdKind::Integer } else { IdKind::Text }
}

/// The partition column of a file as an array of one value; `None` if its path does not name the column.
pub fn scalar(file: &SourceFile, column: &str, used_as: PartitionUse) -> Result<Option<ArrayRef>, FleetError> {
    let Some(value) = file.partition(column) else { return Ok(None) };
    let data_type = used_as.data_type();
    let Some(text) = value else { return Ok(Some(new_null_array(&data_type, 1))) };
    let array: Option<ArrayRef> = match used_as {
        PartitionUse::Channel => text.parse().ok().map(|value: f64| Arc::new(Float64Array::from(vec![value])) as _),
        PartitionUse::Id(IdKind::Integer) | PartitionUse::Time(TimeAxis::Integer) => {
            text.parse().ok().map(|value: i64| Arc::new(Int64Array::from(vec![value])) as _)
        }
        PartitionUse::Id(IdKind::Text) | PartitionUse::Text => Some(Arc::new(StringArray::from(vec![text.as_str()]))),
        PartitionUse::Time(_) => date(text).and_then(|day| cast(&Date32Array::from(vec![day]), &data_type).ok()),
    };
    array.map(Some).ok_or_else(|| FleetError::PartitionValue {
        file: file.path.clone(),
        column: column.to_string(),
        got: text.clone(),
        accepted: used_as.accepted(),
    })
}

/// The partition column of a file, the same value `rows` times.
pub fn column(
    file: &SourceFile,
    column: &str,
    used_as: PartitionUse,
    rows: usize,
) -> Result<Option<ArrayRef>, FleetError> {
    let Some(one) = scalar(file, column, used_as)? else { return Ok(None) };
    let indices = arrow::array::UInt64Array::from(vec![0_u64; rows]);
    arrow::compute::take(&one, &indices, None)
        .map(Some)
        .map_err(|error| FleetError::Internal { what: format!("{}: {error}", one.data_type()) })
}

/// Days since 1970-01-01 of an ISO date.
fn date(text: &str) -> Option<i32> {
    let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    i32::try_from(date.signed_duration_since(chrono::NaiveDate::default()).num_days()).ok()
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{Date32Type, Int64Type, TimestampSecondType};

    use super::*;

    fn file() -> SourceFile {
        SourceFile::new("h/date=2024-02-29/k=17/bad=x/none=__HIVE_DEFAULT_PARTITION__/f.parquet")
    }

    #[test]
    fn a_value_is_typed_by_its_use() {
        let one = |name: &str, used_as| scalar(&file(), name, used_as).unwrap().unwrap();
        assert_eq!(one("date", PartitionUse::Time(TimeAxis::Days)).as_primitive::<Date32Type>().value(0), 19_782);
        let midnight = one("date", PartitionUse::Time(TimeAxis::SecondsSince2000));
        assert_eq!(midnight.as_primitive::<TimestampSecondType>().value(0), 19_782 * 86_400);
        assert_eq!(one("k", PartitionUse::Time(TimeAxis::Integer)).as_primitive::<Int64Type>().value(0), 17);
        assert_eq!(one("k", PartitionUse::Id(IdKind::Text)).as_string::<i32>().value(0), "17");
        assert!(one("none", PartitionUse::Channel).is_null(0));
        assert_eq!(column(&file(), "k", PartitionUse::Channel, 5).unwrap().unwrap().len(), 5);
        assert_eq!(scalar(&file(), "absent", PartitionUse::Text).unwrap().map(|_| ()), None);
        assert_eq!((time_axis("2024-02-30"), time_axis("202402")), (None, Some(TimeAxis::Integer)));
    }

    #[test]
    fn a_value_that_cannot_be_meant_is_an_error() {
        for used_as in [PartitionUse::Channel, PartitionUse::Time(TimeAxis::Days), PartitionUse::Id(IdKind::Integer)] {
            let error = scalar(&file(), "bad", used_as).unwrap_err().to_string();
            assert!(error.contains("partition value \"x\" of \"bad\" is not"), "{error}");
        }
    }
}
