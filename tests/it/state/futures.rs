//! Simulations night by night: whatever the files and tables do, the content is that of a run over everything.

use std::fs;

use fleetwear::backend::Choice;
use fleetwear::engine::{EngineError, SimulatePlan, SimulateReport, simulate};
use fleetwear::fleet::account::Skip;
use fleetwear::fleet::state::error::StateError;
use fleetwear::run::Control;

use super::world::{FIRST_DAY, Order, PARTS, Record, VEHICLES, World, copy_folder, days, draw, record};

/// Days before the first night.
pub const PAST: i32 = 210;

const MONITORS: &str = r#"
[[monitor]]
id = "warm"
component = "fuse"
channel = "temp_c"
threshold = 59.0
baseline_days = 30
false_alarms_per_100000_days = 500
lot = "zone"

[[monitor]]
id = "far"
component = "brake_pad"
channel = "distance_km"
baseline_days = 30
false_alarms_per_100000_days = 500
"#;

/// A world with monitors and alerts, and its past in three files, after its first night.
pub fn settled(text_ids: bool, timestamps: bool) -> World {
    begun(World::new(text_ids, timestamps))
}

/// The same of a world as it stands.
pub fn begun(mut world: World) -> World {
    let model = fs::read_to_string(world.path("model.toml")).unwrap();
    let alert = "id = \"pads\"\nalert = { horizon_days = 30, probability = 0.2 }";
    fs::write(world.path("model.toml"), model.replace("id = \"pads\"", alert) + MONITORS).unwrap();
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
    let first = compare(&world, None, "first night");
    let night = first.night.unwrap();
    assert!(night.begun && night.runs == 1, "{night:?}");
    let alarms: u64 = first.monitors.iter().map(|one| one.alarms).sum();
    assert!(first.alerts > 0 && alarms > 0, "nothing to compare: {} alerts, {alarms} alarms", first.alerts);
    world
}

/// The plan of a whole run, with a new folder to write.
pub fn plan(world: &World, as_of_day: Option<i32>) -> SimulatePlan {
    world.runs.set(world.runs.get() + 1);
    let out = world.path(&format!("futures-{}", world.runs.get()));
    let mut plan = SimulatePlan::new(world.folder.path().into(), world.path("model.toml").to_string_lossy(), out);
    (plan.backend, plan.threads, plan.paths, plan.horizon_weeks) = (Choice::Cpu, 2, 4, 14);
    (plan.groups, plan.zones) = (Some(vec!["zone".into()]), Some("zone".into()));
    // The way without packed records, to compare with.
    (plan.as_of_day, plan.pack) = (as_of_day, false);
    plan
}

pub fn run(plan: &SimulatePlan) -> SimulateReport {
    simulate(plan, &Control::silent()).unwrap()
}

/// The same with the world's state.
fn with_state(world: &World, plan: &SimulatePlan) -> SimulatePlan {
    let out = plan.out.with_extension("night");
    SimulatePlan { state: Some(world.state()), out, ..plan.clone() }
}

