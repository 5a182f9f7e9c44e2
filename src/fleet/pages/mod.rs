//! The fast way from a Parquet page to what a scan holds: number columns without Arrow arrays in between.
//!
//! Key idea: exports are dictionary-encoded, and whatever a row's value becomes (a code, a tick, a vehicle's index)
//! depends on the value alone. So it is worked out once a dictionary entry, by the same code that serves whole
//! arrays, and a row costs its index, unpacked, and one look-up. Values that stand plainly in a page become an array
//! and go the general way.
//!
//! [`suits`] is the switch: a column chunk that it turns down is decoded by the `parquet` crate's Arrow reader. Pages
//! come from that crate in both ways, with its checks of headers and its decompression.

mod codes;
mod column;
mod row_group;
mod runs;
mod ticks;
mod values;
mod vehicles;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use parquet::basic::Encoding;
use parquet::file::metadata::ColumnChunkMetaData;

use super::decode::ReadError;

pub(crate) use codes::Coded;
pub(crate) use row_group::PageColumns;
use runs::{Malformed, Runs};

/// Takes a column's rows, in order, in pieces.
trait Consumer {
    /// What the indices that follow point into. Where the column is nullable, one more index stands for null.
    fn dictionary(&mut self, entries: &ArrayRef, nullable: bool) -> Result<(), ReadError>;

    /// False if an index lies outside the dictionary.
    fn indices(&mut self, indices: &[u32]) -> Result<bool, ReadError>;

    /// Takes this many indices of at most 16 bits as they are unpacked. False if it does not: then they come again,
    /// as [`Self::indices`].
    fn unpack(&mut self, _indices: &mut Runs, _rows: usize) -> Result<bool, Malformed> {
        Ok(false)
    }

    fn values(&mut self, values: &ArrayRef) -> Result<(), ReadError>;
}

/// Whether a column chunk of this Arrow type is read from its pages.
#[expect(deprecated, reason = "old files name the encoding, be it of levels that are not there")]
fn suits(chunk: &ColumnChunkMetaData, data_type: &DataType) -> bool {
    let column = chunk.column_descr();
    let is_flat = column.max_rep_level() == 0 && column.max_def_level() <= 1;
    let known = |encoding| {
        matches!(
            encoding,
            Encoding::PLAIN
                | Encoding::PLAIN_DICTIONARY
                | Encoding::RLE_DICTIONARY
                | Encoding::RLE
                | Encoding::BIT_PACKED
        )
    };
    is_flat && values::is_direct(column.physical_type(), data_type) && chunk.encodings().all(known)
}
