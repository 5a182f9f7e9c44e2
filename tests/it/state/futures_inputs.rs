//! Simulations night by night, where vehicles leave service and channels are derived from others.

use std::fs;

use super::futures::{PAST, begun, compare, plan, run, settled};
use super::world::{FIRST_DAY, Record, World};

#[test]
fn end_dates_come_near_and_pass() {
    let mut world = settled(true, false);
    let end = |world: &mut World, vehicle: usize, day: i32| {
        world.ends.insert(vehicle, FIRST_DAY + day);
        world.write_tables();
    };
    let chances = |world: &World| run(&plan(world, None)).content_hash;
    let without = chances(&world);
    // Announced within the horizon and beyond it; past already; today.
    for (vehicle, day) in [(1, PAST + 30), (2, PAST + 300), (4, PAST - 40), (7, PAST - 1)] {
        end(&mut world, vehicle, day);
    }
    let report = compare(&world, None, "ends announced");
    assert_eq!(report.retired, 2);
    assert_ne!(chances(&world), without, "end dates do nothing");
    for night in 0..4 {
        world.add_day(PAST + night);
        // One passes, one is put off, one is new.
        end(&mut world, 10 + night as usize, PAST + night + 1);
        end(&mut world, 1, PAST + 30 + 10 * night);
        compare(&world, None, &format!("night {night}"));
    }
    // As of a day before the last: ends up to the last day on record are hindsight.
    for ago in [1, 3, 20] {
        compare(&world, Some(FIRST_DAY + PAST + 3 - ago), &format!("{ago} days ago"));
    }
}

#[test]
fn derived_channels_are_made_of_what_is_kept() {
    let world = World::new(true, false);
    let (dictionary, model) = (world.path("dataset.toml"), world.path("model.toml"));
    let derived =
        "\n[channels.spread]\nderived = { difference = [\"temp_c\", \"humidity_pct\"] }\nrange = [-140.0, 60.0]\n";
    fs::write(&dictionary, fs::read_to_string(&dictionary).unwrap() + derived).unwrap();
    let term = "{ channel = \"temp_c\", curve = \"exponential\", coefficient = 0.02, reference = 20.0 }";
    let text = fs::read_to_string(&model).unwrap();
    assert!(text.contains(term));
    let of_spread = "{ channel = \"spread\", curve = \"exponential\", coefficient = 0.01, reference = 0.0 }";
    fs::write(&model, text.replace(term, of_spread)).unwrap();
    let mut world = begun(world);
    for night in 0..4 {
        world.add_day(PAST + night);
        // Half of the operands lie in a side table, which is corrected.
        world.weather.insert(("hills", FIRST_DAY + PAST - 50 - night), 3 * night as u16);
        let late = Record { vehicle: 5, day: FIRST_DAY + 100 + night, hour: 3, temp: 199, distance: Some(9) };
        world.write_history(&format!("late{night}"), &[late]);
        world.write_tables();
        compare(&world, None, &format!("night {night}"));
    }
}
