//! Ring 2: every survival backend on the same parts, equal to the reference, whatever the size, split and order.
//!
//! The reference itself stands against f64 in `oracle`.

use std::thread;

use fleetwear::backend::BackendError;
use fleetwear::backend::cpu::instructions::Instructions;
use fleetwear::backend::cpu::survival::CpuSurvival;
#[cfg(feature = "gpu")]
use fleetwear::backend::gpu::{limits::GpuLimits, survival::GpuSurvival};
use fleetwear::backend::survival::{PathPlan, SurvivalBackend, SurvivalRequest, SurvivalSums};
use fleetwear::backend::survival_gate::SurvivalGateError;

use super::{Parts, Words, World, parts, world};

/// Opens the backend under test.
pub type Open<'a> = dyn Fn(&SurvivalRequest) -> Result<Box<dyn SurvivalBackend>, BackendError> + 'a;

/// What was computed: sums over parts, and of each part.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    sums: SurvivalSums,
    parts_q48: Vec<Vec<u64>>,
}

fn request(world: &World) -> SurvivalRequest<'_> {
    SurvivalRequest { tables: &world.tables, plan: &world.plan, groups: world.groups }
}

/// All parts of all modes in one push each, by plain loops.
fn reference(world: &World, modes: &[Parts]) -> Answer {
    let open = |request: &SurvivalRequest| -> Result<Box<dyn SurvivalBackend>, BackendError> {
        Ok(Box::new(CpuSurvival::open_with(request, Instructions::Scalar)?))
    };
    answer(&open, world, modes, 1, 0)
}

/// The same through some backend: `pushes` pushes a mode from as many threads, parts in an order of their own.
fn answer(open: &Open, world: &World, modes: &[Parts], pushes: usize, order: u32) -> Answer {
    let backend = open(&request(world)).unwrap();
    let columns = world.plan.columns();
    let mut parts_q48 = Vec::new();
    for parts in modes {
        let count = parts.group.len();
        let mut places: Vec<usize> = (0..count).collect();
        if order > 0 {
            let mut words = Words::new(order);
            places.sort_by_cached_key(|_| words.word());
        }
        // Noise, which every place must lose.
        let mut sums_q48 = vec![0xA5A5_A5A5_A5A5_A5A5; count * columns];
        let cuts: Vec<usize> = (0..=pushes).map(|push| count * push / pushes).collect();
        let answers: Vec<(Vec<usize>, Vec<u64>)> = thread::scope(|scope| {
            let pushed: Vec<_> = (cuts.windows(2))
                .map(|cut| {
                    let which = places[cut[0]..cut[1]].to_vec();
                    let backend = &backend;
                    scope.spawn(move || {
                        let mut some_q48 = vec![0x5A5A_5A5A_5A5A_5A5A; which.len() * columns];
                        backend.push(&parts.pick(&which).batch(), &mut some_q48).unwrap();
                        (which, some_q48)
                    })
                })
                .collect();
            pushed.into_iter().map(|push| push.join().unwrap()).collect()
        });
        for (which, some_q48) in answers {
            for (at, part) in which.into_iter().enumerate() {
                sums_q48[part * columns..(part + 1) * columns]
                    .copy_from_slice(&some_q48[at * columns..(at + 1) * columns]);
            }
        }
        parts_q48.push(sums_q48);
    }
    Answer { sums: backend.finish().unwrap(), parts_q48 }
}

/// The first difference, or nothing.
fn compare(expected: &Answer, got: &Answer) -> Result<(), String> {
    let first = |what: String, expected: &[u64], got: &[u64]| {
        if expected.len() != got.len() {
            return Err(format!("{what}: {} sums, expected {}", got.len(), expected.len()));
        }
        match expected.iter().zip(got).position(|(expected, got)| expected != got) {
            Some(at) => Err(format!("{what} {at}: {:#x}, expected {:#x}", got[at], expected[at])),
            None => Ok(()),
        }
    };
    for (mode, (expected, got)) in expected.parts_q48.iter().zip(&got.parts_q48).enumerate() {
        first(format!("mode {mode} part"), expected, got)?;
    }
    first("failures".to_owned(), &expected.sums.failures_q40, &got.sums.failures_q40)?;
    first("squares".to_owned(), &expected.sums.squares_q40, &got.sums.squares_q40)
}

