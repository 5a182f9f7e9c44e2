//! The synthetic fleet: the same bytes on any number of threads and the same rows in any layout; what was planted can
//! be found in the files again; and the engine's clocks are the truth's. Every statistical check is shown a wrong
//! fleet or a wrong law, and must object.

#![allow(clippy::disallowed_methods)] // Statistics with tolerances need not be the same on every platform.

mod facts;
mod weather;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int64Type, UInt16Type};
use fleetwear::backend::Choice;
use fleetwear::engine;
use fleetwear::engine::ScorePlan;
use fleetwear::fleet::dataset::Dataset;
use fleetwear::fleet::dictionary::Dictionary;
use fleetwear::fleet::manifest::{Manifest, ManifestPart};
use fleetwear::model::shipped::standard_schema;
use fleetwear::run::{Control, Interrupted, Stop};
use fleetwear::synth::{IdKind, Layout, SynthError, SynthPlan, generate};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

fn read(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

fn text(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let array = batch.column_by_name(column).unwrap().as_string::<i32>();
    array.is_valid(row).then(|| array.value(row).to_owned())
}

fn date(batch: &RecordBatch, column: &str, row: usize) -> Option<i32> {
    let array = batch.column_by_name(column).unwrap().as_primitive::<Date32Type>();
    array.is_valid(row).then(|| array.value(row))
}

fn manifest(folder: &Path) -> Manifest {
    serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap()
}

fn make(plan: &SynthPlan, folder: &Path) -> Vec<ManifestPart> {
    generate(plan, folder, &Control::silent()).unwrap();
    manifest(folder).parts
}

fn small() -> SynthPlan {
    let mut plan = SynthPlan::new(400, 60, 11);
    plan.rows_per_file = 1_500;
    plan
}

/// (vehicle, day, cells) of all history files, in file order.
fn history_rows(folder: &Path) -> Vec<(String, i32, Vec<Option<u16>>)> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder.join("histories")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let channels = standard_schema().channels;
    let mut rows = Vec::new();
    for batch in files.iter().flat_map(|file| read(file)) {
        let cells: Vec<_> = channels
            .iter()
            .map(|channel| batch.column_by_name(&channel.name).unwrap().as_primitive::<UInt16Type>())
            .collect();
        for row in 0..batch.num_rows() {
            let cells = cells.iter().map(|array| array.is_valid(row).then(|| array.value(row))).collect();
            rows.push((text(&batch, "vin", row).unwrap(), date(&batch, "date", row).unwrap(), cells));
        }
    }
    rows
}

#[test]
fn threads_do_not_change_a_byte() {
    for layout in [Layout::Vehicle, Layout::Day] {
        let place = tempfile::tempdir().unwrap();
        let mut parts = Vec::new();
        for threads in [1, 2, 8] {
            let plan = SynthPlan { threads, layout, ..small() };
            parts.push(make(&plan, &place.path().join(threads.to_string())));
        }
        assert!(parts[0].iter().filter(|part| part.path.starts_with("histories/")).count() >= 16);
        assert_eq!(parts[0], parts[1]);
        assert_eq!(parts[0], parts[2]);
        let other = make(&SynthPlan { seed: 12, layout, ..small() }, &place.path().join("other"));
        let changed = parts[0].iter().zip(&other).filter(|(a, b)| a.blake3 != b.blake3).count();
        assert_eq!(changed, parts[0].len(), "another seed must change every file");
    }
}

#[test]
fn layouts_carry_the_same_rows_and_tables() {
    let place = tempfile::tempdir().unwrap();
    let by_vehicle = make(&small(), &place.path().join("vehicle"));
    let by_day = make(&SynthPlan { layout: Layout::Day, ..small() }, &place.path().join("day"));
    let tables = |parts: &[ManifestPart]| -> Vec<ManifestPart> {
        parts.iter().filter(|part| !part.path.starts_with("histories/")).cloned().collect()
    };
    assert_eq!(tables(&by_vehicle), tables(&by_day));
    let rows = history_rows(&place.path().join("vehicle"));
    assert!(rows.is_sorted_by(|a, b| (&a.0, a.1) < (&b.0, b.1)), "files by vehicle are sorted by vehicle and day");
    let mut of_days = history_rows(&place.path().join("day"));
    assert!(of_days.is_sorted_by(|a, b| (a.1, &a.0) < (b.1, &b.0)), "files by day are sorted by day and vehicle");
    of_days.sort();
    assert_eq!(rows.len(), of_days.len());
    assert!(rows == of_days);
    // The comparison sees a single cell.
    of_days[77].2[3] = of_days[77].2[3].map_or(Some(1), |code| Some(code ^ 1));
    assert!(rows != of_days);
    let planted: Value =
        serde_json::from_slice(&std::fs::read(place.path().join("vehicle/truth/planted.json")).unwrap()).unwrap();
    assert_eq!(planted["counts"]["rows"].as_u64(), Some(rows.len() as u64));
    let empty: usize = rows.iter().map(|row| row.2.iter().filter(|cell| cell.is_none()).count()).sum();
    assert_eq!(planted["counts"]["not_available_cells"].as_u64(), Some(empty as u64));
    assert!(empty > 0);
}

