//! The survival kernel alone, profiles in memory, on all cores: `cargo bench --bench survival`.
//!
//! The peer is `benches/peers/numba_survival.py`, the same work in numba: six modes of one mechanism, 64 paths, 52
//! weeks out of 104, ten groups. Only ratios of runs that alternate on one machine count. An element is one (part,
//! path, week).

#![allow(clippy::unwrap_used)] // a bench has nobody to hand an error to

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fleetwear::backend::cpu::instructions::Instructions;
use fleetwear::backend::cpu::survival::CpuSurvival;
use fleetwear::backend::survival::{PathPlan, SurvivalBackend, SurvivalBatch, SurvivalRequest};
use fleetwear::fixed::threefry::threefry2x32;
use fleetwear::model::survival::{ParameterDraw, SurvivalLaw, SurvivalTables};
use rayon::prelude::*;

const SHAPES: [f64; 6] = [1.4, 2.0, 3.0, 1.1, 2.5, 0.8];
const CHUNK_PARTS: usize = 256;
const CHUNKS: usize = 196; // 50,176 vehicles
const PATHS: usize = 64;
const WEEKS: usize = 52;
const SOURCE_WEEKS: usize = 104;
const GROUPS: usize = 10;
const ZONES: usize = 5;

struct Chunk {
    mode: usize,
    group: Vec<u32>,
    profile: Vec<u32>,
    clocks_q48: Vec<u64>,
    zone: Vec<u32>,
    increments: Vec<u32>,
    shifts: Vec<u8>,
}

fn kernel(criterion: &mut Criterion) {
    let mut drawn = 0;
    let mut below = |limit: u64| {
        drawn += 1;
        (u64::from(threefry2x32([7, 7], [drawn, 0])[0]) * limit) >> 32
    };
    let laws = SHAPES.map(|weibull_shape| SurvivalLaw { weibull_shape, clock_exponents: vec![1.0] });
    let tables = SurvivalTables::compile(&laws, &[ParameterDraw::central(&laws)]).unwrap();
    let plan = PathPlan {
        paths: PATHS,
        weeks: WEEKS,
        zones: ZONES,
        source_weeks: SOURCE_WEEKS,
        source_week: (0..ZONES * PATHS * WEEKS).map(|_| below(SOURCE_WEEKS as u64) as u16).collect(),
        draws: vec![0; PATHS],
        marks: Vec::new(),
    };
    let chunks: Vec<Chunk> = (0..CHUNKS * SHAPES.len())
        .map(|chunk| Chunk {
            mode: chunk % SHAPES.len(),
            group: (0..CHUNK_PARTS).map(|_| below(GROUPS as u64) as u32).collect(),
            profile: (0..CHUNK_PARTS as u32).collect(),
            clocks_q48: (0..CHUNK_PARTS).map(|_| below(1 << 32) << 16).collect(),
            zone: (0..CHUNK_PARTS).map(|_| below(ZONES as u64) as u32).collect(),
            // Up to 0.005 lives a week.
            increments: (0..CHUNK_PARTS * SOURCE_WEEKS).map(|_| below(20_971_520) as u32).collect(),
            shifts: vec![16; CHUNK_PARTS],
        })
        .collect();
    let mut group = criterion.benchmark_group("survival");
    group.throughput(Throughput::Elements((chunks.len() * CHUNK_PARTS * PATHS * WEEKS) as u64)).sample_size(10);
    for instructions in Instructions::available() {
        let request = SurvivalRequest { tables: &tables, plan: &plan, groups: GROUPS };
        group.bench_function(instructions.name(), |bencher| {
            bencher.iter(|| {
                // Opened anew: a backend counts the parts it is given.
                let backend = CpuSurvival::open_with(&request, instructions).unwrap();
                chunks.par_iter().for_each(|chunk| {
                    let batch = SurvivalBatch {
                        mode: chunk.mode,
                        group: &chunk.group,
                        profile: &chunk.profile,
                        clocks_q48: &chunk.clocks_q48,
                        zone: &chunk.zone,
                        increments: &chunk.increments,
                        shifts: &chunk.shifts,
                    };
                    backend.push(&batch, &mut vec![0; CHUNK_PARTS * WEEKS]).unwrap();
                });
            });
        });
    }
}

criterion_group!(benches, kernel);
criterion_main!(benches);
