//! Night after night: an alarm that was raised stays, on its day, and all nights together keep the budget.

use std::collections::{BTreeMap, BTreeSet};

use fleetwear::monitor::output::VehicleId;

use super::made::{FIRST_DAY, Made, model};
use super::sensor_lot::is_within_poisson;
use super::watch;

const VEHICLES: i64 = 240;
const BASELINE_DAYS: i32 = 60;
/// Days of the record after which it is looked at.
const NIGHTS: [i32; 10] = [140, 180, 220, 260, 300, 340, 380, 420, 460, 500];
/// What is normal for a lot is settled by then.
const YEAR: i32 = 365;
const LAST: i32 = NIGHTS[NIGHTS.len() - 1];

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
        let fleet = Made { lots, ..Made::healthy(VEHICLES, LAST) };
        fleet.write(place.path(), 1, false);
        std::fs::write(place.path().join("model.toml"), model("rising", "")).unwrap();
        let nights = NIGHTS.map(|days| alarms(place.path(), FIRST_DAY + days - 1));
        let (mut moved, mut moved_early, mut kept) = (0, 0, 0);
        for (pair, night) in nights.windows(2).zip(NIGHTS) {
            let stays = |vehicle: &i64, day: &i32| pair[1].get(vehicle) == Some(day);
            kept += pair[0].iter().filter(|(vehicle, day)| stays(vehicle, day)).count();
            let gone = pair[0].iter().filter(|(vehicle, day)| !stays(vehicle, day)).count();
            if lots > 1 && night < YEAR { moved_early += gone } else { moved += gone }
        }
        let all: BTreeSet<i64> = nights.iter().flat_map(|night| night.keys().copied()).collect();
        let budget = VEHICLES as f64 * f64::from(LAST - BASELINE_DAYS) * 20.0 / 1e5;
        let (last, all) = (nights.last().map_or(0, BTreeMap::len), all.len());
        println!(
            "{lots} lots: {all} alarms in {} nights, {last} in the last; of one night in the next {kept} stayed and {moved} moved, {moved_early} before the lots' normals were settled; budget {budget:.1}",
            nights.len()
        );
        assert!(is_within_poisson(all, budget), "{lots} lots: {all} alarms of {budget:.1}");
        // Where lots outvote each other, each night of the first year knows better what is normal for a lot, and with it
        // what the fleet does on a day: an alarm that came close to its limit may still move.
        assert!(kept > 20 && moved == 0, "{lots} lots: {kept} {moved}: {nights:?}");
    }
}
