//! How fast vehicles leave service: one constant rate for the fleet, from the days on which vehicles left.
//!
//! The rate is the number of vehicles whose end date lies in the [`LOOK_BACK_DAYS`] up to today, over the days that all
//! vehicles were in service in that time. A vehicle without sale or build date counts as in service throughout. Fewer
//! than [`FEWEST_ENDS`] ends, or none on record at all, say nothing: no vehicle is then taken to retire. A vehicle whose
//! end is announced leaves on that day instead ([`super::course::Service`]).
//!
//! Units: days since 1970-01-01; per day.

use super::weeks::WeekAxis;
use crate::fleet::vehicles::{Vehicles, day_of};

/// Days up to today over which the rate is taken.
pub const LOOK_BACK_DAYS: i32 = 365;
/// Vehicles that must have left in that time.
pub const FEWEST_ENDS: u64 = 10;

/// The rate a day at which vehicles in service retire, after a day of the dataset's axis.
pub fn rate_per_day(vehicles: &Vehicles, axis: WeekAxis, as_of_day: i32) -> f64 {
    let today = axis.calendar_day(as_of_day);
    let from = today - LOOK_BACK_DAYS;
    let (mut ends, mut days) = (0_u64, 0_u64);
    for vehicle in 0..vehicles.known {
        let start = vehicles.in_service_day(vehicle).map_or(from, |day| axis.calendar_day(day));
        let end = day_of(&vehicles.end_day, vehicle).map(|day| axis.calendar_day(day)).filter(|&end| end <= today);
        let last = end.unwrap_or(today);
        if last > from && last >= start {
            ends += u64::from(end.is_some());
            days += u64::from(last.abs_diff(start.max(from)));
        }
    }
    if ends < FEWEST_ENDS || days == 0 { 0.0 } else { ends as f64 / days as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::time::TimeAxis;

    #[test]
    fn the_rate_is_ends_over_days_of_the_last_year() {
        let axis = WeekAxis { axis: TimeAxis::Days, ticks_are_weeks: false };
        let mut vehicles = Vehicles { known: 100, ..Vehicles::default() };
        vehicles.sale_day = vec![Some(1_000); 100];
        // Twenty left half a year ago, ten long before; one is to leave later.
        let end = |vehicle: i32| match vehicle {
            0..20 => Some(9_818),
            20..30 => Some(5_000),
            30 => Some(10_500),
            _ => None,
        };
        vehicles.end_day = (0..100).map(end).collect();
        let days = 70.0 * 365.0 + 20.0 * 183.0;
        assert!((rate_per_day(&vehicles, axis, 10_000) - 20.0 / days).abs() < 1e-15);
        vehicles.end_day.clear();
        assert_eq!(rate_per_day(&vehicles, axis, 10_000), 0.0);
        assert_eq!(rate_per_day(&Vehicles::default(), axis, 10_000), 0.0);
    }
}
