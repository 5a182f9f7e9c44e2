//! Recurrent events: the mean cumulative function of units that can fail again and again, without any law.
//!
//! At each age with events: M grows by the mean number of events of the units watched then. Its variance sums, unit by
//! unit, that unit's departures from the mean (Nelson; Lawless & Nadeau), so it holds whether or not events of one unit
//! depend on each other: Var M(t) = Σ_units [Σ_k δ(t_k)/δ.(t_k) · (d(t_k) − d̄(t_k))]². Bounds on the scale of ln M.

use std::collections::BTreeMap;

use serde::Serialize;

/// One unit's watch and events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unit {
    /// Age from which it was watched: events after it count, and those at age 0 of a unit watched from its beginning.
    pub entry: f64,
    /// Age at which the watch ended: events at it still count.
    pub end: f64,
    /// Ages of its events, ascending, with what each weighs (1, or a cost).
    pub events: Vec<(f64, f64)>,
}

impl Unit {
    fn since(&self) -> f64 {
        if self.entry > 0.0 { self.entry } else { f64::NEG_INFINITY }
    }
}

/// One step of the function.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeanStep {
    pub age: f64,
    /// Units watched at this age.
    pub at_risk: f64,
    /// Events at it, or their cost.
    pub events: f64,
    pub mean: f64,
    pub standard_error: f64,
    pub lower: f64,
    pub upper: f64,
}

/// The mean cumulative function of `units`; `z` is the normal quantile of its pointwise bounds.
pub fn mean_cumulative(units: &[Unit], z: f64) -> Vec<MeanStep> {
    // By age, then by unit: what happened.
    let mut happened: Vec<(f64, usize, f64)> = units
        .iter()
        .enumerate()
        .flat_map(|(unit, one)| one.events.iter().map(move |&(age, weight)| (age, unit, weight)))
        .collect();
    happened.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut by_end: Vec<usize> = (0..units.len()).collect();
    by_end.sort_by(|&a, &b| units[a].end.total_cmp(&units[b].end));
    let mut entries: Vec<f64> = units.iter().map(Unit::since).collect();
    entries.sort_by(f64::total_cmp);
    // A unit's departure is own − lost: own events over those at risk, and d̄/n lost at every age of its watch, which is
    // one running total for all. Σ (own − lost)² is kept as three sums, so that an age costs its events alone.
    let mut own: Vec<f64> = vec![0.0; units.len()];
    let mut losses = Losses::default();
    let (mut own_squared, mut own_lost, mut lost_squared) = (0.0, 0.0, 0.0);
    // Of units still watched.
    let (mut watched_own, mut watched_lost) = (0.0, 0.0);
    let (mut steps, mut mean, mut at, mut left) = (Vec::new(), 0.0, 0, 0);
    while at < happened.len() {
        let age = happened[at].0;
        while left < by_end.len() && units[by_end[left]].end < age {
            let unit = &units[by_end[left]];
            watched_own -= own[by_end[left]];
            watched_lost -= losses.between(unit.since(), unit.end);
            left += 1;
        }
        let at_risk = (entries.partition_point(|&entry| entry < age) - left) as f64;
        let mut events = 0.0;
        while at < happened.len() && happened[at].0 == age {
            let (_, unit, weight) = happened[at];
            let gain = weight / at_risk;
            own_squared += gain * (2.0 * own[unit] + gain);
            own_lost += gain * losses.between(units[unit].since(), units[unit].end);
            own[unit] += gain;
            watched_own += gain;
            events += weight;
            at += 1;
        }
        mean += events / at_risk;
        let loss = events / (at_risk * at_risk);
        own_lost += loss * watched_own;
        lost_squared += loss * (2.0 * watched_lost + at_risk * loss);
        watched_lost += at_risk * loss;
        losses.add(age, loss);
        let variance = (own_squared - 2.0 * own_lost + lost_squared).max(0.0);
        let standard_error = variance.sqrt();
        let width = if mean > 0.0 { libm::exp(z * standard_error / mean) } else { 1.0 };
        steps.push(MeanStep { age, at_risk, events, mean, standard_error, lower: mean / width, upper: mean * width });
    }
    steps
}

/// Σ d̄/n over ages, as a running total.
#[derive(Default)]
struct Losses {
    ages: Vec<f64>,
    totals: Vec<f64>,
}

impl Losses {
    fn add(&mut self, age: f64, loss: f64) {
        let before = self.totals.last().copied().unwrap_or(0.0);
        self.ages.push(age);
        self.totals.push(before + loss);
    }

    /// Of ages after `entry` and up to `end`.
    fn between(&self, entry: f64, end: f64) -> f64 {
        let up_to = |passed: usize| if passed == 0 { 0.0 } else { self.totals[passed - 1] };
        up_to(self.ages.partition_point(|&age| age <= end)) - up_to(self.ages.partition_point(|&age| age <= entry))
    }
}

/// What is wrong with a unit's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitFault {
    /// No row says when its watch ended.
    NoEnd,
    /// More than one row says so.
    TwoEnds,
    /// An event after its end.
    EventAfterEnd,
    /// An event, or the end, before the watch began.
    BeforeEntry,
}

impl UnitFault {
    pub fn text(&self) -> &'static str {
        match self {
            Self::NoEnd => "no row says until when it was watched",
            Self::TwoEnds => "several rows say until when it was watched",
            Self::EventAfterEnd => "an event after the end of its watch",
            Self::BeforeEntry => "an event or its end is not after the beginning of its watch",
        }
    }
}

/// Rows of one unit under construction.
#[derive(Clone, Debug, Default)]
pub struct UnitRows {
    pub entry: f64,
    pub ends: Vec<f64>,
    pub events: Vec<(f64, f64)>,
    pub rows: u64,
    pub first_row: u64,
}

impl UnitRows {
    pub fn unit(mut self) -> Result<Unit, UnitFault> {
        self.events.sort_by(|a, b| a.0.total_cmp(&b.0));
        let end = match self.ends.as_slice() {
            [] => return Err(UnitFault::NoEnd),
            [end] => *end,
            _ => return Err(UnitFault::TwoEnds),
        };
        if self.events.last().is_some_and(|(age, _)| *age > end) {
            return Err(UnitFault::EventAfterEnd);
        }
        let unit = Unit { entry: self.entry, end, events: self.events };
        let first = unit.events.first().map_or(end, |(age, _)| *age);
        if first.min(end) <= unit.since() { Err(UnitFault::BeforeEntry) } else { Ok(unit) }
    }
}

/// Units by name.
pub type Units = BTreeMap<String, UnitRows>;
