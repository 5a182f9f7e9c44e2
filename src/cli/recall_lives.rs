//! `fleetwear recall --lifetimes`: the plan, and the forecast as tables.

use std::path::PathBuf;

use super::console::Console;
use super::exit::{CliError, Exit};
use super::fit::{LawArg, LifeColumnsArgs};
use super::fit_lives::{bad_rows, figures, rows};
use super::progress::with_progress;
use super::recall::RecallSharedArgs;
use super::table::{Table, count};
use super::words::Word;
use crate::recall::plan::{RecallLivesPlan, Resampling};
use crate::recall::recall_lives;
use crate::recall::report::{GroupForecast, Method, RecallLivesReport};

/// A table of lives.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "From a table of lives")]
pub struct RecallLivesArgs {
    /// A table of lives: CSV (UTF-8, GBK or UTF-16; apart by comma, semicolon or tab), xlsx or Parquet; the first row names
    /// the columns. Its survivors are the units at risk
    #[arg(long, value_name = "FILE")]
    pub lifetimes: Option<PathBuf>,
    #[command(flatten)]
    pub columns: LifeColumnsArgs,
    /// Column that splits the table: each of its values gets a law and a forecast of its own
    #[arg(long, value_name = "COLUMN", requires = "lifetimes", conflicts_with = "data")]
    pub by: Option<String>,
    /// How far to look ahead, in the unit of the table's ages
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "LENGTH,…",
        requires = "lifetimes",
        conflicts_with = "data",
        required_unless_present = "data"
    )]
    pub horizon: Vec<f64>,
    /// The law of life
    #[arg(long, value_enum, value_name = "LAW", requires = "lifetimes", conflicts_with = "data", default_value_t = LawArg::Weibull)]
    pub law: LawArg,
    /// Hold the Weibull shape at this value, known from elsewhere: for few failures, or none
    #[arg(long, value_name = "β", requires = "lifetimes", conflicts_with = "data")]
    pub shape: Option<f64>,
    /// How samples are drawn that show how far off the fitted law may be [default: from the law; with random weights of the
    /// lives where fewer than five failed, or where failures are known to intervals]
    #[arg(long, value_enum, value_name = "METHOD", requires = "lifetimes", conflicts_with = "data")]
    pub method: Option<MethodArg>,
    /// Samples drawn
    #[arg(long, default_value_t = 4_000, value_name = "N", requires = "lifetimes", conflicts_with = "data")]
    pub replicates: usize,
    /// Show how often the bounds cover, by finding them anew in so many tables drawn from the fitted law
    #[arg(long, default_value_t = 0, value_name = "TABLES", requires = "lifetimes", conflicts_with = "data")]
    pub nested: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum MethodArg {
    Parametric,
    FractionalWeights,
}

pub fn run(args: RecallLivesArgs, shared: RecallSharedArgs, console: &Console) -> Result<Exit, CliError> {
    let max_bad = shared.max_bad;
    let plan = plan(args, shared);
    let report = with_progress(console, |control| recall_lives(&plan, control))?;
    if console.json() {
        console.data_json(&report);
    } else {
        console.data(&text(&report, console));
    }
    if let Some(out) = &plan.table.out {
        console.note(&format!("{}: {}", console.word(Word::Output), out.display()));
    }
    Ok(bad_rows(report.rows_in, &report.set_aside, max_bad, console))
}

fn plan(args: RecallLivesArgs, shared: RecallSharedArgs) -> RecallLivesPlan {
    let mut plan = RecallLivesPlan::new(args.lifetimes.unwrap_or_default(), args.horizon);
    args.columns.settle(&mut plan.table);
    plan.table.names.by = args.by;
    plan.table.laws = vec![args.law.into()];
    plan.table.shape = args.shape;
    plan.table.out = shared.out;
    plan.confidence = shared.confidence / 100.0;
    plan.resampling = args.method.map(|method| match method {
        MethodArg::Parametric => Resampling::Parametric,
        MethodArg::FractionalWeights => Resampling::FractionalWeights,
    });
    plan.replicates = args.replicates;
    plan.nested = args.nested;
    plan.seed = shared.seed;
    plan
}

fn text(report: &RecallLivesReport, console: &Console) -> String {
    let mut text = rows(report.rows_in, report.rows_used, &report.set_aside, console);
    for group in &report.groups {
        text.push('\n');
        text.push_str(&group_text(report, group, console));
    }
    text
}

