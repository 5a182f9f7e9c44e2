//! The dataset: files found, tables loaded, every row accounted for; on made-up hostile inputs and on the buses.

mod files;
mod ids;
mod init;
mod quantise;
mod side_tables;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use fleetwear::fleet::check::{CheckPlan, check};
use fleetwear::fleet::dataset::Dataset;
use fleetwear::fleet::dictionary::Dictionary;
use fleetwear::fleet::ids::IdTable;
use fleetwear::fleet::known::Known;
use fleetwear::fleet::tables::load as load_tables;
use fleetwear::fleet::time::TimeAxis;
use fleetwear::fleet::vehicles::EventKind;
use fleetwear::model::channel::PeriodLength;
use fleetwear::run::Control;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Writes columns as a Parquet file.
fn write_parquet(path: &Path, columns: &[(&str, ArrayRef)]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.iter().map(|(name, column)| (*name, Arc::clone(column), true)),
    )
    .unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The id table of a dictionary, as a reader opens it: by the type of the histories' vehicle column.
fn id_table(dictionary: &Dictionary) -> IdTable {
    let file = &fleetwear::fleet::files::resolve(&dictionary.histories.files).unwrap()[0];
    let builder = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&file.path).unwrap()).unwrap();
    let column = &dictionary.histories.vehicle;
    let data_type = builder.schema().field_with_name(column).unwrap().data_type().clone();
    IdTable::for_column(&data_type, &file.path, column).unwrap()
}

/// Real data beside the repository; where they may be skipped, the test says so.
fn outside_data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() && std::env::var("FLEETWEAR_OUTSIDE_DATA").as_deref() == Ok("skip") {
        crate::skipped::say("dataset", &format!("no outside data at {name}, and FLEETWEAR_OUTSIDE_DATA=skip"));
        return None;
    }
    assert!(path.exists(), "{} is missing; set FLEETWEAR_OUTSIDE_DATA=skip to do without", path.display());
    Some(path)
}

#[test]
fn buses_load() {
    let Some(_) = outside_data("buses") else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/examples/buses");
    let dictionary = Dictionary::load(&path).unwrap();
    let schema = dictionary.schema();
    assert_eq!(schema.period_length, PeriodLength::Channel(2));
    assert_eq!(schema.channels[0].codes, 12_001);
    let ids = id_table(&dictionary);
    let (vehicles, account, _) =
        load_tables(&dictionary, TimeAxis::Days, &ids, Known::default(), &Control::silent()).unwrap();
    let rows = account.vehicles.unwrap();
    assert!(rows.balances());
    assert_eq!((rows.rows_in, rows.vehicles, rows.repeated, rows.no_build_date), (99, 99, 0, 99));
    let events = account.events.unwrap();
    assert!(events.balances());
    assert_eq!((events.rows_in, events.taken, events.quarantined()), (53, 53, 0));
    assert_eq!(vehicles.components, ["engine"]);
    assert!(vehicles.events.iter().all(|event| event.kind == EventKind::Replacement));
    assert_eq!(vehicles.attributes[0].values, ["a452372", "a452374", "d309", "g870", "rt50", "t8h203"]);
    // Bus a452372-4239 had its engine replaced on 1976-01-01, day 2191.
    let bus = ids.index_of("a452372-4239").unwrap();
    let days: Vec<i32> = vehicles.events.iter().filter(|event| event.vehicle == bus).map(|e| e.occurred_day).collect();
    assert_eq!(days, [2191]);
}

/// Figures of the histories themselves, counted outside this program: 7,855 rows of 99 buses, 1974-12-01 to
/// 1985-07-01; in the first month of 40 buses the odometer stands above 12,000 miles.
#[test]
fn buses_are_accounted_for() {
    let Some(_) = outside_data("buses") else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/examples/buses");
    for threads in [1, 2] {
        let dataset = Dataset::open(&path, threads, &Control::silent()).unwrap();
        let plan = CheckPlan { threads, memory_limit_bytes: 256 << 20, as_of_day: None };
        let report = check(&dataset, &plan, &Control::silent()).unwrap();
        assert_eq!((report.rows.rows_in, report.rows.scored), (7_855, 7_855));
        assert!(report.rows.quarantined.is_empty() && report.rows.skipped.is_empty());
        assert_eq!((report.vehicles_with_records, report.known_vehicles, report.known_without_records), (99, 99, 0));
        assert_eq!((report.first_day, report.last_day), (Some(1795), Some(5660)));
        let [miles, odometer, days] = report.channels.as_slice() else { panic!("three channels") };
        assert_eq!((miles.not_available, miles.reasons.get("out_of_range")), (40, Some(&40)));
        assert_eq!((miles.lowest, miles.highest), (Some(0.0), Some(11_846.0)));
        assert_eq!((odometer.not_available, odometer.highest), (0, Some(355_490.0)));
        assert_eq!((days.source.as_str(), days.lowest, days.highest), ("the calendar", Some(28.0), Some(31.0)));
        assert_eq!(report.tables.events.as_ref().map(|events| events.taken), Some(53));
        // As of the end of 1979 the later months are skipped, not lost.
        let early = check(&dataset, &CheckPlan { as_of_day: Some(3651), ..plan }, &Control::silent()).unwrap();
        assert_eq!(early.rows.scored + early.rows.skipped["after_as_of"], 7_855);
        assert!(early.last_day <= Some(3651));
        assert!(serde_json::to_value(&report).unwrap()["events"]["taken"] == 53);
    }
}

#[test]
fn months_need_a_calendar() {
    let folder = tempfile::tempdir().unwrap();
    let period: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![202_401]));
    write_parquet(&folder.path().join("h.parquet"), &[("id", period.clone()), ("t", period.clone()), ("x", period)]);
    let text = "[histories]\nfiles = \"h.parquet\"\nvehicle = \"id\"\ntime = \"t\"\nperiod = \"month\"\n\
                [channels.x]\nrange = [0, 9]\n";
    let path = folder.path().join("dataset.toml");
    std::fs::write(&path, text).unwrap();
    let error = Dataset::open(&path, 1, &Control::silent()).unwrap_err().to_string();
    assert!(error.contains("column \"t\" is of type an integer; a date or timestamp"), "{error}");
    std::fs::write(&path, text.replace("month", "week")).unwrap();
    assert!(Dataset::open(&path, 1, &Control::silent()).is_ok());
}
