//! The histories as Parquet: by vehicle, or a file a day.
//!
//! Codes are stored as the raw integers of the data dictionary (16-bit, unsigned), "not available" as null.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, UInt16Array};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};

use super::day::{CHANNELS, Columns};
use super::error::SynthError;
use super::plan::IdKind;
use super::table::{Identity, batch, id_field};
use crate::fleet::writer::{Encoding, TableSpec};
use crate::model::channel::{Channel, Schema};

/// Folder of the histories.
pub const TABLE: &str = "histories";
/// Column of the day.
pub const DATE: &str = "date";
/// Rows of a row group: a dozen or so in a part, for as many readers at once.
const ROWS_PER_ROW_GROUP: usize = 1 << 17;
/// Measured (`datasets/README.md`): nearly as fast to read as without compression, and smaller.
const ENCODING: Encoding = Encoding::DictionaryLz4;

/// How the histories are written.
pub fn spec(kind: IdKind, schema: &Schema, sort_columns: &[&str]) -> TableSpec {
    let mut spec = TableSpec::new(TABLE, arrow_schema(kind, schema), sort_columns);
    spec.rows_per_row_group = ROWS_PER_ROW_GROUP;
    spec.encoding = ENCODING;
    spec
}

fn arrow_schema(kind: IdKind, schema: &Schema) -> SchemaRef {
    let mut fields = vec![id_field(kind, false), Field::new(DATE, DataType::Date32, false)];
    fields.extend(schema.channels.iter().map(|channel| Field::new(&channel.name, DataType::UInt16, true)));
    Arc::new(ArrowSchema::new(fields))
}

/// Rows on their way into a file.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// (vehicle, its rows), in order.
    pub runs: Vec<(Identity, u32)>,
    pub columns: Columns,
}

impl Rows {
    /// Lays the rows out and empties itself.
    pub fn take_batch(&mut self, kind: IdKind, schema: &Schema) -> Result<RecordBatch, SynthError> {
        let rows = self.columns.day.len();
        let runs = self.runs.iter().map(|(id, rows)| (id, *rows as usize));
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(CHANNELS + 2);
        columns.push(match kind {
            IdKind::Integer => Arc::new(Int64Array::from_iter_values(
                runs.flat_map(|(id, rows)| std::iter::repeat_n(i64::from(id.vehicle), rows)),
            )),
            IdKind::Vin => {
                let mut text = Vec::with_capacity(rows * 17);
                for (id, rows) in runs {
                    for _ in 0..rows {
                        text.extend_from_slice(&id.vin);
                    }
                }
                let lengths = OffsetBuffer::from_repeated_length(17, rows);
                let text = StringArray::try_new(lengths, text.into(), None)
                    .map_err(|source| SynthError::Table { table: TABLE, source })?;
                Arc::new(text)
            }
        });
        columns.push(Arc::new(Date32Array::from(std::mem::take(&mut self.columns.day))));
        for (channel, codes) in schema.channels.iter().zip(&mut self.columns.codes) {
            columns.push(Arc::new(raw_codes(channel, std::mem::take(codes))));
        }
        self.runs.clear();
        self.columns.odometer_steps.clear();
        batch(TABLE, arrow_schema(kind, schema), columns)
    }
}

/// Codes of the declared range as the raw integers of the dictionary, "not available" as null.
fn raw_codes(channel: &Channel, mut codes: Vec<u16>) -> UInt16Array {
    let not_available = channel.not_available();
    let mut missing = 0;
    for &code in &codes {
        missing += usize::from(code == not_available);
    }
    let nulls = (missing > 0)
        .then(|| NullBuffer::new(BooleanBuffer::collect_bool(codes.len(), |row| codes[row] != not_available)));
    // The raw code of the range's lower end; the standard channels' all fit 16 bits.
    let first = channel.first as u16;
    if first != 0 {
        codes.iter_mut().for_each(|code| *code += first);
    }
    UInt16Array::new(ScalarBuffer::from(codes), nulls)
}

/// `histories/2024-03-01.parquet`.
pub fn day_path(day: i32) -> String {
    format!("{TABLE}/{}.parquet", chrono::NaiveDate::from_epoch_days(day).unwrap_or_default())
}
