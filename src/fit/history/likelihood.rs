//! The likelihood of a group's lives, and its slopes.
//!
//! Key idea: what a life says is a statement about its cumulative hazard `H` at two or three points of its vehicle's
//! history. A failure on a day: `exp(−H(before)) − exp(−H(after))`, the exact chance of that day. Taken out in working
//! order: `exp(−H)`. Alive on the last day means *not reported* by then: with chances `g` of a delay of so many days,
//! `Σ g exp(−H(last day − delay))`. A part that was watched only from some use on counts given that it reached it. So
//! of each vehicle only the sums of its increments at those points, its *marks*, are kept; and the records in between
//! where a curve or ratio is free.
//!
//! Sums over vehicles are formed in fixed blocks, so they do not depend on the number of threads.
//!
//! Units: natural logarithms; clocks in lives. Source: Meeker & Escobar, Statistical Methods for Reliability Data,
//! chapter 8 and section 11.6 (truncation); Kalbfleisch & Lawless (1989) on reporting delay.

#![allow(clippy::needless_range_loop, reason = "rows and columns index several matrices at once")]

use rayon::prelude::*;

use super::law::{Law, LawAt, MOST_PARAMETERS, Slopes};

/// Vehicles of a block of the sum.
const BLOCK: usize = 64;
/// Points at which the law of the delay is looked at, about.
const DELAY_POINTS: usize = 12;
/// An increase of the hazard below this counts as this: a law far off must still have a slope.
const LEAST_STEP: f64 = 1e-290;

/// Days that a report may be late, at most a few of them, with their chances.
#[derive(Clone, Debug, PartialEq)]
pub struct Delays {
    pub days: Vec<i32>,
    pub chances: Vec<f64>,
}

impl Delays {
    /// Failures are known at once.
    pub fn none() -> Self {
        Self { days: vec![0], chances: vec![1.0] }
    }

    /// Of a law by day: a few points that share its weight evenly and keep its mean, in units of so many days.
    pub fn of(chances: &[f64], unit_days: i32) -> Self {
        let mut points: Vec<(i32, f64)> = Vec::new();
        let (mut weight, mut sum) = (0.0, 0.0);
        let total: f64 = chances.iter().sum();
        for (day, chance) in chances.iter().enumerate() {
            weight += chance / total;
            sum += chance / total * day as f64 / f64::from(unit_days);
            if weight >= 1.0 / DELAY_POINTS as f64 || (day + 1 == chances.len() && weight > 0.0) {
                let mean = sum / weight;
                let floor = libm::floor(mean);
                points.push((floor as i32, weight * (1.0 - (mean - floor))));
                points.push((floor as i32 + 1, weight * (mean - floor)));
                (weight, sum) = (0.0, 0.0);
            }
        }
        points.retain(|(_, chance)| *chance > 1e-12);
        points.sort_by_key(|(day, _)| *day);
        let mut merged: Vec<(i32, f64)> = Vec::new();
        for (day, chance) in points {
            match merged.last_mut() {
                Some((same, sum)) if *same == day => *sum += chance,
                _ => merged.push((day, chance)),
            }
        }
        let (days, chances) = merged.into_iter().unzip();
        Self { days, chances }
    }
}

/// A part's time in a vehicle. Points are places among the vehicle's marks.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    pub start: u32,
    /// It was in use before the records: so many times what was used from the start to this mark.
    pub before: Option<(u32, f32)>,
    pub end: End,
}

#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Failed after the first mark and by the second.
    Failed { after: u32, by: u32 },
    /// Taken out, or lost sight of, in working order.
    Working { at: u32 },
    /// No failure reported by the last day: a mark for each of [`Delays::days`].
    Unreported { at: Box<[u32]> },
}