fn group_text(report: &RecallLivesReport, group: &GroupForecast, console: &Console) -> String {
    let mut facts = Table::new(&["", ""]);
    let mut fact = |word: Word, value: String| facts.row([console.word(word).to_owned(), value]);
    fact(Word::Lives, count(group.lives as u64));
    fact(Word::Failures, count(group.failures as u64));
    fact(Word::AtRisk, count(group.at_risk as u64));
    fact(Word::Law, law(group));
    fact(Word::Method, method(&group.method));
    let heading = if group.group.is_empty() { console.word(Word::AnyFailure) } else { group.group.as_str() };
    let mut text = format!("── {heading}\n{}\n{}", facts.lines(), bounds(report, group, console));
    if group.horizons.iter().any(|one| one.tails.is_some()) {
        text.push('\n');
        text.push_str(&tails(report, group, console));
    }
    if group.horizons.iter().any(|one| one.nested.is_some()) {
        text.push('\n');
        text.push_str(&nested(report, group, console));
    }
    text.extend(report.notes.iter().chain(&group.notes).map(|note| format!("! {note}\n")));
    text
}

fn law(group: &GroupForecast) -> String {
    let mut text = group.law.name().to_owned();
    if let Some(shape) = group.shape.filter(|_| !group.law.is_normal()) {
        text.push_str(&format!(", β {}", figures(shape)));
    }
    if let Some(life) = group.characteristic_life.filter(|_| !group.law.is_normal()) {
        text.push_str(&format!(", η {}", figures(life)));
    }
    text
}

fn method(method: &Method) -> String {
    match method {
        Method::Calibrated { replicates, drawn_again, .. } if *drawn_again > 0 => {
            format!("{}; {replicates} samples, {drawn_again} drawn again", method.text())
        }
        Method::Calibrated { replicates, .. } => format!("{}; {replicates} samples", method.text()),
        _ => method.text().to_owned(),
    }
}

/// The interval of both bounds has this confidence.
fn interval_percent(report: &RecallLivesReport) -> String {
    figures(100.0 * (2.0 * report.confidence - 1.0))
}

/// Ahead, expected, and the interval.
fn bounds(report: &RecallLivesReport, group: &GroupForecast, console: &Console) -> String {
    let within = format!("{} ({})", console.word(Word::Horizon), report.age_unit);
    let one_sided = format!("{} {} %", console.word(Word::OneSided), figures(100.0 * report.confidence));
    let lower = format!("≥ {one_sided}");
    let upper = format!("≤ {one_sided}");
    let interval = format!("{} %", interval_percent(report));
    let mut table = Table::new(&[&within, console.word(Word::Expected), &lower, &upper, &interval]);
    for one in &group.horizons {
        table.row([
            figures(one.horizon),
            match (one.expected, one.expected_upper) {
                (None, Some(most)) => format!("≤ {}", figures(most)),
                (expected, _) => expected.map_or_else(|| "–".to_owned(), figures),
            },
            count(one.lower.max(0) as u64),
            count(one.upper.max(0) as u64),
            format!("{} … {}", count(one.lower.max(0) as u64), count(one.upper.max(0) as u64)),
        ]);
    }
    table.text()
}

/// Each tail by itself: what the plug-in bound covers, and what the calibrated one does.
fn tails(report: &RecallLivesReport, group: &GroupForecast, console: &Console) -> String {
    let words = [Word::Tail, Word::PlugIn, Word::Covers, Word::Calibrated, Word::Covers];
    let mut headings = vec![report.age_unit.as_str()];
    headings.extend(words.map(|word| console.word(word)));
    let mut table = Table::new(&headings);
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    for one in &group.horizons {
        for (side, tail) in one.tails.iter().flat_map(|tails| [("≥", tails.lower), ("≤", tails.upper)]) {
            table.row([
                figures(one.horizon),
                side.to_owned(),
                tail.plug_in.to_string(),
                percent(tail.plug_in_cover),
                tail.bound.to_string(),
                if tail.calibrated { percent(tail.cover) } else { format!("{} !", percent(tail.cover)) },
            ]);
        }
    }
    table.text()
}

fn nested(report: &RecallLivesReport, group: &GroupForecast, console: &Console) -> String {
    let interval = format!("{} %", interval_percent(report));
    let headings = [report.age_unit.as_str(), console.word(Word::NestedCover), "≥", "≤", &interval, "±"];
    let mut table = Table::new(&headings);
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    for (horizon, one) in group.horizons.iter().filter_map(|one| one.nested.map(|nested| (one.horizon, nested))) {
        let mut line = |what: Word, covers: [f64; 3], error: String| {
            let [lower, upper, both] = covers.map(percent);
            table.row([figures(horizon), console.word(what).to_owned(), lower, upper, both, error]);
        };
        line(Word::PlugIn, [one.plug_in_lower, one.plug_in_upper, one.plug_in_interval], String::new());
        line(Word::Calibrated, [one.lower, one.upper, one.interval], percent(one.interval_standard_error));
    }
    table.text()
}
