//! From a simulation's sums to its tables, manifest and report.

use std::time::{Duration, Instant};

use super::error::EngineError;
use super::monitor_report::Monitoring;
use super::prepare::Prepared;
use super::simulate_monitors::findings;
use super::simulate_plan::{
    CountLaws, ExpectedCount, ExpectedDifference, KeptForecasts, SimulateNight, SimulatePlan, SimulateReport,
};
use super::simulate_setup::Setup;
use super::simulate_urgent::{NAMED, urgent};
use crate::backend::survival::PathPlan;
use crate::fleet::kept::read::KeptHistories;
use crate::fleet::manifest::{Manifest, ManifestAccount, ManifestModel, StageTiming};
use crate::fleet::scan::ScanReport;
use crate::fleet::state::consumed::earlier_inputs;
use crate::fleet::writer::{OutputFolder, WriteError};
use crate::simulate::alerts::Watched;
use crate::simulate::expected::FleetSums;
use crate::simulate::fleet_forecast::{self, CountForecast, Counting, Window};
use crate::simulate::forecast::{self, ForecastRows};
use crate::simulate::report_delay::ReportDelay;
use crate::simulate::scenario::Difference;
use crate::simulate::survive::{FORECAST_DAYS, Forecasts};
use crate::simulate::{alerts, scenario, table};

/// Of a mean Gregorian year.
const DAYS_PER_YEAR: f64 = 365.2425;

/// What both passes left behind.
pub struct Results {
    /// On the dataset's axis, as text, and on the calendar.
    pub as_of_day: i32,
    pub as_of: String,
    pub calendar_day: i32,
    pub plan: PathPlan,
    pub parameters_drawn: bool,
    /// [`crate::simulate::few_years::factors`].
    pub widening: Vec<Vec<f64>>,
    pub forecasts: Forecasts,
    /// Of the model, and of the scenario after it.
    pub sums: Vec<FleetSums>,
    /// [`crate::simulate::failed_parts::FailedParts::never_replaced`].
    pub never_replaced: Vec<(String, u64)>,
    pub delay: ReportDelay,
    pub retire_per_day: f64,
    pub scan: ScanReport,
    pub device: String,
    pub device_reason: String,
    pub warnings: Vec<String>,
    /// `None`: no monitor ran.
    pub monitoring: Option<Monitoring>,
    /// The first pass of the futures, the second, and both of the monitors.
    pub cohorts_time: Duration,
    pub futures_time: Duration,
    pub monitors_time: Duration,
    /// Packing the files, or what is new of them.
    pub pack_time: Duration,
}

