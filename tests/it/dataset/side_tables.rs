//! Joins: channels from side tables, against a plain map.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use fleetwear::fleet::dictionary::Dictionary;
use fleetwear::fleet::ids::{IdKind, IdTable};
use fleetwear::fleet::joins::{JoinTable, NO_ROW};
use fleetwear::fleet::known::Known;
use fleetwear::fleet::quantise::CellCounts;
use fleetwear::fleet::tables;
use fleetwear::fleet::time::TimeAxis;
use fleetwear::run::Control;

use super::write_parquet;

const TEXT: &str = r#"
[histories]
files = "h.parquet"
vehicle = "id"
time = "t"
[channels.temp_c]
range = [-50, 50]
column = "temp"
[channels.rain]
range = [0, 9]
[joins.weather]
files = "weather.parquet"
on = { zone = "z", plant = "p", time = "day" }
channels = ["temp_c", "rain"]
[vehicles]
files = "vehicles.parquet"
attributes = ["zone", "plant"]
"#;

fn open(base: &Path, text: &str, axis: TimeAxis) -> JoinTable {
    let dictionary = Dictionary::parse(&base.join("dataset.toml"), text).unwrap();
    let ids = IdTable::new(IdKind::Integer, Path::new("h.parquet"));
    let (vehicles, _, _) = tables::load(&dictionary, axis, &ids, Known::default(), &Control::silent()).unwrap();
    JoinTable::load(&dictionary, 0, &vehicles, axis, &Control::silent()).unwrap()
}

fn write(base: &Path, side: &[(&str, Option<i64>, Option<i32>, i64, Option<i64>)]) {
    // Vehicles 0 to 3 of zone A plant 1, zone B plant 1, zone A plant 2, and one without zone.
    write_parquet(
        &base.join("vehicles.parquet"),
        &[
            ("id", Arc::new(Int64Array::from(vec![0, 1, 2, 3]))),
            ("zone", Arc::new(StringArray::from(vec![Some("A"), Some("B"), Some("A"), None]))),
            ("plant", Arc::new(Int64Array::from(vec![1, 1, 2, 1]))),
        ],
    );
    write_parquet(
        &base.join("weather.parquet"),
        &[
            ("z", Arc::new(StringArray::from_iter_values(side.iter().map(|row| row.0)))),
            ("p", Arc::new(Int64Array::from_iter(side.iter().map(|row| row.1)))),
            ("day", Arc::new(Date32Array::from_iter(side.iter().map(|row| row.2)))),
            ("temp", Arc::new(Int64Array::from_iter_values(side.iter().map(|row| row.3)))),
            ("rain", Arc::new(Int64Array::from_iter(side.iter().map(|row| row.4)))),
        ],
    );
}

fn codes(table: &JoinTable, channel: usize, vehicle: &[u32], tick: &[i32]) -> (Vec<u16>, CellCounts) {
    let (mut rows, mut codes, mut cells) = (Vec::new(), Vec::new(), CellCounts::default());
    table.rows(vehicle, tick, &mut rows);
    table.codes(channel, &rows, &mut codes, &mut cells);
    (codes, cells)
}

