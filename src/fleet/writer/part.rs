//! One Parquet file of an output folder, and a table cut into such files.
//!
//! Bytes depend on the rows and the [`TableSpec`] alone: row groups and parts are cut by row count, and the metadata
//! holds provenance but neither times nor devices. Files are hashed while they are written.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::error::WriteError;
use super::folder::OutputFolder;
use crate::fleet::manifest::ManifestPart;

/// Rows of a part: a multiple of [`super::content::BLOCK_ROWS`], so that parts hashed apart can be joined.
pub const ROWS_PER_PART: usize = 1 << 20;
/// Rows of a row group: enough to compress well, few enough for several readers to share a part.
pub const ROWS_PER_ROW_GROUP: usize = 1 << 18;

/// How a table is written.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Name of the table: the folder of its parts.
    pub table: String,
    pub schema: SchemaRef,
    /// Columns by which the rows are sorted, ascending, nulls first; top-level columns only.
    pub sort_columns: Vec<String>,
    /// Provenance for the file's metadata: the same for the same content.
    pub key_value_metadata: Vec<(String, String)>,
    pub rows_per_part: usize,
    pub rows_per_row_group: usize,
    pub encoding: Encoding,
    /// Leaf columns whose values hardly repeat, as paths with dots: a dictionary of them would be filled in vain.
    pub unique_columns: Vec<String>,
    /// Leaf columns whose least and greatest value no reader can prune by: comparing text costs as much as storing it.
    pub unbounded_columns: Vec<String>,
}

/// How columns are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Dictionaries where they pay, zstd: small, and read by everything.
    DictionaryZstd,
    /// Plain values, zstd.
    PlainZstd,
    /// Plain values without compression.
    Plain,
    /// Dictionaries, LZ4: hardly slower to read than without compression.
    DictionaryLz4,
    /// Dictionaries without compression: codes packed into as many bits as they need.
    Dictionary,
}

impl TableSpec {
    pub fn new(table: &str, schema: SchemaRef, sort_columns: &[&str]) -> Self {
        Self {
            table: table.to_owned(),
            schema,
            sort_columns: sort_columns.iter().map(|&column| column.to_owned()).collect(),
            key_value_metadata: Vec::new(),
            rows_per_part: ROWS_PER_PART,
            rows_per_row_group: ROWS_PER_ROW_GROUP,
            encoding: Encoding::DictionaryZstd,
            unique_columns: Vec::new(),
            unbounded_columns: Vec::new(),
        }
    }

    /// Path of a part relative to the output folder.
    pub fn part_path(&self, part: usize) -> String {
        format!("{}/part-{part:05}.parquet", self.table)
    }

    fn properties(&self) -> Result<WriterProperties, WriteError> {
        let mut metadata = vec![
            KeyValue::new("fleetwear.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            KeyValue::new("fleetwear.table".to_owned(), self.table.clone()),
        ];
        metadata.extend(self.key_value_metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())));
        let mut builder = WriterProperties::builder()
            .set_max_row_group_row_count(Some(self.rows_per_row_group.max(1)))
            .set_key_value_metadata(Some(metadata))
            // Page statistics are worth their bytes only where a reader can prune by them: the sort columns.
            .set_statistics_enabled(EnabledStatistics::Chunk);
        builder = match self.encoding {
            Encoding::DictionaryZstd => builder.set_compression(Compression::ZSTD(ZstdLevel::default())),
            Encoding::PlainZstd => {
                builder.set_compression(Compression::ZSTD(ZstdLevel::default())).set_dictionary_enabled(false)
            }
            Encoding::Plain => builder.set_compression(Compression::UNCOMPRESSED).set_dictionary_enabled(false),
            Encoding::Dictionary => builder.set_compression(Compression::UNCOMPRESSED),
            Encoding::DictionaryLz4 => builder.set_compression(Compression::LZ4_RAW),
        };
        for column in &self.unique_columns {
            let path = ColumnPath::new(column.split('.').map(str::to_owned).collect());
            builder = builder.set_column_dictionary_enabled(path, false);
        }
        for column in &self.unbounded_columns {
            let path = ColumnPath::new(column.split('.').map(str::to_owned).collect());
            builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
        }
        let mut sorting = Vec::with_capacity(self.sort_columns.len());
        for column in &self.sort_columns {
            let missing = |_| WriteError::NoColumn { table: self.table.clone(), column: column.clone() };
            let index = self.schema.index_of(column).map_err(missing)?;
            // Leaves before this column: nested columns have several.
            let leaf: usize = self.schema.fields()[..index].iter().map(|field| leaves(field.data_type())).sum();
            sorting.push(SortingColumn { column_idx: leaf as i32, descending: false, nulls_first: true });
            if !self.unbounded_columns.contains(column) {
                let path = ColumnPath::from(column.clone());
                builder = builder.set_column_statistics_enabled(path, EnabledStatistics::Page);
            }
        }
        let sorting = if sorting.is_empty() { None } else { Some(sorting) };
        Ok(builder.set_sorting_columns(sorting).build())
    }
}

