//! The output folder of `fit --lifetimes`: `estimates`, `curves` and `mean_cumulative` as Parquet, `report.json`, and a
//! probability plot of each fitted law in `plots/`.
//!
//! | table | a row is |
//! |---|---|
//! | `estimates` | a parameter of a law, of a group and failure mode; a law without estimate has one row with its reason |
//! | `curves` | a step of a product-limit curve |
//! | `mean_cumulative` | a step of a mean cumulative function |

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, StringArray};

use super::curve::Step;
use super::error::LivesError;
use super::estimate::Parameter;
use super::plan::LivesPlan;
use super::plot;
use super::report::{GroupReport, LawReport, LivesReport};
use super::table::Source;
use crate::fleet::manifest::{Manifest, StageTiming};
use crate::fleet::writer::{OutputFolder, WriteError};
use crate::simulate::table::{Columns, write as write_table};

/// Writes everything and makes the folder visible.
pub fn write(
    folder: OutputFolder,
    plan: &LivesPlan,
    source: &Source,
    report: &LivesReport,
    begun: Instant,
) -> Result<(), LivesError> {
    let fitted_s = begun.elapsed().as_secs_f64();
    let provenance = vec![("fleetwear.input_blake3".to_owned(), source.blake3.clone())];
    let mut hashes = blake3::Hasher::new();
    let mut table = |name: &str, columns: Columns| -> Result<(), WriteError> {
        let hash = write_table(&folder, name, &[], &provenance, [columns.batch()])?;
        hashes.update(format!("{name}\0{hash}\0").as_bytes());
        Ok(())
    };
    if report.mean_cumulative.is_empty() {
        table("estimates", estimates(report))?;
        table("curves", curves(report))?;
    } else {
        table("mean_cumulative", mean_cumulative(report))?;
    }
    folder.write_json("report.json", report)?;
    for (place, group) in report.groups.iter().enumerate() {
        for fitted in group.laws.iter().filter_map(LawReport::fitted) {
            if let Some(svg) = plot::probability(group, fitted, &report.age_unit, report.confidence) {
                folder.write_file(&plot_path(place, group, fitted.law.name()), svg.as_bytes())?;
            }
        }
    }
    let total_s = begun.elapsed().as_secs_f64();
    let timing = |stage: &str, seconds| StageTiming { stage: stage.to_owned(), seconds };
    folder.finish(Manifest {
        command: "fit".to_owned(),
        options: plan.options(),
        inputs: vec![source.manifest_input(report.rows_in)],
        content_hash: Some(hashes.finalize().to_hex().to_string()),
        warnings: report.notes.clone(),
        device: "cpu".to_owned(),
        threads: rayon::current_num_threads(),
        timings: vec![timing("fit", fitted_s), timing("write", total_s - fitted_s)],
        ..Manifest::default()
    })?;
    Ok(())
}

/// Where the plot of a law stands: numbered in the report's order, with the names' letters and digits.
fn plot_path(place: usize, group: &GroupReport, law: &str) -> String {
    let plain = |name: &str| -> String {
        name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '_' }).take(40).collect()
    };
    let parts = [plain(&group.group), plain(group.mode.as_deref().unwrap_or_default()), law.to_owned()];
    let name: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("plots/{:04}-{}.svg", place + 1, name.join("-"))
}

/// One row of `estimates`.
#[derive(Default)]
struct Estimate<'a> {
    group: &'a str,
    mode: Option<&'a str>,
    law: &'a str,
    parameter: Option<&'a Parameter>,
    ln_likelihood: Option<f64>,
    aic: Option<f64>,
    lives: f64,
    failures: f64,
    note: Option<String>,
}

