//! The recall of a cohort, from plan to folder: pick the vehicles, simulate the fleet once with the cohort as a group,
//! hold alarms and work orders against it, then bounds, boundaries, money and the folder.

use std::time::Instant;

use super::backtest::filled_up;
use super::error::EngineError;
use super::prepare::Prepared;
use super::recall_facts::Facts;
use super::recall_plan::{RecallPlan, RecallReport};
use super::recall_write::write;
use super::score::{thread_pool, warn};
use super::simulate::run_prepared;
use super::simulate_plan::{CountLaws, SimulatePlan, SimulateReport};
use crate::fleet::dataset::Dataset;
use crate::fleet::tables::NO_VALUE;
use crate::fleet::vehicles::Attribute;
use crate::fleet::writer::OutputFolder;
use crate::model::spec::Model;
use crate::recall::RecallError;
use crate::recall::cohort::{self, Asked, Cohort};
use crate::recall::economics::Economics;
use crate::recall::fleet_report::{CohortForecast, CohortReport, Money};
use crate::recall::futures::Futures;
use crate::recall::money::{ToCome, outcomes};
use crate::run::{Control, Event};
use crate::simulate::count_law::quantile;
use crate::simulate::weeks::DAYS_PER_WEEK;

/// The attribute by which the cohort is counted; no table has a column of this name by chance.
const GROUP: &str = "fleetwear recall cohort";
const INSIDE: &str = "inside";
/// Equally likely numbers of failures that money is reckoned over.
const DRAWS: usize = 1_000;
const MOST_HORIZONS: usize = 3;
const MOST_DAYS: u32 = 3_650;

/// Sizes a recall and writes the folder `plan.simulation.out`: the tables of [`crate::recall::fleet_tables`], `report.json`,
/// `recall.xlsx`, `recall.html`, a manifest and `_SUCCESS`.
///
/// # Errors
///
/// As [`super::simulate()`]; a cohort of nobody, a condition that is none, an unknown failure mode, economics that make no
/// sense.
pub fn recall(plan: &RecallPlan, control: &Control) -> Result<RecallReport, EngineError> {
    let began = Instant::now();
    control.emit(Event::Stage { name: "plan", total_rows: None });
    let horizons = horizons(plan)?;
    let economics = plan.economics.as_deref().map(Economics::load).transpose()?;
    let pool = thread_pool(plan.simulation.threads)?;
    let folder = OutputFolder::create(&plan.simulation.out)?;
    let model = Model::load(&plan.simulation.model)?;
    let money_mode = money_mode(plan, &model, economics.as_ref())?;
    let mut dataset = Dataset::open(&plan.simulation.data, plan.simulation.threads, control)?;
    dataset.spill_to(plan.simulation.spill_folder.as_deref().or(Some(folder.staging())));
    let picked = picked(plan, &dataset)?;
    let vehicle_column = dataset.dictionary.histories.vehicle.clone();
    // What the simulation takes with it.
    let (vehicles, ids, axis) = (dataset.vehicles.clone(), dataset.ids.ids(), dataset.axis);
    let mut prepared = Prepared::of(dataset, &model)?;
    let mut code = vec![NO_VALUE; vehicles.known];
    picked.vehicles.iter().for_each(|&vehicle| code[vehicle as usize] = 0);
    let group = Attribute { name: GROUP.to_owned(), values: vec![INSIDE.to_owned()], code };
    prepared.dataset.vehicles.attributes.push(group);
    let longest = horizons.last().copied().unwrap_or(0);
    let simulation = SimulatePlan {
        horizon_weeks: longest.div_ceil(DAYS_PER_WEEK as u32) as usize,
        forecast_days: filled_up(&horizons),
        groups: Some(vec![GROUP.to_owned()]),
        keep_laws: true,
        keep_alarms: true,
        scenario: None,
        ..plan.simulation.clone()
    };
    let simulated = run_prepared(&simulation, prepared, &model, None, control, (began, pool))?;
    control.emit(Event::Stage { name: "recall", total_rows: None });
    let facts = Facts { vehicles: &vehicles, ids: &ids, axis, as_of_day: simulated.as_of_day, cohort: &picked };
    let marks = facts.marks(&model, &simulated, plan);
    let mut report = facts.report(&marks, plan, &simulated, &model);
    let pairs = model.covariance.as_ref().is_some_and(|covariance| !covariance.parameters.is_empty());
    report.forecasts = forecasts(plan, &simulated, &horizons, axis_days(&simulated), pairs);
    report.money = economics.map(|economics| {
        let outcomes = (economics.recall.zip(money_mode.as_deref()))
            .map(|(costs, mode)| {
                let laws = of_mode(&simulated, mode);
                let to_come = to_come(&laws, &simulated, longest);
                let failures = draws(&laws, &simulated, longest);
                let to_come = ToCome {
                    vehicles: report.affected as f64,
                    failures: &failures,
                    horizon: f64::from(longest),
                    by: &to_come,
                };
                outcomes(&to_come, &costs)
            })
            .unwrap_or_default();
        let is_reckoned = !outcomes.is_empty();
        Money {
            programmes: economics.programmes(),
            currency: economics.currency,
            example: economics.example,
            failure_mode: money_mode.filter(|_| is_reckoned),
            horizon_days: is_reckoned.then_some(longest),
            outcomes,
        }
    });
    notes(&mut report, pairs, &simulated);
    let mut warnings = simulated.warnings.clone();
    for text in report.notes.clone() {
        warn(&mut warnings, control, text);
    }
    control.emit(Event::Stage { name: "write", total_rows: None });
    let attributes: Vec<String> = vehicles.attributes.iter().map(|attribute| attribute.name.clone()).collect();
    write(folder, plan, simulated, report, warnings, (&vehicle_column, &attributes), began)
}