/// Makes the tables on the current rayon pool and, where there is a folder, writes it.
#[expect(clippy::too_many_arguments, reason = "the one place where a simulation's results meet")]
pub fn written(
    plan: &SimulatePlan,
    prepared: &Prepared,
    setup: &Setup,
    kept: Option<&KeptHistories>,
    results: Results,
    warnings: Vec<String>,
    folder: Option<OutputFolder>,
    began: Instant,
) -> Result<SimulateReport, EngineError> {
    let Results { plan: paths, forecasts, sums, scan, .. } = &results;
    let model = &prepared.model;
    let mode_ids: Vec<String> = model.modes.iter().map(|mode| mode.id.clone()).collect();
    let modes = mode_ids.len();
    let column = &prepared.dataset.dictionary.histories.vehicle;
    let day = (setup.axis.axis, results.as_of_day);
    let rows = ForecastRows::new(model, &prepared.parts, &scan.ids, forecasts, paths.paths, day, plan.forecast_days);
    let counting = Counting {
        plan: paths,
        modes,
        groups: &setup.groups,
        as_of_day: results.calendar_day,
        kind: plan.count,
        delay: &results.delay,
        widening: &results.widening,
        zone_of_cell: &setup.zone_of_cell,
        parameters_drawn: results.parameters_drawn,
        keep_laws: plan.keep_laws,
    };
    let counts = sums.first().map(|sums| counting.rows(sums)).unwrap_or_default();
    let names = results.monitoring.as_ref().map(Monitoring::names).unwrap_or_default();
    let alarms = results.monitoring.as_ref().map(|found| found.alarms.as_slice()).unwrap_or_default();
    let watched = Watched { monitors: &names, alarms };
    let warned = alerts::alerts(&rows, setup.axis, plan.horizon_weeks, watched);
    let differences = match sums.as_slice() {
        [base, changed] => scenario::differences((base, changed), &counting),
        _ => Vec::new(),
    };

    let provenance = provenance(prepared, &results.as_of, plan);
    let tables = Tables { folder: folder.as_ref(), provenance: &provenance };
    let sorted: Vec<&str> = std::iter::once(column.as_str()).chain(forecast::SORT_COLUMNS).collect();
    let mut hashes = vec![
        ("forecasts", tables.write("forecasts", &sorted, rows.batches(column))?),
        (
            "fleet_forecast",
            tables.write(
                "fleet_forecast",
                &fleet_forecast::SORT_COLUMNS,
                fleet_forecast::batches(&counts, &setup.groups, &mode_ids, setup.axis, plan.count),
            )?,
        ),
        ("alerts", tables.write("alerts", &alerts::SORT_COLUMNS, [alerts::batch(&warned, &rows, watched, column)])?),
    ];
    if setup.changed.is_some() {
        let batches = scenario::batches(&differences, &setup.groups, &mode_ids, setup.axis);
        hashes.push((
            "scenario_difference",
            tables.write("scenario_difference", &fleet_forecast::SORT_COLUMNS, batches)?,
        ));
    }
    if let Some(monitoring) = &results.monitoring {
        hashes.extend(match &folder {
            Some(folder) => monitoring.write(folder, &provenance)?,
            None => monitoring.content_hashes()?,
        });
    }
    let mut whole = blake3::Hasher::new();
    for (name, hash) in &hashes {
        whole.update(format!("{name} {hash}\n").as_bytes());
    }
    let content_hash = whole.finalize().to_hex().to_string();
    let mut details = serde_json::Map::new();
    for (name, hash) in hashes {
        details.insert(format!("content_hash.{name}"), hash.into());
    }
    details.insert("vehicles".to_owned(), forecasts.vehicles.len().into());
    details.insert("retired_vehicles".to_owned(), forecasts.retired.into());
    details.insert("source_weeks".to_owned(), paths.source_weeks.into());
    details.insert("retired_per_vehicle_year".to_owned(), (results.retire_per_day * DAYS_PER_YEAR).into());
    details.insert("report_delay_mean_days".to_owned(), known_delay(&results.delay).into());
    let never_replaced =
        results.never_replaced.iter().map(|(component, failures)| (component.clone(), (*failures).into()));
    details.insert("failures_never_replaced".to_owned(), serde_json::Value::Object(never_replaced.collect()));
    details.insert("report_delay_events".to_owned(), results.delay.events.into());
    if let Some(monitoring) = &results.monitoring {
        details.insert("monitored_rows".to_owned(), monitoring.rows.into());
        let monitors = serde_json::to_value(&monitoring.monitors);
        details.insert(
            "monitors".to_owned(),
            monitors.map_err(|error| EngineError::Internal { what: error.to_string() })?,
        );
    }
    let changed_most = changed_most(&differences, setup, &mode_ids, results.calendar_day);
    if let Some(changed) = &setup.changed {
        let largest = serde_json::to_value(&changed_most);
        let largest = largest.map_err(|error| EngineError::Internal { what: error.to_string() })?;
        details.insert("scenario_largest_differences".to_owned(), largest);
        details.insert("scenario".to_owned(), changed.scenario.name.clone().into());
        details.insert("scenario_blake3".to_owned(), changed.scenario.hash.clone().into());
    }
    let base = &prepared.dataset.dictionary.histories.files.base;
    let earlier = kept.map(|kept| earlier_inputs(&kept.record.consumed, scan, base)).unwrap_or_default();
    let night = kept.map(|kept| SimulateNight {
        begun: kept.begun,
        files: scan.inputs.len(),
        files_of_state: kept.record.consumed.len(),
        runs: kept.record.runs.len(),
        rows_kept: kept.record.runs.iter().map(|run| run.rows).sum(),
        account_of_state: kept.record.account.clone(),
    });
    if let Some(night) = &night {
        let night = serde_json::to_value(night);
        details.insert("state".to_owned(), night.map_err(|error| EngineError::Internal { what: error.to_string() })?);
    }
    let seconds = began.elapsed().as_secs_f64();
    let manifest = Manifest {
        command: "simulate".to_owned(),
        options: options(plan, &results),
        model: Some(ManifestModel {
            name: model.name.clone(),
            version: model.version.clone(),
            blake3: model.hash.clone(),
        }),
        dictionary_blake3: Some(prepared.dictionary_blake3.clone()),
        as_of: Some(results.as_of.clone()),
        inputs: earlier.into_iter().chain(prepared.dataset.manifest_inputs(&scan.inputs)).collect(),
        table_rows: prepared.dataset.table_rows(),
        account: Some(ManifestAccount::from(&scan.account)),
        content_hash: Some(content_hash.clone()),
        warnings: warnings.clone(),
        device: results.device.clone(),
        device_reason: results.device_reason.clone(),
        threads: plan.threads,
        timings: vec![
            StageTiming { stage: "pack".to_owned(), seconds: results.pack_time.as_secs_f64() },
            StageTiming { stage: "cohorts".to_owned(), seconds: results.cohorts_time.as_secs_f64() },
            StageTiming { stage: "futures".to_owned(), seconds: results.futures_time.as_secs_f64() },
            StageTiming { stage: "monitors".to_owned(), seconds: results.monitors_time.as_secs_f64() },
            StageTiming { stage: "total".to_owned(), seconds },
        ],
        details,
        ..Manifest::default()
    };
    let report = SimulateReport {
        out: plan.out.clone(),
        vehicles: forecasts.vehicles.len() as u64,
        retired: forecasts.retired,
        rows: rows.rows() as u64,
        alerts: warned.len() as u64,
        monitors: results.monitoring.as_ref().map(findings).unwrap_or_default(),
        account: scan.account.clone(),
        unreadable: scan.unreadable.clone(),
        scan_kind: scan.kind,
        as_of: results.as_of.clone(),
        as_of_day: results.as_of_day,
        calendar_day: results.calendar_day,
        content_hash,
        device: results.device.clone(),
        device_reason: results.device_reason.clone(),
        warnings,
        urgent: urgent(&warned, &rows, watched),
        laws: laws(&counts, setup, &mode_ids),
        forecasts: plan.keep_forecasts.then(|| KeptForecasts {
            ids: scan.ids.clone(),
            parts: prepared.parts.clone(),
            forecasts: forecasts.clone(),
            paths: paths.paths,
        }),
        alarms: if plan.keep_alarms { alarms.to_vec() } else { Vec::new() },
        counts: largest(&counts, setup, &mode_ids, results.calendar_day),
        differences: changed_most,
        seconds,
        manifest,
        night,
    };
    match folder {
        None => Ok(report),
        Some(folder) => Ok(SimulateReport { manifest: folder.finish(report.manifest.clone())?, ..report }),
    }
}

