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
    /// Age from which it was watched.
    pub entry: f64,
    /// Age at which the watch ended: events at it still count.
    pub end: f64,
    /// Ages of its events, ascending, with what each weighs (1, or a cost).
    pub events: Vec<(f64, f64)>,
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
    let mut entries: Vec<f64> = units.iter().map(|unit| unit.entry).collect();
    let mut ends: Vec<f64> = units.iter().map(|unit| unit.end).collect();
    entries.sort_by(f64::total_cmp);
    ends.sort_by(f64::total_cmp);
    // Σ over the ages so far of (events of the unit − mean) / at risk = own events / at risk − running mean share: each
    // watched unit loses d̄/n at every age, so that loss is summed once for all and taken off from its entry to its end.
    let mut own: Vec<f64> = vec![0.0; units.len()];
    let mut losses = Losses::default();
    let (mut steps, mut mean, mut at) = (Vec::new(), 0.0, 0);
    while at < happened.len() {
        let age = happened[at].0;
        let watched = entries.partition_point(|&entry| entry < age) - ends.partition_point(|&end| end < age);
        let at_risk = watched as f64;
        let mut events = 0.0;
        while at < happened.len() && happened[at].0 == age {
            own[happened[at].1] += happened[at].2 / at_risk;
            events += happened[at].2;
            at += 1;
        }
        mean += events / at_risk;
        losses.add(age, events / (at_risk * at_risk));
        let variance: f64 = units
            .iter()
            .zip(&own)
            .map(|(unit, own)| {
                let departure = own - losses.between(unit.entry, unit.end);
                departure * departure
            })
            .sum();
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
}

impl UnitFault {
    pub fn text(&self) -> &'static str {
        match self {
            Self::NoEnd => "no row says until when it was watched",
            Self::TwoEnds => "several rows say until when it was watched",
            Self::EventAfterEnd => "an event after the end of its watch",
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
        Ok(Unit { entry: self.entry, end, events: self.events })
    }
}

/// Units by name.
pub type Units = BTreeMap<String, UnitRows>;
