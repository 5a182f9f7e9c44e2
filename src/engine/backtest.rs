//! The back-test, from plan to folder: settle the cut days, stand on each with what was known, then measure and write.

use std::collections::BTreeMap;
use std::time::Instant;

use super::backtest_cut::Rolling;
use super::backtest_plan::{BacktestPlan, BacktestReport};
use super::backtest_write::{Done, Stated, written};
use super::error::EngineError;
use super::report::day_text;
use super::score::{thread_pool, warn};
use super::simulate_setup::week_axis;
use crate::backtest::BacktestError;
use crate::backtest::cuts::{Step, cuts};
use crate::backtest::judged::{JudgedPart, MOST_HORIZONS, subjects};
use crate::backtest::measures::{CutDay, World};
use crate::backtest::outcome::{OutcomeKind, Outcomes, known_day};
use crate::backtest::tables::{CutRows, Predictions, questions};
use crate::fleet::chunk::Order;
use crate::fleet::dataset::Dataset;
use crate::fleet::error::FleetError;
use crate::fleet::scan::{ScanKind, ScanRequest, kind_of};
use crate::fleet::time::TimeAxis;
use crate::fleet::writer::OutputFolder;
use crate::model::spec::Model;
use crate::run::{Control, Event};
use crate::score::parts::Parts;
use crate::simulate::report_delay::ReportDelay;
use crate::simulate::survive::FORECAST_DAYS;
use crate::simulate::weeks::{DAYS_PER_WEEK, WeekAxis};

/// Of failures, the share that is reported within what counts as the delay.
const REPORTED_SHARE: f64 = 0.95;
/// Days of a horizon at most: ten years.
const MOST_DAYS: u32 = 3_650;

