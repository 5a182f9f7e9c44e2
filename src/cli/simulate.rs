//! `fleetwear simulate`: who fails when, how many where, and whom to warn.

use std::path::PathBuf;

use super::account;
use super::args::{ComputeArgs, DataArgs, DeviceFailureArgs, HostArgs, ModelArgs};
use super::console::Console;
use super::exit::{CliError, Exit};
use super::progress::with_progress;
use super::score::choice;
use super::table::{Table, count, seconds};
use super::words::Word;
use crate::engine::simulate_urgent::What;
use crate::engine::{self, SimulatePlan, SimulateReport};
use crate::monitor::cohort::Cohort;
use crate::simulate::expected::CountKind;

/// Simulate the fleet forward: every part's chance to fail, counts by group, and whom to warn
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fleetwear simulate --data fleet/ --model ev-passenger --out futures/
  fleetwear simulate --data fleet/ --model ev-passenger --out futures/ --groups service_centre,climate_zone --paths 256
  fleetwear simulate --data fleet/ --model ev-passenger --out warmer/ --scenario warmer.toml --horizon-weeks 52
  fleetwear simulate --data fleet/ --model ev-passenger --out futures/2026-10-31 --state state/")]
pub struct SimulateArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Folder to write; must be empty or not there
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Futures to follow
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub paths: usize,
    /// Weeks to look ahead
    #[arg(long, default_value_t = 104, value_name = "N")]
    pub horizon_weeks: usize,
    /// Vehicle attributes by whose values failures are counted [default: service_centre, where there is one]
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub groups: Option<Vec<String>>,
    /// The attribute that names a vehicle's climate zone [default: climate_zone, where there is one]
    #[arg(long, value_name = "NAME")]
    pub zones: Option<String>,
    /// Follow a changed future too, and write what it changes
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// What fleet_forecast counts: failures by the day a part fails, or by the day that is reported
    #[arg(long, default_value = "failures", value_name = "WHAT")]
    pub count: CountArg,
    /// False alarms that each monitor may give in 100,000 vehicle-days [default: as the model says]
    #[arg(long, value_name = "N", conflicts_with = "no_monitors")]
    pub false_alarms_per_100k_days: Option<f64>,
    /// Do not run the model's monitors: no alarms, and half of the passes over the records
    #[arg(long)]
    pub no_monitors: bool,
    /// Keep the packed histories here and go on from them: a night reads only new files, and the result is that of a
    /// whole run, of any day and under any options. It may be the folder that score --state has
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// Begin the state anew from the files that are there: where it is damaged, or files that it has read have changed
    #[arg(long, requires = "state")]
    pub rebuild_state: bool,
    /// The same seed gives the same futures, whatever the model
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    #[command(flatten)]
    pub failure: DeviceFailureArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub host: HostArgs,
}

/// `--count`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum CountArg {
    Failures,
    Reports,
}

impl From<CountArg> for CountKind {
    fn from(count: CountArg) -> Self {
        match count {
            CountArg::Failures => Self::Failures,
            CountArg::Reports => Self::Reports,
        }
    }
}

pub fn run(args: SimulateArgs, console: &Console) -> Result<Exit, CliError> {
    let max_bad = args.data.max_bad;
    let plan = plan(args)?;
    let report = with_progress(console, |control| engine::simulate(&plan, control))?;
    if console.json() {
        console.data_json(&report.manifest);
    } else {
        let account = account::text(&(&report.account).into(), console);
        let (summary, counts) = (summary(&report, console), counts(&report, console));
        let alarms = if report.monitors.is_empty() { String::new() } else { alarms(&report, console) + "\n" };
        let changed = match report.differences.as_slice() {
            [] => String::new(),
            _ => "\n".to_owned() + &differences(&report, console),
        };
        console.data(&format!("{account}\n{summary}\n{}\n{alarms}{counts}{changed}", urgent(&report, console)));
    }
    let unreadable: Vec<account::Unreadable> =
        report.unreadable.iter().map(|file| (file.path.as_path(), file.rows, file.problem.as_str())).collect();
    // With a state, of all nights: tonight's few rows would hide, or exaggerate, what the forecasts rest on.
    let account =
        report.night.as_ref().map_or_else(|| (&report.account).into(), |night| night.account_of_state.clone());
    Ok(account::verdict(&account, &report.manifest.table_rows, &unreadable, max_bad, console))
}

fn plan(args: SimulateArgs) -> Result<SimulatePlan, CliError> {
    let mut plan = SimulatePlan::new(args.data.data, args.model.model, args.out);
    plan.backend = choice(&args.compute)?;
    plan.device_share = args.failure.share();
    plan.device = args.compute.device;
    plan.fallback = !args.failure.no_fallback;
    plan.threads = args.host.threads();
    plan.memory_limit_bytes = args.host.memory_limit.0;
    plan.spill_folder = args.host.spill_folder();
    plan.as_of_day = args.data.as_of.map(|day| day.0);
    plan.paths = args.paths;
    plan.horizon_weeks = args.horizon_weeks;
    plan.groups = args.groups;
    plan.zones = args.zones;
    plan.scenario = args.scenario;
    plan.seed = args.seed;
    plan.count = args.count.into();
    plan.state = args.state;
    plan.rebuild_state = args.rebuild_state;
    plan.monitors = !args.no_monitors;
    plan.false_alarms_per_100000_days = args.false_alarms_per_100k_days;
    Ok(plan)
}