fn all_modes(world: &World, seed: u32, count: usize) -> Vec<Parts> {
    (0..world.laws.len()).map(|mode| parts(world, seed + mode as u32, mode, count)).collect()
}

/// Everything a backend must get right.
pub fn conformance(name: &str, open: &Open) {
    let check = |what: &str, world: &World, modes: &[Parts], pushes: usize, order: u32| {
        let count = modes[0].group.len();
        if let Err(difference) = compare(&reference(world, modes), &answer(open, world, modes, pushes, order)) {
            panic!("{name}, {what}, {count} parts in {pushes} pushes: {difference}");
        }
    };
    for (at, size) in [0, 1, 63, 64, 65, 255, 256, 257].into_iter().enumerate() {
        let world = world(at as u32, 3, 6, 1);
        check("sizes", &world, &all_modes(&world, 9, size), 1, 0);
    }
    for (at, paths) in [1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 129].into_iter().enumerate() {
        let world = world(20 + at as u32, paths, 7, 1 + at % 4);
        check("paths", &world, &all_modes(&world, 31, 40), 1, 0);
    }
    let long = world(50, 5, 104, 2);
    check("a long horizon", &long, &all_modes(&long, 8, 20), 1, 0);
    let split = world(60, 20, 9, 3);
    let modes = all_modes(&split, 77, 150);
    for (pushes, order) in [(1, 1), (4, 0), (7, 2), (3, 3)] {
        check("split and order", &split, &modes, pushes, order);
    }
    let mut new = modes.clone();
    new.iter_mut().for_each(|parts| parts.clocks_q48.fill(0));
    check("new parts", &split, &new, 1, 0);
    let mut still = modes.clone();
    still.iter_mut().for_each(|parts| parts.increments.fill(0));
    check("parts at rest", &split, &still, 1, 0);
    let mut extreme = modes;
    let limit = split.plan.increment_limit();
    for parts in &mut extreme {
        parts.clocks_q48.iter_mut().step_by(2).for_each(|clock| *clock = i64::MAX as u64);
        parts.increments.iter_mut().step_by(3).for_each(|increment| *increment = limit);
        parts.shifts.iter_mut().step_by(2).for_each(|shift| *shift = 47);
        parts.shifts.iter_mut().skip(1).step_by(2).for_each(|shift| *shift = 0);
    }
    check("extremes", &split, &extreme, 1, 0);
    refusals(open, &split);
}

/// Broken promises are errors, and what was refused is not added.
fn refusals(open: &Open, world: &World) {
    let backend = open(&request(world)).unwrap();
    let good = parts(world, 4, 2, 30);
    let places = good.group.len() * world.plan.columns();
    let refused = |parts: &Parts, places: usize| match backend.push(&parts.batch(), &mut vec![0; places]) {
        Err(BackendError::SurvivalGate(error)) => error,
        other => panic!("{other:?}"),
    };
    let limit = |parts: &Parts| match refused(parts, places) {
        SurvivalGateError::Limit { what, .. } => what,
        other => panic!("{other}"),
    };
    let broken = |change: &dyn Fn(&mut Parts)| {
        let mut parts = good.clone();
        change(&mut parts);
        parts
    };
    assert!(matches!(refused(&good, places - 1), SurvivalGateError::Length { .. }));
    assert!(matches!(refused(&broken(&|parts| parts.shifts.truncate(3)), places), SurvivalGateError::Length { .. }));
    assert_eq!(limit(&broken(&|parts| parts.mode = 5)), "mode");
    assert_eq!(limit(&broken(&|parts| parts.group[29] = 7)), "group");
    assert_eq!(limit(&broken(&|parts| parts.profile[0] = 16)), "profile");
    assert_eq!(limit(&broken(&|parts| parts.zone[1] = 3)), "zone");
    assert_eq!(limit(&broken(&|parts| parts.clocks_q48[5] = 1 << 63)), "clock");
    assert_eq!(limit(&broken(&|parts| parts.shifts[0] = 48)), "shift");
    assert_eq!(limit(&broken(&|parts| parts.increments[7] = world.plan.increment_limit() + 1)), "increment");
    backend.push(&good.batch(), &mut vec![0; places]).unwrap();
    let got = backend.finish().unwrap();
    assert_eq!(got, reference(world, std::slice::from_ref(&good)).sums);

    let open_with = |change: &dyn Fn(&mut PathPlan)| {
        let mut plan = world.plan.clone();
        change(&mut plan);
        open(&SurvivalRequest { plan: &plan, ..request(world) }).err().map(|error| error.to_string())
    };
    assert_eq!(open_with(&|_| ()), None);
    let changes: [(&dyn Fn(&mut PathPlan), &str); 6] = [
        (&|plan| plan.source_week[3] = 30, "source week"),
        (&|plan| plan.draws[1] = 3, "draw"),
        (&|plan| plan.marks[0].sevenths = 7, "sevenths"),
        (&|plan| plan.marks.reverse(), "order"),
        (&|plan| plan.marks[3].sevenths = 1, "week of mark"),
        (&|plan| plan.weeks += 1, "source weeks of the plan"),
    ];
    for (change, word) in changes {
        assert!(open_with(change).is_some_and(|text| text.contains(word)), "{word}");
    }
}

