//! Monitors within a simulation: their tables beside the others, their alarms among the alerts in one order of
//! urgency, and what the manifest says of them.

use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Date32Type, Int64Type};
use fleetwear::backend::Choice;
use fleetwear::engine::simulate_urgent::{Concern, What};
use fleetwear::engine::{EngineError, SimulatePlan, simulate};
use fleetwear::fixed::threefry::threefry2x32;
use fleetwear::fleet::scan::ScanKind;
use fleetwear::run::Control;
use fleetwear::simulate::error::SimulateError;

use super::{DAYS, assert_defined, numbers, simulated, steady_fleet, table, texts};
use crate::small_fleet::{FIRST_DAY, Layout, Order, SmallFleet};

const VEHICLES: usize = 40;
/// Days after the first on which drifts begin.
const ONSET: i32 = 300;

const MONITOR: &str = r#"
[[monitor]]
id = "damp"
component = "sensor"
channel = "humidity_pct"
limit = 80.0
direction = "rising"
baseline_days = 120
false_alarms_per_100000_days = 20
lot = "model"
"#;

/// Healthy but for vehicles 3 and 4, which drift by 0.2 a day; 4 was given a new sensor on the last day but one, 5
/// drifts and falls silent, 6 drifted far beyond the limit.
fn drifting_fleet() -> SmallFleet {
    let mut fleet = steady_fleet(VEHICLES);
    for day in &mut fleet.days {
        let since = (day.day - FIRST_DAY - ONSET).max(0);
        let noise = threefry2x32([5, 5], [day.vehicle as u32, day.day as u32])[0] % 9;
        let drift = match day.vehicle {
            3..=5 => since / 5,
            6 => since,
            _ => 0,
        };
        day.humidity = (20 + noise as i32 + drift).min(100) as u16;
    }
    fleet.days.retain(|day| day.vehicle != 5 || day.day < FIRST_DAY + DAYS - 60);
    fleet.orders.push(Order { vehicle: 4, component: "sensor", position: None, kind: "R", day: FIRST_DAY + DAYS - 2 });
    fleet
}

/// Adds the monitor, and a level that some pads reach.
fn watched(plan: &mut SimulatePlan) {
    let text = std::fs::read_to_string(&plan.model).unwrap();
    let alert = "id = \"pads\"\nalert = { horizon_days = 60, cost_false_call = 1.0, cost_missed = 3.5 }";
    std::fs::write(&plan.model, text.replace("id = \"pads\"", alert) + MONITOR).unwrap();
}

fn id(vehicle: usize) -> Option<String> {
    Some(format!("VIN{}", SmallFleet::id(vehicle)))
}

fn days(out: &Path, name: &str, column: &str) -> Vec<Option<i32>> {
    let batches = table(out, name);
    let column = |batch: &arrow::array::RecordBatch| -> Vec<Option<i32>> {
        batch.column_by_name(column).unwrap().as_primitive::<Date32Type>().iter().collect()
    };
    batches.iter().flat_map(column).collect()
}

