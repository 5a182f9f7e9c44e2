//! The vehicles and events tables, with every fault a table can have; whatever the order of files.

use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use fleetwear::fleet::dictionary::Dictionary;
use fleetwear::fleet::error::FleetError;
use fleetwear::fleet::ids::{IdKind, IdTable};
use fleetwear::fleet::known::Known;
use fleetwear::fleet::tables::{self, NO_VALUE, TablesAccount};
use fleetwear::fleet::time::TimeAxis;
use fleetwear::fleet::vehicles::{EventKind, Finding, Vehicles};
use fleetwear::run::Control;

use super::write_parquet;

const TEXT: &str = r#"
[histories]
files = "h.parquet"
vehicle = "vin"
time = "date"
[channels.x]
range = [0, 1]
[vehicles]
files = "vehicles"
build_date = "built"
attributes = ["model", "lot", "recalled"]
[events]
files = "events"
occurred_on = "on"
reported_on = "seen"
component = "part"
position = "side"
kind = { column = "kind", failure = ["F"], replacement = ["R"], other = ["S"] }
finding = { column = "result", confirmed = ["C"], not_found = ["N"] }
odometer_km = "odo"
"#;

fn load(base: &Path, axis: TimeAxis) -> Result<(Vehicles, TablesAccount, IdTable), FleetError> {
    let dictionary = Dictionary::parse(&base.join("dataset.toml"), TEXT).unwrap();
    let ids = IdTable::new(IdKind::Text, Path::new("h.parquet"));
    let (vehicles, account, _) = tables::load(&dictionary, axis, &ids, Known::default(), &Control::silent())?;
    Ok((vehicles, account, ids))
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn vehicles_file(path: &Path, rows: &[(Option<&str>, Option<i32>, Option<&str>, Option<i64>, Option<bool>)]) {
    write_parquet(
        path,
        &[
            ("vin", texts(&rows.iter().map(|row| row.0).collect::<Vec<_>>())),
            ("built", Arc::new(Date32Array::from_iter(rows.iter().map(|row| row.1)))),
            ("model", texts(&rows.iter().map(|row| row.2).collect::<Vec<_>>())),
            ("lot", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.3)))),
            ("recalled", Arc::new(BooleanArray::from_iter(rows.iter().map(|row| row.4)))),
            ("unused", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.3)))),
        ],
    );
}

type Event<'a> = (Option<&'a str>, Option<i32>, Option<i32>, Option<&'a str>, Option<&'a str>, Option<&'a str>, f64);

fn events_file(path: &Path, rows: &[Event]) {
    let seconds = |day: Option<i32>| day.map(|day| i64::from(day) * 86_400 + 3_600);
    write_parquet(
        path,
        &[
            ("vin", texts(&rows.iter().map(|row| row.0).collect::<Vec<_>>())),
            ("on", Arc::new(Date32Array::from_iter(rows.iter().map(|row| row.1)))),
            ("seen", Arc::new(TimestampSecondArray::from_iter(rows.iter().map(|row| seconds(row.2))))),
            ("part", texts(&rows.iter().map(|row| row.3).collect::<Vec<_>>())),
            ("side", texts(&rows.iter().map(|row| row.4).collect::<Vec<_>>())),
            ("kind", texts(&rows.iter().map(|row| row.5).collect::<Vec<_>>())),
            ("result", texts(&vec![Some("C"); rows.len()])),
            ("odo", Arc::new(Float64Array::from_iter(rows.iter().map(|row| Some(row.6))))),
        ],
    );
}

/// Two orders of the same rows over two files: the first file of the one is the second of the other.
fn both_orders(write: impl Fn(&Path, usize)) -> Vec<(Vehicles, TablesAccount, Vec<String>)> {
    [["a", "b"], ["b", "a"]]
        .iter()
        .map(|order| {
            let folder = tempfile::tempdir().unwrap();
            for (part, name) in order.iter().enumerate() {
                write(&folder.path().join(name), part);
            }
            for (table, name) in [("vehicles", "v"), ("events", "e")] {
                std::fs::create_dir_all(folder.path().join(table)).unwrap();
                for part in ["a", "b"] {
                    let from = folder.path().join(part).join(format!("{name}.parquet"));
                    std::fs::rename(from, folder.path().join(table).join(format!("{part}.parquet"))).unwrap();
                }
            }
            let (vehicles, account, ids) = load(folder.path(), TimeAxis::Days).unwrap();
            let fleetwear::fleet::vehicles::Ids::Text(ids) = ids.ids() else { panic!("texts") };
            (vehicles, account, ids)
        })
        .collect()
}

