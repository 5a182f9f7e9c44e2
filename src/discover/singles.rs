//! What single channels and attributes do alone: the threshold, or the value, beyond which the rate differs most.
//!
//! Key idea: pairs are judged beside main effects, so a step of one channel is no finding there; it is named here.
//! Every condition is judged within strata: given how many events a zone's month had, as many are expected inside as the
//! pool's records say, so weather that is shared by a month does not show, and neither is it taken for the month. As for pairs, the chance that anything as
//! clear comes of nothing is that of the greatest score of all channels and values on events drawn from the model.
//!
//! Units: events; scores in standard errors; ratios of rates inside against outside. Source: Breslow & Day, Statistical
//! Methods in Cancer Research, volume 2, section 3.6, on rates within strata.

use rayon::prelude::*;
use serde::Serialize;

use super::close_up::threshold_code;
use super::findings::{Names, sign};
use super::main_effects::Side;
use super::numbers::rounded;
use super::pool::Places;
use super::replicates;
use super::search::{SearchRequest, Space};
use super::survey::Settled;
use crate::run::{Control, Interrupted};

/// Conditions within which, or beyond which, fewer events are expected are not looked at; nor those of so little
/// information, in events.
const LEAST_EXPECTED: f64 = 5.0;
const LEAST_INFORMATION: f64 = 1.0;
/// Log ratios beyond are as good as infinite.
const MOST_LOG_RATIO: f64 = 12.0;

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

#[derive(Clone, Copy)]
enum Kind {
    Channel(usize),
    Slab(usize),
}

/// A condition: the bins of a channel on one side of an edge, or one side of a value.
#[derive(Clone, Debug)]
struct Split {
    side: Side,
    edge: usize,
    /// By stratum: the share of what is expected there that lies inside.
    shares: Vec<f64>,
    /// Events that are expected inside, given how many each stratum had, and their spread.
    expected: f64,
    error: f64,
}

/// A channel, or a value of an attribute, with its conditions.
struct Single {
    kind: Kind,
    bins: usize,
    splits: Vec<Split>,
}

impl Single {
    fn new(space: &Space, numbers: &[f64], kind: Kind) -> Self {
        let bins = match kind {
            Kind::Channel(channel) => space.levels[channel].bins,
            Kind::Slab(_) => 2,
        };
        let mut made = Self { kind, bins, splits: Vec::new() };
        // What is not available lies in the last one, and never inside.
        let mut weights = vec![vec![0.0; bins + 1]; numbers.len()];
        for (place, weight) in space.pool.weights().into_iter().enumerate() {
            weights[space.pool.places.stratum[place] as usize][made.bin(space, &space.pool.places, place)] += weight;
        }
        let all: f64 = numbers.iter().sum();
        for side in [Side::Below, Side::Above] {
            for edge in 1..bins {
                let shares: Vec<f64> = (weights.iter())
                    .map(|own| {
                        let total: f64 = own.iter().sum();
                        if total > 0.0 { own[side.range(edge, bins)].iter().sum::<f64>() / total } else { 0.0 }
                    })
                    .collect();
                let expected: f64 = shares.iter().zip(numbers).map(|(share, number)| share * number).sum();
                let variance: f64 =
                    shares.iter().zip(numbers).map(|(share, number)| share * (1.0 - share) * number).sum();
                if expected >= LEAST_EXPECTED && all - expected >= LEAST_EXPECTED && variance >= LEAST_INFORMATION {
                    made.splits.push(Split { side, edge, shares, expected, error: libm::sqrt(variance) });
                }
            }
        }
        made
    }

    fn bin(&self, space: &Space, places: &Places, place: usize) -> usize {
        match self.kind {
            Kind::Channel(channel) => usize::from(places.bins[channel][place]),
            Kind::Slab(slab) => usize::from(places.slabs[space.attribute[slab]][place] as usize != slab),
        }
    }

    fn count(&self, space: &Space, places: &Places, which: impl Iterator<Item = usize>) -> Vec<f64> {
        let mut counts = vec![0.0; self.bins + 1];
        which.for_each(|place| counts[self.bin(space, places, place)] += 1.0);
        counts
    }

