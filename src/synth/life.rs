//! The lives of a vehicle's parts: each fails where its cumulative hazard reaches a draw from the unit exponential law.
//!
//! Key idea: hazards only grow, so a failure is found by bisection over the running clocks. A part that was already in
//! place when the data begin carries a prior clock: the vehicle's own mean daily rates over its earlier days, with
//! earlier renewals played out on them. A failed part stays until the workshop replaces it, on the day on which the
//! failure is reported; wear is what the records show, so a clock here equals the engine's clock bit for bit.

use super::draw::{Draws, Stream, uniform};
use super::fleet::Profile;
use super::wear::{RunningClocks, Wear};
use crate::model::compiled::CompiledMode;
use crate::model::life;

/// Mean of the days from a failure to its report; the delay is gamma with shape 2 (two stages of a queue).
pub const REPORT_DELAY_MEAN_DAYS: f64 = 21.0;
/// A warning goes out where the chance of failing within so many days reaches this, if the model sets no alert.
const ALERT: (f64, f64) = (30.0, 0.2);
/// Warnings were tried out in the last so many days of the data, looked at once a month.
pub const PILOT_DAYS: i32 = 365;
const MONTH_DAYS: i32 = 30;
/// Of the warned customers: who answer, and who accept.
pub const RESPONDED_SHARE: f64 = 0.42;
pub const ACCEPTED_SHARE: f64 = 0.34;
/// Days from a warning to the visit of a customer who accepts.
const VISIT_DAYS: i32 = 7;
/// A part taken out on a warning is found worn if it would have failed within so many days.
const WORN_WITHIN_DAYS: i32 = 60;
/// Lives of one part that are played out at most: a guard against models whose parts last hours.
const MOST_LIVES: u32 = 1_000;

/// One part's stay on a vehicle, as far as it falls into the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    pub mode: usize,
    /// Index into the mode's positions; 0 where it has none.
    pub position: usize,
    /// 0: the original part; counts renewals since the sale.
    pub number: u32,
    /// Day of sale or of the replacement that put the part in.
    pub started_day: i32,
    /// First row that counts for it.
    pub first_row: usize,
    /// One past the last row on which it was in place.
    pub end_row: usize,
    /// By mechanism of the mode: wear before the data begin.
    pub prior_q48: Vec<u64>,
    pub failed: Option<Failure>,
    /// Day on which it was taken out, for whatever reason, if that is on record.
    pub replaced_day: Option<i32>,
    pub notice: Option<Notice>,
    /// Cumulative hazard at the failure, or at the end of what was seen.
    pub hazard: f64,
    /// The hazard at which it was bound to fail.
    pub hazard_drawn: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failure {
    pub row: usize,
    pub day: i32,
    /// `None`: not reported before the data end or the vehicle left.
    pub reported_day: Option<i32>,
}

/// A warning and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Notice {
    pub day: i32,
    pub responded: bool,
    pub accepted: bool,
    /// What the workshop saw where the customer came; `None`: nobody looked.
    pub confirmed: Option<bool>,
}

/// Everything about one vehicle that lives depend on.
pub struct VehicleHistory<'a> {
    pub profile: &'a Profile,
    pub day: &'a [i32],
    pub clocks: &'a RunningClocks,
    /// Days in the fleet within the data.
    pub service_days: std::ops::Range<i32>,
    /// The first and last day on which anything is on record.
    pub data_days: std::ops::Range<i32>,
}

