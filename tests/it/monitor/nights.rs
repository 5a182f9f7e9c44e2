//! Night after night: an alarm that was raised stays, on its day, and all nights together keep the budget.

use std::collections::{BTreeMap, BTreeSet};

use fleetwear::monitor::output::VehicleId;

use super::made::{FIRST_DAY, Made, model};
use super::sensor_lot::is_within_poisson;
use super::watch;

const VEHICLES: i64 = 240;
const DAYS: i32 = 460;
const BASELINE_DAYS: i32 = 60;

/// Alarm days by vehicle as of a day.
fn alarms(folder: &std::path::Path, as_of_day: i32) -> BTreeMap<i64, i32> {
    let model = folder.join("model.toml").to_string_lossy().into_owned();
    let found = watch(folder, &model, |request| request.as_of_day = Some(as_of_day));
    let one = |alarm: &fleetwear::monitor::output::VehicleAlarm| match &alarm.vehicle {
        VehicleId::Integer(id) => (*id, alarm.alarm.alarm_day),
        other => panic!("{other:?}"),
    };
    found.alarms.iter().map(one).collect()
}

#[test]
fn last_nights_alarms_stay_and_all_nights_keep_the_budget() {
    for lots in [1, 5] {
        let place = tempfile::tempdir().unwrap();
        let fleet = Made { lots, ..Made::healthy(VEHICLES, DAYS) };
        fleet.write(place.path(), 1, false);
        std::fs::write(place.path().join("model.toml"), model("rising", "")).unwrap();
        let nights = (100..DAYS).step_by(40).map(|day| alarms(place.path(), FIRST_DAY + day));
        let nights: Vec<BTreeMap<i64, i32>> = nights.collect();
        let mut moved = 0;
        for pair in nights.windows(2) {
            moved += pair[0].iter().filter(|(vehicle, day)| pair[1].get(vehicle) != Some(day)).count();
        }
        let all: BTreeSet<i64> = nights.iter().flat_map(|night| night.keys().copied()).collect();
        let budget = VEHICLES as f64 * f64::from(DAYS - BASELINE_DAYS) * 20.0 / 1e5;
        let (last, all) = (nights.last().map_or(0, BTreeMap::len), all.len());
        println!(
            "{lots} lots: {all} alarms in {} nights, {last} in the last, {moved} moved; budget {budget:.1}",
            nights.len()
        );
        assert!(is_within_poisson(all, budget), "{lots} lots: {all} alarms of {budget:.1}");
        // Where lots outvote each other, each night learns a little more of what the fleet does on a day.
        assert!(moved == 0 || lots > 1, "{moved} alarms moved: {nights:?}");
        assert!(moved <= nights.len(), "{lots} lots: {moved} alarms moved");
    }
}