fn estimates(report: &LivesReport) -> Columns {
    let mut rows: Vec<Estimate> = Vec::new();
    for group in &report.groups {
        for law in &group.laws {
            let row = |parameter, note: Option<String>| Estimate {
                group: &group.group,
                mode: group.mode.as_deref(),
                law: law.law().name(),
                parameter,
                ln_likelihood: law.fitted().map(|fitted| fitted.ln_likelihood),
                aic: law.fitted().map(|fitted| fitted.aic),
                lives: group.lives,
                failures: group.failures,
                note,
            };
            let (parameters, note): (Vec<&Parameter>, Option<String>) = match law {
                LawReport::Fitted(fitted) => {
                    let notes = (!fitted.notes.is_empty()).then(|| fitted.notes.join("; "));
                    (fitted.parameters.iter().chain(&fitted.shares_failed).collect(), notes)
                }
                LawReport::Bound(bound) => {
                    (bound.parameters.iter().chain(&bound.shares_failed).collect(), Some(bound.note.clone()))
                }
                LawReport::Refused(refused) => {
                    rows.push(row(None, Some(refused.reason.clone())));
                    continue;
                }
            };
            rows.extend(parameters.into_iter().map(|parameter| row(Some(parameter), note.clone())));
        }
    }
    let mut columns = Columns::new();
    columns.add("group", false, text(rows.iter().map(|row| Some(row.group))));
    columns.add("failure_mode", true, text(rows.iter().map(|row| row.mode)));
    columns.add("law", false, text(rows.iter().map(|row| Some(row.law))));
    columns.add("parameter", true, text(rows.iter().map(|row| row.parameter.map(|one| one.name.as_str()))));
    let mut number = |name: &str, of: &dyn Fn(&Parameter) -> Option<f64>| {
        columns.add(name, true, numbers(rows.iter().map(|row| row.parameter.and_then(of))));
    };
    number("estimate", &|one| one.estimate);
    number("standard_error", &|one| one.standard_error);
    number("lower", &|one| one.lower);
    number("upper", &|one| one.upper);
    number("wald_lower", &|one| one.wald_lower);
    number("wald_upper", &|one| one.wald_upper);
    let held: BooleanArray = rows.iter().map(|row| row.parameter.map(|one| one.held)).collect();
    columns.add("held", true, Arc::new(held) as ArrayRef);
    columns.add("confidence", false, numbers(rows.iter().map(|_| Some(report.confidence))));
    columns.add("ln_likelihood", true, numbers(rows.iter().map(|row| row.ln_likelihood)));
    columns.add("aic", true, numbers(rows.iter().map(|row| row.aic)));
    columns.add("lives", false, numbers(rows.iter().map(|row| Some(row.lives))));
    columns.add("failures", false, numbers(rows.iter().map(|row| Some(row.failures))));
    columns.add("note", true, text(rows.iter().map(|row| row.note.as_deref())));
    columns
}

fn curves(report: &LivesReport) -> Columns {
    let rows: Vec<(&GroupReport, &Step)> =
        report.groups.iter().flat_map(|group| group.curve.steps.iter().map(move |step| (group, step))).collect();
    let mut columns = Columns::new();
    columns.add("group", false, text(rows.iter().map(|(group, _)| Some(group.group.as_str()))));
    columns.add("failure_mode", true, text(rows.iter().map(|(group, _)| group.mode.as_deref())));
    let mut number = |name: &str, of: &dyn Fn(&Step) -> Option<f64>| {
        columns.add(name, true, numbers(rows.iter().map(|(_, step)| of(step))));
    };
    number("age", &|step| Some(step.age));
    number("at_risk", &|step| Some(step.at_risk));
    number("failures", &|step| Some(step.failures));
    number("survival", &|step| Some(step.survival));
    number("survival_standard_error", &|step| step.survival_standard_error);
    number("survival_lower", &|step| step.survival_lower);
    number("survival_upper", &|step| step.survival_upper);
    number("cumulative_hazard", &|step| Some(step.cumulative_hazard));
    number("cumulative_hazard_standard_error", &|step| Some(step.cumulative_hazard_standard_error));
    number("cumulative_hazard_lower", &|step| Some(step.cumulative_hazard_lower));
    number("cumulative_hazard_upper", &|step| Some(step.cumulative_hazard_upper));
    columns
}

fn mean_cumulative(report: &LivesReport) -> Columns {
    let rows: Vec<_> =
        report.mean_cumulative.iter().flat_map(|group| group.steps.iter().map(move |step| (group, step))).collect();
    let mut columns = Columns::new();
    columns.add("group", false, text(rows.iter().map(|(group, _)| Some(group.group.as_str()))));
    columns.add("age", false, numbers(rows.iter().map(|(_, step)| Some(step.age))));
    columns.add("at_risk", false, numbers(rows.iter().map(|(_, step)| Some(step.at_risk))));
    columns.add("events", false, numbers(rows.iter().map(|(_, step)| Some(step.events))));
    columns.add("mean", false, numbers(rows.iter().map(|(_, step)| Some(step.mean))));
    columns.add("standard_error", false, numbers(rows.iter().map(|(_, step)| Some(step.standard_error))));
    columns.add("lower", false, numbers(rows.iter().map(|(_, step)| Some(step.lower))));
    columns.add("upper", false, numbers(rows.iter().map(|(_, step)| Some(step.upper))));
    columns
}

fn text<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn numbers(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}
