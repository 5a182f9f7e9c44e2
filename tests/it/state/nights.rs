//! What a night may bring: new days, late and repeated records, late, moved and withdrawn replacements, new vehicles,
//! other attributes and side tables. After each night the content equals that of a run over everything.

use super::world::{FIRST_DAY, Order, PARTS, Record, VEHICLES, World, days, draw, record};

/// Days before the first night.
const PAST: i32 = 210;

/// A world with its past in three files and some orders, after its first night.
fn settled(text_ids: bool, timestamps: bool) -> World {
    let mut world = World::new(text_ids, timestamps);
    for (name, from, to) in [("a", 0, 70), ("b", 70, 140), ("c", 140, PAST)] {
        world.write_history(name, &days(FIRST_DAY + from..FIRST_DAY + to));
    }
    for vehicle in 0..VEHICLES {
        for (part, (component, position)) in PARTS.into_iter().enumerate() {
            if draw([31, part as u32], [vehicle as u32, 0], 3) == 0 {
                let day = FIRST_DAY + draw([32, part as u32], [vehicle as u32, 0], PAST as u32) as i32;
                world.orders.push(Order { vehicle, component, position, day });
            }
        }
    }
    world.write_tables();
    let first = world.compare(None, "first night");
    assert!(first.night.unwrap().counts.everything);
    world
}

/// Nights of four days each, until the recent window has moved over all that the log held; every fifth is compared.
fn further_nights(world: &World, from: i32, what: &str) {
    for (night, day) in (from..110).step_by(4).enumerate() {
        (day..day + 4).for_each(|day| world.add_day(PAST + day));
        if night % 5 == 4 {
            world.compare(None, &format!("day {day} {what}"));
        } else {
            world.night(None).unwrap();
        }
    }
}

#[test]
fn thirty_nights_of_one_day() {
    for (text_ids, timestamps) in [(true, false), (false, true)] {
        let mut world = settled(text_ids, timestamps);
        for night in 0..30 {
            world.add_day(PAST + night);
            // Orders come in some days after the work was done.
            if night % 3 == 0 {
                let (component, position) = PARTS[night as usize % PARTS.len()];
                let day = FIRST_DAY + PAST + night - night % 7;
                world.orders.push(Order { vehicle: night as usize % VEHICLES, component, position, day });
                world.write_tables();
            }
            let report = world.compare(None, &format!("night {night}"));
            let counts = report.night.unwrap().counts;
            assert!(!counts.everything && counts.looked_up == 0, "{counts:?}");
            assert_eq!(counts.reformed, 0, "the log holds all that is needed");
        }
    }
}

#[test]
fn several_days_at_once_and_none_at_all() {
    let world = settled(true, false);
    for (from, to) in [(0, 5), (5, 5), (5, 6), (6, 60), (60, 61), (61, 200), (200, 201)] {
        if from < to {
            world.write_history(&format!("n{from}"), &days(FIRST_DAY + PAST + from..FIRST_DAY + PAST + to));
        }
        world.compare(None, &format!("days {from} to {to}"));
    }
}

#[test]
fn late_records_of_any_age() {
    let world = settled(true, false);
    for (night, age) in [10, 64, 70, 100, 119, 120, 121, 125, 130, 160, 209].into_iter().enumerate() {
        world.add_day(PAST + night as i32);
        let late = FIRST_DAY + PAST + night as i32 - age;
        // On days that they have no record of, and before their first one.
        let missing: Vec<Record> = (0..VEHICLES)
            .filter(|&vehicle| record(vehicle, late).is_none())
            .map(|vehicle| Record { vehicle, day: late, hour: 3, temp: 99, distance: Some(200 + vehicle as u16) })
            .collect();
        assert!(!missing.is_empty());
        world.write_history(&format!("late{night}"), &missing);
        world.compare(None, &format!("records {age} days late"));
    }
}

#[test]
fn repeated_records_of_any_age() {
    let world = settled(false, false);
    let mut replaced = 0;
    for (night, age) in [1, 5, 40, 89, 90, 91, 92, 119, 120, 121, 128, 200].into_iter().enumerate() {
        world.add_day(PAST + night as i32);
        let old = FIRST_DAY + PAST + night as i32 - age;
        let again = |change: i32| -> Vec<Record> {
            let taken = (0..VEHICLES).filter_map(|vehicle| record(vehicle, old)).filter(|r| r.distance.is_some());
            // Codes are compared channel by channel in the order of their names: the distance first.
            let other = |mut record: Record| {
                record.distance = record.distance.map(|code| (i32::from(code) + change).max(0) as u16);
                record
            };
            taken.map(other).collect()
        };
        world.write_history(&format!("same{night}"), &again(0));
        let report = world.compare(None, &format!("the same again, {age} days old"));
        assert!(report.account.skipped[&fleetwear::fleet::account::Skip::Duplicate] > 0);
        world.write_history(&format!("larger{night}"), &again(1));
        world.compare(None, &format!("larger codes, {age} days old"));
        for smaller in [1, 2] {
            world.write_history(&format!("smaller{night}-{smaller}"), &again(-smaller));
            let report = world.compare(None, &format!("codes smaller by {smaller}, {age} days old"));
            replaced += report.night.unwrap().counts.replaced;
        }
    }
    assert!(replaced > 50, "{replaced} rows replaced through the log");
    // The replaced rows are read from the log as the window moves over them.
    further_nights(&world, 12, "after the repeats");
}

