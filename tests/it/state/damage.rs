//! A damaged state: named without `--rebuild-state`, built anew with it.

use std::fs;
use std::path::Path;

use fleetwear::engine::{EngineError, ScorePlan, score};
use fleetwear::fleet::state::error::StateError;
use fleetwear::run::{Control, Event, Stop};

use super::refusals::{PAST, refusal, settled};
use super::world::World;

#[test]
fn a_damaged_pointer_or_record_is_named_and_rebuilt_on_demand() {
    let damages: [(&str, &dyn Fn(&Path)); 7] = [
        ("CURRENT", &|path| fs::remove_file(path).unwrap()),
        // A pointer that nobody can read, not even who may read everything.
        ("CURRENT", &|path| {
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("CURRENT", path).unwrap();
        }),
        ("CURRENT", &|path| fs::write(path, "").unwrap()),
        ("CURRENT", &|path| fs::write(path, "gen-0000").unwrap()),
        ("CURRENT", &|path| fs::write(path, [0xff, 0, 0xfe]).unwrap()),
        ("CURRENT", &|path| {
            fs::remove_file(path).unwrap();
            fs::create_dir_all(path.join("inner")).unwrap();
        }),
        ("gen-00000002/state.json", &|path| fs::write(path, "{\"version\": 1,").unwrap()),
    ];
    for (name, damage) in damages {
        let world = settled();
        world.add_day(PAST);
        world.night(None).unwrap();
        let path = world.state().join(name);
        damage(&path);
        let error = refusal(&world, None);
        assert!(matches!(&error, StateError::Damaged { path: named, .. } if *named == path), "{error}");
        let text = error.to_string();
        assert!(text.contains(name) && text.contains("--rebuild-state"), "{text}");
        // Nothing of the state was touched: what it needs to be mended by hand is still there.
        assert!(world.state().join("log-00000001").is_dir() && world.state().join("log-00000002").is_dir());
        let plan = ScorePlan { state: Some(world.state()), rebuild_state: true, ..world.plan(None) };
        assert_eq!(score(&plan, &Control::silent()).unwrap().content_hash, world.whole(None).content_hash);
        assert_eq!(fs::read_to_string(world.state().join("CURRENT")).unwrap().trim(), "gen-00000003", "{name}");
        world.add_day(PAST + 1);
        let report = world.compare(None, "after rebuilding");
        assert!(!report.night.unwrap().counts.everything);
        assert_eq!(generations(&world), ["gen-00000004"]);
    }
}

/// The pointer of a backup beside the state of today: what today's generation needs stays until another one counts.
#[test]
fn a_rebuild_that_fails_takes_nothing_away() {
    let world = settled();
    let old = fs::read(world.state().join("CURRENT")).unwrap();
    for day in 0..3 {
        world.add_day(PAST + day);
        world.night(None).unwrap();
    }
    let today = fs::read(world.state().join("CURRENT")).unwrap();
    fs::write(world.state().join("CURRENT"), old).unwrap();
    assert!(matches!(refusal(&world, None), StateError::Damaged { .. }));
    let stop = Stop::default();
    let stop_at_the_end = |event| {
        if matches!(event, Event::Stage { name: "finish", .. }) {
            stop.raise();
        }
    };
    let plan = ScorePlan { state: Some(world.state()), rebuild_state: true, ..world.plan(None) };
    let stopped = score(&plan, &Control::new(&stop, &stop_at_the_end)).unwrap_err();
    assert!(matches!(stopped, EngineError::Interrupted(_)), "{stopped}");
    fs::write(world.state().join("CURRENT"), today).unwrap();
    world.add_day(PAST + 3);
    assert!(!world.compare(None, "as if nothing had been").night.unwrap().counts.everything);
    assert_eq!(generations(&world), ["gen-00000005"]);
}

/// A folder in which a first run was stopped is as good as a new one.
#[test]
fn a_first_night_that_never_counted_is_made_again() {
    let world = settled();
    fs::write(world.state().join("CURRENT"), "none\n").unwrap();
    assert!(world.compare(None, "the first night again").night.unwrap().counts.everything);
    assert_eq!(generations(&world), ["gen-00000001"]);
}

/// A generation that a killed run left and that is damaged stands in nobody's way.
#[test]
fn a_damaged_leftover_is_made_again() {
    let world = settled();
    let leftover = world.state().join("gen-00000002");
    fs::create_dir(&leftover).unwrap();
    fs::write(leftover.join("_SUCCESS"), "").unwrap();
    fs::write(leftover.join("state.json"), "{").unwrap();
    // The scores that stand at the output folder answer the same question, so that the run looks for a leftover.
    let plan = world.plan(None);
    score(&plan, &Control::silent()).unwrap();
    let again = ScorePlan { state: Some(world.state()), ..plan };
    assert!(matches!(score(&again, &Control::silent()), Err(EngineError::Write(_))), "the folder is taken");
    world.add_day(PAST);
    world.compare(None, "beside a leftover");
    assert_eq!(generations(&world), ["gen-00000002"]);
}

fn generations(world: &World) -> Vec<String> {
    let names = fs::read_dir(world.state()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("gen-")).collect()
}
