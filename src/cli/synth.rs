//! `fleetwear synth`: makes a fleet with planted facts and its truth.

use std::path::Path;

use super::args::{IdName, LayoutName, SynthArgs};
use super::console::Console;
use super::exit::{CliError, Exit};
use super::progress::with_progress;
use super::table::{Table, count, seconds};
use super::words::Word;
use crate::synth::{IdKind, Layout, SynthPlan, SynthReport, generate};

pub fn run(args: SynthArgs, console: &Console) -> Result<Exit, CliError> {
    let mut plan = SynthPlan::new(args.vehicles, args.days, args.seed);
    plan.start_day = args.start.0;
    plan.layout = match args.layout {
        LayoutName::Vehicle => Layout::Vehicle,
        LayoutName::Day => Layout::Day,
    };
    plan.ids = match args.ids {
        IdName::Vin => IdKind::Vin,
        IdName::Integer => IdKind::Integer,
    };
    plan.zones = args.zones.into_iter().map(|zone| (zone.zone, zone.share)).collect();
    plan.model = args.model;
    plan.without_rule = args.without_rule;
    plan.threads = args.threads.threads();
    let report = with_progress(console, |control| generate(&plan, &args.out, control))?;
    if console.json() {
        console.data_json(&json(&report, &args.out));
    } else {
        console.data(&text(&report, &args.out, console));
    }
    Ok(Exit::Ok)
}

/// What was made, as lines.
pub fn text(report: &SynthReport, out: &Path, console: &Console) -> String {
    let mut summary = Table::new(&["", ""]);
    let mut line = |word: Word, value: String| summary.row([console.word(word).to_owned(), value]);
    line(Word::Output, out.display().to_string());
    line(Word::Vehicles, count(report.vehicles.into()));
    line(Word::Rows, count(report.rows));
    line(Word::WorkOrders, count(report.work_orders));
    line(Word::ContentHash, report.content_hash.clone());
    line(Word::Time, seconds(report.seconds));
    let mut failures = Table::new(&[Word::FailureMode, Word::Failures].map(|word| console.word(word)));
    for (mode, number) in &report.failures {
        failures.row([mode.clone(), count(*number)]);
    }
    format!("{}\n{}", summary.lines(), failures.text())
}

/// What was made, for programs.
pub fn json(report: &SynthReport, out: &Path) -> serde_json::Value {
    let failures: serde_json::Map<String, serde_json::Value> =
        report.failures.iter().map(|(mode, number)| (mode.clone(), (*number).into())).collect();
    serde_json::json!({
        "out": out,
        "vehicles": report.vehicles,
        "rows": report.rows,
        "work_orders": report.work_orders,
        "failures": failures,
        "history_bytes": report.history_bytes,
        "content_hash": report.content_hash,
        "seconds": report.seconds,
    })
}
