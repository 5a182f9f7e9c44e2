//! Cohorts: vehicles of one climate zone that meet the same attribute conditions of the model. What a cohort did in a
//! week on the mean stands in where a vehicle has no record.
//!
//! Means are quotients of exact integer sums, so they depend on neither order nor threads. A week in which nobody of
//! the cohort has a record takes the mean of the vehicles with the same conditions in all zones, else of the fleet,
//! else nothing is used up in it.
//!
//! Units: Q48 lives a vehicle-week.

use std::collections::BTreeMap;

use crate::fleet::tables::NO_VALUE;
use crate::fleet::vehicles::{Attribute, Vehicles};
use crate::model::compiled::CompiledModel;
use crate::model::life;

/// Which cohort and zone each vehicle belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Cohorts {
    /// Names of the zones; the last, without a name, is for vehicles without one.
    pub zones: Vec<String>,
    /// One a cohort.
    pub zone_of: Vec<u32>,
    /// One mask a group of the model's tables, for each cohort.
    pub masks: Vec<Vec<u32>>,
    /// By index of the known vehicles.
    of_vehicle: Vec<u32>,
    /// Of vehicles that only the histories know.
    unlisted: u32,
}

impl Cohorts {
    /// The cohorts under a model; `zone` is the attribute that names a vehicle's climate zone, if there is one.
    pub fn new(model: &CompiledModel, vehicles: &Vehicles, zone: Option<&Attribute>) -> Self {
        let asked: Vec<&Attribute> = model
            .attributes()
            .into_iter()
            .filter_map(|name| vehicles.attributes.iter().find(|attribute| attribute.name == name))
            .collect();
        let mut zones: Vec<String> = zone.map(|zone| zone.values.clone()).unwrap_or_default();
        let no_zone = zones.len() as u32;
        zones.push(String::new());
        let zone_code = |vehicle: usize| match zone.and_then(|zone| zone.code.get(vehicle)) {
            Some(&code) if code != NO_VALUE => code,
            _ => no_zone,
        };
        let masks_of = |vehicle: Option<usize>| {
            model.masks(&|name| {
                let attribute = asked.iter().find(|attribute| attribute.name == name)?;
                let code = attribute.code.get(vehicle?).copied()?;
                attribute.values.get(code as usize).map(String::as_str)
            })
        };
        // Few combinations occur, so masks are formed once for each.
        let mut known: BTreeMap<Vec<u32>, Vec<u32>> = BTreeMap::new();
        let mut index: BTreeMap<(u32, Vec<u32>), u32> = BTreeMap::new();
        let mut keys = Vec::with_capacity(vehicles.known);
        for vehicle in 0..vehicles.known {
            let codes: Vec<u32> = asked.iter().map(|one| one.code.get(vehicle).copied().unwrap_or(NO_VALUE)).collect();
            let masks = known.entry(codes).or_insert_with(|| masks_of(Some(vehicle))).clone();
            let key = (zone_code(vehicle), masks);
            index.entry(key.clone()).or_insert(0);
            keys.push(key);
        }
        let of_unlisted = (no_zone, masks_of(None));
        index.entry(of_unlisted.clone()).or_insert(0);
        for (number, cohort) in index.values_mut().enumerate() {
            *cohort = number as u32;
        }
        Self {
            zones,
            of_vehicle: keys.iter().map(|key| index.get(key).copied().unwrap_or(0)).collect(),
            unlisted: index.get(&of_unlisted).copied().unwrap_or(0),
            zone_of: index.keys().map(|(zone, _)| *zone).collect(),
            masks: index.into_keys().map(|(_, masks)| masks).collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.masks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.masks.is_empty()
    }

    /// Known vehicles of each zone.
    pub fn known_vehicles(&self) -> Vec<usize> {
        let mut vehicles = vec![0; self.zones.len()];
        self.of_vehicle.iter().for_each(|&cohort| vehicles[self.zone_of[cohort as usize] as usize] += 1);
        vehicles
    }

    /// The cohort of a vehicle.
    pub fn of(&self, vehicle: u32) -> usize {
        self.of_vehicle.get(vehicle as usize).copied().unwrap_or(self.unlisted) as usize
    }
}

/// What all vehicles of each cohort did in each week. Cohorts without a record take no room, and weeks before a cohort's
/// first record none either.
#[derive(Clone, Debug, PartialEq)]
pub struct CohortSums {
    weeks: usize,
    mechanisms: usize,
    /// By cohort.
    rows: BTreeMap<u32, CohortWeeks>,
}

/// The weeks of one cohort, the latest first.
#[derive(Clone, Debug, Default, PartialEq)]
struct CohortWeeks {
    /// Vehicles with records.
    vehicles: Vec<u64>,
    /// `[week * mechanisms + mechanism]`. 2^24 vehicles at 2^39 a week (a life in 512) fit.
    increments_q48: Vec<u128>,
}

impl CohortWeeks {
    fn grow(&mut self, weeks: usize, mechanisms: usize) {
        if self.vehicles.len() < weeks {
            self.vehicles.resize(weeks, 0);
            self.increments_q48.resize(weeks * mechanisms, 0);
        }
    }

