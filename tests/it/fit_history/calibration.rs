//! Many small fleets: whether errors of estimates are as large as the fits say; and one large fleet. Full size is run by
//! name (`--ignored`) and prints its figures; a few fleets are held to wider bounds in every run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use fleetwear::engine;
use fleetwear::fit::history::{HistoryFit, Status};
use fleetwear::run::Control;
use fleetwear::synth::{SynthPlan, generate};

use super::{PLANTED, Planted, moved};

const ZONES: [&str; 2] = ["helsinki", "shanghai"];

fn print(fit: &HistoryFit, fleet: &Planted) {
    for group in &fit.groups {
        println!(
            "  {:?}: {} lives, {} failures, expected {:.1}; left out {:?}; orders {:?}",
            group.modes, group.counts.lives, group.failures, group.expected, group.counts.left_out, group.counts.orders
        );
        println!(
            "  log-likelihood {:.3} (given {:.3}), converged {}, {} sums, strata {:?}",
            group.log_likelihood, group.given_log_likelihood, group.converged, group.sums, group.strata
        );
        for one in &group.estimates {
            let truth = one.path.value(&fleet.model);
            let error = one.standard_error.unwrap_or(f64::NAN);
            println!(
                "  {:45} {:11.5} ± {error:9.5}, planted {truth:9.5}, z {:+.2} {:?}",
                one.path.name(&fleet.model),
                one.value,
                (one.value - truth) / error,
                one.status
            );
        }
    }
}

/// Standardised errors of all estimates, on the scale on which they are normal.
fn z_values(fit: &HistoryFit, fleet: &Planted, into: &mut BTreeMap<String, Vec<f64>>) {
    for group in &fit.groups {
        for (place, one) in group.estimates.iter().enumerate() {
            assert_eq!(one.status, Status::Estimated, "{}", one.path.name(&fleet.model));
            let truth = one.path.value(&fleet.model);
            let off = match one.path.scale() {
                fleetwear::model::free::Scale::Log => libm::log(one.value / truth),
                fleetwear::model::free::Scale::Natural => one.value - truth,
            };
            let z = off / libm::sqrt(group.covariance[place][place]);
            into.entry(one.path.name(&fleet.model)).or_default().push(z);
        }
    }
}

/// Mean, variance, and share within two standard errors.
fn figures(z: &[f64]) -> (f64, f64, f64) {
    let count = z.len() as f64;
    let mean = z.iter().sum::<f64>() / count;
    let variance = z.iter().map(|z| (z - mean) * (z - mean)).sum::<f64>() / (count - 1.0);
    (mean, variance, z.iter().filter(|z| z.abs() <= 2.0).count() as f64 / count)
}

fn many(fleets: u64, vehicles: u32, days: u32, sample: Option<u64>) -> BTreeMap<String, Vec<f64>> {
    let mut all = BTreeMap::new();
    for seed in 0..fleets {
        let fleet = Planted::new(vehicles, days, 1_000 + seed, PLANTED, &ZONES);
        let done = fleet.fitted(|request| request.sample = sample);
        if seed == 0 {
            print(&done.fit, &fleet);
            println!("  read {:.1} s, fit {:.1} s; {:?}", done.read_seconds, done.fit_seconds, done.fit.warnings);
        }
        z_values(&done.fit, &fleet, &mut all);
    }
    for (name, z) in &all {
        let (mean, variance, within) = figures(z);
        println!(
            "  {name:45} {} z: mean {mean:+.2}, variance {variance:.2}, within 2: {:.1} %",
            z.len(),
            100.0 * within
        );
    }
    all
}

#[test]
fn errors_of_a_few_fleets_are_as_large_as_said() {
    let all: Vec<f64> = many(8, 500, 730, None).into_values().flatten().collect();
    let (mean, variance, within) = figures(&all);
    println!("  together: {mean:+.2} {variance:.2} {within:.3}");
    assert!(mean.abs() < 0.5 && (0.5..1.7).contains(&variance) && within > 0.88, "{mean} {variance} {within}");
}

