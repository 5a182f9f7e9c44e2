//! Who belongs together: lots for the reference, cohorts for the scan, replacements that end a watch.
//!
//! Key idea: all of it comes from the small tables, before a record is read, and is indexed by dense vehicle index;
//! vehicles that only the histories know belong to no lot and no cohort. Units: days on the dataset's axis.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate, TimeDelta};

use super::cohort::Group;
use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::{Attribute, EventKind, Vehicles};

/// Lots that are told apart, the largest; the vehicles of all others share one.
pub const MOST_LOTS: usize = 256;
/// Months of the longer build window: a quarter.
const WINDOW_MONTHS: usize = 3;

/// Which lot a vehicle's part is of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lots {
    of_vehicle: Vec<u32>,
    /// Lots, the shared one included.
    pub count: usize,
}

impl Lots {
    /// By an attribute; without one all vehicles are of the shared lot.
    pub fn by(attribute: Option<&Attribute>) -> Self {
        let Some(attribute) = attribute else { return Self { of_vehicle: Vec::new(), count: 1 } };
        let mut vehicles = vec![0_usize; attribute.values.len()];
        for &code in &attribute.code {
            if let Some(count) = vehicles.get_mut(code as usize) {
                *count += 1;
            }
        }
        let mut largest: Vec<usize> = (0..attribute.values.len()).collect();
        largest.sort_by_key(|&value| (std::cmp::Reverse(vehicles[value]), &attribute.values[value]));
        largest.truncate(MOST_LOTS);
        let shared = largest.len() as u32;
        let mut lot_of_value = vec![shared; attribute.values.len()];
        for (lot, &value) in largest.iter().enumerate() {
            lot_of_value[value] = lot as u32;
        }
        let of = |&code: &u32| lot_of_value.get(code as usize).copied().unwrap_or(shared);
        Self { of_vehicle: attribute.code.iter().map(of).collect(), count: shared as usize + 1 }
    }

    pub fn of(&self, vehicle: u32) -> u32 {
        self.of_vehicle.get(vehicle as usize).copied().unwrap_or(self.count.saturating_sub(1) as u32)
    }
}

/// Cohorts of these attributes and, where the axis knows months, of build months and quarters of consecutive months.
pub fn groups(vehicles: &Vehicles, attributes: &[&Attribute], axis: TimeAxis) -> Vec<Group> {
    let mut groups = Vec::new();
    for attribute in attributes {
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); attribute.values.len()];
        for (vehicle, &code) in attribute.code.iter().enumerate() {
            if let Some(members) = members.get_mut(code as usize) {
                members.push(vehicle as u32);
            }
        }
        groups.extend(attribute.values.iter().zip(members).map(|(value, vehicles)| Group {
            attribute: attribute.name.clone(),
            value: value.clone(),
            vehicles,
        }));
    }
    if axis != TimeAxis::Integer {
        groups.extend(build_windows(vehicles));
    }
    groups
}

fn build_windows(vehicles: &Vehicles) -> Vec<Group> {
    let mut months: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
    for (vehicle, day) in vehicles.build_day.iter().enumerate() {
        if let Some(month) = day.and_then(month_of) {
            months.entry(month).or_default().push(vehicle as u32);
        }
    }
    let name = |month: i32| format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1);
    let mut groups: Vec<Group> = months
        .iter()
        .map(|(&month, members)| Group {
            attribute: "build_month".to_owned(),
            value: name(month),
            vehicles: members.clone(),
        })
        .collect();
    for &first in months.keys() {
        let last = first + WINDOW_MONTHS as i32 - 1;
        let window: Vec<&Vec<u32>> = months.range(first..=last).map(|(_, members)| members).collect();
        if window.len() > 1 {
            groups.push(Group {
                attribute: format!("build_months_{WINDOW_MONTHS}"),
                value: format!("{}..{}", name(first), name(last)),
                vehicles: window.into_iter().flatten().copied().collect(),
            });
        }
    }
    groups
}

/// Months since the year 0.
fn month_of(day: i32) -> Option<i32> {
    let date = NaiveDate::default().checked_add_signed(TimeDelta::days(i64::from(day)))?;
    Some(date.year() * 12 + date.month0() as i32)
}

/// Replacements of one component, by vehicle and day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replacements(Vec<(u32, i32)>);

