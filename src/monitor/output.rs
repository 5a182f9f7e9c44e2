//! The tables `alarms` and `cohorts`.
//!
//! `alarms`, sorted by vehicle id (integers by value, text bytewise), monitor, alarm day; one row a watched part:
//!
//! | column | type | meaning |
//! |---|---|---|
//! | the histories' vehicle column | Int64 or Utf8 | vehicle id |
//! | monitor, component | Utf8 | as in the model |
//! | part_started_on | Date32 (Int32 for integer periods), null | when the watched part was put in, if it is not the first |
//! | reason | Utf8 | `threshold`, `drift` or `variance`: which spoke first |
//! | onset_on | date | since when, by that detector |
//! | alarm_on | date | the first of the three that follow |
//! | threshold_on, drift_on, variance_on | date, null | when each detector spoke |
//! | assessed_on | date | last sample of the part: the figures below are as of then |
//! | baseline | Float64, null | what is normal for the vehicle, in the channel's unit |
//! | level | Float64 | where the trend is, day effects taken off |
//! | slope_per_day, slope_lower, slope_upper | Float64, null | Theil–Sen, with its 90 % interval |
//! | days_to_limit, days_to_limit_lower, days_to_limit_upper | Float64, null | from `assessed_on`; null: never at that slope, or no limit |
//! | replaced_on | date, null | when the part was replaced after its alarm |
//! | flags | Utf8 | names of [`super::alarm::Flag`]s joined by commas |
//!
//! `cohorts`, most striking first: monitor, attribute, value, vehicles, alarms, expected, ratio, p, log10_p,
//! p_adjusted, adjustment; see [`super::cohort::Cohort`].

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::alarm::Alarm;
use super::cohort::{ADJUSTMENT, Cohort};
use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::Ids;

/// An alarm and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct VehicleAlarm {
    pub vehicle: VehicleId,
    /// Index of the monitor.
    pub monitor: usize,
    pub alarm: Alarm,
}

/// An id as the histories have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VehicleId {
    Integer(i64),
    Text(String),
}

impl VehicleId {
    /// The id of a dense index.
    pub fn of(ids: &Ids, vehicle: u32) -> Option<Self> {
        match ids {
            Ids::Integer(ids) => ids.get(vehicle as usize).copied().map(Self::Integer),
            Ids::Text(ids) => ids.get(vehicle as usize).cloned().map(Self::Text),
        }
    }
}

/// What the tables say of a monitor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Names<'a> {
    pub monitor: &'a str,
    pub component: &'a str,
}

/// Columns by which the alarms are sorted, beside the vehicle's.
pub const ALARM_SORT_COLUMNS: [&str; 2] = ["monitor", "alarm_on"];
/// Column by which the cohorts are sorted.
pub const COHORT_SORT_COLUMNS: [&str; 1] = ["log10_p"];

/// Sorts alarms as the table has them.
pub fn sort_alarms(alarms: &mut [VehicleAlarm], names: &[Names]) {
    let monitor = |one: &VehicleAlarm| names.get(one.monitor).map_or("", |names| names.monitor);
    alarms.sort_by(|a, b| {
        let ids = a.vehicle.cmp(&b.vehicle);
        ids.then_with(|| monitor(a).cmp(monitor(b))).then_with(|| a.alarm.alarm_day.cmp(&b.alarm.alarm_day))
    });
}

/// The schema of `alarms`.
pub fn alarm_schema(text_ids: bool, axis: TimeAxis, vehicle_column: &str) -> SchemaRef {
    let day = match axis {
        TimeAxis::Days | TimeAxis::SecondsSince2000 => DataType::Date32,
        TimeAxis::Integer => DataType::Int32,
    };
    let id = if text_ids { DataType::Utf8 } else { DataType::Int64 };
    let date = |name: &str, nullable| Field::new(name, day.clone(), nullable);
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let number = |name: &str| Field::new(name, DataType::Float64, true);
    Arc::new(Schema::new(vec![
        Field::new(vehicle_column, id, false),
        text("monitor"),
        text("component"),
        date("part_started_on", true),
        text("reason"),
        date("onset_on", false),
        date("alarm_on", false),
        date("threshold_on", true),
        date("drift_on", true),
        date("variance_on", true),
        date("assessed_on", false),
        number("baseline"),
        Field::new("level", DataType::Float64, false),
        number("slope_per_day"),
        number("slope_lower"),
        number("slope_upper"),
        number("days_to_limit"),
        number("days_to_limit_lower"),
        number("days_to_limit_upper"),
        date("replaced_on", true),
        text("flags"),
    ]))
}