/// The mean delay of a report, if it is known.
fn known_delay(delay: &ReportDelay) -> Option<f64> {
    (delay.events > 0).then_some(delay.mean_days)
}

/// Where tables go.
struct Tables<'a> {
    folder: Option<&'a OutputFolder>,
    provenance: &'a [(String, String)],
}

impl Tables<'_> {
    /// Writes a table if there is a folder; its content hash in any case.
    fn write(
        &self,
        name: &str,
        sort_columns: &[&str],
        batches: impl IntoIterator<Item = Result<arrow::array::RecordBatch, WriteError>>,
    ) -> Result<String, WriteError> {
        match self.folder {
            Some(folder) => table::write(folder, name, sort_columns, self.provenance, batches),
            None => table::hash(batches),
        }
    }
}

/// The laws that were kept.
fn laws(counts: &[CountForecast], setup: &Setup, mode_ids: &[String]) -> Vec<CountLaws> {
    let kept = counts.iter().filter(|row| !row.laws.is_empty());
    let named = kept.map(|row| CountLaws {
        group_by: setup.groups[row.group].group_by.clone(),
        group: setup.groups[row.group].value.clone(),
        failure_mode: mode_ids[row.mode].clone(),
        window: row.window,
        expected: row.expected,
        variance: row.variance,
        on_paths: row.laws.clone(),
        large: row.large.clone(),
    });
    named.collect()
}

