//! One column chunk, page by page.
//!
//! What the pages claim is checked where it is used: indices lie within their dictionary, values within their page,
//! and a column has as many rows as its row group, neither fewer nor more.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::super::decode::ReadError;
use super::super::history_file::RangedFile;
use super::runs::{Malformed, Runs};
use super::{Consumer, values};

/// Rows whose indices are unpacked at once: they stay in the first-level cache until they are looked up.
const BLOCK_ROWS: usize = 1 << 10;
/// Bytes of a length that stands before levels.
const LENGTH_BYTES: usize = 4;

/// Reads a column chunk that [`super::suits`].
pub(crate) struct PageColumn {
    pages: SerializedPageReader<RangedFile>,
    name: String,
    physical: Type,
    data_type: DataType,
    nullable: bool,
    /// Entries of the dictionary that the consumer knows.
    entries: Option<usize>,
    page: DataPage,
    indices: Vec<u32>,
    levels: Vec<u32>,
}

/// A data page on its way.
struct DataPage {
    rows_left: usize,
    /// Until the consumer turns its indices down.
    unpacks: bool,
    /// Whether a row has a value; `None` where all have.
    levels: Option<Runs>,
    values: Values,
}

enum Values {
    Indices(Runs),
    Plain(Bytes),
}

impl PageColumn {
    /// `data_type` is the column's Arrow type.
    pub fn open(
        file: RangedFile,
        chunk: &ColumnChunkMetaData,
        rows: usize,
        data_type: &DataType,
    ) -> Result<Self, ReadError> {
        let pages = SerializedPageReader::new(Arc::new(file), chunk, rows, None);
        let column = chunk.column_descr();
        Ok(Self {
            pages: pages.map_err(|error| ReadError::Unreadable(error.to_string()))?,
            name: column.name().to_string(),
            physical: column.physical_type(),
            data_type: data_type.clone(),
            nullable: column.max_def_level() > 0,
            entries: None,
            page: DataPage { rows_left: 0, unpacks: true, levels: None, values: Values::Plain(Bytes::new()) },
            indices: vec![0; BLOCK_ROWS],
            levels: Vec::new(),
        })
    }

    /// Hands exactly this many rows to `out`.
    pub fn read(&mut self, rows: usize, out: &mut impl Consumer) -> Result<(), ReadError> {
        let mut left = rows;
        while left > 0 {
            if self.page.rows_left == 0 {
                if !self.turn(out)? {
                    return Err(self.malformed("has fewer values than its row group has rows"));
                }
                continue;
            }
            let most = left.min(self.page.rows_left);
            let taken = match self.page.values {
                Values::Indices(_) => self.indices(most.min(BLOCK_ROWS), out)?,
                Values::Plain(_) => self.values(most, out)?,
            };
            self.page.rows_left -= taken;
            left -= taken;
        }
        Ok(())
    }

    /// Refuses rows beyond those of the row group.
    pub fn end(&mut self, out: &mut impl Consumer) -> Result<(), ReadError> {
        while self.page.rows_left == 0 {
            if !self.turn(out)? {
                return Ok(());
            }
        }
        Err(self.malformed("has more values than its row group has rows"))
    }

    fn malformed(&self, what: &str) -> ReadError {
        ReadError::Unreadable(format!("column {:?} {what}", self.name))
    }

    fn indices(&mut self, rows: usize, out: &mut impl Consumer) -> Result<usize, ReadError> {
        let outside = "points outside its dictionary";
        let entries = self.entries.ok_or_else(|| self.malformed("has indices and no dictionary"))?;
        let present = self.levels(rows)?;
        let Values::Indices(runs) = &mut self.page.values else { return Ok(0) };
        if self.page.unpacks && runs.are_short() && present == rows {
            let before = runs.clone();
            match out.unpack(runs, rows) {
                Ok(true) => return Ok(rows),
                Ok(false) => (*runs, self.page.unpacks) = (before, false),
                Err(Malformed) => return Err(self.malformed("has fewer indices than values")),
            }
        }
        let indices = &mut self.indices[..rows];
        if runs.read(&mut indices[..present]).is_err() {
            return Err(self.malformed("has fewer indices than values"));
        }
        if self.nullable {
            // The index behind the last entry stands for null, and only here.
            let largest = indices[..present].iter().fold(0, |largest: u32, &index| largest.max(index));
            if present > 0 && largest as usize >= entries {
                return Err(self.malformed(outside));
            }
            if present < rows {
                // From behind, so that no index is overwritten before it has moved.
                let mut from = present;
                for (row, level) in self.levels.iter().enumerate().rev() {
                    if *level == 0 {
                        indices[row] = entries as u32;
                    } else {
                        from -= 1;
                        indices[row] = indices[from];
                    }
                }
            }
        }
        match out.indices(&self.indices[..rows])? {
            true => Ok(rows),
            false => Err(self.malformed(outside)),
        }
    }

