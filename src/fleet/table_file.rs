//! Small tables (vehicles, events, side tables), read whole from Parquet: the named columns of every file, wherever
//! they stand: in the file or in its path.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Float64Type, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::dictionary::Files;
use super::error::FleetError;
use super::files::{SourceFile, resolve};
use super::guard::guarded;
use super::input_hash::InputHashes;
use super::partition::{PartitionUse, column as partition_column};
use super::quantise::{converted, plain};
use super::scan::InputFile;
use super::stamp::Stamp;
use super::time::TimeAxis;
use crate::run::Control;

const BATCH_ROWS: usize = 8192;

/// A column that a table must have, and what for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub column: &'a str,
    pub used_as: PartitionUse,
}

/// Hands the wanted columns of every file to `take`, batch by batch, files in path order; says what was read.
pub(super) fn read(
    files: &Files,
    wanted: &[Wanted],
    control: &Control,
    mut take: impl FnMut(&Path, &[ArrayRef]) -> Result<(), FleetError>,
) -> Result<Vec<InputFile>, FleetError> {
    resolve(files)?.iter().map(|file| read_file(file, wanted, control, &mut take)).collect()
}

fn read_file(
    file: &SourceFile,
    wanted: &[Wanted],
    control: &Control,
    take: &mut impl FnMut(&Path, &[ArrayRef]) -> Result<(), FleetError>,
) -> Result<InputFile, FleetError> {
    let path = &file.path;
    let stamp = Stamp::of(path)?;
    let opened = File::open(path).map_err(|source| FleetError::io(path, source))?;
    let builder = decoded(path, || ParquetRecordBatchReaderBuilder::try_new(opened))?;
    let schema = builder.schema().clone();
    let claimed_rows = builder.metadata().file_metadata().num_rows();
    let mut rows = 0;
    let mut roots = Vec::new();
    for want in wanted {
        match schema.column_with_name(want.column) {
            Some((root, _)) => roots.push(root),
            None if file.partition(want.column).is_some() => {}
            None => return Err(missing(file, want.column, &schema)),
        }
    }
    // Columns come in the file's order; only partition columns are wanted where none is left.
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots.iter().copied());
    let mut batches = decoded(path, || builder.with_projection(mask).with_batch_size(BATCH_ROWS).build())?;
    while let Some(batch) = decoded(path, || batches.next().transpose())? {
        control.check()?;
        rows += batch.num_rows() as i64;
        let columns: Vec<ArrayRef> = wanted
            .iter()
            .map(|want| match batch.column_by_name(want.column) {
                Some(column) => Ok(column.clone()),
                None => partition_column(file, want.column, want.used_as, batch.num_rows())?
                    .ok_or_else(|| missing(file, want.column, &schema)),
            })
            .collect::<Result<_, _>>()?;
        take(path, &columns)?;
    }
    // A column that ends early ends the batches without an error.
    if rows != claimed_rows {
        return Err(FleetError::unreadable(path, format!("it claims {claimed_rows} rows and holds {rows}")));
    }
    let hashes = InputHashes::new(true);
    hashes.hash(path, control)?;
    // Checked last, so that what was hashed is what was read.
    if !Stamp::of(path)?.is_as_written(&stamp) {
        return Err(FleetError::Changed { file: path.clone() });
    }
    Ok(InputFile { path: path.clone(), stamp, rows: rows.unsigned_abs(), blake3: hashes.of(path) })
}

fn missing(file: &SourceFile, column: &str, schema: &Schema) -> FleetError {
    let partitions = file.partitions.iter().map(|(key, _)| key.as_str());
    let columns = schema.fields().iter().map(|field| field.name().as_str());
    FleetError::missing_column(&file.path, column, columns.chain(partitions))
}

/// Runs a step of decoding; an error or a panic inside the decoder says that the file is malformed.
pub(super) fn decoded<T, E: std::fmt::Display>(
    path: &Path,
    step: impl FnOnce() -> Result<T, E>,
) -> Result<T, FleetError> {
    match guarded(step) {
        Ok(result) => result.map_err(|error| FleetError::unreadable(path, error)),
        Err(panic) => Err(FleetError::unreadable(path, panic)),
    }
}

