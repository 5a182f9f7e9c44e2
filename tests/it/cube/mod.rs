//! Cubes: every backend equal to plain loops, whatever the size, split and order.

use std::thread;

use fleetwear::backend::BackendError;
use fleetwear::backend::cpu::cube::CpuCube;
use fleetwear::backend::cube::{CubeBackend, CubeBatch, CubeGateError, CubePlan, CubeSums, events, expected_q40};
#[cfg(feature = "gpu")]
use fleetwear::backend::gpu::{cube::GpuCube, limits::GpuLimits};

use crate::survival::Words;

type Open<'a> = dyn Fn(&CubePlan) -> Result<Box<dyn CubeBackend>, BackendError> + 'a;

/// Records by column.
struct Records {
    slab: Vec<u32>,
    bins: Vec<Vec<u8>>,
    expected_q40: Vec<u64>,
}

/// Random records: expectations of nothing, of less than a word and of more; slabs in runs or mixed.
fn records(plan: &CubePlan, seed: u32, count: usize, mixed: bool) -> Records {
    let mut words = Words::new(seed);
    let mut slab = 0;
    let mut made = Records { slab: Vec::new(), bins: vec![Vec::new(); plan.bins.len()], expected_q40: Vec::new() };
    for _ in 0..count {
        if mixed || words.below(100) == 0 {
            slab = words.below(plan.slabs) as u32;
        }
        made.slab.push(slab);
        for (column, bins) in made.bins.iter_mut().zip(&plan.bins) {
            column.push(words.below(*bins).min(words.below(*bins)) as u8);
        }
        let shift = words.below(64);
        let wide = u64::from(words.word()) << 32 | u64::from(words.word());
        made.expected_q40.push(wide >> 20 >> shift);
    }
    made
}

/// The same by plain loops over a few lines.
fn reference(plan: &CubePlan, records: &Records) -> CubeSums {
    let places = plan.slabs * plan.cells();
    let mut sums = CubeSums { expected_q40: vec![0; places], records: vec![0; places] };
    for (row, slab) in records.slab.iter().enumerate() {
        let mut first = *slab as usize * plan.cells();
        for (a, b) in &plan.pairs {
            let cell = first + records.bins[*a][row] as usize * plan.bins[*b] + records.bins[*b][row] as usize;
            sums.expected_q40[cell] += records.expected_q40[row];
            sums.records[cell] += 1;
            first += plan.bins[*a] * plan.bins[*b];
        }
    }
    sums
}

fn push(backend: &dyn CubeBackend, records: &Records, rows: std::ops::Range<usize>) -> Result<(), BackendError> {
    let bins: Vec<&[u8]> = records.bins.iter().map(|column| &column[rows.clone()]).collect();
    let (slab, expected_q40) = (&records.slab[rows.clone()], &records.expected_q40[rows]);
    backend.push(&CubeBatch { slab, bins: &bins, expected_q40 })
}

fn answer(open: &Open, plan: &CubePlan, records: &Records, pushes: usize) -> CubeSums {
    let backend = open(plan).unwrap();
    let count = records.slab.len();
    thread::scope(|scope| {
        for at in 0..pushes {
            let backend = &backend;
            scope.spawn(move || push(&**backend, records, count * at / pushes..count * (at + 1) / pushes).unwrap());
        }
    });
    backend.finish().unwrap()
}

/// The first difference, or nothing.
fn compare(expected: &CubeSums, got: &CubeSums) -> Result<(), String> {
    for (what, expected, got) in
        [("expected", &expected.expected_q40, &got.expected_q40), ("records", &expected.records, &got.records)]
    {
        if expected.len() != got.len() {
            return Err(format!("{what}: {} cells, expected {}", got.len(), expected.len()));
        }
        if let Some(at) = (0..got.len()).find(|at| expected[*at] != got[*at]) {
            return Err(format!("{what} of cell {at}: {:#x}, expected {:#x}", got[at], expected[at]));
        }
    }
    Ok(())
}

/// Everything a backend must get right.
fn conformance(name: &str, open: &Open) {
    let small = CubePlan::all_pairs(3, vec![5, 1, 64, 32, 2]);
    for (seed, size) in [0, 1, 63, 64, 65, 255, 256, 257, 8191, 8193].into_iter().enumerate() {
        for mixed in [false, true] {
            let records = records(&small, seed as u32, size, mixed);
            let got = answer(open, &small, &records, 1);
            if let Err(difference) = compare(&reference(&small, &records), &got) {
                panic!("{name}, {size} records, mixed {mixed}: {difference}");
            }
        }
    }
    // Windows that end in the middle, and one pair twice.
    let wide = CubePlan { slabs: 7, bins: vec![64, 63], pairs: vec![(0, 1), (1, 0), (0, 0), (0, 1)] };
    let many = records(&wide, 40, 20_000, true);
    for pushes in [1, 2, 7] {
        if let Err(difference) = compare(&reference(&wide, &many), &answer(open, &wide, &many, pushes)) {
            panic!("{name}, wide, {pushes} pushes: {difference}");
        }
    }
    let none = CubePlan { slabs: 2, bins: vec![3], pairs: vec![] };
    assert_eq!(answer(open, &none, &records(&none, 1, 9, true), 1), CubeSums::default());
    refusals(open);
}

