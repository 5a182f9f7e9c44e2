//! The reader against bare decoding of the same files, both on all cores: `cargo bench --bench reader`.
//!
//! Rows of the peers' recipe (`recipe`), in zstd with dictionaries, as 32-bit vehicle, 16-bit day and ten 16-bit
//! channels; by vehicle (one file), by time (a file a day) and in random order (sorted in memory, and by way of
//! disk). Only ratios of one run on one machine count.

// A bench that cannot make its data may panic.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Its tables are for the kernel.
mod recipe;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, RecordBatch, UInt16Array, UInt32Array};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fleetwear::fixed::threefry::threefry2x32;
use fleetwear::fleet::chunk::{Chunk, Order};
use fleetwear::fleet::dataset::Dataset;
use fleetwear::fleet::scan::{ChunkSink, ScanKind, ScanRequest, SinkError, scan};
use fleetwear::run::Control;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;

const VEHICLES: u32 = 5_000;
const DAYS: u32 = 730;
const ROW_GROUP_ROWS: usize = 1 << 19;
const CHUNK_ROWS: usize = 1 << 14;

/// Takes chunks and counts their rows.
#[derive(Default)]
struct Count(AtomicU64);

impl ChunkSink for Count {
    fn push(&self, _lane: usize, chunk: &Chunk) -> Result<(), SinkError> {
        self.0.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn restart(&self) -> Result<(), SinkError> {
        self.0.store(0, Ordering::Relaxed);
        Ok(())
    }
}

struct Rows {
    vehicle: Vec<u32>,
    day: Vec<u16>,
    codes: Vec<Vec<u16>>,
}

impl Rows {
    fn recipe(by_vehicle: bool) -> Self {
        let records = recipe::records(VEHICLES, DAYS, by_vehicle);
        let rows = records.slot.len() as u32;
        let day = |row| if by_vehicle { row % DAYS } else { row / VEHICLES };
        Self { vehicle: records.slot, day: (0..rows).map(|row| day(row) as u16).collect(), codes: records.codes }
    }

    fn pick(&self, rows: &[usize]) -> Self {
        let column = |column: &Vec<u16>| rows.iter().map(|&row| column[row]).collect::<Vec<u16>>();
        Self {
            vehicle: rows.iter().map(|&row| self.vehicle[row]).collect(),
            day: column(&self.day),
            codes: self.codes.iter().map(column).collect(),
        }
    }

    fn write(&self, path: &Path) {
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("vehicle_id".to_string(), Arc::new(UInt32Array::from(self.vehicle.clone()))),
            ("day".to_string(), Arc::new(UInt16Array::from(self.day.clone()))),
        ];
        for (channel, codes) in self.codes.iter().enumerate() {
            columns.push((format!("c{channel}"), Arc::new(UInt16Array::from(codes.clone()))));
        }
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(Default::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let file = std::fs::File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

fn write_dictionary(folder: &Path) {
    let mut toml = String::from(
        "[histories]\nfiles = \"*.parquet\"\nvehicle = \"vehicle_id\"\ntime = \"day\"\nperiod = \"day\"\n",
    );
    for (channel, codes) in recipe::CODES.iter().enumerate() {
        let range = format!("[0.0, {}.0]", codes - 1);
        toml += &format!("[channels.c{channel}]\nunit = \"1\"\nfactor = 1.0\noffset = 0.0\nrange = {range}\n");
    }
    std::fs::write(folder.join("dataset.toml"), toml).unwrap();
}

/// Decodes every row group of every file, as the reader would, and drops what comes.
fn decode(dataset: &Dataset) -> u64 {
    let row_groups: Vec<(&Path, usize)> = dataset
        .files
        .iter()
        .flat_map(|file| {
            let opened = std::fs::File::open(&file.path).unwrap();
            let count = ParquetRecordBatchReaderBuilder::try_new(opened).unwrap().metadata().num_row_groups();
            (0..count).map(|row_group| (file.path.as_path(), row_group))
        })
        .collect();
    let rows = row_groups.par_iter().map(|&(path, row_group)| {
        let file = std::fs::File::open(path).unwrap();
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let reader = builder.with_row_groups(vec![row_group]).with_batch_size(CHUNK_ROWS).build().unwrap();
        reader.map(|batch| batch.unwrap().num_rows() as u64).sum::<u64>()
    });
    rows.sum()
}

fn read(dataset: &Dataset, order: Order, kind: Option<ScanKind>, memory_limit_bytes: usize) -> u64 {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let request = ScanRequest {
        channels: (0..recipe::CODES.len()).collect(),
        order,
        as_of_day: None,
        threads,
        memory_limit_bytes,
        chunk_rows: CHUNK_ROWS,
        reversed: false,
        shard: None,
        kind,
        hash_inputs: false,
        files: None,
    };
    let count = Count::default();
    let report = scan(dataset, &request, &Control::silent(), &count).unwrap();
    assert!(kind.is_none_or(|kind| kind == report.kind));
    count.0.into_inner()
}

fn reader(criterion: &mut Criterion) {
    let by_vehicle = Rows::recipe(true);
    let by_time = Rows::recipe(false);
    let rows = by_vehicle.vehicle.len();
    let (vehicles, days, random) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    by_vehicle.write(&vehicles.path().join("histories.parquet"));
    for day in 0..DAYS as usize {
        let own: Vec<usize> = (day * VEHICLES as usize..(day + 1) * VEHICLES as usize).collect();
        by_time.pick(&own).write(&days.path().join(format!("{day:04}.parquet")));
    }
    let mut shuffled: Vec<usize> = (0..rows).collect();
    shuffled.sort_unstable_by_key(|&row| threefry2x32([7, 77], [row as u32, 0]));
    by_vehicle.pick(&shuffled).write(&random.path().join("histories.parquet"));
    let folders = [("by_vehicle", vehicles.path()), ("by_time", days.path()), ("random", random.path())];
    const MEMORY_BYTES: usize = 512 << 20;
    for (name, folder) in folders {
        write_dictionary(folder);
        let dataset = Dataset::open(folder, 2, &Control::silent()).unwrap();
        let mut group = criterion.benchmark_group(format!("reader/{name}"));
        group.throughput(Throughput::Elements(rows as u64)).sample_size(10);
        group.bench_function("decode alone", |bencher| bencher.iter(|| assert_eq!(decode(&dataset), rows as u64)));
        for (order_name, order) in [("any order", Order::Any), ("time order", Order::TimeOrderedPerVehicle)] {
            group.bench_function(order_name, |bencher| {
                bencher.iter(|| assert_eq!(read(&dataset, order, None, MEMORY_BYTES), rows as u64));
            });
        }
        if name == "random" {
            for (name, memory_bytes) in [("spill", MEMORY_BYTES), ("spill to disk", MEMORY_BYTES / 8)] {
                group.bench_function(name, |bencher| {
                    let kind = Some(ScanKind::Spill);
                    bencher.iter(|| assert_eq!(read(&dataset, Order::Any, kind, memory_bytes), rows as u64));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, reader);
criterion_main!(benches);