/// A vehicle of the sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VehicleLives {
    /// Index in the dataset.
    pub vehicle: u32,
    /// One over the chance to be in the sample.
    pub weight: f64,
    pub stratum: u8,
    pub failures: u32,
    /// Numbers of records, rising: where sums are wanted.
    pub marks: Vec<u32>,
    /// Sums of the increments at the marks, mark by mark for each mechanism of the group; empty for those that move.
    pub sums: Vec<Vec<f64>>,
    /// Increments of the records, for those that move; empty for the others.
    pub increments: Vec<Vec<f32>>,
    /// Codes of the records, one column a [`Law::sources`].
    pub codes: Vec<Vec<u16>>,
    pub lives: Vec<Life>,
}

/// The lives of a group, ready to be weighed.
#[derive(Clone, Debug)]
pub struct Lives {
    pub vehicles: Vec<VehicleLives>,
    pub delays: Delays,
}

/// A weighted sum over vehicles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sum {
    pub log_likelihood: f64,
    pub slopes: Slopes,
}

impl Lives {
    /// The log-likelihood of a law; `factor` multiplies the weight of the vehicle at a place.
    pub fn sum(&self, law: &LawAt, factor: impl Fn(usize) -> f64 + Sync) -> Sum {
        let blocks: Vec<Sum> = (self.vehicles.par_chunks(BLOCK).enumerate())
            .map(|(block, vehicles)| {
                let mut work = Work::new(law.law);
                let mut sum = Sum { log_likelihood: 0.0, slopes: [0.0; MOST_PARAMETERS] };
                for (place, vehicle) in vehicles.iter().enumerate() {
                    let (log_likelihood, slopes) = work.vehicle(vehicle, law, &self.delays);
                    let weight = vehicle.weight * factor(block * BLOCK + place);
                    sum.log_likelihood += weight * log_likelihood;
                    add(&mut sum.slopes, weight, &slopes);
                }
                sum
            })
            .collect();
        let mut whole = Sum { log_likelihood: 0.0, slopes: [0.0; MOST_PARAMETERS] };
        for block in blocks {
            whole.log_likelihood += block.log_likelihood;
            add(&mut whole.slopes, 1.0, &block.slopes);
        }
        whole
    }

    /// Each vehicle's own slopes, without weight.
    pub fn scores(&self, law: &LawAt) -> Vec<Slopes> {
        let blocks: Vec<Vec<Slopes>> = (self.vehicles.par_chunks(BLOCK))
            .map(|vehicles| {
                let mut work = Work::new(law.law);
                vehicles.iter().map(|vehicle| work.vehicle(vehicle, law, &self.delays).1).collect()
            })
            .collect();
        blocks.concat()
    }

    /// The cumulative hazard at the end of all lives, weighted: as many failures are to be expected.
    pub fn expected(&self, law: &LawAt) -> f64 {
        let blocks: Vec<f64> = (self.vehicles.par_chunks(BLOCK))
            .map(|vehicles| {
                let mut work = Work::new(law.law);
                vehicles.iter().map(|vehicle| vehicle.weight * work.expected(vehicle, law, &self.delays)).sum()
            })
            .collect();
        blocks.into_iter().sum()
    }

    /// Per mechanism of the group: the mean of d ln(clock) by each parameter of its curves and ratios, every life's last
    /// clock weighing alike.
    pub fn mean_clock_slopes(&self, law: &LawAt) -> Vec<Slopes> {
        let mechanisms = law.law.mechanisms.len();
        let mut sums = vec![[0.0; MOST_PARAMETERS]; mechanisms];
        let mut clocks = vec![0.0; mechanisms];
        let mut work = Work::new(law.law);
        for vehicle in &self.vehicles {
            work.fill(vehicle, law);
            let last = vehicle.marks.len().saturating_sub(1);
            for mechanism in 0..mechanisms {
                let mut slopes = [0.0; MOST_PARAMETERS];
                clocks[mechanism] += vehicle.weight * work.at(vehicle, law.law, mechanism, last, 1.0, &mut slopes);
                add(&mut sums[mechanism], vehicle.weight, &slopes);
            }
        }
        for (sum, clock) in sums.iter_mut().zip(clocks) {
            sum.iter_mut().for_each(|slope| *slope = if clock > 0.0 { *slope / clock } else { 0.0 });
        }
        sums
    }
}

