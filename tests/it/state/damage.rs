//! A damaged state: named without `--rebuild-state`, built anew with it.

use std::fs;
use std::path::Path;

use fleetwear::engine::{EngineError, ScorePlan, score};
use fleetwear::run::Control;
use fleetwear::score::state::error::StateError;

use super::refusals::{PAST, add_day, refusal, settled};
use super::world::World;

#[test]
fn a_damaged_pointer_or_record_is_named_and_rebuilt_on_demand() {
    use std::os::unix::fs::PermissionsExt;
    let damages: [(&str, &dyn Fn(&Path)); 5] = [
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
        add_day(&world, PAST);
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
        add_day(&world, PAST + 1);
        let report = world.compare(None, "after rebuilding");
        assert!(!report.night.unwrap().counts.everything);
        assert_eq!(generations(&world), ["gen-00000004"]);
    }
    // A pointer that may not be read. Who may read everything sees no difference.
    let world = settled();
    let path = world.state().join("CURRENT");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_err() {
        assert!(matches!(refusal(&world, None), StateError::Damaged { path: named, .. } if named == path));
    }
    let plan = ScorePlan { state: Some(world.state()), rebuild_state: true, ..world.plan(None) };
    score(&plan, &Control::silent()).unwrap();
    world.compare(None, "readable again");
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
    add_day(&world, PAST);
    world.compare(None, "beside a leftover");
    assert_eq!(generations(&world), ["gen-00000002"]);
}

fn generations(world: &World) -> Vec<String> {
    let names = fs::read_dir(world.state()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("gen-")).collect()
}