#[test]
fn replacements_late_moved_and_withdrawn() {
    let mut world = settled(true, false);
    let mut reformed = 0;
    for night in 0..24 {
        world.add_day(PAST + night);
        let now = FIRST_DAY + PAST + night;
        let age = [2, 30, 63, 89, 90, 91, 115, 121, 150, 209][night as usize % 10];
        match night % 3 {
            0 => {
                let (component, position) = PARTS[night as usize % PARTS.len()];
                for vehicle in 0..4 {
                    world.orders.push(Order { vehicle, component, position, day: now - age });
                }
            }
            1 => {
                for order in world.orders.iter_mut().filter(|order| order.vehicle % 5 == night as usize % 5) {
                    order.day = (order.day - 3).max(now - age);
                }
            }
            _ => {
                world.orders.retain(|order| order.vehicle % 6 != night as usize % 6);
            }
        }
        world.write_tables();
        reformed += world.compare(None, &format!("night {night}, {age} days")).night.unwrap().counts.reformed;
    }
    assert!(reformed > 0, "some replacements were older than the log");
}

#[test]
fn vehicles_come_go_and_change() {
    let mut world = settled(true, false);
    let steps: [(&str, fn(&mut World)); 9] = [
        ("a new listed vehicle without records", |world| {
            world.listed.insert(VEHICLES, ("M2", "coast"));
        }),
        ("its first records", |world| {
            let new = |day| Record { vehicle: VEHICLES, day: FIRST_DAY + day, hour: 1, temp: 50, distance: Some(100) };
            world.write_history("new", &(PAST - 30..PAST + 1).map(new).collect::<Vec<_>>());
        }),
        ("a vehicle that only the histories know", |world| {
            let new = |day| Record { vehicle: 90, day: FIRST_DAY + day, hour: 1, temp: 150, distance: Some(9) };
            world.write_history("unlisted", &(PAST - 100..PAST).map(new).collect::<Vec<_>>());
        }),
        ("its first order", |world| {
            world.orders.push(Order { vehicle: 90, component: "fuse", position: None, day: FIRST_DAY + PAST - 10 });
        }),
        ("and now it is listed", |world| {
            world.listed.insert(90, ("M2", "hills"));
        }),
        ("another model: other interactions", |world| {
            world.listed.insert(0, ("M2", "coast"));
            world.listed.insert(1, ("M1", "hills"));
        }),
        ("another zone: other weather", |world| {
            world.listed.insert(2, ("M1", "coast"));
        }),
        ("weather corrected", |world| {
            for day in PAST - 150..PAST {
                world.weather.insert(("hills", FIRST_DAY + day), 77);
            }
        }),
        ("vehicles gone from the table", |world| {
            world.listed.remove(&3);
            world.listed.remove(&(VEHICLES + 5));
            world.listed.insert(VEHICLES + 6, ("M1", "plain"));
        }),
    ];
    let mut reformed = 0;
    for (night, (what, change)) in steps.into_iter().enumerate() {
        world.add_day(PAST + night as i32);
        change(&mut world);
        world.write_tables();
        reformed += world.compare(None, what).night.unwrap().counts.reformed;
    }
    assert!(reformed >= 4, "{reformed} vehicles formed anew");
    // What was formed anew has its codes in the log.
    further_nights(&world, 9, "after the changes");
}

#[test]
fn rows_after_the_as_of_day_count_when_their_day_comes() {
    let world = settled(true, false);
    world.write_history("ahead", &days(FIRST_DAY + PAST..FIRST_DAY + PAST + 20));
    for ahead in [3, 4, 4, 11] {
        let report = world.compare(Some(FIRST_DAY + PAST + ahead), &format!("as of day {ahead}"));
        assert!(report.account.skipped.contains_key(&fleetwear::fleet::account::Skip::AfterAsOf));
    }
    world.compare(None, "all of them");
    let report = world.compare(None, "nothing is left");
    assert_eq!(report.account.rows_in, 0);
}

/// Anything at any time, by chance.
#[test]
fn any_mixture() {
    for seed in 0..6u32 {
        let mut world = settled(seed % 2 == 0, seed % 3 == 0);
        for night in 0..12 {
            let mut late = world.change_by_chance(41, seed, night, PAST + night as i32);
            if !late.is_empty() {
                // Equal keys within a file are the reader's business; here they would hide what the night does.
                late.dedup_by_key(|record: &mut Record| (record.vehicle, record.day));
                world.write_history(&format!("late{night}"), &late);
            }
            world.write_tables();
            world.compare(None, &format!("seed {seed}, night {night}"));
        }
    }
}