#[test]
fn keys_repeats_gaps_and_strangers() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            ("A", Some(1), Some(11), 1, Some(1)),
            ("A", Some(1), Some(10), 0, Some(0)),
            ("A", Some(1), Some(-700), -50, None),
            ("A", Some(1), Some(11), 1, Some(0)), // repeats a key: rain 0 is smaller, so it counts
            ("A", Some(1), Some(11), 2, Some(0)),
            ("B", Some(1), Some(10), 60, Some(9)), // temperature out of range
            ("C", Some(1), Some(10), 5, Some(5)),  // a zone that no vehicle has
            ("A", None, Some(10), 5, Some(5)),
            ("A", Some(1), None, 5, Some(5)),
        ],
    );
    let table = open(folder.path(), TEXT, TimeAxis::Days);
    assert!(table.account.balances());
    let account = &table.account;
    assert_eq!((account.rows_in, account.taken, account.repeated, account.no_key), (9, 5, 2, 2));
    assert_eq!((account.vehicles, account.vehicles_matched), (4, 2));
    assert_eq!(table.channels(), [0, 1]);
    let vehicle = [0, 0, 0, 0, 0, 1, 1, 2, 3, 99];
    let tick = [10, 11, 12, -700, 11, 10, 11, 10, 10, 10];
    let na = 101;
    let (temp, cells) = codes(&table, 0, &vehicle, &tick);
    assert_eq!(temp, [50, 51, na, 0, 51, na, na, na, na, na]);
    assert_eq!((cells.missing, cells.no_join), (1, 5));
    let (rain, cells) = codes(&table, 1, &vehicle, &tick);
    assert_eq!(rain, [0, 0, 10, 10, 0, 9, 10, 10, 10, 10]);
    assert_eq!((cells.missing, cells.no_join), (1, 5));
}

#[test]
fn days_serve_timestamps_and_timeless_tables_serve_all_times() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("A", Some(1), Some(10_957), 7, Some(1)), ("A", Some(1), Some(10_958), 8, Some(2))]);
    // 2000-01-01 is day 10,957; its last second and the first of the next day.
    let table = open(folder.path(), TEXT, TimeAxis::SecondsSince2000);
    assert_eq!(codes(&table, 0, &[0, 0, 0], &[0, 86_399, 86_400]).0, [57, 57, 58]);
    let timeless = TEXT.replace(", time = \"day\"", "");
    let table = open(folder.path(), &timeless, TimeAxis::Days);
    assert_eq!(table.account.repeated, 1);
    assert_eq!(codes(&table, 1, &[0, 2], &[5, 5]).0, [1, 10]);
    let by_time_only = TEXT.replace("zone = \"z\", plant = \"p\", ", "");
    let table = open(folder.path(), &by_time_only, TimeAxis::Days);
    assert_eq!(codes(&table, 1, &[3, 4_000_000], &[10_958, 10_957]).0, [2, 1]);
    write(folder.path(), &[]);
    let empty = open(folder.path(), TEXT, TimeAxis::Days);
    let mut rows = Vec::new();
    empty.rows(&[0, 1], &[1, 1], &mut rows);
    assert_eq!(rows, [NO_ROW, NO_ROW]);
}

/// Ragged days, rows in any order, lookups in rising, falling and random order.
#[test]
fn lookups_as_a_plain_map() {
    let folder = tempfile::tempdir().unwrap();
    let mut side = Vec::new();
    let mut plain = HashMap::new();
    for step in 0..900_i32 {
        let day = (step * 37) % 1_009 - 300;
        let (zone, plant, vehicle) = [("A", 1, 0), ("B", 1, 1), ("A", 2, 2)][(step % 3) as usize];
        let temp = i64::from((step * 13) % 101 - 50);
        side.push((zone, Some(plant), Some(day), temp, Some(1)));
        plain.insert((vehicle, day), (temp + 50) as u16);
    }
    write(folder.path(), &side);
    let table = open(folder.path(), TEXT, TimeAxis::Days);
    let mut queries: Vec<(u32, i32)> = (0..4).flat_map(|vehicle| (-310..720).map(move |day| (vehicle, day))).collect();
    for round in 0..3 {
        match round {
            1 => queries.reverse(),
            2 => queries.sort_by_key(|&(vehicle, day)| ((day * 7_919) % 1_031, vehicle)),
            _ => {}
        }
        let (vehicle, tick): (Vec<u32>, Vec<i32>) = queries.iter().copied().unzip();
        let wanted: Vec<u16> = queries.iter().map(|key| plain.get(key).copied().unwrap_or(101)).collect();
        let (found, cells) = codes(&table, 0, &vehicle, &tick);
        assert_eq!(found, wanted);
        assert_eq!(cells.no_join as usize, queries.len() - plain.len());
    }
}
