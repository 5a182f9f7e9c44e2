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
