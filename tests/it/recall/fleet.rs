//! The recall of the synthetic fleet's sensor lot: the suspects are the vehicles whose sensors drift, the boundary scan
//! names the lot, and the folder holds the list in every form.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::DataType;
use calamine::Reader;
use fleetwear::engine::{self, RecallPlan, RecallReport, SimulatePlan};
use fleetwear::recall::cohort::Asked;
use fleetwear::recall::page::PageLanguage;
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

/// A monitor of the sensor, which the shipped model has; [`DEFECT`]'s component has no failure mode.
const DEFECT: &str = "pack_temp_spread";

fn rows(path: &Path, sheet: &str) -> Vec<Vec<String>> {
    let mut book: calamine::Xlsx<_> = calamine::open_workbook(path).unwrap();
    let range = book.worksheet_range(sheet).unwrap();
    range.rows().map(|row| row.iter().map(ToString::to_string).collect()).collect()
}

fn part(out: &Path, table: &str) -> std::path::PathBuf {
    std::fs::read_dir(out.join(table)).unwrap().next().unwrap().unwrap().path()
}

fn judge(vehicles: u32, seed: u64, wanted: usize) {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("fleet");
    generate(&SynthPlan::new(vehicles, 730, seed), &data, &Control::silent()).unwrap();
    let (drifting, lot) = planted(&data);
    assert_eq!(drifting.len(), wanted);
    let out = place.path().join("out");
    let report =
        sized(&data, &out, &format!("sensor_lot == '{lot}'"), |plan| plan.defect = Some(DEFECT.to_owned())).unwrap();
    let cohort = &report.cohort;
    let suspects: Vec<&str> =
        cohort.listed.iter().filter(|one| one.suspect == Some(true)).map(|one| one.id.as_str()).collect();
    let right = suspects.iter().filter(|id| drifting.contains(**id)).count();
    let (precision, recall) = (right as f64 / suspects.len() as f64, right as f64 / drifting.len() as f64);
    let monitor = cohort.defects.iter().find(|one| one.shows_as == "alarms").unwrap();
    println!(
        "{vehicles} vehicles, lot {lot} of {}: {} suspects, {} planted, precision {precision:.4}, recall {recall:.4}; share of those affected {:?}; boundaries {:?}; {:.1} s",
        cohort.vehicles,
        suspects.len(),
        drifting.len(),
        cohort.suspects.unwrap(),
        cohort
            .boundaries
            .iter()
            .take(4)
            .map(|one| (&one.attribute, &one.value, one.log10_p, one.p))
            .collect::<Vec<_>>(),
        report.seconds
    );
    assert!(precision >= 0.97 && recall >= 0.95, "{precision} {recall}");
    // Most drifting sensors have failed and were replaced by now.
    assert!(
        cohort.replaced * 2 > suspects.len() as u64 && cohort.replaced <= suspects.len() as u64,
        "{}",
        cohort.replaced
    );
    // Of the defect asked for, and of no other.
    let names: Vec<&str> = cohort.defects.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, [DEFECT, "pack_temp_sensor"]);
    assert!(cohort.listed.iter().all(|one| one.shows.split("; ").all(|name| name.is_empty() || names.contains(&name))));
    let first = &cohort.boundaries[0];
    assert_eq!((first.attribute.as_str(), first.value.as_deref()), ("sensor_lot", Some(lot.as_str())), "{first:?}");
    assert!(first.p < 1e-6 && first.marked as f64 > 3.0 * first.expected, "{first:?}");
    assert!(monitor.inside.lower < monitor.inside.share && monitor.inside.share > 0.5, "{monitor:?}");
    assert!(monitor.share_of_others < 0.02, "{monitor:?}");
    // The model forecasts no failures of sensors: that is said, not hidden.
    assert!(cohort.forecasts.is_empty());
    assert!(cohort.notes.iter().any(|note| note.english.contains("no failure mode of pack_temp_sensor")));
    // The list in three forms: report, Parquet, workbook.
    let ids = texts(&part(&out, "vehicles"), "vin");
    assert_eq!(ids.len() as u64, cohort.vehicles);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    let sheet = rows(&out.join("recall.xlsx"), "vehicles");
    assert_eq!(sheet.len() as u64, cohort.vehicles + 1);
    let suspect = sheet[0].iter().position(|heading| heading == "suspect").unwrap();
    for ((row, id), one) in sheet[1..].iter().zip(&ids).zip(&cohort.listed) {
        assert_eq!((Some(&row[0]), row[suspect] == "true"), (id.as_ref(), one.suspect == Some(true)));
    }
    let range: u64 = cohort.ranges.iter().map(|range| range.vehicles).sum();
    assert_eq!(range, cohort.vehicles);
    let page = std::fs::read_to_string(out.join("recall.html")).unwrap();
    for words in
        ["default-src 'none'", &format!("<b>{}</b>", cohort.affected), &format!("<b>{}</b> suspects", suspects.len())]
    {
        assert!(page.contains(words), "{words}");
    }
    assert!(
        !page.contains("RMB") && !page.contains("<script") && cohort.money.is_none(),
        "no money without the user's own"
    );
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

