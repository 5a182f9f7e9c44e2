//! The recall of a cohort, from plan to folder: pick the vehicles, simulate the fleet once with the cohort as a group,
//! hold alarms and work orders against it, then bounds, boundaries, money and the folder.

use std::time::Instant;

use super::backtest::filled_up;
use super::error::EngineError;
use super::prepare::Prepared;
use super::recall_defect::DefectOf;
use super::recall_facts::Facts;
use super::recall_notes::notes;
use super::recall_plan::{RecallPlan, RecallReport};
use super::recall_write::write;
use super::score::thread_pool;
use super::simulate::run_prepared;
use super::simulate_plan::{CountLaws, SimulatePlan};
use super::simulate_setup::ZONE_ATTRIBUTE;
use crate::fleet::dataset::Dataset;
use crate::fleet::manifest::ManifestInput;
use crate::fleet::tables::NO_VALUE;
use crate::fleet::vehicles::{Attribute, Ids, Vehicles};
use crate::fleet::writer::OutputFolder;
use crate::model::spec::Model;
use crate::recall::RecallError;
use crate::recall::cohort::{self, Asked, Cohort};
use crate::recall::economics::Economics;
use crate::recall::fleet_report::{CohortForecast, Method, Money};
use crate::recall::fleet_tables::VehicleColumns;
use crate::recall::futures::Futures;
use crate::recall::money::{ToCome, outcomes};
use crate::run::{Control, Event};
use crate::simulate::count_law::quantile;
use crate::simulate::weeks::DAYS_PER_WEEK;

/// The attribute by which vehicle models are told apart, where there is one.
pub const STRATUM_MODEL: &str = "model";
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
    let (economics, economics_input) = plan.economics.as_deref().map(Economics::load).transpose()?.unzip();
    let folder = OutputFolder::create(&plan.simulation.out)?;
    let model = Model::load(&plan.simulation.model)?;
    let defect = DefectOf::of(plan, &model)?;
    let money_mode = defect.money_mode(economics.as_ref())?;
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
    let pool = thread_pool(plan.simulation.threads)?;
    let simulated = run_prepared(&simulation, prepared, &model, None, control, (began, pool))?;
    control.emit(Event::Stage { name: "recall", total_rows: None });
    let strata = strata(plan, &vehicles);
    let facts = Facts { vehicles: &vehicles, ids: &ids, axis, as_of_day: simulated.as_of_day, cohort: &picked, strata };
    let marks = facts.marks(&defect, &simulated);
    let mut report = facts.report(&marks, &defect, plan, &simulated, &model);
    let is_drawn = model.covariance.as_ref().is_some_and(|covariance| !covariance.parameters.is_empty());
    // Bounds of many replicates go through the cores that were asked for.
    let pool = thread_pool(plan.simulation.threads)?;
    let cohort = OfCohort { laws: &simulated.laws, today: simulated.calendar_day, is_drawn };
    report.method = if is_drawn { Method::Calibrated } else { Method::PlugIn };
    report.forecasts = pool.install(|| cohort.forecasts(&defect.modes, &horizons, plan.confidence));
    let is_costed = economics.as_ref().is_some_and(|economics| economics.recall.is_some());
    report.money = economics.map(|economics| {
        let outcomes = (economics.recall.zip(money_mode)).map(|(costs, mode)| {
            let to_come = ToCome {
                vehicles: report.affected as f64,
                failures: &cohort.draws(mode, longest),
                horizon: f64::from(longest),
                by: &cohort.course(mode, longest),
            };
            outcomes(&to_come, &costs)
        });
        Money {
            programmes: economics.programmes(),
            currency: economics.currency,
            example: economics.example,
            failure_mode: outcomes.as_ref().and(money_mode).map(str::to_owned),
            horizon_days: outcomes.as_ref().map(|_| longest),
            draws: DRAWS,
            outcomes: outcomes.unwrap_or_default(),
        }
    });
    report.notes = notes(&report, &simulated, plan.simulation.count, is_costed);
    control.emit(Event::Stage { name: "write", total_rows: None });
    let attributes: Vec<String> = vehicles.attributes.iter().map(|attribute| attribute.name.clone()).collect();
    let columns = VehicleColumns {
        vehicle: &vehicle_column,
        is_integer: matches!(ids, Ids::Integer(_)),
        attributes: &attributes,
    };
    let inputs: Vec<ManifestInput> = economics_input.into_iter().chain(picked.input.clone()).collect();
    write(folder, plan, simulated, report, &columns, inputs, control, began)
}