/// Rolls a date forward, states chances on each cut day from what was known by then, holds what came against them, and
/// writes the folder `plan.simulation.out`: the tables `predictions`, `measures`, `reliability` and `pit`, `report.json`,
/// drawings, a manifest and `_SUCCESS`.
///
/// # Errors
///
/// As [`super::simulate()`] and, with a fit, [`super::fit()`]; cut days that make no sense or that the records cannot
/// judge; a dataset without failures.
pub fn backtest(plan: &BacktestPlan, control: &Control) -> Result<BacktestReport, EngineError> {
    let began = Instant::now();
    control.emit(Event::Stage { name: "plan", total_rows: None });
    let pool = thread_pool(plan.simulation.threads)?;
    let horizons = horizons(plan)?;
    let folder = OutputFolder::create(&plan.simulation.out)?;
    let model = Model::load(&plan.simulation.model)?;
    let mut dataset = Dataset::open(&plan.simulation.data, plan.simulation.threads, control)?;
    dataset.spill_to(plan.simulation.spill_folder.as_deref().or(Some(folder.staging())));
    if dataset.dictionary.events.is_none() {
        return Err(BacktestError::NoEvents.into());
    }
    let axis = week_axis(dataset.axis, &dataset.dictionary.histories.period)?;
    let parts = Parts::of(&model);
    let (subjects, places) = subjects(&model, &parts);
    let outcomes = Outcomes::new(&dataset.vehicles, &parts, plan.outcome);
    if !outcomes.any() {
        return Err(match plan.outcome {
            OutcomeKind::Failures => BacktestError::NoFailures.into(),
            OutcomeKind::Replacements => BacktestError::NoReplacements.into(),
        });
    }
    let mut warnings = Vec::new();
    for text in dataset.warnings() {
        warn(&mut warnings, control, text);
    }
    let until = match plan.events_until {
        Some(day) => day,
        None => dataset.latest_day(control)?.ok_or(EngineError::NoRecords)?,
    };
    let until_day = axis.calendar_day(until);
    if let Some(text) = events_end_early(&dataset, axis, until_day) {
        warn(&mut warnings, control, text);
    }
    let report_days = report_days(&dataset, &parts, axis, until);
    let longest = horizons.last().copied().unwrap_or(0);
    let days = cut_days(plan, axis, longest, until_day, report_days)?;
    let alerts = subjects.iter().filter_map(|subject| subject.alert_days);
    let alert_days = alerts.max().unwrap_or(0);
    for subject in &subjects {
        if subject.modes.len() > 1 {
            let name = &subject.failure_mode;
            let text = format!(
                "failure modes {name} share their parts, and an event does not say which of them it was: their parts are judged together, their counts not at all"
            );
            warn(&mut warnings, control, text);
        }
    }
    for subject in &subjects {
        let last = days.last().copied().unwrap_or(i32::MAX);
        let reaches = |ahead: &u32| i64::from(last) + i64::from(*ahead) <= i64::from(until_day);
        if let Some(ahead) = subject.alert_days.filter(|ahead| !reaches(ahead)) {
            let name = &subject.failure_mode;
            let text = format!(
                "failure mode {name}: its alert looks {ahead} days ahead, beyond the records on some cut days: its warnings are judged on the others alone"
            );
            warn(&mut warnings, control, text);
        }
    }
    let between = between_cuts(plan, &dataset, days.len())?;
    let weeks = longest.max(alert_days).div_ceil(DAYS_PER_WEEK as u32);
    let rolling = Rolling {
        plan,
        dataset: &dataset,
        model: &model,
        parts: &parts,
        subjects: &subjects,
        places: &places,
        outcomes: &outcomes,
        axis,
        horizons: &horizons,
        forecast_days: filled_up(&horizons),
        horizon_weeks: weeks as usize,
        until_day,
        report_days,
        state: plan.simulation.state.clone().or(between.as_ref().map(|folder| folder.path().to_path_buf())),
    };
    let mut done = Done::new(&days);
    let provenance = provenance(&dataset, &model, plan);
    let mut predictions = Predictions::new(&folder, provenance.clone());
    let planned: Vec<CutDay> = days.iter().map(|&day| CutDay { day, vehicles: 0 }).collect();
    let world = World {
        subjects: &subjects,
        horizons: &horizons,
        cuts: &planned,
        until_day,
        parts: &[],
        counts: &[],
        options: crate::backtest::measures::Options {
            pilot: plan.pilot,
            costs: plan.costs,
            seed: plan.simulation.seed,
        },
    };
    // Warnings of cuts, by their words without their numbers.
    let mut told: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for (cut, &day) in days.iter().enumerate() {
        let as_of_day = axis.axis_day(day);
        let folds: Vec<Option<u32>> = plan.folds.map_or(vec![None], |folds| (0..folds).map(Some).collect());
        for fold in folds {
            control.emit(Event::Stage { name: "cut", total_rows: None });
            let stood = rolling.stand(cut, day, fold, &control.unheard()).map_err(|error| match error {
                EngineError::Interrupted(interrupted) => EngineError::Interrupted(interrupted),
                source => EngineError::AtCut { as_of: day_text(dataset.axis, as_of_day), source: Box::new(source) },
            })?;
            done.vehicles[cut] += stood.report.vehicles;
            for text in &stood.simulated.warnings {
                let words: String = text.chars().filter(|letter| !letter.is_ascii_digit()).collect();
                let times = told.get(&words).map_or(0, |told| told.1);
                told.insert(words, (text.clone(), times + 1));
            }
            predictions.add(&CutRows {
                vehicle_column: &dataset.dictionary.histories.vehicle,
                axis: dataset.axis,
                as_of_day,
                fold,
                ids: &stood.ids,
                parts: &stood.parts,
                places: &places,
                of_model: (&subjects, &parts),
                questions: &questions(&world, cut),
                day_after: &|days| axis.axis_day(day.saturating_add(days)),
            })?;
            done.take(stood);
        }
    }
    for (text, times) in told.into_values() {
        let on = if times == 1 { String::new() } else { format!(" (the last of {times} cuts that say so)") };
        warn(&mut warnings, control, format!("{text}{on}"));
    }
    let late = done.reports.iter().filter(|report| report.reports_to_come).count();
    if late > 0 {
        let text = format!(
            "on {late} of {} cuts, failures within {longest} days may not all be reported by the end of the records: 95 of 100 are within {report_days} days; they count as not failed",
            done.reports.len()
        );
        warn(&mut warnings, control, text);
    }
    let cuts: Vec<CutDay> = days.iter().zip(&done.vehicles).map(|(&day, &vehicles)| CutDay { day, vehicles }).collect();
    let judged: Vec<JudgedPart> = std::mem::take(&mut done.parts);
    let counts = std::mem::take(&mut done.counts);
    let world = World { cuts: &cuts, parts: &judged, counts: &counts, ..world };
    control.emit(Event::Stage { name: "measure", total_rows: None });
    let measured = pool.install(|| world.measured());
    control.emit(Event::Stage { name: "write", total_rows: None });
    let stated = Stated { rows: predictions.rows, content_hash: predictions.finish()?, provenance };
    written(&rolling, folder, stated, (done, measured, counts), warnings, began)
}

/// The horizons, rising.
fn horizons(plan: &BacktestPlan) -> Result<Vec<u32>, BacktestError> {
    let mut horizons = plan.horizons_days.clone();
    horizons.sort_unstable();
    horizons.dedup();
    let refused = |got: String, expected| BacktestError::Option { option: "horizon-days", got, expected };
    if horizons.is_empty() || horizons.len() > MOST_HORIZONS {
        return Err(refused(format!("{} horizons", horizons.len()), "one to three"));
    }
    if let Some(wrong) = horizons.iter().find(|&&days| days == 0 || days > MOST_DAYS) {
        return Err(refused(wrong.to_string(), "1 to 3650 days"));
    }
    match plan.folds {
        Some(folds) if plan.fit.is_none() => Err(BacktestError::SplitWithoutFit { folds }),
        Some(folds) if !(2..=100).contains(&folds) => {
            let expected = "vehicle:2 to vehicle:100";
            Err(BacktestError::Option { option: "split", got: format!("vehicle:{folds}"), expected })
        }
        _ => Ok(horizons),
    }
}

