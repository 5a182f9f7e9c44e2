//! `fleetwear backtest`: how good the chances are that a model states, held against what came.

use std::path::PathBuf;
use std::str::FromStr;

use super::account;
use super::args::{ComputeArgs, DeviceFailureArgs, HostArgs, ModelArgs};
use super::console::Console;
use super::exit::{self, CliError, Exit};
use super::fit_histories::FreeName;
use super::progress::with_progress;
use super::score::choice;
use super::table::{Table, count, seconds};
use super::values::{AsOf, MaxBad};
use super::words::Word;
use crate::backtest::cuts::Step;
use crate::backtest::measures::Measure;
use crate::backtest::outcome::OutcomeKind;
use crate::backtest::warnings::Costs;
use crate::engine::{self, BacktestPlan, BacktestReport};
use crate::fit::history::FitRequest;

/// Roll a date forward: state chances with what was known on each day, and hold what came against them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fleetwear backtest --data fleet/ --model ev-passenger --out judged/ --from 2024-03-31 --step 1m
  fleetwear backtest --data fleet/ --model model.toml --out judged/ --from 2024-03-31 --step 8w --horizon-days 30,90 --fit model
  fleetwear backtest --data fleet/ --model model.toml --out judged/ --from 2024-06-30 --fit model --split vehicle:5
  fleetwear backtest --data fleet/ --model ev-passenger --out judged/ --from 2024-03-31 --pilot 500 \\
      --cost-missed 4000 --cost-false-alarm 150 --cost-replacement 900")]
pub struct BacktestArgs {
    /// The data dictionary `dataset.toml`, or the folder that holds it
    #[arg(long, value_name = "FILE|FOLDER")]
    pub data: PathBuf,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Folder to write; must be empty or not there
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// First day to stand on: chances are stated with what was known at its end
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub from: AsOf,
    /// Last day to stand on at most [default: the last one whose horizons, and the reports of them, the records hold]
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub to: Option<AsOf>,
    /// How far the day is rolled at a time: 30d, 4w, 1m [default: the longest horizon, so that no failure is looked for
    /// twice]
    #[arg(long, value_name = "STEP")]
    pub step: Option<Step>,
    /// Days within which failures are looked for: one to three numbers. The horizon of each mode's alert comes on top
    #[arg(long, value_delimiter = ',', value_name = "DAYS,…", default_values_t = [30, 60, 90])]
    pub horizon_days: Vec<u32>,
    /// Fit on every day, with what was known by then: the parameters that the model frees, or every characteristic life and
    /// shape [default: take the model as it is]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub fit: Option<FreeName>,
    /// Vehicles that each fit looks at, about [default: as many as the memory limit holds]
    #[arg(long, value_name = "N", requires = "fit", value_parser = clap::value_parser!(u64).range(1..))]
    pub fit_sample: Option<u64>,
    /// time: each day's model is judged on all vehicles' later fate. vehicle:K: in addition by K folds, each judged by a
    /// model that was fitted to the others
    #[arg(long, default_value = "time", value_name = "time|vehicle:K")]
    pub split: Split,
    /// What ends a part: failures, or every replacement, for tables that hold nothing else
    #[arg(long, value_enum, default_value_t = OutcomeArg::Failures, value_name = "WHAT")]
    pub outcome: OutcomeArg,
    /// The day up to which events are on record [default: that of the latest record]
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub events_until: Option<AsOf>,
    /// Show the accuracies that pilots of so many vehicles would find
    #[arg(long, value_name = "VEHICLES", value_parser = clap::value_parser!(u32).range(1..))]
    pub pilot: Option<u32>,
    /// What a failure costs that nobody warned of, in your money
    #[arg(long, value_name = "MONEY", requires_all = ["cost_false_alarm", "cost_replacement"])]
    pub cost_missed: Option<f64>,
    /// What a warning costs that leads to nothing
    #[arg(long, value_name = "MONEY", requires = "cost_missed")]
    pub cost_false_alarm: Option<f64>,
    /// What it costs to replace a part on a right warning
    #[arg(long, value_name = "MONEY", requires = "cost_missed")]
    pub cost_replacement: Option<f64>,
    /// The same three from a TOML file: missed = …, false_alarm = …, replacement = …
    #[arg(long, value_name = "FILE", conflicts_with = "cost_missed")]
    pub costs: Option<PathBuf>,
    /// Futures to follow
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub paths: usize,
    /// Vehicle attributes by whose values failures are counted [default: service_centre, where there is one]
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub groups: Option<Vec<String>>,
    /// The attribute that names a vehicle's climate zone [default: climate_zone, where there is one]
    #[arg(long, value_name = "NAME")]
    pub zones: Option<String>,
    /// Keep the packed histories here, as simulate does: the files are then read once for all days
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// Begin the state anew from the files that are there
    #[arg(long, requires = "state")]
    pub rebuild_state: bool,
    /// The same seed gives the same futures, samples and pilots
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    #[command(flatten)]
    pub failure: DeviceFailureArgs,
    /// Exit with code 5 if more rows than this are quarantined, of the histories or of any of the tables vehicles, events
    /// and joins, each by itself: a number of rows, or a share such as 0.5%
    #[arg(long, value_name = "ROWS|SHARE%", default_value = "1%")]
    pub max_bad: MaxBad,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub host: HostArgs,
}