#[test]
fn alarms_and_chances_stand_in_one_order_of_urgency() {
    simulated(&drifting_fleet(), Layout::ByVehicle(2), watched, |out, report| {
        assert_defined(out);
        let rows = table(out, "alerts");
        let [vins, reasons, modes, monitors, components, flags] =
            ["vin", "reason", "failure_mode", "monitor", "component", "flags"].map(|name| texts(&rows, name));
        let urgency: Vec<i64> = (rows.iter())
            .flat_map(|batch| batch.column_by_name("urgency").unwrap().as_primitive::<Int64Type>().values().to_vec())
            .collect();
        assert_eq!(urgency, (1..=vins.len() as i64).collect::<Vec<_>>());
        assert_eq!(report.alerts as usize, vins.len());
        let act_by = days(out, "alerts", "act_by");
        let order: Vec<_> = act_by.iter().map(|day| (day.is_none(), *day)).collect();
        assert!(order.is_sorted(), "{act_by:?}");
        let today = FIRST_DAY + DAYS - 1;
        assert!(act_by.iter().flatten().all(|&day| day >= today));

        let chances = numbers(&rows, "probability");
        let (left, near) = (numbers(&rows, "days_to_limit"), numbers(&rows, "days_to_limit_lower"));
        for row in 0..vins.len() {
            let by_chance = reasons[row].as_deref() == Some("probability");
            assert_eq!(modes[row].is_some(), by_chance);
            assert_eq!(monitors[row].is_some(), !by_chance);
            assert_eq!(chances[row].is_some(), by_chance);
            assert_eq!(components[row].as_deref(), Some(if by_chance { "brake_pad" } else { "sensor" }));
            // The level at which a call and silence cost the same: 1 / (1 + 3.5).
            assert!(!by_chance || chances[row] >= Some(1.0 / 4.5));
        }
        let by_chance = reasons.iter().filter(|reason| reason.as_deref() == Some("probability")).count();
        assert!(by_chance > 0 && by_chance < VEHICLES, "{by_chance} of {VEHICLES} pads reach the level");

        let alarm_of = |vehicle: usize| -> Option<usize> {
            (0..vins.len()).find(|&row| vins[row] == id(vehicle) && monitors[row].is_some())
        };
        let drifting = alarm_of(3).unwrap();
        // 20 + 4 + 124 / 5 of 80, by 0.2 a day: 156 days, and 30 weeks reach there.
        let days = left[drifting].unwrap();
        assert!((130.0..190.0).contains(&days), "{days}");
        let near_days = near[drifting].unwrap();
        assert!(near_days < days && act_by[drifting] == Some(today + near_days.ceil() as i32 - 1));
        assert_eq!(alarm_of(4), None, "a new sensor stands there");
        let silent = alarm_of(5).unwrap();
        assert!(flags[silent].as_deref().unwrap().contains("no_recent_records"), "{:?}", flags[silent]);
        assert!(left[silent].unwrap() < 200.0, "{:?}: the days since the last record are off", left[silent]);
        let beyond = alarm_of(6).unwrap();
        assert_eq!((left[beyond], act_by[beyond]), (Some(0.0), Some(today)));
        assert!(flags[beyond].as_deref().unwrap().contains("limit_reached"));
        assert!(order[0] == (false, Some(today)), "what is beyond its limit comes first");

        // Those of the alarms that stand, and no other.
        let alarms = table(out, "alarms");
        let standing = texts(&alarms, "flags").into_iter().flatten();
        let standing = standing.filter(|flags| !flags.contains("replaced") && !flags.contains("receded")).count();
        assert_eq!(standing, vins.len() - by_chance);
        assert!(texts(&alarms, "vin").contains(&id(4)), "alarmed before it was replaced");
        assert_eq!(report.monitors[0].alarms as usize, texts(&alarms, "vin").len());

        let manifest = &report.manifest;
        assert_eq!(manifest.details["monitored_rows"], manifest.account.as_ref().unwrap().scored);
        let monitor = &manifest.details["monitors"][0];
        assert_eq!((&monitor["monitor"], &monitor["baseline_samples"]), (&"damp".into(), &120.into()));
        assert_eq!(monitor["false_alarms_per_100000_days"], 20.0);
        assert!(monitor["drift_limit"].as_f64().unwrap() > 1.0 && monitor["variance_limit"].as_f64().unwrap() > 1.0);
        assert!(table(out, "cohorts").iter().all(|batch| batch.column(2).is_valid(0)));
    });
}

