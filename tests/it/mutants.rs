//! Malformed files: whatever stands in a file, nothing panics or aborts, the good file beside it is read, every row
//! is accounted for, and it does not take long.

use std::path::Path;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, UInt16Array};
use arrow::datatypes::{DataType, Field, Schema};
use fleetwear::fleet::account::{Quarantine, Skip};
use fleetwear::fleet::dataset::Dataset;
use fleetwear::fleet::error::FleetError;
use fleetwear::fleet::guard::panic_is_caught;
use fleetwear::fleet::scan::{ScanKind, ScanRequest, scan};
use fleetwear::run::Control;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;

use crate::fleet_files::{
    DICTIONARY, Draws, Expected, IdType, Row, Writing, expected, fleet, row_groups, write_file, write_file_as,
};
use crate::reading::{Collector, outcome, request};

const MUTANTS: u32 = 10_000;
/// Vehicles of the good file, which no mutant has: a mutant that can be read has others, or what became of them.
const GOOD_VEHICLES: std::ops::Range<i64> = 1_000_000..1_000_010;
const LONGEST: Duration = Duration::from_secs(2);

/// Panics that the library catches are not shown; any other is, and fails its test.
fn quiet_caught_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let shown = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !panic_is_caught() {
                shown(info);
            }
        }));
    });
}

fn good_rows() -> Vec<Row> {
    let row = |vehicle, day| Row { vehicle: Some(vehicle), day: Some(day), load: Some(50), temp: Some(20.0) };
    GOOD_VEHICLES.flat_map(|vehicle| (0..10).map(move |day| row(vehicle, day))).collect()
}

/// One damage of one kind, seeded.
fn mutate(bytes: &mut Vec<u8>, draws: &mut Draws) {
    let length = bytes.len() as u32;
    let footer_bytes = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) + 8;
    let place = |draws: &mut Draws| draws.below(length) as usize;
    match draws.below(6) {
        0 => {
            for _ in 0..=draws.below(8) {
                let at = place(draws);
                bytes[at] ^= 1 << draws.below(8);
            }
        }
        1 => {
            let from = place(draws);
            let to = (from + 1 + draws.below(64) as usize).min(bytes.len());
            let value = [0x00, 0xff, 0x7f, 0x80, draws.below(256) as u8][draws.below(5) as usize];
            bytes[from..to].fill(value);
        }
        // Cut somewhere out of the middle, or splice a piece in again.
        2 => {
            let from = place(draws);
            let to = (from + 1 + draws.below(200) as usize).min(bytes.len());
            let piece = bytes[from..to].to_vec();
            if draws.below(2) == 0 {
                bytes.drain(from..to);
            } else {
                let at = place(draws);
                bytes.splice(at..at, piece);
            }
        }
        3 => bytes.truncate(place(draws)),
        // The footer is a small part of a file and the most sensitive.
        4 => {
            for _ in 0..=draws.below(3) {
                let at = (length - 1 - draws.below(footer_bytes)) as usize;
                bytes[at] = draws.below(256) as u8;
            }
        }
        _ => {
            let at = (length - 1 - draws.below(footer_bytes)) as usize;
            bytes[at] ^= 1 << draws.below(8);
        }
    }
}

#[derive(Debug, Default)]
struct Outcomes {
    read: u32,
    left_out: u32,
    other_schema: u32,
    restarted: u32,
}

/// Files of one content as different writers leave them: encodings, compressions, page versions.
fn originals(path: &Path, ids: IdType) -> Vec<Vec<u8>> {
    let builder = WriterProperties::builder;
    let ways = [
        builder().build(),
        builder().set_compression(Compression::ZSTD(Default::default())).build(),
        builder().set_compression(Compression::LZ4_RAW).build(),
        builder().set_compression(Compression::GZIP(Default::default())).build(),
        builder().set_compression(Compression::BROTLI(Default::default())).set_dictionary_enabled(false).build(),
        builder().set_compression(Compression::SNAPPY).set_writer_version(WriterVersion::PARQUET_2_0).build(),
        builder().set_writer_version(WriterVersion::PARQUET_2_0).set_dictionary_enabled(false).build(),
    ];
    let many = fleet(3, 6, 30, 60);
    let of_bytes = |rows: &[Row], properties| {
        write_file_as(path, &row_groups(rows, 70), ids, properties);
        std::fs::read(path).unwrap()
    };
    let one = of_bytes(&fleet(4, 1, 1, 3), builder().build());
    ways.into_iter().map(|properties| of_bytes(&many, properties)).chain([one]).collect()
}

