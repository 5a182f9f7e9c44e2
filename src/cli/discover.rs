//! `fleetwear discover`: conditions on pairs of channels under which more fails than the model says.

use std::path::PathBuf;

use super::account;
use super::args::{ComputeArgs, DataArgs, HostArgs, ModelArgs};
use super::console::Console;
use super::exit::{CliError, Exit};
use super::progress::with_progress;
use super::score::choice;
use super::table::{Table, count, seconds};
use super::values::AsOf;
use super::words::Word;
use crate::discover::findings::Finding;
use crate::discover::request::EVENT_WINDOW_DAYS;
use crate::engine::{self, DiscoverPlan, DiscoverReport};

/// Find conditions on two channels, for all vehicles or some, under which a failure mode is likelier than its model says
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What the search finds is looked at once more, code by code and within every zone and month. Where the 95 % interval of
its ratio then holds 1, it is left out: a warning names it, and the output and the manifest count it.

Examples:
  fleetwear discover --data fleet/ --model model.toml --mode motor_noise --out found/
  fleetwear discover --data fleet/ --model ev-passenger --mode motor_noise --without-interactions --out found/")]
pub struct DiscoverArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    /// The failure mode to look at
    #[arg(long, value_name = "ID")]
    pub mode: String,
    /// Folder to write; must be empty or not there
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Channels to look at [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub channels: Option<Vec<String>>,
    /// Attributes whose values to look at one by one [default: those with a dozen values or fewer]
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub attributes: Option<Vec<String>>,
    /// The attribute that names a vehicle's climate zone [default: climate_zone, where there is one]
    #[arg(long, value_name = "NAME")]
    pub zones: Option<String>,
    /// Report what chance gives at most this often in the whole search
    #[arg(long, default_value_t = 0.05, value_name = "P", value_parser = level)]
    pub level: f64,
    /// Searches of events drawn from the model that tell what chance gives
    #[arg(long, default_value_t = 999, value_name = "N", value_parser = clap::value_parser!(u32).range(19..=99_999))]
    pub replicates: u32,
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Search as if the model had no interactions: what it has must be found again
    #[arg(long)]
    pub without_interactions: bool,
    /// Write each finding as a line for a model file, too
    #[arg(long)]
    pub emit_model: bool,
    /// Replacements are on record since this day, although the histories begin later
    #[arg(long, value_name = "DATE", allow_hyphen_values = true)]
    pub events_since: Option<AsOf>,
    /// Original parts that were in use before the records: take their use to have been that of their first so many days
    #[arg(long, value_name = "DAYS", requires = "events_since", value_parser = clap::value_parser!(u32).range(1..100_000))]
    pub prior_use: Option<u32>,
    /// A failure on a day without use on record belongs to the nearest record within so many days, or is left out
    #[arg(long, default_value_t = EVENT_WINDOW_DAYS, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=365))]
    pub event_window: u32,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub host: HostArgs,
}

/// A chance: above 0 and at most 1.
fn level(text: &str) -> Result<f64, String> {
    let level: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if level > 0.0 && level <= 1.0 { Ok(level) } else { Err("a chance lies above 0 and is at most 1".to_owned()) }
}

pub fn run(args: DiscoverArgs, console: &Console) -> Result<Exit, CliError> {
    let max_bad = args.data.max_bad;
    let plan = plan(args)?;
    let report = with_progress(console, |control| engine::discover(&plan, control))?;
    if console.json() {
        console.data_json(&report.manifest);
    } else {
        console.data(&text(&report, console));
    }
    let unreadable: Vec<account::Unreadable> =
        report.unreadable.iter().map(|file| (file.path.as_path(), file.rows, file.problem.as_str())).collect();
    Ok(account::verdict(&(&report.account).into(), &report.manifest.table_rows, &unreadable, max_bad, console))
}

fn plan(args: DiscoverArgs) -> Result<DiscoverPlan, CliError> {
    let mut plan = DiscoverPlan::new(args.data.data, args.model.model, args.mode, args.out);
    plan.as_of_day = args.data.as_of.map(|day| day.0);
    plan.emit_model = args.emit_model;
    plan.backend = choice(&args.compute)?;
    plan.device = args.compute.device;
    plan.reading.threads = args.host.threads();
    plan.reading.memory_limit_bytes = args.host.memory_limit.0;
    plan.spill_folder = args.host.spill_folder();
    let request = &mut plan.request;
    request.channels = args.channels;
    request.attributes = args.attributes;
    request.zone = args.zones;
    request.level = args.level;
    request.replicates = args.replicates;
    request.seed = args.seed;
    request.without_interactions = args.without_interactions;
    request.events_since = args.events_since.map(|day| day.0);
    request.prior_use_days = args.prior_use.unwrap_or(0);
    request.event_window_days = args.event_window;
    Ok(plan)
}