/// Simulates both ways and compares the content, table by table.
fn compare_plans(world: &World, plan: &SimulatePlan, what: &str) -> SimulateReport {
    let nightly = with_state(world, plan);
    let night = simulate(&nightly, &Control::silent()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let whole = run(plan);
    let tables = |report: &SimulateReport| -> Vec<(String, String)> {
        let details = report.manifest.details.iter().filter(|(name, _)| name.starts_with("content_hash."));
        details.map(|(name, hash)| (name.clone(), hash.to_string())).collect()
    };
    assert!(tables(&whole).len() >= 5, "forecasts, counts, alerts, alarms, cohorts");
    assert_eq!(tables(&night), tables(&whole), "{what}");
    assert_eq!((&night.content_hash, &night.as_of), (&whole.content_hash, &whole.as_of), "{what}");
    assert!(night.account.balances(), "{what}: {:?}", night.account);
    for out in [&night.out, &whole.out] {
        fs::remove_dir_all(out).unwrap();
    }
    night
}

pub fn compare(world: &World, as_of_day: Option<i32>, what: &str) -> SimulateReport {
    compare_plans(world, &plan(world, as_of_day), what)
}

fn refusal(world: &World) -> StateError {
    match simulate(&with_state(world, &plan(world, None)), &Control::silent()) {
        Err(EngineError::State(error)) => error,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it was not refused"),
    }
}

#[test]
fn nights_of_one_day() {
    for (text_ids, timestamps) in [(true, false), (false, true)] {
        let mut world = settled(text_ids, timestamps);
        for night in 0..18 {
            world.add_day(PAST + night);
            if night % 3 == 0 {
                let (component, position) = PARTS[night as usize % PARTS.len()];
                let day = FIRST_DAY + PAST + night - night % 7;
                world.orders.push(Order { vehicle: night as usize % VEHICLES, component, position, day });
                world.write_tables();
            }
            let night_report = compare(&world, None, &format!("night {night}")).night.unwrap();
            assert!(!night_report.begun && night_report.files == 1, "{night_report:?}");
            // One of the past, and those of the nights: eight of them become one.
            let (eights, ones) = ((night as usize + 1) / 8, (night as usize + 1) % 8);
            assert_eq!(night_report.runs, 1 + eights + ones, "night {night}");
        }
    }
}

#[test]
fn records_late_and_repeated() {
    let world = settled(true, false);
    for (night, age) in [1, 30, 100, 150, 209].into_iter().enumerate() {
        world.add_day(PAST + night as i32);
        let old = FIRST_DAY + PAST + night as i32 - age;
        let missing: Vec<Record> = (0..VEHICLES)
            .filter(|&vehicle| record(vehicle, old).is_none())
            .map(|vehicle| Record { vehicle, day: old, hour: 3, temp: 99, distance: Some(200 + vehicle as u16) })
            .collect();
        world.write_history(&format!("late{night}"), &missing);
        compare(&world, None, &format!("records {age} days late"));
        let again = |change: &dyn Fn(&mut Record)| -> Vec<Record> {
            let taken = (0..VEHICLES).filter_map(|vehicle| record(vehicle, old));
            taken
                .map(|mut record| {
                    change(&mut record);
                    record
                })
                .collect()
        };
        // By the channels of the model in their order, not by those that a monitor alone looks at.
        let changes: [(&str, &dyn Fn(&mut Record)); 4] = [
            ("same", &|_| ()),
            ("warmer", &|record| record.temp += 7),
            ("colder", &|record| record.temp = record.temp.saturating_sub(3)),
            ("less", &|record| {
                record.distance = record.distance.map(|code| code.saturating_sub(2));
                record.temp = 190;
            }),
        ];
        for (name, change) in changes {
            world.write_history(&format!("{name}{night}"), &again(change));
            compare(&world, None, &format!("{name}, {age} days old"));
        }
    }
}

#[test]
fn replacements_late_moved_and_withdrawn() {
    let mut world = settled(true, false);
    for night in 0..12 {
        world.add_day(PAST + night);
        let now = FIRST_DAY + PAST + night;
        let age = [2, 30, 63, 115, 150, 209][night as usize % 6];
        match night % 3 {
            0 => {
                let (component, position) = PARTS[night as usize % PARTS.len()];
                (0..4).for_each(|vehicle| world.orders.push(Order { vehicle, component, position, day: now - age }));
            }
            1 => {
                for order in world.orders.iter_mut().filter(|order| order.vehicle % 5 == night as usize % 5) {
                    order.day = (order.day - 3).max(now - age);
                }
            }
            _ => world.orders.retain(|order| order.vehicle % 6 != night as usize % 6),
        }
        world.write_tables();
        compare(&world, None, &format!("night {night}, {age} days"));
    }
}

#[test]
fn vehicles_come_go_and_change() {
    let mut world = settled(true, false);
    let steps: [(&str, fn(&mut World)); 8] = [
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
        ("and now it is listed", |world| {
            world.listed.insert(90, ("M2", "hills"));
        }),
        ("another model: other interactions", |world| {
            world.listed.insert(0, ("M2", "coast"));
        }),
        ("another zone: other weather", |world| {
            world.listed.insert(2, ("M1", "coast"));
        }),
        ("weather corrected", |world| {
            (PAST - 150..PAST).for_each(|day| {
                world.weather.insert(("hills", FIRST_DAY + day), 77);
            });
        }),
        ("vehicles gone from the table", |world| {
            world.listed.remove(&3);
            world.listed.insert(VEHICLES + 6, ("M1", "plain"));
        }),
    ];
    for (night, (what, change)) in steps.into_iter().enumerate() {
        world.add_day(PAST + night as i32);
        change(&mut world);
        world.write_tables();
        compare(&world, None, what);
    }
}

/// More vehicles than a block holds, in more pieces than fit into memory at once.
#[test]
fn many_vehicles_and_little_memory() {
    let world = settled(false, false);
    let day = |day: i32| -> Vec<Record> {
        let hour = 0;
        let of = |vehicle: usize, what: u32, below: u32| draw([51, what], [vehicle as u32, day as u32], below) as u16;
        (100..900)
            .filter(|&vehicle| of(vehicle, 1, 10) > 0)
            .map(|vehicle| (vehicle, of(vehicle, 2, 201), of(vehicle, 3, 300)))
            .map(|(vehicle, temp, distance)| Record { vehicle, day, hour, temp, distance: Some(distance) })
            .collect()
    };
    world.write_history("many", &(FIRST_DAY + 100..FIRST_DAY + 180).flat_map(day).collect::<Vec<_>>());
    let mut small = plan(&world, None);
    small.memory_limit_bytes = 1 << 20;
    small.groups = Some(Vec::new());
    compare_plans(&world, &small, "little memory");
    world.write_history("more", &(FIRST_DAY + 175..FIRST_DAY + 183).flat_map(day).collect::<Vec<_>>());
    let report = compare_plans(&world, &SimulatePlan { out: world.path("more"), ..small }, "some days again");
    assert!(report.night.unwrap().rows_kept > 60_000);
}

/// What is kept depends on neither the day, nor the model, nor what is asked.
#[test]
fn any_day_and_any_question() {
    let world = settled(true, false);
    world.write_history("ahead", &days(FIRST_DAY + PAST..FIRST_DAY + PAST + 20));
    for ahead in [3, 11, 4, -30] {
        compare(&world, Some(FIRST_DAY + PAST + ahead), &format!("as of day {ahead}"));
    }
    let report = compare(&world, None, "all of them");
    assert_eq!((report.account.rows_in, report.night.unwrap().files), (0, 0), "nothing is left to read");
    assert!(!report.account.skipped.contains_key(&Skip::AfterAsOf));

    let scenario = world.path("warmer.toml");
    fs::write(&scenario, "[scenario]\nname = \"warmer\"\n[[change]]\nchannel = \"temp_c\"\nadd = 5.0\n").unwrap();
    let warmer = SimulatePlan { scenario: Some(scenario), paths: 7, ..plan(&world, None) };
    compare_plans(&world, &warmer, "a scenario");
    let reversed = SimulatePlan { reversed: true, threads: 1, chunk_rows: 40, batch_vehicles: 3, ..plan(&world, None) };
    compare_plans(&world, &reversed, "another way of computing");
    let model = fs::read_to_string(world.path("model.toml")).unwrap();
    fs::write(world.path("model.toml"), model.replace("characteristic_life = 20000", "characteristic_life = 15000"))
        .unwrap();
    assert_eq!(compare(&world, None, "a model fitted anew").night.unwrap().files, 0);
}

#[test]
fn other_inputs_are_refused() {
    let world = settled(true, false);
    let changes = [
        ("dataset.toml", "range = [-40.0, 60.0]", "range = [-40.0, 61.0]", "dataset.toml"),
        ("model.toml", "channel = \"temp_c\"\nthreshold = 59.0", "channel = \"humidity_pct\"\nthreshold = 59.0", ""),
    ];
    for (file, old, new, refused) in changes {
        let path = world.path(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old));
        fs::write(&path, text.replace(old, new)).unwrap();
        if refused.is_empty() {
            // All of its channels are read anyway.
            compare(&world, None, "another monitor");
        } else {
            let error = refusal(&world);
            assert!(matches!(&error, StateError::OtherInput { what, .. } if *what == refused), "{error}");
            assert!(error.to_string().contains("--rebuild-state"));
        }
        fs::write(&path, text).unwrap();
    }
    // A model that reads a channel less, so that those left stand in another order; and all again.
    let path = world.path("model.toml");
    let text = fs::read_to_string(&path).unwrap();
    let without =
        "terms = [{ channel = \"humidity_pct\", curve = \"power\", exponent = 0.5, reference = 50.0, floor = 1.0 }]";
    let fewer = text.replace(without, "").replace("humidity_pct = \"> 60\", ", "");
    assert!(!fewer.contains("humidity_pct"));
    fs::write(&path, &fewer).unwrap();
    compare(&world, None, "a channel less");
    world.add_day(PAST);
    compare(&world, None, "a channel less, and a new file");
    fs::write(&path, &text).unwrap();
    compare(&world, None, "all channels again");
    world.add_day(PAST + 1);
    compare(&world, None, "all channels again, and a new file");
    // Once rows of one file were settled by an order, no other will do.
    let same = |temp: u16| Record { vehicle: 5, day: FIRST_DAY + PAST + 2, hour: 0, temp, distance: Some(9) };
    world.write_history("twice", &[same(80), same(70)]);
    let twice = compare(&world, None, "a row twice");
    assert_eq!(twice.account.skipped[&Skip::Duplicate], 1);
    fs::write(&path, &fewer).unwrap();
    let error = refusal(&world);
    let order = "order of channels, by which repeated records were settled";
    assert!(matches!(&error, StateError::OtherInput { what, .. } if *what == order), "{error}");
    assert!(error.to_string().contains("--rebuild-state"));
    // A model that reads a channel more than the state has.
    let anew = SimulatePlan { rebuild_state: true, ..with_state(&world, &plan(&world, None)) };
    run(&anew);
    fs::write(&path, &text).unwrap();
    let error = refusal(&world);
    assert!(matches!(&error, StateError::OtherInput { what: "set of channels", .. }), "{error}");
    assert!(error.to_string().contains("--rebuild-state"));
    run(&SimulatePlan { rebuild_state: true, ..with_state(&world, &plan(&world, None)) });

    let file = world.history("a");
    let bytes = fs::read(&file).unwrap();
    world.write_history("a", &days(FIRST_DAY..FIRST_DAY + 69));
    let error = refusal(&world);
    assert!(matches!(&error, StateError::FilesChanged { files } if *files == [file.display().to_string()]), "{error}");
    let rebuilt = SimulatePlan { rebuild_state: true, ..with_state(&world, &plan(&world, None)) };
    assert_eq!(run(&rebuilt).content_hash, run(&plan(&world, None)).content_hash);
    compare(&world, None, "rebuilt");
    fs::write(&file, bytes).unwrap();
    assert!(matches!(refusal(&world), StateError::FilesChanged { .. }));
}

