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
    let mut child = Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while names(folder) == before {
        assert!(began.elapsed() < Duration::from_secs(30), "no staging folder appeared");
        assert!(child.try_wait().unwrap().is_none(), "ended before the signal");
        std::thread::sleep(Duration::from_millis(2));
    }
    let sent = Instant::now();
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
    let code = wait(&mut child);
    assert_eq!(names(folder), before, "something was left behind");
    (code, sent.elapsed())
}

fn wait(child: &mut Child) -> Option<i32> {
    child.wait().unwrap().code()
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
        let ended = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if sent.elapsed() > STOPS_WITHIN => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        assert_eq!(ended, Some(code), "init went on waiting");
    }
}
