//! `fleetwear recall --data`: the plan, and what came of a cohort as tables.

use std::path::PathBuf;

use super::account;
use super::args::{ComputeArgs, DeviceFailureArgs, HostArgs};
use super::console::Console;
use super::exit::{CliError, Exit};
use super::fit_lives::figures;
use super::progress::with_progress;
use super::recall::RecallSharedArgs;
use super::score::choice;
use super::simulate::CountArg;
use super::table::{Table, count, seconds};
use super::values::AsOf;
use super::words::Word;
use crate::engine::{self, RecallPlan, RecallReport};
use crate::recall::cohort::Asked;
use crate::recall::fleet_report::Method;
use crate::recall::money::{Outcome, Spread};
use crate::recall::page::{PageLanguage, small};

/// Boundaries that are printed.
const BOUNDARIES: usize = 6;

/// A cohort of vehicles.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "From histories and work orders")]
pub struct RecallFleetArgs {
    /// The data dictionary `dataset.toml`, or the folder that holds it
    #[arg(long, value_name = "FILE|FOLDER", requires_all = ["model", "cohort"], conflicts_with = "LifeColumnsArgs")]
    pub data: Option<PathBuf>,
    /// A model file, best one that `fit` wrote, whose covariance says how well its parameters are known; or the name of a
    /// shipped model
    #[arg(long, value_name = "FILE|NAME", requires = "data", conflicts_with = "lifetimes")]
    pub model: Option<String>,
    /// Whom the recall is about: a condition on attributes and build_date, sale_date, end_date (==, !=, <, <=, >, >=, in,
    /// and, or, not, parentheses), or @FILE with a list of ids (CSV, xlsx or Parquet)
    #[arg(long, value_name = "CONDITION|@FILE", requires = "data", conflicts_with = "lifetimes")]
    pub cohort: Option<String>,
    /// What the recall is about: a failure mode, a monitor or a component of the model. Its component's alarms and failures
    /// make a vehicle suspect [default: everything is told, nobody is suspect]
    #[arg(long, value_name = "ID", requires = "data", conflicts_with = "lifetimes")]
    pub defect: Option<String>,
    /// Days within which failures are counted: one to three numbers
    #[arg(long, value_delimiter = ',', value_name = "DAYS,…", default_values_t = [90, 180, 365], requires = "data", conflicts_with = "lifetimes")]
    pub horizon_days: Vec<u32>,
    /// What failures and measures cost, in your money: see datasets/examples/economics.toml
    #[arg(long, value_name = "FILE", requires = "data", conflicts_with = "lifetimes")]
    pub economics: Option<PathBuf>,
    /// Stand on this day: leave out what is dated later [default: the latest record]
    #[arg(long, value_name = "DATE", allow_hyphen_values = true, requires = "data", conflicts_with = "lifetimes")]
    pub as_of: Option<AsOf>,
    /// Futures to follow
    #[arg(long, default_value_t = 128, value_name = "N", requires = "data", conflicts_with = "lifetimes")]
    pub paths: usize,
    /// What is counted: failures by the day a part fails, or by the day that is reported
    #[arg(
        long,
        default_value = "failures",
        value_name = "WHAT",
        requires = "data",
        conflicts_with = "lifetimes",
        id = "count_kind"
    )]
    pub count_by: CountArg,
    /// The attribute that names a vehicle's climate zone [default: climate_zone, where there is one]
    #[arg(long, value_name = "NAME", requires = "data", conflicts_with = "lifetimes")]
    pub zones: Option<String>,
    /// Do not run the model's monitors: nobody is suspect by its alarms
    #[arg(long, requires = "data", conflicts_with = "lifetimes")]
    pub no_monitors: bool,
    /// Keep the packed histories here, as simulate does
    #[arg(long, value_name = "FOLDER", requires = "data", conflicts_with = "lifetimes")]
    pub state: Option<PathBuf>,
    #[command(flatten)]
    pub failure: DeviceFailureArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub host: HostArgs,
}

