//! Incidents and their cost per thousand vehicles, by months in service.
//!
//! A month in service counts for a vehicle if it was in service through it, by the day on which one stands, without having
//! retired. A failure counts in the month of service in which it occurred, if it was reported by then and the workshop did
//! not find nothing; failures before the sale stand by themselves. Months are twelfths of a mean Gregorian year. Cost is
//! what the work orders say; where none says, there is none.

use serde::Serialize;

use crate::fleet::vehicles::{EventKind, Finding, FleetEvent, Vehicles, day_of};

/// A twelfth of 365.2425 days.
pub const DAYS_PER_MONTH: f64 = 30.436_875;
/// Fewer vehicles than this in a month of service, and a rate per thousand is an anecdote.
const FEWEST_VEHICLES: u64 = 20;

/// Of vehicles in one month of their service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MonthInService {
    /// 1: the first.
    pub month: u32,
    /// Through the month in service.
    pub vehicles: u64,
    pub incidents: u64,
    pub incidents_per_1000: f64,
    /// Of this month and all before it.
    pub cumulative_per_1000: f64,
    /// `None`: no work order says what it cost.
    pub cost_per_1000: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Incidents {
    pub months: Vec<MonthInService>,
    /// On vehicles that were not yet sold.
    pub before_sale: u64,
    /// On vehicles of which it is not known since when they serve.
    pub sale_unknown: u64,
}

/// Whether a failure is known on a day and was one.
pub fn is_known_failure(event: &FleetEvent, as_of_day: i32) -> bool {
    event.kind == EventKind::Failure
        && event.occurred_day <= as_of_day
        && event.reported_day.is_none_or(|reported| reported <= as_of_day)
        && event.finding != Some(Finding::NotFound)
}

/// Of the vehicles that `is_member` names, failures of all components.
pub fn by_months(vehicles: &Vehicles, is_member: &[bool], as_of_day: i32) -> Incidents {
    let month_of = |days: i32| (f64::from(days) / DAYS_PER_MONTH) as usize;
    let (mut served, mut incidents, mut costs): (Vec<u64>, Vec<u64>, Vec<Option<f64>>) = Default::default();
    let mut told = Incidents::default();
    let begins = |vehicle: usize| vehicles.in_service_day(vehicle).filter(|&day| day <= as_of_day);
    for vehicle in (0..vehicles.known).filter(|&vehicle| is_member[vehicle]) {
        let Some(begin) = begins(vehicle) else { continue };
        let end = day_of(&vehicles.end_day, vehicle).map_or(as_of_day, |end| end.min(as_of_day));
        let months = month_of((end - begin).max(0));
        if served.len() < months {
            served.resize(months, 0);
        }
        served[..months].iter_mut().for_each(|count| *count += 1);
    }
    incidents.resize(served.len(), 0);
    costs.resize(served.len(), None);
    for (place, event) in vehicles.events.iter().enumerate() {
        let vehicle = event.vehicle as usize;
        if !is_member.get(vehicle).copied().unwrap_or(false) || !is_known_failure(event, as_of_day) {
            continue;
        }
        let Some(begin) = vehicles.in_service_day(vehicle) else {
            told.sale_unknown += 1;
            continue;
        };
        if event.occurred_day < begin {
            told.before_sale += 1;
            continue;
        }
        let month = month_of(event.occurred_day - begin);
        // In a month that the vehicle has not served through: it says nothing of those that have.
        let end = day_of(&vehicles.end_day, vehicle).map_or(as_of_day, |end| end.min(as_of_day));
        if month < month_of((end - begin).max(0)) {
            incidents[month] += 1;
            if let Some(&cost) = vehicles.event_costs.get(place).filter(|cost| cost.is_finite()) {
                costs[month] = Some(costs[month].unwrap_or(0.0) + cost);
            }
        }
    }
    let mut cumulative = 0.0;
    for (month, (&vehicles, &incidents)) in served.iter().zip(&incidents).enumerate() {
        if vehicles < FEWEST_VEHICLES {
            break;
        }
        let per_1000 = |count: f64| 1_000.0 * count / vehicles as f64;
        cumulative += per_1000(incidents as f64);
        told.months.push(MonthInService {
            month: month as u32 + 1,
            vehicles,
            incidents,
            incidents_per_1000: per_1000(incidents as f64),
            cumulative_per_1000: cumulative,
            cost_per_1000: costs[month].map(per_1000),
        });
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forty vehicles sold on day 0, ten of them retired after 100 days; one more not yet sold.
    #[test]
    fn months_count_whom_they_hold() {
        let failure = |vehicle: u32, day: i32| FleetEvent::bare(vehicle, 0, EventKind::Failure, day);
        let vehicles = Vehicles {
            known: 42,
            sale_day: (0..42).map(|one| if one == 41 { None } else { Some(if one == 40 { 500 } else { 0 }) }).collect(),
            end_day: (0..42).map(|one| (one < 10).then_some(100)).collect(),
            components: vec!["pump".into()],
            events: vec![
                failure(0, -3),
                failure(1, 10),
                failure(20, 29),
                failure(21, 125),
                FleetEvent { finding: Some(Finding::NotFound), ..failure(22, 130) },
                FleetEvent { reported_day: Some(900), ..failure(23, 130) },
                failure(24, 390),
                failure(41, 5),
            ],
            event_costs: vec![90.0, 500.0, 300.0, f64::NAN, 7.0, 7.0, f64::NAN, f64::NAN],
            ..Vehicles::default()
        };
        let found = by_months(&vehicles, &[true; 42], 400);
        assert_eq!((found.before_sale, found.sale_unknown), (1, 1));
        assert_eq!(found.months.len(), 13, "400 days are 13 months and a bit");
        let month = |at: usize| (found.months[at].vehicles, found.months[at].incidents);
        assert_eq!([month(0), month(2), month(3), month(4), month(12)], [(40, 2), (40, 0), (30, 0), (30, 1), (30, 1)]);
        assert_eq!(found.months[0].incidents_per_1000, 50.0);
        assert_eq!(found.months[0].cost_per_1000, Some(20_000.0));
        assert!((found.months[12].cumulative_per_1000 - (50.0 + 2_000.0 / 30.0)).abs() < 1e-9);
        assert_eq!(found.months[4].cost_per_1000, None);
        // 390 days are 12.8 months: the thirteenth, which ends on day 395.7.
        assert!(by_months(&vehicles, &[true; 42], 394).months.iter().all(|one| one.month < 13));
        assert!(by_months(&vehicles, &[false; 42], 400).months.is_empty());
    }
}
