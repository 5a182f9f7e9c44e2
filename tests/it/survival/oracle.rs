//! Ring 3: the kernel against the law in f64, written straight from the formulas.

use fleetwear::backend::cpu::instructions::Instructions;
use fleetwear::backend::cpu::survival::CpuSurvival;
use fleetwear::backend::survival::{SurvivalBackend, SurvivalRequest};

use super::{Parts, World, parts, world};

/// p of one part in one path at every column, from the increments that the kernel is given.
fn path(world: &World, parts: &Parts, part: usize, path: usize) -> Vec<f64> {
    let plan = &world.plan;
    let law = &world.laws[parts.mode];
    let draw = &world.draws[plan.draws[path] as usize];
    let before: usize = world.laws[..parts.mode].iter().map(|law| law.clock_exponents.len()).sum();
    let row = parts.profile[part] as usize;
    let mechanisms = law.clock_exponents.len();
    let shape = draw.weibull_shapes[parts.mode];
    let source = |week: usize| {
        let zone = parts.zone[row] as usize;
        usize::from(plan.source_week[(zone * plan.paths + path) * plan.weeks + week])
    };
    let increment = |mechanism: usize, week: usize| {
        let at = (row * mechanisms + mechanism) * plan.source_weeks + source(week);
        u64::from(parts.increments[at])
    };
    let chance = |weeks: usize, sevenths: u64| {
        let (mut damage, mut growth) = (0.0, 0.0);
        for (mechanism, exponent) in law.clock_exponents.iter().enumerate() {
            let rate = libm::exp2(draw.rates_log2[before + mechanism]);
            let clock = parts.clocks_q48[part * mechanisms + mechanism] as f64 / libm::exp2(48.0) * rate;
            let mut units: u64 = (0..weeks).map(|week| increment(mechanism, week)).sum();
            if sevenths > 0 {
                // A unit is the resolution that the increments came in: parts of it are not lived.
                units += increment(mechanism, weeks) * sevenths / 7;
            }
            let unit_log2 = f64::from(parts.shifts[row * mechanisms + mechanism]) - 48.0;
            let taken = units as f64 * libm::exp2(unit_log2) * rate;
            damage += libm::pow(clock, *exponent);
            growth += match clock == 0.0 {
                true => libm::pow(taken, *exponent),
                false => libm::pow(clock, *exponent) * libm::expm1(exponent * libm::log1p(taken / clock)),
            };
        }
        let hazard = match damage == 0.0 {
            true => libm::pow(growth, shape),
            false => libm::pow(damage, shape) * libm::expm1(shape * libm::log1p(growth / damage)),
        };
        // A damage so small that its power is lost beside the growth's gives 0 times infinity.
        let hazard = if hazard.is_nan() { libm::pow(growth, shape) } else { hazard };
        -libm::expm1(-hazard)
    };
    (1..=plan.weeks)
        .map(|weeks| chance(weeks, 0))
        .chain(plan.marks.iter().map(|mark| chance(mark.week as usize, u64::from(mark.sevenths))))
        .collect()
}

/// The largest relative difference where the oracle says 1e-7 or more, and the largest absolute one below.
fn worst(expected: &[f64], got: &[f64]) -> (f64, f64) {
    assert_eq!(expected.len(), got.len());
    expected.iter().zip(got).fold((0.0, 0.0), |(relative, absolute), (expected, got)| match *expected >= 1e-7 {
        true => (f64::max(relative, (got / expected - 1.0).abs()), absolute),
        false => (relative, f64::max(absolute, (got - expected).abs())),
    })
}

/// p of every part and column of a world with one path.
fn kernel(world: &World, parts: &Parts) -> Vec<f64> {
    let request = SurvivalRequest { tables: &world.tables, plan: &world.plan, groups: world.groups };
    let backend = CpuSurvival::open_with(&request, Instructions::Scalar).unwrap();
    let mut sums_q48 = vec![0; parts.group.len() * world.plan.columns()];
    backend.push(&parts.batch(), &mut sums_q48).unwrap();
    sums_q48.iter().map(|sum| *sum as f64 / libm::exp2(48.0)).collect()
}

#[test]
fn p_is_within_a_ten_thousandth_of_the_law() {
    let (mut relative, mut absolute, mut compared) = (0.0, 0.0, 0);
    for seed in 0..40 {
        let world = world(seed, 1, 20, 1 + seed as usize % 3);
        for mode in 0..world.laws.len() {
            let parts = parts(&world, 1000 + seed, mode, 100);
            let expected: Vec<f64> = (0..100).flat_map(|part| path(&world, &parts, part, 0)).collect();
            let got = kernel(&world, &parts);
            let (one_relative, one_absolute) = worst(&expected, &got);
            relative = f64::max(relative, one_relative);
            absolute = f64::max(absolute, one_absolute);
            compared += expected.iter().filter(|p| (1e-7..0.99).contains(*p)).count();
            assert!(one_relative < 1e-4 && one_absolute < 1e-11, "seed {seed} mode {mode}: {relative:e} {absolute:e}");
        }
    }
    println!(
        "survival against f64: worst {relative:.2e} relative over {compared} p, {absolute:.1e} absolute below 1e-7"
    );
    assert!(compared > 100_000, "{compared}: too few lie where the test looks");
}

/// A new part has no damage to compare with: the hazard is growth^shape, as exact as its logarithm.
#[test]
fn new_parts_and_parts_at_rest_are_exact() {
    let world = world(3, 1, 8, 1);
    let mut parts = parts(&world, 5, 0, 200);
    parts.clocks_q48.fill(0);
    let expected: Vec<f64> = (0..200).flat_map(|part| path(&world, &parts, part, 0)).collect();
    let (relative, _) = worst(&expected, &kernel(&world, &parts));
    assert!(relative < 1e-4, "{relative:e}");
    parts.increments.fill(0);
    assert!(kernel(&world, &parts).iter().all(|p| *p == 0.0));
}

#[test]
fn comparator_objects_to_a_wrong_law() {
    let mut world = world(3, 1, 20, 1);
    let parts = parts(&world, 5, 0, 50);
    let got = kernel(&world, &parts);
    world.laws[0].weibull_shape *= 1.0001;
    world.draws[0].weibull_shapes[0] *= 1.0001;
    let expected: Vec<f64> = (0..50).flat_map(|part| path(&world, &parts, part, 0)).collect();
    assert!(worst(&expected, &got).0 > 1e-4);
    assert_eq!(worst(&[0.5, 1e-8], &[0.5, 2e-8]), (0.0, 1e-8));
    assert!(worst(&[0.5], &[0.500_06]).0 > 1e-4);
}
