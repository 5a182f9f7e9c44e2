//! `fleetwear verify`: one content hash for every way of computing, or the first place where two differ.

use serde_json::json;

use super::account;
use super::args::VerifyArgs;
use super::console::Console;
use super::exit::{CliError, Exit};
use super::progress::with_progress;
use super::score::choice;
use super::table::{Table, count, seconds};
use super::words::Word;
use crate::engine::verify::{VerifyPlan, VerifyReport, verify};

pub fn run(args: VerifyArgs, console: &Console) -> Result<Exit, CliError> {
    let plan = VerifyPlan {
        data: args.data,
        model: args.model.model,
        backend: choice(&args.compute)?,
        device: args.compute.device,
        threads: args.host.threads(),
        memory_limit_bytes: args.host.memory_limit.0,
        spill_folder: args.host.spill_folder(),
        as_of_day: args.as_of.map(|day| day.0),
    };
    let report = with_progress(console, |control| verify(&plan, control))?;
    if console.json() {
        console.data_json(&json(&report));
    } else {
        console.data(&text(&report, console));
    }
    Ok(exit(&report, console))
}

/// A difference before files that were left out: both are said.
fn exit(report: &VerifyReport, console: &Console) -> Exit {
    let left_out = account::left_out(&report.unreadable, console);
    if report.agrees() { left_out } else { Exit::Verification }
}

fn text(report: &VerifyReport, console: &Console) -> String {
    let headings = [Word::Run, Word::Device, Word::ContentHash, Word::Time].map(|word| console.word(word));
    let mut runs = Table::new(&headings);
    for run in report.runs.iter().chain(&report.futures) {
        // Enough to tell two apart; the whole hash stands below.
        let hash: String = run.content_hash.chars().take(16).collect();
        runs.row([run.name.to_owned(), run.device.clone(), hash, seconds(run.seconds)]);
    }
    let mut text = runs.text();
    for (name, reason) in &report.skipped {
        text += &format!("{}: {name}: {reason}\n", console.word(Word::NotRun));
    }
    for late in &report.late {
        text += &format!("{}: {late}\n", console.word(Word::CameLate));
    }
    let size = format!(
        "{} {}, {} {}",
        count(report.vehicles),
        console.word(Word::Vehicles),
        count(report.rows),
        console.word(Word::Scores)
    );
    match &report.difference {
        None if !report.agrees() => {
            text += &format!("\n{}: {size}\n", console.word(Word::Differs));
            for run in report.runs.iter().chain(&report.futures) {
                text += &format!("{}  {}\n", run.content_hash, run.name);
            }
        }
        None => {
            let hash = report.runs.first().map_or("", |run| run.content_hash.as_str());
            text += &format!("\n{}: {hash}\n{size}\n", console.word(Word::Agrees));
        }
        Some(difference) => {
            let (first, second) = &difference.runs;
            let mut table = Table::new(&["", ""]);
            let mut line = |word: Word, value: &str| table.row([console.word(word).to_owned(), value.to_owned()]);
            line(Word::Vehicle, &difference.vehicle);
            line(Word::FailureMode, &difference.failure_mode);
            line(Word::Position, &difference.position);
            line(Word::Column, &difference.column);
            table.row([first.clone(), difference.values.0.clone()]);
            table.row([second.clone(), difference.values.1.clone()]);
            text += &format!("\n{}: {size}\n{}", console.word(Word::Differs), table.lines());
        }
    }
    text
}

fn json(report: &VerifyReport) -> serde_json::Value {
    let difference = report.difference.as_ref().map(|difference| {
        json!({
            "runs": [difference.runs.0, difference.runs.1],
            "vehicle": difference.vehicle,
            "failure_mode": difference.failure_mode,
            "position": difference.position,
            "column": difference.column,
            "values": [difference.values.0, difference.values.1],
        })
    });
    let runs: Vec<_> = report
        .runs
        .iter()
        .chain(&report.futures)
        .map(|run| {
            json!({ "name": run.name, "device": run.device, "content_hash": run.content_hash, "seconds": run.seconds })
        })
        .collect();
    let skipped: Vec<_> =
        report.skipped.iter().map(|(name, reason)| json!({ "name": name, "reason": reason })).collect();
    json!({
        "agrees": report.agrees(),
        "vehicles": report.vehicles,
        "rows": report.rows,
        "runs": runs,
        "skipped": skipped,
        "late": report.late,
        "unreadable": report.unreadable,
        "difference": difference,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Language;
    use crate::engine::verify::{Difference, VerifyRun};

    fn console() -> Console {
        Console::new(false, true, Language::En)
    }

    fn run(name: &'static str, content_hash: &str) -> VerifyRun {
        VerifyRun { name, device: "cpu".to_owned(), content_hash: content_hash.to_owned(), seconds: 1.0 }
    }

    fn report(runs: Vec<VerifyRun>, difference: Option<Difference>) -> VerifyReport {
        let (skipped, late, futures) = (Vec::new(), Vec::new(), Vec::new());
        VerifyReport { vehicles: 3, rows: 9, runs, skipped, late, difference, futures, unreadable: Vec::new() }
    }

    #[test]
    fn a_difference_names_its_place_and_ends_with_9() {
        let difference = Difference {
            runs: ("cpu, one thread".to_owned(), "gpu".to_owned()),
            vehicle: "V-17".to_owned(),
            failure_mode: "motor_noise".to_owned(),
            position: "rear".to_owned(),
            column: "clock_q48".to_owned(),
            values: ("281474".to_owned(), "281475".to_owned()),
        };
        let report = report(vec![run("cpu, one thread", "aa"), run("gpu", "ab")], Some(difference));
        assert_eq!(exit(&report, &console()) as i32, 9);
        let (text, json) = (text(&report, &console()), json(&report).to_string());
        for word in ["V-17", "motor_noise", "rear", "clock_q48", "gpu", "281474", "281475"] {
            assert!(text.contains(word) && json.contains(word), "no {word:?} in {text} or {json}");
        }
    }

    /// No row differs and the hashes do: the report must not read as agreement.
    #[test]
    fn hashes_that_differ_without_a_row_are_all_shown() {
        let report = report(vec![run("cpu, one thread", "aa"), run("gpu", "ab")], None);
        let text = text(&report, &console());
        assert!(
            exit(&report, &console()) == Exit::Verification && text.contains("aa  cpu") && text.contains("ab  gpu"),
            "{text}"
        );
        assert!(!text.contains(console().word(Word::Agrees)), "{text}");
    }
}
