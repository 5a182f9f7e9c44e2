//! The table `alerts`: whom to warn, most urgent first, whatever it was that found them.
//!
//! Three things put a part on the list. Its failure is reported and it was not replaced yet, which is no prediction: such
//! a part stands there once, whatever its modes, to be acted on today. Its chance to have failed by its mode's horizon, unreported already or since,
//! reaches the mode's level: a probability, or the one at which a call and silence are expected to cost the same (`cost_false_call`,
//! `cost_missed`); not of vehicles that have been silent for half a year (flag `long_silent`), which are hardly there any
//! more to be called. Or a monitor's alarm still stands: its part was not replaced, its detectors have not fallen back to
//! zero, its vehicle is in service. *Act by* is the last whole day before the chance since today reaches the level, or
//! before the channel may meet its limit (the near bound of that day's 90 % interval). An alarm whose limit lies
//! beyond the horizon, or of which no day can be named, has none and stands after those that have one.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | urgency | Int64 | 1 for the most urgent: by act_by; of one day by chance, what has failed first and alarms, which have none, last; then by vehicle id |
//! | the histories' vehicle column | Int64 or Utf8 | vehicle id |
//! | reason | Utf8 | `failed_not_replaced`, `probability`, or the detector that spoke first: `threshold`, `drift`, `variance` |
//! | failure_mode, monitor | Utf8, one of them null, for failures both | whose level was reached |
//! | component, position | Utf8 (position: null) | which part |
//! | probability | Float64, null for others | to have failed by the horizon |
//! | horizon_days, level | Float64, null for others | of the mode's alert |
//! | days_to_limit, days_to_limit_lower, days_to_limit_upper | Float64, null | from today until the monitor's limit is met |
//! | act_by | Date32 (Int32), null | see above |
//! | as_of | Date32 (Int32) | today |
//! | flags | Utf8 | as in the forecasts or the alarms |

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};

use super::flags::{Flag, Flags, STALE_DAYS};
use super::forecast::ForecastRows;
use super::survive::PartForecast;
use super::table::{self, Columns};
use super::weeks::{DAYS_PER_WEEK, WeekAxis};
use crate::fleet::writer::WriteError;
use crate::monitor::alarm::{self, Alarm};
use crate::monitor::output::{Names, VehicleAlarm};
use crate::monitor::slope::DaysToLimit;

pub const SORT_COLUMNS: [&str; 1] = ["urgency"];

/// What the monitors found, as far as alerts go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watched<'a> {
    pub monitors: &'a [Names<'a>],
    pub alarms: &'a [VehicleAlarm],
}

/// A part to warn of.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    pub vehicle: u32,
    /// On the dataset's axis.
    pub act_by_day: Option<i32>,
    pub reason: Reason,
}

/// What speaks for a warning.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// Its failure is reported. `row`: as below, the first of the part's.
    Failed { row: usize, part: PartForecast },
    /// `row`: index into [`crate::score::parts::Parts::rows`].
    Probability { row: usize, probability: f64, part: PartForecast },
    /// `monitor`: index into [`Watched::monitors`]. Days count from today.
    Alarm { monitor: usize, reason: alarm::Reason, days_to_limit: DaysToLimit, flags: alarm::Flags, silent: bool },
}