fn cpu_conforms(name: &str) {
    match Instructions::available().into_iter().find(|instructions| instructions.name() == name) {
        Some(found) => conformance(name, &move |request| Ok(Box::new(CpuSurvival::open_with(request, found)?))),
        None => println!("skipped: this processor lacks {name}"),
    }
}

#[test]
fn scalar_conforms() {
    cpu_conforms("scalar");
}

#[test]
fn avx2_conforms() {
    cpu_conforms("avx2");
}

#[test]
fn avx512_conforms() {
    cpu_conforms("avx512");
}

#[test]
fn comparator_objects_to_wrong_answers() {
    let world = world(60, 20, 9, 3);
    let modes = all_modes(&world, 77, 10);
    let right = reference(&world, &modes);
    compare(&right, &right).unwrap();
    let mut wrong = right.clone();
    wrong.parts_q48[2][7] ^= 1;
    assert!(compare(&right, &wrong).unwrap_err().starts_with("mode 2 part 7"));
    let mut wrong = right.clone();
    wrong.sums.failures_q40[11] += 1;
    assert!(compare(&right, &wrong).unwrap_err().starts_with("failures 11"));
    let mut wrong = right.clone();
    wrong.sums.squares_q40.pop();
    assert!(compare(&right, &wrong).unwrap_err().starts_with("squares"));
}

/// Small pieces and runs, so that the suite's sizes cross every border; buffers start as noise.
#[cfg(feature = "gpu")]
#[test]
fn gpu_conforms() {
    let Some(device) = crate::gpu::required_device("survival::batches::gpu_conforms") else { return };
    let limits = GpuLimits { dispatch_rows: 50, poison: true, ..GpuLimits::default() };
    conformance("gpu", &move |request| Ok(Box::new(GpuSurvival::open(request, Some(device), limits)?)));
}

/// The limits that users get.
#[cfg(feature = "gpu")]
#[test]
fn gpu_with_default_limits_equals_the_reference() {
    let Some(device) = crate::gpu::required_device("survival::batches::gpu_with_default_limits") else { return };
    let world = world(90, 64, 26, 2);
    let modes = all_modes(&world, 3, 600);
    let open = move |request: &SurvivalRequest| -> Result<Box<dyn SurvivalBackend>, BackendError> {
        Ok(Box::new(GpuSurvival::open(request, Some(device), GpuLimits::default())?))
    };
    compare(&reference(&world, &modes), &answer(&open, &world, &modes, 2, 1)).unwrap();
}

/// A device that vanishes ends in a typed error, and what follows is refused.
#[cfg(feature = "gpu")]
#[test]
fn lost_device_is_an_error() {
    let Some(device) = crate::gpu::required_device("survival::batches::lost_device") else { return };
    let world = world(90, 5, 6, 1);
    let parts = parts(&world, 3, 0, 40);
    let mut sums_q48 = vec![0; 40 * world.plan.columns()];
    let backend = Box::new(GpuSurvival::open(&request(&world), Some(device), GpuLimits::default()).unwrap());
    backend.push(&parts.batch(), &mut sums_q48).unwrap();
    backend.device().destroy();
    let error = backend.push(&parts.batch(), &mut sums_q48).unwrap_err();
    assert!(matches!(error, BackendError::Lost { .. }), "{error}");
    assert!(matches!(backend.finish().unwrap_err(), BackendError::Lost { .. }));
}