#[test]
fn files_that_are_gone_are_not_missed() {
    let world = settled(true, false);
    world.add_day(PAST);
    let whole = run(&plan(&world, None)).content_hash;
    for name in ["a", "b"] {
        fs::remove_file(world.history(name)).unwrap();
    }
    let night = run(&with_state(&world, &plan(&world, None)));
    assert_eq!(night.content_hash, whole);
    assert_ne!(run(&plan(&world, None)).content_hash, whole, "the files that are left are not everything");
    let earlier = night.manifest.inputs.iter().filter(|input| input.path.ends_with("a.parquet")).count();
    assert_eq!(earlier, 1, "the manifest names them");
}

#[test]
fn a_damaged_state_is_named() {
    let world = settled(true, false);
    world.add_day(PAST);
    run(&with_state(&world, &plan(&world, None)));
    let kept = world.state().join("records");
    for name in [
        "log-00000001/rows-00000.bin",
        "log-00000002/rows-00000.bin",
        "log-00000001/blocks-00000.bin",
        "gen-00000002/id_bytes-00000.bin",
    ] {
        let path = kept.join(name);
        let bytes = fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 4;
        fs::write(&path, flipped).unwrap();
        let error = refusal(&world);
        assert!(matches!(&error, StateError::Damaged { path: named, .. } if *named == path), "{error}");
        assert!(error.to_string().contains("--rebuild-state"));
        fs::write(&path, bytes).unwrap();
    }
    compare(&world, None, "mended");
    fs::write(world.state().join("letters.txt"), "mine").unwrap();
    assert!(matches!(refusal(&world), StateError::Foreign { .. }));
}

