//! `fleetwear fit --lifetimes`: the plan, and the report as tables.

use super::console::Console;
use super::exit::{CliError, Exit};
use super::fit::LivesArgs;
use super::progress::with_progress;
use super::table::{Table, count};
use super::values::MaxBad;
use super::words::Word;
use crate::fit::lives::estimate::Parameter;
use crate::fit::lives::plan::Layout;
use crate::fit::lives::report::{GroupReport, LawReport, LivesReport, MeanReport, SetAsideRows};
use crate::fit::lives::{LivesPlan, fit_lives};

/// Steps of a curve that are printed; `--out` writes all.
const STEPS_SHOWN: usize = 12;

pub fn run(args: LivesArgs, console: &Console) -> Result<Exit, CliError> {
    let max_bad = args.max_bad;
    let plan = plan(args);
    let report = with_progress(console, |control| fit_lives(&plan, control))?;
    if console.json() {
        console.data_json(&report);
    } else {
        console.data(&text(&report, console));
    }
    if let Some(out) = &plan.out {
        console.note(&format!("{}: {}", console.word(Word::Output), out.display()));
    }
    Ok(verdict(&report, max_bad, console))
}

fn plan(args: LivesArgs) -> LivesPlan {
    let mut plan = LivesPlan::new(args.lifetimes.unwrap_or_default());
    plan.layout = match (args.nevada, &args.unit) {
        (true, _) => Layout::Nevada,
        (_, Some(_)) => Layout::Recurrent,
        _ => Layout::Lives,
    };
    args.columns.settle(&mut plan);
    plan.names.mode = args.mode;
    plan.names.by = args.by;
    plan.unit = args.unit;
    plan.cost = args.cost;
    plan.laws = args.law.into_iter().map(Into::into).collect();
    plan.shape = args.shape;
    plan.confidence = args.confidence / 100.0;
    plan.percents = args.percent;
    plan.ages = args.at;
    plan.out = args.out;
    plan
}

fn text(report: &LivesReport, console: &Console) -> String {
    let mut text = columns(report, console);
    text.push('\n');
    text.push_str(&rows(report.rows_in, report.rows_used, &report.set_aside, console));
    for group in &report.groups {
        text.push('\n');
        text.push_str(&group_text(report, group, console));
    }
    if !report.between_groups.is_empty() {
        text.push('\n');
        text.push_str(&format!("── {}\n", console.word(Word::GroupsAlike)));
        let mut table = Table::new(&[console.word(Word::Law), "χ²", "", "p"]);
        for test in &report.between_groups {
            let degrees = format!("({})", test.degrees);
            table.row([test.law.name().to_owned(), figures(test.likelihood_ratio), degrees, figures(test.p)]);
        }
        text.push_str(&table.text());
    }
    for group in &report.mean_cumulative {
        text.push('\n');
        text.push_str(&mean_text(report, group, console));
    }
    text
}

/// Which column was taken for what.
fn columns(report: &LivesReport, console: &Console) -> String {
    let mut table = Table::new(&[console.word(Word::Column), "", ""]);
    for column in &report.columns {
        let guessed = if column.guessed { console.word(Word::ByItsName) } else { "" };
        table.row([column.option.to_owned(), column.column.clone(), guessed.to_owned()]);
    }
    table.text()
}

/// Where the rows of a table of lives went.
pub fn rows(rows_in: u64, used: u64, set_aside: &[SetAsideRows], console: &Console) -> String {
    let mut rows = Table::new(&[console.word(Word::Rows), "", ""]);
    let mut line = |what: Word, reason: &str, number: u64| {
        rows.row([console.word(what).to_owned(), reason.to_owned(), count(number)]);
    };
    line(Word::RowsIn, "", rows_in);
    line(Word::Used, "", used);
    for SetAsideRows { reason, rows, first } in set_aside {
        line(Word::SetAside, &format!("{reason} ({} {first})", console.word(Word::FirstAt)), *rows);
    }
    rows.text()
}