/// All alerts, most urgent first.
pub fn alerts(forecasts: &ForecastRows, axis: WeekAxis, horizon_weeks: usize, watched: Watched) -> Vec<Alert> {
    let today = axis.calendar_day(forecasts.as_of_day);
    let act_by_day = |days: u32| axis.axis_day(today.saturating_add_unsigned(days));
    // By place among the vehicles.
    let mut alerts: Vec<(usize, Alert)> = Vec::new();
    for (place, (vehicle, parts)) in forecasts.vehicles().enumerate() {
        for (row, part) in parts.iter().enumerate() {
            if part.flags.has(Flag::FailedNotReplaced) {
                let rows = &forecasts.parts.rows;
                if rows[..row].iter().all(|other| other.part != rows[row].part) {
                    let reason = Reason::Failed { row, part: *part };
                    let act_by_day = Some(forecasts.as_of_day);
                    alerts.push((place, Alert { vehicle: vehicle.vehicle, act_by_day, reason }));
                }
                continue;
            }
            let mode = &forecasts.model.modes[forecasts.parts.rows[row].mode];
            let (Some(alert), Some(sum)) = (mode.alert, part.alert_q48) else { continue };
            let probability = forecasts.chance(sum);
            if probability >= alert.probability && !part.flags.has(Flag::LongSilent) {
                let act_by_day = Some(act_by_day(part.alert_tenths.saturating_sub(1) / 10));
                let reason = Reason::Probability { row, probability, part: *part };
                alerts.push((place, Alert { vehicle: vehicle.vehicle, act_by_day, reason }));
            }
        }
    }
    let horizon_days = f64::from(DAYS_PER_WEEK) * horizon_weeks as f64;
    for one in watched.alarms {
        let alarm = &one.alarm;
        let stands = alarm.replaced_day.is_none() && !alarm.flags.has(alarm::Flag::Receded);
        let Some((place, vehicle)) = forecasts.find(&one.vehicle).filter(|_| stands) else { continue };
        let silent_days = today.saturating_sub(axis.calendar_day(alarm.assessed_day));
        let days_to_limit = left(alarm, silent_days);
        let near = days_to_limit.lower.filter(|&days| days <= horizon_days);
        let reason = Reason::Alarm {
            monitor: one.monitor,
            reason: alarm.reason,
            days_to_limit,
            flags: alarm.flags,
            silent: silent_days > STALE_DAYS,
        };
        // The last whole day before, as in tenths of a day above.
        let act_by_day = near.map(|days| act_by_day((libm::ceil(days) - 1.0).max(0.0) as u32));
        alerts.push((place, Alert { vehicle, act_by_day, reason }));
    }
    let chance = |alert: &Alert| match alert.reason {
        Reason::Failed { .. } => f64::INFINITY,
        Reason::Probability { probability, .. } => probability,
        Reason::Alarm { .. } => f64::NEG_INFINITY,
    };
    let day = |alert: &Alert| (alert.act_by_day.is_none(), alert.act_by_day);
    alerts.sort_by(|(a_place, a), (b_place, b)| {
        day(a).cmp(&day(b)).then_with(|| chance(b).total_cmp(&chance(a))).then_with(|| a_place.cmp(b_place))
    });
    alerts.into_iter().map(|(_, alert)| alert).collect()
}

/// Days to the limit from today; those of the alarm count from its last sample.
fn left(alarm: &Alarm, silent_days: i32) -> DaysToLimit {
    let left = |days: f64| (days - f64::from(silent_days)).max(0.0);
    let DaysToLimit { days, lower, upper } = alarm.days_to_limit;
    DaysToLimit { days: days.map(left), lower: lower.map(left), upper: upper.map(left) }
}

