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

/// What all vehicles of each cohort did in each week.
#[derive(Clone, Debug, PartialEq)]
pub struct CohortSums {
    weeks: usize,
    mechanisms: usize,
    /// Vehicles with records: `[cohort * weeks + week]`.
    pub vehicles: Vec<u64>,
    /// `[(cohort * mechanisms + mechanism) * weeks + week]`. 2^24 vehicles at 2^39 a week (a life in 512) fit.
    pub increments_q48: Vec<u128>,
}

impl CohortSums {
    pub fn new(cohorts: usize, mechanisms: usize, weeks: usize) -> Self {
        Self {
            weeks,
            mechanisms,
            vehicles: vec![0; cohorts * weeks],
            increments_q48: vec![0; cohorts * mechanisms * weeks],
        }
    }

    /// What such sums take of the memory.
    pub fn bytes(cohorts: usize, mechanisms: usize, weeks: usize) -> u64 {
        let of_week = size_of::<u64>() + mechanisms * size_of::<u128>();
        (cohorts as u64).saturating_mul((weeks * of_week) as u64)
    }

    /// Adds a vehicle's weeks: `increments_q48[mechanism * weeks + week]`, and whether each week has records.
    pub fn add(&mut self, cohort: usize, covered: &[bool], increments_q48: &[u64]) {
        let weeks = self.weeks;
        for (sum, &covered) in self.vehicles[cohort * weeks..].iter_mut().zip(covered) {
            *sum += u64::from(covered);
        }
        let sums = &mut self.increments_q48[cohort * self.mechanisms * weeks..(cohort + 1) * self.mechanisms * weeks];
        for (sums, increments) in sums.chunks_mut(weeks).zip(increments_q48.chunks(weeks)) {
            for ((sum, &increment), &covered) in sums.iter_mut().zip(increments).zip(covered) {
                *sum += if covered { u128::from(increment) } else { 0 };
            }
        }
    }

    /// Adds other sums of the same shape.
    pub fn merge(&mut self, other: &Self) {
        self.vehicles.iter_mut().zip(&other.vehicles).for_each(|(sum, other)| *sum += other);
        self.increments_q48.iter_mut().zip(&other.increments_q48).for_each(|(sum, other)| *sum += other);
    }

    /// The first week in which anybody has a record.
    pub fn first_week(&self) -> Option<usize> {
        let cohorts = self.vehicles.chunks(self.weeks.max(1));
        cohorts.filter_map(|weeks| weeks.iter().position(|&vehicles| vehicles > 0)).min()
    }

    /// Drops the first weeks.
    pub fn cut(&mut self, first: usize) {
        let keep = |at: usize, weeks: usize| at % weeks >= first;
        let weeks = self.weeks;
        let mut at = 0;
        let mut next = || {
            at += 1;
            keep(at - 1, weeks)
        };
        self.vehicles.retain(|_| next());
        let mut at = 0;
        let mut next = || {
            at += 1;
            keep(at - 1, weeks)
        };
        self.increments_q48.retain(|_| next());
        self.weeks -= first;
    }

    /// Vehicles of a zone with records, by week.
    pub fn zone_vehicles(&self, cohorts: &Cohorts, zone: usize) -> Vec<u64> {
        let mut sums = vec![0; self.weeks];
        for (cohort, _) in cohorts.zone_of.iter().enumerate().filter(|(_, of)| **of as usize == zone) {
            let vehicles = &self.vehicles[cohort * self.weeks..(cohort + 1) * self.weeks];
            sums.iter_mut().zip(vehicles).for_each(|(sum, vehicles)| *sum += vehicles);
        }
        sums
    }

    /// What the mean vehicle of each zone uses up in each week: `[(zone * mechanisms + mechanism) * weeks + week]`, lives.
    /// Cohorts weigh by their vehicles at their busiest, weeks without records are filled as in [`Self::means_q48`].
    pub fn zones_lives(&self, cohorts: &Cohorts) -> Vec<f64> {
        let (weeks, means) = (self.weeks, self.means_q48(cohorts));
        let mut lives = vec![0.0; cohorts.zones.len() * self.mechanisms * weeks];
        let mut vehicles = vec![0.0; cohorts.zones.len()];
        for (cohort, &zone) in cohorts.zone_of.iter().enumerate() {
            let busiest = self.vehicles[cohort * weeks..][..weeks].iter().max().copied().unwrap_or(0) as f64;
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

    /// The mean week of each cohort, with whatever stands in: as long as [`Self::increments_q48`].
    pub fn means_q48(&self, cohorts: &Cohorts) -> Vec<u64> {
        let alike =
            |cohort: usize| (0..cohorts.len()).filter(move |&other| cohorts.masks[other] == cohorts.masks[cohort]);
        let mut means = vec![0; self.increments_q48.len()];
        for cohort in 0..cohorts.len() {
            let groups: [Vec<usize>; 3] = [vec![cohort], alike(cohort).collect(), (0..cohorts.len()).collect()];
            for week in 0..self.weeks {
                let vehicles = |group: &Vec<usize>| -> u64 {
                    group.iter().map(|&cohort| self.vehicles[cohort * self.weeks + week]).sum()
                };
                let Some((group, vehicles)) =
                    groups.iter().map(|group| (group, vehicles(group))).find(|(_, vehicles)| *vehicles > 0)
                else {
                    continue;
                };
                for mechanism in 0..self.mechanisms {
                    let at = |cohort: usize| (cohort * self.mechanisms + mechanism) * self.weeks + week;
                    let sum: u128 = group.iter().map(|&cohort| self.increments_q48[at(cohort)]).sum();
                    means[at(cohort)] = (sum / u128::from(vehicles)) as u64;
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
        let mut sums = CohortSums::new(3, 1, 4);
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
        let mut sums = CohortSums::new(2, 2, 4);
        assert_eq!(sums.first_week(), None);
        sums.add(1, &[false, true, false, true], &[0, 5, 0, 6, 0, 7, 0, 8]);
        assert_eq!(sums.first_week(), Some(1));
        sums.cut(1);
        assert_eq!(sums.vehicles, [0, 0, 0, 1, 0, 1]);
        assert_eq!(sums.increments_q48[6..], [5, 0, 6, 7, 0, 8]);
    }

    #[test]
    fn sums_of_parts_are_the_sums() {
        let mut whole = CohortSums::new(3, 1, 2);
        let (mut a, mut b) = (whole.clone(), whole.clone());
        for (in_a, cohort, increments) in [(true, 0, [1, 2]), (false, 0, [4, 8]), (false, 2, [3, 3])] {
            let part = if in_a { &mut a } else { &mut b };
            part.add(cohort, &[true, true], &increments);
            whole.add(cohort, &[true, true], &increments);
        }
        assert_ne!(a, whole);
        let held = size_of_val(whole.vehicles.as_slice()) + size_of_val(whole.increments_q48.as_slice());
        assert_eq!(CohortSums::bytes(3, 1, 2), held as u64);
        a.merge(&b);
        assert_eq!(a, whole);
    }
}
