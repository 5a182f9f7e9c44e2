//! `fleetwear bench`: makes its data, runs each stage apart and all of them together, and says how fast they are.

mod kernel;
pub mod recipe;
mod sample;
mod stages;

use std::path::Path;

use serde_json::json;

use super::args::BenchArgs;
use super::console::Console;
use super::exit::{CliError, Exit};
use super::progress::with_progress;
use super::score::choice;
use super::table::{Table, count, seconds};
use super::words::Word;
use recipe::Recipe;
use stages::{Bench, Measured};

/// Vehicles of one unit of `--scale`.
const VEHICLES_A_SCALE: u32 = 1_000;

pub fn run(args: BenchArgs, console: &Console) -> Result<Exit, CliError> {
    let vehicles = args.scale * VEHICLES_A_SCALE;
    let make =
        |folder: &Path| with_progress(console, |control| recipe::write(folder, vehicles, args.encoding, control));
    if let Some(folder) = &args.write_recipe {
        let recipe = make(folder)?;
        console.note(&format!("{} rows, {} bytes", count(recipe.rows), count(recipe.bytes)));
        match console.json() {
            true => {
                console.data_json(&json!({ "dataset": recipe.dataset, "rows": recipe.rows, "bytes": recipe.bytes }))
            }
            false => console.data(&format!("{}\n", recipe.dataset.display())),
        }
        return Ok(Exit::Ok);
    }
    let choice = choice(&args.compute)?;
    // Kept until the end: dropping it removes the data.
    let scratch = args.host.spill_folder().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(&scratch).map_err(|source| CliError::Export { path: scratch, source })?;
    let recipe = match &args.recipe {
        Some(folder) => Recipe::at(folder)?,
        None => make(&folder.path().join("recipe"))?,
    };
    let bench = Bench {
        recipe: &recipe,
        choice,
        device: args.compute.device.as_deref(),
        threads: args.host.threads(),
        memory_limit_bytes: args.host.memory_limit.0,
        spill_folder: args.host.spill_folder(),
    };
    let copy_bytes_per_s = kernel::copy_bytes_per_s(bench.threads);
    let measured = with_progress(console, |control| bench.measure(args.warmup, args.runs, control))?;
    let report = json!({
        "program": env!("CARGO_PKG_VERSION"),
        "rows": recipe.rows,
        "bytes": recipe.bytes,
        "threads": bench.threads,
        "device": measured.device,
        "copy_bytes_per_s": copy_bytes_per_s,
        "content_hash": measured.content_hash,
        "peak_memory_bytes": peak_memory_bytes(),
        "stages": stages::by_name(&measured.stages, copy_bytes_per_s),
    });
    if let Some(path) = &args.export_json {
        let text = serde_json::to_string_pretty(&report).unwrap_or_default() + "\n";
        std::fs::write(path, text).map_err(|source| CliError::Export { path: path.clone(), source })?;
    }
    if console.json() {
        console.data_json(&report);
    } else {
        console.data(&text(&recipe, &bench, &measured, copy_bytes_per_s, console));
    }
    Ok(Exit::Ok)
}

fn text(recipe: &Recipe, bench: &Bench, measured: &Measured, copy_bytes_per_s: f64, console: &Console) -> String {
    let headings = [Word::Stage, Word::Median, Word::Spread].map(|word| console.word(word));
    let share = console.word(Word::ShareOfCopy);
    let mut table = Table::new(&[headings[0], headings[1], headings[2], "M rows/s", "GB/s", share]);
    for (name, stage) in &measured.stages {
        let median_s = stage.sample.median_s();
        let mut cells = vec![(*name).to_owned(), seconds(median_s), format!("{:.0} %", 100.0 * stage.sample.spread())];
        cells.push(format!("{:.1}", stage.rows as f64 / median_s / 1e6));
        if stage.bytes > 0 {
            let bytes_per_s = stage.bytes as f64 / median_s;
            cells.push(format!("{:.2}", bytes_per_s / 1e9));
            cells.push(format!("{:.1} %", 100.0 * bytes_per_s / copy_bytes_per_s));
        }
        table.row(cells);
    }
    let mut head = Table::new(&["", ""]);
    let mut line = |word: Word, value: String| head.row([console.word(word).to_owned(), value]);
    let bytes_a_row = recipe.bytes as f64 / recipe.rows.max(1) as f64;
    line(Word::Rows, format!("{}, {bytes_a_row:.1} bytes a row", count(recipe.rows)));
    line(Word::Device, format!("{}, {} threads", measured.device, bench.threads));
    line(Word::MemoryCopy, format!("{:.1} GB/s", copy_bytes_per_s / 1e9));
    if let Some(bytes) = peak_memory_bytes() {
        line(Word::PeakMemory, format!("{} MiB", bytes >> 20));
    }
    line(Word::ContentHash, measured.content_hash.clone());
    format!("{}\n{}", head.lines(), table.text())
}

/// The most memory that this process has held at once, where the system tells.
fn peak_memory_bytes() -> Option<u64> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{UsageWho, getrusage};
        // Linux counts in KiB, macOS in bytes.
        let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
        getrusage(UsageWho::RUSAGE_SELF)
            .ok()
            .and_then(|usage| u64::try_from(usage.max_rss()).ok())
            .map(|rss| rss * unit)
    }
    #[cfg(not(unix))]
    None
}