fn refusals(open: &Open) {
    let plan = CubePlan::all_pairs(2, vec![4, 4]);
    let refused = |slab: &[u32], bins: &[&[u8]], expected_q40: &[u64]| {
        let backend = open(&plan).unwrap();
        let error = backend.push(&CubeBatch { slab, bins, expected_q40 }).unwrap_err();
        assert!(backend.finish().unwrap().records.iter().all(|records| *records == 0), "nothing of it was added");
        match error {
            BackendError::CubeGate(error) => error,
            other => panic!("{other}"),
        }
    };
    assert!(matches!(refused(&[2], &[&[0], &[0]], &[1]), CubeGateError::Limit { what: "slab of row", .. }));
    assert!(matches!(refused(&[0], &[&[0], &[4]], &[1]), CubeGateError::Limit { what: "bin of row", .. }));
    assert!(matches!(refused(&[0], &[&[0]], &[1]), CubeGateError::Length { what: "columns", .. }));
    assert!(matches!(refused(&[0], &[&[0], &[]], &[1]), CubeGateError::Length { .. }));
    assert!(matches!(refused(&[0], &[&[0], &[0]], &[]), CubeGateError::Length { .. }));
    assert_eq!(refused(&[0, 0], &[&[0, 0], &[0, 0]], &[u64::MAX, 1]), CubeGateError::Overflow);
    for plan in [
        CubePlan { slabs: 1, bins: vec![65], pairs: vec![] },
        CubePlan { slabs: 1, bins: vec![0], pairs: vec![] },
        CubePlan { slabs: 1, bins: vec![3], pairs: vec![(0, 1)] },
        CubePlan { slabs: 1 << 30, bins: vec![3, 3], pairs: vec![(0, 1)] },
    ] {
        assert!(matches!(open(&plan), Err(BackendError::CubeGate(_))), "{plan:?}");
    }
}

#[test]
fn the_processor_sums_cubes() {
    conformance("cpu", &|plan| Ok(Box::new(CpuCube::open(plan, usize::MAX)?)));
    // One set of sums for all threads: they wait for each other.
    conformance("cpu, little memory", &|plan| Ok(Box::new(CpuCube::open(plan, 0)?)));
}

#[cfg(feature = "gpu")]
#[test]
fn a_device_sums_the_same_cubes() {
    let Some(device) = crate::gpu::required_device("a_device_sums_the_same_cubes") else { return };
    // Small limits, so that every border is crossed; buffers begin with noise.
    let limits = GpuLimits {
        stage_bytes: 60_000,
        driver_range_bytes: 300_000,
        dispatch_rows: 5_000,
        poison: true,
        ..GpuLimits::default()
    };
    conformance("gpu", &|plan| Ok(Box::new(GpuCube::open(plan, Some(device), limits)?)));
}

#[cfg(feature = "gpu")]
#[test]
fn a_lost_device_is_an_error_from_then_on() {
    let Some(device) = crate::gpu::required_device("a_lost_device_is_an_error_from_then_on") else { return };
    let plan = CubePlan::all_pairs(1, vec![4, 4]);
    let cube = Box::new(GpuCube::open(&plan, Some(device), GpuLimits::default()).unwrap());
    let records = records(&plan, 1, 100, false);
    push(&*cube, &records, 0..50).unwrap();
    cube.device().destroy();
    let lost = push(&*cube, &records, 50..100).and_then(|()| cube.finish().map(|_| ()));
    assert!(lost.unwrap_err().is_device_failure());
}

#[test]
fn the_comparison_sees_a_single_unit() {
    let plan = CubePlan::all_pairs(2, vec![3, 4]);
    let right = reference(&plan, &records(&plan, 5, 100, true));
    for wrong in [
        CubeSums { records: right.records[1..].to_vec(), ..right.clone() },
        {
            let mut wrong = right.clone();
            wrong.expected_q40[7] ^= 1;
            wrong
        },
        {
            let mut wrong = right.clone();
            wrong.records[23] += 1;
            wrong
        },
    ] {
        assert!(compare(&right, &wrong).is_err());
    }
    assert!(compare(&right, &right).is_ok());
}

#[test]
fn expectations_are_rounded_to_the_nearest_unit() {
    let unit = events(1);
    assert_eq!([0.0, -1.0, f64::NAN, 0.4 * unit, 0.6 * unit, 1.0].map(expected_q40), [0, 0, 0, 0, 1, 1 << 40]);
    assert_eq!(events(expected_q40(1234.5)), 1234.5);
}
