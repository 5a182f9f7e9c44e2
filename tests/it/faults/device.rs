//! A device that does not do: the run goes on without it, says so, and the results are the same.
#![cfg(feature = "gpu")]

use std::path::Path;
use std::time::{Duration, Instant};

use fleetwear::backend::BackendError;
use fleetwear::backend::gpu::device::{Gpu, pick};
use fleetwear::backend::gpu::limits::GpuLimits;
use fleetwear::run::Stop;

use super::yard::{Ended, run};

fn content(ended: &Ended) -> (String, String, String) {
    ended.is(0, &[]);
    let json = ended.json();
    let text = |key: &str| json[key].as_str().unwrap().to_owned();
    (text("content_hash"), text("device"), text("device_reason"))
}

fn made(folder: &Path) {
    let synth = ["synth", "--vehicles", "600", "--days", "120", "--out", "fleet", "--layout", "day", "--threads", "2"];
    run(folder, &synth).is(0, &[]);
}

/// Every way out in turn: enough memory; enough for smaller batches, which shows while records are pushed; not enough
/// for anything. With a state, what a failed attempt began to log is gone.
#[test]
fn too_little_memory_means_smaller_batches_and_then_the_processor() {
    let Some(device) = crate::gpu::required_device("faults::device::too_little_memory") else { return };
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let on_device = |name: &str, options: &[&str]| -> Ended {
        let score = ["score", "--data", "fleet", "--model", "ev-passenger", "--out", name, "--json", "--threads", "2"];
        run(folder.path(), &[&score[..], &["--backend", "gpu", "--device", device], options].concat())
    };
    let (hash, _, reason) = content(&on_device("enough", &[]));
    assert!(!reason.contains("started over"), "{reason}");

    let (smaller, took, reason) = content(&on_device("smaller", &["--device-memory", "230MiB", "--state", "state"]));
    assert!(took.contains(device), "{took}");
    assert!(reason.contains("bytes for clocks; started over again with smaller batches"), "{reason}");
    assert_eq!(reason.matches("started over").count(), 1, "{reason}");
    assert_eq!(smaller, hash);

    let ended = on_device("processor", &["--device-memory", "16MiB"]);
    let (processor, took, reason) = content(&ended);
    assert!(took.starts_with("cpu"), "{took}");
    assert!(reason.ends_with("started over on the processor"), "{reason}");
    assert!(ended.stderr.contains("starting over on the processor"), "{}", ended.stderr);
    assert_eq!(processor, hash);

    let refused = on_device("refused", &["--device-memory", "230MiB", "--no-fallback"]);
    refused.is(8, &["out of memory", "clocks"]);
    assert!(!folder.path().join("refused").exists());
    on_device("mistyped", &["--device-memory", "much"]).is(2, &["--device-memory"]);
}

#[test]
fn simulate_goes_on_without_a_device_that_is_too_small() {
    let Some(device) = crate::gpu::required_device("faults::device::simulate_goes_on") else { return };
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let simulate = |name: &str, options: &[&str]| -> Ended {
        let simulate = ["simulate", "--data", "fleet", "--model", "ev-passenger", "--out", name, "--json"];
        let short = ["--horizon-weeks", "9", "--paths", "8", "--no-monitors", "--threads", "2"];
        run(folder.path(), &[&simulate[..], &short, options].concat())
    };
    let (hash, ..) = content(&simulate("processor", &["--backend", "cpu"]));
    let small = ["--backend", "gpu", "--device", device, "--device-memory", "16MiB"];
    let (same, took, reason) = content(&simulate("fallen-back", &small));
    assert!(!took.contains(device) && reason.contains("started over on the processor"), "{took}: {reason}");
    assert_eq!(same, hash);
    simulate("refused", &[&small[..], &["--no-fallback"]].concat()).is(8, &["out of memory"]);
}

/// A device that never answers is not waited for once the run is asked to stop.
#[test]
fn stopping_ends_the_wait_for_a_silent_device() {
    let Some(device) = crate::gpu::required_device("faults::device::stopping_ends_the_wait") else { return };
    let mut gpu = Gpu::open(pick(Some(device)).unwrap(), GpuLimits::default()).unwrap();
    let stop = Stop::default();
    gpu.watch(&stop);
    let began = Instant::now();
    let waited = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            stop.raise();
        });
        gpu.wait_until(|| false)
    });
    assert!(matches!(waited, Err(BackendError::Interrupted(_))), "{waited:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "waited for {:?}", began.elapsed());
}
