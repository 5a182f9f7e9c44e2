//! What makes no sense is refused with the exit code that says whose mistake it is; what is poor gives a defined result.

use std::path::Path;
use std::process::Command;

use super::two_futures::{CUT, Fork, LAST_DAY, MODEL, WHOLE};

fn date(day: i32) -> String {
    (chrono::NaiveDate::default() + chrono::Duration::days(i64::from(day))).to_string()
}

fn fleetwear(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let binary = assert_cmd::cargo::cargo_bin!("fleetwear");
    let shared = ["backtest", "--data", "fleet", "--model", "fleet/model.toml", "--out", "out", "--backend", "cpu"];
    let output = Command::new(binary)
        .args(shared)
        .args(["--threads", "2", "--paths", "4"])
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_mistake_on_the_command_line_is_a_usage_error_that_says_which() {
    let here = tempfile::tempdir().unwrap();
    WHOLE.write(&here.path().join("fleet"));
    let cut = date(CUT);
    let (before, late) = (date(CUT - 30), date(LAST_DAY - 20));
    let cases: &[(&[&str], &str)] = &[
        (&["--from", &cut, "--to", &before], "is after --to"),
        (&["--from", &cut, "--step", "0d"], "above zero"),
        (&["--from", &cut, "--step", "1y"], "days, weeks or months"),
        (&["--from", &late], "the last day that can be judged is"),
        (&["--from", &cut, "--to", &late], "the last day that can be judged is"),
        (&["--from", &cut, "--horizon-days", "0"], "--horizon-days: got 0"),
        (&["--from", &cut, "--horizon-days", "7,14,21,28"], "one to three"),
        (&["--from", &cut, "--split", "vehicle:4"], "it needs --fit"),
        (&["--from", &cut, "--fit", "model", "--split", "vehicle:1"], "vehicle:2 to vehicle:100"),
        (&["--from", &cut, "--split", "zone"], "time, or vehicle:K"),
        (&["--from", &cut, "--cost-missed", "10"], "--cost-false-alarm"),
        (&["--from", &cut, "--costs", "none.toml"], "none.toml"),
        (&["--from", "soon"], "expected a date"),
        (&[], "--from"),
    ];
    for (arguments, says) in cases {
        let (code, stdout, stderr) = fleetwear(here.path(), arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
        assert!(!here.path().join("out").exists(), "{arguments:?} left a folder");
    }
    let negative = ["--cost-missed=-1", "--cost-false-alarm", "2", "--cost-replacement", "3"];
    let (code, _, stderr) = fleetwear(here.path(), &[&["--from", &cut][..], &negative].concat());
    assert!(code == Some(2) && stderr.contains("missed is -1"), "{stderr}");
    let (code, _, stderr) = fleetwear(here.path(), &["--from", &cut, "--groups", "modle"]);
    assert!(code == Some(3) && stderr.contains("did you mean \"model\"?") && stderr.contains(&cut), "{stderr}");
    let early = date(CUT - 400);
    let (code, _, stderr) = fleetwear(here.path(), &["--from", &early, "--to", &early]);
    assert!(code == Some(4) && stderr.contains(&early), "{stderr}");
}

#[test]
fn a_dataset_that_cannot_be_judged_says_what_it_lacks() {
    let here = tempfile::tempdir().unwrap();
    let fleet = here.path().join("fleet");
    WHOLE.write(&fleet);
    let dictionary = std::fs::read_to_string(fleet.join("dataset.toml")).unwrap();
    let without = dictionary.split("[events]").next().unwrap();
    std::fs::write(fleet.join("dataset.toml"), without).unwrap();
    let from = date(CUT);
    let (code, _, stderr) = fleetwear(here.path(), &["--from", &from]);
    assert!(code == Some(3) && stderr.contains("the dataset has no events"), "{stderr}");
    std::fs::write(fleet.join("dataset.toml"), dictionary.replace("failure = [\"F\"]", "other = [\"F\"]")).unwrap();
    let (code, _, stderr) = fleetwear(here.path(), &["--from", &from]);
    assert!(code == Some(3) && stderr.contains("--outcome replacements"), "{stderr}");
    let (code, stdout, stderr) = fleetwear(here.path(), &["--from", &from, "--outcome", "replacements"]);
    assert!(code == Some(0) && stdout.contains("pads"), "{stderr}");
}

/// Measures of the report, by name: those of all cuts.
fn measures(folder: &Path) -> Vec<(String, u64, String, Option<f64>, String)> {
    let text = std::fs::read_to_string(folder.join("out/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(report["conventions"].as_array().unwrap().len() >= 5);
    let named: Vec<&str> =
        report["definitions"].as_array().unwrap().iter().map(|one| one["measure"].as_str().unwrap()).collect();
    let rows = report["measures"].as_array().unwrap().iter().filter(|row| row["cut"].is_null());
    let all = rows.map(|row| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        assert!(named.contains(&row["measure"].as_str().unwrap()), "{row} is not defined");
        let days = row["horizon_days"].as_u64().unwrap_or(0);
        (text("failure_mode"), days, text("measure"), row["value"].as_f64(), text("note"))
    });
    all.collect()
}

#[test]
fn no_failure_and_nothing_but_failures_give_defined_results() {
    let here = tempfile::tempdir().unwrap();
    // A past in which parts failed, and a window in which none did: files that end on the cut day, said to be complete.
    Fork { until: CUT, ..WHOLE }.write(&here.path().join("fleet"));
    let (from, until) = (date(CUT), date(CUT + 90));
    let (code, stdout, stderr) = fleetwear(here.path(), &["--from", &from, "--to", &from, "--events-until", &until]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("pads"), "{stdout}");
    for (mode, days, measure, value, note) in measures(here.path()) {
        match measure.as_str() {
            "failed" => assert_eq!(value, Some(0.0), "{mode} {days}"),
            "auc" | "brier_skill" => {
                assert!(value.is_none() && note.contains("no part failed"), "{mode} {days} {measure}: {note}");
            }
            "balanced_accuracy" | "recall" => assert_eq!(value, None, "{mode} {days} {measure}"),
            _ => {}
        }
    }
    assert!(here.path().join("out/_SUCCESS").exists());
    let (code, _, stderr) = fleetwear(here.path(), &["--from", &from]);
    assert!(code == Some(2) || code == Some(6), "{stderr}");

    // A level that every part reaches: all are warned of.
    let all = tempfile::tempdir().unwrap();
    WHOLE.write(&all.path().join("fleet"));
    let model = MODEL.replace("probability = 0.2", "probability = 0.0000001");
    std::fs::write(all.path().join("fleet/model.toml"), model).unwrap();
    let costs = "missed = 1000\nfalse_alarm = 100\nreplacement = 300\n";
    std::fs::write(all.path().join("costs.toml"), costs).unwrap();
    let more = ["--from", &from, "--to", &from, "--costs", "costs.toml", "--pilot", "20"];
    let (code, stdout, stderr) = fleetwear(all.path(), &more);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("never warning") && stdout.contains("balanced, pilot of 20"), "{stdout}");
    let rows = measures(all.path());
    let of = |measure: &str| rows.iter().find(|row| row.0 == "pads" && row.1 == 30 && row.2 == measure).unwrap().3;
    let warned = of("warned").unwrap();
    assert_eq!(of("recall"), Some(1.0), "everybody was warned of");
    assert!(warned > 0.0 && (of("precision").unwrap() - of("prevalence").unwrap()).abs() < 1e-12);
    assert!((of("accuracy").unwrap() - of("prevalence").unwrap()).abs() < 1e-12);
    assert_eq!(of("balanced_accuracy"), Some(0.5));
    assert!(of("cost_without_warnings").unwrap() >= of("cost_at_best_threshold").unwrap());
    let drawn = std::fs::read_to_string(all.path().join("out/plots/roc-pads-30d.svg")).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("area"));
}