/// Attributes within whose values alone vehicles are compared: the vehicle's model, and its climate zone.
fn strata<'v>(plan: &RecallPlan, vehicles: &'v Vehicles) -> Vec<&'v Attribute> {
    let named = [STRATUM_MODEL, plan.simulation.zones.as_deref().unwrap_or(ZONE_ATTRIBUTE)];
    vehicles.attributes.iter().filter(|attribute| named.contains(&attribute.name.as_str())).collect()
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

fn picked(plan: &RecallPlan, dataset: &Dataset) -> Result<Cohort, RecallError> {
    match &plan.cohort {
        Asked::Condition(text) => cohort::by_condition(text, &dataset.vehicles, dataset.axis),
        Asked::List(file) => {
            let column = &dataset.dictionary.histories.vehicle;
            cohort::by_list(file, column, dataset.vehicles.known, |id| dataset.ids.index_of(id))
        }
    }
}

/// The cohort's counts, of every mode and window.
struct OfCohort<'s> {
    laws: &'s [CountLaws],
    /// On the calendar.
    today: i32,
    /// Whether two neighbouring paths share each weather and differ in the model's parameters.
    is_drawn: bool,
}

impl<'s> OfCohort<'s> {
    fn of_mode(&self, mode: &str) -> impl Iterator<Item = &'s CountLaws> {
        let is_own = move |laws: &&CountLaws| {
            laws.group_by == GROUP && laws.group.as_deref() == Some(INSIDE) && laws.failure_mode == mode
        };
        self.laws.iter().filter(is_own)
    }

    fn to_date(&self, mode: &str, days: u32) -> Option<&'s CountLaws> {
        self.of_mode(mode).find(|laws| laws.window.name == "to_date" && laws.window.days.1 - self.today == days as i32)
    }

    fn forecasts(&self, modes: &[String], horizons: &[u32], confidence: f64) -> Vec<CohortForecast> {
        let every = modes.iter().flat_map(|mode| horizons.iter().map(move |&days| (mode, days)));
        every
            .filter_map(|(mode, horizon_days)| {
                let laws = self.to_date(mode, horizon_days)?;
                let futures = Futures::of(&laws.on_paths, &laws.large, self.is_drawn);
                let bounds = futures.bounds(confidence);
                let [share_weather, share_parameters, share_chance] = laws.variance.shares();
                Some(CohortForecast {
                    failure_mode: mode.clone(),
                    horizon_days,
                    expected: laws.expected,
                    lower: bounds.lower.bound.min(bounds.upper.bound),
                    upper: bounds.upper.bound,
                    bounds,
                    calibrated: futures.is_calibrated() && bounds.lower.calibrated && bounds.upper.calibrated,
                    share_weather,
                    share_parameters: self.is_drawn.then_some(share_parameters),
                    share_chance,
                })
            })
            .collect()
    }

    /// Equally likely numbers of failures within a horizon, over everything that was drawn.
    fn draws(&self, mode: &str, days: u32) -> Vec<f64> {
        let level = |draw: usize| (draw as f64 + 0.5) / DRAWS as f64;
        let laws = self.to_date(mode, days).map(|laws| laws.on_paths.as_slice()).unwrap_or_default();
        (0..DRAWS).map(|draw| quantile(laws, level(draw)) as f64).collect()
    }

    /// Days from today, and the share of the horizon's failures expected by then.
    fn course(&self, mode: &str, days: u32) -> Vec<(f64, f64)> {
        let mut weeks: Vec<(f64, f64)> = self
            .of_mode(mode)
            .filter(|laws| laws.window.name == "week")
            .map(|laws| {
                let begin = f64::from(laws.window.days.0 - 1 - self.today);
                let end = f64::from(laws.window.days.1 - self.today);
                // The last week may lie beyond the horizon in part.
                let within = ((f64::from(days) - begin) / (end - begin)).clamp(0.0, 1.0);
                (end.min(f64::from(days)), laws.expected * within)
            })
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
}
