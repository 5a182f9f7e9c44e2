//! `fleetwear recall` as a user meets it: text, JSON, Chinese, the output folder, exit codes.

use std::path::Path;
use std::process::Command;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type};

const LIVES: &str = "hours,event,count,plant\n120,failed,1,A\n200,censored,60,A\n260,failed,1,A\n310,failed,2,A\n\
                     400,censored,80,A\n420,failed,1,B\n450,failed,1,A\n470,failed,2,A\n500,censored,90,B\n\
                     480,failed,2,B\n490,failed,3,B\n";

pub fn fleetwear(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let binary = assert_cmd::cargo::cargo_bin!("fleetwear");
    let output =
        Command::new(binary).arg("recall").args(arguments).current_dir(folder).env("NO_COLOR", "1").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn the_report_shows_method_bounds_and_each_tail() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("lives.csv"), LIVES).unwrap();
    let asked = "--lifetimes lives.csv --horizon 50,100 --replicates 200 --nested 4";
    let (code, text, stderr) = fleetwear(here.path(), &words(asked));
    assert_eq!(code, Some(0), "{stderr}");
    for word in [
        "within (hours)",
        "expected",
        "one-sided 95 %",
        "90 %",
        "parametric bootstrap",
        "calibrated",
        "covers in tables",
    ] {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
    let (_, chinese, _) =
        fleetwear(here.path(), &words("--lifetimes lives.csv --horizon 50 --replicates 100 --lang zh"));
    for word in ["今后", "预期", "单侧", "校准后", "覆盖率"] {
        assert!(chinese.contains(word), "no {word:?} in {chinese}");
    }
    let (code, json, _) =
        fleetwear(here.path(), &words("--lifetimes lives.csv --horizon 50 --replicates 100 --by plant --json"));
    assert_eq!(code, Some(0));
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["groups"][1]["group"], "B");
    assert_eq!(report["groups"][0]["method"]["resampling"], "parametric");
}

#[test]
fn the_folder_holds_bounds_report_and_manifest() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("lives.csv"), LIVES).unwrap();
    let hash = |out: &str, threads: &str| {
        let asked = format!("--lifetimes lives.csv --horizon 50,100 --replicates 150 --out {out}");
        let binary = assert_cmd::cargo::cargo_bin!("fleetwear");
        let mut run = Command::new(binary);
        run.arg("recall").args(words(&asked)).current_dir(here.path()).env("RAYON_NUM_THREADS", threads);
        assert!(run.output().unwrap().status.success());
        assert!(here.path().join(out).join("_SUCCESS").exists());
        let text = std::fs::read_to_string(here.path().join(out).join("manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(manifest["command"], "recall");
        manifest["content_hash"].as_str().unwrap().to_owned()
    };
    assert_eq!(hash("one", "1"), hash("three", "3"));
    let file = std::fs::read_dir(here.path().join("one/bounds")).unwrap().next().unwrap().unwrap().path();
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file).unwrap());
    let batch = reader.unwrap().build().unwrap().next().unwrap().unwrap();
    assert_eq!(batch.num_rows(), 2);
    let upper = batch.column_by_name("upper").unwrap().as_primitive::<Int64Type>();
    let plug_in = batch.column_by_name("plug_in_upper").unwrap().as_primitive::<Int64Type>();
    assert!(upper.value(0) >= plug_in.value(0) && upper.value(1) > upper.value(0));
    assert_eq!(batch.column_by_name("horizon").unwrap().as_primitive::<Float64Type>().value(1), 100.0);
}

#[test]
fn mistakes_have_their_exit_codes() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("lives.csv"), LIVES).unwrap();
    std::fs::write(here.path().join("sound.csv"), "hours,event,count\n5,0,3\n9,0,4\n7,1,1\n").unwrap();
    let (code, _, stderr) = fleetwear(here.path(), &words("--lifetimes sound.csv --horizon 5"));
    assert_eq!(code, Some(4), "{stderr}");
    assert!(stderr.contains("1 of 8 lives failed") && stderr.contains("--shape"), "{stderr}");
    for (asked, exit) in [
        ("--lifetimes lives.csv --horizon 0", 2),
        ("--lifetimes lives.csv", 2),
        ("--lifetimes lives.csv --horizon 5 --cohort x==1", 2),
        ("--lifetimes lives.csv --horizon 5 --defect tyre_wear", 2),
        ("--lifetimes lives.csv --horizon 5 --time minutes", 2),
        ("--lifetimes nowhere.csv --horizon 5", 4),
        ("--lifetimes lives.csv --horizon 5 --replicates 100 --out .", 6),
    ] {
        let (code, _, stderr) = fleetwear(here.path(), &words(asked));
        assert_eq!(code, Some(exit), "{asked}: {stderr}");
    }
}
