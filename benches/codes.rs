//! From columns to codes and from ids to indices: rows a second of one thread, columns in memory.
//!
//! `cargo bench --bench codes`. The plain copy is the bound: what no quantiser can beat.

#![allow(clippy::unwrap_used)] // a bench has nobody to hand an error to

use std::hint::black_box;
use std::path::Path;

use arrow::array::{Array, Float32Array, Float64Array, Int32Array, Int64Array, StringArray, UInt16Array};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fleetwear::fleet::dictionary::{ChannelDefinition, ChannelSource, Stored};
use fleetwear::fleet::ids::IdTable;
use fleetwear::fleet::quantise::{CellCounts, Quantiser};
use fleetwear::model::channel::Channel;

const ROWS: usize = 65_536;

fn temperature() -> ChannelDefinition {
    let channel = Channel { name: "c".into(), unit: "degC".into(), factor: 0.1, offset: -40.0, first: 0, codes: 1_251 };
    let source = ChannelSource::Column { column: "c".into(), stored: Stored::ByType };
    ChannelDefinition { channel, source, missing: Vec::new() }
}

/// A number below `limit` that looks random, by row.
fn scatter(row: usize, limit: usize) -> usize {
    (row.wrapping_mul(2_654_435_761) >> 7) % limit
}

fn codes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codes");
    group.throughput(Throughput::Elements(ROWS as u64));
    let raw = || (0..ROWS).map(|row| scatter(row, 1_251));
    let degrees = |row: usize| scatter(row, 1_251) as f64 * 0.1 - 40.0;
    let columns: [(&str, Box<dyn Array>); 7] = [
        ("u16", Box::new(UInt16Array::from_iter_values(raw().map(|code| code as u16)))),
        (
            "u16, 1 in 100 out of range",
            Box::new(UInt16Array::from_iter_values(raw().map(|c| c as u16 + u16::from(c < 12) * 5_000))),
        ),
        ("i32", Box::new(Int32Array::from_iter_values(raw().map(|code| code as i32)))),
        ("i64", Box::new(Int64Array::from_iter_values(raw().map(|code| code as i64)))),
        ("f32", Box::new(Float32Array::from_iter_values((0..ROWS).map(|row| degrees(row) as f32)))),
        ("f64", Box::new(Float64Array::from_iter_values((0..ROWS).map(degrees)))),
        (
            "f64, 1 in 10 null",
            Box::new((0..ROWS).map(|row| (row % 10 > 0).then(|| degrees(row))).collect::<Float64Array>()),
        ),
    ];
    let definition = temperature();
    for (name, column) in &columns {
        let quantiser = Quantiser::new(&definition, column.data_type(), Path::new("f"), "c").unwrap();
        let mut out = Vec::with_capacity(ROWS);
        group.bench_function(BenchmarkId::new("quantise", name), |bencher| {
            bencher.iter(|| {
                out.clear();
                let mut cells = CellCounts::default();
                quantiser.quantise(black_box(column.as_ref()), &mut out, &mut cells).unwrap();
                black_box(&out);
            })
        });
    }
    let plain: Vec<u16> = raw().map(|code| code as u16).collect();
    let mut out = Vec::with_capacity(ROWS);
    group.bench_function("copy of u16", |bencher| {
        bencher.iter(|| {
            out.clear();
            out.extend_from_slice(black_box(&plain));
            black_box(&out);
        })
    });
    group.finish();
}

fn ids(criterion: &mut Criterion) {
    const VEHICLES: usize = 20_000;
    let mut group = criterion.benchmark_group("ids");
    group.throughput(Throughput::Elements(ROWS as u64));
    let vin = |vehicle: usize| format!("LFV3A23C4D3{vehicle:06}");
    let layouts: [(&str, fn(usize) -> usize); 3] =
        [("by vehicle", |row| row / 730), ("by day", |row| row % VEHICLES), ("no order", |row| scatter(row, VEHICLES))];
    for (layout, vehicle_of) in layouts {
        let integers = Int64Array::from_iter_values((0..ROWS).map(|row| vehicle_of(row) as i64 * 7));
        let texts = StringArray::from_iter_values((0..ROWS).map(|row| vin(vehicle_of(row))));
        let columns: [(&str, &dyn Array); 2] = [("integer", &integers), ("text", &texts)];
        for (kind, column) in columns {
            let table = IdTable::for_column(column.data_type(), Path::new("f"), "id").unwrap();
            let mut reader = table.reader(column.data_type(), Path::new("f"), "id").unwrap();
            let mut out = Vec::with_capacity(ROWS);
            group.bench_function(BenchmarkId::new(kind, layout), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    reader.index(black_box(column), &mut out).unwrap();
                    black_box(&out);
                })
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(1));
    targets = codes, ids
}
criterion_main!(benches);
