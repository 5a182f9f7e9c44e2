//! The command line as a user meets it: help, languages, JSON, pipes, and the demo from nothing to scores.

use std::path::Path;
use std::process::Command;

fn fleetwear(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let binary = assert_cmd::cargo::cargo_bin!("fleetwear");
    let output = Command::new(binary).args(arguments).current_dir(folder).env("NO_COLOR", "1").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_command_has_help_with_examples() {
    let here = tempfile::tempdir().unwrap();
    let (code, help, stderr) = fleetwear(here.path(), &["--help"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(help.contains("Exit codes: 0 ok") && !help.contains('\u{1b}'), "{help}");
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        let (code, help, _) = fleetwear(here.path(), &[command, "--help"]);
        assert_eq!(code, Some(0), "{command}");
        assert!(help.contains("Examples:\n") && help.contains(&format!("  fleetwear {command}")), "{help}");
    }
}

#[test]
fn the_demo_runs_from_nothing_to_scores() {
    let here = tempfile::tempdir().unwrap();
    let small = ["demo", "--vehicles", "100", "--days", "120", "--threads", "2", "--backend", "cpu"];
    let (code, english, stderr) = fleetwear(here.path(), &small);
    assert_eq!(code, Some(0), "{stderr}");
    for words in
        ["most worn parts", "most urgent vehicles", "content hash", "kernel", "fleetwear-demo/scores", "scored"]
    {
        assert!(english.contains(words), "no {words:?} in {english}");
    }
    let (code, chinese, stderr) = fleetwear(here.path(), &[&small[..], &["--lang", "zh"]].concat());
    assert_eq!(code, Some(0), "{stderr}");
    for words in ["磨损最重的部件", "内容哈希", "fleetwear-demo-2/scores", "tyre_wear"] {
        assert!(chinese.contains(words), "no {words:?} in {chinese}");
    }
    // The same fleet gives the same content, whatever the language and the folder.
    let hashes = |text: &str| -> Vec<String> {
        text.split_whitespace().filter(|word| word.len() == 64).map(str::to_owned).collect()
    };
    // Of the fleet, the scores, the futures, and, where alarms point to a lot, its recall.
    let recalls = usize::from(english.contains("the recall of the lot"));
    assert_eq!(hashes(&english).len(), 3 + recalls);
    assert_eq!(hashes(&english), hashes(&chinese));

    let (code, json, _) = fleetwear(here.path(), &[&small[..], &["--json", "--quiet", "--out", "third"]].concat());
    assert_eq!(code, Some(0));
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["score"]["content_hash"], hashes(&english)[1].as_str());
}

#[test]
fn inspect_explains_a_shipped_model() {
    let here = tempfile::tempdir().unwrap();
    let (code, text, _) = fleetwear(here.path(), &["inspect", "ev-passenger"]);
    assert_eq!(code, Some(0));
    for words in ["motor_noise", "cold_humid", "3.2", "ambient_temp_c", "β = 1.4"] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    let (code, json, _) = fleetwear(here.path(), &["inspect", "ev-two-wheeler", "--json"]);
    assert_eq!(code, Some(0));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["name"], "ev-two-wheeler");
}

/// A model over data: explained if the data have what it reads; one vehicle's scores as waterfalls.
#[test]
fn inspect_lays_a_model_over_data() {
    use super::small_fleet::{Layout, SmallFleet};
    let here = tempfile::tempdir().unwrap();
    SmallFleet { text_ids: true, ..SmallFleet::new(10) }.write(here.path(), Layout::ByVehicle(1));
    let id = format!("VIN{}", SmallFleet::id(3));
    let inspect = |rest: &[&str]| fleetwear(here.path(), &[&["inspect"], rest].concat());
    let (code, text, stderr) = inspect(&["model.toml", "--data", ".", "--vehicle", &id]);
    assert_eq!(code, Some(0), "{stderr}");
    for words in [id.as_str(), "noise", "left", "cold_humid"] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    let (_, json, _) = inspect(&["model.toml", "--data", ".", "--vehicle", &id, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["vehicle"], json["parts"].as_array().unwrap().len()), (&id.as_str().into(), 3));
    let (code, _, stderr) = inspect(&["model.toml", "--data", ".", "--vehicle", "VIN1"]);
    assert!(code == Some(2) && stderr.contains("VIN1"), "{code:?} {stderr}");
    let (code, _, stderr) = inspect(&["ev-passenger", "--data", "."]);
    assert!(code == Some(3) && stderr.contains("channel"), "{code:?} {stderr}");
}

