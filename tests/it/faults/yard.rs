//! A small yard of vehicles to break: histories, dictionary and model in a folder of their own, and the binary to run
//! on them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, StringArray};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

pub const DICTIONARY: &str = r#"
[histories]
files = "histories/*.parquet"
vehicle = "vin"
time = "day"
period = "day"

[channels.load_pct]
unit = "%"
factor = 0.5
range = [0.0, 100.0]

[channels.distance_km]
unit = "km"
factor = 0.1
range = [0.0, 1500.0]
"#;

pub const MODEL: &str = r#"
[model]
name = "yard"
version = "1"

[[failure_mode]]
id = "wear"
component = "bearing"
weibull_shape = 2.0

  [[failure_mode.mechanism]]
  id = "running"
  exposure = "distance_km"
  characteristic_life = 100000
  terms = [ { channel = "load_pct", curve = "power", exponent = 3.0, reference = 50, floor = 5 } ]
"#;

/// Days since 1970-01-01 of 2024-01-01.
pub const FIRST_DAY: i32 = 19_723;
pub const VEHICLES: usize = 3;
pub const DAYS: usize = 10;

/// A folder with `dataset.toml`, `model.toml` and one good history file.
pub struct Yard {
    folder: TempDir,
}

/// How a run of the binary ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Yard {
    pub fn new() -> Self {
        let yard = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(yard.path("histories")).unwrap();
        fs::write(yard.path("dataset.toml"), DICTIONARY).unwrap();
        fs::write(yard.path("model.toml"), MODEL).unwrap();
        yard.write("histories/good.parquet", &good_columns());
        yard
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// Writes a Parquet file of these columns.
    pub fn write(&self, inside: &str, columns: &[(&str, ArrayRef)]) {
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.iter().map(|(name, array)| (*name, Arc::clone(array), true)),
        );
        let batch = batch.unwrap();
        let mut writer = ArrowWriter::try_new(File::create(self.path(inside)).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    pub fn replace(&self, inside: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(inside)).unwrap();
        assert!(text.contains(from), "{inside} lacks {from:?}");
        fs::write(self.path(inside), text.replace(from, to)).unwrap();
    }

    pub fn score(&self, options: &[&str]) -> Ended {
        let all = ["score", "--data", "dataset.toml", "--model", "model.toml", "--out", "scores", "--threads", "2"];
        self.run(&[&all, options].concat())
    }

    pub fn check(&self, options: &[&str]) -> Ended {
        self.run(&[&["check", "--data", "dataset.toml", "--threads", "2"], options].concat())
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        run(self.folder.path(), arguments)
    }

    /// Names in the folder, hidden ones too: what a failed run left behind would be among them.
    pub fn names(&self) -> Vec<String> {
        names(self.folder.path())
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub fn binary() -> &'static Path {
    assert_cmd::cargo::cargo_bin!("fleetwear")
}

pub fn run(folder: &Path, arguments: &[&str]) -> Ended {
    let output = Command::new(binary()).args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Ended {
    /// Ended with this code, and stderr holds all these words; never with a panic.
    #[track_caller]
    pub fn is(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "stderr: {}\nstdout: {}", self.stderr, self.stdout);
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in: {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// The columns of the good file: every vehicle on every day, load 50 %, 100 km.
pub fn good_columns() -> Vec<(&'static str, ArrayRef)> {
    let rows = VEHICLES * DAYS;
    vec![
        ("vin", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("V{}", row / DAYS))))),
        ("day", Arc::new(Date32Array::from_iter_values((0..rows).map(|row| FIRST_DAY + (row % DAYS) as i32)))),
        ("load_pct", Arc::new(Float64Array::from_value(50.0, rows))),
        ("distance_km", Arc::new(Float64Array::from_value(100.0, rows))),
    ]
}

/// One row of vehicle V9.
pub fn row(day: i32, load_pct: Option<f64>, distance_km: Option<f64>) -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("vin", Arc::new(StringArray::from(vec!["V9"]))),
        ("day", Arc::new(Date32Array::from(vec![day]))),
        ("load_pct", Arc::new(Float64Array::from(vec![load_pct]))),
        ("distance_km", Arc::new(Float64Array::from(vec![distance_km]))),
    ]
}