fn add(sum: &mut Slopes, weight: f64, slopes: &Slopes) {
    for (sum, slope) in sum.iter_mut().zip(slopes) {
        *sum += weight * slope;
    }
}

/// Sums of one vehicle's moving mechanisms at its marks, used again for the next.
struct Work {
    /// By mechanism: sums at the marks.
    sums: Vec<Vec<f64>>,
    /// By mechanism: slopes at the marks, those of one mark together, one a moving parameter.
    slopes: Vec<Vec<f64>>,
}

impl Work {
    fn new(law: &Law) -> Self {
        let mechanisms = law.mechanisms.len();
        Self { sums: vec![Vec::new(); mechanisms], slopes: vec![Vec::new(); mechanisms] }
    }

    /// Sums the records where a curve or ratio is free.
    fn fill(&mut self, vehicle: &VehicleLives, law: &LawAt) {
        for (mechanism, own) in law.law.mechanisms.iter().enumerate() {
            if own.columns.is_empty() {
                continue;
            }
            let (sums, slopes) = (&mut self.sums[mechanism], &mut self.slopes[mechanism]);
            sums.clear();
            slopes.clear();
            let tables = &law.mechanisms[mechanism].tables;
            let columns: Vec<(&[u16], &[f64])> = (own.columns.iter().zip(tables))
                .map(|(column, table)| (vehicle.codes[column.source].as_slice(), table.ratio.as_slice()))
                .collect();
            let by_parameter: Vec<(&[u16], &[f64])> = own
                .moving
                .iter()
                .filter_map(|place| {
                    (own.columns.iter().zip(tables)).find_map(|(column, table)| {
                        let slopes = &table.slopes.iter().find(|(one, _)| one == place)?.1;
                        Some((vehicle.codes[column.source].as_slice(), slopes.as_slice()))
                    })
                })
                .collect();
            let (mut sum, mut own_slopes) = (0.0, [0.0; MOST_PARAMETERS]);
            let mut from = 0;
            for &mark in &vehicle.marks {
                for row in from..mark as usize {
                    let mut increment = f64::from(vehicle.increments[mechanism][row]);
                    for (codes, ratio) in &columns {
                        increment *= ratio[usize::from(codes[row])];
                    }
                    sum += increment;
                    for ((codes, slope), own) in by_parameter.iter().zip(&mut own_slopes) {
                        *own += increment * slope[usize::from(codes[row])];
                    }
                }
                from = mark as usize;
                sums.push(sum);
                slopes.extend_from_slice(&own_slopes[..by_parameter.len()]);
            }
        }
    }

    /// The sum of a mechanism at a mark, `times` its slopes added to `slopes`.
    fn at(
        &self,
        vehicle: &VehicleLives,
        law: &Law,
        mechanism: usize,
        mark: usize,
        times: f64,
        slopes: &mut Slopes,
    ) -> f64 {
        let moving = &law.mechanisms[mechanism].moving;
        if law.mechanisms[mechanism].columns.is_empty() {
            return vehicle.sums[mechanism][mark];
        }
        let own = &self.slopes[mechanism][mark * moving.len()..];
        for (&place, slope) in moving.iter().zip(own) {
            slopes[place] += times * slope;
        }
        self.sums[mechanism][mark]
    }

    /// Cumulative hazard of a life at a mark.
    fn hazard(&self, vehicle: &VehicleLives, law: &LawAt, life: &Life, mark: u32) -> (f64, Slopes) {
        let start = life.start as usize;
        law.hazard(&|mechanism, slopes: &mut Slopes| {
            let mut at = |mark: usize, times: f64| times * self.at(vehicle, law.law, mechanism, mark, times, slopes);
            let mut sum = at(mark as usize, 1.0) + at(start, -1.0);
            if let Some((until, times)) = life.before {
                sum += at(until as usize, f64::from(times)) + at(start, -f64::from(times));
            }
            sum
        })
    }