fn write_hostile(folder: &Path, part: usize) {
    let vehicles = [
        vec![
            (Some("v1"), Some(-400), Some("M2"), Some(7), Some(true)),
            (None, Some(1), Some("M9"), None, None),
            (Some("v2"), None, None, None, None),
            (Some("v1"), Some(-400), Some("M2"), Some(7), Some(true)),
        ],
        vec![
            (Some("v1"), Some(-400), Some("M1"), Some(9), Some(false)),
            (Some(""), Some(1), None, None, None),
            (Some("v3"), Some(20_000), Some("M2"), Some(-1), None),
        ],
    ];
    vehicles_file(&folder.join("v.parquet"), &vehicles[part]);
    let events = [
        vec![
            (Some("v3"), Some(100), Some(105), Some("wheel"), Some("left"), Some("R"), 2.0),
            (Some("v1"), Some(100), None, Some("wheel"), None, Some("F"), f64::NAN),
            (None, Some(100), None, Some("wheel"), None, Some("F"), 1.0),
            (Some("v1"), None, None, Some("wheel"), None, Some("F"), 1.0),
            (Some("v1"), Some(100), None, None, None, Some("F"), 1.0),
            (Some("v1"), Some(100), None, Some("wheel"), None, Some("Z"), 1.0),
            (Some("v1"), Some(100), None, Some("wheel"), None, None, 1.0),
            (Some("v1"), Some(100), None, Some("wheel"), None, Some("S"), 1.0),
        ],
        vec![
            (Some("v3"), Some(100), Some(103), Some("wheel"), Some("left"), Some("R"), 3.0),
            (Some("v3"), Some(100), Some(99), Some("brake"), Some("left"), Some("R"), 3.0),
            (Some("v9"), Some(5), None, Some("wheel"), Some("right"), Some("R"), 1.0),
            (Some("v9"), Some(-5), None, Some("wheel"), Some("right"), Some("R"), 1.0), // before 1970
            (Some("v3"), Some(100), None, Some("wheel"), Some("left"), Some("R"), 1.0),
        ],
    ];
    events_file(&folder.join("e.parquet"), &events[part]);
}