#[test]
#[ignore = "400 fleets: minutes"]
fn errors_of_many_fleets_are_as_large_as_said() {
    for (name, z) in many(400, 500, 730, None) {
        let (_, variance, within) = figures(&z);
        assert!((0.93..=0.975).contains(&within), "{name}: {within}");
        assert!((0.8..=1.25).contains(&variance), "{name}: {variance}");
    }
}

#[test]
#[ignore = "400 fleets: minutes"]
fn errors_of_many_sampled_fleets_are_as_large_as_said() {
    for (name, z) in many(400, 1_500, 730, Some(450)) {
        let (_, variance, within) = figures(&z);
        assert!((0.93..=0.975).contains(&within), "{name}: {within}");
        assert!((0.8..=1.25).contains(&variance), "{name}: {variance}");
    }
}

/// The sandwich against a bootstrap of the same data, on all vehicles and on a sample of them.
#[test]
fn the_sandwich_agrees_with_the_bootstrap() {
    let fleet = Planted::new(900, 730, 77, PLANTED, &ZONES);
    for sample in [None, Some(300)] {
        let done = fleet.fitted(|request| {
            request.replicates = 150;
            request.sample = sample;
        });
        for one in done.fit.estimates() {
            let ratio = one.bootstrap_error.unwrap() / one.standard_error.unwrap();
            println!("  {sample:?} {:45} bootstrap / sandwich {ratio:.3}", one.path.name(&fleet.model));
            // A standard error from 150 replicates is itself within 6 %, and heavier tails of few failures add.
            assert!((0.75..1.35).contains(&ratio), "{ratio}");
        }
        if sample.is_some() {
            let whole = fleet.fitted(|_| {});
            for (own, all) in done.fit.estimates().zip(whole.fit.estimates()) {
                assert!(own.standard_error.unwrap() > all.standard_error.unwrap(), "sampling costs something");
            }
        }
    }
}

#[test]
#[ignore = "200,000 vehicles of 730 days: minutes and gigabytes; FLEETWEAR_LARGE_FLEET names a folder to keep the fleet in"]
fn a_large_fleet_gives_back_what_was_planted() {
    let kept = std::env::var("FLEETWEAR_LARGE_FLEET").ok();
    let scratch = tempfile::tempdir().unwrap();
    let folder = kept.as_deref().map_or(scratch.path(), Path::new);
    let (laws, given) = (folder.join("laws.toml"), folder.join("given.toml"));
    if !folder.join("fleet/dataset.toml").exists() {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(&laws, PLANTED).unwrap();
        let plan = SynthPlan { model: laws.to_string_lossy().into_owned(), ..SynthPlan::new(200_000, 730, 9) };
        generate(&plan, &folder.join("fleet"), &Control::silent()).unwrap();
    }
    let model = fleetwear::model::spec::Model::parse(PLANTED, "laws.toml").unwrap();
    let values = moved(&model);
    let values = model.free_parameters().into_iter().map(|path| (path, path.value(&values))).collect();
    let rewrite = fleetwear::model::rewrite::Rewrite { values, ..Default::default() };
    std::fs::write(&given, rewrite.apply(PLANTED, &model).unwrap()).unwrap();
    let mut plan = engine::FitPlan::new(folder.join("fleet"), given.to_string_lossy(), scratch.path().join("fitted"));
    (plan.reading.threads, plan.reading.hash_inputs) = (2, false);
    let began = Instant::now();
    let report = engine::fit(&plan, &Control::silent()).unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let fleet = Planted { folder: scratch, model };
    print(&report.fit, &fleet);
    println!("  {} of {} vehicles looked at, {seconds:.1} s", report.fit.sampled, report.fit.vehicles);
    let mut all = BTreeMap::new();
    z_values(&report.fit, &fleet, &mut all);
    assert!(all.values().flatten().all(|z| z.abs() < 3.0), "{all:?}");
    assert!(seconds < 300.0);
}