    fn expected(&mut self, vehicle: &VehicleLives, law: &LawAt, delays: &Delays) -> f64 {
        self.fill(vehicle, law);
        let mut sum = 0.0;
        for life in &vehicle.lives {
            let entry = if life.before.is_some() { self.hazard(vehicle, law, life, life.start).0 } else { 0.0 };
            let end = match &life.end {
                End::Failed { by, .. } => self.hazard(vehicle, law, life, *by).0,
                End::Working { at } => self.hazard(vehicle, law, life, *at).0,
                End::Unreported { at } => {
                    let nodes = at.iter().zip(&delays.chances);
                    nodes.map(|(&at, chance)| chance * self.hazard(vehicle, law, life, at).0.max(entry)).sum()
                }
            };
            sum += end - entry;
        }
        sum
    }

    /// The vehicle's log-likelihood and its slopes.
    fn vehicle(&mut self, vehicle: &VehicleLives, law: &LawAt, delays: &Delays) -> (f64, Slopes) {
        self.fill(vehicle, law);
        let (mut log_likelihood, mut slopes) = (0.0, [0.0; MOST_PARAMETERS]);
        for life in &vehicle.lives {
            if life.before.is_some() {
                let (hazard, own) = self.hazard(vehicle, law, life, life.start);
                log_likelihood += hazard;
                add(&mut slopes, 1.0, &own);
            }
            match &life.end {
                End::Failed { after, by } => {
                    let (before, before_slopes) = self.hazard(vehicle, law, life, *after);
                    let (behind, behind_slopes) = self.hazard(vehicle, law, life, *by);
                    let step = (behind - before).max(LEAST_STEP);
                    log_likelihood += libm::log(-libm::expm1(-step)) - before;
                    // d ln(1 − e^−x) = 1 / (e^x − 1).
                    let share = 1.0 / libm::expm1(step.min(600.0));
                    add(&mut slopes, share, &behind_slopes);
                    add(&mut slopes, -share - 1.0, &before_slopes);
                }
                End::Working { at } => {
                    let (hazard, own) = self.hazard(vehicle, law, life, *at);
                    log_likelihood -= hazard;
                    add(&mut slopes, -1.0, &own);
                }
                End::Unreported { at } => {
                    let (own, own_slopes) = self.unreported(vehicle, law, life, at, delays);
                    log_likelihood += own;
                    add(&mut slopes, 1.0, &own_slopes);
                }
            }
        }
        (log_likelihood, slopes)
    }

    /// ln Σ g exp(−H), the least H taken out.
    fn unreported(
        &self,
        vehicle: &VehicleLives,
        law: &LawAt,
        life: &Life,
        at: &[u32],
        delays: &Delays,
    ) -> (f64, Slopes) {
        let Some(&earliest) = at.last() else { return (0.0, [0.0; MOST_PARAMETERS]) };
        let least = self.hazard(vehicle, law, life, earliest).0;
        let (mut chance, mut slopes) = (0.0, [0.0; MOST_PARAMETERS]);
        let mut held: Option<(u32, (f64, Slopes))> = None;
        for (&mark, &delay) in at.iter().zip(&delays.chances) {
            let (hazard, own) = match held {
                Some((same, value)) if same == mark => value,
                _ => self.hazard(vehicle, law, life, mark),
            };
            held = Some((mark, (hazard, own)));
            let alive = delay * libm::exp(least - hazard);
            chance += alive;
            add(&mut slopes, -alive, &own);
        }
        slopes.iter_mut().for_each(|slope| *slope /= chance);
        (libm::log(chance) - least, slopes)
    }
}
