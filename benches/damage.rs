//! The damage kernel alone, columns in memory, on all cores: `cargo bench --bench damage`.
//!
//! The peer is `benches/peers/numba_kernel.py`, the same work in numba; only ratios of one run on one machine count.

#![allow(clippy::unwrap_used)] // a bench has nobody to hand an error to

mod recipe;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fleetwear::backend::cpu::damage::CpuDamage;
use fleetwear::backend::cpu::instructions::Instructions;
use fleetwear::backend::{DamageBackend, DamageBatch, DamageRequest, SlotMasks};
use rayon::prelude::*;

const CHUNK_ROWS: usize = 65_536;
const VEHICLES: u32 = 5_000;
const DAYS: u32 = 730;

fn push_all(backend: &dyn DamageBackend, records: &recipe::Records) {
    (0..records.slot.len().div_ceil(CHUNK_ROWS)).into_par_iter().for_each(|chunk| {
        let rows = chunk * CHUNK_ROWS..records.slot.len().min((chunk + 1) * CHUNK_ROWS);
        let codes: Vec<&[u16]> = records.codes.iter().map(|column| &column[rows.clone()]).collect();
        let slot = &records.slot[rows];
        backend.push(&DamageBatch { slot, vehicle: slot, codes: &codes }).unwrap();
    });
}

fn kernel(criterion: &mut Criterion) {
    let (tables, masks) = (recipe::tables(), SlotMasks::default());
    for (order, by_vehicle) in [("by_vehicle", true), ("by_time", false)] {
        let records = recipe::records(VEHICLES, DAYS, by_vehicle);
        let mut group = criterion.benchmark_group(format!("damage/{order}"));
        group.throughput(Throughput::Elements(records.slot.len() as u64)).sample_size(10);
        for instructions in Instructions::available() {
            for drivers in [false, true] {
                let request = DamageRequest { tables: &tables, masks: &masks, drivers };
                let backend = CpuDamage::open_with(&request, instructions).unwrap();
                let name = if drivers { "with drivers" } else { "clocks" };
                group.bench_function(BenchmarkId::new(instructions.name(), name), |bencher| {
                    bencher.iter(|| push_all(&backend, &records));
                });
            }
        }
    }
}

criterion_group!(benches, kernel);
criterion_main!(benches);