    fn values(&mut self, rows: usize, out: &mut impl Consumer) -> Result<usize, ReadError> {
        let present = self.levels(rows)?;
        let bytes = present * values::width_bytes(self.physical);
        let Values::Plain(plain) = &mut self.page.values else { return Ok(0) };
        if plain.len() < bytes {
            return Err(self.malformed("has fewer values than its pages claim"));
        }
        let plain = plain.split_to(bytes);
        let valid: Option<Vec<bool>> = (present < rows).then(|| self.levels.iter().map(|&level| level != 0).collect());
        let array = values::array(&plain, valid.as_deref(), self.physical, &self.data_type);
        out.values(&array.map_err(ReadError::Unreadable)?)?;
        Ok(rows)
    }

    /// Reads which of the next rows have a value, and returns how many do.
    fn levels(&mut self, rows: usize) -> Result<usize, ReadError> {
        let Some(levels) = &mut self.page.levels else { return Ok(rows) };
        self.levels.resize(rows, 0);
        if levels.read(&mut self.levels).is_err() {
            return Err(self.malformed("has fewer definition levels than values"));
        }
        Ok(self.levels.iter().map(|&level| level as usize).sum())
    }

    /// Goes on to the next page with data; false at the end of the chunk.
    fn turn(&mut self, out: &mut impl Consumer) -> Result<bool, ReadError> {
        let page = self.pages.get_next_page().map_err(|error| ReadError::Unreadable(error.to_string()))?;
        let Some(page) = page else { return Ok(false) };
        let (rows, encoding, levels, values) = match page {
            Page::DictionaryPage { buf, num_values, encoding, .. } => {
                self.dictionary(&buf, num_values as usize, encoding, out)?;
                return Ok(true);
            }
            Page::DataPage { buf, num_values, encoding, def_level_encoding, .. } => {
                let (levels, values) = self.split_levels(buf, num_values as usize, def_level_encoding)?;
                (num_values, encoding, levels, values)
            }
            Page::DataPageV2 { mut buf, num_values, encoding, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let (repetition, definition) = (rep_levels_byte_len as usize, def_levels_byte_len as usize);
                if repetition.saturating_add(definition) > buf.len() {
                    return Err(self.malformed("has levels that reach beyond their page"));
                }
                let levels = buf.split_to(repetition + definition).split_off(repetition);
                let levels = self.nullable.then(|| Runs::new(levels, 1)).transpose();
                (num_values, encoding, levels.map_err(|Malformed| self.malformed("has no levels"))?, buf)
            }
        };
        self.page =
            DataPage { rows_left: rows as usize, unpacks: true, levels, values: self.open_values(encoding, values)? };
        Ok(true)
    }

    /// Takes the dictionary, which must be plain.
    fn dictionary(
        &mut self,
        page: &Bytes,
        entries: usize,
        encoding: Encoding,
        out: &mut impl Consumer,
    ) -> Result<(), ReadError> {
        let bytes = entries.saturating_mul(values::width_bytes(self.physical));
        let plain = page.get(..bytes).ok_or_else(|| self.malformed("has a dictionary that is cut off"))?;
        if self.entries.is_some() || !matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY) {
            return Err(self.malformed("has a second dictionary, or one that is not plain"));
        }
        let array = values::array(plain, None, self.physical, &self.data_type).map_err(ReadError::Unreadable)?;
        self.entries = Some(array.len());
        out.dictionary(&array, self.nullable)
    }

    /// Levels and what follows them, in a page of the first version.
    #[expect(deprecated, reason = "old files pack their levels so")]
    fn split_levels(
        &self,
        mut page: Bytes,
        rows: usize,
        encoding: Encoding,
    ) -> Result<(Option<Runs>, Bytes), ReadError> {
        if !self.nullable {
            return Ok((None, page));
        }
        let cut_off = |_| self.malformed("has levels that reach beyond their page");
        let (bytes, is_packed) = match encoding {
            Encoding::RLE if page.len() >= LENGTH_BYTES => {
                let mut length = [0; LENGTH_BYTES];
                length.copy_from_slice(&page.split_to(LENGTH_BYTES));
                (u32::from_le_bytes(length) as usize, false)
            }
            Encoding::BIT_PACKED => (rows.div_ceil(8), true),
            _ => return Err(cut_off(Malformed)),
        };
        if page.len() < bytes {
            return Err(cut_off(Malformed));
        }
        let levels = page.split_to(bytes);
        let levels = if is_packed { Runs::packed(levels, 1) } else { Runs::new(levels, 1) };
        Ok((Some(levels.map_err(cut_off)?), page))
    }

    fn open_values(&self, encoding: Encoding, mut page: Bytes) -> Result<Values, ReadError> {
        match encoding {
            Encoding::PLAIN => Ok(Values::Plain(page)),
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                // A page of nothing but nulls may lack even the width.
                let width = if page.is_empty() { 0 } else { page.split_to(1)[0] };
                let runs = Runs::new(page, usize::from(width));
                Ok(Values::Indices(runs.map_err(|Malformed| self.malformed("has indices of too many bits"))?))
            }
            other => Err(self.malformed(&format!("has a page in {other}, which its metadata does not name"))),
        }
    }
}
