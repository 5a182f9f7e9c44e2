//! Progress on stderr: a bar on a terminal, nothing elsewhere; warnings always, unless `--quiet`.

use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::console::Console;
use super::signals;
use crate::run::{Control, Event};

/// Runs `work` with a listener that shows its events, and with the flag that signals raise.
pub fn with_progress<T>(console: &Console, work: impl FnOnce(&Control) -> T) -> T {
    let bar = Mutex::new(ProgressBar::hidden());
    let listener = |event: Event| match event {
        Event::Stage { name, total_rows } => {
            let next = if console.quiet() { ProgressBar::hidden() } else { new_bar(name, total_rows) };
            if let Ok(mut bar) = bar.lock() {
                bar.finish_and_clear();
                *bar = next;
            }
        }
        Event::Rows(rows) => {
            if let Ok(bar) = bar.lock() {
                bar.inc(rows);
            }
        }
        Event::Warning(text) => {
            if let Ok(bar) = bar.lock() {
                bar.suspend(|| console.warning(&text));
            }
        }
    };
    let result = work(&Control::new(signals::stop(), &listener));
    if let Ok(bar) = bar.lock() {
        bar.finish_and_clear();
    }
    result
}

/// A bar that indicatif draws only where stderr is a terminal; without colours, so `NO_COLOR` holds by itself.
fn new_bar(name: &'static str, total_rows: Option<u64>) -> ProgressBar {
    let (bar, template) = match total_rows {
        Some(rows) => {
            (ProgressBar::new(rows), "{prefix:>10} [{bar:30}] {human_pos}/{human_len} rows {per_sec} eta {eta}")
        }
        None => (ProgressBar::new_spinner(), "{prefix:>10} {spinner} {human_pos} rows {elapsed}"),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(4));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(name);
    bar
}
