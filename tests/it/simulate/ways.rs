//! Ring 4 for futures: the same data, model and seed give the same content, however they are computed; a scenario
//! changes what it says and nothing else.

use fleetwear::backend::{BackendError, Choice};
use fleetwear::engine::{EngineError, ExpectedDifference, SimulatePlan, VerifyPlan, simulate, verify};
use fleetwear::fleet::scan::ScanKind;
use fleetwear::run::Control;

use super::{assert_defined, numbers, simulated, steady_fleet, table, texts};
use crate::small_fleet::{Layout, SmallFleet};

/// Whatever goes wrong in it: gaps, short histories, vehicles that only one table knows.
fn rough_fleet() -> SmallFleet {
    let mut fleet = SmallFleet::new(40);
    fleet.days.retain(|day| day.vehicle % 13 != 5 && (day.vehicle != 7 || !(40..130).contains(&(day.day % 200))));
    fleet
}

fn hash(fleet: &SmallFleet, layout: Layout, change: impl FnOnce(&mut SimulatePlan)) -> String {
    simulated(fleet, layout, change, |_, report| report.content_hash.clone())
}

#[test]
fn threads_batches_files_and_order_do_not_matter() {
    for fleet in [rough_fleet(), steady_fleet(12)] {
        let first = hash(&fleet, Layout::ByVehicle(1), |plan| plan.threads = 1);
        for (layout, threads, batch_vehicles, kind) in [
            (Layout::ByVehicle(3), 3, 1, None),
            (Layout::ByDay(1), 2, 7, None),
            (Layout::Shuffled(2), 8, 4096, None),
            (Layout::ByVehicle(2), 2, 5, Some(ScanKind::Spill)),
        ] {
            let other = hash(&fleet, layout, |plan| {
                (plan.threads, plan.batch_vehicles, plan.scan_kind) = (threads, batch_vehicles, kind);
                (plan.reversed, plan.chunk_rows) = (threads == 2, 997);
            });
            assert_eq!(other, first, "{layout:?}, {threads} threads, batches of {batch_vehicles}");
        }
        assert_ne!(hash(&fleet, Layout::ByVehicle(1), |plan| plan.seed = 2), first, "another seed");
        assert_ne!(hash(&fleet, Layout::ByVehicle(1), |plan| plan.horizon_weeks = 29), first, "another horizon");
    }
}

#[cfg(feature = "gpu")]
#[test]
fn a_device_gives_the_same_content() {
    let Some(device) = crate::gpu::required_device("a_device_gives_the_same_content") else { return };
    let fleet = rough_fleet();
    let first = hash(&fleet, Layout::ByVehicle(1), |_| ());
    let on_device = |plan: &mut SimulatePlan| {
        (plan.backend, plan.device, plan.fallback) = (Choice::Gpu, Some(device.to_owned()), false);
    };
    use fleetwear::backend::DeviceShare;
    for share in [false, true].map(|small| DeviceShare { small, memory_bytes: None }) {
        let change = |plan: &mut SimulatePlan| {
            on_device(plan);
            (plan.device_share, plan.batch_vehicles) = (share, 16);
        };
        simulated(&fleet, Layout::ByVehicle(1), change, |_, report| {
            assert_eq!(report.content_hash, first, "{share:?}");
            // Both kernels ran there, and the manifest says so.
            let parts: Vec<&str> = report.manifest.device.split("; ").collect();
            assert!(parts.len() == 2 && parts.iter().all(|part| part.contains(device)), "{parts:?}");
            assert!(report.manifest.device_reason.matches("--backend gpu").count() == 2, "{report:?}");
        });
    }
    let warmer = "[[change]]\nchannel = \"temp_c\"\nadd = 2.0\n";
    let scenario = hash(&fleet, Layout::ByVehicle(1), with_scenario(warmer));
    let on_device = hash(&fleet, Layout::ByVehicle(1), |plan| {
        with_scenario(warmer)(plan);
        on_device(plan);
    });
    assert_eq!(on_device, scenario, "a scenario's second kernel");
}

#[test]
fn a_device_that_is_asked_for_and_not_there_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let model = steady_fleet(2).write(folder.path(), Layout::ByVehicle(1)).to_string_lossy().into_owned();
    let mut plan = SimulatePlan::new(folder.path().to_path_buf(), model, folder.path().join("out"));
    (plan.backend, plan.device) = (Choice::Gpu, Some("no such adapter".to_owned()));
    let error = simulate(&plan, &Control::silent()).unwrap_err();
    assert!(matches!(&error, EngineError::Backend(BackendError::NoDevice { .. })), "{error}");
    assert!(!plan.out.exists());
}

