//! The content hash: a name for the rows of a table that knows nothing of files, parts, batches or encodings.
//!
//! Rows are fed in the output's sort order. They are cut into blocks of [`BLOCK_ROWS`] by their absolute position;
//! in a block every column is one or more byte streams (validity, lengths, values: little-endian, null slots
//! zeroed), each hashed with BLAKE3; the hash of the table is the hash of its column names and types, the number of
//! rows, and the block hashes in order. So a range that begins on a block boundary can be hashed by another thread
//! and appended. Dictionary-encoded and view columns count as their plain values.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Schema, SchemaRef};

use super::error::WriteError;

/// Rows of a block.
pub const BLOCK_ROWS: u64 = 65_536;
const ONES: [u8; 4096] = [1; 4096];

/// Hashes rows in canonical order. Two hashers that were fed the same rows agree, however the rows were batched.
#[derive(Clone, Debug)]
pub struct ContentHasher {
    schema: SchemaRef,
    types: Vec<DataType>,
    rows: u64,
    blocks: Vec<blake3::Hash>,
    /// Streams of the block in progress.
    streams: Vec<blake3::Hasher>,
}

impl ContentHasher {
    /// A hasher for rows of this schema. Field metadata and nullability do not count.
    pub fn new(schema: SchemaRef) -> Result<Self, WriteError> {
        let mut types = Vec::with_capacity(schema.fields().len());
        let mut streams = 0;
        for field in schema.fields() {
            let plain = plain_type(field.data_type());
            streams += streams_of(&plain).ok_or_else(|| WriteError::UnhashableType {
                column: field.name().clone(),
                data_type: field.data_type().to_string(),
            })?;
            types.push(plain);
        }
        let streams = vec![blake3::Hasher::new(); streams];
        Ok(Self { schema, types, rows: 0, blocks: Vec::new(), streams })
    }

    /// Adds rows that follow those fed so far.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        if !same_columns(&batch.schema(), &self.schema) {
            return Err(WriteError::OtherSchema {
                got: format!("{:?}", column_types(&batch.schema())),
                expected: format!("{:?}", column_types(&self.schema)),
            });
        }
        let mut start = 0;
        while start < batch.num_rows() {
            let left_in_block = (BLOCK_ROWS - self.rows % BLOCK_ROWS) as usize;
            let rows = left_in_block.min(batch.num_rows() - start);
            let mut streams = self.streams.iter_mut();
            for (column, plain) in batch.columns().iter().zip(&self.types) {
                feed(&mut streams, &column.slice(start, rows), plain)?;
            }
            start += rows;
            self.rows += rows as u64;
            if self.rows.is_multiple_of(BLOCK_ROWS) {
                self.end_block();
            }
        }
        Ok(())
    }

    /// Adds the rows of a hasher of the next range. This hasher's rows must end on a block boundary.
    pub fn append(&mut self, next: &ContentHasher) -> Result<(), WriteError> {
        if !same_columns(&next.schema, &self.schema) {
            return Err(WriteError::OtherSchema {
                got: format!("{:?}", column_types(&next.schema)),
                expected: format!("{:?}", column_types(&self.schema)),
            });
        }
        if !self.rows.is_multiple_of(BLOCK_ROWS) {
            return Err(WriteError::Misaligned { rows: self.rows, block_rows: BLOCK_ROWS });
        }
        self.blocks.extend_from_slice(&next.blocks);
        self.streams.clone_from(&next.streams);
        self.rows += next.rows;
        Ok(())
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The hash of all rows, hex.
    pub fn finish(mut self) -> String {
        if !self.rows.is_multiple_of(BLOCK_ROWS) {
            self.end_block();
        }
        let mut whole = blake3::Hasher::new();
        for (field, plain) in self.schema.fields().iter().zip(&self.types) {
            let text = format!("{}\0{plain}\0", field.name());
            whole.update(&(text.len() as u64).to_le_bytes());
            whole.update(text.as_bytes());
        }
        whole.update(&self.rows.to_le_bytes());
        for block in &self.blocks {
            whole.update(block.as_bytes());
        }
        whole.finalize().to_hex().to_string()
    }

    fn end_block(&mut self) {
        let mut block = blake3::Hasher::new();
        for stream in &mut self.streams {
            block.update(stream.finalize().as_bytes());
            stream.reset();
        }
        self.blocks.push(block.finalize());
    }
}

fn column_types(schema: &Schema) -> Vec<(String, String)> {
    schema.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect()
}

fn same_columns(a: &Schema, b: &Schema) -> bool {
    a.fields().len() == b.fields().len()
        && a.fields()
            .iter()
            .zip(b.fields())
            .all(|(a, b)| a.name() == b.name() && plain_type(a.data_type()) == plain_type(b.data_type()))
}

/// The type whose values are hashed: dictionaries, views and large strings count as plain strings.
fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        other => other.clone(),
    }
}

/// Byte streams of a type, or `None` for types without a canonical form.
fn streams_of(plain: &DataType) -> Option<usize> {
    match plain {
        DataType::Boolean => Some(2),
        DataType::Utf8 => Some(3),
        DataType::List(item) => Some(2 + streams_of(&plain_type(item.data_type()))?),
        DataType::Struct(fields) => {
            fields.iter().try_fold(1, |sum, field| Some(sum + streams_of(&plain_type(field.data_type()))?))
        }
        other => other.primitive_width().map(|_| 2),
    }
}

