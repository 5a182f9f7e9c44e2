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
        // What is shown of the others must not pass for the whole.
        let inspect = ["inspect", "model.toml", "--data", ".", "--vehicle", "V1", "--json"];
        let ended = yard.run(&inspect);
        ended.is(5, &["bad.parquet", "left out"]);
        assert_eq!((&ended.json()["records"], ended.json()["unreadable"].as_array().unwrap().len()), (&DAYS.into(), 1));
        let verify = ["verify", "--data", ".", "--model", "model.toml", "--backend", "cpu", "--json"];
        let ended = yard.run(&verify);
        ended.is(5, &["bad.parquet", "left out"]);
        assert_eq!(ended.json()["agrees"], true);
        yard.run(&["inspect", "model.toml", "--data", ".", "--vehicle", "V8"])
            .is(2, &["V8", "bad.parquet", "left out"]);
        fs::remove_file(yard.path("histories/bad.parquet")).unwrap();
        yard.run(&inspect).is(0, &[]);
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
    ended.is(5, &["1 of 62 rows"]);
    let account = &ended.json()["account"];
    assert_eq!(account["rows_in"], 2 * GOOD + 2);
    assert_eq!(account["scored"], GOOD);
    assert_eq!(account["quarantined"], serde_json::json!({ "time_out_of_range": 1 }));
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

/// One row, V9999 on 5 January 2024, as pyarrow writes it with `write_page_checksum=True`, uncompressed and plain.
const CHECKED: &str = concat!(
    "504152311500151e151e15a9b3c4dd071c15021500150615061c000000020000000201050000005639393939150015141514",
    "159587ce80091c15021500150615061c0000000200000002010f4d00001500151c151c1590b3e6c30e1c1502150015061506",
    "1c00000002000000020100000000000049401500151c151c15b2faf6ef071c15021500150615061c00000002000000020100",
    "000000000059401504195c35001806736368656d61150800150c2502180376696e25004c1c00000015022502180364617925",
    "0c4c6c000000150a250218086c6f61645f70637400150a2502180b64697374616e63655f6b6d001602191c194c26001c150c",
    "1925060019180376696e15001602165016502608491c150015001502003c160a19061926000200000026001c150219250600",
    "19180364617915001602164616462658491c150015001502003c29061926000200000026001c150a192506001918086c6f61",
    "645f70637415001602164e164e269e01491c150015001502003c29061926000200000026001c150a1925060019180b646973",
    "74616e63655f6b6d15001602164e164e26ec01491c150015001502003c29061926000200000016b2021602260816b2020028",
    "20706172717565742d6370702d6172726f772076657273696f6e2032362e302e31194c1c00001c00001c00001c0000005501",
    "000050415231",
);

#[test]
fn a_page_that_its_checksum_disowns_is_damage() {
    let yard = Yard::new();
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    let mut file: Vec<u8> = CHECKED.as_bytes().chunks(2).map(byte).collect();
    let path = yard.path("histories/checked.parquet");
    std::fs::write(&path, &file).unwrap();
    let ended = yard.score(&["--json"]);
    ended.is(0, &[]);
    assert_eq!(ended.json()["account"]["rows_in"], GOOD + 1);
    let load = file.windows(8).position(|window| window == 50.0f64.to_le_bytes()).unwrap();
    file[load + 6] ^= 1;
    std::fs::write(&path, &file).unwrap();
    yard.check(&[]).is(5, &["checked.parquet"]);
}