/// The shipped model with a covariance, as `fit` writes one: the logarithm of the tyre's shape is known to 0.2.
fn with_covariance(folder: &Path) -> String {
    let text = include_str!("../../../datasets/models/ev-passenger.toml");
    let covariance = "\n[covariance]\nparameters = [\"tyre_wear.weibull_shape\"]\nmatrix = [[0.04]]\n";
    let file = folder.join("fitted.toml");
    std::fs::write(&file, format!("{text}{covariance}")).unwrap();
    file.to_string_lossy().into_owned()
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
    let of = |out: &str, cohort: &str, threads: usize, model: &str, language: PageLanguage| {
        sized(&data, &place.path().join(out), cohort, |plan| {
            plan.simulation.threads = threads;
            plan.simulation.monitors = false;
            plan.simulation.model = model.to_owned();
            plan.defect = Some("tyre_wear".to_owned());
            plan.economics = Some(economics.into());
            plan.language = language;
        })
    };
    let asked = format!("plant == '{plant}'");
    let report = of("one", &asked, 1, "ev-passenger", PageLanguage::En).unwrap();
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
    let notes: Vec<&str> = cohort.notes.iter().map(|note| note.english.as_str()).collect();
    assert!(!forecast.calibrated && forecast.share_parameters.is_none(), "{forecast:?}");
    for words in ["taken as known", "is not among those to come"] {
        assert!(notes.iter().any(|note| note.contains(words)), "{words}: {notes:?}");
    }
    assert!(forecast.lower as f64 <= forecast.expected && forecast.expected <= forecast.upper as f64, "{forecast:?}");
    assert_eq!(report.content_hash, of("three", &asked, 3, "ev-passenger", PageLanguage::En).unwrap().content_hash);
    // The same vehicles by a list, as CSV and as the workbook that was written, with a stranger among them.
    let mut list = "vin\n".to_owned();
    cohort.listed.iter().for_each(|one| list.push_str(&format!("{}\n", one.id)));
    list.push_str("STRANGER\n");
    let file = place.path().join("vins.csv");
    std::fs::write(&file, list).unwrap();
    let by_list = of("list", &format!("@{}", file.display()), 2, "ev-passenger", PageLanguage::En).unwrap();
    let inputs: Vec<&str> = by_list.manifest.inputs.iter().map(|input| input.table.as_str()).collect();
    assert!(inputs.contains(&"economics") && inputs.contains(&"cohort"), "{inputs:?}");
    let by_list = by_list.cohort;
    assert_eq!((by_list.unknown.as_slice(), by_list.vehicles), (["STRANGER".to_owned()].as_slice(), cohort.vehicles));
    assert_eq!(by_list.forecasts, cohort.forecasts);
    assert!(by_list.notes.iter().any(|note| note.english.contains("STRANGER")), "{:?}", by_list.notes);
    let why = texts(&part(&place.path().join("list"), "not_counted"), "why");
    assert_eq!(why, [Some("not in the data".to_owned())]);
    let book = place.path().join("one/recall.xlsx");
    let by_book = of("book", &format!("@{}", book.display()), 2, "ev-passenger", PageLanguage::Zh).unwrap().cohort;
    assert_eq!((by_book.vehicles, &by_book.forecasts), (cohort.vehicles, &cohort.forecasts));
    // Empty tables have their columns' types.
    let empty = read(&part(&place.path().join("one"), "boundaries"));
    let schema = ParquetRecordBatchReaderBuilder::try_new(
        std::fs::File::open(part(&place.path().join("one"), "boundaries")).unwrap(),
    );
    let schema = schema.unwrap().schema().clone();
    assert_eq!(empty.iter().map(RecordBatch::num_rows).sum::<usize>(), cohort.boundaries.len());
    for (column, kind) in [("vehicles", DataType::Int64), ("p", DataType::Float64), ("value", DataType::Utf8)] {
        assert_eq!(*schema.field_with_name(column).unwrap().data_type(), kind, "{column}");
    }
    let money = cohort.money.as_ref().unwrap();
    assert!(money.example && money.outcomes.len() == 4 && money.programmes.len() == 2);
    let page = std::fs::read_to_string(place.path().join("one/recall.html")).unwrap();
    for words in ["EXAMPLE figures", "RMB", "not calibrated, too narrow", "were not varied", ">NO<"] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("0 % the model"), "what was not varied has no share");
    let chinese = std::fs::read_to_string(place.path().join("book/recall.html")).unwrap();
    for words in ["lang=\"zh\"", "示例数字", "参数视为已知", "未校准", "下次保养时更换"] {
        assert!(chinese.contains(words), "{words}");
    }
    assert!(!chinese.contains("taken as known"), "notes are in the page's language");
    assert!(cohort.incidents.months.len() > 6, "{:?}", cohort.incidents);
    // With a covariance the bounds are calibrated, and each tail's cover is on the page.
    let model = with_covariance(place.path());
    let fitted = of("fitted", &asked, 2, &model, PageLanguage::En).unwrap().cohort;
    let forecast = &fitted.forecasts[0];
    assert!(forecast.calibrated && forecast.share_parameters.is_some_and(|share| share > 0.0), "{forecast:?}");
    let page = std::fs::read_to_string(place.path().join("fitted/recall.html")).unwrap();
    let cover = format!("{:.2}\u{a0}%", 100.0 * forecast.bounds.upper.cover);
    for words in ["calibrated tail by tail", "Escobar", ">yes<", &cover, "the model&#39;s parameters; more data"] {
        assert!(page.contains(words), "{words}");
    }
}