pub fn run(args: RecallFleetArgs, shared: RecallSharedArgs, console: &Console) -> Result<Exit, CliError> {
    let max_bad = shared.max_bad;
    let plan = plan(args, shared, console)?;
    let report = with_progress(console, |control| engine::recall(&plan, control))?;
    if console.json() {
        console.data_json(&report.cohort);
    } else {
        let account = account::text(&(&report.account).into(), console);
        let facts = [summary(&report, console), defects(&report, console), forecasts(&report, console)];
        let parts = facts.into_iter().chain([boundaries(&report, console), money(&report, console)]);
        let filled = parts.filter(|text| !text.is_empty());
        let parts: Vec<String> = std::iter::once(account).chain(filled).collect();
        console.data(&parts.join("\n"));
    }
    let unreadable: Vec<account::Unreadable> =
        report.unreadable.iter().map(|file| (file.path.as_path(), file.rows, file.problem.as_str())).collect();
    Ok(account::verdict(&(&report.account).into(), &report.manifest.table_rows, &unreadable, max_bad, console))
}

/// Who is affected and suspect, and where such vehicles are to be found.
pub fn who(report: &RecallReport, console: &Console) -> String {
    [summary(report, console), defects(report, console), boundaries(report, console)].join("\n")
}

fn plan(args: RecallFleetArgs, shared: RecallSharedArgs, console: &Console) -> Result<RecallPlan, CliError> {
    let cohort = Asked::of(&args.cohort.unwrap_or_default());
    let mut plan = RecallPlan::new(
        args.data.unwrap_or_default(),
        args.model.unwrap_or_default(),
        shared.out.unwrap_or_default(),
        cohort,
    );
    plan.horizons_days = args.horizon_days;
    plan.confidence = shared.confidence / 100.0;
    plan.defect = args.defect;
    plan.economics = args.economics;
    plan.language = if console.is_chinese() { PageLanguage::Zh } else { PageLanguage::En };
    let simulation = &mut plan.simulation;
    simulation.backend = choice(&args.compute)?;
    simulation.device = args.compute.device;
    simulation.device_share = args.failure.share();
    simulation.fallback = !args.failure.no_fallback;
    simulation.threads = args.host.threads();
    simulation.memory_limit_bytes = args.host.memory_limit.0;
    simulation.spill_folder = args.host.spill_folder();
    simulation.as_of_day = args.as_of.map(|day| day.0);
    simulation.paths = args.paths;
    simulation.zones = args.zones;
    simulation.seed = shared.seed;
    simulation.count = args.count_by.into();
    simulation.monitors = !args.no_monitors;
    simulation.state = args.state;
    Ok(plan)
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn summary(report: &RecallReport, console: &Console) -> String {
    let cohort = &report.cohort;
    let mut summary = Table::new(&["", ""]);
    let mut line = |word: Word, value: String| summary.row([console.word(word).to_owned(), value]);
    line(Word::Output, report.out.display().to_string());
    line(Word::RecallCohort, cohort.cohort.clone());
    line(Word::Vehicles, count(cohort.vehicles));
    line(Word::Affected, format!("{} ({})", count(cohort.affected), percent(cohort.share_of_fleet)));
    if let Some(suspects) = &cohort.suspects {
        let interval = format!("{} … {}", percent(suspects.lower), percent(suspects.upper));
        line(Word::Suspects, format!("{} ({}; {interval})", count(suspects.vehicles), percent(suspects.share)));
    }
    if let Some(failed) = cohort.failed {
        line(Word::FailedAlready, count(failed));
    }
    if cohort.undecided > 0 {
        line(Word::Undecided, count(cohort.undecided));
    }
    if !cohort.unknown.is_empty() {
        line(Word::UnknownIds, count(cohort.unknown.len() as u64));
    }
    line(Word::AsOf, cohort.as_of.clone());
    line(Word::Device, format!("{} ({})", report.device, report.device_reason));
    line(Word::ContentHash, report.content_hash.clone());
    line(Word::Total, seconds(report.seconds));
    summary.lines()
}

fn defects(report: &RecallReport, console: &Console) -> String {
    let interval = format!("{:.0} %", 100.0 * (2.0 * report.cohort.confidence - 1.0));
    let heading = |word: Word| console.word(word);
    let headings =
        [heading(Word::Defect), "", heading(Word::Vehicles), heading(Word::Share), &interval, heading(Word::Others)];
    let mut table = Table::new(&headings);
    for one in &report.cohort.defects {
        table.row([
            one.name.clone(),
            one.shows_as.to_owned(),
            count(one.inside.vehicles),
            percent(one.inside.share),
            format!("{} … {}", percent(one.inside.lower), percent(one.inside.upper)),
            percent(one.share_of_others),
        ]);
    }
    table.text()
}

fn forecasts(report: &RecallReport, console: &Console) -> String {
    let heading = |word: Word| console.word(word);
    if report.cohort.forecasts.is_empty() {
        return String::new();
    }
    let one_sided = format!("{} %", figures(100.0 * report.cohort.confidence));
    let (lower, upper) = (format!("≥ {one_sided}"), format!("≤ {one_sided}"));
    let headings = [
        heading(Word::FailureMode),
        heading(Word::Days),
        heading(Word::Expected),
        &lower,
        heading(Word::Covers),
        &upper,
        heading(Word::Covers),
        heading(Word::PlugIn),
    ];
    let mut table = Table::new(&headings);
    let method = report.cohort.method;
    for one in &report.cohort.forecasts {
        let tails = one.bounds;
        // Bounds of parameters that are taken as known cover nobody knows what.
        let cover = |cover: f64| if method == Method::Calibrated { percent(cover) } else { "–".to_owned() };
        table.row([
            one.failure_mode.clone(),
            one.horizon_days.to_string(),
            format!("{:.1}", one.expected),
            one.lower.to_string(),
            cover(tails.lower.cover),
            one.upper.to_string(),
            cover(tails.upper.cover),
            format!("{} … {}", tails.lower.plug_in, tails.upper.plug_in),
        ]);
    }
    let told = if console.is_chinese() { method.chinese() } else { method.english() };
    format!("{}{}: {told}\n", table.text(), console.word(Word::Method))
}

fn boundaries(report: &RecallReport, console: &Console) -> String {
    if report.cohort.boundaries.is_empty() {
        return String::new();
    }
    let heading = |word: Word| console.word(word);
    let headings = [
        heading(Word::Defect),
        heading(Word::Boundary),
        "",
        heading(Word::Vehicles),
        heading(Word::Marked),
        heading(Word::ToBeExpected),
        "p",
    ];
    let mut table = Table::new(&headings);
    for one in report.cohort.boundaries.iter().take(BOUNDARIES) {
        table.row([
            one.defect.clone(),
            one.attribute.clone(),
            one.value.clone().unwrap_or_default(),
            count(one.vehicles),
            count(one.marked),
            format!("{:.1}", one.expected),
            small(one.p),
        ]);
    }
    table.text()
}

fn money(report: &RecallReport, console: &Console) -> String {
    let Some(money) = &report.cohort.money else { return String::new() };
    let heading = |word: Word| console.word(word);
    let mut text = String::new();
    if money.example {
        text.push_str(&format!("! {}\n", heading(Word::ExampleFigures)));
    }
    if !money.outcomes.is_empty() {
        let cost = format!("{}, {}", heading(Word::Cost), money.currency);
        let headings = [
            heading(Word::Measure),
            &cost,
            heading(Word::NetValue),
            "P(> 0)",
            heading(Word::BenefitOverCost),
            heading(Word::NetRoi),
            heading(Word::Payback),
        ];
        let mut table = Table::new(&headings);
        for one in &money.outcomes {
            table.row(outcome(one));
        }
        text.push_str(&table.text());
    }
    if !money.programmes.is_empty() {
        let headings = [
            heading(Word::Programme),
            heading(Word::Cost),
            heading(Word::BenefitOverCost),
            heading(Word::NetRoi),
            heading(Word::PaybackMonths),
        ];
        let mut table = Table::new(&headings);
        for one in &money.programmes {
            table.row([
                one.name.clone(),
                format!("{:.0}", one.cost),
                format!("{:.2}", one.benefit_over_cost),
                percent(one.net_roi),
                one.payback_months.map_or_else(|| "–".to_owned(), |months| format!("{months:.1}")),
            ]);
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&table.text());
    }
    text
}

fn outcome(one: &Outcome) -> [String; 7] {
    let spread =
        |of: Spread, digits: usize| format!("{:.digits$} ({:.digits$} … {:.digits$})", of.mean, of.p05, of.p95);
    let or_none = |of: Option<Spread>, digits: usize| of.map_or_else(|| "–".to_owned(), |of| spread(of, digits));
    [
        one.measure.name().to_owned(),
        spread(one.cost, 0),
        spread(one.net_value, 0),
        percent(one.positive),
        or_none(one.benefit_over_cost, 2),
        or_none(one.net_roi, 2),
        or_none(one.payback, 0),
    ]
}
