//! What came of watching, and its way into an output folder.

use serde::Serialize;

use super::error::EngineError;
use crate::fleet::dataset::Dataset;
use crate::fleet::time::TimeAxis;
use crate::fleet::writer::{ContentHasher, OutputFolder, TableSpec};
use crate::model::spec::Monitor;
use crate::monitor::cohort::Cohort;
use crate::monitor::output::{
    ALARM_SORT_COLUMNS, COHORT_SORT_COLUMNS, Names, VehicleAlarm, alarm_rows, alarm_schema, cohort_rows, cohort_schema,
};
use crate::monitor::rules::Rules;

/// Rows made at a time.
const BATCH_ROWS: usize = 1 << 13;

/// Alarms, cohorts and what the watch went by.
#[derive(Clone, Debug)]
pub struct Monitoring {
    /// In the order of the model.
    pub monitors: Vec<MonitorSummary>,
    /// Sorted by vehicle id, monitor, alarm day.
    pub alarms: Vec<VehicleAlarm>,
    /// Most striking first.
    pub cohorts: Vec<Cohort>,
    pub warnings: Vec<String>,
    /// Rows that were watched.
    pub rows: u64,
    /// Whether ids are text.
    pub text_ids: bool,
    axis: TimeAxis,
    vehicle_column: String,
}

/// What one monitor went by, and how much it watched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MonitorSummary {
    pub monitor: String,
    pub component: String,
    pub channel: String,
    /// Parts with at least one sample: a vehicle's first part, and one more after each replacement.
    pub parts: u64,
    pub parts_with_baseline: u64,
    /// Samples at risk of a statistical alarm, and the days that each stands for.
    pub samples_watched: u64,
    pub days_per_sample: f64,
    pub baseline_samples: usize,
    pub false_alarms_per_100000_days: f64,
    /// Correlation of neighbouring residuals, and the vehicles it was estimated from (0: assumed).
    pub lag1: f64,
    pub law_vehicles: usize,
    pub drift_limit: f64,
    pub variance_limit: f64,
    pub simulated_paths: usize,
    /// Whether what all lots do on a day was taken off.
    pub has_day_effects: bool,
    /// Alarms by the detector that spoke first.
    pub threshold_alarms: u64,
    pub drift_alarms: u64,
    pub variance_alarms: u64,
}

impl MonitorSummary {
    pub(super) fn new(monitor: &Monitor, rules: &Rules) -> Self {
        Self {
            monitor: monitor.id.clone(),
            component: monitor.component.clone(),
            channel: monitor.channel.clone(),
            parts: 0,
            parts_with_baseline: 0,
            samples_watched: 0,
            days_per_sample: rules.steps.days_per_sample(),
            baseline_samples: rules.baseline_samples,
            false_alarms_per_100000_days: monitor.false_alarms_per_100000_days,
            lag1: rules.law.lag1,
            law_vehicles: rules.law.vehicles,
            drift_limit: rules.limits.drift,
            variance_limit: rules.limits.variance,
            simulated_paths: rules.limits.paths,
            has_day_effects: rules.reference.has_effects,
            threshold_alarms: 0,
            drift_alarms: 0,
            variance_alarms: 0,
        }
    }
}

impl Monitoring {
    pub(super) fn new(dataset: &Dataset) -> Self {
        Self {
            monitors: Vec::new(),
            alarms: Vec::new(),
            cohorts: Vec::new(),
            warnings: Vec::new(),
            rows: 0,
            text_ids: dataset.ids.kind() == crate::fleet::ids::IdKind::Text,
            axis: dataset.axis,
            vehicle_column: dataset.dictionary.histories.vehicle.clone(),
        }
    }

    pub(super) fn warn_of(&mut self, monitor: &Monitor, rules: &Rules) {
        let id = &monitor.id;
        if rules.law.vehicles == 0 {
            self.warnings.push(format!(
                "monitor {id}: too few vehicles have the {} samples of a baseline: limits rest on an assumed law",
                rules.baseline_samples
            ));
        }
        if !rules.reference.has_effects && monitor.lot.is_some() {
            self.warnings.push(format!(
                "monitor {id}: too few lots to tell what the whole fleet does on a day: nothing is taken off"
            ));
        }
    }

    /// What tables call the monitors.
    pub fn names(&self) -> Vec<Names<'_>> {
        self.monitors.iter().map(|one| Names { monitor: &one.monitor, component: &one.component }).collect()
    }

    /// Writes the tables `alarms` and `cohorts`, `provenance` into their metadata; their content hashes, by table.
    pub fn write(
        &self,
        folder: &OutputFolder,
        provenance: &[(String, String)],
    ) -> Result<[(&'static str, String); 2], EngineError> {
        self.tables(Some((folder, provenance)))
    }

    /// The content hashes of what [`Monitoring::write`] writes.
    pub fn content_hashes(&self) -> Result<[(&'static str, String); 2], EngineError> {
        self.tables(None)
    }

    fn tables(
        &self,
        folder: Option<(&OutputFolder, &[(String, String)])>,
    ) -> Result<[(&'static str, String); 2], EngineError> {
        let names = self.names();
        let schema = alarm_schema(self.text_ids, self.axis, &self.vehicle_column);
        let sort_columns: Vec<&str> = std::iter::once(self.vehicle_column.as_str()).chain(ALARM_SORT_COLUMNS).collect();
        let spec = TableSpec::new("alarms", schema, &sort_columns);
        let rows = |batch: &[VehicleAlarm]| alarm_rows(batch, &names, self.axis, &spec.schema);
        let alarms = table(&self.alarms, rows, &spec, folder)?;
        let spec = TableSpec::new("cohorts", cohort_schema(), &COHORT_SORT_COLUMNS);
        let rows = |batch: &[Cohort]| cohort_rows(batch, &names, &spec.schema);
        let cohorts = table(&self.cohorts, rows, &spec, folder)?;
        Ok([("alarms", alarms), ("cohorts", cohorts)])
    }
}

/// Hashes a table and writes it if there is a folder.
fn table<T>(
    rows: &[T],
    batch: impl Fn(&[T]) -> Result<arrow::array::RecordBatch, arrow::error::ArrowError>,
    spec: &TableSpec,
    folder: Option<(&OutputFolder, &[(String, String)])>,
) -> Result<String, EngineError> {
    let mut hasher = ContentHasher::new(spec.schema.clone())?;
    let mut writer = folder.map(|(folder, provenance)| {
        let mut spec = spec.clone();
        spec.key_value_metadata = provenance.to_vec();
        folder.table_writer(spec)
    });
    for rows in rows.chunks(BATCH_ROWS) {
        let batch = batch(rows)?;
        hasher.update(&batch)?;
        if let Some(writer) = &mut writer {
            writer.write(&batch)?;
        }
    }
    if let Some(writer) = writer {
        writer.close()?;
    }
    Ok(hasher.finish())
}
