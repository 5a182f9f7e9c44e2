//! A result table of a simulation: its columns while rows are added, and how it is written and hashed.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::Ids;
use crate::fleet::writer::{ContentHasher, OutputFolder, TableSpec, WriteError};

/// Columns in order, with their values for one stretch of rows.
pub struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    pub fn new() -> Self {
        Self { fields: Vec::new(), arrays: Vec::new() }
    }

    /// Adds a column, null or not by its name's meaning.
    pub fn add(&mut self, name: &str, nullable: bool, array: impl Into<ArrayRef>) {
        let array = array.into();
        self.fields.push(Field::new(name, array.data_type().clone(), nullable));
        self.arrays.push(array);
    }

    pub fn batch(self) -> Result<RecordBatch, WriteError> {
        let schema: SchemaRef = Arc::new(Schema::new(self.fields));
        let got = format!("{:?}", schema.fields());
        RecordBatch::try_new(schema, self.arrays)
            .map_err(|error| WriteError::OtherSchema { got, expected: error.to_string() })
    }
}

impl Default for Columns {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes batches of one table in order, and gives the hash of their content.
pub fn write(
    folder: &OutputFolder,
    name: &str,
    sort_columns: &[&str],
    provenance: &[(String, String)],
    batches: impl IntoIterator<Item = Result<RecordBatch, WriteError>>,
) -> Result<String, WriteError> {
    let mut open = None;
    for batch in batches {
        let batch = batch?;
        if open.is_none() {
            let mut spec = TableSpec::new(name, batch.schema(), sort_columns);
            spec.key_value_metadata = provenance.to_vec();
            open = Some((folder.table_writer(spec), ContentHasher::new(batch.schema())?));
        }
        if let Some((writer, hasher)) = &mut open {
            writer.write(&batch)?;
            hasher.update(&batch)?;
        }
    }
    match open {
        Some((writer, hasher)) => {
            writer.close()?;
            Ok(hasher.finish())
        }
        None => Ok(String::new()),
    }
}

/// The hash of the same batches, without a folder.
pub fn hash(batches: impl IntoIterator<Item = Result<RecordBatch, WriteError>>) -> Result<String, WriteError> {
    let mut open: Option<ContentHasher> = None;
    for batch in batches {
        let batch = batch?;
        let mut hasher = match open.take() {
            Some(hasher) => hasher,
            None => ContentHasher::new(batch.schema())?,
        };
        hasher.update(&batch)?;
        open = Some(hasher);
    }
    Ok(open.map(ContentHasher::finish).unwrap_or_default())
}

/// Vehicle ids by index.
pub fn ids(ids: &Ids, vehicles: &[u32]) -> ArrayRef {
    match ids {
        Ids::Integer(ids) => Arc::new(Int64Array::from_iter_values(vehicles.iter().map(|&one| ids[one as usize]))),
        Ids::Text(ids) => {
            Arc::new(StringArray::from_iter_values(vehicles.iter().map(|&one| ids[one as usize].as_str())))
        }
    }
}

/// Days of the dataset's axis.
pub fn days(axis: TimeAxis, days: Vec<Option<i32>>) -> ArrayRef {
    match axis {
        TimeAxis::Days | TimeAxis::SecondsSince2000 => Arc::new(Date32Array::from(days)),
        TimeAxis::Integer => Arc::new(Int32Array::from(days)),
    }
}

/// Texts, some of them missing.
pub fn texts<'t>(texts: impl IntoIterator<Item = Option<&'t str>>) -> ArrayRef {
    Arc::new(texts.into_iter().collect::<StringArray>())
}