/// A column as text: text itself, integers, booleans, dates and numbers as they are usually written.
pub(super) fn texts(array: &ArrayRef, file: &Path, column: &str) -> Result<StringArray, FleetError> {
    let wrong = || FleetError::WrongType {
        file: file.to_path_buf(),
        column: column.to_string(),
        got: array.data_type().to_string(),
        accepted: "a text, integer, boolean, date or number column (plain or dictionary-encoded)",
    };
    let values = if array.as_any_dictionary_opt().is_some() { plain(array)? } else { array.clone() };
    if values.data_type().is_nested() || matches!(values.data_type(), DataType::Interval(_) | DataType::Duration(_)) {
        return Err(wrong());
    }
    let texts = converted(&values, &DataType::Utf8).map_err(|_| wrong())?;
    texts.as_any().downcast_ref::<StringArray>().cloned().ok_or_else(wrong)
}

/// A column of days of the dataset's axis; `None` where missing or out of range.
pub(super) fn days(
    array: &ArrayRef,
    axis: TimeAxis,
    file: &Path,
    column: &str,
) -> Result<Vec<Option<i32>>, FleetError> {
    if !axis.takes_days_of(array.data_type()) {
        return Err(FleetError::WrongType {
            file: file.to_path_buf(),
            column: column.to_string(),
            got: array.data_type().to_string(),
            accepted: match axis {
                TimeAxis::Integer => "an integer column, since the histories' time is one,",
                _ => "a date, a timestamp or ISO text, since the histories' time is one,",
            },
        });
    }
    axis.days(array)
}

/// A column of numbers; `None` where missing or not finite.
pub(super) fn numbers(array: &ArrayRef, file: &Path, column: &str) -> Result<Vec<Option<f64>>, FleetError> {
    let values = if array.as_any_dictionary_opt().is_some() { plain(array)? } else { array.clone() };
    if !(values.data_type().is_numeric() || values.data_type() == &DataType::Null) {
        return Err(FleetError::WrongType {
            file: file.to_path_buf(),
            column: column.to_string(),
            got: array.data_type().to_string(),
            accepted: "a number column",
        });
    }
    let numbers = converted(&values, &DataType::Float64)?;
    let numbers = numbers.as_primitive::<Float64Type>();
    Ok(numbers.iter().map(|number| number.filter(|number| number.is_finite())).collect())
}

/// Names as small numbers, in order of appearance until [`Names::sorted`].
#[derive(Debug, Default)]
pub(super) struct Names {
    codes: std::collections::HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    pub fn code(&mut self, name: &str) -> u32 {
        if let Some(&code) = self.codes.get(name) {
            return code;
        }
        let code = self.names.len() as u32;
        self.codes.insert(name.to_string(), code);
        self.names.push(name.to_string());
        code
    }

    pub fn find(&self, name: &str) -> Option<u32> {
        self.codes.get(name).copied()
    }

    pub fn name(&self, code: u32) -> Option<&str> {
        self.names.get(code as usize).map(String::as_str)
    }

    /// The names that `used` holds, sorted, and for each code so far its place among them: what files came first must
    /// not show.
    pub fn sorted(self, used: impl IntoIterator<Item = u32>) -> (Vec<String>, Vec<u32>) {
        let mut is_used = vec![false; self.names.len()];
        for code in used {
            if let Some(flag) = is_used.get_mut(code as usize) {
                *flag = true;
            }
        }
        let mut order: Vec<usize> = (0..self.names.len()).filter(|&code| is_used[code]).collect();
        order.sort_by(|&a, &b| self.names[a].cmp(&self.names[b]));
        let mut place = vec![u32::MAX; self.names.len()];
        for (at, &code) in order.iter().enumerate() {
            place[code] = at as u32;
        }
        (order.into_iter().map(|code| self.names[code].clone()).collect(), place)
    }
}
