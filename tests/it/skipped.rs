//! How a test says that it was left out. The harness keeps what passing tests print to itself, so this goes to the
//! process's own stderr.

use std::io::Write;

pub fn say(test: &str, why: &str) {
    let _ = std::io::stderr().lock().write_all(format!("skipped: {test}: {why}\n").as_bytes());
}
