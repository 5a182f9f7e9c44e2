//! The most worn parts of a finished scoring run, read back from its Parquet files.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::console::Console;
use super::table::Table;
use super::words::Word;

#[derive(Debug, thiserror::Error)]
pub enum WorstError {
    #[error("cannot read {path:?}")]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot read {path:?} as Parquet")]
    Parquet { path: PathBuf, source: ParquetError },
}

/// One row of the scores, as far as the table shows it.
struct Part {
    damage: f64,
    cells: Vec<String>,
}

/// The `most` parts with the largest damage, as lines. Equal ones stand in the order of the scores.
pub fn text(scores: &Path, most: usize, console: &Console) -> Result<String, WorstError> {
    let folder = scores.join("scores");
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| WorstError::Io { path, source }
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&folder).map_err(io(&folder))? {
        files.push(entry.map_err(io(&folder))?.path());
    }
    files.sort();
    let mut worst: Vec<Part> = Vec::new();
    for path in &files {
        let parquet = |source| WorstError::Parquet { path: path.clone(), source };
        let reader = File::open(path).map_err(io(path))?;
        for batch in
            ParquetRecordBatchReaderBuilder::try_new(reader).and_then(|builder| builder.build()).map_err(parquet)?
        {
            keep_worst(&mut worst, &batch.map_err(|error| parquet(error.into()))?, most)
                .map_err(|error| parquet(error.into()))?;
        }
    }
    let headings = [Word::Vehicle, Word::FailureMode, Word::Position, Word::Damage, Word::RelativeRate, Word::Driver];
    let mut table = Table::new(&headings.map(|word| console.word(word)));
    for part in worst {
        table.row(part.cells);
    }
    Ok(table.text())
}

fn keep_worst(worst: &mut Vec<Part>, batch: &RecordBatch, most: usize) -> Result<(), arrow::error::ArrowError> {
    let column = |name: &str| {
        batch.column_by_name(name).ok_or_else(|| arrow::error::ArrowError::SchemaError(format!("no column {name:?}")))
    };
    let damage = column("damage")?.as_primitive::<Float64Type>();
    let options = FormatOptions::default();
    // The vehicle's column comes first, under its own name.
    let texts = [batch.column(0), column("failure_mode")?, column("position")?, column("driver_1")?]
        .map(|array| ArrayFormatter::try_new(array, &options));
    let [vehicle, mode, position, driver] = texts;
    let (vehicle, mode, position, driver) = (vehicle?, mode?, position?, driver?);
    let number = |name: &str, row: usize| -> Result<Option<f64>, arrow::error::ArrowError> {
        let array = column(name)?.as_primitive::<Float64Type>();
        Ok(array.is_valid(row).then(|| array.value(row)))
    };
    for row in 0..batch.num_rows() {
        let wear = damage.value(row);
        if damage.is_null(row) || (worst.len() == most && worst.last().is_some_and(|last| last.damage >= wear)) {
            continue;
        }
        let rate = number("relative_rate", row)?.map(|rate| format!("{rate:.2} ×")).unwrap_or_default();
        let driver = match number("driver_1_ratio", row)? {
            Some(ratio) => format!("{} × {ratio:.2}", driver.value(row)),
            None => String::new(),
        };
        let cells = vec![
            vehicle.value(row).to_string(),
            mode.value(row).to_string(),
            position.value(row).to_string(),
            format!("{wear:.3}"),
            rate,
            driver,
        ];
        let at = worst.partition_point(|part| part.damage >= wear);
        worst.insert(at, Part { damage: wear, cells });
        worst.truncate(most);
    }
    Ok(())
}