/// Kills are simulated by putting back what a run that stopped at that step would have left.
#[test]
fn killed_between_any_two_steps() {
    let world = settled(true, false);
    let kept = world.state().join("records");
    let copy = world.path("copy");
    copy_folder(&kept, &copy);
    world.add_day(PAST);
    let report = run(&with_state(&world, &plan(&world, None)));
    let after = world.path("after");
    copy_folder(&kept, &after);
    for with in [&[][..], &["log-00000002"], &["log-00000002", "gen-00000002"]] {
        fs::remove_dir_all(&kept).unwrap();
        copy_folder(&copy, &kept);
        with.iter().for_each(|name| copy_folder(&after.join(name), &kept.join(name)));
        for name in [".gen-00000002.fleetwear-staging", ".log-00000002.fleetwear-staging"] {
            fs::create_dir_all(kept.join(name)).unwrap();
            fs::write(kept.join(name).join("part"), "half").unwrap();
        }
        let again = run(&with_state(&world, &plan(&world, None)));
        assert_eq!(again.content_hash, report.content_hash, "{with:?}");
        assert_eq!(again.night.unwrap().files, 1);
    }
    // Killed after the pointer was swapped: the reading is done.
    fs::remove_dir_all(&kept).unwrap();
    copy_folder(&after, &kept);
    let again = run(&with_state(&world, &plan(&world, None)));
    assert_eq!((again.content_hash, again.night.unwrap().files), (report.content_hash, 0));
    let mut names: Vec<String> =
        fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["CURRENT", "gen-00000002", "lock", "log-00000001", "log-00000002"]);
}