fn horizons(plan: &RecallPlan) -> Result<Vec<u32>, RecallError> {
    let refuse = |option, problem: String| Err(RecallError::Option { option, problem });
    let mut horizons = plan.horizons_days.clone();
    horizons.sort_unstable();
    horizons.dedup();
    if horizons.is_empty() || horizons.len() > MOST_HORIZONS {
        return refuse(
            "--horizon-days",
            format!("{} numbers of days; one to {MOST_HORIZONS} are allowed", horizons.len()),
        );
    }
    if let Some(days) = horizons.iter().find(|days| !(1..=MOST_DAYS).contains(*days)) {
        return refuse("--horizon-days", format!("{days} is not between 1 and {MOST_DAYS}"));
    }
    if !(plan.confidence > 0.5 && plan.confidence < 0.9999) {
        return refuse("--confidence", format!("{} is not between 50 and 99.99 %", 100.0 * plan.confidence));
    }
    Ok(horizons)
}

/// The failure mode whose failures cost.
fn money_mode(plan: &RecallPlan, model: &Model, economics: Option<&Economics>) -> Result<Option<String>, RecallError> {
    let ids = || model.modes.iter().map(|mode| mode.id.as_str());
    if let Some(asked) = &plan.failure_mode {
        if !ids().any(|id| id == asked) {
            return Err(RecallError::UnknownMode {
                mode: asked.clone(),
                nearest: crate::fleet::error::nearest(asked, ids()),
                known: ids().collect::<Vec<_>>().join(", "),
            });
        }
        return Ok(Some(asked.clone()));
    }
    let is_costed = economics.is_some_and(|economics| economics.recall.is_some());
    match (is_costed, model.modes.as_slice()) {
        (false, _) => Ok(None),
        (true, [one]) => Ok(Some(one.id.clone())),
        (true, _) => Err(RecallError::Option {
            option: "--mode",
            problem: format!("say whose failures cost: one of {}", ids().collect::<Vec<_>>().join(", ")),
        }),
    }
}

fn picked(plan: &RecallPlan, dataset: &Dataset) -> Result<Cohort, RecallError> {
    match &plan.cohort {
        Asked::Condition(text) => cohort::by_condition(text, &dataset.vehicles, dataset.axis),
        Asked::List(file) => {
            let column = &dataset.dictionary.histories.vehicle;
            cohort::by_list(file, column, dataset.vehicles.known, |id| dataset.ids.index_of(id))
        }
    }
}

/// The cohort's counts of a mode from today on.
fn of_mode<'s>(simulated: &'s SimulateReport, mode: &str) -> Vec<&'s CountLaws> {
    let is_own = |laws: &&CountLaws| {
        laws.group_by == GROUP && laws.group.as_deref() == Some(INSIDE) && laws.failure_mode == mode
    };
    simulated.laws.iter().filter(is_own).collect()
}