#[test]
fn the_dictionary_declares_the_standard_channels() {
    let place = tempfile::tempdir().unwrap();
    for (ids, name) in [(IdKind::Vin, "vin"), (IdKind::Integer, "vehicle_id")] {
        let folder = place.path().join(name);
        make(&SynthPlan { vehicles: 3, days: 2, ids, ..small() }, &folder);
        let dictionary = Dictionary::load(&folder).unwrap();
        assert_eq!(dictionary.schema(), standard_schema());
        assert_eq!(dictionary.histories.vehicle, name);
        Dataset::open(&folder, 1, &Control::silent()).unwrap();
    }
}

#[test]
fn the_engine_finds_the_true_clocks() {
    let (compared, restarted) = true_clocks(&SynthPlan { vehicles: 300, days: 250, ..small() });
    assert!(compared > 3_000 && restarted > 100, "{compared} {restarted}");
}

/// An interaction may ask for any attribute that the vehicles' table has.
#[test]
fn the_engine_finds_the_true_clocks_of_a_service_centre_and_a_lot() {
    let place = tempfile::tempdir().unwrap();
    let passenger = std::fs::read_to_string("datasets/models/ev-passenger.toml").unwrap();
    let zones = vec![("helsinki".to_owned(), 1.0)];
    let plan = SynthPlan { vehicles: 60, days: 120, zones, ..small() };
    let table = place.path().join("table");
    make(&plan, &table);
    let vehicles = &read(&table.join("vehicles.parquet"))[0];
    for attribute in ["service_centre", "sensor_lot"] {
        let value = text(vehicles, attribute, 0).unwrap();
        let model = place.path().join(format!("{attribute}.toml"));
        let changed = passenger.replace(r#"model = "M2""#, &format!("{attribute} = {value:?}"));
        assert_ne!(changed, passenger);
        std::fs::write(&model, changed).unwrap();
        assert!(true_clocks(&SynthPlan { model: model.display().to_string(), ..plan.clone() }).0 > 500);
    }
}

#[test]
fn zones_get_their_shares_and_a_two_wheeler_is_known_by_its_name() {
    let place = tempfile::tempdir().unwrap();
    let zones = vec![("helsinki".to_owned(), 3.0), ("singapore".to_owned(), 1.0)];
    let data = place.path().join("zones");
    make(&SynthPlan { days: 5, zones, ..small() }, &data);
    let vehicles = read(&data.join("vehicles.parquet"));
    let zone = |batch: &RecordBatch, row| text(batch, "climate_zone", row).unwrap();
    let in_zone = |name: &str| -> usize {
        vehicles.iter().map(|batch| (0..batch.num_rows()).filter(|&row| zone(batch, row) == name).count()).sum()
    };
    // Four standard deviations of 400 draws.
    assert!(in_zone("helsinki").abs_diff(300) <= 35, "{}", in_zone("helsinki"));
    assert_eq!(in_zone("helsinki") + in_zone("singapore"), 400);

    let copied = place.path().join("mine.toml");
    std::fs::copy("datasets/models/ev-two-wheeler.toml", &copied).unwrap();
    let rows = |model: &str, name: &str| {
        let data = place.path().join(name);
        make(&SynthPlan { vehicles: 20, days: 10, model: model.to_owned(), ..small() }, &data);
        history_rows(&data)
    };
    let two_wheelers = rows("ev-two-wheeler", "shipped");
    assert_eq!(rows(&copied.display().to_string(), "copied"), two_wheelers);
    assert_ne!(rows("ev-passenger", "passenger"), two_wheelers);
}

/// Scores a fleet and compares the clocks of all parts' last lives with the truth's: how many, and how many of them
/// began with a replacement.
fn true_clocks(plan: &SynthPlan) -> (usize, usize) {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    make(plan, &data);
    let scores = place.path().join("scores");
    let mut score = ScorePlan::new(data.clone(), &plan.model, scores.clone());
    score.backend = Choice::Cpu;
    engine::score(&score, &Control::silent()).unwrap();

    type Part = (String, String, Option<String>);
    let part = |batch: &RecordBatch, row: usize| -> Part {
        (text(batch, "vin", row).unwrap(), text(batch, "failure_mode", row).unwrap(), text(batch, "position", row))
    };
    let clocks = |batch: &RecordBatch, row: usize, column: &str| -> Vec<i64> {
        let list = batch.column_by_name("clocks").unwrap().as_list::<i32>().value(row);
        list.as_struct().column_by_name(column).unwrap().as_primitive::<Int64Type>().values().to_vec()
    };
    // The last life of every part, as the truth tells it.
    let mut truth: BTreeMap<Part, (Option<i32>, i64, Vec<i64>)> = BTreeMap::new();
    for batch in read(&data.join("truth/lives.parquet")) {
        for row in 0..batch.num_rows() {
            let key = part(&batch, row);
            let records = batch.column_by_name("records").unwrap().as_primitive::<Int64Type>().value(row);
            // Rows come in the order of lives: a part's second and later ones began with a replacement in the data.
            let start = truth.contains_key(&key).then(|| date(&batch, "started_on", row)).flatten();
            truth.insert(key, (start, records, clocks(&batch, row, "clock_q48")));
        }
    }
    let mut compared = 0;
    let mut restarted = 0;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(scores.join("scores")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for batch in files.iter().flat_map(|file| read(file)) {
        for row in 0..batch.num_rows() {
            let Some((start, records, expected)) = truth.get(&part(&batch, row)) else { continue };
            assert_eq!(date(&batch, "clock_start", row), *start, "{:?}", part(&batch, row));
            assert_eq!(batch.column_by_name("records").unwrap().as_primitive::<Int64Type>().value(row), *records);
            assert_eq!(clocks(&batch, row, "clock_q48"), *expected, "{:?}", part(&batch, row));
            compared += 1;
            restarted += usize::from(start.is_some());
        }
    }
    assert_eq!(compared, truth.len(), "every part of the truth is scored");
    (compared, restarted)
}

#[test]
fn a_run_that_is_stopped_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let stop = Stop::default();
    stop.raise();
    let outcome = generate(&small(), &place.path().join("out"), &Control::new(&stop, &|_| {}));
    assert!(matches!(outcome, Err(SynthError::Interrupted(Interrupted))));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn impossible_plans_are_refused_and_tiny_ones_made() {
    let place = tempfile::tempdir().unwrap();
    let refused = |plan: SynthPlan| generate(&plan, &place.path().join("no"), &Control::silent()).unwrap_err();
    for plan in [
        SynthPlan { vehicles: 0, ..small() },
        SynthPlan { days: 0, ..small() },
        SynthPlan { vehicles: 39_135_394, ..small() },
        SynthPlan { start_day: -1, ..small() },
        SynthPlan { threads: 0, ..small() },
        SynthPlan { zones: vec![("beijing".into(), f64::NAN)], ..small() },
        SynthPlan { zones: vec![("beijing".into(), 1.0), ("oslo".into(), 1.0), ("beijing".into(), 2.0)], ..small() },
        SynthPlan { rows_per_file: 0, ..small() },
    ] {
        assert!(matches!(refused(plan), SynthError::Option { .. }));
    }
    let unknown = refused(SynthPlan { zones: vec![("bejing".into(), 1.0)], ..small() });
    assert!(unknown.to_string().contains("beijing"), "{unknown}");
    assert!(matches!(refused(SynthPlan { model: "no such".into(), ..small() }), SynthError::Model(_)));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    for (vehicles, days) in [(1, 1), (1, 400), (30, 1)] {
        for layout in [Layout::Vehicle, Layout::Day] {
            let folder = place.path().join(format!("{vehicles}-{days}-{layout:?}"));
            make(&SynthPlan { vehicles, days, layout, ..small() }, &folder);
        }
    }
    let two_wheelers = SynthPlan { model: "ev-two-wheeler".into(), ..small() };
    assert!(!make(&two_wheelers, &place.path().join("two-wheelers")).is_empty());
}

#[test]
fn the_lot_is_complete_in_a_fleet_of_twenty_thousand() {
    let place = tempfile::tempdir().unwrap();
    let plan = SynthPlan { vehicles: 20_000, days: 3, ..SynthPlan::new(1, 1, 5) };
    make(&plan, place.path());
    let mut lots: BTreeMap<String, usize> = BTreeMap::new();
    for batch in read(&place.path().join("vehicles.parquet")) {
        for row in 0..batch.num_rows() {
            *lots.entry(text(&batch, "sensor_lot", row).unwrap()).or_default() += 1;
        }
    }
    let planted: Value =
        serde_json::from_slice(&std::fs::read(place.path().join("truth/planted.json")).unwrap()).unwrap();
    assert_eq!(lots[planted["sensor_lot"]["name"].as_str().unwrap()], 1_600);
    assert!(lots.len() > 10, "{lots:?}");
    let drifting: usize = read(&place.path().join("truth/vehicles.parquet"))
        .iter()
        .map(|batch| batch.num_rows() - batch.column_by_name("drift_onset_on").unwrap().null_count())
        .sum();
    assert_eq!(drifting, 1_247);
}
