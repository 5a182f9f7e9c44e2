//! One score: what a vehicle's sums say about one part and failure mode.
//!
//! Units: clocks in Q48 lives; damage, hazard and ratios are pure numbers; days of the dataset's axis.

use std::ops::Range;

use rayon::prelude::*;

use super::drivers::{DRIVERS, ModeDrivers, RankedDriver};
use super::flags::{COVERED_SHARE, Flag, Flags, LATE_DAYS, MISSING_SHARE};
use super::fleet::Fleet;
use super::parts::{PartStarts, Parts, ScoreRow};
use super::tally::SlotTally;
use crate::fleet::vehicles::{Vehicles, day_of};
use crate::model::compiled::{CompiledExposure, CompiledMode};
use crate::model::life;

/// Everything that scores are computed from.
#[derive(Clone, Debug)]
pub struct Scorer<'a> {
    pub fleet: Fleet<'a>,
    pub vehicles: &'a Vehicles,
    pub parts: &'a Parts,
    pub starts: &'a PartStarts,
    /// The fleet's mean of each of the model's drivers; `None` where no vehicle has it.
    pub mean_driver_log2: Vec<Option<f64>>,
    /// Of each failure mode: the lower median of [`Score::damage_per_day_recent`] over all parts that have it.
    pub median_rate: Vec<Option<f64>>,
    /// Of each mechanism: the greatest increment that a record can add.
    greatest_q48: Vec<u64>,
    /// Of each failure mode.
    pub drivers: Vec<ModeDrivers>,
}

/// One row of the scores, but for names and clocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Score<'a> {
    /// Day of the replacement that put the part in; `None`: the clock runs since the first record.
    pub clock_start_day: Option<i32>,
    /// Records that the clock sums.
    pub records: u64,
    pub damage: f64,
    pub cumulative_hazard: f64,
    pub damage_per_day_recent: Option<f64>,
    pub relative_rate: Option<f64>,
    pub drivers: [Option<RankedDriver<'a>>; DRIVERS],
    pub flags: Flags,
}

/// What the rows of one vehicle share. Made once, filled for one vehicle after the other.
#[derive(Clone, Debug)]
pub struct VehicleFigures {
    vehicle: usize,
    history: SlotTally,
    /// Records in the recent window.
    recent_records: u32,
    /// Driver means less the fleet's.
    excess_log2: Vec<Option<f64>>,
    shares: Vec<f64>,
}

impl<'a> Scorer<'a> {
    /// Computes the fleet's figures. Runs on the current rayon pool.
    pub fn new(fleet: Fleet<'a>, vehicles: &'a Vehicles, parts: &'a Parts, starts: &'a PartStarts) -> Self {
        let drivers = fleet.model.modes.iter().map(|mode| ModeDrivers::new(fleet.model, mode)).collect();
        let mut scorer = Self {
            fleet,
            vehicles,
            parts,
            starts,
            mean_driver_log2: fleet.mean_driver_log2(),
            median_rate: Vec::new(),
            greatest_q48: fleet.model.tables.greatest_increments_q48(),
            drivers,
        };
        scorer.median_rate = (0..fleet.model.modes.len()).map(|mode| scorer.median_rate_of(mode)).collect();
        scorer
    }

    fn median_rate_of(&self, mode_index: usize) -> Option<f64> {
        let (fleet, mode) = (&self.fleet, &self.fleet.model.modes[mode_index]);
        let parts: Vec<usize> =
            self.parts.rows.iter().filter(|row| row.mode == mode_index).map(|row| row.part).collect();
        let rates_of = |vehicle: usize| {
            // Parts of one vehicle that are equally old wear alike.
            let mut before: Option<(Option<i32>, Option<f64>)> = None;
            parts.iter().filter_map(move |&part| {
                let start_day = self.starts.day(vehicle, part);
                let known = before.filter(|(day, _)| *day == start_day);
                let (_, rate) = known.unwrap_or_else(|| {
                    let since = fleet.plan.since(vehicle, start_day);
                    let (tally, damage) = (fleet.tally(since.clone()), fleet.damage(mode, &since));
                    (start_day, fleet.damage_per_day_recent(vehicle, mode, start_day, &since, &tally, damage))
                });
                before = Some((start_day, rate));
                rate
            })
        };
        let mut rates: Vec<f64> = (0..fleet.sums.vehicles).into_par_iter().flat_map_iter(rates_of).collect();
        let middle = rates.len().checked_sub(1)? / 2;
        Some(*rates.select_nth_unstable_by(middle, f64::total_cmp).1)
    }

    /// Room for a vehicle's figures.
    pub fn figures(&self) -> VehicleFigures {
        VehicleFigures {
            vehicle: 0,
            history: SlotTally::EMPTY,
            recent_records: 0,
            excess_log2: vec![None; self.fleet.model.drivers.len()],
            shares: Vec::new(),
        }
    }

    /// Computes what the rows of `vehicle` share.
    pub fn load(&self, vehicle: usize, figures: &mut VehicleFigures) {
        figures.vehicle = vehicle;
        figures.history = self.fleet.history(vehicle);
        figures.recent_records = self.fleet.tally(self.fleet.plan.recent(vehicle)).records;
        self.fleet.driver_log2(vehicle, &mut figures.excess_log2);
        for (excess, fleet) in figures.excess_log2.iter_mut().zip(&self.mean_driver_log2) {
            *excess = match (*excess, fleet) {
                (Some(vehicle), Some(fleet)) => Some(vehicle - fleet),
                _ => None,
            };
        }
    }