/// The table, in one batch.
pub fn batch(
    alerts: &[Alert],
    forecasts: &ForecastRows,
    watched: Watched,
    vehicle_column: &str,
) -> Result<RecordBatch, WriteError> {
    let row_of = |alert: &Alert| match alert.reason {
        Reason::Failed { row, .. } | Reason::Probability { row, .. } => Some(&forecasts.parts.rows[row]),
        Reason::Alarm { .. } => None,
    };
    // A failure is a part's; which of its modes it was, events do not say.
    let mode_of = |alert: &Alert| match alert.reason {
        Reason::Probability { row, .. } => Some(&forecasts.model.modes[forecasts.parts.rows[row].mode]),
        Reason::Failed { .. } | Reason::Alarm { .. } => None,
    };
    let part_of = |alert: &Alert| row_of(alert).map(|row| &forecasts.parts.parts[row.part]);
    let monitor_of = |alert: &Alert| match alert.reason {
        Reason::Alarm { monitor, .. } => watched.monitors.get(monitor),
        Reason::Failed { .. } | Reason::Probability { .. } => None,
    };
    let limit_of = |alert: &Alert| match alert.reason {
        Reason::Alarm { days_to_limit, .. } => days_to_limit,
        Reason::Failed { .. } | Reason::Probability { .. } => DaysToLimit::default(),
    };
    let probability_of = |alert: &Alert| match alert.reason {
        Reason::Probability { probability, .. } => Some(probability),
        Reason::Failed { .. } | Reason::Alarm { .. } => None,
    };
    let reason_of = |alert: &Alert| match alert.reason {
        Reason::Failed { .. } => "failed_not_replaced",
        Reason::Probability { .. } => "probability",
        Reason::Alarm { reason, .. } => reason.name(),
    };
    let component_of = |alert: &Alert| -> Option<&str> {
        part_of(alert).map(|part| part.component.as_str()).or_else(|| monitor_of(alert).map(|names| names.component))
    };
    let numbers =
        |of: &dyn Fn(&Alert) -> Option<f64>| -> ArrayRef { Arc::new(alerts.iter().map(of).collect::<Float64Array>()) };
    let limits = |alert: &Alert| mode_of(alert).and_then(|mode| mode.alert);
    let vehicles: Vec<u32> = alerts.iter().map(|alert| alert.vehicle).collect();
    let flags: Vec<String> = alerts.iter().map(flags).collect();
    let mut columns = Columns::new();
    let urgency: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=alerts.len() as i64));
    columns.add("urgency", false, urgency);
    columns.add(vehicle_column, false, table::ids(forecasts.ids, &vehicles));
    columns.add("reason", false, table::texts(alerts.iter().map(|alert| Some(reason_of(alert)))));
    let modes = alerts.iter().map(|alert| mode_of(alert).map(|mode| mode.id.as_str()));
    columns.add("failure_mode", true, table::texts(modes));
    columns.add("monitor", true, table::texts(alerts.iter().map(|alert| monitor_of(alert).map(|names| names.monitor))));
    columns.add("component", false, table::texts(alerts.iter().map(component_of)));
    let positions = alerts.iter().map(|alert| part_of(alert).and_then(|part| part.position.as_deref()));
    columns.add("position", true, table::texts(positions));
    columns.add("probability", true, numbers(&probability_of));
    columns.add("horizon_days", true, numbers(&|alert| limits(alert).map(|limits| limits.horizon_days)));
    columns.add("level", true, numbers(&|alert| limits(alert).map(|limits| limits.probability)));
    columns.add("days_to_limit", true, numbers(&|alert| limit_of(alert).days));
    columns.add("days_to_limit_lower", true, numbers(&|alert| limit_of(alert).lower));
    columns.add("days_to_limit_upper", true, numbers(&|alert| limit_of(alert).upper));
    let act_by = alerts.iter().map(|alert| alert.act_by_day).collect();
    columns.add("act_by", true, table::days(forecasts.axis, act_by));
    columns.add("as_of", false, table::days(forecasts.axis, vec![Some(forecasts.as_of_day); alerts.len()]));
    columns.add("flags", false, table::texts(flags.iter().map(|flags| Some(flags.as_str()))));
    columns.batch()
}

/// Names of remarks, joined by commas.
fn flags(alert: &Alert) -> String {
    match &alert.reason {
        Reason::Failed { part, .. } | Reason::Probability { part, .. } => part.flags.to_string(),
        Reason::Alarm { flags, silent, .. } => {
            let mut own = Flags::default();
            own.raise(Flag::NoRecentRecords, *silent);
            let texts = [flags.to_string(), own.to_string()];
            texts.iter().filter(|text| !text.is_empty()).map(String::as_str).collect::<Vec<_>>().join(",")
        }
    }
}
