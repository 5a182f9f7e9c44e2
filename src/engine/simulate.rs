//! The simulation, from plan to folder: one pass over the histories for what cohorts do, one for every vehicle's
//! future, then the tables.

use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rayon::ThreadPool;

use super::accumulate::with_fallback;
use super::error::EngineError;
use super::histories::Histories;
use super::prepare::Prepared;
use super::report::day_text;
use super::score::{thread_pool, warn};
use super::simulate_memory::{batch_rows, check_memory};
use super::simulate_passes::{MOST_SOURCE_WEEKS, Reader, request};
use super::simulate_plan::{SimulatePlan, SimulateReport};
use super::simulate_setup::{Setup, mark, marks, zone};
use super::simulate_tables::{Results, written};
use crate::backend::survival::{PathPlan, SurvivalBackend, SurvivalRequest};
use crate::backend::{self, BackendError, DamageBackend, DamageRequest};
use crate::fleet::account::Skip;
use crate::fleet::chunk::Order;
use crate::fleet::dataset::Dataset;
use crate::fleet::kept::night::Taking;
use crate::fleet::kept::read::KeptHistories;
use crate::fleet::scan::{ScanKind, ScanRequest, kind_of};
use crate::fleet::writer::OutputFolder;
use crate::model::spec::Model;
use crate::model::survival::{SurvivalTables, laws};
use crate::run::{Control, Event};
use crate::score::parts::PartStarts;
use crate::simulate::cohort::{CohortSums, Cohorts};
use crate::simulate::course::{CourseLaw, Courses};
use crate::simulate::earlier_use::EarlierUse;
use crate::simulate::error::SimulateError;
use crate::simulate::expected::{CountKind, ExpectedSums};
use crate::simulate::failed_parts::{FailedParts, STANDS_DAYS};
use crate::simulate::few_years;
use crate::simulate::parameters::{draw_of_paths, draws, weather_of_paths};
use crate::simulate::paths::{DrawPlan, ZoneRecord, draw};
use crate::simulate::profile::{Calendar, Kernel};
use crate::simulate::report_delay::ReportDelay;
use crate::simulate::retirement;
use crate::simulate::settle::{MeanUse, mode_sets, row_sets};
use crate::simulate::successors::Followed;
use crate::simulate::survive::{Forecasts, Side, Survivor, World};
use crate::simulate::weeks::DAYS_PER_WEEK;

/// Known vehicles without records that are forecast at a time.
const SILENT_VEHICLES: usize = 1 << 10;

/// Simulates a fleet forward and writes the folder `plan.out` with the tables `forecasts`, `fleet_forecast` and
/// `alerts` (`alarms` and `cohorts` where monitors ran, `scenario_difference` under a scenario), a manifest and
/// `_SUCCESS`, all at once or not at all.
///
/// # Errors
///
/// As [`super::score()`]; a group, zone or scenario channel that the dataset lacks, parameters out of range, a time axis
/// without a calendar.
pub fn simulate(plan: &SimulatePlan, control: &Control) -> Result<SimulateReport, EngineError> {
    let folder = OutputFolder::create(&plan.out)?;
    run(plan, Some(folder), control)
}

/// The same; without a folder nothing is written and the content hash alone counts.
pub(super) fn run(
    plan: &SimulatePlan,
    folder: Option<OutputFolder>,
    control: &Control,
) -> Result<SimulateReport, EngineError> {
    let began = Instant::now();
    control.emit(Event::Stage { name: "plan", total_rows: None });
    let pool = thread_pool(plan.threads)?;
    let model = Model::load(&plan.model)?;
    let prepared = Prepared::of(Dataset::open(&plan.data, plan.threads, control)?, &model)?;
    run_prepared(plan, prepared, &model, folder, control, (began, pool))
}

