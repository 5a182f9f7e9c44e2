//! Every fault ends as promised, seen from outside: the exit code, the words, and nothing half-visible. Bad rows are
//! counted, never lost and never scored as if they were good.

mod device;
mod input;
mod spill;
mod stop;
mod yard;

use std::fs;

use yard::{DAYS, Ended, VEHICLES, Yard};

#[test]
fn a_good_yard_scores() {
    let yard = Yard::new();
    yard.check(&["--max-bad", "0"]).is(0, &[]);
    let ended = yard.score(&["--json", "--max-bad", "0"]);
    ended.is(0, &[]);
    assert_eq!(ended.json()["account"]["scored"], (VEHICLES * DAYS) as u64);
    assert!(yard.path("scores/_SUCCESS").exists());
    assert_eq!(yard.names(), ["dataset.toml", "histories", "model.toml", "scores"]);
}

#[test]
fn the_checks_object() {
    let ended = Ended { code: Some(4), stdout: String::new(), stderr: "error: x".to_owned() };
    assert!(std::panic::catch_unwind(|| ended.is(0, &[]).code).is_err());
    assert!(std::panic::catch_unwind(|| ended.is(4, &["y"]).code).is_err());
    let ended = Ended { code: Some(1), stdout: String::new(), stderr: "thread panicked".to_owned() };
    assert!(std::panic::catch_unwind(|| ended.is(1, &[]).code).is_err());
}

#[test]
fn usage() {
    let yard = Yard::new();
    yard.run(&[]).is(2, &["Usage"]);
    yard.run(&["scoer"]).is(2, &["score"]);
    yard.run(&["score", "--data", "dataset.toml"]).is(2, &["--model"]);
    yard.score(&["--threads", "0"]).is(2, &["--threads"]);
    yard.score(&["--as-of", "yesterday"]).is(2, &["2026-11-30"]);
    yard.score(&["--memory-limit", "1KiB"]).is(2, &["16MiB"]);
    yard.score(&["--backend", "cpu", "--device", "x"]).is(2, &["contradict"]);
    assert!(!yard.path("scores").exists());
}

#[test]
fn configuration() {
    let yard = Yard::new();
    yard.replace("dataset.toml", "vehicle = ", "vehicel = ");
    yard.score(&[]).is(3, &["dataset.toml:4", "vehicel", "vehicle"]);

    let yard = Yard::new();
    yard.replace("model.toml", "weibull_shape", "weibul_shape");
    yard.score(&[]).is(3, &["model.toml:9", "weibul_shape", "weibull_shape"]);

    let yard = Yard::new();
    yard.replace("model.toml", "load_pct", "lod_pct");
    yard.score(&[]).is(3, &["model.toml:15", "lod_pct", "load_pct"]);

    let yard = Yard::new();
    yard.replace("model.toml", "characteristic_life = 100000", "characteristic_life = 0.001");
    yard.score(&[]).is(3, &["model.toml:14"]);

    let yard = Yard::new();
    fs::write(yard.path("model.toml"), "[model\n").unwrap();
    yard.score(&[]).is(3, &["model.toml:1"]);
    yard.run(&["score", "--data", ".", "--model", "ev-pasenger", "--out", "scores"]).is(3, &["ev-passenger"]);
    fs::remove_file(yard.path("dataset.toml")).unwrap();
    yard.check(&[]).is(3, &["fleetwear init"]);
    assert_eq!(yard.names(), ["histories", "model.toml"]);
}

#[test]
fn output_conflict() {
    let yard = Yard::new();
    fs::create_dir(yard.path("scores")).unwrap();
    fs::write(yard.path("scores/mine.txt"), "kept").unwrap();
    yard.score(&[]).is(6, &["scores", "not empty"]);
    assert_eq!(fs::read_to_string(yard.path("scores/mine.txt")).unwrap(), "kept");
    fs::remove_file(yard.path("scores/mine.txt")).unwrap();
    yard.score(&[]).is(0, &[]);
    yard.score(&[]).is(6, &["scores"]);
    yard.run(&["synth", "--vehicles", "10", "--days", "10", "--out", "scores"]).is(6, &["scores"]);
    yard.run(&["bench", "--write-recipe", "scores"]).is(6, &["scores"]);
    assert!(yard.path("scores/_SUCCESS").exists());
}

/// Either nothing is there or something is; both are an answer, and each adapter says why it would be taken or not.
#[test]
fn devices_say_why() {
    let yard = Yard::new();
    let ended = yard.run(&["devices", "--json"]);
    ended.is(0, &[]);
    let devices = ended.json();
    let adapters = devices["adapters"].as_array().unwrap();
    #[cfg(feature = "gpu")]
    if let Some(device) = crate::gpu::required_device("faults::devices_say_why") {
        let named = |adapter: &&serde_json::Value| adapter["name"].as_str().unwrap().contains(device);
        let adapter = adapters.iter().find(named).unwrap();
        assert!(adapter.to_string().contains("max_buffer_bytes"), "{adapter}");
    }
    for adapter in adapters {
        assert!(
            !adapter["name"].as_str().unwrap().is_empty() && !adapter["why"].as_str().unwrap().is_empty(),
            "{adapter}"
        );
    }
    yard.run(&["devices"]).is(0, &[]);
}

#[test]
fn no_such_device() {
    let yard = Yard::new();
    yard.score(&["--backend", "gpu", "--device", "no such adapter"])
        .is(7, &["no such adapter", "fleetwear devices", "--backend cpu"]);
    yard.score(&["--device", "no such adapter"]).is(7, &["no such adapter"]);
    assert_eq!(yard.names(), ["dataset.toml", "histories", "model.toml"]);
}

#[cfg(unix)]
#[test]
fn disk_full() {
    let yard = Yard::new();
    spill::on_a_full_disk(&yard, 8, "synth --vehicles 200 --days 200 --out fleet").is(8, &["no room"]);
    assert_eq!(yard.names(), ["dataset.toml", "histories", "model.toml"]);
}