/// `--split`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    Time,
    Vehicle(u32),
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected time, or vehicle:K with a number of folds".to_owned();
        match text.split_once(':') {
            None if text == "time" => Ok(Self::Time),
            Some(("vehicle", folds)) => folds.parse().map(Self::Vehicle).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

/// `--outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutcomeArg {
    Failures,
    Replacements,
}

impl From<OutcomeArg> for OutcomeKind {
    fn from(outcome: OutcomeArg) -> Self {
        match outcome {
            OutcomeArg::Failures => Self::Failures,
            OutcomeArg::Replacements => Self::Replacements,
        }
    }
}

pub fn run(args: BacktestArgs, console: &Console) -> Result<Exit, CliError> {
    let max_bad = args.max_bad;
    let plan = plan(args)?;
    let report = with_progress(console, |control| engine::backtest(&plan, control))?;
    if console.json() {
        console.data_json(&report.manifest);
    } else {
        let account = account::text(&(&report.account).into(), console);
        let (summary, chances) = (summary(&report, console), chances(&report, console));
        console.data(&format!("{account}\n{summary}\n{chances}\n{}", warnings(&report, &plan, console)));
    }
    let unreadable: Vec<account::Unreadable> =
        report.unreadable.iter().map(|file| (file.path.as_path(), file.rows, file.problem.as_str())).collect();
    Ok(account::verdict(&(&report.account).into(), &report.manifest.table_rows, &unreadable, max_bad, console))
}

fn plan(args: BacktestArgs) -> Result<BacktestPlan, CliError> {
    let mut plan = BacktestPlan::new(args.data.clone(), args.model.model.clone(), args.out.clone(), args.from.0);
    plan.to_day = args.to.map(|day| day.0);
    plan.step = args.step;
    plan.horizons_days = args.horizon_days.clone();
    plan.fit = args.fit.map(|free| FitRequest {
        lives_and_shapes: free == FreeName::LivesAndShapes,
        sample: args.fit_sample,
        memory_limit_bytes: args.host.memory_limit.0,
        ..FitRequest::new(i32::MAX, args.seed)
    });
    plan.folds = match args.split {
        Split::Time => None,
        Split::Vehicle(folds) => Some(folds),
    };
    plan.outcome = args.outcome.into();
    plan.events_until = args.events_until.map(|day| day.0);
    plan.pilot = args.pilot.map(|vehicles| vehicles as usize);
    plan.costs = costs(&args)?;
    let simulation = &mut plan.simulation;
    simulation.backend = choice(&args.compute)?;
    simulation.device = args.compute.device;
    simulation.device_share = args.failure.share();
    simulation.fallback = !args.failure.no_fallback;
    simulation.threads = args.host.threads();
    simulation.memory_limit_bytes = args.host.memory_limit.0;
    simulation.spill_folder = args.host.spill_folder();
    simulation.paths = args.paths;
    simulation.groups = args.groups;
    simulation.zones = args.zones;
    simulation.state = args.state;
    simulation.rebuild_state = args.rebuild_state;
    simulation.seed = args.seed;
    Ok(plan)
}

