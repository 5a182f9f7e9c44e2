//! `fleetwear score`: computes every component's clocks and damage, and writes them.

use std::time::Duration;

use super::args::{ComputeArgs, ScoreArgs};
use super::console::Console;
use super::exit::{CliError, Exit};
use super::progress::with_progress;
use super::table::{Table, count, seconds};
use super::values::MaxBad;
use super::words::Word;
use super::{account, exit};
use crate::backend::Choice;
use crate::engine::night::NightReport;
use crate::engine::{self, ScorePlan, ScoreReport, Timings};

pub fn run(args: ScoreArgs, console: &Console) -> Result<Exit, CliError> {
    let max_bad = args.data.max_bad;
    let plan = plan(args)?;
    let report = with_progress(console, |control| engine::score(&plan, control))?;
    if console.json() {
        console.data_json(&report.manifest);
    } else {
        console.data(&text(&report, console));
    }
    Ok(verdict(&report, max_bad, console))
}

fn plan(args: ScoreArgs) -> Result<ScorePlan, CliError> {
    let mut plan = ScorePlan::new(args.data.data, args.model.model, args.out);
    plan.backend = choice(&args.compute)?;
    plan.device_share = args.failure.share();
    plan.device = args.compute.device;
    plan.fallback = !args.failure.no_fallback;
    plan.threads = args.host.threads();
    plan.memory_limit_bytes = args.host.memory_limit.0;
    plan.spill_folder = args.host.spill_folder();
    plan.as_of_day = args.data.as_of.map(|day| day.0);
    plan.keep = args.keep;
    plan.drivers = !args.no_drivers;
    plan.state = args.state;
    plan.rebuild_state = args.rebuild_state;
    Ok(plan)
}

/// Whether the run had more bad rows than allowed.
pub fn verdict(report: &ScoreReport, max_bad: MaxBad, console: &Console) -> Exit {
    let unreadable: Vec<account::Unreadable> =
        report.unreadable.iter().map(|file| (file.path.as_path(), file.rows, file.problem.as_str())).collect();
    account::verdict(&(&report.account).into(), &report.manifest.table_rows, &unreadable, max_bad, console)
}

/// What the library calls the backend. Naming a device asks for a GPU, so that it cannot be passed over silently.
pub fn choice(compute: &ComputeArgs) -> Result<Choice, CliError> {
    use super::args::BackendName;
    match (compute.backend, &compute.device) {
        (BackendName::Auto, None) => Ok(Choice::Auto),
        (BackendName::Cpu, None) => Ok(Choice::Cpu),
        (BackendName::Gpu, _) | (BackendName::Auto, Some(_)) => Ok(Choice::Gpu),
        (BackendName::Cpu, Some(device)) => {
            Err(exit::usage(format!("--backend cpu and --device {device:?} contradict each other")))
        }
    }
}

/// A finished run as lines.
fn text(report: &ScoreReport, console: &Console) -> String {
    let account = account::text(&(&report.account).into(), console);
    format!("{account}\n{}", summary(report, console))
}

/// What was written, by what, and where the time went, as lines.
pub fn summary(report: &ScoreReport, console: &Console) -> String {
    let mut summary = Table::new(&["", ""]);
    let mut line = |word: Word, value: String| summary.row([console.word(word).to_owned(), value]);
    line(Word::Output, report.out.display().to_string());
    line(Word::Vehicles, count(report.vehicles));
    line(Word::Scores, count(report.rows));
    line(Word::AsOf, report.manifest.as_of.clone().unwrap_or_default());
    line(Word::Device, format!("{} ({})", report.device, report.device_reason));
    line(Word::ContentHash, report.content_hash.clone());
    format!("{}\n{}", summary.lines(), timings(&report.timings, report.night.as_ref(), console))
}

/// Where the time went, as lines.
pub fn timings(timings: &Timings, night: Option<&NightReport>, console: &Console) -> String {
    let mut table = Table::new(&[console.word(Word::Stage), console.word(Word::Time)]);
    let mut line = |stage: &str, time: Duration| table.row([stage.to_owned(), seconds(time.as_secs_f64())]);
    line("plan", timings.plan);
    line("scan", timings.scan);
    line("· read", timings.read);
    line("· pack", timings.pack);
    line("· kernel", timings.kernel);
    line("finish", timings.finish);
    line("write", timings.write);
    if let Some(NightReport { times, .. }) = night {
        line("state: load", times.load);
        line("state: log", times.log);
        line("state: repeats", times.repeats);
        line("state: merge", times.merge);
        line("state: form anew", times.reform);
        line("state: store", times.store);
    }
    line(console.word(Word::Total), timings.total);
    table.text()
}
