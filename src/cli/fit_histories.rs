//! `fleetwear fit --data`: a model's free parameters from histories and work orders.

use std::path::PathBuf;

use super::account;
use super::console::Console;
use super::exit::{self, CliError, Exit};
use super::progress::with_progress;
use super::table::{Table, count, seconds};
use super::values::{AsOf, MaxBad, MemoryLimit, SpillFolder};
use super::words::Word;
use crate::engine::{self, FitPlan, FitReport};
use crate::fit::history::Status;

/// Histories, work orders and a model.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "From histories")]
pub struct HistoriesArgs {
    /// The data dictionary `dataset.toml`, or the folder that holds it
    #[arg(long, value_name = "FILE|FOLDER", requires_all = ["model", "out"])]
    pub data: Option<PathBuf>,
    /// A model file with `free = [...]`, or the name of a shipped model
    #[arg(long, value_name = "FILE|NAME", requires = "data")]
    pub model: Option<String>,
    /// Leave out what was not known by the end of this day [default: the latest record]
    #[arg(long, value_name = "DATE", allow_hyphen_values = true, requires = "data")]
    pub as_of: Option<AsOf>,
    /// Free parameters: those that the model names, or every characteristic life and shape
    #[arg(long, value_enum, default_value_t = FreeName::Model, value_name = "WHAT", requires = "data")]
    pub free: FreeName,
    /// Failure modes to fit [default: all that free something]
    #[arg(long, value_delimiter = ',', value_name = "ID,…", requires = "data")]
    pub modes: Option<Vec<String>>,
    /// Vehicles to look at, about: those with failures first, of the others a random part [default: as many as the
    /// memory limit holds]
    #[arg(long, value_name = "N", requires = "data", value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: Option<u64>,
    /// Check the standard errors by so many fits with random weights of the vehicles
    #[arg(long, default_value_t = 0, value_name = "N", requires = "data")]
    pub bootstrap: u32,
    /// Replacements are on record since this day, although the histories begin later: parts of vehicles that came into
    /// service after it are known to be the original ones
    #[arg(long, value_name = "DATE", allow_hyphen_values = true, requires = "data")]
    pub events_since: Option<AsOf>,
    /// Original parts that were in use before the records: take their use to have been that of their first so many days
    /// on record, instead of leaving them out
    #[arg(long, value_name = "DAYS", requires = "events_since", value_parser = clap::value_parser!(u32).range(1..100_000))]
    pub prior_use: Option<u32>,
    /// Which vehicles are looked at, and the bootstrap's weights
    #[arg(long, default_value_t = 1, value_name = "N", requires = "data")]
    pub seed: u64,
    /// Threads to use [default: all cores]
    #[arg(long, value_name = "N", requires = "data", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Memory for the sample's records, and as much again for reading
    #[arg(long, value_name = "SIZE", default_value = "512MiB", requires = "data")]
    pub memory_limit: MemoryLimit,
    /// Folder for temporary files [default: beside the output]
    #[arg(long, value_name = "FOLDER", requires = "data")]
    pub spill: Option<SpillFolder>,
}

/// `--free`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FreeName {
    /// As `free = [...]` in the model says
    Model,
    /// Every characteristic_life and weibull_shape
    LivesAndShapes,
}

/// Fits, and prints what came of it.
pub fn run(args: HistoriesArgs, out: Option<PathBuf>, max_bad: MaxBad, console: &Console) -> Result<Exit, CliError> {
    let plan = plan(args, out)?;
    let report = with_progress(console, |control| engine::fit(&plan, control))?;
    if console.json() {
        console.data_json(&report.manifest);
    } else {
        let rows = account::rows(&(&report.account).into(), console);
        console.data(&format!(
            "{rows}\n{}\n{}\n{}",
            summary(&report, console),
            groups(&report, console),
            estimates(&report, console)
        ));
    }
    let unreadable: Vec<account::Unreadable> =
        report.unreadable.iter().map(|file| (file.path.as_path(), file.rows, file.problem.as_str())).collect();
    Ok(account::verdict(&(&report.account).into(), &report.manifest.table_rows, &unreadable, max_bad, console))
}