fn group_text(report: &LivesReport, group: &GroupReport, console: &Console) -> String {
    let mut text = format!("── {}\n", heading(group, console));
    let mut facts = Table::new(&["", ""]);
    let mut fact = |word: Word, number: f64| {
        if number > 0.0 {
            facts.row([console.word(word).to_owned(), count(number as u64)]);
        }
    };
    fact(Word::Lives, group.lives);
    facts.row([console.word(Word::Failures).to_owned(), count(group.failures as u64)]);
    let mut fact = |word: Word, number: f64| {
        if number > 0.0 {
            facts.row([console.word(word).to_owned(), count(number as u64)]);
        }
    };
    fact(Word::WithinIntervals, group.interval_failures);
    fact(Word::LateEntries, group.late_entries);
    text.push_str(&facts.lines());
    text.push('\n');
    text.push_str(&estimates(report, group, console));
    text.push('\n');
    text.push_str(&likelihoods(group, console));
    if let Some(test) = &group.constant_hazard {
        text.push_str(&format!(
            "{}: χ² {} (1), p {}\n",
            console.word(Word::ConstantHazard),
            figures(test.likelihood_ratio),
            figures(test.p)
        ));
    }
    for joint in &group.joint {
        let ages: Vec<String> = joint.ages.iter().map(|(name, age)| format!("{name} {}", figures(*age))).collect();
        text.push_str(&format!(
            "{}, {}: {} {}, AIC {}; {}\n",
            console.word(Word::ModesTogether),
            joint.law.name(),
            console.word(Word::LogLikelihood),
            figures(joint.ln_likelihood),
            figures(joint.aic),
            ages.join(", ")
        ));
    }
    if !group.curve.steps.is_empty() {
        text.push('\n');
        text.push_str(&curve(report, group, console));
    }
    let of_laws = group.laws.iter().filter_map(|law| {
        let said = match law {
            LawReport::Fitted(fitted) if fitted.notes.is_empty() => return None,
            LawReport::Fitted(fitted) => fitted.notes.join("; "),
            LawReport::Bound(bound) => bound.note.clone(),
            LawReport::Refused(refused) => refused.reason.clone(),
        };
        Some(format!("{}: {said}", law.law().name()))
    });
    let notes: Vec<String> = of_laws.chain(group.notes.iter().cloned()).chain(group.curve.note.clone()).collect();
    if !notes.is_empty() {
        text.push('\n');
        text.extend(notes.iter().map(|note| format!("! {note}\n")));
    }
    text
}

fn heading(group: &GroupReport, console: &Console) -> String {
    let mode = group.mode.clone().unwrap_or_else(|| console.word(Word::AnyFailure).to_owned());
    if group.group.is_empty() { mode } else { format!("{} · {mode}", group.group) }
}

fn estimates(report: &LivesReport, group: &GroupReport, console: &Console) -> String {
    let [law, parameter, estimate, error, lower, upper] =
        [Word::Law, Word::Parameter, Word::Estimate, Word::StandardError, Word::Lower, Word::Upper]
            .map(|word| console.word(word));
    let lower = format!("{lower} {} %", figures(100.0 * report.confidence));
    let mut table = Table::new(&[law, parameter, estimate, error, &lower, upper]);
    for law in &group.laws {
        let mut row = |one: &Parameter| {
            // Where the likelihood was not profiled, Wald's interval stands in under its name.
            let wald = one.lower.is_none() && one.upper.is_none() && one.estimate.is_some();
            let end = |profiled: Option<f64>, wald_end: Option<f64>| match (profiled, wald_end) {
                _ if one.held => String::new(),
                (None, Some(end)) if wald => format!("{} (Wald)", figures(end)),
                (end, _) => end.map(figures).unwrap_or_else(|| "–".to_owned()),
            };
            let error = if one.held {
                console.word(Word::Held).to_owned()
            } else {
                one.standard_error.map(figures).unwrap_or_default()
            };
            table.row([
                law.law().name().to_owned(),
                one.name.clone(),
                one.estimate.map(figures).unwrap_or_else(|| "–".to_owned()),
                error,
                end(one.lower, one.wald_lower),
                end(one.upper, one.wald_upper),
            ]);
        };
        match law {
            LawReport::Fitted(fitted) => fitted.parameters.iter().chain(&fitted.shares_failed).for_each(&mut row),
            LawReport::Bound(bound) => bound.parameters.iter().chain(&bound.shares_failed).for_each(&mut row),
            LawReport::Refused(_) => {}
        }
    }
    table.text()
}

fn likelihoods(group: &GroupReport, console: &Console) -> String {
    let mut table = Table::new(&[console.word(Word::Law), console.word(Word::LogLikelihood), "AIC", "AICc", "BIC"]);
    for fitted in group.laws.iter().filter_map(LawReport::fitted) {
        table.row([
            fitted.law.name().to_owned(),
            format!("{:.3}", fitted.ln_likelihood),
            format!("{:.2}", fitted.aic),
            fitted.aicc.map(|aicc| format!("{aicc:.2}")).unwrap_or_default(),
            format!("{:.2}", fitted.bic),
        ]);
    }
    table.text()
}

