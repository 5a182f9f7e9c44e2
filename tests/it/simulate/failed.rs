//! A failure that is reported and whose part was not replaced yet: certain in the forecasts, its own reason among the
//! alerts, never counted again.

use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::Date32Type;
use fleetwear::engine::{SimulatePlan, SimulateReport};

use super::{DAYS, assert_defined, numbers, simulated, steady_fleet, table, texts};
use crate::small_fleet::{FIRST_DAY, Layout, Order, SmallFleet};

const TODAY: i32 = FIRST_DAY + DAYS - 1;
/// Whose pads have failed.
const FAILED: usize = 3;

fn failure(vehicle: usize, component: &'static str, position: Option<&'static str>) -> Order {
    Order { vehicle, component, position, kind: "F", day: TODAY - 5 }
}

/// The pads of [`FAILED`] fail after their last replacement, if they do; a failure of other pads was mended.
fn fleet(fails: bool) -> SmallFleet {
    let mut fleet = steady_fleet(20);
    fleet.orders.retain(|order| order.vehicle != FAILED);
    fleet.orders.push(Order { kind: "R", day: TODAY - 300, ..failure(FAILED, "brake_pad", None) });
    fleet.orders.push(failure(4, "brake_pad", None));
    fleet.orders.push(Order { kind: "R", day: TODAY - 2, ..failure(4, "brake_pad", None) });
    if fails {
        fleet.orders.push(failure(FAILED, "brake_pad", None));
    }
    fleet
}

/// Pads are alerted from one in two on, within 60 days, and have a rival that competes with them.
fn alerted(plan: &mut SimulatePlan) {
    let text = std::fs::read_to_string(&plan.model).unwrap();
    let alert = "id = \"pads\"\nalert = { horizon_days = 60, probability = 0.5 }\ncompetes = true";
    let text = text.replace("id = \"pads\"", alert);
    let rival = text[text.find("[[failure_mode]]").unwrap()..text.rfind("[[failure_mode]]\n").unwrap()].to_owned();
    std::fs::write(&plan.model, text + "\n" + &rival.replace("\"pads\"", "\"rival\"")).unwrap();
}

fn found<T>(fails: bool, look: impl FnOnce(&Path, &SimulateReport) -> T) -> T {
    simulated(&fleet(fails), Layout::ByVehicle(1), alerted, look)
}

/// By row: id, mode, flags; chances, lives left.
type Rows = (Vec<[Option<String>; 3]>, Vec<Vec<Option<f64>>>);

fn forecasts(out: &Path) -> Rows {
    let rows = table(out, "forecasts");
    let names = ["vin", "failure_mode", "flags"].map(|name| texts(&rows, name));
    let keys = (0..names[0].len()).map(|row| [0, 1, 2].map(|at: usize| names[at][row].clone())).collect();
    let columns = ["p_failed", "p_fail_30d", "p_fail_60d", "p_fail_90d", "rul_p10_days", "rul_p90_days"];
    let columns = columns.map(|name| numbers(&rows, name));
    (keys, (0..names[0].len()).map(|row| columns.iter().map(|column| column[row]).collect()).collect())
}

fn id(vehicle: usize) -> Option<String> {
    Some(format!("VIN{}", SmallFleet::id(vehicle)))
}

#[test]
fn a_reported_failure_is_certain_and_no_prediction() {
    let (with, without) = (found(true, |out, _| forecasts(out)), found(false, |out, _| forecasts(out)));
    let is_it = |key: &[Option<String>; 3]| key[0] == id(FAILED) && key[1].as_deref() != Some("noise");
    let mut seen = 0;
    for ((key, numbers), (before, others)) in with.0.iter().zip(&with.1).zip(without.0.iter().zip(&without.1)) {
        if is_it(key) {
            seen += 1;
            // One of two modes alike.
            assert_eq!(*numbers, [0.5, 0.0, 0.0, 0.0, 0.0, 0.0].map(Some), "{key:?}");
            assert!(key[2].as_deref().is_some_and(|flags| flags.contains("failed_not_replaced")), "{key:?}");
            assert!(others[0] == Some(0.0) && others[3].is_some_and(|p| p > 0.1), "{others:?}: nothing to tell");
        } else {
            assert!(key == before && numbers == others, "{key:?} {numbers:?} {before:?} {others:?}");
        }
    }
    assert_eq!(seen, 2, "the part's two modes");
}

#[test]
fn a_failure_is_divided_over_its_parts_modes_by_what_wore_them() {
    let slower = |plan: &mut SimulatePlan| {
        alerted(plan);
        let text = std::fs::read_to_string(&plan.model).unwrap();
        let (others, rival) = text.split_at(text.find("\"rival\"").unwrap());
        let rival = rival.replace("characteristic_life = 20000", "characteristic_life = 60000");
        std::fs::write(&plan.model, others.to_owned() + &rival).unwrap();
    };
    simulated(&fleet(true), Layout::ByVehicle(1), slower, |out, _| {
        let (keys, rows) = forecasts(out);
        let of = |mode: &str| {
            let own = |key: &[Option<String>; 3]| key[0] == id(FAILED) && key[1].as_deref() == Some(mode);
            rows[keys.iter().position(own).unwrap()][0].unwrap()
        };
        // A hazard in proportion to the clock, a third as fast.
        assert!((of("pads") - 0.75).abs() < 1e-6 && (of("rival") - 0.25).abs() < 1e-6, "{}", of("pads"));
    });
}

