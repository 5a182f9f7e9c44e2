//! Ctrl-C and SIGTERM: a clean stop within five seconds, exit 130 and 143, nothing left behind.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::yard::{binary, names, run};

const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// Starts `arguments`, sends `signal` once the staging folder is there, and gives exit code and time to stop.
fn stopped(folder: &Path, arguments: &[&str], signal: Signal) -> (Option<i32>, Duration) {
    let before = names(folder);
    stopped_when(folder, arguments, signal, |_| names(folder) != before)
}

/// The same once something else is there.
fn stopped_when(
    folder: &Path,
    arguments: &[&str],
    signal: Signal,
    there: impl Fn(&Child) -> bool,
) -> (Option<i32>, Duration) {
    let before = names(folder);
    let mut child = Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !there(&child) {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing appeared");
        assert!(child.try_wait().unwrap().is_none(), "ended before the signal");
        std::thread::sleep(Duration::from_millis(2));
    }
    let sent = Instant::now();
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
    let code = wait(&mut child);
    assert_eq!(names(folder), before, "something was left behind");
    (code, sent.elapsed())
}

/// Whether the process has a Vulkan driver in its memory, and some time to use it.
#[cfg(feature = "gpu")]
fn driver_loaded(child: &Child) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap_or_default();
    let loaded = maps.contains("libvulkan_");
    if loaded {
        std::thread::sleep(Duration::from_millis(300));
    }
    loaded
}

/// The exit code; none of a process that had to be killed.
fn wait(child: &mut Child) -> Option<i32> {
    let began = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status.code(),
            None if began.elapsed() > 6 * STOPS_WITHIN => {
                child.kill().unwrap();
                child.wait().unwrap();
                return None;
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

#[test]
fn synth_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["synth", "--vehicles", "200000", "--days", "730", "--out", "fleet", "--threads", "2"];
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let (got, time) = stopped(folder.path(), &arguments, signal);
        assert_eq!(got, Some(code));
        assert!(time < STOPS_WITHIN, "stopped after {time:?}");
    }
}

#[test]
fn score_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["bench", "--write-recipe", "recipe", "--scale", "4"]).is(0, &[]);
    let arguments = ["score", "--data", "recipe", "--model", "recipe/model.toml", "--out", "scores", "--threads", "1"];
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let (got, time) = stopped(folder.path(), &arguments, signal);
        assert_eq!(got, Some(code));
        assert!(time < STOPS_WITHIN, "stopped after {time:?}");
    }
    run(folder.path(), &arguments).is(0, &[]);
}

/// The other commands that take long; a state that was being formed is formed by the next run.
#[test]
fn simulate_verify_and_a_state_stop_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let synth = ["synth", "--vehicles", "5000", "--days", "200", "--out", "fleet", "--threads", "2"];
    run(folder.path(), &synth).is(0, &[]);
    let simulate = ["simulate", "--data", "fleet", "--model", "ev-passenger", "--out", "futures"];
    let (got, time) = stopped(folder.path(), &simulate, Signal::SIGINT);
    assert_eq!((got, time < STOPS_WITHIN), (Some(130), true), "simulate stopped after {time:?}");
    let verify = ["verify", "--data", "fleet", "--model", "ev-passenger", "--backend", "cpu", "--spill", "spill"];
    std::fs::create_dir(folder.path().join("spill")).unwrap();
    let spills = |_: &Child| !names(&folder.path().join("spill")).is_empty();
    let (got, time) = stopped_when(folder.path(), &verify, Signal::SIGINT, spills);
    assert_eq!((got, time < STOPS_WITHIN), (Some(130), true), "verify stopped after {time:?}");
    assert_eq!(names(&folder.path().join("spill")).len(), 0, "temporary files are left");
    std::fs::create_dir(folder.path().join("state")).unwrap();
    let score = ["score", "--data", "fleet", "--model", "ev-passenger", "--out", "scores", "--state", "state"];
    let (got, time) = stopped(folder.path(), &score, Signal::SIGTERM);
    assert_eq!((got, time < STOPS_WITHIN), (Some(143), true), "score stopped after {time:?}");
    run(folder.path(), &score).is(0, &[]);
}

/// Whatever the processor is waiting for: the device computes, or the disk takes what was computed.
#[test]
fn score_stops_cleanly_on_a_device_and_while_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let synth = ["synth", "--vehicles", "60000", "--days", "3", "--out", "fleet", "--threads", "2"];
    run(folder.path(), &synth).is(0, &[]);
    let arguments = ["score", "--data", "fleet", "--model", "ev-passenger", "--out", "scores", "--threads", "1"];
    let writes = |_: &Child| {
        let staging = folder.path().join(".scores.fleetwear-staging/scores");
        std::fs::read_dir(staging).into_iter().flatten().flatten().next().is_some()
    };
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let (got, time) = stopped_when(folder.path(), &arguments, signal, writes);
        assert_eq!(got, Some(code));
        assert!(time < STOPS_WITHIN, "stopped after {time:?}");
    }
    #[cfg(feature = "gpu")]
    if let Some(device) = crate::gpu::required_device("faults::stop::score_stops_cleanly_on_a_device") {
        let on_device = [&arguments[..], &["--backend", "gpu", "--device", device]].concat();
        let (got, time) = stopped_when(folder.path(), &on_device, Signal::SIGINT, driver_loaded);
        assert_eq!(got, Some(130));
        assert!(time < STOPS_WITHIN, "stopped after {time:?}");
    }
}

/// Neither the recipe in the making nor the folder in which the stages work is left.
#[test]
fn bench_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let arguments = ["bench", "--write-recipe", "recipe", "--scale", "100"];
        let (got, time) = stopped(folder.path(), &arguments, signal);
        assert_eq!(got, Some(code));
        assert!(time < STOPS_WITHIN, "stopped after {time:?}");
    }
    run(folder.path(), &["bench", "--write-recipe", "recipe", "--scale", "4"]).is(0, &[]);
    let recipe = folder.path().join("recipe");
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let arguments = ["bench", "--recipe", ".", "--runs", "1000", "--backend", "cpu", "--threads", "1"];
        let (got, time) = stopped(&recipe, &arguments, signal);
        assert_eq!(got, Some(code));
        assert!(time < STOPS_WITHIN, "stopped after {time:?}");
    }
}

/// An error in the middle of a stage leaves no folder behind either.
#[test]
fn bench_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["bench", "--write-recipe", "recipe"]).is(0, &[]);
    let recipe = folder.path().join("recipe");
    let before = names(&recipe);
    std::fs::write(recipe.join("model.toml"), "[model\n").unwrap();
    run(&recipe, &["bench", "--recipe", ".", "--backend", "cpu"]).is(3, &["model.toml"]);
    assert_eq!(names(&recipe), before);
}

/// `init` waits for a file that nobody writes, as it may for a file system that does not answer.
#[cfg(target_os = "linux")]
#[test]
fn init_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("never.parquet");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut child = Command::new(binary()).args(["init", "."]).current_dir(folder.path()).spawn().unwrap();
        let waits = || std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let catches = |status: &str| {
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
            u64::from_str_radix(mask, 16).unwrap() & 1 << (Signal::SIGTERM as u32 - 1) != 0
        };
        let began = Instant::now();
        while !catches(&waits()) {
            assert!(began.elapsed() < Duration::from_secs(30), "never listened");
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(100));
        let sent = Instant::now();
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        assert_eq!(wait(&mut child), Some(code), "init went on waiting");
        assert!(sent.elapsed() < STOPS_WITHIN);
    }
}
