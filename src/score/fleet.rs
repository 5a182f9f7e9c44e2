//! A fleet's sums, read: clocks, rates, and the fleet's mean of each driver, with which a vehicle is compared.
//!
//! Means are quotients of exact integer sums and do not depend on the order in which vehicles are met. Kernels' sums
//! wrap at 2^64; what is read here does not: a clock stands still at [`CLOCK_LIMIT_Q48`], and
//! [`Fleet::is_past_limit`] tells where it could be wrong.
//!
//! Units: driver means are log2 (of a ratio, or of the exposure in its channel's unit); rates are damage a day.

use std::ops::Range;

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

/// The largest clock that an Int64 column holds: one unit less than 32,768 lives.
pub const CLOCK_LIMIT_Q48: u64 = i64::MAX as u64;

impl Fleet<'_> {
    /// Records, first and last time of a vehicle over its whole history.
    pub fn history(&self, vehicle: usize) -> SlotTally {
        self.tally(self.plan.of(vehicle))
    }

    /// The tally of some slots.
    pub fn tally(&self, slots: Range<usize>) -> SlotTally {
        let mut whole = SlotTally::EMPTY;
        for slot in &self.sums.tally.slots[slots] {
            whole.add(slot);
        }
        whole
    }

    /// A mechanism's clock over some slots, Q48 lives, [`CLOCK_LIMIT_Q48`] at most.
    pub fn clock_q48(&self, slots: Range<usize>, mechanism: usize) -> u64 {
        let clock_q48 = self.whole_clock_q48(slots, mechanism);
        u64::try_from(clock_q48).map_or(CLOCK_LIMIT_Q48, |clock_q48| clock_q48.min(CLOCK_LIMIT_Q48))
    }

    fn whole_clock_q48(&self, slots: Range<usize>, mechanism: usize) -> u128 {
        let mechanisms = self.model.mechanisms.len();
        slots.map(|slot| u128::from(self.sums.damage.clocks_q48[slot * mechanisms + mechanism])).sum()
    }

    /// Whether a clock has passed [`CLOCK_LIMIT_Q48`], or a slot has so many records that its 64 bits, which wrap,
    /// cannot tell. `greatest_q48` is the mechanism's greatest increment.
    pub fn is_past_limit(&self, slots: Range<usize>, mechanism: usize, greatest_q48: u64) -> bool {
        let may_wrap = |slot: usize| match self.sums.tally.slots[slot].records {
            // The count itself stands still there.
            u32::MAX => true,
            records => u64::from(records).checked_mul(greatest_q48).is_none(),
        };
        slots.clone().any(may_wrap) || self.whole_clock_q48(slots, mechanism) > u128::from(CLOCK_LIMIT_Q48)
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

    /// Damage of a mode over some slots.
    pub fn damage(&self, mode: &CompiledMode, slots: &Range<usize>) -> f64 {
        life::damage(mode.mechanisms.clone().map(|mechanism| {
            (self.clock_q48(slots.clone(), mechanism), self.model.mechanisms[mechanism].clock_exponent)
        }))
    }

    /// Growth, over the recent window and a day, of the `damage` that a part has taken over the slots `since` it was
    /// put in on `start_day`: over less if the part or its history is younger. `tally` is that of the same slots.
    pub fn damage_per_day_recent(
        &self,
        vehicle: usize,
        mode: &CompiledMode,
        start_day: Option<i32>,
        since: &Range<usize>,
        tally: &SlotTally,
        damage: f64,
    ) -> Option<f64> {
        let recent = self.plan.recent(vehicle);
        if tally.records == 0 || self.tally(since.start.max(recent.start)..since.end).records == 0 {
            return None;
        }
        let earlier = self.damage(mode, &(since.start..recent.start.max(since.start)));
        let as_of_day = f64::from(self.plan.as_of_day);
        let first_record_day = f64::from(self.plan.axis.day(tally.first_tick));
        let window_start = f64::from(self.plan.recent_day())
            .max(start_day.map_or(f64::NEG_INFINITY, f64::from))
            .max(first_record_day - self.period_days);
        let days = as_of_day - window_start;
        (days > 0.0).then(|| (damage - earlier) / days)
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

    /// The fleet's mean of each of [`CompiledModel::drivers`]; `None` where no vehicle has it.
    pub fn mean_driver_log2(&self) -> Vec<Option<f64>> {
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
        drivers
            .iter()
            .zip(&sums)
            .map(|(driver, &sum)| {
                let missing = self.exposure_of(driver.mechanism).map_or(0, |exposure| missing[exposure]);
                mean_log2(driver.kind, sum, records, missing).filter(|_| !self.sums.damage.drivers.is_empty())
            })
            .collect()
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