/// The product-limit curve, some of its steps if it has many.
fn curve(report: &LivesReport, group: &GroupReport, console: &Console) -> String {
    let words = [
        Word::AtRisk,
        Word::Failures,
        Word::Survival,
        Word::Lower,
        Word::Upper,
        Word::CumulativeHazard,
        Word::StandardError,
    ];
    let mut headings = vec![report.age_unit.as_str()];
    headings.extend(words.map(|word| console.word(word)));
    let mut table = Table::new(&headings);
    let steps = &group.curve.steps;
    for place in shown_steps(steps.len()) {
        let step = &steps[place];
        table.row([
            figures(step.age),
            count(step.at_risk as u64),
            count(step.failures as u64),
            figures(step.survival),
            step.survival_lower.map(figures).unwrap_or_else(|| "–".to_owned()),
            step.survival_upper.map(figures).unwrap_or_else(|| "–".to_owned()),
            figures(step.cumulative_hazard),
            figures(step.cumulative_hazard_standard_error),
        ]);
    }
    table.text()
}

fn mean_text(report: &LivesReport, group: &MeanReport, console: &Console) -> String {
    let mut text = if group.group.is_empty() { String::new() } else { format!("── {}\n", group.group) };
    let mut facts = Table::new(&["", ""]);
    facts.row([console.word(Word::Units).to_owned(), count(group.units)]);
    facts.row([console.word(Word::Events).to_owned(), count(group.events as u64)]);
    text.push_str(&facts.lines());
    text.push('\n');
    let words = [Word::AtRisk, Word::Events, Word::MeanCumulative, Word::StandardError, Word::Lower, Word::Upper];
    let mut headings = vec![report.age_unit.as_str()];
    headings.extend(words.map(|word| console.word(word)));
    let mut table = Table::new(&headings);
    for place in shown_steps(group.steps.len()) {
        let step = &group.steps[place];
        let numbers = [step.age, step.at_risk, step.events, step.mean, step.standard_error, step.lower, step.upper];
        table.row(numbers.map(figures));
    }
    text.push_str(&table.text());
    text.extend(group.notes.iter().map(|note| format!("! {note}\n")));
    text
}

/// All steps of a short curve, evenly chosen ones of a long one, the last among them.
fn shown_steps(steps: usize) -> Vec<usize> {
    if steps <= STEPS_SHOWN {
        return (0..steps).collect();
    }
    (0..STEPS_SHOWN).map(|place| place * (steps - 1) / (STEPS_SHOWN - 1)).collect()
}

/// Five figures; very large and very small numbers in powers of ten.
pub fn figures(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-4..1e9).contains(&size) {
        return format!("{value:.4e}");
    }
    let digits = (4 - libm::floor(libm::log10(size)) as i32).clamp(0, 8) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Whether the run ends well: something was found, and few rows were set aside.
fn verdict(report: &LivesReport, max_bad: MaxBad, console: &Console) -> Exit {
    let is_known = |law: &LawReport| match law {
        LawReport::Fitted(fitted) => fitted.parameters.iter().all(|parameter| parameter.estimate.is_some()),
        LawReport::Bound(_) => true,
        LawReport::Refused(_) => false,
    };
    let fits = report.groups.iter().any(|group| group.laws.iter().any(is_known));
    if !report.groups.is_empty() && !fits {
        console.warning(console.word(Word::NothingDetermined));
        return Exit::Input;
    }
    bad_rows(report.rows_in, &report.set_aside, max_bad, console)
}

/// Whether more rows of a table of lives are set aside than allowed, and says so.
pub fn bad_rows(rows_in: u64, set_aside: &[SetAsideRows], max_bad: MaxBad, console: &Console) -> Exit {
    let bad: u64 = set_aside.iter().map(|one| one.rows).sum();
    if !max_bad.exceeded(bad, rows_in) {
        return Exit::Ok;
    }
    let (bad, all) = (count(bad), count(rows_in));
    console.warning(&format!("{bad} of {all} rows are set aside: more than --max-bad {max_bad}"));
    Exit::BadRows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_five_figures() {
        let shown =
            [0.0, 1.0, 3.160470315, 27718.71813, 0.000123456, 1.5e12, 1e-9, -12.34567, 123456789.0].map(figures);
        assert_eq!(
            shown,
            ["0", "1", "3.1605", "27719", "0.00012346", "1.5000e12", "1.0000e-9", "-12.346", "123456789"]
        );
        assert_eq!(shown_steps(3), [0, 1, 2]);
        assert_eq!(shown_steps(100).last(), Some(&99));
    }
}
