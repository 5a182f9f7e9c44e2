//! What a vehicle is compared with: the fleet's mean of each driver and the median rate of each failure mode.
//!
//! Means are quotients of exact integer sums; the median is the lower one of the sorted rates: neither depends on the
//! order in which vehicles are met.
//!
//! Units: driver means are log2 (of a ratio, or of the exposure in its channel's unit); rates are lives a day.

use rayon::prelude::*;

use super::pack::ExposureColumn;
use super::slots::SlotPlan;
use super::sums::FleetSums;
use super::tally::SlotTally;
use crate::fixed::exp2::LOG2_BITS;
use crate::model::compiled::{CompiledExposure, CompiledMode, CompiledModel, DriverKind};
use crate::model::life;

/// The sums of a fleet with what is needed to read them.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    pub model: &'a CompiledModel,
    pub plan: &'a SlotPlan,
    pub exposures: &'a [ExposureColumn],
    pub sums: &'a FleetSums,
    /// Usual length of a record in days: a single record was observed that long.
    pub period_days: f64,
    /// Whether each record is that long: days, weeks and months are, trips and lengths by a column are not.
    pub regular: bool,
}

/// The fleet's own figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Standard {
    /// Of each of [`CompiledModel::drivers`]; `None` where no vehicle has it.
    pub driver_log2: Vec<Option<f64>>,
    /// Of each failure mode: median over the vehicles with records. `None`: no vehicle has any.
    pub median_rate: Vec<Option<f64>>,
}

