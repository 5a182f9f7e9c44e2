//! The table `alerts`: whom to warn, soonest first.
//!
//! A part is listed if its chance to have failed by its mode's horizon, unreported already or since, reaches the mode's level: a probability, or the one
//! at which a call and silence are expected to cost the same (`cost_false_call`, `cost_missed`). *Act by* is the last
//! whole day before the chance since today reaches the level.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | the histories' vehicle column | Int64 or Utf8 | vehicle id |
//! | failure_mode, component, position | Utf8 (position: null) | which part |
//! | reason | Utf8 | `probability` |
//! | probability | Float64 | to have failed by the horizon |
//! | horizon_days, level | Float64 | of the mode's alert |
//! | act_by | Date32 (Int32) | see above |
//! | as_of | Date32 (Int32) | today |
//! | flags | Utf8 | as in the forecasts |

use std::sync::Arc;

use arrow::array::{Float64Array, RecordBatch};

use super::forecast::ForecastRows;
use super::survive::PartForecast;
use super::table::{self, Columns};
use super::weeks::WeekAxis;
use crate::fleet::writer::WriteError;

pub const SORT_COLUMNS: [&str; 1] = ["act_by"];

/// A part to warn of.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    pub vehicle: u32,
    /// Index into [`crate::score::parts::Parts::rows`].
    pub row: usize,
    pub probability: f64,
    /// On the dataset's axis.
    pub act_by_day: i32,
    pub part: PartForecast,
}

/// All alerts, soonest first; on one day in the order of the forecasts.
pub fn alerts(forecasts: &ForecastRows, axis: WeekAxis) -> Vec<Alert> {
    let today = axis.calendar_day(forecasts.as_of_day);
    let mut alerts = Vec::new();
    for (vehicle, parts) in forecasts.vehicles() {
        for (row, part) in parts.iter().enumerate() {
            let mode = &forecasts.model.modes[forecasts.parts.rows[row].mode];
            let (Some(alert), Some(sum)) = (mode.alert, part.alert_q48) else { continue };
            let probability = forecasts.chance(sum);
            if probability >= alert.probability {
                let days = part.alert_tenths.saturating_sub(1) / 10;
                let act_by_day = axis.axis_day(today.saturating_add_unsigned(days));
                alerts.push(Alert { vehicle: vehicle.vehicle, row, probability, act_by_day, part: *part });
            }
        }
    }
    alerts.sort_by_key(|alert| alert.act_by_day);
    alerts
}

/// The table, in one batch.
pub fn batch(alerts: &[Alert], forecasts: &ForecastRows, vehicle_column: &str) -> Result<RecordBatch, WriteError> {
    let template = |alert: &Alert| &forecasts.parts.rows[alert.row];
    let part = |alert: &Alert| &forecasts.parts.parts[template(alert).part];
    let mode = |alert: &Alert| &forecasts.model.modes[template(alert).mode];
    let numbers = |of: &dyn Fn(&Alert) -> f64| {
        Arc::new(Float64Array::from_iter_values(alerts.iter().map(of))) as arrow::array::ArrayRef
    };
    let limits = |alert: &Alert| mode(alert).alert.map_or((0.0, 0.0), |one| (one.horizon_days, one.probability));
    let vehicles: Vec<u32> = alerts.iter().map(|alert| alert.vehicle).collect();
    let flags: Vec<String> = alerts.iter().map(|alert| alert.part.flags.to_string()).collect();
    let mut columns = Columns::new();
    columns.add(vehicle_column, false, table::ids(forecasts.ids, &vehicles));
    columns.add("failure_mode", false, table::texts(alerts.iter().map(|alert| Some(mode(alert).id.as_str()))));
    columns.add("component", false, table::texts(alerts.iter().map(|alert| Some(part(alert).component.as_str()))));
    columns.add("position", true, table::texts(alerts.iter().map(|alert| part(alert).position.as_deref())));
    columns.add("reason", false, table::texts(alerts.iter().map(|_| Some("probability"))));
    columns.add("probability", false, numbers(&|alert| alert.probability));
    columns.add("horizon_days", false, numbers(&|alert| limits(alert).0));
    columns.add("level", false, numbers(&|alert| limits(alert).1));
    let act_by = alerts.iter().map(|alert| Some(alert.act_by_day)).collect();
    columns.add("act_by", false, table::days(forecasts.axis, act_by));
    columns.add("as_of", false, table::days(forecasts.axis, vec![Some(forecasts.as_of_day); alerts.len()]));
    columns.add("flags", false, table::texts(flags.iter().map(|flags| Some(flags.as_str()))));
    columns.batch()
}
