//! Inputs that are wrong: refused with file and column, or left out and counted.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, StringArray};

use super::yard::{DAYS, FIRST_DAY, VEHICLES, Yard, good_columns, row};

const GOOD: u64 = (VEHICLES * DAYS) as u64;

#[test]
fn missing_column() {
    let yard = Yard::new();
    let mut columns = good_columns();
    columns[2].0 = "load_pc";
    yard.write("histories/good.parquet", &columns);
    yard.score(&[]).is(4, &["good.parquet", "\"load_pct\"", "\"load_pc\""]);
    assert!(!yard.path("scores").exists());
}

#[test]
fn wrong_type() {
    let yard = Yard::new();
    let mut columns = good_columns();
    columns[2].1 = Arc::new(StringArray::from_iter_values((0..VEHICLES * DAYS).map(|_| "50")));
    yard.write("histories/good.parquet", &columns);
    yard.score(&[]).is(4, &["good.parquet", "load_pct", "Utf8"]);
    assert!(!yard.path("scores").exists());
}

#[test]
fn another_schema() {
    let yard = Yard::new();
    let other: [(&str, ArrayRef); 1] = [("invoice", Arc::new(StringArray::from(vec!["a"])))];
    yard.write("histories/invoices.parquet", &other);
    yard.score(&[]).is(4, &["invoices.parquet", "\"vin\""]);
}

#[test]
fn no_files_and_no_rows() {
    let yard = Yard::new();
    fs::remove_file(yard.path("histories/good.parquet")).unwrap();
    yard.score(&[]).is(4, &["histories/*.parquet"]);
    fs::write(yard.path("histories/empty.parquet"), "").unwrap();
    yard.score(&[]).is(4, &["empty.parquet"]);
    let none: Vec<(&str, ArrayRef)> =
        good_columns().into_iter().map(|(name, array)| (name, array.slice(0, 0))).collect();
    fs::remove_file(yard.path("histories/empty.parquet")).unwrap();
    yard.write("histories/none.parquet", &none);
    yard.score(&[]).is(4, &["no dated record"]);
    assert!(!yard.path("scores").exists());
}

/// A file that cannot be read is left out and counted, and the others are scored; the exit code says so, whatever the
/// share, where nobody can know how many rows it held.
#[test]
fn unreadable_files_are_counted_and_others_scored() {
    for (name, damage) in [("empty", 0), ("truncated", 300)] {
        let yard = Yard::new();
        yard.write("histories/bad.parquet", &good_columns());
        let bytes = fs::read(yard.path("histories/bad.parquet")).unwrap();
        fs::write(yard.path("histories/bad.parquet"), &bytes[..damage]).unwrap();
        let ended = yard.score(&["--json", "--max-bad", "100%"]);
        ended.is(5, &["bad.parquet", "left out"]);
        assert_eq!(ended.json()["account"]["scored"], GOOD, "{name}");
        assert!(yard.path("scores/_SUCCESS").exists());
    }
}

#[test]
fn lakehouse_folders_are_refused() {
    for (marker, format) in
        [("_delta_log/0.json", "Delta"), ("metadata/v1.metadata.json", "Iceberg"), (".hoodie/x", "Hudi")]
    {
        let yard = Yard::new();
        let marker = yard.path("histories").join(marker);
        fs::create_dir_all(marker.parent().unwrap()).unwrap();
        fs::write(marker, "{}").unwrap();
        yard.score(&[]).is(4, &["histories", format, "@list.txt"]);
        fs::write(yard.path("list.txt"), "histories/good.parquet\n").unwrap();
        yard.replace("dataset.toml", "histories/*.parquet", "@list.txt");
        yard.score(&[]).is(0, &[]);
    }
}

/// Null, NaN, infinite and out-of-range cells are "not available", counted by reason; their rows are scored.
#[test]
fn hostile_cells_are_counted() {
    let yard = Yard::new();
    let cells =
        [None, Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(100.3), Some(-0.3), Some(100.0)];
    for (number, load) in cells.iter().enumerate() {
        yard.write(&format!("histories/{number}.parquet"), &row(FIRST_DAY + number as i32, *load, Some(10.0)));
    }
    let ended = yard.check(&["--json", "--max-bad", "0"]);
    ended.is(0, &[]);
    let rows = &ended.json()["rows"];
    assert_eq!(rows["scored"], GOOD + cells.len() as u64);
    assert_eq!(
        rows["not_available"]["load_pct"],
        serde_json::json!({ "missing": 1, "not_finite": 3, "out_of_range": 2 })
    );
}

#[test]
fn rows_without_vehicle_or_time_are_quarantined() {
    let yard = Yard::new();
    let mut columns = row(FIRST_DAY, Some(1.0), Some(1.0));
    columns[0].1 = Arc::new(StringArray::from(vec![None::<&str>]));
    yard.write("histories/no_vehicle.parquet", &columns);
    let mut columns = row(FIRST_DAY, Some(1.0), Some(1.0));
    columns[1].1 = Arc::new(Date32Array::from(vec![None]));
    yard.write("histories/no_time.parquet", &columns);
    let ended = yard.score(&["--json", "--max-bad", "1"]);
    ended.is(5, &["2 of 32 rows", "--max-bad 1"]);
    let account = &ended.json()["account"];
    assert_eq!(account["quarantined"], serde_json::json!({ "null_vehicle": 1, "null_time": 1 }));
    assert_eq!(account["scored"], GOOD);
    yard.check(&["--max-bad", "2"]).is(0, &[]);
    yard.check(&["--max-bad", "6%"]).is(5, &[]);
    yard.check(&["--max-bad", "6.25%"]).is(0, &[]);
}

#[test]
fn duplicates_old_dates_and_the_future_are_counted() {
    let yard = Yard::new();
    yard.write("histories/again.parquet", &good_columns());
    yard.write("histories/old.parquet", &row(-10_000, Some(1.0), Some(1.0)));
    yard.write("histories/future.parquet", &row(40_000, Some(1.0), Some(1.0)));
    let ended = yard.score(&["--json", "--max-bad", "0", "--as-of", "2024-06-30"]);
    ended.is(0, &[]);
    let account = &ended.json()["account"];
    assert_eq!(account["rows_in"], 2 * GOOD + 2);
    assert_eq!(account["scored"], GOOD + 1);
    assert_eq!(account["skipped"], serde_json::json!({ "duplicate": GOOD, "after_as_of": 1 }));
}

/// A name in the data cannot drive the terminal.
#[test]
fn control_characters_are_shown_escaped() {
    let yard = Yard::new();
    let mut columns = good_columns();
    columns[2].0 = "load\u{1b}[2J\u{7}";
    yard.write("histories/\u{1b}]0;x.parquet", &columns);
    let ended = yard.score(&[]);
    ended.is(4, &["x.parquet"]);
    yard.replace("dataset.toml", "[channels.load_pct]", "[channels.\"lo\\u001Bad\"]");
    let more = yard.check(&[]);
    for text in [&ended.stderr, &ended.stdout, &more.stderr, &more.stdout] {
        assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
    }
}