/// Parquet columns that an arrow type takes.
fn leaves(data_type: &arrow::datatypes::DataType) -> usize {
    use arrow::datatypes::DataType;
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => leaves(field.data_type()),
        _ => 1,
    }
}

/// Writes one Parquet file. Dropped without [`PartWriter::close`], it removes its file.
pub struct PartWriter<'a> {
    folder: &'a OutputFolder,
    relative: String,
    path: PathBuf,
    /// `None` only while it is being closed.
    writer: Option<ArrowWriter<HashingFile>>,
    rows: u64,
}

impl<'a> PartWriter<'a> {
    pub(super) fn open(folder: &'a OutputFolder, relative: &str, spec: &TableSpec) -> Result<Self, WriteError> {
        Self::open_with(folder, relative, &spec.schema, spec.properties()?)
    }

    pub(super) fn open_with(
        folder: &'a OutputFolder,
        relative: &str,
        schema: &SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self, WriteError> {
        let (path, file) = folder.create_file(relative)?;
        let file = HashingFile { file, hasher: blake3::Hasher::new(), bytes: 0 };
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))
            .map_err(|error| WriteError::parquet(&path, error))?;
        Ok(Self { folder, relative: relative.to_owned(), path, writer: Some(writer), rows: 0 })
    }

    /// Adds rows in the order of the table.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        if let Some(writer) = &mut self.writer {
            writer.write(batch).map_err(|error| WriteError::parquet(&self.path, error))?;
            self.rows += batch.num_rows() as u64;
        }
        Ok(())
    }

    /// Completes the file, makes it durable and lists it in the manifest.
    pub fn close(mut self) -> Result<ManifestPart, WriteError> {
        let path = std::mem::take(&mut self.path);
        let closed = match self.writer.take() {
            Some(writer) => close(writer, &path),
            None => Err(WriteError::InvalidPath { path: path.clone(), problem: "it is closed already" }),
        };
        match closed {
            Ok((bytes, blake3)) => {
                let part =
                    ManifestPart { path: std::mem::take(&mut self.relative), rows: Some(self.rows), bytes, blake3 };
                self.folder.record(part.clone());
                Ok(part)
            }
            Err(error) => {
                let _ = std::fs::remove_file(&path);
                Err(error)
            }
        }
    }
}

fn close(mut writer: ArrowWriter<HashingFile>, path: &Path) -> Result<(u64, String), WriteError> {
    // Not `into_inner`: it tells of a full disk in words alone.
    writer.finish().map_err(|error| WriteError::parquet(path, error))?;
    let HashingFile { file, hasher, bytes } = writer.inner();
    file.sync_all().map_err(|error| WriteError::io(path, "sync", error))?;
    Ok((*bytes, hasher.finalize().to_hex().to_string()))
}

impl Drop for PartWriter<'_> {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            drop(writer);
            // Best effort: the staging folder goes as a whole if the run fails.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A table in row order, cut into parts by row count.
pub struct TableWriter<'a> {
    folder: &'a OutputFolder,
    spec: TableSpec,
    part: Option<PartWriter<'a>>,
    rows_in_part: usize,
    parts: Vec<ManifestPart>,
}

impl<'a> TableWriter<'a> {
    pub(super) fn new(folder: &'a OutputFolder, mut spec: TableSpec) -> Self {
        spec.rows_per_part = spec.rows_per_part.max(1);
        Self { folder, spec, part: None, rows_in_part: 0, parts: Vec::new() }
    }

    /// Adds rows; a full part is closed and the next one begun.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        let mut start = 0;
        while start < batch.num_rows() {
            let mut part = match self.part.take() {
                Some(part) => part,
                None => self.folder.part_writer(&self.spec.part_path(self.parts.len()), &self.spec)?,
            };
            let rows = (batch.num_rows() - start).min(self.spec.rows_per_part - self.rows_in_part);
            part.write(&batch.slice(start, rows))?;
            start += rows;
            self.rows_in_part += rows;
            if self.rows_in_part == self.spec.rows_per_part {
                self.parts.push(part.close()?);
                self.rows_in_part = 0;
            } else {
                self.part = Some(part);
            }
        }
        Ok(())
    }

    /// Closes the last part. A table without rows has one empty part, so that its schema can be read.
    pub fn close(mut self) -> Result<Vec<ManifestPart>, WriteError> {
        if self.part.is_none() && self.parts.is_empty() {
            self.part = Some(self.folder.part_writer(&self.spec.part_path(0), &self.spec)?);
        }
        if let Some(part) = self.part.take() {
            self.parts.push(part.close()?);
        }
        Ok(self.parts)
    }
}

/// A file that is hashed while it is written.
struct HashingFile {
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Write for HashingFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