#[test]
fn verify_covers_futures() {
    let folder = tempfile::tempdir().unwrap();
    let model = rough_fleet().write(folder.path(), Layout::ByDay(30)).to_string_lossy().into_owned();
    let plan = VerifyPlan {
        data: folder.path().to_path_buf(),
        model,
        backend: Choice::Cpu,
        device: None,
        threads: 2,
        memory_limit_bytes: 64 << 20,
        spill_folder: None,
        as_of_day: None,
    };
    let mut report = verify(&plan, &Control::silent()).unwrap();
    assert!(report.agrees() && report.futures.len() >= 4, "{:?}", report.futures);
    assert!(report.futures.iter().any(|way| way.name.contains("packed, in two nights")), "{:?}", report.futures);
    report.futures[1].content_hash.clear();
    assert!(!report.agrees(), "a difference is noticed");
}

fn with_scenario(text: &'static str) -> impl FnOnce(&mut SimulatePlan) {
    move |plan| {
        let path = plan.data.join("scenario.toml");
        std::fs::write(&path, text).unwrap();
        plan.scenario = Some(path);
    }
}

/// (failure mode, relative difference of the expected count, its bounds) of the fleet, within 30 days.
fn differences(text: &'static str) -> Vec<(String, f64, [f64; 2])> {
    simulated(&steady_fleet(24), Layout::ByVehicle(1), with_scenario(text), |out, report| {
        assert_defined(out);
        let rows = table(out, "scenario_difference");
        // What a report names is in the table.
        let [all, changed] = ["expected", "expected_scenario"].map(|name| numbers(&rows, name));
        let most = &report.differences;
        let is_there = |one: &ExpectedDifference| {
            (0..all.len()).any(|row| (all[row], changed[row]) == (Some(one.expected), Some(one.expected_scenario)))
        };
        assert!(!most.is_empty() && most.iter().all(is_there), "{most:?}");
        assert!(most.is_sorted_by(|a, b| a.difference().abs() >= b.difference().abs()), "{most:?}");
        assert!(report.manifest.details["scenario_largest_differences"].is_array());
        let [by, mode, window] = ["group_by", "failure_mode", "window"].map(|name| texts(&rows, name));
        let [expected, difference, low, high] =
            ["expected", "difference", "difference_p05", "difference_p95"].map(|name| numbers(&rows, name));
        (0..by.len())
            .filter(|&row| by[row].as_deref() == Some("fleet") && window[row].as_deref() == Some("to_date"))
            .step_by(4)
            .map(|row| {
                let of = |values: &[Option<f64>]| values[row].unwrap() / expected[row].unwrap();
                (mode[row].clone().unwrap(), of(&difference), [of(&low), of(&high)])
            })
            .collect()
    })
}

#[test]
fn a_scenario_changes_what_it_says_and_nothing_else() {
    let farther = differences("[[change]]\nchannel = \"distance_km\"\nmultiply = 1.1\n");
    // Pads: the square root of the clock, squared: the hazard h of a part grows with the distance itself, to 1.1 h, and
    // its chance from 1 - exp(-h) to 1 - exp(-1.1 h): by 9.7 % where h is 0.05, by 8.7 % where it is 0.25.
    let (mode, pads, bounds) = &farther[0];
    assert!(mode == "pads" && *pads > 0.087 && *pads < 0.1, "{farther:?}");
    assert!(bounds[0] <= *pads && *pads <= bounds[1] && bounds[1] - bounds[0] < 0.01, "{farther:?}");
    assert!(farther[1].1 > 0.005 && farther[1].1 < 0.1, "{farther:?}");

    let sealed = differences("[[remove]]\ninteraction = \"cold_humid\"\n");
    assert!(sealed[0].1 == 0.0 && sealed[1].1 < -0.001, "{sealed:?}");

    let nothing = differences("[[change]]\nchannel = \"temp_c\"\nadd = 0.0\n");
    assert!(nothing.iter().all(|row| row.1 == 0.0 && row.2 == [0.0; 2]), "{nothing:?}");
}

#[test]
fn a_scenario_leaves_the_forecasts_as_they_are() {
    let fleet = steady_fleet(9);
    let hashes = |change: Box<dyn FnOnce(&mut SimulatePlan)>| {
        simulated(&fleet, Layout::ByVehicle(1), change, |_, report| {
            ["forecasts", "fleet_forecast", "alerts"]
                .map(|table| report.manifest.details[&format!("content_hash.{table}")].clone())
        })
    };
    let warmer = "[[change]]\nchannel = \"temp_c\"\nadd = 2.0\n";
    assert_eq!(hashes(Box::new(|_| ())), hashes(Box::new(with_scenario(warmer))));
}