/// Costs from the options or from their file, none below zero.
fn costs(args: &BacktestArgs) -> Result<Option<Costs>, CliError> {
    let costs = match (&args.costs, args.cost_missed, args.cost_false_alarm, args.cost_replacement) {
        (Some(path), ..) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| exit::usage(format!("--costs {}: {error}", path.display())))?;
            let parsed: Result<Costs, _> = toml::from_str(&text);
            parsed.map_err(|error| exit::usage(format!("--costs {}: {}", path.display(), error.message())))?
        }
        (None, Some(missed), Some(false_alarm), Some(replacement)) => Costs { missed, false_alarm, replacement },
        _ => return Ok(None),
    };
    let named = [("missed", costs.missed), ("false_alarm", costs.false_alarm), ("replacement", costs.replacement)];
    match named.into_iter().find(|(_, cost)| !cost.is_finite() || *cost < 0.0) {
        Some((name, cost)) => Err(exit::usage(format!("a cost is zero or more: {name} is {cost}"))),
        None => Ok(Some(costs)),
    }
}

/// What was written, as lines.
pub fn summary(report: &BacktestReport, console: &Console) -> String {
    let mut summary = Table::new(&["", ""]);
    let mut line = |word: Word, value: String| summary.row([console.word(word).to_owned(), value]);
    line(Word::Output, report.out.display().to_string());
    let days: Vec<&str> = report.cuts.iter().map(|cut| cut.as_of.as_str()).collect();
    let mut distinct = days.clone();
    distinct.dedup();
    let ends = [days.first(), days.last()].map(|day| day.copied().unwrap_or_default());
    line(Word::CutDays, format!("{} ({} … {})", distinct.len(), ends[0], ends[1]));
    line(Word::Predictions, count(report.rows));
    line(Word::KnownFailed, count(report.cuts.iter().map(|cut| cut.known_failed).sum()));
    line(Word::Device, format!("{} ({})", report.device, report.device_reason));
    line(Word::ContentHash, report.content_hash.clone());
    line(Word::Total, seconds(report.seconds));
    summary.lines()
}

/// Measures of all cuts together, looked up by name.
fn pooled<'r>(report: &'r BacktestReport, mode: &str, horizon: Option<u32>, name: &str) -> Option<&'r Measure> {
    report
        .measured
        .measures
        .iter()
        .find(|one| one.cut.is_none() && one.failure_mode == mode && one.horizon_days == horizon && one.measure == name)
}

/// Failure modes and horizons, in the order of the measures.
fn questions(report: &BacktestReport) -> Vec<(String, u32)> {
    let curves = report.measured.curves.iter();
    curves.map(|curve| (curve.failure_mode.clone(), curve.horizon_days)).collect()
}

fn figure(measure: Option<&Measure>, digits: usize) -> String {
    measure.and_then(|one| one.value).map(|value| format!("{value:.digits$}")).unwrap_or_default()
}

fn with_ends(measure: Option<&Measure>, digits: usize) -> String {
    let ends = measure.and_then(|one| Some((one.value?, one.lower?, one.upper?)));
    ends.map_or_else(
        || figure(measure, digits),
        |(value, lower, upper)| format!("{value:.digits$} ({lower:.digits$} … {upper:.digits$})"),
    )
}

