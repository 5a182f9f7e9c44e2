//! Zones and groups apart from what the model asks of vehicles: cohorts that a scenario joins, zones nobody is in,
//! groups named twice.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use fleetwear::engine::SimulatePlan;

use super::{add_vehicle_column, assert_defined, numbers, simulated, steady_fleet, table, texts};
use crate::small_fleet::Layout;

const VEHICLES: usize = 18;

/// Every vehicle is in one of two regions, whatever its model; `--zones region`.
fn in_regions(plan: &mut SimulatePlan) {
    let regions: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..VEHICLES).map(|vehicle| ["N", "S"][vehicle % 2])));
    add_vehicle_column(plan, "region", regions, "[\"model\"]", "[\"model\", \"region\"]");
    plan.zones = Some("region".into());
}

#[test]
fn a_scenario_may_leave_fewer_cohorts() {
    for zoned in [false, true] {
        let change = |plan: &mut SimulatePlan| {
            let path = plan.data.join("scenario.toml");
            // The only condition on a vehicle's model: without it the vehicles of a zone are one cohort.
            std::fs::write(&path, "[[remove]]\ninteraction = \"cold_humid\"\n").unwrap();
            (plan.scenario, plan.zones) = (Some(path), None);
            if zoned {
                in_regions(plan);
            }
        };
        simulated(&steady_fleet(VEHICLES), Layout::ByVehicle(1), change, |out, _| {
            assert_defined(out);
            let rows = table(out, "scenario_difference");
            let modes = texts(&rows, "failure_mode");
            let [differences, all] = ["difference", "expected"].map(|name| numbers(&rows, name));
            let sum = |mode: &str, of: &[Option<f64>]| -> f64 {
                let rows = (0..modes.len()).filter(|&row| modes[row].as_deref() == Some(mode));
                rows.map(|row| of[row].unwrap()).sum()
            };
            let (of, expected) = (|mode: &str| sum(mode, &differences), |mode: &str| sum(mode, &all));
            // Cohorts are summed up otherwise, and what does not ask for the model is hardly another.
            let pads_are_the_same = of("pads").abs() <= 1e-9 * expected("pads");
            assert!(pads_are_the_same && of("noise") < -1e-3 * expected("noise"), "{} {}", of("pads"), of("noise"));
        });
    }
}

#[test]
fn zones_without_vehicles_have_no_records_to_miss() {
    let short = |horizon_weeks: usize, zoned: bool| {
        let change = |plan: &mut SimulatePlan| {
            (plan.horizon_weeks, plan.zones) = (horizon_weeks, None);
            if zoned {
                in_regions(plan);
            }
        };
        simulated(&steady_fleet(VEHICLES), Layout::ByVehicle(1), change, |_, report| {
            report.warnings.iter().filter(|text| text.contains("shorter")).cloned().collect::<Vec<String>>()
        })
    };
    for zoned in [false, true] {
        assert!(short(30, zoned).is_empty(), "{:?}", short(30, zoned));
    }
    let short = short(100, true);
    assert!(short.len() == 1 && short[0].contains("of 2 of 2 zones"), "{short:?}");
}

#[test]
fn a_group_named_twice_stands_there_once() {
    let run = |groups: &[&str]| {
        let change = |plan: &mut SimulatePlan| {
            in_regions(plan);
            plan.groups = Some(groups.iter().map(|&name| name.to_owned()).collect());
        };
        simulated(&steady_fleet(VEHICLES), Layout::ByVehicle(1), change, |out, report| {
            (
                table(out, "fleet_forecast").iter().map(|batch| batch.num_rows()).sum::<usize>(),
                report.content_hash.clone(),
            )
        })
    };
    let once = run(&["model", "region"]);
    assert_eq!(run(&["model", "region", "model"]), once);
    assert_ne!(run(&["model"]).0, once.0);
}