/// Feeds an array into the streams of its type.
fn feed<'a>(
    streams: &mut impl Iterator<Item = &'a mut blake3::Hasher>,
    array: &ArrayRef,
    plain: &DataType,
) -> Result<(), WriteError> {
    let array = if array.data_type() == plain { array.clone() } else { as_plain(array, plain)? };
    let (Some(validity), false) = (streams.next(), array.is_empty()) else {
        // An empty array adds nothing to its streams; they still have to be passed over.
        for _ in 1..streams_of(plain).unwrap_or(1) {
            streams.next();
        }
        return Ok(());
    };
    match array.nulls() {
        Some(nulls) => {
            let bytes: Vec<u8> = nulls.iter().map(u8::from).collect();
            validity.update(&bytes);
        }
        None => {
            let mut left = array.len();
            while left > 0 {
                let now = left.min(ONES.len());
                validity.update(&ONES[..now]);
                left -= now;
            }
        }
    }
    match plain {
        DataType::Struct(fields) => {
            let array = array.as_struct();
            for (child, field) in array.columns().iter().zip(fields) {
                // A null struct's children may hold anything: they count as null.
                let child = mask(child, array.nulls())?;
                feed(streams, &child, &plain_type(field.data_type()))?;
            }
        }
        DataType::List(item) => {
            let array = array.as_list::<i32>();
            let mut lengths = Vec::with_capacity(array.len() * 4);
            let mut ranges: Vec<(usize, usize)> = Vec::with_capacity(array.len());
            for (row, window) in array.value_offsets().windows(2).enumerate() {
                // A null list may span items: it counts as empty.
                let length = if array.is_null(row) { 0 } else { window[1] - window[0] };
                lengths.extend_from_slice(&length.to_le_bytes());
                if length > 0 {
                    match ranges.last_mut() {
                        Some(last) if last.1 == window[0] as usize => last.1 = window[1] as usize,
                        _ => ranges.push((window[0] as usize, window[1] as usize)),
                    }
                }
            }
            if let Some(stream) = streams.next() {
                stream.update(&lengths);
            }
            let plain_item = plain_type(item.data_type());
            let items = match ranges.as_slice() {
                [] => array.values().slice(0, 0),
                [(start, end)] => array.values().slice(*start, end - start),
                many => {
                    let pieces: Vec<ArrayRef> =
                        many.iter().map(|(start, end)| array.values().slice(*start, end - start)).collect();
                    let pieces: Vec<&dyn Array> = pieces.iter().map(|piece| piece.as_ref()).collect();
                    arrow::compute::concat(&pieces).map_err(|error| unhashable(&plain_item, &error))?
                }
            };
            feed(streams, &items, &plain_item)?;
        }
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            let offsets = array.value_offsets();
            let mut lengths = vec![[0; 4]; array.len()];
            for (length, ends) in lengths.iter_mut().zip(offsets.windows(2)) {
                *length = (ends[1] - ends[0]).to_le_bytes();
            }
            let mut hidden = false;
            for row in array.nulls().iter().flat_map(|nulls| nulls.iter().enumerate()).filter(|row| !row.1) {
                hidden |= lengths[row.0] != [0; 4];
                lengths[row.0] = [0; 4];
            }
            if let Some(stream) = streams.next() {
                stream.update(lengths.as_flattened());
            }
            let Some(stream) = streams.next() else { return Ok(()) };
            if hidden {
                // Text beneath a null does not count.
                for text in array.iter().flatten() {
                    stream.update(text.as_bytes());
                }
            } else {
                stream.update(&array.value_data()[offsets[0] as usize..offsets[array.len()] as usize]);
            }
        }
        DataType::Boolean => {
            let array = array.as_boolean();
            let bytes: Vec<u8> =
                (0..array.len()).map(|row| u8::from(array.is_valid(row) && array.value(row))).collect();
            if let Some(stream) = streams.next() {
                stream.update(&bytes);
            }
        }
        primitive => {
            let width = primitive.primitive_width().unwrap_or(1);
            let data = array.to_data();
            let values: &Buffer = &data.buffers()[0];
            let values = &values.as_slice()[data.offset() * width..(data.offset() + data.len()) * width];
            if let Some(stream) = streams.next() {
                match array.nulls().filter(|nulls| nulls.null_count() > 0) {
                    None => {
                        stream.update(values);
                    }
                    Some(nulls) => {
                        let mut zeroed = values.to_vec();
                        for (row, cell) in zeroed.chunks_exact_mut(width).enumerate() {
                            if nulls.is_null(row) {
                                cell.fill(0);
                            }
                        }
                        stream.update(&zeroed);
                    }
                }
            }
        }
    }
    Ok(())
}

fn as_plain(array: &ArrayRef, plain: &DataType) -> Result<ArrayRef, WriteError> {
    arrow::compute::cast(array, plain).map_err(|error| unhashable(plain, &error))
}

/// The child of a struct with the struct's own nulls applied.
fn mask(child: &ArrayRef, nulls: Option<&arrow::buffer::NullBuffer>) -> Result<ArrayRef, WriteError> {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
        return Ok(child.clone());
    };
    let is_null = arrow::array::BooleanArray::new(!nulls.inner(), None);
    arrow::compute::nullif(child, &is_null).map_err(|error| unhashable(child.data_type(), &error))
}

fn unhashable(data_type: &DataType, error: &arrow::error::ArrowError) -> WriteError {
    WriteError::UnhashableType { column: error.to_string(), data_type: data_type.to_string() }
}
