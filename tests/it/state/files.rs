//! History files that a state has read and that are not what they were: renamed, put together; and what the manifest
//! says of all files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use fleetwear::engine::{ScorePlan, score};
use fleetwear::fleet::manifest::ReadBy;
use fleetwear::fleet::state::error::StateError;
use fleetwear::run::Control;

use super::refusals::{PAST, refusal, settled};
use super::world::{FIRST_DAY, Order, days};

#[test]
fn a_renamed_file_is_known_by_its_content() {
    let mut world = settled();
    fs::rename(world.history("a"), world.history("z-archived")).unwrap();
    world.add_day(PAST);
    let report = world.compare(None, "renamed");
    let night = report.night.unwrap();
    assert_eq!((night.files, night.files_of_state, night.counts.everything), (1, 3, false));
    // Its records are needed again: a replacement from before the log.
    world.orders.push(Order { vehicle: 0, component: "fuse", position: None, day: FIRST_DAY + 12 });
    world.write_tables();
    world.add_day(PAST + 1);
    assert_eq!(world.compare(None, "and needed").night.unwrap().counts.reformed, 1);
}

/// Files put together are other contents: what they hold beyond the log cannot be told from new records.
#[test]
fn files_put_together_are_refused_by_name_and_rebuilt_on_demand() {
    let world = settled();
    fs::remove_file(world.history("a")).unwrap();
    fs::remove_file(world.history("b")).unwrap();
    world.write_history("all", &days(FIRST_DAY..FIRST_DAY + PAST));
    let error = refusal(&world, None);
    let StateError::HistoriesGone { files, .. } = &error else { panic!("{error}") };
    assert!(files.len() == 2 && files[0].ends_with("a.parquet") && files[1].ends_with("b.parquet"), "{files:?}");
    assert!(error.to_string().contains("b.parquet") && error.to_string().contains("--rebuild-state"), "{error}");
    let plan = ScorePlan { state: Some(world.state()), rebuild_state: true, ..world.plan(None) };
    assert_eq!(score(&plan, &Control::silent()).unwrap().content_hash, world.whole(None).content_hash);
    world.add_day(PAST);
    world.compare(None, "after rebuilding");
}

#[test]
fn the_manifest_names_every_file_with_its_hash() {
    let mut world = settled();
    let inputs = |report: &fleetwear::engine::ScoreReport| -> BTreeMap<String, (String, u64, String)> {
        let inputs = report.manifest.inputs.iter();
        inputs.map(|file| (file.path.clone(), (file.table.clone(), file.rows, file.blake3.clone()))).collect()
    };
    let before = inputs(&world.whole(None));
    let tables: BTreeSet<&str> = before.values().map(|file| file.0.as_str()).collect();
    assert_eq!(tables.into_iter().collect::<Vec<_>>(), ["events", "histories", "joins.weather", "vehicles"]);
    for (path, (_, _, hash)) in &before {
        assert_eq!(*hash, blake3::hash(&fs::read(path).unwrap()).to_hex().to_string(), "{path}");
    }
    world.orders.push(Order { vehicle: 0, component: "fuse", position: None, day: FIRST_DAY + 12 });
    world.write_tables();
    world.add_day(PAST);
    let night = world.night(None).unwrap();
    let mut read = BTreeMap::new();
    for file in night.manifest.inputs.iter().filter(|file| file.table == "histories") {
        read.insert(file.path.rsplit("/").next().unwrap(), file.read);
        assert_eq!(file.bytes, fs::metadata(&file.path).unwrap().len(), "{}", file.path);
    }
    let expected = [("a.parquet", ReadBy::Earlier), ("b.parquet", ReadBy::Earlier), ("n0150.parquet", ReadBy::ThisRun)];
    assert_eq!(read, BTreeMap::from(expected));
    let text = fs::read_to_string(night.out.join("manifest.json")).unwrap();
    assert_eq!(text.matches("\"read\": \"earlier\"").count(), 2, "{text}");
    let mut after = inputs(&night);
    assert!(after.remove(&world.history("n0150").display().to_string()).is_some_and(|file| file.1 > 0));
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let changed: Vec<&str> =
        after.iter().filter(|(path, file)| before[*path] != **file).map(|(_, file)| file.0.as_str()).collect();
    assert_eq!(changed, ["events"]);
    let orders = after.values().find(|file| file.0 == "events").unwrap();
    assert_eq!(orders.1, 1, "rows");
}