#[test]
fn a_report_names_vehicles_with_all_that_speaks_for_them() {
    let mut fleet = drifting_fleet();
    // Vehicle 3 drifts, and its bearing has failed.
    fleet.orders.retain(|order| order.vehicle != 3);
    let failure =
        Order { vehicle: 3, component: "bearing", position: Some("left"), kind: "F", day: FIRST_DAY + DAYS - 3 };
    fleet.orders.push(failure);
    simulated(&fleet, Layout::ByVehicle(1), watched, |out, report| {
        let rows = table(out, "alerts");
        let [vins, reasons, components] = ["vin", "reason", "component"].map(|name| texts(&rows, name));
        let act_by = days(out, "alerts", "act_by");
        let mut first: Vec<String> = Vec::new();
        for vin in vins.iter().flatten() {
            if first.len() < 10 && !first.contains(vin) {
                first.push(vin.clone());
            }
        }
        assert_eq!(report.urgent.iter().map(|one| one.vehicle.clone()).collect::<Vec<_>>(), first);
        for one in &report.urgent {
            let own: Vec<usize> = (0..vins.len()).filter(|&row| vins[row].as_deref() == Some(&one.vehicle)).collect();
            let found = one.concerns.iter().map(|concern| (Some(concern.component.clone()), reason(&concern.what)));
            let expected = own.iter().map(|&row| (components[row].clone(), reasons[row].clone().unwrap()));
            assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{}", one.vehicle);
            assert_eq!(one.act_by.is_some(), act_by[own[0]].is_some());
        }
        let third = report.urgent.iter().find(|one| Some(&one.vehicle) == id(3).as_ref()).unwrap();
        assert!(third.concerns[0].what == What::Failed && third.concerns.len() >= 2, "{third:?}");
        assert!(matches!(third.concerns[1].what, What::Alarm { .. } | What::Chance { .. }));
    });
    // Nobody is alerted: the likeliest to fail, each vehicle once.
    simulated(
        &steady_fleet(14),
        Layout::ByVehicle(1),
        |_| (),
        |out, report| {
            assert_eq!((report.alerts, report.urgent.len()), (0, 10));
            let chances: Vec<f64> = (report.urgent.iter())
                .map(|one| match &one.concerns[..] {
                    [Concern { what: What::Chance { probability, days, .. }, .. }] if *days == 30.0 => *probability,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert!(chances.iter().rev().is_sorted(), "{chances:?}");
            let mut vehicles: Vec<&String> = report.urgent.iter().map(|one| &one.vehicle).collect();
            vehicles.sort();
            vehicles.dedup();
            assert_eq!(vehicles.len(), 10);
            let all = numbers(&table(out, "forecasts"), "p_fail_30d").into_iter().flatten().fold(0.0, f64::max);
            assert!(chances[0] == all && report.urgent.iter().all(|one| one.act_by.is_none()));
        },
    );
}

fn reason(what: &What) -> String {
    match what {
        What::Failed => "failed_not_replaced".to_owned(),
        What::Chance { .. } => "probability".to_owned(),
        What::Alarm { reason, .. } => (*reason).to_owned(),
    }
}

fn content(layout: Layout, change: impl Fn(&mut SimulatePlan)) -> serde_json::Map<String, serde_json::Value> {
    let change = |plan: &mut SimulatePlan| {
        watched(plan);
        change(plan);
    };
    simulated(&drifting_fleet(), layout, change, |_, report| {
        let mut hashes = report.manifest.details.clone();
        hashes.retain(|key, _| key.starts_with("content_hash."));
        hashes.insert("whole".to_owned(), report.content_hash.clone().into());
        hashes
    })
}

#[test]
fn alarms_are_the_same_by_every_way_and_part_of_the_content() {
    let first = content(Layout::ByVehicle(1), |plan| plan.threads = 1);
    assert!(first.contains_key("content_hash.alarms") && first.contains_key("content_hash.cohorts"));
    for (layout, kind) in
        [(Layout::ByDay(9), None), (Layout::Shuffled(2), None), (Layout::ByVehicle(3), Some(ScanKind::Spill))]
    {
        let other = content(layout, |plan| {
            (plan.threads, plan.scan_kind, plan.reversed, plan.chunk_rows) = (3, kind, true, 997);
        });
        assert_eq!(other, first, "{layout:?}");
    }
    let stricter = content(Layout::ByVehicle(1), |plan| plan.false_alarms_per_100000_days = Some(0.001));
    assert_ne!(stricter["content_hash.alarms"], first["content_hash.alarms"], "a smaller budget, a higher limit");
    assert_eq!(stricter["content_hash.forecasts"], first["content_hash.forecasts"]);
    assert_ne!(stricter["whole"], first["whole"]);

    let none = content(Layout::ByVehicle(1), |plan| plan.monitors = false);
    assert!(!none.contains_key("content_hash.alarms"));
    for table in ["forecasts", "fleet_forecast"] {
        let key = format!("content_hash.{table}");
        assert_eq!(none[&key], first[&key], "{table}");
    }
    assert_ne!(none["content_hash.alerts"], first["content_hash.alerts"]);
}

#[test]
fn a_monitor_without_its_channel_is_refused_with_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let model = steady_fleet(2).write(folder.path(), Layout::ByVehicle(1)).to_string_lossy().into_owned();
    let text = std::fs::read_to_string(&model).unwrap() + &MONITOR.replace("humidity_pct", "humidty_pct");
    std::fs::write(&model, text).unwrap();
    let plan = SimulatePlan::new(folder.path().to_path_buf(), model, folder.path().join("out"));
    let error = simulate(&plan, &Control::silent()).unwrap_err().to_string();
    assert!(error.contains("\"humidty_pct\"") && error.contains("did you mean \"humidity_pct\""), "{error}");
    assert!(!plan.out.exists());
}

#[test]
fn a_budget_that_is_none_is_refused() {
    for budget in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let folder = tempfile::tempdir().unwrap();
        let model = steady_fleet(2).write(folder.path(), Layout::ByVehicle(1)).to_string_lossy().into_owned();
        let mut plan = SimulatePlan::new(folder.path().to_path_buf(), model, folder.path().join("out"));
        (plan.backend, plan.false_alarms_per_100000_days) = (Choice::Cpu, Some(budget));
        let error = simulate(&plan, &Control::silent()).unwrap_err();
        assert!(matches!(error, EngineError::Simulate(SimulateError::FalseAlarms { .. })), "{budget}: {error}");
    }
}

/// Channels mostly missing, a lot of one vehicle, baselines that never fill: rows with flags or none, never a NaN.
#[test]
fn poor_channels_give_defined_alarms() {
    let mut fleet = drifting_fleet();
    // The last two vehicles are of no listed model; most have a reading in ten; beyond the range is none.
    for day in &mut fleet.days {
        if day.vehicle % 2 == 0 && day.day % 10 != 0 {
            day.humidity = 200;
        }
    }
    fleet.days.retain(|day| day.vehicle != 9 || day.day > FIRST_DAY + DAYS - 20);
    fleet.listed = VEHICLES - 2;
    simulated(&fleet, Layout::ByVehicle(1), watched, |out, report| {
        assert_defined(out);
        let alarms = table(out, "alarms");
        for column in ["baseline", "level", "slope_per_day", "days_to_limit", "days_to_limit_upper"] {
            assert!(numbers(&alarms, column).into_iter().flatten().all(f64::is_finite), "{column}");
        }
        let of_six: Vec<String> = (texts(&alarms, "vin").into_iter().zip(texts(&alarms, "flags")))
            .filter(|(vin, _)| *vin == id(6))
            .filter_map(|(_, flags)| flags)
            .collect();
        assert!(of_six.iter().all(|flags| flags.contains("mostly_missing")), "{of_six:?}");
        assert_eq!(report.monitors.len(), 1);
    });
}