    /// A mode's clocks over some slots, Q48 lives.
    pub fn clocks_q48(&self, mode: usize, slots: &Range<usize>) -> impl Iterator<Item = u64> {
        let mechanisms = self.fleet.model.modes[mode].mechanisms.clone();
        mechanisms.map(move |mechanism| self.fleet.clock_q48(slots.clone(), mechanism))
    }

    /// The score of a row of the loaded vehicle.
    pub fn score<'s>(&'s self, row: &ScoreRow, figures: &mut VehicleFigures) -> Score<'s> {
        let vehicle = figures.vehicle;
        let start_day = self.starts.day(vehicle, row.part);
        let score = self.score_since(row.mode, start_day, self.fleet.plan.since(vehicle, start_day), figures);
        Score { flags: self.flags_of_part(&score, vehicle, row.part), ..score }
    }

    /// A row's flags: those of its score and what is known of the part alone.
    pub fn flags_of_part(&self, score: &Score, vehicle: usize, part: usize) -> Flags {
        let mut flags = score.flags;
        flags.raise(Flag::ReplacementNotPlaced, self.starts.is_doubtful(vehicle, part));
        flags
    }

    /// What the rows of a mode share whose parts were put in on `clock_start_day` and count `slots`: a score without
    /// the flags of a part.
    pub fn score_since<'s>(
        &'s self,
        mode_index: usize,
        clock_start_day: Option<i32>,
        slots: Range<usize>,
        figures: &mut VehicleFigures,
    ) -> Score<'s> {
        let mode = &self.fleet.model.modes[mode_index];
        let tally = self.fleet.tally(slots.clone());
        figures.shares.clear();
        let mut damage = 0.0;
        for (mechanism, clock_q48) in mode.mechanisms.clone().zip(self.clocks_q48(mode_index, &slots)) {
            let part = life::mechanism_damage(clock_q48, self.fleet.model.mechanisms[mechanism].clock_exponent);
            figures.shares.push(part);
            damage += part;
        }
        let mut drivers = [None; DRIVERS];
        if damage > 0.0 {
            figures.shares.iter_mut().for_each(|share| *share /= damage);
            drivers = self.drivers[mode_index].rank(&figures.excess_log2, &figures.shares);
        }
        let rate = self.fleet.damage_per_day_recent(figures.vehicle, mode, clock_start_day, &slots, &tally, damage);
        let median = self.median_rate[mode_index].filter(|&median| median > 0.0);
        Score {
            clock_start_day,
            records: u64::from(tally.records),
            damage,
            cumulative_hazard: life::cumulative_hazard(damage, mode.weibull_shape),
            damage_per_day_recent: rate,
            relative_rate: rate.zip(median).map(|(rate, median)| rate / median),
            drivers,
            flags: self.flags(figures, mode, clock_start_day, slots, &tally),
        }
    }

    fn flags(
        &self,
        figures: &VehicleFigures,
        mode: &CompiledMode,
        start_day: Option<i32>,
        slots: Range<usize>,
        tally: &SlotTally,
    ) -> Flags {
        let vehicle = figures.vehicle;
        let plan = self.fleet.plan;
        let in_service = start_day.or(self.vehicles.in_service_day(vehicle));
        let late = |start: i32| plan.axis.day(tally.first_tick) > start.saturating_add(LATE_DAYS);
        let missing_share = |mechanism: usize| -> f64 {
            let Some(exposure) = self.fleet.exposure_of(mechanism) else { return 0.0 };
            let missing: u64 = slots.clone().map(|slot| u64::from(self.fleet.sums.tally.missing(slot, exposure))).sum();
            missing as f64 / f64::from(tally.records.max(1))
        };
        let ages =
            |mechanism: usize| matches!(self.fleet.model.mechanisms[mechanism].exposure, CompiledExposure::Constant(_));
        let words = self.fleet.model.mechanisms.len().div_ceil(32);
        let capped = |mechanism: usize| {
            slots.clone().any(|slot| {
                let word = self.fleet.sums.damage.capped.get(slot * words + mechanism / 32).copied().unwrap_or(0);
                word >> (mechanism % 32) & 1 == 1
            })
        };
        let mut flags = Flags::default();
        flags.raise(Flag::NoRecords, figures.history.records == 0);
        flags.raise(Flag::NoRecordsSinceStart, figures.history.records > 0 && tally.records == 0);
        flags.raise(Flag::NoRecentRecords, figures.history.records > 0 && figures.recent_records == 0);
        flags.raise(Flag::StartUnknown, in_service.is_none());
        flags.raise(Flag::HistoryStartsLate, tally.records > 0 && in_service.is_some_and(late));
        flags.raise(Flag::IncrementCapped, mode.mechanisms.clone().any(capped));
        let past_limit = |m: usize| self.fleet.is_past_limit(slots.clone(), m, self.greatest_q48[m]);
        flags.raise(Flag::ClockAtLimit, mode.mechanisms.clone().any(past_limit));
        flags.raise(Flag::ExposureMissing, mode.mechanisms.clone().any(|m| missing_share(m) > MISSING_SHARE));
        let covered = self.fleet.covered_share(tally).is_none_or(|share| share >= COVERED_SHARE);
        flags.raise(Flag::HistoryHasGaps, !covered && mode.mechanisms.clone().any(ages));
        flags.raise(Flag::Retired, day_of(&self.vehicles.end_day, vehicle).is_some_and(|day| day <= plan.as_of_day));
        flags.raise(Flag::UnlistedVehicle, vehicle >= plan.known());
        flags
    }
}