/// Rows of `alarms`.
pub fn alarm_rows(
    alarms: &[VehicleAlarm],
    names: &[Names],
    axis: TimeAxis,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let each = || alarms.iter().map(|one| &one.alarm);
    let name = |one: &VehicleAlarm, which: fn(&Names) -> String| names.get(one.monitor).map(which).unwrap_or_default();
    let texts = |which: &dyn Fn(&VehicleAlarm) -> String| -> ArrayRef {
        Arc::new(alarms.iter().map(|one| Some(which(one))).collect::<StringArray>())
    };
    let dates = |which: fn(&Alarm) -> Option<i32>| -> ArrayRef {
        let days: Vec<Option<i32>> = each().map(which).collect();
        match axis {
            TimeAxis::Days | TimeAxis::SecondsSince2000 => Arc::new(Date32Array::from(days)),
            TimeAxis::Integer => Arc::new(Int32Array::from(days)),
        }
    };
    let numbers =
        |which: fn(&Alarm) -> Option<f64>| -> ArrayRef { Arc::new(each().map(which).collect::<Float64Array>()) };
    let ids: ArrayRef = match schema.field(0).data_type() {
        DataType::Int64 => Arc::new(
            alarms
                .iter()
                .map(|one| match one.vehicle {
                    VehicleId::Integer(id) => Some(id),
                    VehicleId::Text(_) => None,
                })
                .collect::<Int64Array>(),
        ),
        _ => Arc::new(
            alarms
                .iter()
                .map(|one| match &one.vehicle {
                    VehicleId::Integer(_) => None,
                    VehicleId::Text(id) => Some(id.as_str()),
                })
                .collect::<StringArray>(),
        ),
    };
    RecordBatch::try_new(
        SchemaRef::clone(schema),
        vec![
            ids,
            texts(&|one| name(one, |names| names.monitor.to_owned())),
            texts(&|one| name(one, |names| names.component.to_owned())),
            dates(|alarm| alarm.part_started_day),
            texts(&|one| one.alarm.reason.name().to_owned()),
            dates(|alarm| Some(alarm.onset_day)),
            dates(|alarm| Some(alarm.alarm_day)),
            dates(|alarm| alarm.threshold_day),
            dates(|alarm| alarm.drift_day),
            dates(|alarm| alarm.variance_day),
            dates(|alarm| Some(alarm.assessed_day)),
            numbers(|alarm| alarm.baseline),
            numbers(|alarm| Some(alarm.level)),
            numbers(|alarm| alarm.slope_per_day),
            numbers(|alarm| alarm.slope_lower),
            numbers(|alarm| alarm.slope_upper),
            numbers(|alarm| alarm.days_to_limit.days),
            numbers(|alarm| alarm.days_to_limit.lower),
            numbers(|alarm| alarm.days_to_limit.upper),
            dates(|alarm| alarm.replaced_day),
            texts(&|one| one.alarm.flags.to_string()),
        ],
    )
}

/// The schema of `cohorts`.
pub fn cohort_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let count = |name: &str| Field::new(name, DataType::Int64, false);
    let number = |name: &str, nullable| Field::new(name, DataType::Float64, nullable);
    Arc::new(Schema::new(vec![
        text("monitor"),
        text("attribute"),
        text("value"),
        count("vehicles"),
        count("alarms"),
        number("expected", false),
        number("ratio", true),
        number("p", false),
        number("log10_p", false),
        number("p_adjusted", false),
        text("adjustment"),
    ]))
}

/// Rows of `cohorts`.
pub fn cohort_rows(cohorts: &[Cohort], names: &[Names], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let texts = |which: &dyn Fn(&Cohort) -> String| -> ArrayRef {
        Arc::new(cohorts.iter().map(|one| Some(which(one))).collect::<StringArray>())
    };
    let counts = |which: fn(&Cohort) -> u64| -> ArrayRef {
        Arc::new(cohorts.iter().map(|one| Some(which(one) as i64)).collect::<Int64Array>())
    };
    let numbers = |which: fn(&Cohort) -> Option<f64>| -> ArrayRef {
        Arc::new(cohorts.iter().map(which).collect::<Float64Array>())
    };
    RecordBatch::try_new(
        SchemaRef::clone(schema),
        vec![
            texts(&|one| names.get(one.monitor).map_or("", |names| names.monitor).to_owned()),
            texts(&|one| one.attribute.clone()),
            texts(&|one| one.value.clone()),
            counts(|one| one.vehicles),
            counts(|one| one.alarms),
            numbers(|one| Some(one.expected)),
            numbers(|one| one.ratio),
            numbers(|one| Some(one.p)),
            numbers(|one| Some(one.log10_p)),
            numbers(|one| Some(one.p_adjusted)),
            texts(&|_| ADJUSTMENT.to_owned()),
        ],
    )
}