impl VehicleHistory<'_> {
    fn row_after(&self, day: i32) -> usize {
        self.day.partition_point(|&row_day| row_day <= day)
    }

    /// All lives of all parts, in the order of modes, positions and time.
    pub fn lives(&self, wear: &Wear, draws: &Draws) -> Vec<Life> {
        let mut lives = Vec::new();
        let mut part = 0;
        for (mode_index, mode) in wear.model.modes.iter().enumerate() {
            for position in 0..mode.positions.len().max(1) {
                self.part_lives(mode_index, mode, position, part, wear, draws, &mut lives);
                part += 1;
            }
        }
        lives
    }

    #[allow(clippy::too_many_arguments, reason = "one call, and the arguments are what identifies a part")]
    fn part_lives(
        &self,
        mode_index: usize,
        mode: &CompiledMode,
        position: usize,
        part: u32,
        wear: &Wear,
        draws: &Draws,
        lives: &mut Vec<Life>,
    ) {
        if self.day.is_empty() {
            return;
        }
        let law = Law::of(mode, wear);
        let vehicle = self.profile.vehicle;
        let draw = |number: u32| life::exponential_draw(draws.bits(Stream::Life, vehicle, part * MOST_LIVES + number));
        let prior = self.prior(&law, draws, part, &draw);
        let mut number = prior.number;
        let mut started_day = prior.started_day;
        let mut first_row = 0;
        let mut prior_q48 = prior.clocks_q48;
        let rows = self.day.len();
        while number < MOST_LIVES {
            let hazard_drawn = draw(number);
            let hazard_at = |row: usize| law.hazard(self.clocks, &prior_q48, first_row, row);
            // Rows `first_row .. failing` leave it alive; `failing` is one past the row on which it fails.
            let failing = first_true(first_row + 1, rows + 1, |row| hazard_at(row) >= hazard_drawn);
            let mut failed = (failing <= rows).then(|| {
                let (row, day) = (failing - 1, self.day[failing - 1]);
                let reported = day + report_delay(draws.bits(Stream::Order, vehicle, (part * MOST_LIVES + number) * 2));
                Failure { row, day, reported_day: Some(reported).filter(|&day| day < self.service_days.end) }
            });
            let mut replaced_day = failed.and_then(|failure| failure.reported_day);
            let notice = self.notice(mode, &law, part * MOST_LIVES + number, first_row, failing, &hazard_at, draws);
            if let Some(notice) = notice.filter(|notice| notice.accepted) {
                let visit_day = notice.day + VISIT_DAYS;
                if visit_day < failed.map_or(self.service_days.end, |failure| failure.day) {
                    failed = None;
                    replaced_day = Some(visit_day);
                }
            }
            let end_row = replaced_day.map_or(rows, |day| self.row_after(day));
            let hazard = hazard_at(failed.map_or(end_row, |failure| failure.row + 1));
            lives.push(Life {
                mode: mode_index,
                position,
                number,
                started_day,
                first_row,
                end_row,
                prior_q48: prior_q48.clone(),
                failed,
                replaced_day,
                notice,
                hazard,
                hazard_drawn,
            });
            let Some(day) = replaced_day else { break };
            started_day = day;
            first_row = end_row;
            prior_q48 = vec![0; law.mechanisms.len()];
            number += 1;
        }
    }

    /// What happened to a part before the data begin, at the vehicle's mean rates.
    fn prior(&self, law: &Law, draws: &Draws, part: u32, draw: &dyn Fn(u32) -> f64) -> Prior {
        let mut prior =
            Prior { number: 0, started_day: self.profile.sale_day, clocks_q48: vec![0; law.mechanisms.len()] };
        let age_days = f64::from(self.data_days.start - self.profile.sale_day);
        let seen_days = f64::from(self.service_days.end - self.service_days.start);
        if age_days <= 0.0 || seen_days <= 0.0 {
            return prior;
        }
        let rates_q48: Vec<f64> = law
            .mechanisms
            .iter()
            .map(|&(mechanism, _)| self.clocks.between_q48(mechanism, 0, self.day.len()) as f64 / seen_days)
            .collect();
        let clocks_q48 = |days: f64| rates_q48.iter().map(move |rate| (rate * days) as u64);
        let mut begun = 0.0;
        while prior.number + 1 < MOST_LIVES {
            let hazard_drawn = draw(prior.number);
            let hazard = |days: f64| law.hazard_of(clocks_q48(days));
            let left = age_days - begun;
            if hazard(left) < hazard_drawn {
                break;
            }
            let (mut alive, mut dead) = (0.0, left);
            for _ in 0..40 {
                let middle = 0.5 * (alive + dead);
                if hazard(middle) < hazard_drawn { alive = middle } else { dead = middle }
            }
            let bits = draws.bits(Stream::Order, self.profile.vehicle, (part * MOST_LIVES + prior.number) * 2);
            let next = begun + dead + f64::from(report_delay(bits));
            if next >= age_days {
                // Failed and not yet replaced when the data begin: replaced just before, so that nothing is half dead.
                begun = age_days;
                prior.number += 1;
                break;
            }
            begun = next;
            prior.number += 1;
        }
        prior.started_day = self.profile.sale_day + begun as i32;
        prior.clocks_q48 = clocks_q48(age_days - begun).collect();
        prior
    }

    /// The first monthly look in the pilot that finds the part likely to fail soon.
    #[allow(clippy::too_many_arguments, reason = "one call from `part_lives`, whose state it reads")]
    fn notice(
        &self,
        mode: &CompiledMode,
        law: &Law,
        counter: u32,
        first_row: usize,
        failing: usize,
        hazard_at: &dyn Fn(usize) -> f64,
        draws: &Draws,
    ) -> Option<Notice> {
        if !self.profile.pilot || law.mechanisms.is_empty() {
            return None;
        }
        let (horizon_days, probability) = mode.alert.map_or(ALERT, |alert| (alert.horizon_days, alert.probability));
        let mut look_day = self.data_days.end - PILOT_DAYS.min((self.data_days.end - self.data_days.start) / 2);
        let last_alive_day = if failing <= self.day.len() { self.day[failing - 1] } else { self.data_days.end };
        while look_day + VISIT_DAYS < last_alive_day.min(self.service_days.end) {
            let row = self.row_after(look_day);
            let soon = self.row_after(look_day + horizon_days as i32);
            if row >= first_row && look_day >= self.service_days.start {
                let increase = hazard_at(soon.max(row)) - hazard_at(row);
                if -libm::expm1(-increase) >= probability {
                    let responded = draws.uniform(Stream::Notice, self.profile.vehicle, 2 * counter) < RESPONDED_SHARE;
                    let accepted = responded
                        && draws.uniform(Stream::Notice, self.profile.vehicle, 2 * counter + 1)
                            < ACCEPTED_SHARE / RESPONDED_SHARE;
                    let worn = failing <= self.day.len() && self.day[failing - 1] <= look_day + WORN_WITHIN_DAYS;
                    return Some(Notice { day: look_day, responded, accepted, confirmed: accepted.then_some(worn) });
                }
            }
            look_day += MONTH_DAYS;
        }
        None
    }
}