fn check_mutants(ids: IdType, seeds: std::ops::Range<u32>) -> Outcomes {
    quiet_caught_panics();
    let folder = tempfile::tempdir().unwrap();
    let histories = folder.path().join("histories");
    std::fs::create_dir_all(&histories).unwrap();
    let toml = folder.path().join("dataset.toml");
    std::fs::write(&toml, DICTIONARY).unwrap();
    let good = good_rows();
    write_file(&histories.join("good.parquet"), &row_groups(&good, 64), Writing { ids, statistics: true });
    let wanted = expected(good, None, ids).records;
    let good: std::collections::BTreeSet<&String> = wanted.iter().map(|record| &record.0).collect();
    let is_good = |id: &String| good.contains(id);
    let bad = histories.join("mutant.parquet");
    let originals = originals(&bad, ids);
    for (number, bytes) in originals.iter().enumerate() {
        std::fs::write(&bad, bytes).unwrap();
        let (found, report) = outcome(&toml, &request()).unwrap();
        assert!(report.unreadable.is_empty() && found.records.len() > wanted.len(), "original {number} of {ids:?}");
    }
    let mut outcomes = Outcomes::default();
    for seed in seeds {
        let mut draws = Draws::new(seed);
        let mut bytes = originals[draws.below(originals.len() as u32) as usize].clone();
        mutate(&mut bytes, &mut draws);
        std::fs::write(&bad, &bytes).unwrap();
        let kind = [None, Some(ScanKind::ByVehicle), Some(ScanKind::ByTime), Some(ScanKind::Spill)][seed as usize % 4];
        let started = Instant::now();
        let outcome = outcome(&toml, &ScanRequest { kind, threads: 1 + seed as usize % 2, ..request() });
        assert!(started.elapsed() < LONGEST, "mutant {seed} took {:?}", started.elapsed());
        match outcome {
            Ok((found, report)) => {
                let from_good: Vec<_> = found.records.iter().filter(|record| is_good(&record.0)).cloned().collect();
                assert_eq!(from_good, wanted, "mutant {seed}");
                outcomes.restarted += u32::from(report.restarts > 0);
                match report.unreadable.first() {
                    Some(file) => {
                        assert_eq!((&file.path, report.unreadable.len()), (&bad, 1), "mutant {seed}");
                        assert_eq!(found.records.len(), wanted.len(), "mutant {seed}: rows of a file that is left out");
                        outcomes.left_out += 1;
                    }
                    None => outcomes.read += 1,
                }
            }
            // A footer that still can be read, but names other columns or types.
            Err(FleetError::MissingColumn { file, .. } | FleetError::WrongType { file, .. })
            | Err(FleetError::MixedIds { file, .. }) => {
                assert_eq!(file, bad, "mutant {seed}");
                outcomes.other_schema += 1;
            }
            Err(error) => panic!("mutant {seed}: {error:?}"),
        }
    }
    outcomes
}

#[test]
fn ten_thousand_mutants_beside_a_good_file() {
    let half = MUTANTS / 2;
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| check_mutants(IdType::Int64, 0..half));
        let second = check_mutants(IdType::Utf8, half..MUTANTS);
        (first.join().unwrap(), second)
    });
    let total = |of: fn(&Outcomes) -> u32| of(&first) + of(&second);
    // The mutants must be of all kinds, or the test shows little.
    assert!(total(|outcomes| outcomes.read) > MUTANTS / 20, "{first:?} {second:?}");
    assert!(total(|outcomes| outcomes.left_out) > MUTANTS / 2, "{first:?} {second:?}");
    assert!(total(|outcomes| outcomes.restarted) > MUTANTS / 100, "{first:?} {second:?}");
    assert!(total(|outcomes| outcomes.other_schema) < MUTANTS / 20, "{first:?} {second:?}");
}

/// Damages the data of a file's last row group, so that it shows only after the first ones were handed out.
#[test]
fn a_file_that_fails_midway_is_left_out_as_a_whole() {
    quiet_caught_panics();
    let folder = tempfile::tempdir().unwrap();
    let histories = folder.path().join("histories");
    std::fs::create_dir_all(&histories).unwrap();
    let toml = folder.path().join("dataset.toml");
    std::fs::write(&toml, DICTIONARY).unwrap();
    let writing = Writing { ids: IdType::Int64, statistics: true };
    let (good, other) = (good_rows(), fleet(3, 30, 60, 600));
    write_file(&histories.join("good.parquet"), &row_groups(&good, 64), writing);
    let bad = histories.join("bad.parquet");
    write_file(&bad, &row_groups(&other, 200), writing);
    let mut bytes = std::fs::read(&bad).unwrap();
    let footer_bytes = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize + 8;
    let data_end = bytes.len() - footer_bytes;
    bytes[data_end - 3000..data_end].fill(0xff);
    std::fs::write(&bad, &bytes).unwrap();
    let wanted = expected(good, None, IdType::Int64);
    for kind in [None, Some(ScanKind::ByVehicle), Some(ScanKind::ByTime), Some(ScanKind::Spill)] {
        for threads in [1, 4] {
            let (found, report) =
                outcome(&toml, &ScanRequest { kind, threads, hash_inputs: true, ..request() }).unwrap();
            assert_eq!(found, wanted);
            assert_eq!(report.unreadable.len(), 1);
            assert_eq!(report.unreadable[0].path, bad);
            assert_eq!(report.unreadable[0].rows, Some(other.len() as u64));
            assert_eq!(report.account.quarantined[&Quarantine::UnreadableFile], other.len() as u64);
            assert!(report.restarts >= 1);
            assert_eq!(report.inputs.len(), 2);
            assert_eq!(report.inputs[0].blake3, blake3::hash(&bytes).to_hex().to_string());
        }
    }
}