    fn merge(&mut self, other: &Self, mechanisms: usize) {
        self.grow(other.vehicles.len(), mechanisms);
        self.vehicles.iter_mut().zip(&other.vehicles).for_each(|(sum, other)| *sum += other);
        self.increments_q48.iter_mut().zip(&other.increments_q48).for_each(|(sum, other)| *sum += other);
    }
}

impl CohortSums {
    pub fn new(mechanisms: usize, weeks: usize) -> Self {
        Self { weeks, mechanisms, rows: BTreeMap::new() }
    }

    /// What the sums take of the memory, and the means of so many cohorts once the weeks before all records are cut.
    pub fn bytes(&self, cohorts: usize) -> u64 {
        let of_row = |row: &CohortWeeks| size_of_val(&row.vehicles[..]) + size_of_val(&row.increments_q48[..]);
        let sums: usize = self.rows.values().map(of_row).sum();
        let longest = self.rows.values().map(|row| row.vehicles.len()).max().unwrap_or(0);
        let means = (longest * self.mechanisms * size_of::<u64>()) as u64;
        (sums as u64).saturating_add(means.saturating_mul(cohorts as u64))
    }

    /// Adds a vehicle's weeks: `increments_q48[mechanism * weeks + week]`, and whether each week is covered.
    pub fn add(&mut self, cohort: usize, covered: &[bool], increments_q48: &[u64]) {
        let Some(first) = covered.iter().position(|&covered| covered) else { return };
        let (weeks, mechanisms) = (self.weeks, self.mechanisms);
        let row = self.rows.entry(cohort as u32).or_default();
        row.grow(weeks - first, mechanisms);
        for week in (first..weeks).filter(|&week| covered[week]) {
            let place = weeks - 1 - week;
            row.vehicles[place] += 1;
            for (mechanism, sum) in row.increments_q48[place * mechanisms..][..mechanisms].iter_mut().enumerate() {
                *sum += u128::from(increments_q48[mechanism * weeks + week]);
            }
        }
    }

    /// Adds other sums over the same weeks.
    pub fn merge(&mut self, other: Self) {
        for (cohort, row) in other.rows {
            self.rows.entry(cohort).or_default().merge(&row, self.mechanisms);
        }
    }

    /// The first week in which anybody has a record.
    pub fn first_week(&self) -> Option<usize> {
        self.rows.values().map(|row| self.weeks - row.vehicles.len()).min()
    }

    /// Drops the first weeks, in which nobody has a record.
    pub fn cut(&mut self, first: usize) {
        self.weeks -= first;
    }

    /// Vehicles of a cohort with records in a week.
    fn vehicles(&self, cohort: usize, week: usize) -> u64 {
        let row = self.rows.get(&(cohort as u32));
        row.and_then(|row| row.vehicles.get(self.weeks - 1 - week)).copied().unwrap_or(0)
    }

    /// Vehicles of a zone with records, by week.
    pub fn zone_vehicles(&self, cohorts: &Cohorts, zone: usize) -> Vec<u64> {
        let of_zone: Vec<usize> =
            (0..cohorts.len()).filter(|&cohort| cohorts.zone_of[cohort] as usize == zone).collect();
        let sum = |week: usize| of_zone.iter().map(|&cohort| self.vehicles(cohort, week)).sum();
        (0..self.weeks).map(sum).collect()
    }

    /// What the mean vehicle of each zone uses up in each week: `[(zone * mechanisms + mechanism) * weeks + week]`, lives.
    /// Cohorts weigh by their vehicles at their busiest, weeks without records are filled as in [`Self::means_q48`].
    pub fn zones_lives(&self, cohorts: &Cohorts) -> Vec<f64> {
        let (weeks, means) = (self.weeks, self.means_q48(cohorts));
        let mut lives = vec![0.0; cohorts.zones.len() * self.mechanisms * weeks];
        let mut vehicles = vec![0.0; cohorts.zones.len()];
        for (cohort, &zone) in cohorts.zone_of.iter().enumerate() {
            let busiest = self.rows.get(&(cohort as u32)).and_then(|row| row.vehicles.iter().max());
            let busiest = busiest.copied().unwrap_or(0) as f64;
            vehicles[zone as usize] += busiest;
            let own = &means[cohort * self.mechanisms * weeks..][..self.mechanisms * weeks];
            let of_zone = lives[zone as usize * self.mechanisms * weeks..].iter_mut();
            of_zone.zip(own).for_each(|(sum, &mean)| *sum += busiest * life::lives(mean));
        }
        for (of_zone, vehicles) in lives.chunks_mut((self.mechanisms * weeks).max(1)).zip(vehicles) {
            of_zone.iter_mut().for_each(|sum| *sum /= f64::max(vehicles, 1.0));
        }
        lives
    }