/// The whole command, on the device that the tests have: one hash everywhere.
#[cfg(feature = "gpu")]
#[test]
fn verify_ends_with_one_hash() {
    use super::small_fleet::{Layout, SmallFleet};
    let Some(device) = crate::gpu::required_device("cli::verify_ends_with_one_hash") else { return };
    let here = tempfile::tempdir().unwrap();
    SmallFleet::new(12).write(here.path(), Layout::ByDay(20));
    let verify = ["verify", "--data", ".", "--model", "model.toml", "--device", device, "--json"];
    let (code, json, stderr) = fleetwear(here.path(), &verify);
    assert_eq!(code, Some(0), "{stderr}");
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let runs = report["runs"].as_array().unwrap();
    assert!(runs.len() > 12 && runs.iter().any(|run| run["device"].as_str().unwrap().contains(device)), "{json}");
    assert_eq!((&report["agrees"], report["skipped"].as_array().unwrap().len()), (&true.into(), 0), "{json}");
}

#[test]
fn init_drafts_what_check_takes() {
    let here = tempfile::tempdir().unwrap();
    let make = ["synth", "--vehicles", "20", "--days", "30", "--out", "fleet", "--quiet"];
    assert_eq!(fleetwear(here.path(), &make).0, Some(0));
    let (code, draft, stderr) = fleetwear(here.path(), &["init", "fleet/histories"]);
    assert_eq!(code, Some(0), "{stderr}");
    std::fs::write(here.path().join("dataset.toml"), draft).unwrap();
    let (code, report, stderr) = fleetwear(here.path(), &["check", "--data", ".", "--json"]);
    assert_eq!(code, Some(0), "{stderr}");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["rows"]["rows_in"], report["rows"]["scored"]);
    assert_eq!(report["vehicles_with_records"], 20);
}

#[test]
fn bench_measures_every_stage() {
    let here = tempfile::tempdir().unwrap();
    let arguments = ["bench", "--runs", "2", "--warmup", "0", "--backend", "cpu", "--export-json", "bench.json"];
    let (code, text, stderr) = fleetwear(here.path(), &arguments);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(text.contains("decode") && text.contains("GB/s"), "{text}");
    let report = std::fs::read_to_string(here.path().join("bench.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["rows"], 730_000);
    let stages =
        ["read", "decode", "kernel", "· sum", "· readback", "score", "· read, decode", "· pack", "· kernel", "· write"];
    for stage in stages {
        let stage_report = &report["stages"][stage];
        assert_eq!(stage_report["seconds"].as_array().unwrap().len(), 2, "{stage}");
        assert!(stage_report["median_s"].as_f64().unwrap() > 0.0, "{stage}");
        assert!(stage_report["share_of_copy"].as_f64().unwrap() > 0.0, "{stage}");
    }
    #[cfg(feature = "gpu")]
    if let Some(device) = crate::gpu::required_device("cli::bench_measures_every_stage") {
        let bench = ["bench", "--runs", "1", "--warmup", "0", "--backend", "gpu", "--device", device, "--json"];
        let (code, json, stderr) = fleetwear(here.path(), &bench);
        assert_eq!(code, Some(0), "{stderr}");
        let on_device: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(on_device["stages"]["upload"]["median_s"].as_f64().unwrap() > 0.0, "{json}");
        assert_eq!(on_device["content_hash"], report["content_hash"]);
    }
    let write = ["bench", "--write-recipe", "recipe", "--json"];
    let (code, json, stderr) = fleetwear(here.path(), &write);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["rows"], 730_000);
}

/// Whoever reads the output may stop reading: no panic, no message.
#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_fault() {
    let binary = assert_cmd::cargo::cargo_bin!("fleetwear").display();
    for command in ["inspect ev-passenger", "--help", "inspect ev-passenger --json"] {
        let script = format!("set -o pipefail; '{binary}' {command} | true");
        let output = Command::new("bash").args(["-c", &script]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command}");
    }
}

/// Half of the work orders cannot be used, which a million good records of the histories must not hide.
#[test]
fn each_table_has_its_own_share_of_bad_rows() {
    use super::small_fleet::{Layout, Order, SmallFleet};
    let here = tempfile::tempdir().unwrap();
    let order = |vehicle: usize, kind| Order { vehicle, component: "brake_pad", position: None, kind, day: 19_050 };
    let orders = (0..8).flat_map(|vehicle| [order(vehicle, "R"), order(vehicle, "?")]).collect();
    SmallFleet { orders, ..SmallFleet::new(10) }.write(here.path(), Layout::ByVehicle(1));
    let commands: [&[&str]; 3] = [
        &["check", "--data", "."],
        &["score", "--data", ".", "--model", "model.toml", "--out", "scores"],
        &["score", "--data", ".", "--model", "model.toml", "--out", "again", "--max-bad", "50%"],
    ];
    let codes = commands.map(|arguments| {
        let (code, _, stderr) = fleetwear(here.path(), arguments);
        assert_eq!(stderr.contains("8 of 16 rows of the table events (50.00 %)"), code == Some(5), "{stderr}");
        code
    });
    assert_eq!(codes, [Some(5), Some(5), Some(0)]);
    let (_, help, _) = fleetwear(here.path(), &["score", "--help"]);
    assert!(help.contains("of any of the tables vehicles, events"), "{help}");
}