const BOMB_ROW_GROUP_ROWS: u64 = 20_000_000;

#[test]
fn a_billion_equal_rows_are_streamed() {
    const ROW_GROUPS: u64 = 50;
    let folder = tempfile::tempdir().unwrap();
    let histories = folder.path().join("histories");
    std::fs::create_dir_all(&histories).unwrap();
    let toml = folder.path().join("dataset.toml");
    let without_temp = DICTIONARY.split("[channels.temp_c]").next().unwrap();
    std::fs::write(&toml, without_temp).unwrap();
    let file = histories.join("bomb.parquet");
    write_bomb(&file, ROW_GROUPS);
    assert!(std::fs::metadata(&file).unwrap().len() < 2 << 20);
    let dataset = Dataset::open(&toml, 2, &Control::silent()).unwrap();
    let sink = Collector::new(2, 1 << 14);
    let request = ScanRequest { channels: vec![0], chunk_rows: 1 << 14, memory_limit_bytes: 64 << 20, ..request() };
    let report = scan(&dataset, &request, &Control::silent(), &sink).unwrap();
    assert_eq!(report.account.rows_in, ROW_GROUPS * BOMB_ROW_GROUP_ROWS);
    assert_eq!(report.account.scored, 1);
    assert_eq!(report.account.skipped[&Skip::Duplicate], report.account.rows_in - 1);
}

/// Writes one row group of equal rows and then its encoded columns again and again, which takes no time.
fn write_bomb(path: &Path, row_groups: u64) {
    let schema = Arc::new(Schema::new(vec![
        Field::new("vin", DataType::Int64, false),
        Field::new("date", DataType::Date32, false),
        Field::new("load", DataType::UInt16, false),
    ]));
    let rows = BOMB_ROW_GROUP_ROWS as usize;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![7; rows])),
        Arc::new(Date32Array::from(vec![100; rows])),
        Arc::new(UInt16Array::from(vec![50; rows])),
    ];
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_max_row_group_row_count(Some(rows))
        .set_data_page_row_count_limit(rows)
        .set_write_batch_size(rows)
        .build();
    let mut encoded = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut encoded, schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let encoded = bytes::Bytes::from(encoded);
    let one = SerializedFileReader::new(encoded.clone()).unwrap();
    let metadata = one.metadata();
    let file = std::fs::File::create(path).unwrap();
    let root = metadata.file_metadata().schema_descr().root_schema_ptr();
    let mut writer = SerializedFileWriter::new(file, root, Arc::default()).unwrap();
    for _ in 0..row_groups {
        let mut row_group = writer.next_row_group().unwrap();
        for column in metadata.row_group(0).columns() {
            let close = ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: BOMB_ROW_GROUP_ROWS,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            row_group.append_column(&encoded, close).unwrap();
        }
        row_group.close().unwrap();
    }
    writer.close().unwrap();
}

/// A footer that claims sizes which the file does not have.
#[test]
fn claims_beyond_the_file_are_refused_at_once() {
    quiet_caught_panics();
    let folder = tempfile::tempdir().unwrap();
    let histories = folder.path().join("histories");
    std::fs::create_dir_all(&histories).unwrap();
    let toml = folder.path().join("dataset.toml");
    std::fs::write(&toml, DICTIONARY).unwrap();
    let writing = Writing { ids: IdType::Int64, statistics: true };
    let good = good_rows();
    write_file(&histories.join("good.parquet"), &row_groups(&good, 64), writing);
    let wanted: Expected = expected(good, None, IdType::Int64);
    let bad = histories.join("bad.parquet");
    let footer = |claim: u32| [b"PAR1".as_slice(), &[0; 64], &claim.to_le_bytes(), b"PAR1"].concat();
    let mut wide = vec![0; 40 << 20];
    wide[..4].copy_from_slice(b"PAR1");
    let end = wide.len();
    wide[end - 8..end - 4].copy_from_slice(&(39_u32 << 20).to_le_bytes());
    wide[end - 4..].copy_from_slice(b"PAR1");
    for bytes in [Vec::new(), b"PAR1".to_vec(), footer(u32::MAX), footer(65), footer(64), footer(0), wide] {
        std::fs::write(&bad, &bytes).unwrap();
        let started = Instant::now();
        let (found, report) = outcome(&toml, &request()).unwrap();
        assert!(started.elapsed() < Duration::from_secs(1));
        assert_eq!(found, wanted);
        assert_eq!((report.unreadable.len(), report.unreadable[0].rows), (1, None));
    }
}
