//! The recall of the synthetic fleet's sensor lot: the suspects are the vehicles whose sensors drift, the boundary scan
//! names the lot, and the folder holds the list in every form.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use calamine::Reader;
use fleetwear::engine::{self, RecallPlan, RecallReport, SimulatePlan};
use fleetwear::recall::cohort::Asked;
use fleetwear::run::Control;
use fleetwear::synth::{SynthPlan, generate};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::commands::fleetwear;

fn read(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

fn texts(path: &Path, column: &str) -> Vec<Option<String>> {
    let of = |batch: RecordBatch| {
        let array =
            arrow::compute::cast(batch.column_by_name(column).unwrap(), &arrow::datatypes::DataType::Utf8).unwrap();
        array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
    };
    read(path).into_iter().flat_map(of).collect()
}

/// Vehicles whose sensors were planted to drift, and the lot that holds them.
fn planted(data: &Path) -> (BTreeSet<String>, String) {
    let truth = data.join("truth/vehicles.parquet");
    let onsets = texts(&truth, "drift_onset_on");
    let drifting: BTreeSet<String> =
        texts(&truth, "vin").into_iter().zip(onsets).filter(|one| one.1.is_some()).filter_map(|one| one.0).collect();
    let listed = data.join("vehicles.parquet");
    let lots = texts(&listed, "sensor_lot");
    let lot =
        texts(&listed, "vin").into_iter().zip(lots).find(|one| drifting.contains(one.0.as_deref().unwrap())).unwrap();
    (drifting, lot.1.unwrap())
}

fn sized(
    data: &Path,
    out: &Path,
    cohort: &str,
    change: impl FnOnce(&mut RecallPlan),
) -> Result<RecallReport, engine::EngineError> {
    let mut plan = RecallPlan::new(data.to_path_buf(), "ev-passenger", out.to_path_buf(), Asked::of(cohort));
    (plan.simulation.paths, plan.horizons_days) = (8, vec![90]);
    change(&mut plan);
    engine::recall(&plan, &Control::silent())
}

fn judge(vehicles: u32, seed: u64, wanted: usize) {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("fleet");
    generate(&SynthPlan::new(vehicles, 730, seed), &data, &Control::silent()).unwrap();
    let (drifting, lot) = planted(&data);
    assert_eq!(drifting.len(), wanted);
    let out = place.path().join("out");
    let report =
        sized(&data, &out, &format!("sensor_lot == '{lot}'"), |plan| plan.failure_mode = Some("tyre_wear".to_owned()))
            .unwrap();
    let cohort = &report.cohort;
    let monitor = cohort.defects.iter().find(|one| one.shows_as == "alarms").unwrap();
    let suspects: Vec<&str> = (cohort.listed.iter())
        .filter(|one| one.suspect_of.split("; ").any(|name| name == monitor.name))
        .map(|one| one.id.as_str())
        .collect();
    let right = suspects.iter().filter(|id| drifting.contains(**id)).count();
    let (precision, recall) = (right as f64 / suspects.len() as f64, right as f64 / drifting.len() as f64);
    println!(
        "{vehicles} vehicles, lot {lot} of {}: {} suspects, {} planted, precision {precision:.4}, recall {recall:.4}; share {:.3} ({:.3} … {:.3}); {:.1} s",
        cohort.vehicles,
        suspects.len(),
        drifting.len(),
        monitor.share,
        monitor.share_lower,
        monitor.share_upper,
        report.seconds
    );
    assert!(precision >= 0.97 && recall >= 0.95, "{precision} {recall}");
    let first = &cohort.boundaries[0];
    assert_eq!(
        (first.1.attribute.as_str(), first.1.value.as_deref(), first.1.p),
        ("sensor_lot", Some(lot.as_str()), 0.001),
        "{first:?}"
    );
    assert!(
        monitor.share_lower < monitor.share && monitor.share > 0.5 && monitor.share_of_others < 0.02,
        "{monitor:?}"
    );
    // The list in three forms: report, Parquet, workbook.
    let parquet = std::fs::read_dir(out.join("vehicles")).unwrap().next().unwrap().unwrap().path();
    let ids = texts(&parquet, "vin");
    assert_eq!(ids.len() as u64, cohort.vehicles);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    let mut book: calamine::Xlsx<_> = calamine::open_workbook(out.join("recall.xlsx")).unwrap();
    let sheet = book.worksheet_range("vehicles").unwrap();
    assert_eq!(sheet.height() as u64, cohort.vehicles + 1);
    assert_eq!(sheet.get((1, 0)).unwrap().to_string(), ids[0].clone().unwrap());
    let range: u64 = cohort.ranges.iter().map(|range| range.vehicles).sum();
    assert_eq!(range, cohort.vehicles);
    let page = std::fs::read_to_string(out.join("recall.html")).unwrap();
    assert!(
        page.contains("default-src 'none'") && page.contains(&cohort.affected.to_string()) && !page.contains("<script")
    );
    assert!(!page.contains("RMB") && cohort.money.is_none(), "no money without the user's own");
    assert!(out.join("_SUCCESS").exists());
}

#[test]
fn the_drifting_lot_is_sized_and_named() {
    judge(1_200, 5, 75);
}

/// The scenario's own size, a few minutes: 1,247 suspects.
#[test]
#[ignore = "20,000 vehicles over two years; run by name when the recall changes"]
fn the_whole_lot_is_sized_and_named() {
    judge(20_000, 5, 1_247);
}

/// The cohort's counts are those of a simulation that counts by the attribute itself; threads change nothing; lists and
/// conditions that name the same vehicles give the same; money stands where economics were given.
#[test]
fn counts_are_those_of_the_simulation() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("fleet");
    generate(&SynthPlan::new(160, 420, 3), &data, &Control::silent()).unwrap();
    let plant = texts(&data.join("vehicles.parquet"), "plant")[0].clone().unwrap();
    let economics = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/examples/economics.toml");
    let of = |out: &str, cohort: &str, threads: usize| {
        sized(&data, &place.path().join(out), cohort, |plan| {
            plan.simulation.threads = threads;
            plan.simulation.monitors = false;
            plan.failure_mode = Some("tyre_wear".to_owned());
            plan.economics = Some(economics.into());
        })
    };
    let report = of("one", &format!("plant == '{plant}'"), 1).unwrap();
    let cohort = &report.cohort;
    let mut plan = SimulatePlan::new(data.clone(), "ev-passenger", place.path().join("futures"));
    (plan.paths, plan.horizon_weeks, plan.monitors, plan.keep_laws) = (8, 13, false, true);
    (plan.forecast_days, plan.groups) = ([90; 3], Some(vec!["plant".to_owned()]));
    let simulated = engine::simulate(&plan, &Control::silent()).unwrap();
    let same = simulated.laws.iter().find(|one| {
        one.group.as_deref() == Some(plant.as_str())
            && one.failure_mode == "tyre_wear"
            && one.window.name == "to_date"
            && one.window.days.1 - one.window.days.0 == 89
    });
    let same = same.unwrap();
    assert_eq!(cohort.forecasts.len(), 1);
    let forecast = &cohort.forecasts[0];
    assert!(
        forecast.expected > 0.5 && (forecast.expected / same.expected - 1.0).abs() < 1e-9,
        "{forecast:?} {}",
        same.expected
    );
    assert!(
        !forecast.calibrated && cohort.notes.iter().any(|note| note.contains("taken as known")),
        "{:?}",
        cohort.notes
    );
    assert!(forecast.lower as f64 <= forecast.expected && forecast.expected <= forecast.upper as f64, "{forecast:?}");
    assert_eq!(report.content_hash, of("three", &format!("plant == '{plant}'"), 3).unwrap().content_hash);
    // The same vehicles by a list, with a stranger among them.
    let mut list = "vin\n".to_owned();
    cohort.listed.iter().for_each(|one| list.push_str(&format!("{}\n", one.id)));
    list.push_str("STRANGER\n");
    let file = place.path().join("vins.csv");
    std::fs::write(&file, list).unwrap();
    let by_list = of("list", &format!("@{}", file.display()), 2).unwrap().cohort;
    assert_eq!((by_list.unknown.as_slice(), by_list.vehicles), (["STRANGER".to_owned()].as_slice(), cohort.vehicles));
    assert_eq!(by_list.forecasts, cohort.forecasts);
    assert!(by_list.notes.iter().any(|note| note.contains("STRANGER")), "{:?}", by_list.notes);
    let money = cohort.money.as_ref().unwrap();
    assert!(money.example && money.outcomes.len() == 4 && money.programmes.len() == 2);
    let page = std::fs::read_to_string(place.path().join("one/recall.html")).unwrap();
    assert!(page.contains("EXAMPLE figures") && page.contains("RMB"), "an example is called one");
    assert!(cohort.incidents.months.len() > 6, "{:?}", cohort.incidents);
}