/// One folder for both commands: each keeps its own and leaves the other's alone.
#[test]
fn scores_and_futures_share_a_folder() {
    let world = settled(true, false);
    for night in 0..3 {
        world.add_day(PAST + night);
        if night != 1 {
            world.compare(None, &format!("scores of night {night}"));
        }
        compare(&world, None, &format!("futures of night {night}"));
    }
    let report = world.compare(None, "nothing new");
    assert!(!report.night.unwrap().counts.everything);
}

/// Anything at any time, by chance.
#[test]
fn any_mixture() {
    for seed in 0..3u32 {
        let mut world = settled(seed % 2 == 0, seed % 3 == 1);
        for night in 0..9 {
            let late = world.change_by_chance(61, seed, night, PAST + night as i32);
            if !late.is_empty() {
                world.write_history(&format!("late{night}"), &late);
            }
            world.write_tables();
            compare(&world, None, &format!("seed {seed}, night {night}"));
        }
    }
}

/// The comparator of all these tests is the content hash of each table: it must object to one record more.
#[test]
fn one_record_more_is_another_content() {
    let world = settled(true, false);
    let whole = run(&plan(&world, None));
    world.write_history(
        "more",
        &[Record { vehicle: 5, day: FIRST_DAY + PAST - 9, hour: 23, temp: 0, distance: Some(0) }],
    );
    let other = run(&plan(&world, None));
    let hash = |report: &SimulateReport, name: &str| report.manifest.details[&format!("content_hash.{name}")].clone();
    assert_ne!(hash(&whole, "forecasts"), hash(&other, "forecasts"));
    assert_ne!(whole.content_hash, other.content_hash);
}
