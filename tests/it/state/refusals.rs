//! What a state refuses, what it survives, and that its comparator objects.

use std::fs;
use std::path::{Path, PathBuf};

use fleetwear::engine::{EngineError, ScorePlan, score};
use fleetwear::fleet::state::error::StateError;
use fleetwear::run::Control;

use super::world::{FIRST_DAY, Order, World, copy_folder, days};

pub const PAST: i32 = 150;

pub fn settled() -> World {
    let world = World::new(true, false);
    for (name, from, to) in [("a", 0, 100), ("b", 100, PAST)] {
        world.write_history(name, &days(FIRST_DAY + from..FIRST_DAY + to));
    }
    world.night(None).unwrap();
    world
}

pub fn refusal(world: &World, as_of_day: Option<i32>) -> StateError {
    match world.night(as_of_day) {
        Err(EngineError::State(error)) => error,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it was not refused"),
    }
}

#[test]
fn another_model_or_dictionary_is_refused() {
    let world = settled();
    for file in ["model.toml", "dataset.toml"] {
        let path = world.path(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("0.5", "0.25")).unwrap();
        let error = refusal(&world, None);
        assert!(
            matches!(&error, StateError::OtherInput { what, .. } if file.starts_with(what.trim_end_matches(".toml")))
        );
        assert!(error.to_string().contains("--rebuild-state"));
        fs::write(&path, text).unwrap();
    }
    let plan = ScorePlan { state: Some(world.state()), drivers: false, ..world.plan(None) };
    assert!(score(&plan, &Control::silent()).unwrap_err().to_string().contains("drivers"));
    world.compare(None, "as it was");
}

#[test]
fn a_state_only_goes_forward() {
    let world = settled();
    assert!(matches!(refusal(&world, Some(FIRST_DAY + PAST - 2)), StateError::AsOfBack { .. }));
    world.compare(Some(FIRST_DAY + PAST - 1), "the same day");
    world.compare(Some(FIRST_DAY + PAST + 5), "days without records");
    assert!(matches!(refusal(&world, None), StateError::AsOfBack { .. }));
}

#[test]
fn files_changed_touched_and_gone() {
    let mut world = settled();
    let path = world.history("a");
    let bytes = fs::read(&path).unwrap();
    world.write_history("a", &days(FIRST_DAY..FIRST_DAY + 99));
    assert!(
        matches!(refusal(&world, None), StateError::FilesChanged { files } if files == [path.display().to_string()])
    );
    fs::write(&path, &bytes).unwrap();
    world.add_day(PAST);
    world.compare(None, "only touched");

    // Gone, and not needed: the scores are those of all files.
    world.add_day(PAST + 1);
    let whole = world.whole(None);
    fs::remove_file(&path).unwrap();
    assert_eq!(world.night(None).unwrap().content_hash, whole.content_hash);
    // Needed: a replacement from before the log.
    world.orders.push(Order { vehicle: 0, component: "fuse", position: None, day: FIRST_DAY + 12 });
    world.write_tables();
    match refusal(&world, None) {
        StateError::HistoriesGone { vehicles, example_vehicles, files } => {
            assert_eq!((vehicles, example_vehicles, files.len()), (1, vec!["V000".to_owned()], 1));
            assert!(files[0].ends_with("a.parquet"), "{files:?}");
        }
        error => panic!("{error}"),
    }
    fs::write(&path, &bytes).unwrap();
    world.compare(None, "restored");
}

#[test]
fn a_file_that_is_needed_for_later_rows_must_stay() {
    let world = settled();
    world.write_history("ahead", &days(FIRST_DAY + PAST..FIRST_DAY + PAST + 9));
    world.compare(Some(FIRST_DAY + PAST + 2), "three of nine days");
    fs::remove_file(world.history("ahead")).unwrap();
    assert!(matches!(refusal(&world, Some(FIRST_DAY + PAST + 3)), StateError::FilesNeeded { .. }));
}

#[test]
fn rebuilt_on_demand() {
    let world = settled();
    world.write_history("a", &days(FIRST_DAY..FIRST_DAY + 99));
    let plan = ScorePlan { state: Some(world.state()), rebuild_state: true, ..world.plan(None) };
    let report = score(&plan, &Control::silent()).unwrap();
    assert_eq!(report.content_hash, world.whole(None).content_hash);
    world.add_day(PAST);
    let report = world.compare(None, "after rebuilding");
    assert!(!report.night.unwrap().counts.everything);
}