/// Vehicles without the attribute that is asked for are neither in the cohort nor out of it: counted, listed, said.
#[test]
fn vehicles_of_unknown_membership_are_told() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("fleet");
    generate(&SynthPlan::new(40, 120, 3), &data, &Control::silent()).unwrap();
    let file = data.join("vehicles.parquet");
    let batches = read(&file);
    let schema = batches[0].schema();
    let place_of = schema.index_of("plant").unwrap();
    let nullable = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
    let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(nullable));
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(std::fs::File::create(&file).unwrap(), schema.clone(), None).unwrap();
    let (mut lost, mut row) = (Vec::new(), 0);
    for batch in &batches {
        let ids = arrow::compute::cast(batch.column_by_name("vin").unwrap(), &DataType::Utf8).unwrap();
        let plants = arrow::compute::cast(batch.column(place_of), &DataType::Utf8).unwrap();
        let mut kept = Vec::new();
        for at in 0..batch.num_rows() {
            let is_lost = row % 10 == 3;
            if is_lost {
                lost.push(ids.as_string::<i32>().value(at).to_owned());
            }
            kept.push((!is_lost).then(|| plants.as_string::<i32>().value(at).to_owned()));
            row += 1;
        }
        let mut columns = batch.columns().to_vec();
        let plants: arrow::array::StringArray = kept.into_iter().collect();
        columns[place_of] = arrow::compute::cast(&plants, schema.field(place_of).data_type()).unwrap();
        writer.write(&RecordBatch::try_new(schema.clone(), columns).unwrap()).unwrap();
    }
    writer.close().unwrap();
    lost.sort_unstable();
    let out = place.path().join("out");
    let report = sized(&data, &out, "plant != 'nowhere'", |plan| plan.simulation.monitors = false).unwrap();
    let cohort = &report.cohort;
    assert_eq!((cohort.undecided, cohort.vehicles), (4, 36));
    assert_eq!(texts(&part(&out, "not_counted"), "vin").into_iter().flatten().collect::<Vec<_>>(), lost);
    assert_eq!(rows(&out.join("recall.xlsx"), "not_counted").len(), 5);
    let page = std::fs::read_to_string(out.join("recall.html")).unwrap();
    assert!(page.contains("of 4 vehicles it is not known"), "{page}");
    // Nobody was asked about: nobody is suspect, and every defect stands by itself.
    assert!(cohort.suspects.is_none() && cohort.defects.len() > 4, "{:?}", cohort.defects);
}

