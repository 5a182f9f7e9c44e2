//! Cubes and the search over them, columns in memory, on all cores: `cargo bench --bench cube`.
//!
//! The recipe is that of `benches/peers/cube.py`: 200,000 rows, 12 channels of 5 bins, one planted pair; counts of all
//! pairs beside numpy's, then the whole search with thresholds, shrinkage and 999 replicates. A fleet's cubes have 31
//! bins a channel and no strata.

#![allow(clippy::unwrap_used)] // a bench has nobody to hand an error to

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fleetwear::backend::cpu::cube::CpuCube;
use fleetwear::backend::cube::{CubeBackend, CubeBatch, CubePlan};
use fleetwear::discover::findings::prior;
use fleetwear::discover::passes::{CubePass, event_places, without_copies};
use fleetwear::discover::search::{SearchRequest, Space, search};
use fleetwear::discover::survey::{Block, EventRow, Settled, Survey};
use fleetwear::fixed::threefry::threefry2x32;
use fleetwear::run::Control;
use rayon::prelude::*;

const CHANNELS: usize = 12;
const CHUNK_ROWS: usize = 65_536;
/// Failures that are expected without the planted pair.
const EVENTS: f64 = 4_000.0;

fn word(row: usize, what: u32) -> u32 {
    threefry2x32([11, what], [row as u32, 0])[0]
}

fn columns(rows: usize, bins: u64) -> Vec<Vec<u8>> {
    let bin = |row: usize, channel: usize| ((u64::from(word(row, channel as u32)) * bins) >> 32) as u8;
    (0..CHANNELS).map(|channel| (0..rows).map(|row| bin(row, channel)).collect()).collect()
}

fn sum_all(backend: &dyn CubeBackend, columns: &[Vec<u8>], expected_q40: &[u64], slab: &[u32]) {
    (0..slab.len().div_ceil(CHUNK_ROWS)).into_par_iter().for_each(|chunk| {
        let rows = chunk * CHUNK_ROWS..slab.len().min((chunk + 1) * CHUNK_ROWS);
        let bins: Vec<&[u8]> = columns.iter().map(|column| &column[rows.clone()]).collect();
        let batch = CubeBatch { slab: &slab[rows.clone()], bins: &bins, expected_q40: &expected_q40[rows] };
        backend.push(&batch).unwrap();
    });
}

fn cubes(criterion: &mut Criterion) {
    for (name, rows, bins) in [("recipe, 5 bins", 200_000, 5), ("fleet, 31 bins", 2_000_000, 31)] {
        let columns = columns(rows, bins);
        let (expected_q40, slab) = (vec![1 << 20; rows], vec![0; rows]);
        let plan = CubePlan::all_pairs(1, vec![bins as usize; CHANNELS]);
        let mut group = criterion.benchmark_group("cubes of all pairs");
        group.throughput(Throughput::Elements(rows as u64)).sample_size(10);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let backend = Box::new(CpuCube::open(&plan, usize::MAX).unwrap());
                sum_all(&*backend, &columns, &expected_q40, &slab);
                backend.finish().unwrap()
            });
        });
    }
}

/// The recipe's rows, and what failed: 3.2 times as likely where channels 2 and 7 are both in their first bin.
fn recipe(rows: usize) -> (Block, Vec<EventRow>) {
    let mut block = Block::new(CHANNELS, 0);
    block.codes = columns(rows, 5).iter().map(|column| column.iter().map(|bin| u16::from(*bin)).collect()).collect();
    let mut events = Vec::new();
    for row in 0..rows {
        block.id.push(row as u32);
        block.tick.push(0);
        block.stratum.push(0);
        block.expected.push(EVENTS / rows as f64);
        let rule = block.codes[2][row] == 0 && block.codes[7][row] == 0;
        let rate = block.expected[row] * if rule { 3.2 } else { 1.0 };
        if f64::from(word(row, 99)) < rate * 4_294_967_296.0 {
            let codes = block.codes.iter().map(|column| column[row]).collect();
            events.push(EventRow { id: row as u32, codes, ..EventRow::default() });
        }
    }
    (block, events)
}

fn searches(criterion: &mut Criterion) {
    let (block, events) = recipe(200_000);
    let mut group = criterion.benchmark_group("discover");
    group.sample_size(10);
    group.bench_function("recipe: all pairs, thresholds, shrinkage, 999 replicates", |bencher| {
        bencher.iter(|| {
            let mut survey = Survey::new(&[5; CHANNELS]);
            survey.push(&block);
            let settled = Settled::new(&survey, &events, &[]);
            let pass =
                CubePass::new(&settled, Box::new(CpuCube::open(&settled.cube, usize::MAX).unwrap()), 1, events.len());
            pass.push(&block).unwrap();
            let (sums, pool) = pass.finish().unwrap();
            let (pairs, _) = without_copies(&settled, &pool);
            let places = event_places(&settled, &events);
            let space = Space {
                plan: &settled.cube,
                pairs: &pairs,
                sums: &sums,
                levels: &settled.levels,
                attribute: &settled.attribute,
                events: &places,
                pool: &pool,
            };
            let found = search(&space, &SearchRequest { replicates: 999, seed: 1 }, &Control::silent()).unwrap();
            assert_eq!(settled.cube.pairs[found.candidates[0].pair], (2, 7));
            {
                let prior = prior(&space, &found);
                (found, prior)
            }
        });
    });
}

criterion_group!(benches, cubes, searches);
criterion_main!(benches);
