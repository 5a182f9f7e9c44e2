//! Records that are missing: what a vehicle used up meanwhile is its cohort's mean at its own pace, and no day without
//! a reading counts as a day without distance.

use std::collections::BTreeMap;

use fleetwear::engine::SimulatePlan;

use super::{DAYS, numbers, simulated, steady_fleet, table, texts};
use crate::small_fleet::{FIRST_DAY, Layout, Order, SmallFleet};

const VEHICLES: usize = 24;
/// Four months missing in the middle, or at the end.
const GAP: [usize; 2] = [5, 7];
const SILENT: usize = 10;
/// A bearing is put in in the midst of the gap.
const REPLACED: usize = GAP[1];
/// Monday, and so many days; the last ones of the record.
const GAP_FROM: i32 = FIRST_DAY + 149;
const GAP_DAYS: i32 = 17 * 7;
const SILENT_FROM: i32 = FIRST_DAY + 303;

fn whole() -> SmallFleet {
    let mut fleet = steady_fleet(VEHICLES);
    fleet.orders.retain(|order| !GAP.contains(&order.vehicle) && order.vehicle != SILENT);
    let day = GAP_FROM + GAP_DAYS / 2;
    fleet.orders.push(Order { vehicle: REPLACED, component: "bearing", position: Some("left"), kind: "R", day });
    fleet
}

fn with_gaps() -> SmallFleet {
    let mut fleet = whole();
    assert_eq!((GAP_FROM % 7, SILENT_FROM % 7), (4, 4), "Mondays");
    let in_gap = |day: i32| (GAP_FROM..GAP_FROM + GAP_DAYS).contains(&day);
    let at_end = |day: i32| day >= SILENT_FROM;
    fleet
        .days
        .retain(|one| !(GAP.contains(&one.vehicle) && in_gap(one.day) || one.vehicle == SILENT && at_end(one.day)));
    fleet
}

/// Of each row (vehicle, mode, position): values of some columns, and flags.
type Rows = BTreeMap<[Option<String>; 3], (Vec<Option<f64>>, String)>;

fn forecasts(fleet: &SmallFleet, columns: &[&str]) -> Rows {
    let steep = |plan: &mut SimulatePlan| {
        let text = std::fs::read_to_string(&plan.model).unwrap();
        std::fs::write(&plan.model, text.replace("weibull_shape = 1.5", "weibull_shape = 4.0")).unwrap();
    };
    simulated(fleet, Layout::ByVehicle(1), steep, |out, _| {
        let rows = table(out, "forecasts");
        let [ids, modes, positions, flags] =
            ["vin", "failure_mode", "position", "flags"].map(|name| texts(&rows, name));
        let values: Vec<Vec<Option<f64>>> = columns.iter().map(|name| numbers(&rows, name)).collect();
        let row = |row: usize| {
            let key = [ids[row].clone(), modes[row].clone(), positions[row].clone()];
            (key, (values.iter().map(|values| values[row]).collect(), flags[row].clone().unwrap()))
        };
        (0..ids.len()).map(row).collect()
    })
}

fn id(vehicle: usize) -> Option<String> {
    Some(format!("VIN{}", SmallFleet::id(vehicle)))
}

#[test]
fn parts_wear_on_while_nobody_writes() {
    let (whole, gaps) = (whole(), with_gaps());
    let (whole, gaps) = (forecasts(&whole, &["p_fail_90d"]), forecasts(&gaps, &["p_fail_90d"]));
    for (key, (found, flags)) in &gaps {
        let (found, expected) = (found[0].unwrap(), whole[key].0[0].unwrap());
        let ratio = found / expected;
        println!("{key:?} {found:.3e} {expected:.3e} {ratio:.3} {flags}");
        let flag = match key[0] == id(SILENT) {
            true => Some("no_recent_records"),
            false => GAP.iter().any(|&vehicle| key[0] == id(vehicle)).then_some("gaps_from_cohort"),
        };
        assert!((ratio - 1.0).abs() < if flag.is_some() { 0.08 } else { 0.02 }, "{key:?}: {found} not {expected}");
        assert!(flag.is_none_or(|flag| flags.contains(flag)), "{key:?}: {flags}");
    }
}

#[test]
fn kilometres_a_day_are_those_of_days_that_were_read() {
    let mut fleet = with_gaps();
    // Out of range: the day was read, its distance was not.
    fleet.days.iter_mut().filter(|day| day.vehicle == 3 && day.day % 5 == 0).for_each(|day| day.distance = 900);
    let rows = forecasts(&fleet, &["rul_p10_days", "rul_p10_km"]);
    let mut compared = 0;
    for (key, (values, _)) in &rows {
        let (Some(days), Some(km)) = (values[0], values[1]) else { continue };
        let Some(vehicle) = (0..VEHICLES).find(|&vehicle| id(vehicle) == key[0]) else { panic!("{key:?}") };
        let read = |day: &&crate::small_fleet::Day| {
            day.vehicle == vehicle && day.distance <= 800 && day.day > FIRST_DAY + DAYS - 1 - 365
        };
        let read: Vec<f64> = fleet.days.iter().filter(read).map(|day| 0.5 * f64::from(day.distance)).collect();
        let per_day = read.iter().sum::<f64>() / read.len() as f64;
        if days > 0.0 {
            assert!((km / (days * per_day) - 1.0).abs() < 1e-6, "{key:?}: {km} in {days} at {per_day}");
            compared += usize::from([3, SILENT].contains(&vehicle) || GAP.contains(&vehicle));
        }
    }
    assert!(compared >= 4, "{compared}");
}