#[test]
fn every_row_is_accounted_for_in_any_order() {
    let results = both_orders(write_hostile);
    for (vehicles, account, ids) in &results {
        let index = |id: &str| ids.iter().position(|other| other == id).unwrap();
        let rows = account.vehicles.as_ref().unwrap();
        assert!(rows.balances());
        assert_eq!((rows.rows_in, rows.vehicles, rows.repeated, rows.no_vehicle, rows.no_build_date), (7, 3, 2, 2, 1));
        assert_eq!(vehicles.known, 4);
        // Of the rows of v1 the smaller counts: model M1, lot 9, false.
        let value = |name: usize, id: &str| {
            let attribute = &vehicles.attributes[name];
            attribute.values.get(attribute.code[index(id)] as usize).map(String::as_str)
        };
        let of = |id: &str| [value(0, id), value(1, id), value(2, id)];
        assert_eq!(of("v1"), [Some("M1"), Some("9"), Some("false")]);
        assert_eq!(of("v3"), [Some("M2"), Some("-1"), None]);
        assert_eq!(of("v9"), [None, None, None]);
        assert_eq!(vehicles.attributes[0].values, ["M1", "M2"]);
        assert_eq!(vehicles.attributes[0].code[index("v2")], NO_VALUE);
        assert_eq!((vehicles.build_day[index("v1")], vehicles.build_day[index("v2")]), (Some(-400), None));
        assert_eq!((vehicles.sale_day.len(), vehicles.sale_day[0]), (4, None));

        let events = account.events.as_ref().unwrap();
        assert!(events.balances());
        assert_eq!((events.rows_in, events.taken, events.duplicates, events.other_kind), (13, 4, 2, 1));
        assert_eq!((events.no_vehicle, events.no_date, events.no_component, events.unknown_kind.rows), (1, 2, 1, 2));
        assert_eq!(events.unknown_kind.values.iter().collect::<Vec<_>>(), [(&String::new(), &1), (&"Z".into(), &1)]);
        assert_eq!(events.reported_before_occurred, 1);
        assert_eq!(
            (&vehicles.components[..], &vehicles.positions[..]),
            (&["brake".to_string(), "wheel".into()][..], &["left".to_string(), "right".into()][..])
        );
        let wheel =
            vehicles.events.iter().find(|event| event.vehicle as usize == index("v3") && event.component == 1).unwrap();
        assert_eq!(wheel.reported_day, Some(103));
        assert_eq!(
            (wheel.kind, wheel.finding, wheel.position),
            (EventKind::Replacement, Some(Finding::Confirmed), Some(0))
        );
        let failure = vehicles.events.iter().find(|event| event.kind == EventKind::Failure).unwrap();
        assert_eq!((failure.reported_day, failure.position), (None, None));
    }
    let sorted = |vehicles: &Vehicles, ids: &[String]| {
        let mut rows: Vec<_> = vehicles
            .events
            .iter()
            .map(|event| (ids[event.vehicle as usize].clone(), event.occurred_day, event.component, event.reported_day))
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(sorted(&results[0].0, &results[0].2), sorted(&results[1].0, &results[1].2));
    assert_eq!(results[0].1, results[1].1);
}

#[test]
fn wrong_types_and_missing_columns_are_named() {
    let folder = tempfile::tempdir().unwrap();
    write_hostile(folder.path(), 0);
    for (from, to) in [("v.parquet", "vehicles/v.parquet"), ("e.parquet", "events/e.parquet")] {
        std::fs::create_dir_all(folder.path().join(to).parent().unwrap()).unwrap();
        std::fs::rename(folder.path().join(from), folder.path().join(to)).unwrap();
    }
    // Dates, where the histories count integer periods.
    let error = load(folder.path(), TimeAxis::Integer).unwrap_err().to_string();
    assert!(error.contains("v.parquet: column \"built\" is of type Date32; an integer column"), "{error}");
    let path = folder.path().join("vehicles/v.parquet");
    write_parquet(&path, &[("vin", texts(&[Some("v1")])), ("buitl", texts(&[Some("2024-01-01")]))]);
    let error = load(folder.path(), TimeAxis::Days).unwrap_err().to_string();
    assert!(error.ends_with("v.parquet: no column \"built\"; did you mean \"buitl\"?"), "{error}");
    write_parquet(
        &path,
        &[
            ("vin", Arc::new(Int64Array::from(vec![1]))),
            ("built", texts(&[Some("2024-01-01")])),
            ("model", texts(&[None])),
            ("lot", texts(&[None])),
            ("recalled", texts(&[None])),
        ],
    );
    let error = load(folder.path(), TimeAxis::Days).unwrap_err();
    assert!(matches!(error, FleetError::MixedIds { .. }), "{error}");
    std::fs::write(&path, b"PAR1 this is no Parquet file PAR1").unwrap();
    let error = load(folder.path(), TimeAxis::Days).unwrap_err().to_string();
    assert!(error.contains("v.parquet: cannot be read as Parquet"), "{error}");
}

/// Dates as text, dictionary-encoded attributes, partition columns, and a file without rows.
#[test]
fn unusual_but_good_tables() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    let dictionary_type = DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8));
    let model = cast(&StringArray::from(vec!["M1", "M2", "M1"]), &dictionary_type).unwrap();
    write_parquet(
        &base.join("vehicles/lot=4/v.parquet"),
        &[
            ("vin", texts(&[Some("a"), Some("b"), Some("c")])),
            ("built", texts(&[Some("2024-02-29"), Some("soon"), None])),
            ("model", model),
            ("recalled", Arc::new(Date32Array::from(vec![Some(0), None, Some(1)]))),
        ],
    );
    events_file(&base.join("events/e.parquet"), &[]);
    let (vehicles, account, _) = load(base, TimeAxis::SecondsSince2000).unwrap();
    assert_eq!(vehicles.build_day, [Some(19_782), None, None]);
    assert_eq!(vehicles.attributes[1].values, ["4"]);
    assert_eq!(vehicles.attributes[2].values, ["1970-01-01", "1970-01-02"]);
    assert_eq!(account.events.unwrap().rows_in, 0);
    assert_eq!(account.vehicles.unwrap().no_build_date, 2);
}