struct Prior {
    number: u32,
    started_day: i32,
    clocks_q48: Vec<u64>,
}

/// A mode's law with the mechanisms it sums.
pub struct Law {
    /// (mechanism, clock exponent).
    pub mechanisms: Vec<(usize, f64)>,
    pub shape: f64,
}

impl Law {
    pub fn of(mode: &CompiledMode, wear: &Wear) -> Self {
        let mechanisms = mode.mechanisms.clone().map(|m| (m, wear.model.mechanisms[m].clock_exponent)).collect();
        Self { mechanisms, shape: mode.weibull_shape }
    }

    /// Cumulative hazard of clocks of this law's mechanisms.
    pub fn hazard_of(&self, clocks_q48: impl Iterator<Item = u64>) -> f64 {
        let exponents = self.mechanisms.iter().map(|&(_, exponent)| exponent);
        life::cumulative_hazard(life::damage(clocks_q48.zip(exponents)), self.shape)
    }

    /// Cumulative hazard of a part after rows `first_row .. row`.
    pub fn hazard(&self, clocks: &RunningClocks, prior_q48: &[u64], first_row: usize, row: usize) -> f64 {
        self.hazard_of(
            self.mechanisms
                .iter()
                .zip(prior_q48)
                .map(|(&(mechanism, _), &prior)| prior.wrapping_add(clocks.between_q48(mechanism, first_row, row))),
        )
    }
}

/// Days from a failure to its report: gamma with shape 2, rounded to nearest.
fn report_delay(bits: u64) -> i32 {
    let stage = |bits: u64| -libm::log(uniform(bits));
    let days = 0.5 * REPORT_DELAY_MEAN_DAYS * (stage(bits << 32) + stage(bits >> 32 << 32));
    (days + 0.5) as i32
}

/// The first number of `low .. high` for which a condition that stays true holds; `high` if none.
fn first_true(low: usize, high: usize, holds: impl Fn(usize) -> bool) -> usize {
    // Most parts outlive the data: one look at the end settles them.
    if low >= high || !holds(high - 1) {
        return high.max(low);
    }
    let (mut low, mut high) = (low, high - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bisection_finds_the_first() {
        for first in 0..=10 {
            assert_eq!(first_true(0, 10, |n| n >= first), first.min(10));
        }
        assert_eq!(first_true(3, 3, |_| true), 3);
        assert_eq!(first_true(4, 3, |_| true), 4);
    }

    #[test]
    fn delays_have_their_mean() {
        let draws = Draws::new(1);
        let n = 20_000;
        let sum: i64 = (0..n).map(|i| i64::from(report_delay(draws.bits(Stream::Order, i, 0)))).sum();
        let mean = sum as f64 / f64::from(n);
        // Standard error 14.8 / sqrt(20,000) = 0.105.
        assert!((mean - REPORT_DELAY_MEAN_DAYS).abs() < 0.5, "{mean}");
    }
}