fn text(report: &DiscoverReport, console: &Console) -> String {
    let mut summary = Table::new(&["", ""]);
    let mut line = |word: Word, value: String| summary.row([console.word(word).to_owned(), value]);
    line(Word::Output, report.out.display().to_string());
    line(Word::AsOf, report.as_of.clone());
    line(Word::Failures, count(report.events as u64));
    line(Word::Rectangles, count(report.rectangles));
    line(Word::ChanceOfAny, format!("{:.3}", report.p_value));
    line(Word::NotBorneOut, count(report.not_borne_out as u64));
    line(Word::ContentHash, report.content_hash.clone());
    line(Word::Total, seconds(report.seconds));
    let rows = account::rows(&(&report.account).into(), console);
    format!("{rows}\n{}\n{}{}", summary.lines(), findings(report, console), alone(report, console))
}

/// Why there is no finding.
fn nothing(report: &DiscoverReport) -> Word {
    if report.not_borne_out > 0 { Word::NothingBorneOut } else { Word::NothingFound }
}

/// What was found, or that nothing was.
fn findings(report: &DiscoverReport, console: &Console) -> String {
    if report.findings.is_empty() {
        return format!("{}\n", console.word(nothing(report)));
    }
    let words = [Word::Finding, Word::Ratio, Word::CrudeRatio, Word::Failures, Word::Expected];
    let words = words.map(|word| console.word(word));
    let mut table = Table::new(&[words[0], words[1], "95 %", words[2], words[3], words[4], "p"]);
    for one in &report.findings {
        table.row([
            one.sentence(),
            format!("{:.2}", one.ratio),
            format!("{:.2} … {:.2}", one.ratio_lower, one.ratio_upper),
            format!("{:.2}", one.crude_ratio),
            format!("{:.0}", one.observed),
            format!("{:.1}", one.expected),
            format!("{:.3}", one.p_value),
        ]);
    }
    table.text()
}

/// The findings in sentences.
pub(super) fn sentences(report: &DiscoverReport, mode: &str, console: &Console) -> String {
    if report.findings.is_empty() {
        return format!("{}\n", console.word(nothing(report)));
    }
    let sentence = |one: &Finding| {
        let [first, second] = one
            .conditions
            .clone()
            .map(|own| format!("{} {} {}", own.channel, own.text(), own.unit).trim_end().to_owned());
        let whom = one
            .attribute
            .as_ref()
            .map(|(name, value)| console.word(Word::FindingWhom).replace("{name}", name).replace("{value}", value));
        console
            .word(Word::FindingSentence)
            .replace("{mode}", mode)
            .replace("{ratio}", &format!("{:.1}", one.ratio))
            .replace("{lower}", &format!("{:.1}", one.ratio_lower))
            .replace("{upper}", &format!("{:.1}", one.ratio_upper))
            .replace("{first}", &first)
            .replace("{second}", &second)
            .replace("{whom}", &whom.unwrap_or_default())
            .replace("{p}", &format!("{:.3}", one.p_value))
            + "\n"
    };
    report.findings.iter().map(sentence).collect()
}

/// What single channels and attributes do alone.
fn alone(report: &DiscoverReport, console: &Console) -> String {
    if report.main_effects.is_empty() {
        return String::new();
    }
    let words = [Word::Alone, Word::Ratio, Word::Failures, Word::Expected].map(|word| console.word(word));
    let mut table = Table::new(&[words[0], words[1], "95 %", words[2], words[3], "p"]);
    for one in &report.main_effects {
        table.row([
            format!("{} {} {}", one.name, one.is, one.value),
            format!("{:.2}", one.ratio),
            format!("{:.2} … {:.2}", one.ratio_lower, one.ratio_upper),
            format!("{:.0}", one.observed),
            format!("{:.1}", one.expected),
            format!("{:.3}", one.p_value),
        ]);
    }
    format!("\n{}", table.text())
}