/// The same of a dataset and a model that are at hand; the plan's own are not looked at.
pub(super) fn run_prepared(
    plan: &SimulatePlan,
    mut prepared: Prepared,
    model: &Model,
    folder: Option<OutputFolder>,
    control: &Control,
    (began, pool): (Instant, rayon::ThreadPool),
) -> Result<SimulateReport, EngineError> {
    prepared.dataset.spill_to(plan.spill_folder.as_deref().or(folder.as_ref().map(OutputFolder::staging)));
    let setup = Setup::new(plan, &prepared, model)?;
    let stage = Instant::now();
    let whole = ScanRequest { order: Order::WholeVehicles, ..request(plan, &setup, plan.as_of_day) };
    let kept = match plan.state.as_deref() {
        Some(state) => Some(pool.install(|| taken(state, plan, &setup, &mut prepared.dataset, control))?),
        None if plan.pack && kind_of(&prepared.dataset, &whole)? == ScanKind::Spill => {
            let taking = Taking { channels: &setup.columns.channels, request: &whole, rebuild: true };
            Some(KeptHistories::pack(&taking, &mut prepared.dataset, control)?)
        }
        None => None,
    };
    let pack_time = stage.elapsed();
    let prepared = prepared;
    let histories = Histories { dataset: &prepared.dataset, kept: kept.as_ref() };
    let follow = |plan: &SimulatePlan| followed(plan, &prepared, &setup, histories, &pool, control);
    let results = with_fallback(plan, control, follow, |results| &mut results.device_reason)?;
    let mut warnings = results.warnings.clone();
    for text in prepared.dataset.warnings() {
        warn(&mut warnings, control, text);
    }
    let stage = Instant::now();
    let is_repeated = results.scan.account.skipped.contains_key(&Skip::Duplicate);
    let settled_by = if is_repeated && kept.is_none() { setup.columns.channels.clone() } else { Vec::new() };
    let monitoring = setup.watch.run(plan, histories, results.as_of_day, settled_by, control)?;
    for text in monitoring.iter().flat_map(|found| found.warnings.iter().cloned()) {
        warn(&mut warnings, control, text);
    }
    let results = Results { monitoring, monitors_time: stage.elapsed(), pack_time, ..results };
    control.emit(Event::Stage { name: "write", total_rows: None });
    pool.install(|| {
        let kept = kept.as_ref().filter(|_| plan.state.is_some());
        written(plan, &prepared, &setup, kept, results, warnings, folder, began)
    })
}

/// What a state in this folder has of the histories, after it took up the dataset's files.
pub(super) fn taken(
    state: &Path,
    plan: &SimulatePlan,
    setup: &Setup,
    dataset: &mut Dataset,
    control: &Control,
) -> Result<KeptHistories, EngineError> {
    // A state holds all vehicles, whichever are simulated.
    let request = &ScanRequest { shard: None, ..request(plan, setup, None) };
    let channels = &setup.columns.channels[..];
    let taking = Taking { channels, request, rebuild: plan.rebuild_state };
    Ok(KeptHistories::take(state, &taking, dataset, control)?)
}