impl Replacements {
    /// Of a component, up to a day.
    pub fn of(vehicles: &Vehicles, component: &str, as_of_day: Option<i32>) -> Self {
        let known = vehicles.components.iter().position(|name| name == component);
        let of_component = |event: &&crate::fleet::vehicles::FleetEvent| {
            Some(event.component as usize) == known
                && event.kind == EventKind::Replacement
                && as_of_day.is_none_or(|last| event.occurred_day <= last)
        };
        let mut found: Vec<(u32, i32)> =
            vehicles.events.iter().filter(of_component).map(|event| (event.vehicle, event.occurred_day)).collect();
        found.sort_unstable();
        found.dedup();
        Self(found)
    }

    /// The first replacement of a vehicle on or after a day.
    pub fn from(&self, vehicle: u32, day: i32) -> Option<i32> {
        let at = self.0.partition_point(|&entry| entry < (vehicle, day));
        self.0.get(at).filter(|entry| entry.0 == vehicle).map(|entry| entry.1)
    }

    /// The last replacement of a vehicle before a day.
    pub fn before(&self, vehicle: u32, day: i32) -> Option<i32> {
        let at = self.0.partition_point(|&entry| entry < (vehicle, day));
        self.0[..at].last().filter(|entry| entry.0 == vehicle).map(|entry| entry.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::vehicles::FleetEvent;

    fn attribute() -> Attribute {
        Attribute {
            name: "lot".into(),
            values: vec!["a".into(), "b".into(), "c".into()],
            code: vec![2, 1, 2, u32::MAX, 1, 2],
        }
    }

    #[test]
    fn lots_are_numbered_by_size_and_strays_share_one() {
        let lots = Lots::by(Some(&attribute()));
        assert_eq!(lots.count, 4);
        assert_eq!((0..8).map(|vehicle| lots.of(vehicle)).collect::<Vec<_>>(), [0, 1, 0, 3, 1, 0, 3, 3]);
        let none = Lots::by(None);
        assert_eq!((none.count, none.of(0), none.of(9)), (1, 0, 0));
        let values: Vec<String> = (0..1000).map(|value| format!("{value:04}")).collect();
        let many = Attribute { name: "lot".into(), values, code: (0..1000).collect() };
        let lots = Lots::by(Some(&many));
        assert_eq!((lots.count, lots.of(255), lots.of(256), lots.of(999)), (257, 255, 256, 256));
    }

    #[test]
    fn cohorts_are_values_months_and_quarters() {
        let build = |text: &str| {
            let date: NaiveDate = text.parse().unwrap();
            Some((date - NaiveDate::default()).num_days() as i32)
        };
        let vehicles = Vehicles {
            build_day: vec![build("2022-11-30"), build("2022-12-01"), build("2023-01-31"), None, build("2023-07-01")],
            ..Vehicles::default()
        };
        let found = groups(&vehicles, &[&attribute()], TimeAxis::Days);
        let of = |attribute: &str, value: &str| {
            found.iter().find(|group| group.attribute == attribute && group.value == value).map(|group| &group.vehicles)
        };
        assert_eq!(of("lot", "c"), Some(&vec![0, 2, 5]));
        assert_eq!(of("build_month", "2022-12"), Some(&vec![1]));
        assert_eq!(of("build_months_3", "2022-11..2023-01"), Some(&vec![0, 1, 2]));
        assert_eq!(of("build_months_3", "2022-12..2023-02"), Some(&vec![1, 2]));
        assert_eq!(of("build_months_3", "2023-07..2023-09"), None, "the same as its month");
        assert!(groups(&vehicles, &[], TimeAxis::Integer).is_empty());
    }

    #[test]
    fn replacements_stand_by_vehicle_and_day() {
        let event = FleetEvent::bare;
        let vehicles = Vehicles {
            components: vec!["sensor".into(), "pad".into()],
            events: vec![
                event(1, 0, EventKind::Replacement, 50),
                event(1, 0, EventKind::Failure, 40),
                event(1, 1, EventKind::Replacement, 45),
                event(1, 0, EventKind::Replacement, 90),
                event(2, 0, EventKind::Replacement, 70),
            ],
            ..Vehicles::default()
        };
        let all = Replacements::of(&vehicles, "sensor", None);
        assert_eq!([0, 50, 51, 91].map(|day| all.from(1, day)), [Some(50), Some(50), Some(90), None]);
        assert_eq!([50, 51, 200].map(|day| all.before(1, day)), [None, Some(50), Some(90)]);
        assert_eq!((all.from(0, 0), all.before(2, 70), all.from(3, 0)), (None, None, None));
        assert_eq!(Replacements::of(&vehicles, "sensor", Some(89)).from(1, 51), None);
        assert_eq!(Replacements::of(&vehicles, "horn", None), Replacements::default());
    }
}
