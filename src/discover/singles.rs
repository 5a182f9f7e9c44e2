//! What single channels and attributes do alone: the threshold, or the value, beyond which the rate differs most.
//!
//! Key idea: pairs are judged beside main effects, so a step of one channel is no finding there; it is named here.
//! Expected events are those of the search, rescaled within each zone's month. As for pairs, the chance that anything as
//! clear comes of nothing is that of the greatest score of all channels and values on events drawn from the model.
//!
//! Units: events; scores in standard errors; ratios of rates inside against outside.

use rayon::prelude::*;
use serde::Serialize;

use super::close_up::threshold_code;
use super::findings::{Names, sign};
use super::main_effects::Side;
use super::pool::{NO_SLAB, Places};
use super::replicates;
use super::search::{SearchRequest, Space};
use super::survey::Settled;
use crate::backend::cube::events;
use crate::run::{Control, Interrupted};

/// Conditions within which, or beyond which, fewer events are expected are not looked at.
const LEAST_EXPECTED: f64 = 5.0;

/// A condition on one channel, or a value of an attribute, with another rate than the rest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MainEffect {
    /// The channel's or the attribute's name.
    pub name: String,
    /// `<`, `>`, or `is`.
    pub is: &'static str,
    /// The threshold with its unit, or the value.
    pub value: String,
    pub ratio: f64,
    pub ratio_lower: f64,
    pub ratio_upper: f64,
    pub observed: f64,
    pub expected: f64,
    pub score: f64,
    /// The chance that any channel or value has as clear an effect where there is none.
    pub p_value: f64,
}

impl MainEffect {
    /// In one line.
    pub fn sentence(&self) -> String {
        format!("{} {} {}: {:.2} times as likely", self.name, self.is, self.value, self.ratio)
    }
}

/// What is expected of the bins of a channel, or of the two sides of an attribute's value.
struct Single {
    expected: Vec<f64>,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Channel(usize),
    Slab(usize),
}

/// The best split of a single: score, and its edge with the side that has more.
type Split = (f64, usize, Side);

impl Single {
    fn count(&self, space: &Space, places: &Places, which: impl Iterator<Item = usize>) -> Vec<f64> {
        let mut counts = vec![0.0; self.expected.len()];
        match self.kind {
            Kind::Channel(channel) => {
                let bins = &places.bins[channel];
                which.map(|place| usize::from(bins[place])).for_each(|bin| {
                    if let Some(count) = counts.get_mut(bin) {
                        *count += 1.0;
                    }
                });
            }
            Kind::Slab(slab) => {
                let slabs = &places.slabs[space.attribute[slab]];
                which.map(|place| slabs[place]).for_each(|own| match own {
                    NO_SLAB => counts[1] += 1.0,
                    own => counts[usize::from(own as usize != slab)] += 1.0,
                });
            }
        }
        counts
    }

    fn best(&self, counts: &[f64]) -> Option<Split> {
        let (all, total): (f64, f64) = (counts.iter().sum(), self.expected.iter().sum());
        let scale = all / total.max(1e-300);
        let (mut observed, mut expected) = (0.0, 0.0);
        let mut best: Option<Split> = None;
        for edge in 1..self.expected.len() {
            observed += counts[edge - 1];
            expected += scale * self.expected[edge - 1];
            if expected < LEAST_EXPECTED || all - expected < LEAST_EXPECTED {
                continue;
            }
            let score = (observed - expected) / libm::sqrt(expected * (1.0 - expected / all));
            let side = if score > 0.0 { Side::Below } else { Side::Above };
            if best.is_none_or(|(most, ..)| score.abs() > most) {
                best = Some((score.abs(), edge, side));
            }
        }
        best
    }
}