/// Both passes.
fn followed(
    plan: &SimulatePlan,
    prepared: &Prepared,
    setup: &Setup,
    histories: Histories,
    pool: &ThreadPool,
    control: &Control,
) -> Result<Results, EngineError> {
    let began = Instant::now();
    let mut warnings = Vec::new();
    // Every batch opens a backend of its own, so that is what opening must pay for.
    let (share, device) = (plan.device_share, plan.device.as_deref());
    let records = histories.rows().min(batch_rows(plan, setup) as u64);
    let damage_on = Mutex::new([String::new(), String::new()]);
    let open_damage = |request: &DamageRequest| -> Result<Box<dyn DamageBackend>, BackendError> {
        let mut opened = backend::open_for(records, share, plan.backend, device, plan.threads, request)?;
        *damage_on.lock().unwrap_or_else(PoisonError::into_inner) = [opened.backend.description(), opened.why];
        opened.backend.watch(control.stop());
        Ok(opened.backend)
    };
    let zone = zone(plan, prepared)?;
    let vehicles = &prepared.dataset.vehicles;
    let cohorts = Cohorts::new(&prepared.model, vehicles, zone);
    let changed_cohorts = setup.changed.as_ref().map(|changed| Cohorts::new(&changed.model, vehicles, zone));
    let kernels = || -> Vec<Kernel<'_>> {
        let model = Kernel { model: &prepared.model, cohorts: &cohorts, columns: setup.columns.model.clone() };
        let changed = setup.changed.as_ref().zip(changed_cohorts.as_ref()).map(|(changed, cohorts)| Kernel {
            model: &changed.model,
            cohorts,
            columns: changed.columns.clone(),
        });
        std::iter::once(model).chain(changed).collect()
    };

    let mut as_of_day = match plan.as_of_day {
        Some(day) => day,
        None => histories.latest_day(control)?.ok_or(EngineError::NoRecords)?,
    };
    let mut starts = PartStarts::new(&prepared.parts, vehicles, as_of_day);
    let latest = AtomicI32::new(i32::MIN);
    let reader = Reader { plan, prepared, setup, histories, control };
    control.emit(Event::Stage { name: "cohorts", total_rows: None });
    let mut seen = reader.cohorts(&starts, as_of_day, &kernels(), &open_damage, &latest)?;
    let found = latest.load(Ordering::Relaxed);
    if plan.as_of_day.is_none() && found != i32::MIN && found != as_of_day {
        let text = "the latest row cannot be used, or the files' statistics are wrong: reading again as of the latest record that counts";
        warn(&mut warnings, control, text.to_owned());
        as_of_day = found;
        starts = PartStarts::new(&prepared.parts, vehicles, as_of_day);
        seen = reader.cohorts(&starts, as_of_day, &kernels(), &open_damage, &latest)?;
    }
    if found == i32::MIN {
        return Err(EngineError::NoRecords);
    }

    let cohorts_time = began.elapsed();
    let calendar = reader.calendar(&starts, as_of_day, MOST_SOURCE_WEEKS);
    let first = (seen.sums.iter()).filter_map(CohortSums::first_week).min().unwrap_or(MOST_SOURCE_WEEKS - 1);
    let calendar =
        Calendar { first_week: calendar.first_week + first as i32, weeks: MOST_SOURCE_WEEKS - first, ..calendar };
    seen.sums.iter_mut().for_each(|sums| sums.cut(first));
    let records: Vec<ZoneRecord> = (cohorts.zones.iter().enumerate())
        .map(|(zone, name)| {
            let on_record = seen.sums[0].zone_vehicles(&cohorts, zone).iter().map(|&vehicles| vehicles > 0).collect();
            ZoneRecord { name: name.clone(), on_record }
        })
        .collect();
    let weeks_on_record: Vec<usize> =
        records.iter().map(|zone| zone.on_record.iter().filter(|&&week| week).count()).collect();
    let known = cohorts.known_vehicles();
    let peopled: Vec<usize> = (weeks_on_record.iter().zip(known))
        .filter(|(weeks, known)| **weeks > 0 || *known > 0)
        .map(|(weeks, _)| *weeks)
        .collect();
    let poor = peopled.iter().filter(|&&weeks| weeks < plan.horizon_weeks).count();
    if poor > 0 {
        let (horizon, most) = (plan.horizon_weeks, weeks_on_record.iter().max().unwrap_or(&0));
        let text = format!(
            "the horizon is {horizon} weeks, and the records of {poor} of {} zones are shorter (the longest is {most} weeks): their futures repeat what there is (flag horizon_beyond_records)",
            peopled.len()
        );
        warn(&mut warnings, control, text);
    }
    let parameters_drawn = setup.covariance.as_ref().is_some_and(|covariance| !covariance.parameters.is_empty());
    let drawn = draw(&DrawPlan {
        zones: &records,
        first_week: calendar.first_week,
        as_of_day: calendar.as_of_day,
        horizon_weeks: plan.horizon_weeks,
        weather: &weather_of_paths(plan.paths, parameters_drawn),
        seed: plan.seed,
    });
    let delay = ReportDelay::estimate(vehicles, &prepared.parts, setup.axis, as_of_day);
    if delay.is_none() && plan.count == CountKind::Reports {
        return Err(SimulateError::NoReportDays.into());
    }
    let retire_per_day = retirement::rate_per_day(vehicles, setup.axis, as_of_day);
    let laws = laws(&prepared.model);
    let parameter_draws = draws(&laws, setup.covariance.as_ref(), plan.paths, plan.seed);
    let tables = SurvivalTables::compile(&laws, &parameter_draws).map_err(SimulateError::from)?;
    let path_plan = PathPlan {
        paths: plan.paths,
        weeks: plan.horizon_weeks,
        zones: records.len(),
        source_weeks: calendar.weeks,
        source_week: drawn.source_week,
        draws: draw_of_paths(plan.paths, parameter_draws.len()),
        marks: marks(&prepared.model, plan),
    };
    // Vehicles of each zone, at its busiest.
    let in_zone = |zone: usize| seen.sums[0].zone_vehicles(&cohorts, zone).into_iter().max().unwrap_or(0) as f64;
    let vehicles_of_zones: Vec<f64> = (0..records.len()).map(in_zone).collect();
    let widening = few_years::factors(&drawn.sources, &drawn.season_missing, &vehicles_of_zones, &path_plan);
    check_memory(plan, setup, &path_plan, prepared.model.modes.len())?;
    let parts = seen.vehicles * prepared.parts.rows.len() as u64;
    let survival_why = Mutex::new(String::new());
    let open_survival = || -> Result<Box<dyn SurvivalBackend>, BackendError> {
        let request = SurvivalRequest { tables: &tables, plan: &path_plan, groups: setup.cells };
        let mut opened = backend::open_survival(parts, share, plan.backend, device, plan.threads, &request)?;
        *survival_why.lock().unwrap_or_else(PoisonError::into_inner) = opened.why;
        opened.backend.watch(control.stop());
        Ok(opened.backend)
    };
    let column = |days: u32| {
        let mark = mark(days, plan.horizon_weeks)?;
        path_plan.marks.binary_search(&mark).ok().map(|at| plan.horizon_weeks + at)
    };
    let mut alerts = Vec::new();
    for mode in &prepared.model.modes {
        let alert = mode.alert.map(|alert| (libm::ceil(alert.horizon_days) as u32, alert.probability));
        let looked_at = alert.and_then(|(days, probability)| Some((column(days)?, probability)));
        if let (Some((days, _)), None) = (alert, looked_at) {
            let (id, weeks, needed) = (&mode.id, plan.horizon_weeks, days.div_ceil(DAYS_PER_WEEK as u32));
            let text = format!(
                "failure mode {id}: no part is alerted, for its alert looks {days} days ahead and the simulation {weeks} weeks: --horizon-weeks {needed} would do"
            );
            warn(&mut warnings, control, text);
        }
        alerts.push(looked_at);
    }
    let failed = FailedParts::new(&prepared.parts, vehicles, &starts, setup.axis, as_of_day);
    for (component, failures) in &failed.never_replaced {
        let text = format!(
            "component {component}: {failures} failures are on record and no replacement: whatever of it failed within {STANDS_DAYS} days counts as failed, not replaced (flag failed_not_replaced)"
        );
        warn(&mut warnings, control, text);
    }
    let world = World {
        calendar,
        parts: &prepared.parts,
        failed: &failed,
        vehicles,
        plan: &path_plan,
        forecast_columns: plan.forecast_days.map(column),
        alerts,
        cell_of: setup.cell_of.clone(),
        unlisted_cell: setup.unlisted_cell,
        hindsight_until_day: setup.axis.calendar_day(reader.hindsight_until_day(as_of_day)?),
        season_missing: drawn.season_missing,
        earlier_use: laws.iter().map(|law| EarlierUse::new(law.weibull_shape, &law.clock_exponents)).collect(),
        weeks_on_record,
        laws: laws.iter().map(|law| CourseLaw::new(law.weibull_shape, &law.clock_exponents)).collect(),
        courses: Courses::new(
            plan.horizon_weeks,
            delay.clone().unwrap_or_else(ReportDelay::none),
            retire_per_day * f64::from(DAYS_PER_WEEK),
            plan.count,
        ),
        ahead: MeanUse::new(&path_plan),
        sets: row_sets(&prepared.parts, &prepared.model),
        count: plan.count,
    };
    let sides = kernels()
        .into_iter()
        .zip(&seen.sums)
        .map(|(kernel, sums)| {
            let means_q48 = sums.means_q48(kernel.cohorts);
            let expected = ExpectedSums::new(setup.cells * prepared.model.modes.len(), path_plan.columns());
            Ok(Side { kernel, means_q48, open: &open_survival, backend: RwLock::new(open_survival()?), expected })
        })
        .collect::<Result<Vec<_>, BackendError>>()?;
    let silent: Vec<u32> = (0..vehicles.known as u32).filter(|&vehicle| !seen.known[vehicle as usize]).collect();
    let done = Forecasts::with_room(seen.vehicles as usize + silent.len(), prepared.parts.rows.len());
    let survivor = Survivor { world, sides, open_damage: &open_damage, done: Mutex::new(done) };
    control.emit(Event::Stage { name: "futures", total_rows: None });
    let lags = survivor.world.courses.not_yet().len();
    let scan =
        reader.vehicles(as_of_day, &calendar, lags, &|chunk| Ok(survivor.take(chunk)?), &|| Ok(survivor.restart()?))?;
    for vehicles in silent.chunks(SILENT_VEHICLES) {
        control.check()?;
        survivor.take_without_records(vehicles)?;
    }
    let Survivor { sides, done, .. } = survivor;
    let survival = sides.first().map(Side::description).unwrap_or_default();
    let mut sums = sides.into_iter().map(Side::finish).collect::<Result<Vec<_>, _>>()?;
    let known_delay = delay.clone().unwrap_or_else(ReportDelay::none);
    let followed = Followed {
        plan: &path_plan,
        laws: &laws,
        draws: &parameter_draws,
        sets: mode_sets(&prepared.parts, &row_sets(&prepared.parts, &prepared.model)),
        delay: &known_delay,
        zone_of_cell: &setup.zone_of_cell,
        count: plan.count,
    };
    let of_sides = std::iter::once(&cohorts).chain(&changed_cohorts);
    for ((sums, seen), cohorts) in sums.iter_mut().zip(&seen.sums).zip(of_sides) {
        let weeks_lives = seen.zones_lives(cohorts);
        sums.successors = pool.install(|| followed.successors(&sums.survival, &sums.expected, &weeks_lives));
    }
    let [damage, damage_why] = damage_on.into_inner().unwrap_or_else(PoisonError::into_inner);
    let survival_why = survival_why.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Results {
        as_of_day,
        as_of: day_text(prepared.dataset.axis, as_of_day),
        calendar_day: calendar.as_of_day,
        plan: path_plan,
        parameters_drawn,
        widening,
        forecasts: done.into_inner().unwrap_or_else(PoisonError::into_inner),
        sums,
        never_replaced: failed.never_replaced,
        delay: known_delay,
        retire_per_day,
        scan,
        device: format!("survival: {survival}; week profiles: {damage}"),
        device_reason: format!("survival: {survival_why}; week profiles: {damage_why}"),
        warnings,
        monitoring: None,
        cohorts_time,
        futures_time: began.elapsed().saturating_sub(cohorts_time),
        monitors_time: Duration::ZERO,
        pack_time: Duration::ZERO,
    })
}