/// How good the stated chances were, as lines.
fn chances(report: &BacktestReport, console: &Console) -> String {
    let heading = |word: Word| console.word(word);
    let mut table = Table::new(&[
        heading(Word::FailureMode),
        heading(Word::Days),
        heading(Word::Parts),
        heading(Word::Failures),
        heading(Word::LeftOut),
        "AUC",
        heading(Word::CameOverExpected),
        heading(Word::Slope),
        "χ² p",
        heading(Word::LogSkill),
        heading(Word::CountsIn90),
    ]);
    for (mode, days) in questions(report) {
        let of = |name: &str| pooled(report, &mode, Some(days), name);
        let whole = |name: &str| figure(of(name), 0);
        table.row([
            mode.clone(),
            days.to_string(),
            whole("parts"),
            whole("failed"),
            whole("left_out"),
            with_ends(of("auc"), 3),
            figure(of("failed_over_expected"), 2),
            with_ends(of("calibration_slope"), 2),
            figure(of("reliability_p"), 3),
            figure(of("log_skill"), 4),
            figure(of("counts_in_90"), 2),
        ]);
    }
    table.text()
}

/// How good the warnings were, as lines; empty where the model warns of nothing.
fn warnings(report: &BacktestReport, plan: &BacktestPlan, console: &Console) -> String {
    let heading = |word: Word| console.word(word);
    let pilot = plan.pilot.map(|vehicles| format!("{} {vehicles}", heading(Word::Pilot)));
    let mut headings = vec![
        heading(Word::FailureMode),
        heading(Word::Days),
        heading(Word::Warned),
        heading(Word::Precision),
        heading(Word::Recall),
        heading(Word::Accuracy),
        heading(Word::NeverWarning),
        heading(Word::BalancedAccuracy),
        heading(Word::BestThreshold),
        heading(Word::AlarmsPerDay),
        heading(Word::LeadDays),
    ];
    headings.extend(pilot.as_deref());
    if plan.costs.is_some() {
        headings.extend([heading(Word::Cost), heading(Word::CostUnwarned)]);
    }
    let mut table = Table::new(&headings);
    let mut rows = 0;
    for (mode, days) in questions(report) {
        let of = |name: &str| pooled(report, &mode, Some(days), name);
        if of("warned").is_none() {
            continue;
        }
        let always = |name: &str| pooled(report, &mode, None, name);
        let mut cells = vec![
            mode.clone(),
            days.to_string(),
            figure(of("warned"), 0),
            with_ends(of("precision"), 2),
            with_ends(of("recall"), 2),
            with_ends(of("accuracy"), 4),
            figure(of("accuracy_of_never_warning"), 4),
            with_ends(of("balanced_accuracy"), 3),
            figure(of("best_balanced_accuracy"), 3),
            figure(always("alarms_per_day"), 2),
            figure(always("lead_time_p50_days"), 0),
        ];
        if plan.pilot.is_some() {
            let ends = |name: &str| of(name).and_then(|one| Some((one.lower?, one.upper?)));
            let ends = ends("pilot_balanced_accuracy");
            cells.push(ends.map_or_else(|| "?".to_owned(), |(low, high)| format!("{low:.3} … {high:.3}")));
        }
        if plan.costs.is_some() {
            cells.extend([figure(of("cost_as_warned"), 0), figure(of("cost_without_warnings"), 0)]);
        }
        table.row(cells);
        rows += 1;
    }
    if rows == 0 { String::new() } else { table.text() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_they_are_typed() {
        assert_eq!("time".parse(), Ok(Split::Time));
        assert_eq!("vehicle:5".parse(), Ok(Split::Vehicle(5)));
        for wrong in ["vehicle", "vehicle:", "vehicle:x", "zone:3", ""] {
            assert!(wrong.parse::<Split>().is_err(), "{wrong}");
        }
    }
}