/// Three days to state chances for, rising, the horizons among them.
pub(super) fn filled_up(horizons: &[u32]) -> [u32; 3] {
    let mut days = horizons.to_vec();
    for more in FORECAST_DAYS.into_iter().chain([1, 2, 3]) {
        if days.len() < MOST_HORIZONS && !days.contains(&more) {
            days.push(more);
        }
    }
    days.sort_unstable();
    std::array::from_fn(|at| days[at])
}

/// A warning where no event is on record of the last months before `until_day`, far more than usually lies between two.
fn events_end_early(dataset: &Dataset, axis: WeekAxis, until_day: i32) -> Option<String> {
    const SILENT_DAYS: i32 = 60;
    const TIMES_THE_USUAL: i64 = 10;
    let events = &dataset.vehicles.events;
    let days = events.iter().map(|event| axis.calendar_day(known_day(event))).filter(|&day| day <= until_day);
    let (first, last) = (days.clone().min()?, days.clone().max()?);
    let (silent, usual) = (until_day - last, i64::from(last - first) / (days.count() as i64).max(1));
    let early = silent > SILENT_DAYS && i64::from(silent) > TIMES_THE_USUAL * usual.max(1);
    early.then(|| {
        let text = |day: i32| day_text(axis.axis, axis.axis_day(day));
        let (last, until) = (text(last), text(until_day));
        format!(
            "the last event on record is of {last} and the records go on to {until}: if the table of events ends there, parts that failed since count as not failed; --events-until {last} says so"
        )
    })
}

/// Days within which nearly all failures are reported; none where delays are not on record.
fn report_days(dataset: &Dataset, parts: &Parts, axis: WeekAxis, until: i32) -> i32 {
    let Some(delay) = ReportDelay::estimate(&dataset.vehicles, parts, axis, until) else { return 0 };
    let mut reported = 0.0;
    let enough = delay.days.iter().position(|chance| {
        reported += chance;
        reported >= REPORTED_SHARE
    });
    enough.unwrap_or(delay.days.len()) as i32
}

/// The calendar days of the cuts.
fn cut_days(
    plan: &BacktestPlan,
    axis: WeekAxis,
    longest: u32,
    until_day: i32,
    report_days: i32,
) -> Result<Vec<i32>, EngineError> {
    let last = until_day.saturating_sub_unsigned(longest);
    let from = axis.calendar_day(plan.from_day);
    let to = match plan.to_day {
        Some(day) => axis.calendar_day(day),
        None => last.saturating_sub(report_days).max(from),
    };
    let text = |day: i32| day_text(axis.axis, axis.axis_day(day));
    if from.max(to) > last && from <= to {
        return Err(BacktestError::FollowUp {
            until: text(until_day),
            cut: text(to),
            horizon_days: longest,
            last: text(last),
        }
        .into());
    }
    let calendar = axis.axis != TimeAxis::Integer;
    Ok(cuts(from, to, plan.step.unwrap_or(Step::Days(longest)), calendar)?)
}

/// A folder for the packed histories while the back-test runs, where every cut day would have to sort the files anew.
fn between_cuts(plan: &BacktestPlan, dataset: &Dataset, cuts: usize) -> Result<Option<tempfile::TempDir>, EngineError> {
    let simulation = &plan.simulation;
    let request = ScanRequest {
        channels: Vec::new(),
        order: Order::WholeVehicles,
        as_of_day: None,
        threads: simulation.threads,
        memory_limit_bytes: simulation.memory_limit_bytes / 2,
        chunk_rows: simulation.chunk_rows,
        reversed: simulation.reversed,
        shard: None,
        kind: simulation.scan_kind,
        hash_inputs: false,
        files: None,
    };
    let once = cuts * plan.folds.unwrap_or(1) as usize <= 1;
    if once || simulation.state.is_some() || kind_of(dataset, &request)? != ScanKind::Spill {
        return Ok(None);
    }
    let folder = dataset.spill_folder.clone();
    let made = tempfile::tempdir_in(&folder).map_err(|source| FleetError::Spill { folder, source })?;
    Ok(Some(made))
}

fn provenance(dataset: &Dataset, model: &Model, plan: &BacktestPlan) -> Vec<(String, String)> {
    vec![
        ("fleetwear.dictionary_blake3".to_owned(), dataset.dictionary.blake3.clone()),
        ("fleetwear.model".to_owned(), format!("{} {}", model.name, model.version)),
        ("fleetwear.model_blake3".to_owned(), model.hash.clone()),
        ("fleetwear.seed".to_owned(), plan.simulation.seed.to_string()),
    ]
}