/// All files below a folder.
fn everything_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(everything_in(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn a_foreign_folder_and_a_damaged_state() {
    let world = settled();
    fs::write(world.state().join("letters.txt"), "mine").unwrap();
    assert!(matches!(refusal(&world, None), StateError::Foreign { found, .. } if found == "letters.txt"));
    fs::remove_file(world.state().join("letters.txt")).unwrap();
    world.add_day(PAST);
    let before = everything_in(&world.state());
    let arrays = before.iter().filter(|path| path.extension().is_some_and(|extension| extension == "bin"));
    assert!(arrays.clone().count() > 10, "{before:?}");
    for array in arrays {
        let name = array.display();
        let bytes = fs::read(array).unwrap();
        let mut flipped = bytes.clone();
        let last = flipped.last_mut().unwrap();
        *last ^= 1;
        fs::write(array, flipped).unwrap();
        let refused = refusal(&world, None);
        assert!(matches!(&refused, StateError::Damaged { path, .. } if path == array), "{name}: {refused}");
        fs::write(array, &bytes[1..]).unwrap();
        let refused = refusal(&world, None);
        assert!(matches!(&refused, StateError::Damaged { path, .. } if path == array), "{name}: {refused}");
        fs::write(array, bytes).unwrap();
        assert_eq!(everything_in(&world.state()), before, "{name}: something is left behind");
    }
    let record = world.state().join("gen-00000001/state.json");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replace("\"version\": 1", "\"version\": 99")).unwrap();
    assert!(matches!(refusal(&world, None), StateError::Version { got: 99, .. }));
    fs::write(&record, text).unwrap();
    world.compare(None, "mended");
}

#[test]
fn of_two_runs_at_once_one_commits() {
    let world = settled();
    world.add_day(PAST);
    let plans: Vec<ScorePlan> = (0..2).map(|_| ScorePlan { state: Some(world.state()), ..world.plan(None) }).collect();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = plans.iter().map(|plan| scope.spawn(|| score(plan, &Control::silent()))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    // They may have met or not; nobody may have worked on a state that another changed.
    let refused =
        outcomes.iter().filter(|outcome| matches!(outcome, Err(EngineError::State(StateError::InUse { .. }))));
    let done: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(refused.count() + done.len(), 2);
    assert!(!done.is_empty());
    let whole = world.whole(None).content_hash;
    assert!(done.iter().all(|report| report.content_hash == whole));

    let held = fleetwear::fleet::state::folder::StateFolder::<fleetwear::score::state::record::StateRecord>::open(
        &world.state(),
    )
    .unwrap();
    assert!(matches!(refusal(&world, None), StateError::InUse { .. }));
    drop(held);
    world.add_day(PAST + 1);
    world.compare(None, "afterwards");
}

/// Kills are simulated by putting back what a run that stopped at that step would have left.
#[test]
fn killed_between_any_two_steps() {
    let world = settled();
    world.add_day(PAST);
    let state = world.state();
    let pointer = fs::read_to_string(state.join("CURRENT")).unwrap();
    let copy = world.path("copy");
    copy_folder(&state, &copy);
    let plan = ScorePlan { state: Some(state.clone()), ..world.plan(None) };
    let report = score(&plan, &Control::silent()).unwrap();
    let after = world.path("after");
    copy_folder(&state, &after);
    assert_eq!(fs::read_to_string(state.join("CURRENT")).unwrap().trim(), "gen-00000002");

    let restore = |with: &[&str]| {
        fs::remove_dir_all(&state).unwrap();
        copy_folder(&copy, &state);
        for name in with {
            copy_folder(&after.join(name), &state.join(name));
        }
        assert_eq!(fs::read_to_string(state.join("CURRENT")).unwrap(), pointer);
    };
    let expected = report.content_hash.clone();
    // Before anything was placed, after the log, after the generation: the scores are not there.
    for with in [&[][..], &["log-00000002"], &["log-00000002", "gen-00000002"]] {
        restore(with);
        fs::create_dir_all(state.join(".gen-00000002.fleetwear-staging")).unwrap();
        fs::write(state.join(".gen-00000002.fleetwear-staging/part"), "half").unwrap();
        let other = ScorePlan { state: Some(state.clone()), ..world.plan(None) };
        let again = score(&other, &Control::silent()).unwrap();
        assert_eq!(again.content_hash, expected, "{with:?}");
        assert!(!again.night.unwrap().counts.everything);
        world.compare(None, "the night after");
    }
    // After the scores: the same command finds its scores in place and lets the state follow.
    restore(&["log-00000002", "gen-00000002"]);
    let resumed = score(&plan, &Control::silent()).unwrap();
    assert_eq!((resumed.content_hash.as_str(), resumed.vehicles), (expected.as_str(), report.vehicles));
    assert_eq!((resumed.account, resumed.rows, resumed.as_of_day), (report.account, report.rows, report.as_of_day));
    assert_eq!(resumed.warnings.len(), 1);
    assert_eq!(fs::read_to_string(state.join("CURRENT")).unwrap().trim(), "gen-00000002");
    let repeated = score(&plan, &Control::silent()).unwrap_err();
    assert!(matches!(repeated, EngineError::Write(_)), "a third time the folder is taken: {repeated}");
    world.add_day(PAST + 1);
    world.compare(None, "the night after");
}

#[test]
fn nothing_is_left_lying_about() {
    let world = settled();
    for day in 0..3 {
        world.add_day(PAST + day);
        world.night(None).unwrap();
    }
    let mut names: Vec<String> =
        fs::read_dir(world.state()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let logs: Vec<String> = (1..=4).map(|night| format!("log-0000000{night}")).collect();
    let expected: Vec<&str> =
        ["CURRENT", "gen-00000004"].into_iter().chain(["lock"]).chain(logs.iter().map(String::as_str)).collect();
    assert_eq!(names, expected);
}

/// The comparator of all these tests is the content hash: it must object to one record more.
#[test]
fn one_record_more_is_another_content() {
    let world = settled();
    let whole = world.whole(None);
    let mut more = days(FIRST_DAY + 20..FIRST_DAY + 21);
    more.truncate(1);
    more[0].vehicle = 23;
    more[0].day = FIRST_DAY + 1;
    world.write_history("more", &more);
    let other = world.whole(None);
    assert_ne!(whole.content_hash, other.content_hash);
    assert!(super::world::first_difference(&whole.out, &other.out).starts_with("night V"));
}