/// The calendar day on which one stands.
fn axis_days(simulated: &SimulateReport) -> i32 {
    simulated.calendar_day
}

fn is_to_date(laws: &CountLaws, today: i32, days: u32) -> bool {
    laws.window.name == "to_date" && laws.window.days.1 - today == days as i32
}

fn forecasts(
    plan: &RecallPlan,
    simulated: &SimulateReport,
    horizons: &[u32],
    today: i32,
    pairs: bool,
) -> Vec<CohortForecast> {
    let mut modes: Vec<&str> = simulated.laws.iter().map(|laws| laws.failure_mode.as_str()).collect();
    modes.sort_unstable();
    modes.dedup();
    modes.retain(|mode| plan.failure_mode.as_deref().is_none_or(|asked| asked == *mode));
    let mut forecasts = Vec::new();
    for mode in modes {
        let own = of_mode(simulated, mode);
        for &days in horizons {
            let Some(laws) = own.iter().find(|laws| is_to_date(laws, today, days)) else { continue };
            let futures = Futures::of(&laws.on_paths, pairs);
            let bounds = futures.bounds(plan.confidence);
            let [share_weather, share_parameters, share_chance] = laws.variance.shares();
            forecasts.push(CohortForecast {
                failure_mode: mode.to_owned(),
                horizon_days: days,
                expected: laws.expected,
                lower: bounds.lower.bound.min(bounds.upper.bound),
                upper: bounds.upper.bound,
                bounds,
                calibrated: futures.is_calibrated(),
                share_weather,
                share_parameters,
                share_chance,
            });
        }
    }
    forecasts
}

/// Equally likely numbers of failures within a horizon, over everything that was drawn.
fn draws(laws: &[&CountLaws], simulated: &SimulateReport, days: u32) -> Vec<f64> {
    let found = laws.iter().find(|laws| is_to_date(laws, axis_days(simulated), days));
    let level = |draw: usize| (draw as f64 + 0.5) / DRAWS as f64;
    found
        .map_or_else(|| vec![0.0], |laws| (0..DRAWS).map(|draw| quantile(&laws.on_paths, level(draw)) as f64).collect())
}

/// Days from today, and the share of the horizon's failures expected by then.
fn to_come(laws: &[&CountLaws], simulated: &SimulateReport, days: u32) -> Vec<(f64, f64)> {
    let today = axis_days(simulated);
    let mut weeks: Vec<(f64, f64)> = laws
        .iter()
        .filter(|laws| laws.window.name == "week")
        .map(|laws| (f64::from((laws.window.days.1 - today).min(days as i32)), laws.expected))
        .collect();
    weeks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = weeks.iter().map(|week| week.1).sum();
    let mut sum = 0.0;
    weeks
        .into_iter()
        .map(|(at, expected)| {
            sum += expected;
            (at, if total > 0.0 { sum / total } else { at / f64::from(days) })
        })
        .collect()
}

/// What a reader must know of the figures.
fn notes(report: &mut CohortReport, pairs: bool, simulated: &SimulateReport) {
    if !pairs {
        report.notes.push(
            "the model carries no covariance of its parameters: they are taken as known, nothing is calibrated, and bounds are too narrow; `fleetwear fit` gives a model that carries it".to_owned(),
        );
    }
    if let Some(mean_days) =
        simulated.manifest.details.get("report_delay_mean_days").and_then(serde_json::Value::as_f64)
    {
        report.notes.push(format!(
            "failures are reported {mean_days:.0} days late in the mean: parts that have failed and are not reported yet are among those to come"
        ));
    }
    if let Some(rate) = simulated.manifest.details.get("retired_per_vehicle_year").and_then(serde_json::Value::as_f64) {
        report
            .notes
            .push(format!("{:.1} % of the vehicles retire in a year; what has retired does not fail", 100.0 * rate));
    }
    if !report.unknown.is_empty() {
        let shown: Vec<&str> = report.unknown.iter().take(5).map(String::as_str).collect();
        let more = if report.unknown.len() > shown.len() { " …" } else { "" };
        let count = report.unknown.len();
        report.notes.push(format!(
            "{count} ids of the list are in neither the vehicles nor the events table and are not counted: {}{more}",
            shown.join(", ")
        ));
    }
    if report.repeated > 0 {
        report.notes.push(format!("{} rows of the list name a vehicle again", report.repeated));
    }
}
