//! Scoring from Parquet to Parquet, against reading alone: `cargo bench --bench pipeline`.
//!
//! A synthetic fleet under the shipped passenger-car model, by vehicle and by day. Only ratios of one run on one
//! machine count.

// A bench that cannot set up its data has nothing better to do than to stop.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fleetwear::backend::Choice;
use fleetwear::engine::plan::CHUNK_ROWS;
use fleetwear::engine::{ScorePlan, score};
use fleetwear::fleet::chunk::Order;
use fleetwear::fleet::dataset::Dataset;
use fleetwear::fleet::scan::{Nowhere, ScanRequest, scan};
use fleetwear::model::compile::compile;
use fleetwear::model::spec::Model;
use fleetwear::run::Control;
use fleetwear::synth::plan::{Layout, SynthPlan};

const MODEL: &str = "ev-passenger";
const VEHICLES: u32 = 4_000;
const DAYS: u32 = 365;
const MEMORY_BYTES: usize = 512 << 20;

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Reads the channels that the model needs, and nothing else.
fn read(folder: &Path) -> u64 {
    let dataset = Dataset::open(folder, threads(), &Control::silent()).unwrap();
    let model = compile(&Model::load(MODEL).unwrap(), &dataset.dictionary.schema()).unwrap();
    let request = ScanRequest {
        channels: model.channels,
        order: Order::Any,
        as_of_day: None,
        threads: threads(),
        memory_limit_bytes: MEMORY_BYTES,
        chunk_rows: CHUNK_ROWS,
        reversed: false,
        shard: None,
        kind: None,
        hash_inputs: false,
        files: None,
    };
    scan(&dataset, &request, &Control::silent(), &Nowhere).unwrap().account.scored
}

fn score_into(folder: &Path, drivers: bool) -> u64 {
    let out = tempfile::tempdir().unwrap();
    let mut plan = ScorePlan::new(folder.to_path_buf(), MODEL, out.path().join("scores"));
    (plan.backend, plan.drivers, plan.hash_inputs) = (Choice::Cpu, drivers, false);
    score(&plan, &Control::silent()).unwrap().account.scored
}

fn pipeline(criterion: &mut Criterion) {
    for (name, layout) in [("by_vehicle", Layout::Vehicle), ("by_day", Layout::Day)] {
        let folder = tempfile::tempdir().unwrap();
        let fleet = folder.path().join("fleet");
        let mut plan = SynthPlan::new(VEHICLES, DAYS, 7);
        plan.layout = layout;
        fleetwear::synth::generate(&plan, &fleet, &Control::silent()).unwrap();
        let rows = read(&fleet);
        let mut group = criterion.benchmark_group(format!("pipeline/{name}"));
        group.throughput(Throughput::Elements(rows)).sample_size(10);
        group.bench_function("read alone", |bencher| bencher.iter(|| assert_eq!(read(&fleet), rows)));
        group.bench_function("score", |bencher| bencher.iter(|| assert_eq!(score_into(&fleet, true), rows)));
        group.bench_function("score without drivers", |bencher| {
            bencher.iter(|| assert_eq!(score_into(&fleet, false), rows));
        });
        group.finish();
    }
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
