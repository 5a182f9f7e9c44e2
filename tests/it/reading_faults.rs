//! What the reader does when things are not as they should be: statistics that lie, files that change, columns of
//! other names, types and kinds, a consumer that fails, an interruption, a full disk; and columns that stand in
//! folder names.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt16Array};
use fleetwear::fleet::account::Quarantine;
use fleetwear::fleet::chunk::{Chunk, Order};
use fleetwear::fleet::dataset::Dataset;
use fleetwear::fleet::error::FleetError;
use fleetwear::fleet::scan::{ChunkSink, ScanKind, ScanRequest, SinkError, scan};
use fleetwear::fleet::time::TimeAxis;
use fleetwear::run::{Control, Stop};
use parquet::arrow::ArrowWriter;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;

use crate::fleet_files::{
    DICTIONARY, Draws, IdType, Row, Writing, expected, fleet, row_groups, write_dataset, write_file,
};
use crate::reading::{Collector, outcome, outcome_of, request};

const WRITING: Writing = Writing { ids: IdType::Int64, statistics: true };

/// Writes a file again whose statistics claim, for each row group, vehicles and days of the claim's.
fn claim(path: &Path, claims: &[((i64, i64), (i32, i32))]) {
    let bytes = bytes::Bytes::from(std::fs::read(path).unwrap());
    let old = SerializedFileReader::new(bytes.clone()).unwrap();
    let metadata = old.metadata();
    let root = metadata.file_metadata().schema_descr().root_schema_ptr();
    let mut writer = SerializedFileWriter::new(std::fs::File::create(path).unwrap(), root, Arc::default()).unwrap();
    for (row_group, (vehicles, days)) in metadata.row_groups().iter().zip(claims) {
        let mut next = writer.next_row_group().unwrap();
        for column in row_group.columns() {
            let statistics = match column.column_descr().name() {
                "vin" => Some(Statistics::int64(Some(vehicles.0), Some(vehicles.1), None, Some(0), false)),
                "date" => Some(Statistics::int32(Some(days.0), Some(days.1), None, Some(0), false)),
                _ => None,
            };
            let mut builder = column.clone().into_builder();
            if let Some(statistics) = statistics {
                builder = builder.set_statistics(statistics);
            }
            let close = ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: row_group.num_rows() as u64,
                metadata: builder.build().unwrap(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            next.append_column(&bytes, close).unwrap();
        }
        next.close().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn statistics_that_lie_cost_time_and_nothing_else() {
    let mut rows = fleet(11, 20, 30, 300);
    Draws::new(2).shuffle(&mut rows);
    let wanted = expected(rows.iter().copied(), None, IdType::Int64);
    let layout = vec![row_groups(&rows, rows.len().div_ceil(3))];
    let disjoint_vehicles = [((0, 10), (-10, 400)), ((10, 20), (-10, 400)), ((21, 99), (-10, 400))];
    let disjoint_times = [((0, 99), (-10, 50)), ((0, 99), (51, 60)), ((0, 99), (61, 400))];
    for (claims, kind) in [(disjoint_vehicles, ScanKind::ByVehicle), (disjoint_times, ScanKind::ByTime)] {
        for order in [Order::Any, Order::TimeOrderedPerVehicle] {
            let folder = tempfile::tempdir().unwrap();
            let toml = write_dataset(folder.path(), &layout, WRITING);
            claim(&folder.path().join("histories/part-000.parquet"), &claims);
            let (found, report) = outcome(&toml, &ScanRequest { order, ..request() }).unwrap();
            assert!(found == wanted, "{kind:?} {order:?}");
            assert_eq!((report.kind, report.restarts), (ScanKind::Spill, 1), "{kind:?} was not tried first");
        }
    }
    // The same claims about rows of which they are true cost nothing.
    rows.sort_by_key(|row| (row.vehicle, row.day));
    let folder = tempfile::tempdir().unwrap();
    let toml = write_dataset(folder.path(), &vec![row_groups(&rows, rows.len())], WRITING);
    claim(&folder.path().join("histories/part-000.parquet"), &[((-5, 500), (-500, 500))]);
    let (found, report) = outcome(&toml, &request()).unwrap();
    assert_eq!((found, report.kind, report.restarts), (wanted, ScanKind::ByVehicle, 0));
}

/// Pushes nothing anywhere and does something at the first chunk.
struct AtFirstChunk<F: Fn() -> Result<(), SinkError> + Sync> {
    act: F,
    pushes: AtomicU32,
}

impl<F: Fn() -> Result<(), SinkError> + Sync> AtFirstChunk<F> {
    fn new(act: F) -> Self {
        Self { act, pushes: AtomicU32::new(0) }
    }
}

impl<F: Fn() -> Result<(), SinkError> + Sync> ChunkSink for AtFirstChunk<F> {
    fn push(&self, _lane: usize, _chunk: &Chunk) -> Result<(), SinkError> {
        if self.pushes.fetch_add(1, Ordering::SeqCst) == 0 { (self.act)() } else { Ok(()) }
    }

    fn restart(&self) -> Result<(), SinkError> {
        Ok(())
    }
}

#[test]
fn failures_from_outside_end_the_scan_with_their_name() {
    let rows = fleet(11, 20, 30, 300);
    for kind in [ScanKind::ByVehicle, ScanKind::ByTime, ScanKind::Spill] {
        for order in [Order::Any, Order::TimeOrderedPerVehicle] {
            let folder = tempfile::tempdir().unwrap();
            let layout = vec![row_groups(&rows, 50), row_groups(&rows, 70)];
            let toml = write_dataset(folder.path(), &layout, WRITING);
            let dataset = Dataset::open(&toml, 1, &Control::silent()).unwrap();
            let request = ScanRequest { kind: Some(kind), order, chunk_rows: 20, ..request() };

            let sink = AtFirstChunk::new(|| Err("the consumer is full".into()));
            let error = scan(&dataset, &request, &Control::silent(), &sink).unwrap_err();
            assert!(matches!(&error, FleetError::Sink(inner) if inner.to_string() == "the consumer is full"));

            let stop = Stop::default();
            let sink = AtFirstChunk::new(|| {
                stop.raise();
                Ok(())
            });
            let error = scan(&dataset, &request, &Control::new(&stop, &|_| {}), &sink).unwrap_err();
            assert!(matches!(error, FleetError::Interrupted(_)));
            assert!(sink.pushes.load(Ordering::SeqCst) <= 2 * request.threads as u32);

            // A file that grows while it is read.
            let changing = folder.path().join("histories/part-001.parquet");
            let sink = AtFirstChunk::new(|| {
                write_file(&changing, &row_groups(&rows, 71), WRITING);
                Ok(())
            });
            let error = scan(&dataset, &request, &Control::silent(), &sink).unwrap_err();
            assert!(matches!(&error, FleetError::Changed { file } if *file == changing), "{error:?}");
        }
    }
}

#[test]
fn a_file_of_another_schema_is_named_with_its_column() {
    let rows = fleet(11, 5, 30, 30);
    let dictionary = |replaced: &str, by: &str| DICTIONARY.replace(replaced, by);
    let folder = tempfile::tempdir().unwrap();
    let toml = write_dataset(folder.path(), &vec![row_groups(&rows, 50)], WRITING);
    let histories = folder.path().join("histories");
    let part = histories.join("part-000.parquet");

    std::fs::write(&toml, dictionary("column = \"temp\"", "column = \"tmep\"")).unwrap();
    match outcome(&toml, &request()).unwrap_err() {
        FleetError::MissingColumn { file, column, nearest } => {
            assert_eq!((file, column.as_str(), nearest.as_deref()), (part.clone(), "tmep", Some("temp")));
        }
        other => panic!("{other:?}"),
    }
    // A channel that nobody asks for is not read.
    outcome_of(
        &Dataset::open(&toml, 1, &Control::silent()).unwrap(),
        &ScanRequest { channels: vec![0, 0], ..request() },
    )
    .unwrap();

    std::fs::write(&toml, dictionary("time = \"date\"", "time = \"temp\"")).unwrap();
    let error = Dataset::open(&toml, 1, &Control::silent()).unwrap_err();
    assert!(matches!(&error, FleetError::WrongType { column, .. } if column == "temp"), "{error:?}");

    std::fs::write(&toml, DICTIONARY).unwrap();
    let texts = histories.join("part-001.parquet");
    write_file(&texts, &row_groups(&rows, 50), Writing { ids: IdType::Utf8, statistics: true });
    let error = Dataset::open(&toml, 1, &Control::silent()).unwrap_err();
    assert!(matches!(&error, FleetError::MixedIds { file, .. } if *file == texts), "{error:?}");

    // Integers of different widths are ids of one kind.
    write_file(&texts, &row_groups(&rows, 50), Writing { ids: IdType::Int32, statistics: true });
    let (found, _) = outcome(&toml, &request()).unwrap();
    assert_eq!(found, expected(rows.iter().chain(&rows).copied(), None, IdType::Int64));

    let times: Vec<(&str, ArrayRef)> = vec![
        ("vin", Arc::new(Int64Array::from(vec![1]))),
        ("date", Arc::new(TimestampMillisecondArray::from(vec![0]))),
        ("load", Arc::new(UInt16Array::from(vec![1]))),
        ("temp", Arc::new(UInt16Array::from(vec![1]))),
    ];
    write_columns(&texts, times);
    let error = Dataset::open(&toml, 1, &Control::silent()).unwrap_err();
    assert!(matches!(&error, FleetError::WrongType { file, column, .. } if *file == texts && column == "date"));
}

fn write_columns(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn columns_may_stand_in_folder_names() {
    let folder = tempfile::tempdir().unwrap();
    let toml = folder.path().join("dataset.toml");
    std::fs::write(&toml, DICTIONARY.replace("histories/*.parquet", "histories")).unwrap();
    for (path, load, vins) in [
        ("date=2024-01-31/temp=20.0/a.parquet", 5, ["A", "B"]),
        ("date=1970-01-01/temp=-40.0/a.parquet", 6, ["A", "C"]),
        ("date=__HIVE_DEFAULT_PARTITION__/temp=0/a.parquet", 6, ["D", "C"]),
        ("date=2024-01-31/temp=__HIVE_DEFAULT_PARTITION__/b.parquet", 5, ["C", "B"]),
    ] {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("load", Arc::new(UInt16Array::from(vec![load, load + 1]))),
            ("vin", Arc::new(StringArray::from(vins.to_vec()))),
        ];
        write_columns(&folder.path().join("histories").join(path), columns);
    }
    // 2024-01-31 is day 19,753. B has two records of it; of equal loads the smaller temperature code counts.
    let record = |id: &str, day, load, temp| (id.to_string(), day, [load, temp]);
    let wanted = [
        record("A", 0, 6, 0),
        record("A", 19_753, 5, 120),
        record("B", 19_753, 6, 120),
        record("C", 0, 7, 0),
        record("C", 19_753, 5, 251),
    ];
    for kind in [None, Some(ScanKind::ByVehicle), Some(ScanKind::ByTime), Some(ScanKind::Spill)] {
        let (found, report) = outcome(&toml, &ScanRequest { kind, ..request() }).unwrap();
        assert_eq!(found.records, wanted);
        assert_eq!((found.null_time, found.duplicates, report.axis), (2, 1, TimeAxis::Days));
    }
    let bad = folder.path().join("histories/date=2024-01-31/temp=warm/c.parquet");
    write_columns(
        &bad,
        vec![("load", Arc::new(UInt16Array::from(vec![1]))), ("vin", Arc::new(StringArray::from(vec!["A"])))],
    );
    let error = outcome(&toml, &request()).unwrap_err();
    assert!(matches!(&error, FleetError::PartitionValue { got, .. } if got == "warm"), "{error:?}");
}

#[test]
fn timestamps_out_of_range_and_integers_as_times() {
    let folder = tempfile::tempdir().unwrap();
    let toml = folder.path().join("dataset.toml");
    std::fs::write(&toml, DICTIONARY).unwrap();
    let path = folder.path().join("histories/a.parquet");
    let columns = |time: ArrayRef| -> Vec<(&str, ArrayRef)> {
        vec![
            ("vin", Arc::new(Int64Array::from(vec![1, 1, 2, 2]))),
            ("date", time),
            ("load", Arc::new(UInt16Array::from(vec![1, 2, 3, 4]))),
            ("temp", Arc::new(UInt16Array::from(vec![1, 2, 3, 4]))),
        ]
    };
    // 2000-01-01T00:00:00Z is second 946,684,800 since 1970; a tick is cut to whole seconds, downwards.
    let millis = vec![Some(946_684_800_000), Some(946_684_799_999), Some(i64::MAX), None];
    write_columns(&path, columns(Arc::new(TimestampMillisecondArray::from(millis))));
    let (found, report) = outcome(&toml, &request()).unwrap();
    assert_eq!(report.axis, TimeAxis::SecondsSince2000);
    let records: Vec<(i32, u16)> = found.records.iter().map(|record| (record.1, record.2[0])).collect();
    assert_eq!(records, [(-1, 2), (0, 1)]);
    assert_eq!(report.account.quarantined[&Quarantine::TimeOutOfRange], 1);
    assert_eq!(report.account.quarantined[&Quarantine::NullTime], 1);

    let periods = vec![Some(3), Some(i64::from(i32::MIN)), Some(i64::from(i32::MAX)), Some(i64::from(i32::MAX) + 1)];
    write_columns(&path, columns(Arc::new(Int64Array::from(periods))));
    let (found, report) = outcome(&toml, &request()).unwrap();
    assert_eq!(report.axis, TimeAxis::Integer);
    let records: Vec<(i32, u16)> = found.records.iter().map(|record| (record.1, record.2[0])).collect();
    assert_eq!(records, [(i32::MIN, 2), (3, 1), (i32::MAX, 3)]);
    assert_eq!(report.account.quarantined[&Quarantine::TimeOutOfRange], 1);
}

#[test]
fn a_folder_that_takes_no_temporary_files_is_named() {
    let rows = fleet(11, 20, 30, 300);
    let folder = tempfile::tempdir().unwrap();
    let toml = write_dataset(folder.path(), &vec![row_groups(&rows, 50)], WRITING);
    let mut dataset = Dataset::open(&toml, 1, &Control::silent()).unwrap();
    dataset.spill_folder = folder.path().join("not there");
    let request = ScanRequest { kind: Some(ScanKind::Spill), memory_limit_bytes: 1000, ..request() };
    let sink = Collector::new(2, 1000);
    let error = scan(&dataset, &request, &Control::silent(), &sink).unwrap_err();
    assert!(matches!(&error, FleetError::Spill { folder, .. } if *folder == dataset.spill_folder), "{error:?}");
}

#[test]
fn a_sole_file_that_is_empty_is_an_error_and_beside_others_it_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let toml = write_dataset(folder.path(), &vec![Vec::new()], WRITING);
    let empty = folder.path().join("histories/empty.parquet");
    std::fs::write(&empty, b"").unwrap();
    let row = Row { vehicle: Some(1), day: Some(1), load: Some(1), temp: None };
    write_file(&folder.path().join("histories/part-000.parquet"), &[vec![row]], WRITING);
    let (found, report) = outcome(&toml, &ScanRequest { hash_inputs: true, ..request() }).unwrap();
    assert_eq!(found.records.len(), 1);
    assert_eq!((report.unreadable.len(), &report.unreadable[0].path), (1, &empty));
    assert_eq!(report.inputs.iter().filter(|input| input.blake3.len() == 64).count(), 2);
    std::fs::remove_file(folder.path().join("histories/part-000.parquet")).unwrap();
    let error = Dataset::open(&toml, 1, &Control::silent()).unwrap_err();
    assert!(matches!(&error, FleetError::Unreadable { file, .. } if *file == empty), "{error:?}");
}