/// What was written, as lines.
pub fn summary(report: &SimulateReport, console: &Console) -> String {
    let mut summary = Table::new(&["", ""]);
    let mut line = |word: Word, value: String| summary.row([console.word(word).to_owned(), value]);
    line(Word::Output, report.out.display().to_string());
    line(Word::Vehicles, count(report.vehicles));
    line(Word::Forecasts, count(report.rows));
    line(Word::Alerts, count(report.alerts));
    if !report.monitors.is_empty() {
        line(Word::Alarms, count(report.monitors.iter().map(|one| one.alarms).sum()));
    }
    line(Word::AsOf, report.as_of.clone());
    line(Word::Device, format!("{} ({})", report.device, report.device_reason));
    line(Word::ContentHash, report.content_hash.clone());
    line(Word::Total, seconds(report.seconds));
    summary.lines()
}

/// The most urgent vehicles, a line for each thing that speaks for them.
pub fn urgent(report: &SimulateReport, console: &Console) -> String {
    let words = [Word::Vehicle, Word::ActBy, Word::Component, Word::Position, Word::Why];
    let mut table = Table::new(&words.map(|word| console.word(word)));
    for one in &report.urgent {
        for (line, concern) in one.concerns.iter().enumerate() {
            let first = |text: &str| if line == 0 { text.to_owned() } else { String::new() };
            table.row([
                first(&one.vehicle),
                first(one.act_by.as_deref().unwrap_or_default()),
                concern.component.clone(),
                concern.position.clone().unwrap_or_default(),
                why(&concern.what, console),
            ]);
        }
    }
    table.text()
}

fn why(what: &What, console: &Console) -> String {
    match what {
        What::Failed => console.word(Word::FailedNotReplaced).to_owned(),
        What::Chance { failure_mode, probability, days } => {
            format!("{failure_mode}: {:.1} % {} {days:.0} d", 100.0 * probability, console.word(Word::Within))
        }
        What::Alarm { monitor, reason, days_to_limit: Some(days) } => {
            format!("{monitor}: {reason}, {} {days:.0} d", console.word(Word::LimitWithin))
        }
        What::Alarm { monitor, reason, days_to_limit: None } => format!("{monitor}: {reason}"),
    }
}

/// What the monitors found, and which cohort holds more than its share, as lines.
pub fn alarms(report: &SimulateReport, console: &Console) -> String {
    let words = [Word::Monitor, Word::Alarms, Word::Budgeted, Word::Cohort, Word::Vehicles, Word::ItsAlarms];
    let words = words.map(|word| console.word(word));
    let [monitor, alarms, budgeted, cohort, vehicles, its_alarms] = words;
    let mut table = Table::new(&[monitor, alarms, budgeted, cohort, vehicles, its_alarms, console.word(Word::ByShare)]);
    for one in &report.monitors {
        let of = |text: &dyn Fn(&Cohort) -> String| one.cohort.as_ref().map(text).unwrap_or_default();
        table.row([
            one.monitor.clone(),
            count(one.alarms),
            format!("{:.1}", one.budgeted),
            of(&|cohort| format!("{} {}", cohort.attribute, cohort.value)),
            of(&|cohort| count(cohort.vehicles)),
            of(&|cohort| count(cohort.alarms)),
            of(&|cohort| format!("{:.1}", cohort.expected)),
        ]);
    }
    table.text()
}

/// The largest counts to expect, as lines.
pub fn counts(report: &SimulateReport, console: &Console) -> String {
    let days = report.counts.first().map_or(0, |count| count.days);
    let expected = format!("{} {days} d", console.word(Word::ExpectedWithin));
    let headings = [console.word(Word::Group), console.word(Word::FailureMode), &expected, "5 %", "95 %"];
    let mut table = Table::new(&headings);
    for one in &report.counts {
        table.row([
            one.group.clone(),
            one.failure_mode.clone(),
            format!("{:.1}", one.expected),
            one.p05.to_string(),
            one.p95.to_string(),
        ]);
    }
    table.text()
}

/// What the scenario changes most, as lines; the interval is that of the difference.
fn differences(report: &SimulateReport, console: &Console) -> String {
    let days = report.differences.first().map_or(0, |one| one.days);
    let expected = format!("{} {days} d", console.word(Word::ExpectedWithin));
    let [group, mode, scenario, difference] =
        [Word::Group, Word::FailureMode, Word::UnderScenario, Word::Difference].map(|word| console.word(word));
    let mut table = Table::new(&[group, mode, &expected, scenario, difference, "5 %", "95 %"]);
    for one in &report.differences {
        table.row([
            one.group.clone(),
            one.failure_mode.clone(),
            format!("{:.1}", one.expected),
            format!("{:.1}", one.expected_scenario),
            format!("{:+.1}", one.difference()),
            format!("{:+.1}", one.difference_p05),
            format!("{:+.1}", one.difference_p95),
        ]);
    }
    table.text()
}