    /// The mean week of each cohort, with whatever stands in: `[(cohort * mechanisms + mechanism) * weeks + week]`.
    pub fn means_q48(&self, cohorts: &Cohorts) -> Vec<u64> {
        let (weeks, mechanisms) = (self.weeks, self.mechanisms);
        let mut alike: BTreeMap<&[u32], CohortWeeks> = BTreeMap::new();
        let mut fleet = CohortWeeks::default();
        for (&cohort, row) in &self.rows {
            alike.entry(&cohorts.masks[cohort as usize]).or_default().merge(row, mechanisms);
            fleet.merge(row, mechanisms);
        }
        let mut means = vec![0; cohorts.len() * mechanisms * weeks];
        for (cohort, masks) in cohorts.masks.iter().enumerate() {
            let groups = [self.rows.get(&(cohort as u32)), alike.get(masks.as_slice()), Some(&fleet)];
            for week in 0..weeks {
                let place = weeks - 1 - week;
                let group = groups.iter().flatten().find(|group| group.vehicles.get(place).is_some_and(|&one| one > 0));
                let Some(group) = group else { continue };
                for mechanism in 0..mechanisms {
                    let sum = group.increments_q48[place * mechanisms + mechanism];
                    let mean = sum / u128::from(group.vehicles[place]);
                    means[(cohort * mechanisms + mechanism) * weeks + week] = mean as u64;
                }
            }
        }
        means
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cohorts() -> Cohorts {
        Cohorts {
            zones: vec!["cold".into(), "warm".into(), String::new()],
            zone_of: vec![0, 1, 1],
            masks: vec![vec![1], vec![0], vec![1]],
            of_vehicle: vec![0, 1, 2],
            unlisted: 1,
        }
    }

    #[test]
    fn weeks_without_records_take_the_nearest_mean() {
        let mut sums = CohortSums::new(1, 4);
        sums.add(0, &[true, false, false, false], &[10, 99, 0, 0]);
        sums.add(0, &[true, false, false, false], &[13, 0, 0, 0]);
        sums.add(2, &[true, true, false, false], &[50, 70, 0, 0]);
        sums.add(1, &[false, false, true, false], &[0, 0, 5, 0]);
        let means = sums.means_q48(&cohorts());
        // Its own mean, rounded down; that of the other zone under the same conditions; the fleet's; nothing.
        assert_eq!(means[..4], [11, 70, 5, 0]);
        assert_eq!(means[8..], [50, 70, 5, 0]);
        // Nobody else is under the conditions of cohort 1, so the fleet stands in.
        assert_eq!(means[4..8], [24, 70, 5, 0]);
        assert_eq!(sums.zone_vehicles(&cohorts(), 1), [1, 1, 1, 0]);
        assert_eq!(cohorts().known_vehicles(), [1, 2, 0]);
    }

    #[test]
    fn weeks_before_all_records_are_cut() {
        let mut sums = CohortSums::new(2, 4);
        assert_eq!(sums.first_week(), None);
        sums.add(1, &[false, true, false, true], &[0, 5, 0, 6, 0, 7, 0, 8]);
        sums.add(0, &[false; 4], &[9; 8]);
        assert_eq!(sums.first_week(), Some(1));
        // Three weeks of a count and two sums; means of three cohorts.
        assert_eq!(sums.bytes(3), 3 * (8 + 2 * 16) + 3 * 3 * 2 * 8, "only cohorts and weeks with a record take room");
        sums.cut(1);
        assert_eq!((0..3).map(|week| sums.vehicles(1, week)).collect::<Vec<u64>>(), [1, 0, 1]);
        assert_eq!(sums.means_q48(&cohorts())[6..12], [5, 0, 6, 7, 0, 8]);
    }

    #[test]
    fn sums_of_parts_are_the_sums() {
        let mut whole = CohortSums::new(1, 2);
        let (mut a, mut b) = (whole.clone(), whole.clone());
        for (in_a, cohort, from, increments) in
            [(true, 0, 1, [1, 2]), (false, 0, 0, [4, 8]), (false, 2, 0, [3, 3]), (true, 1, 0, [5, 5])]
        {
            let part = if in_a { &mut a } else { &mut b };
            part.add(cohort, &[from == 0, true], &increments);
            whole.add(cohort, &[from == 0, true], &increments);
        }
        assert_ne!(a, whole);
        a.merge(b);
        assert_eq!(a, whole);
    }
}