#[test]
fn mistakes_end_with_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("fleet");
    generate(&SynthPlan::new(20, 100, 3), &data, &Control::silent()).unwrap();
    std::fs::write(place.path().join("bad.toml"), "currency = \"RMB\"\n[[programme]]\nname = \"x\"\ncost = -1\n")
        .unwrap();
    let economics = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/examples/economics.toml");
    for (cohort, more, exit, words) in [
        ("sensr_lot == 'A'", vec![], 2, "did you mean \"sensor_lot\"?"),
        ("plant = 'A'", vec![], 2, "`==`"),
        ("plant == 'nowhere'", vec![], 4, "no vehicle has plant \"nowhere\""),
        ("@nowhere.csv", vec![], 4, "nowhere.csv"),
        ("plant != ''", vec!["--economics", "bad.toml"], 3, "cost is -1"),
        ("plant != ''", vec!["--economics", economics], 2, "--mode"),
        ("plant != ''", vec!["--mode", "tire_wear"], 2, "did you mean \"tyre_wear\"?"),
        ("plant != ''", vec!["--horizon-days", "0"], 2, "--horizon-days"),
        ("plant != ''", vec!["--horizon", "5"], 2, "--lifetimes"),
    ] {
        let arguments =
            [&["--data", "fleet", "--model", "ev-passenger", "--out", "out", "--cohort", cohort], &more[..]].concat();
        let (code, _, stderr) = fleetwear(place.path(), &arguments);
        assert!(code == Some(exit) && stderr.contains(words), "{cohort} {more:?}: {code:?} {stderr}");
        assert!(!place.path().join("out").exists());
    }
}
