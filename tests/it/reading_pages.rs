//! Columns read from their pages and columns read through Arrow arrays give the same records and the same account,
//! however a writer stored them: with dictionaries, plainly, both in one chunk, in encodings that go the general way;
//! pages of either version, of few rows and of many; nullable or not.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use fleetwear::fleet::account::Account;
use fleetwear::fleet::scan::ScanRequest;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::fleet_files::{DICTIONARY, Expected, IdType, Row, batch, expected, fleet};
use crate::reading::{outcome, request};

const COLUMNS: [&str; 4] = ["vin", "date", "load", "temp"];

/// How a file is stored.
#[derive(Clone, Copy, Debug)]
enum Stored {
    Dictionary,
    /// The dictionary becomes too large on the way, and the rest is plain.
    DictionaryThenPlain,
    Plain,
    /// Delta and byte-stream-split, which are decoded through Arrow.
    General,
    /// Integers in a dictionary, floats through Arrow.
    Mixed,
}

fn properties(stored: Stored, version: WriterVersion, page_rows: usize, compression: Compression) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_writer_version(version)
        .set_compression(compression)
        .set_write_batch_size(page_rows)
        .set_data_page_row_count_limit(page_rows);
    let column = ColumnPath::from;
    builder = match stored {
        Stored::Dictionary => builder,
        Stored::DictionaryThenPlain => builder.set_dictionary_page_size_limit(100),
        Stored::Plain => COLUMNS.iter().fold(builder.set_dictionary_enabled(false), |builder, &name| {
            builder.set_column_encoding(column(name), Encoding::PLAIN)
        }),
        Stored::General => ["vin", "date", "load"].iter().fold(
            builder.set_dictionary_enabled(false).set_column_encoding(column("temp"), Encoding::BYTE_STREAM_SPLIT),
            |builder, &name| builder.set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED),
        ),
        Stored::Mixed => builder
            .set_column_dictionary_enabled(column("temp"), false)
            .set_column_encoding(column("temp"), Encoding::BYTE_STREAM_SPLIT),
    };
    builder.build()
}

fn write(folder: &Path, rows: &[Row], ids: IdType, nullable: bool, properties: WriterProperties) {
    let nullable_batch = batch(rows, ids);
    let fields = nullable_batch.schema();
    let fields: Vec<Field> =
        fields.fields().iter().map(|field| field.as_ref().clone().with_nullable(nullable)).collect();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), nullable_batch.columns().to_vec()).unwrap();
    let histories = folder.join("histories");
    std::fs::create_dir_all(&histories).unwrap();
    let file = std::fs::File::create(histories.join("part.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    std::fs::write(folder.join("dataset.toml"), DICTIONARY).unwrap();
}

/// What every way of storing these rows gives.
fn in_every_way(rows: &[Row], ids: IdType, nullable: bool, stored: &[Stored]) -> (Expected, Account) {
    let mut found: Option<(Expected, Account)> = None;
    for &stored in stored {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for (page_rows, compression, chunk_rows) in [
                (7, Compression::UNCOMPRESSED, 1000),
                (1000, Compression::SNAPPY, 13),
                (1 << 20, Compression::SNAPPY, 1 << 14),
                (300, Compression::GZIP(Default::default()), 1000),
                (300, Compression::BROTLI(Default::default()), 1000),
                (300, Compression::LZ4_RAW, 1000),
            ] {
                let folder = tempfile::tempdir().unwrap();
                let properties = properties(stored, version, page_rows, compression);
                write(folder.path(), rows, ids, nullable, properties);
                let request = ScanRequest { chunk_rows, ..request() };
                let (records, report) = outcome(&folder.path().join("dataset.toml"), &request).unwrap();
                assert_eq!(report.unreadable, []);
                let got = (records, report.account);
                let first = found.get_or_insert_with(|| got.clone());
                assert!(*first == got, "{stored:?} {version:?} pages of {page_rows}, chunks of {chunk_rows}");
            }
        }
    }
    found.unwrap()
}

const INTEGER_IDS: [Stored; 5] =
    [Stored::General, Stored::Dictionary, Stored::DictionaryThenPlain, Stored::Plain, Stored::Mixed];

#[test]
fn however_rows_with_nulls_and_faults_are_stored() {
    let rows = fleet(23, 40, 60, 3000);
    let wanted = expected(rows.iter().copied(), None, IdType::Int64);
    for ids in [IdType::Int32, IdType::Int64] {
        let (found, account) = in_every_way(&rows, ids, true, &INTEGER_IDS);
        assert_eq!(found, wanted);
        assert!(account.not_available.len() >= 4, "rows without faults show nothing: {account:?}");
    }
    // Text goes through Arrow beside columns that do not.
    let wanted = expected(rows.iter().copied(), None, IdType::Utf8);
    let text = [Stored::Dictionary, Stored::DictionaryThenPlain, Stored::Mixed];
    assert_eq!(in_every_way(&rows, IdType::Utf8, true, &text).0, wanted);
}

#[test]
fn however_rows_without_nulls_are_stored() {
    let mut rows = fleet(24, 30, 60, 2000);
    rows.retain(|row| row.vehicle.is_some() && row.day.is_some() && row.load.is_some() && row.temp.is_some());
    let wanted = expected(rows.iter().copied(), None, IdType::Int64);
    assert_eq!(in_every_way(&rows, IdType::Int64, false, &INTEGER_IDS).0, wanted);
}

#[test]
fn columns_of_nothing_but_nulls() {
    let rows: Vec<Row> = (0..50).map(|day| Row { vehicle: Some(3), day: Some(day), load: None, temp: None }).collect();
    let wanted = expected(rows.iter().copied(), None, IdType::Int64);
    assert_eq!(in_every_way(&rows, IdType::Int64, true, &INTEGER_IDS).0, wanted);
    let nothing: Vec<Row> = rows.iter().map(|row| Row { vehicle: None, day: None, ..*row }).collect();
    let (found, _) = in_every_way(&nothing, IdType::Int64, true, &INTEGER_IDS);
    assert_eq!((found.records.len(), found.null_vehicle), (0, 50));
}
