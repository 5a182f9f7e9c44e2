//! `fleetwear check`: reads a dataset and accounts for every row, without a model.

use super::account;
use super::args::CheckArgs;
use super::console::Console;
use super::exit::{CliError, Exit};
use super::progress::with_progress;
use super::table::{Table, count};
use super::values::MaxBad;
use super::words::Word;
use crate::fleet::check::{CheckPlan, CheckReport, check};
use crate::fleet::dataset::Dataset;

pub fn run(args: CheckArgs, console: &Console) -> Result<Exit, CliError> {
    let plan = CheckPlan {
        threads: args.host.threads(),
        memory_limit_bytes: args.host.memory_limit.0,
        as_of_day: args.data.as_of.map(|day| day.0),
    };
    let report = with_progress(console, |control| {
        let mut dataset = Dataset::open(&args.data.data, plan.threads, control)?;
        dataset.spill_to(args.host.spill_folder().as_deref());
        check(&dataset, &plan, control)
    })?;
    if console.json() {
        console.data_json(&report);
    } else {
        console.data(&text(&report, console));
    }
    Ok(verdict(&report, args.data.max_bad, console))
}

/// Whether the dataset has more bad rows than allowed.
pub fn verdict(report: &CheckReport, max_bad: MaxBad, console: &Console) -> Exit {
    let unreadable: Vec<account::Unreadable> =
        report.unreadable_files.iter().map(|file| (file.path.as_path(), file.rows, file.problem.as_str())).collect();
    let tables: Vec<_> = report.tables.rows().chain(report.joins.iter().map(|join| join.rows())).collect();
    account::verdict(&report.rows, &tables, &unreadable, max_bad, console)
}

/// What was read and where its rows went, as lines.
pub fn summary(report: &CheckReport, console: &Console) -> String {
    let mut summary = Table::new(&["", ""]);
    let mut line = |word: Word, value: String| summary.row([console.word(word).to_owned(), value]);
    line(Word::Dictionary, report.dictionary.display().to_string());
    line(Word::Order, report.scan.to_owned());
    line(Word::Vehicles, count(report.vehicles_with_records));
    if report.known_without_records > 0 {
        line(Word::WithoutRecords, count(report.known_without_records));
    }
    if let (Some(first), Some(last)) = (report.first_day, report.last_day) {
        line(Word::Days, format!("{} … {}", day(report, first), day(report, last)));
    }
    format!("{}\n{}", summary.lines(), account::rows(&report.rows, console))
}

/// The report as lines.
fn text(report: &CheckReport, console: &Console) -> String {
    let headings = [Word::Channel, Word::Unit, Word::Lowest, Word::Mean, Word::Highest, Word::NotAvailable];
    let mut channels = Table::new(&headings.map(|word| console.word(word)));
    for channel in &report.channels {
        let value = |value: Option<f64>| value.map(|value| format!("{value:.4}")).unwrap_or_default();
        channels.row([
            channel.name.clone(),
            channel.unit.clone(),
            value(channel.lowest),
            value(channel.mean),
            value(channel.highest),
            format!("{:.3} %", 100.0 * channel.not_available_share),
        ]);
    }
    let mut text = format!("{}\n{}", summary(report, console), channels.text());
    if let Some(vehicles) = &report.tables.vehicles {
        text += &tally(console.word(Word::VehiclesTable), vehicles);
    }
    if let Some(events) = &report.tables.events {
        text += &tally(console.word(Word::EventsTable), events);
    }
    for join in &report.joins {
        text += &tally(console.word(Word::SideTable), join);
    }
    text
}

/// A record of counts as lines: its fields' names are the words. Zeros say nothing and are left out.
fn tally(title: &str, counts: &impl serde::Serialize) -> String {
    let mut table = Table::new(&[title, ""]);
    let mut add = |prefix: &str, name: &str, value: &serde_json::Value| match value {
        serde_json::Value::Number(number) if number.as_u64() == Some(0) => {}
        serde_json::Value::Number(number) => {
            let text = number.as_u64().map_or_else(|| number.to_string(), count);
            table.row([format!("{prefix}{name}"), text]);
        }
        serde_json::Value::String(text) => table.row([format!("{prefix}{name}"), text.clone()]),
        _ => {}
    };
    if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(counts) {
        for (name, value) in &fields {
            match value {
                serde_json::Value::Object(inner) => {
                    for (reason, value) in inner {
                        add(&format!("{name}: "), reason, value);
                    }
                }
                _ => add("", name, value),
            }
        }
    }
    format!("\n{}", table.text())
}

fn day(report: &CheckReport, day: i32) -> String {
    let date = chrono::NaiveDate::default().checked_add_signed(chrono::Duration::days(i64::from(day)));
    match date {
        Some(date) if !report.time_axis.starts_with("integer") => date.to_string(),
        _ => day.to_string(),
    }
}
