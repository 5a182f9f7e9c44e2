//! Temporary files go where the user says, beside the output if nobody does, and a full disk is said with both.
#![cfg(unix)]

use std::fs;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{Date32Array, Float64Array, StringArray};

use super::yard::{Ended, FIRST_DAY, Yard, binary};

/// More rows, in no order, than the least memory limit holds.
const VEHICLES: usize = 1000;
const DAYS: usize = 500;

fn yard() -> Yard {
    let yard = Yard::new();
    let rows = VEHICLES * DAYS;
    // A stride that shares no factor with the number of rows visits each once.
    let place = |row: usize| row * 333_337 % rows;
    yard.write(
        "histories/good.parquet",
        &[
            ("vin", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("V{:05}", place(row) / DAYS))))),
            (
                "day",
                Arc::new(Date32Array::from_iter_values((0..rows).map(|row| FIRST_DAY + (place(row) % DAYS) as i32))),
            ),
            ("load_pct", Arc::new(Float64Array::from_value(50.0, rows))),
            ("distance_km", Arc::new(Float64Array::from_value(100.0, rows))),
        ],
    );
    fs::create_dir(yard.path("spill")).unwrap();
    yard
}

/// Runs with files of so many KiB at most: the full disk that a test can make without privileges. The shell ignores the
/// signal, so that the write itself fails.
pub fn on_a_full_disk(yard: &Yard, most_kib: u32, command: &str) -> Ended {
    let script = format!("trap '' XFSZ; ulimit -f {most_kib}; exec '{}' {command}", binary().display());
    let output = Command::new("bash").args(["-c", &script]).current_dir(yard.path(".")).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn a_full_disk_is_named_with_the_option() {
    let yard = yard();
    let names = yard.names();
    let score = "score --data . --model model.toml --out scores --no-drivers --memory-limit 16MiB";
    on_a_full_disk(&yard, 256, score).is(8, &[".scores.fleetwear-staging", "--spill"]);
    on_a_full_disk(&yard, 256, &format!("{score} --spill spill"))
        .is(8, &["spill: cannot keep temporary files", "--spill"]);
    on_a_full_disk(&yard, 256, "check --data . --spill spill --memory-limit 16MiB")
        .is(8, &["spill: cannot keep temporary files"]);
    assert_eq!(yard.names(), names);
    assert_eq!(fs::read_dir(yard.path("spill")).unwrap().count(), 0);

    yard.score(&["--memory-limit", "16MiB", "--spill", "spill", "--json"]).is(0, &[]);
    assert_eq!(fs::read_dir(yard.path("spill")).unwrap().count(), 0);
}

/// Scores or state, whatever finds no room: nothing is left, and the state takes the next run as if nothing had been.
#[test]
fn neither_scores_nor_a_state_are_left_on_a_full_disk() {
    let yard = Yard::new();
    let names = yard.names();
    let full =
        |options: &str| on_a_full_disk(&yard, 1, &format!("score --data . --model model.toml --out scores {options}"));
    full("").is(8, &["no room", "scores"]);
    assert_eq!(yard.names(), names);
    full("--state state").is(8, &["no room"]);
    yard.score(&["--state", "state", "--json"]).is(0, &[]);
    assert_eq!(yard.run(&["check", "--data", "."]).code, Some(0));
}

/// Hundreds of partitions where a shell allows few open files, as macOS does.
#[test]
fn many_partitions_are_kept_open_where_few_files_are_allowed() {
    let yard = yard();
    let score = "score --data . --model model.toml --out scores --no-drivers --threads 16 --memory-limit 16MiB";
    let script = format!("ulimit -S -n 20; exec '{}' {score}", binary().display());
    let output = Command::new("bash").args(["-c", &script]).current_dir(yard.path(".")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_folder_that_is_not_there_is_refused_before_anything_is_read() {
    let yard = Yard::new();
    yard.score(&["--spill", "nowhere"]).is(2, &["--spill", "no such folder"]);
    yard.run(&["synth", "--out", "fleet", "--memory-limit", "1GiB"]).is(2, &["--memory-limit"]);
    assert_eq!(yard.names(), ["dataset.toml", "histories", "model.toml"]);
}
