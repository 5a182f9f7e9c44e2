//! Who belongs to the fleet, and as of when: rows that cannot be used make no vehicle and no day.

use fleetwear::engine::{InspectPlan, inspect_vehicle};
use fleetwear::run::Control;

use super::refusals::{PAST, settled};
use super::world::{FIRST_DAY, NEVER, NOBODY, Record, VEHICLES};

fn row(vehicle: usize, day: i32) -> Record {
    Record { vehicle, day, hour: 1, temp: 50, distance: Some(100) }
}

/// A vehicle is in the fleet if the tables name it or a record of it counts: not because of an unusable row.
#[test]
fn a_vehicle_of_unusable_rows_goes_with_the_table() {
    let mut world = settled();
    let (odd, stray) = (VEHICLES + 7, VEHICLES + 8);
    let rows_before = world.compare(None, "as it was").rows;
    world.listed.insert(odd, ("M1", "coast"));
    world.write_tables();
    world.write_history("odd", &[row(odd, NEVER), row(odd, NEVER)]);
    let rows_of_one = rows_before / VEHICLES as u64;
    assert_eq!(world.compare(None, "listed").rows, rows_before + rows_of_one);
    world.listed.remove(&odd);
    world.write_tables();
    world.add_day(PAST);
    assert_eq!(world.compare(None, "gone from the table").rows, rows_before);
    world.write_history("stray", &[row(stray, NEVER)]);
    assert_eq!(world.compare(None, "a stray name").rows, rows_before);
    // Both come back with records that count, one of them before the as-of day.
    world.write_history("later", &[row(odd, FIRST_DAY + PAST), row(stray, FIRST_DAY + PAST + 3)]);
    assert_eq!(world.compare(Some(FIRST_DAY + PAST + 1), "back").rows, rows_before + rows_of_one);
    for day in 1..6 {
        world.add_day(PAST + day);
        let report = world.compare(Some(FIRST_DAY + PAST + day), "and the nights after");
        assert_eq!(report.rows, rows_before + rows_of_one * if day < 3 { 1 } else { 2 });
    }
}

/// The latest row cannot be used: no command counts up to its day.
#[test]
fn inspect_and_score_count_up_to_the_same_day() {
    let world = settled();
    world.write_history("odd", &[row(NOBODY, FIRST_DAY + PAST + 40)]);
    let scored = world.whole(None);
    assert_eq!(scored.as_of_day, FIRST_DAY + PAST - 1);
    let plan = InspectPlan {
        data: world.folder.path().into(),
        model: world.path("model.toml").to_string_lossy().into_owned(),
        vehicle: "V003".to_owned(),
        threads: 2,
        memory_limit_bytes: 256 << 20,
        spill_folder: None,
        as_of_day: None,
    };
    let inspected = inspect_vehicle(&plan, &Control::silent()).unwrap();
    assert_eq!(Some(inspected.as_of), scored.manifest.as_of);
}