#[test]
fn an_alert_says_that_it_failed_once() {
    let alerts = |out: &Path, report: &SimulateReport| {
        assert_defined(out);
        assert!(report.warnings.iter().all(|text| !text.contains("no replacement")), "{:?}", report.warnings);
        let rows = table(out, "alerts");
        let [vins, reasons, modes, components] =
            ["vin", "reason", "failure_mode", "component"].map(|name| texts(&rows, name));
        let chances = numbers(&rows, "probability");
        let act_by = rows.iter().flat_map(|batch| {
            batch.column_by_name("act_by").unwrap().as_primitive::<Date32Type>().iter().collect::<Vec<_>>()
        });
        let act_by: Vec<Option<i32>> = act_by.collect();
        let own =
            (0..vins.len()).filter(|&row| vins[row] == id(FAILED) && components[row].as_deref() == Some("brake_pad"));
        own.map(|row| (reasons[row].clone().unwrap(), modes[row].clone(), chances[row], act_by[row]))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(true, alerts), [("failed_not_replaced".to_owned(), None, None, Some(TODAY))]);
    let before = found(false, alerts);
    assert!(before.iter().all(|row| row.0 == "probability" && row.2.is_some()), "{before:?}");
}

#[test]
fn a_known_failure_is_not_counted_again_and_its_successor_is() {
    let counts = |out: &Path, _: &SimulateReport| {
        let (keys, rows) = forecasts(out);
        let of_parts: f64 = keys
            .iter()
            .zip(&rows)
            .filter(|(key, _)| key[1].as_deref() == Some("pads"))
            .map(|(_, numbers)| numbers[3].unwrap())
            .sum();
        let rows = table(out, "fleet_forecast");
        let [by, modes, windows] = ["group_by", "failure_mode", "window"].map(|name| texts(&rows, name));
        let [first, expected, variance] = ["expected_first", "expected", "variance"].map(|name| numbers(&rows, name));
        // 30, 60, 90 and 91 days: the third.
        let row = (0..by.len())
            .filter(|&row| {
                by[row].as_deref() == Some("fleet")
                    && modes[row].as_deref() == Some("pads")
                    && windows[row].as_deref() == Some("to_date")
            })
            .nth(2)
            .unwrap();
        assert!((first[row].unwrap() / of_parts - 1.0).abs() < 1e-6, "{:?} {of_parts}", first[row]);
        (first[row].unwrap(), expected[row].unwrap() - first[row].unwrap(), variance[row].unwrap())
    };
    let (with, without) = (found(true, counts), found(false, counts));
    assert!(with.0 < without.0 - 0.05, "{with:?} {without:?}: it is counted again");
    // The new pads have the whole quarter before them.
    assert!(with.1 > without.1 + 0.01, "{with:?} {without:?}: no successor");
    assert!(with.2 > 0.0 && with.2 < without.2, "{with:?} {without:?}");
}

#[test]
fn where_nobody_writes_replacements_down_failures_stand_and_the_account_says_so() {
    let mut fleet = fleet(true);
    fleet.orders.retain(|order| order.kind == "F" || order.component != "brake_pad");
    simulated(&fleet, Layout::ByVehicle(1), alerted, |out, report| {
        let (keys, rows) = forecasts(out);
        // Nobody saw a replacement, so the pads of vehicle 4 count as failed, too.
        for (key, numbers) in keys.iter().zip(&rows).filter(|(key, _)| key[1].as_deref() == Some("pads")) {
            let failed = key[0] == id(FAILED) || key[0] == id(4);
            assert_eq!(numbers[0], Some(if failed { 0.5 } else { 0.0 }), "{key:?}");
            assert_eq!(key[2].as_deref().is_some_and(|flags| flags.contains("failed_not_replaced")), failed, "{key:?}");
        }
        let manifest = std::fs::read_to_string(out.join("manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest["details"]["failures_never_replaced"], serde_json::json!({ "brake_pad": 2 }));
        let said: Vec<&String> = report.warnings.iter().filter(|text| text.contains("no replacement")).collect();
        assert!(said.len() == 1 && said[0].starts_with("component brake_pad: 2 failures"), "{said:?}");
    });
}

#[test]
fn of_one_day_what_has_failed_comes_first_then_the_likelier() {
    let fleet = || {
        let mut fleet = steady_fleet(60);
        fleet.orders.push(failure(FAILED, "brake_pad", None));
        fleet
    };
    let often = |plan: &mut SimulatePlan| {
        let text = std::fs::read_to_string(&plan.model).unwrap();
        let alert = "id = \"pads\"\nalert = { horizon_days = 60, probability = 0.02 }";
        std::fs::write(&plan.model, text.replace("id = \"pads\"", alert)).unwrap();
    };
    simulated(&fleet(), Layout::ByVehicle(1), often, |out, _| {
        let rows = table(out, "alerts");
        let vins = texts(&rows, "vin");
        let act_by: Vec<Option<i32>> = (rows.iter())
            .flat_map(|batch| {
                batch.column_by_name("act_by").unwrap().as_primitive::<Date32Type>().iter().collect::<Vec<_>>()
            })
            .collect();
        // Failures have none.
        let chances: Vec<f64> = numbers(&rows, "probability").into_iter().map(|p| p.unwrap_or(2.0)).collect();
        let mut by_id_alone = true;
        for row in 1..vins.len() {
            assert!(act_by[row - 1] <= act_by[row], "{row}");
            if act_by[row - 1] == act_by[row] {
                assert!(chances[row - 1] >= chances[row], "{row}: {} {}", chances[row - 1], chances[row]);
                by_id_alone &= vins[row - 1] <= vins[row];
            }
        }
        assert!(!by_id_alone && chances[0] == 2.0, "{} alerts: the order of ids would pass", vins.len());
    });
}
