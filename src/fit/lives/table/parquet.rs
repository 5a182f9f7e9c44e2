//! Parquet tables: the wanted columns, each as numbers or as text.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Cell, Content, Rows, Source};
use crate::fit::lives::error::LivesError;
use crate::fleet::guard::guarded;

/// Rows beyond this are no table that a person keeps: their cells would fill the memory.
const MOST_ROWS: i64 = 50_000_000;

/// The header and the file's bytes.
pub(super) fn open(path: &Path, bytes: Vec<u8>) -> Result<(Vec<String>, Content), LivesError> {
    let unreadable = |problem: String| LivesError::Unreadable { file: path.to_path_buf(), problem };
    let bytes = bytes::Bytes::from(bytes);
    let builder = guarded(|| ParquetRecordBatchReaderBuilder::try_new(bytes.clone()))
        .map_err(unreadable)?
        .map_err(|error| unreadable(error.to_string()))?;
    let rows = builder.metadata().file_metadata().num_rows();
    if rows > MOST_ROWS {
        return Err(unreadable(format!("it has {rows} rows; a table of lives may have {MOST_ROWS}")));
    }
    let columns = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    Ok((columns, Content::Parquet(bytes)))
}

pub(super) fn cells(source: &Source, bytes: &bytes::Bytes, wanted: &[usize]) -> Result<Rows, LivesError> {
    guarded(|| read(source, bytes, wanted)).map_err(|problem| source.unreadable(problem))?
}

fn read(source: &Source, bytes: &bytes::Bytes, wanted: &[usize]) -> Result<Rows, LivesError> {
    let unreadable = |problem: String| source.unreadable(problem);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).map_err(|error| unreadable(error.to_string()))?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.iter().copied());
    let batches = builder.with_projection(mask).build().map_err(|error| unreadable(error.to_string()))?;
    let mut rows = Rows::new(wanted.len());
    for batch in batches {
        let batch = batch.map_err(|error| unreadable(error.to_string()))?;
        // Projected columns keep the file's order.
        let mut order: Vec<usize> = wanted.to_vec();
        order.sort_unstable();
        order.dedup();
        for (cells, at) in rows.cells.iter_mut().zip(wanted) {
            let place = order.iter().position(|column| column == at).unwrap_or(0);
            append(batch.column(place), cells).map_err(|problem| {
                unreadable(format!("column {:?}: {problem}", source.columns.get(*at).cloned().unwrap_or_default()))
            })?;
        }
        let first = rows.numbers.len() as u64 + 1;
        rows.numbers.extend(first..first + batch.num_rows() as u64);
    }
    Ok(rows)
}

fn append(array: &ArrayRef, cells: &mut Vec<Cell>) -> Result<(), String> {
    let data_type = match array.data_type() {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        data_type => data_type.clone(),
    };
    if data_type.is_nested() {
        return Err(format!("type {data_type} is neither a number nor a text"));
    }
    if data_type.is_numeric() || data_type == DataType::Boolean {
        let numbers = cast(array, &DataType::Float64).map_err(|error| error.to_string())?;
        let numbers = numbers.as_primitive::<Float64Type>();
        let cell = |number: f64| if number.is_finite() { Cell::Number(number) } else { Cell::Empty };
        cells.extend(numbers.iter().map(|number| number.map_or(Cell::Empty, cell)));
    } else {
        let texts = cast(array, &DataType::Utf8).map_err(|error| error.to_string())?;
        cells.extend(texts.as_string::<i32>().iter().map(|text| text.map_or(Cell::Empty, Cell::of_text)));
    }
    Ok(())
}