impl Fleet<'_> {
    /// Records, first and last time of a vehicle over its whole history.
    pub fn history(&self, vehicle: usize) -> SlotTally {
        self.tally(self.plan.of(vehicle))
    }

    /// The tally of some slots.
    pub fn tally(&self, slots: std::ops::Range<usize>) -> SlotTally {
        let mut whole = SlotTally::EMPTY;
        for slot in &self.sums.tally.slots[slots] {
            whole.add(slot);
        }
        whole
    }

    /// A mechanism's clock over some slots, Q48 lives. Sums wrap, as the kernels' do.
    pub fn clock_q48(&self, slots: std::ops::Range<usize>, mechanism: usize) -> u64 {
        let mechanisms = self.model.mechanisms.len();
        slots.fold(0u64, |sum, slot| sum.wrapping_add(self.sums.damage.clocks_q48[slot * mechanisms + mechanism]))
    }

    /// Days from a vehicle's first record to its last, both included.
    pub fn observed_days(&self, history: &SlotTally) -> f64 {
        let axis = self.plan.axis;
        let days = i64::from(axis.day(history.last_tick)) - i64::from(axis.day(history.first_tick));
        days as f64 + self.period_days
    }

    /// Records over the periods from the first of them to the last, both included: 1 where none is missing, more where
    /// several fall into one. `None` where there is no record, or where records have no usual length.
    pub fn covered_share(&self, tally: &SlotTally) -> Option<f64> {
        if tally.records == 0 || !self.regular {
            return None;
        }
        // Months differ in length by less than half of one, so that whole periods remain.
        let periods = libm::round(self.observed_days(tally) / self.period_days);
        Some(f64::from(tally.records) / periods)
    }

    /// Clock of all mechanisms of a mode per day of a vehicle's whole history, whatever was replaced meanwhile.
    /// Clocks, not damage, so that vehicles of different age compare under any clock exponent.
    pub fn rate(&self, vehicle: usize, mode: &CompiledMode) -> Option<f64> {
        let history = self.history(vehicle);
        if history.records == 0 {
            return None;
        }
        let clocks = mode.mechanisms.clone().map(|mechanism| self.clock_q48(self.plan.of(vehicle), mechanism));
        let lives: f64 = clocks.map(life::lives).sum();
        Some(lives / self.observed_days(&history))
    }

    /// A vehicle's mean of each driver, log2; `None` where it has no record with it or its exposure is zero.
    pub fn driver_log2(&self, vehicle: usize, means: &mut [Option<f64>]) {
        let columns = self.model.drivers.len();
        let Some(sums) = self.sums.damage.drivers.get(vehicle * columns..(vehicle + 1) * columns) else {
            means.fill(None);
            return;
        };
        let records = u64::from(self.history(vehicle).records);
        for ((mean, driver), sum) in means.iter_mut().zip(&self.model.drivers).zip(sums) {
            let missing = self.exposure_of(driver.mechanism).map_or(0, |exposure| self.missing(vehicle, exposure));
            *mean = mean_log2(driver.kind, i128::from(*sum), records, missing);
        }
    }

    /// Index of a mechanism's exposure channel among the counted ones.
    pub fn exposure_of(&self, mechanism: usize) -> Option<usize> {
        match self.model.mechanisms[mechanism].exposure {
            CompiledExposure::Channel(column) => self.exposures.iter().position(|known| known.column == column),
            CompiledExposure::Constant(_) => None,
        }
    }

    fn missing(&self, vehicle: usize, exposure: usize) -> u64 {
        self.plan.of(vehicle).map(|slot| u64::from(self.sums.tally.missing(slot, exposure))).sum()
    }

    /// The fleet's means and medians.
    pub fn standard(&self) -> Standard {
        let drivers = &self.model.drivers;
        let columns = self.model.drivers.len();
        let zero = || (vec![0i128; drivers.len()], vec![0u64; self.exposures.len()], 0u64);
        let vehicles = self.sums.vehicles;
        let (sums, missing, records) = (0..vehicles)
            .into_par_iter()
            .fold(zero, |mut whole, vehicle| {
                let own = self.sums.damage.drivers.get(vehicle * columns..(vehicle + 1) * columns).unwrap_or_default();
                for (sum, own) in whole.0.iter_mut().zip(own) {
                    *sum += i128::from(*own);
                }
                for (exposure, missing) in whole.1.iter_mut().enumerate() {
                    *missing += self.missing(vehicle, exposure);
                }
                whole.2 += u64::from(self.history(vehicle).records);
                whole
            })
            .reduce(zero, |mut a, b| {
                a.0.iter_mut().zip(&b.0).for_each(|(a, b)| *a += b);
                a.1.iter_mut().zip(&b.1).for_each(|(a, b)| *a += b);
                (a.0, a.1, a.2 + b.2)
            });
        let driver_log2 = drivers
            .iter()
            .zip(&sums)
            .map(|(driver, &sum)| {
                let missing = self.exposure_of(driver.mechanism).map_or(0, |exposure| missing[exposure]);
                mean_log2(driver.kind, sum, records, missing).filter(|_| !self.sums.damage.drivers.is_empty())
            })
            .collect();
        let median_rate = self
            .model
            .modes
            .iter()
            .map(|mode| {
                let mut rates: Vec<f64> =
                    (0..vehicles).into_par_iter().filter_map(|vehicle| self.rate(vehicle, mode)).collect();
                let middle = rates.len().checked_sub(1)? / 2;
                Some(*rates.select_nth_unstable_by(middle, f64::total_cmp).1)
            })
            .collect();
        Standard { driver_log2, median_rate }
    }
}

/// The mean of a driver over `records` records, `missing` of which lack the exposure.
fn mean_log2(kind: DriverKind, sum: i128, records: u64, missing: u64) -> Option<f64> {
    match kind {
        DriverKind::Ratio if records > 0 => Some(sum as f64 / records as f64 / f64::from(1u32 << LOG2_BITS)),
        DriverKind::Exposure { offset, factor } if records > missing => {
            let mean = offset + factor * (sum as f64 / (records - missing) as f64);
            (mean > 0.0).then(|| libm::log2(mean))
        }
        DriverKind::Ratio | DriverKind::Exposure { .. } => None,
    }
}
