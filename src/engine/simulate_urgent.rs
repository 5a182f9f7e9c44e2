//! The vehicles to look at first: those of the alerts, most urgent first, each with all that speaks for it. Where fewer
//! are alerted than are named, those follow whose parts are the likeliest to fail, without a day to act by.

use super::report::day_text;
use crate::fleet::vehicles::Ids;
use crate::simulate::alerts::{Alert, Reason, Watched};
use crate::simulate::flags::Flag;
use crate::simulate::forecast::ForecastRows;
use crate::simulate::survive::PartForecast;

/// Vehicles that a report names.
pub const NAMED: usize = 10;

/// A vehicle with what speaks for looking at it.
#[derive(Clone, Debug, PartialEq)]
pub struct UrgentVehicle {
    pub vehicle: String,
    /// The nearest of its alerts' days, as text.
    pub act_by: Option<String>,
    /// Most urgent first.
    pub concerns: Vec<Concern>,
}

/// One part of a vehicle that needs attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Concern {
    pub component: String,
    pub position: Option<String>,
    pub what: What,
}

/// Why it does.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Its failure is reported, and it was not replaced yet.
    Failed,
    /// The chance to have failed so many days from today.
    Chance { failure_mode: String, probability: f64, days: f64 },
    /// `reason` as the alerts name it; days from today.
    Alarm { monitor: String, reason: &'static str, days_to_limit: Option<f64> },
}

/// The most urgent vehicles of a fleet, [`NAMED`] at most. `alerts` stand in their order.
pub fn urgent(alerts: &[Alert], rows: &ForecastRows, watched: Watched) -> Vec<UrgentVehicle> {
    let mut vehicles: Vec<u32> = Vec::with_capacity(NAMED);
    for alert in alerts {
        if vehicles.len() < NAMED && !vehicles.contains(&alert.vehicle) {
            vehicles.push(alert.vehicle);
        }
    }
    let alerted = |&vehicle: &u32| UrgentVehicle {
        vehicle: id(rows, vehicle),
        act_by: (alerts.iter())
            .filter(|alert| alert.vehicle == vehicle)
            .find_map(|alert| Some(day_text(rows.axis, alert.act_by_day?))),
        concerns: (alerts.iter())
            .filter(|alert| alert.vehicle == vehicle)
            .filter_map(|alert| concern(alert, rows, watched))
            .collect(),
    };
    let mut urgent: Vec<UrgentVehicle> = vehicles.iter().map(alerted).collect();
    urgent.extend(likeliest(rows, &vehicles, NAMED - vehicles.len()));
    urgent
}

fn id(rows: &ForecastRows, vehicle: u32) -> String {
    match rows.ids {
        Ids::Integer(ids) => ids[vehicle as usize].to_string(),
        Ids::Text(ids) => ids[vehicle as usize].clone(),
    }
}

fn concern(alert: &Alert, rows: &ForecastRows, watched: Watched) -> Option<Concern> {
    let of_row = |row: usize, what: What| {
        let part = &rows.parts.parts[rows.parts.rows[row].part];
        Concern { component: part.component.clone(), position: part.position.clone(), what }
    };
    Some(match alert.reason {
        Reason::Failed { row, .. } => of_row(row, What::Failed),
        Reason::Probability { row, probability, .. } => {
            let mode = &rows.model.modes[rows.parts.rows[row].mode];
            let days = mode.alert?.horizon_days;
            of_row(row, What::Chance { failure_mode: mode.id.clone(), probability, days })
        }
        Reason::Alarm { monitor, reason, days_to_limit, .. } => {
            let names = watched.monitors.get(monitor)?;
            let (monitor, days_to_limit) = (names.monitor.to_owned(), days_to_limit.days);
            let what = What::Alarm { monitor, reason: reason.name(), days_to_limit };
            Concern { component: names.component.to_owned(), position: None, what }
        }
    })
}

/// So many vehicles, others than those and none that is long silent, by their likeliest part to have failed by the first
/// of the forecasts' windows; of equals, the first in order.
fn likeliest(rows: &ForecastRows, without: &[u32], count: usize) -> Vec<UrgentVehicle> {
    let mut found: Vec<(u64, u32, usize)> = Vec::new();
    let is_here = |parts: &[PartForecast]| !parts.iter().any(|part| part.flags.has(Flag::LongSilent));
    let others = rows.vehicles().filter(|(vehicle, parts)| !without.contains(&vehicle.vehicle) && is_here(parts));
    for (vehicle, parts) in others {
        let chance = |row: usize| parts[row].failed_q48[0].map(|since| since + parts[row].failed_already_q48);
        let chances = (0..parts.len()).filter_map(|row| Some((chance(row)?, row)));
        let Some((sum, row)) = chances.reduce(|best, one| if one.0 > best.0 { one } else { best }) else { continue };
        let place = found.partition_point(|other| other.0 >= sum);
        if place < count {
            found.insert(place, (sum, vehicle.vehicle, row));
            found.truncate(count);
        }
    }
    let named = found.into_iter().map(|(sum, vehicle, row)| {
        let template = &rows.parts.rows[row];
        let part = &rows.parts.parts[template.part];
        let what = What::Chance {
            failure_mode: rows.model.modes[template.mode].id.clone(),
            probability: rows.chance(sum),
            days: f64::from(rows.forecast_days[0]),
        };
        let concern = Concern { component: part.component.clone(), position: part.position.clone(), what };
        UrgentVehicle { vehicle: id(rows, vehicle), act_by: None, concerns: vec![concern] }
    });
    named.collect()
}