fn plan(args: HistoriesArgs, out: Option<PathBuf>) -> Result<FitPlan, CliError> {
    let (Some(data), Some(model), Some(out)) = (args.data, args.model, out) else {
        return Err(exit::usage("--data needs --model and --out".to_owned()));
    };
    let mut plan = FitPlan::new(data, model, out);
    plan.as_of_day = args.as_of.map(|day| day.0);
    plan.spill_folder = args.spill.map(|folder| folder.0);
    plan.reading.memory_limit_bytes = args.memory_limit.0;
    if let Some(threads) = args.threads {
        plan.reading.threads = usize::from(threads);
    }
    let request = &mut plan.request;
    request.seed = args.seed;
    request.modes = args.modes;
    request.lives_and_shapes = args.free == FreeName::LivesAndShapes;
    request.sample = args.sample;
    request.memory_limit_bytes = args.memory_limit.0;
    request.replicates = args.bootstrap as usize;
    request.events_since = args.events_since.map(|day| day.0);
    request.prior_use_days = args.prior_use.unwrap_or(0);
    Ok(plan)
}

/// What was written, as lines.
fn summary(report: &FitReport, console: &Console) -> String {
    let mut summary = Table::new(&["", ""]);
    let mut line = |word: Word, value: String| summary.row([console.word(word).to_owned(), value]);
    line(Word::Output, report.out.display().to_string());
    line(Word::Vehicles, format!("{} / {}", count(report.fit.sampled), count(report.fit.vehicles)));
    line(Word::AsOf, report.as_of.clone());
    line(Word::ContentHash, report.content_hash.clone());
    line(Word::Total, seconds(report.seconds));
    summary.lines()
}

/// What was fitted from what, as lines.
fn groups(report: &FitReport, console: &Console) -> String {
    let words = [Word::FailureMode, Word::Lives, Word::Failures, Word::Expected, Word::LeftOut, Word::LogLikelihood];
    let mut table = Table::new(&words.map(|word| console.word(word)));
    for group in &report.fit.groups {
        let ids: Vec<&str> = group.modes.iter().map(|&mode| report.model.modes[mode].id.as_str()).collect();
        table.row([
            ids.join(", "),
            count(group.counts.lives),
            count(group.failures),
            format!("{:.1}", group.expected),
            count(group.counts.left_out.values().map(|out| out.lives).sum()),
            format!("{:.3}", group.log_likelihood),
        ]);
    }
    table.text()
}

/// The estimates, as lines.
fn estimates(report: &FitReport, console: &Console) -> String {
    let words = [Word::Parameter, Word::Given, Word::Estimate, Word::StandardError].map(|word| console.word(word));
    let mut table = Table::new(&[words[0], words[1], words[2], words[3], "95 %", ""]);
    for one in report.fit.estimates() {
        let number = |value: Option<f64>| value.map(digits).unwrap_or_default();
        let bounds = match (one.lower, one.upper) {
            (None, None) => String::new(),
            (Some(lower), None) => format!("≥ {}", digits(lower)),
            (lower, upper) => format!("{} … {}", number(lower), number(upper)),
        };
        table.row([
            one.path.name(&report.model),
            digits(one.given),
            number(Some(one.value).filter(|_| !matches!(one.status, Status::BoundOnly | Status::Held(_)))),
            number(one.standard_error),
            bounds,
            one.status.reason().map_or(String::new(), str::to_owned),
        ]);
    }
    table.text()
}

/// Five digits that count.
fn digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.4e}").parse().unwrap_or(value);
    if rounded != 0.0 && !(1e-4..1e9).contains(&rounded.abs()) { format!("{rounded:e}") } else { format!("{rounded}") }
}