    /// The condition under which most happened beyond what its strata say: score, and its place.
    fn best(&self, counts: &[f64]) -> Option<(f64, usize)> {
        let score = |split: &Split| (split.inside(counts, self.bins) - split.expected) / split.error;
        let scores = self.splits.iter().map(score).zip(0..);
        scores.reduce(|best, next| if next.0 > best.0 { next } else { best }).filter(|(score, _)| *score > 0.0)
    }
}

impl Split {
    fn inside(&self, counts: &[f64], bins: usize) -> f64 {
        counts[self.side.range(self.edge, bins)].iter().sum()
    }

    /// The ratio at which the strata expect inside what was there, with its standard error on the log scale.
    fn ratio(&self, numbers: &[f64], inside: f64) -> (f64, f64) {
        let at = |log_ratio: f64| {
            let ratio = libm::exp(log_ratio);
            let of = |(share, number): (&f64, &f64)| {
                let own = share * ratio / (share * ratio + 1.0 - share);
                (number * own, number * own * (1.0 - own))
            };
            let strata = self.shares.iter().zip(numbers).map(of);
            strata.fold((0.0, 0.0), |sum, own| (sum.0 + own.0, sum.1 + own.1))
        };
        let (mut low, mut high) = (-MOST_LOG_RATIO, MOST_LOG_RATIO);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if at(middle).0 < inside { low = middle } else { high = middle }
        }
        let log_ratio = 0.5 * (low + high);
        (libm::exp(log_ratio), 1.0 / libm::sqrt(at(log_ratio).1.max(1e-12)))
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
    let drawn_of = replicates::numbers(space);
    let numbers: Vec<f64> = drawn_of.iter().map(|number| f64::from(*number)).collect();
    let in_a_pair = |channel: &usize| {
        let pairs = space.pairs.iter().map(|pair| space.plan.pairs[*pair]);
        pairs.into_iter().any(|(a, b)| a == *channel || b == *channel)
    };
    // A copy is in no pair that is looked at, and says nothing of its own.
    let channels = (0..space.levels.len()).filter(in_a_pair).map(Kind::Channel);
    let kinds: Vec<Kind> = channels.chain((1..space.plan.slabs).map(Kind::Slab)).collect();
    let singles: Vec<Single> = kinds.into_par_iter().map(|kind| Single::new(space, &numbers, kind)).collect();
    control.check()?;
    let chance: Vec<f64> = (0..request.replicates)
        .into_par_iter()
        .map(|replicate| {
            let drawn = replicates::draw(space, request.seed, replicate, &drawn_of);
            let score = |single: &Single| {
                let counts = single.count(space, &space.pool.places, drawn.iter().map(|place| *place as usize));
                single.best(&counts).map_or(0.0, |(score, _)| score)
            };
            singles.iter().map(score).fold(0.0, f64::max)
        })
        .collect();
    control.check()?;
    let mut effects: Vec<MainEffect> = singles
        .iter()
        .filter_map(|single| {
            let counts = single.count(space, space.events, 0..space.events.len());
            let best = single.best(&counts)?;
            let as_great = chance.iter().filter(|other| **other >= best.0).count();
            let p_value = (1 + as_great) as f64 / (1 + chance.len()) as f64;
            (p_value <= level).then(|| single.describe(settled, names, &numbers, &counts, best, p_value))
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

impl Single {
    fn describe(
        &self,
        settled: &Settled,
        names: &Names,
        numbers: &[f64],
        counts: &[f64],
        (score, best): (f64, usize),
        p_value: f64,
    ) -> MainEffect {
        let split = &self.splits[best];
        let (side, edge) = (split.side, split.edge);
        let observed = split.inside(counts, self.bins);
        let (ratio, error) = split.ratio(numbers, observed);
        let spread = libm::exp(1.96 * error);
        let (name, is, value) = match self.kind {
            Kind::Channel(channel) => {
                let own = &names.channels[settled.channels[channel]];
                let value = rounded(own.value(threshold_code(&settled.binnings[channel], side, edge)));
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
            expected: split.expected,
            score,
            p_value,
        }
    }
}