/// Every channel's and every value's effect that chance does not give more often than `level`, the clearest first.
///
/// # Errors
///
/// Interruption.
pub fn main_effects(
    settled: &Settled,
    space: &Space,
    names: &Names,
    request: &SearchRequest,
    level: f64,
    control: &Control,
) -> Result<Vec<MainEffect>, Interrupted> {
    let singles = singles(settled, space);
    let numbers = replicates::numbers(space);
    control.check()?;
    let chance: Vec<f64> = (0..request.replicates)
        .into_par_iter()
        .map(|replicate| {
            let drawn = replicates::draw(space, request.seed, replicate, &numbers);
            let score = |single: &Single| {
                let counts = single.count(space, &space.pool.places, drawn.iter().map(|place| *place as usize));
                single.best(&counts).map_or(0.0, |(score, ..)| score)
            };
            singles.iter().map(score).fold(0.0, f64::max)
        })
        .collect();
    control.check()?;
    let mut effects: Vec<MainEffect> = singles
        .iter()
        .filter_map(|single| {
            let counts = single.count(space, space.events, 0..space.events.len());
            let split = single.best(&counts)?;
            let as_great = chance.iter().filter(|other| **other >= split.0).count();
            let p_value = (1 + as_great) as f64 / (1 + chance.len()) as f64;
            (p_value <= level).then(|| single.describe(settled, names, &counts, split, p_value))
        })
        .collect();
    effects.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.name.cmp(&b.name)).then(a.value.cmp(&b.value)));
    // An attribute speaks through its clearest value alone.
    let mut known: Vec<String> = Vec::new();
    effects.retain(|one| {
        let fresh = !known.contains(&one.name);
        known.push(one.name.clone());
        fresh
    });
    Ok(effects)
}

fn singles(settled: &Settled, space: &Space) -> Vec<Single> {
    let mut singles = Vec::new();
    for channel in 0..space.levels.len() {
        // A copy is in no pair that is looked at, and says nothing of its own.
        let Some(pair) = space.pairs.iter().find(|pair| {
            let (a, b) = space.plan.pairs[**pair];
            a == channel || b == channel
        }) else {
            continue;
        };
        let (a, b) = space.plan.pairs[*pair];
        let (rows, columns) = (space.plan.bins[a], space.plan.bins[b]);
        let mut expected = vec![0.0; space.plan.bins[channel]];
        for row in 0..rows {
            for column in 0..columns {
                let cell = space.sums.expected_q40[space.plan.first_cell(*pair) + row * columns + column];
                expected[if a == channel { row } else { column }] += events(cell);
            }
        }
        expected.truncate(space.levels[channel].bins);
        singles.push(Single { expected, kind: Kind::Channel(channel) });
    }
    let all: f64 = space.events.len() as f64;
    for (slab, expected) in (1..).zip(&settled.expected_of_slab) {
        singles.push(Single { expected: vec![*expected, (all - expected).max(0.0)], kind: Kind::Slab(slab) });
    }
    singles
}

impl Single {
    fn describe(&self, settled: &Settled, names: &Names, counts: &[f64], split: Split, p_value: f64) -> MainEffect {
        let (score, edge, side) = split;
        let range = side.range(edge, counts.len());
        let sum = |values: &[f64]| values[range.clone()].iter().sum::<f64>();
        let (observed, all) = (sum(counts), counts.iter().sum::<f64>());
        let share = sum(&self.expected) / self.expected.iter().sum::<f64>();
        let outside = all - observed;
        let ratio = (observed / share) / (outside / (1.0 - share));
        let spread = libm::exp(1.96 * libm::sqrt(1.0 / observed.max(0.5) + 1.0 / outside.max(0.5)));
        let (name, is, value) = match self.kind {
            Kind::Channel(channel) => {
                let own = &names.channels[settled.channels[channel]];
                let value = own.value(threshold_code(&settled.binnings[channel], side, edge));
                (own.name.clone(), sign(side, own), format!("{value} {}", own.unit).trim_end().to_owned())
            }
            Kind::Slab(slab) => {
                let (attribute, value) = settled.slabs[slab - 1];
                let (name, values) = &names.attributes[attribute];
                let is = if side == Side::Below { "is" } else { "is not" };
                (name.clone(), is, values[value as usize].clone())
            }
        };
        MainEffect {
            name,
            is,
            value,
            ratio,
            ratio_lower: ratio / spread,
            ratio_upper: ratio * spread,
            observed,
            expected: share * all,
            score,
            p_value,
        }
    }
}