/// Of rows about windows of groups those of the groups' values (of the fleet, where there is no other group) over the
/// longest of the forecasts' windows that the horizon holds, and its days.
fn of_longest<'r, Row>(
    rows: &'r [Row],
    key: fn(&Row) -> (usize, Window),
    setup: &Setup,
    today: i32,
) -> (Vec<&'r Row>, i32) {
    let by_value = setup.groups.iter().any(|group| group.value.is_some());
    let asked = |row: &&Row| {
        let (group, window) = key(row);
        window.name == "to_date" && setup.groups[group].value.is_some() == by_value
    };
    let days = |row: &Row| key(row).1.days.1 - today;
    let usual = |days: i32| FORECAST_DAYS.iter().any(|&usual| usual as i32 == days);
    let longest = rows.iter().filter(asked).map(days).filter(|&days| usual(days)).max();
    (rows.iter().filter(asked).filter(|row| Some(days(row)) == longest).collect(), longest.unwrap_or(0))
}

fn name_of(group: usize, setup: &Setup) -> String {
    let group = &setup.groups[group];
    group.value.clone().unwrap_or_else(|| group.group_by.clone())
}

/// The largest counts.
fn largest(counts: &[CountForecast], setup: &Setup, mode_ids: &[String], today: i32) -> Vec<ExpectedCount> {
    let (mut rows, days) = of_longest(counts, |row| (row.group, row.window), setup, today);
    rows.sort_by(|a, b| b.expected.total_cmp(&a.expected));
    let count = |row: &CountForecast| ExpectedCount {
        group: name_of(row.group, setup),
        failure_mode: mode_ids[row.mode].clone(),
        days,
        expected: row.expected,
        p05: row.quantiles[0],
        p95: row.quantiles[2],
    };
    rows.into_iter().take(NAMED).map(count).collect()
}

/// The largest differences that a scenario makes, up or down.
fn changed_most(differences: &[Difference], setup: &Setup, mode_ids: &[String], today: i32) -> Vec<ExpectedDifference> {
    let (mut rows, days) = of_longest(differences, |row| (row.key.0, row.key.2), setup, today);
    let size = |row: &Difference| (row.expected_scenario - row.expected).abs();
    rows.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let difference = |row: &Difference| ExpectedDifference {
        group: name_of(row.key.0, setup),
        failure_mode: mode_ids[row.key.1].clone(),
        days,
        expected: row.expected,
        expected_scenario: row.expected_scenario,
        difference_p05: row.bounds[0],
        difference_p95: row.bounds[1],
    };
    rows.into_iter().take(NAMED).map(difference).collect()
}

fn provenance(prepared: &Prepared, as_of: &str, plan: &SimulatePlan) -> Vec<(String, String)> {
    vec![
        ("fleetwear.as_of".to_owned(), as_of.to_owned()),
        ("fleetwear.dictionary_blake3".to_owned(), prepared.dictionary_blake3.clone()),
        ("fleetwear.model".to_owned(), format!("{} {}", prepared.model.name, prepared.model.version)),
        ("fleetwear.model_blake3".to_owned(), prepared.model.hash.clone()),
        ("fleetwear.seed".to_owned(), plan.seed.to_string()),
        ("fleetwear.counts".to_owned(), plan.count.name().to_owned()),
    ]
}

/// The options that bear on the content.
fn options(plan: &SimulatePlan, results: &Results) -> serde_json::Map<String, serde_json::Value> {
    let mut options = serde_json::Map::new();
    options.insert("model".to_owned(), plan.model.clone().into());
    options.insert("as_of_day".to_owned(), results.as_of_day.into());
    options.insert("paths".to_owned(), plan.paths.into());
    options.insert("horizon_weeks".to_owned(), plan.horizon_weeks.into());
    options.insert("groups".to_owned(), plan.groups.clone().into());
    options.insert("zones".to_owned(), plan.zones.clone().into());
    options.insert("seed".to_owned(), plan.seed.into());
    options.insert("count".to_owned(), plan.count.name().into());
    options.insert("monitors".to_owned(), plan.monitors.into());
    options.insert("false_alarms_per_100000_days".to_owned(), plan.false_alarms_per_100000_days.into());
    options
}