#[test]
fn mistakes_end_with_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("fleet");
    generate(&SynthPlan::new(20, 100, 3), &data, &Control::silent()).unwrap();
    std::fs::write(place.path().join("bad.toml"), "currency = \"RMB\"\n[[programme]]\nname = \"x\"\ncost = -1\n")
        .unwrap();
    std::fs::write(place.path().join("no_cost.toml"), "currency = \"RMB\"\n[[programme]]\nname = \"x\"\n").unwrap();
    std::fs::write(place.path().join("strangers.csv"), "vin\nX1\nX2\n").unwrap();
    let economics = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/examples/economics.toml");
    for (cohort, more, exit, words) in [
        ("sensr_lot == 'A'", vec![], 2, "did you mean \"sensor_lot\"?"),
        ("plant = 'A'", vec![], 2, "`==`"),
        ("plant == 'nowhere'", vec![], 4, "no vehicle has plant \"nowhere\""),
        ("@nowhere.csv", vec![], 4, "nowhere.csv"),
        ("@strangers.csv", vec![], 4, "none of its 2 ids is in the data: X1, X2"),
        ("plant != ''", vec!["--economics", "bad.toml"], 3, "cost is -1"),
        ("plant != ''", vec!["--economics", "no_cost.toml"], 3, "missing field `cost`"),
        ("plant != ''", vec!["--economics", economics], 2, "--defect"),
        ("plant != ''", vec!["--defect", "tire_wear"], 2, "did you mean \"tyre_wear\"?"),
        ("plant != ''", vec!["--horizon-days", "0"], 2, "--horizon-days"),
        ("plant != ''", vec!["--horizon", "5"], 2, "--horizon"),
        ("plant != ''", vec!["--nested", "5"], 2, "--nested"),
        ("plant != ''", vec!["--time", "hours"], 2, "--time"),
    ] {
        let arguments =
            [&["--data", "fleet", "--model", "ev-passenger", "--out", "out", "--cohort", cohort], &more[..]].concat();
        let (code, _, stderr) = fleetwear(place.path(), &arguments);
        assert!(code == Some(exit) && stderr.contains(words), "{cohort} {more:?}: {code:?} {stderr}");
        assert!(!place.path().join("out").exists());
    }
}

/// What a terminal shows, in English and Chinese.
#[test]
fn the_report_is_told() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("fleet");
    generate(&SynthPlan::new(30, 120, 3), &data, &Control::silent()).unwrap();
    let economics = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/examples/economics.toml");
    let asked = |out| {
        let asked = ["--data", "fleet", "--model", "ev-passenger", "--cohort", "plant != ''", "--defect", "tyre_wear"];
        let more = ["--economics", economics, "--paths", "4", "--horizon-days", "30,60", "--no-monitors", "--out", out];
        [&asked[..], &more[..]].concat()
    };
    let (code, text, stderr) = fleetwear(place.path(), &asked("en"));
    assert_eq!(code, Some(0), "{stderr}");
    for words in
        ["affected", "suspects", "tyre_wear", "not calibrated", "EXAMPLE figures", "replace_now", "early warning"]
    {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    let (_, text, _) = fleetwear(place.path(), &[&asked("zh")[..], &["--lang", "zh"]].concat());
    for words in ["受影响车辆", "可疑车辆", "未校准", "示例数字"] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    assert!(std::fs::read_to_string(place.path().join("zh/recall.html")).unwrap().contains("召回规模评估"));
}
