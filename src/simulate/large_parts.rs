//! Parts of a group that likely fail within a window, and the law of a count with them.
//!
//! Moments do not say enough of a few parts that fail almost surely among many that hardly do
//! ([`super::count_law`]): parts with more than [`LARGE_CHANCE`] are told apart, for every window by itself. Up to
//! [`EXACT_PARTS`] of them get their exact law. More are sorted into bins by their chances, and a bin has the law of
//! its moments, which within so narrow a range is nearly exact: 300 of 0.06 to 0.99 are off by less than 0.001. On a
//! path each chance is its mean over paths with all their odds raised alike, so that they add up to their share of the
//! path's mean; all other parts have the law of the moments that these leave. From [`SMOOTH_VARIANCE`] on the normal law
//! does, with these parts' own third moment: that of equal chances leans the other way where some fail almost surely.
//!
//! Sums are integers, so neither order nor threads show. Units: chances; in bins 2^-48.

use super::count_law::{CountLaw, Moments, SMOOTH_VARIANCE, binomial, exact};
use crate::backend::survival::PART_BITS;

/// Parts with large chances of a group up to which the exact law is taken.
pub const EXACT_PARTS: usize = 64;
/// Chances up to which moments say enough.
pub const LARGE_CHANCE: f64 = 0.05;
/// Where bins end: about equally far apart in the deviation of one part's count.
const BIN_ENDS: [f64; 8] = [0.12, 0.25, 0.4, 0.6, 0.75, 0.88, 0.96, f64::INFINITY];
/// Chances of a bin's count that are nothing beside the others.
const NEGLIGIBLE: f64 = 1e-18;

/// The parts with large chances in one window.
#[derive(Clone, Debug, PartialEq)]
pub enum LargeParts {
    /// In whatever order they came.
    Few(Vec<f64>),
    Many(Box<Bins>),
}

type Bins = [Bin; BIN_ENDS.len()];

/// Parts with chances of a narrow range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    parts: u64,
    /// Sums of the chances, of their squares and of their cubes.
    chances_q48: u128,
    squares_q48: u128,
    cubes_q48: u128,
}

impl Default for LargeParts {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl LargeParts {
    /// What one takes beside itself at most, for a vector's room doubles.
    pub const MOST_BYTES: usize = if size_of::<Bins>() > 2 * EXACT_PARTS * size_of::<f64>() {
        size_of::<Bins>()
    } else {
        2 * EXACT_PARTS * size_of::<f64>()
    };

    /// Adds a part, if its chance is large.
    pub fn add(&mut self, chance: f64) {
        if chance <= LARGE_CHANCE {
            return;
        }
        let chance = chance.min(1.0);
        match self {
            Self::Few(chances) => {
                chances.push(chance);
                if chances.len() > EXACT_PARTS {
                    *self = Self::Many(Box::new(binned(chances)));
                }
            }
            Self::Many(bins) => put(bins, chance),
        }
    }

    /// Adds another window's parts.
    pub fn merge(&mut self, other: &Self) {
        match other {
            Self::Few(chances) => chances.iter().for_each(|&chance| self.add(chance)),
            Self::Many(more) => {
                let mut bins = match self {
                    Self::Few(chances) => binned(chances),
                    Self::Many(bins) => **bins,
                };
                for (bin, more) in bins.iter_mut().zip(more.iter()) {
                    bin.parts += more.parts;
                    bin.chances_q48 += more.chances_q48;
                    bin.squares_q48 += more.squares_q48;
                    bin.cubes_q48 += more.cubes_q48;
                }
                *self = Self::Many(Box::new(bins));
            }
        }
    }

    /// Puts single parts in an order that does not depend on how they came.
    pub fn sort(&mut self) {
        if let Self::Few(chances) = self {
            chances.sort_unstable_by(f64::total_cmp);
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Few(chances) if chances.is_empty())
    }

    /// Their expected count.
    pub fn sum(&self) -> f64 {
        self.weighted().iter().map(|(parts, chance)| parts * chance).sum()
    }

    /// So many parts of such a mean chance.
    fn weighted(&self) -> Vec<(f64, f64)> {
        match self {
            Self::Few(chances) => chances.iter().map(|&chance| (1.0, chance)).collect(),
            Self::Many(bins) => filled(bins).map(|bin| (bin.parts as f64, bin.mean_chance())).collect(),
        }
    }

    /// The law of a group on a path, given what these parts add up to on the path, and the moments of all parts there.
    pub fn law(&self, sum: f64, all: Moments) -> CountLaw {
        let parts = self.weighted();
        let chances = tilted(&parts, sum);
        let moments: Vec<Moments> = match self {
            Self::Few(_) => chances.iter().map(|p| Moments { mean: *p, squares: p * p }).collect(),
            Self::Many(bins) => filled(bins).zip(&chances).map(|(bin, &chance)| bin.moments(chance)).collect(),
        };
        let of = |what: fn(&Moments) -> f64| moments.iter().map(what).sum::<f64>();
        let own = Moments { mean: of(|one| one.mean), squares: of(|one| one.squares) };
        if all.variance() >= SMOOTH_VARIANCE {
            let third: f64 = match self {
                Self::Few(_) => chances.iter().map(|p| p * (1.0 - p) * (1.0 - 2.0 * p)).sum(),
                Self::Many(bins) => filled(bins).zip(&chances).map(|(bin, &chance)| bin.third(chance)).sum(),
            };
            return CountLaw::smooth(all, third + all.without(own).third_of_equals());
        }
        let (from, law) = match self {
            Self::Few(_) => (0, exact(&chances)),
            Self::Many(_) => convolved(&moments),
        };
        let others = all.without(own);
        let rest = CountLaw::of(others);
        let none = others.mean <= 1e-12 * all.mean;
        let most = law.len() + if none { 0 } else { rest.most() as usize };
        let at_most = |k: usize| -> f64 {
            law.iter().enumerate().map(|(large, p)| p * rest.at_most(k as i64 - large as i64)).sum()
        };
        let mut table = vec![0.0; from];
        if none {
            let mut sum = 0.0;
            table.extend(law.iter().map(|p| {
                sum += p;
                sum
            }));
        } else {
            table.extend((0..most).map(at_most));
        }
        CountLaw::Table(table)
    }
}

impl Bin {
    fn mean_chance(&self) -> f64 {
        number(self.chances_q48) / self.parts as f64
    }

    /// Sum of the squares of the parts' distances from their mean chance.
    fn spread(&self) -> f64 {
        (number(self.squares_q48) - self.mean_chance() * number(self.chances_q48)).max(0.0)
    }

    /// On a path on which their mean chance is another.
    fn moments(&self, chance: f64) -> Moments {
        let mean = self.parts as f64 * chance;
        Moments { mean, squares: (mean * chance + self.spread()).min(mean) }
    }

    /// The count's third central moment there, Σp(1 − p)(1 − 2p): a cubic in p, taken around the mean chance.
    fn third(&self, chance: f64) -> f64 {
        let (parts, mean) = (self.parts as f64, self.mean_chance());
        let skew = number(self.cubes_q48) - 3.0 * mean * number(self.squares_q48) + 2.0 * parts * mean * mean * mean;
        parts * chance * (1.0 - chance) * (1.0 - 2.0 * chance) + (6.0 * chance - 3.0) * self.spread() + 2.0 * skew
    }
}

fn filled(bins: &Bins) -> impl Iterator<Item = &Bin> {
    bins.iter().filter(|bin| bin.parts > 0)
}

fn number(sum_q48: u128) -> f64 {
    sum_q48 as f64 / (1_u64 << PART_BITS) as f64
}

fn put(bins: &mut Bins, chance: f64) {
    let fixed = |value: f64| libm::rint(value * (1_u64 << PART_BITS) as f64) as u128;
    let bin = BIN_ENDS.iter().position(|&end| chance <= end).unwrap_or(BIN_ENDS.len() - 1);
    bins[bin].parts += 1;
    bins[bin].chances_q48 += fixed(chance);
    bins[bin].squares_q48 += fixed(chance * chance);
    bins[bin].cubes_q48 += fixed(chance * chance * chance);
}

fn binned(chances: &[f64]) -> Bins {
    let mut bins = [Bin::default(); BIN_ENDS.len()];
    chances.iter().for_each(|&chance| put(&mut bins, chance));
    bins
}

/// The law of the sum of independent counts: the first count that is not negligible, and the chances from there on.
fn convolved(counts: &[Moments]) -> (usize, Vec<f64>) {
    let (mut from, mut law) = (0, vec![1.0]);
    for &moments in counts {
        let (own_from, own) = trimmed(binomial(moments));
        let mut sum = vec![0.0; law.len() + own.len() - 1];
        for (at, p) in law.iter().enumerate() {
            sum[at..].iter_mut().zip(&own).for_each(|(sum, own)| *sum += p * own);
        }
        let (first, rest) = trimmed(sum);
        (from, law) = (from + own_from + first, rest);
    }
    (from, law)
}

fn trimmed(mut law: Vec<f64>) -> (usize, Vec<f64>) {
    let first = law.iter().position(|&p| p > NEGLIGIBLE).unwrap_or(0);
    let last = law.iter().rposition(|&p| p > NEGLIGIBLE).unwrap_or(first);
    law.truncate(last + 1);
    law.drain(..first);
    (first, law)
}

/// The chances of so many parts each with all odds multiplied alike so that they add up to `sum`, as far as chances can.
fn tilted(parts: &[(f64, f64)], sum: f64) -> Vec<f64> {
    let at = |log_odds: f64| -> Vec<f64> {
        let factor = libm::exp(log_odds);
        parts.iter().map(|(_, p)| p * factor / (1.0 - p + p * factor)).collect()
    };
    let total = |of: &dyn Fn(f64) -> f64, chances: &[f64]| -> f64 {
        parts.iter().zip(chances).map(|((parts, _), &chance)| parts * of(chance)).sum()
    };
    let (mut low, mut high) = (-40.0, 40.0);
    let mut log_odds = 0.0;
    let mut found: Vec<f64> = parts.iter().map(|(_, chance)| *chance).collect();
    // Newton within a bracket: the sum rises with the odds.
    for _ in 0..60 {
        let off = total(&|p| p, &found) - sum;
        if off.abs() <= 1e-12 * sum {
            break;
        }
        if off > 0.0 {
            high = log_odds
        } else {
            low = log_odds
        }
        let slope = total(&|p| p * (1.0 - p), &found);
        let next = log_odds - off / slope;
        log_odds = if next > low && next < high { next } else { 0.5 * (low + high) };
        found = at(log_odds);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::count_law::tests::{chances, moments, worst};

    fn large(chances: &[f64]) -> LargeParts {
        let mut parts = LargeParts::default();
        chances.iter().for_each(|&chance| parts.add(chance));
        parts
    }

    #[test]
    fn few_parts_with_large_chances_have_the_exact_law() {
        let mut worst_of_moments = 0.0_f64;
        for group in 0..200 {
            let chances = chances(group, 1 + group % EXACT_PARTS as u32, 0.95);
            let parts = LargeParts::Few(chances.clone());
            let (mean, law) = (chances.iter().sum::<f64>(), exact(&chances));
            assert!(worst(&parts.law(mean, moments(&chances)), &law) < 1e-12);
            worst_of_moments = worst_of_moments.max(worst(&CountLaw::of(moments(&chances)), &law));
            // On a path with other weather the mean is the path's.
            for factor in [0.5, 1.3] {
                let sum = (factor * mean).min(0.98 * chances.len() as f64);
                let tilted = tilted(&parts.weighted(), sum);
                assert!((tilted.iter().sum::<f64>() / sum - 1.0).abs() < 1e-9, "{group}");
                assert!(tilted.iter().all(|p| (0.0..=1.0).contains(p)));
            }
        }
        assert!(worst_of_moments > 0.02, "{worst_of_moments}: the moments would do");
        let nothing = Moments { mean: 0.0, squares: 0.0 };
        for parts in [vec![], vec![0.0, 0.0]] {
            let law = LargeParts::Few(parts).law(0.0, nothing);
            assert!((law.at_most(0) - 1.0).abs() < 1e-12, "chances of zero stay zero");
        }
    }

    #[test]
    fn a_few_overdue_parts_among_many_healthy_ones_stand_by_themselves() {
        for (overdue, chance, healthy) in
            [(3, 0.999, 300), (64, 0.9, 5_000), (1, 0.5, 40), (8, 0.97, 60_000), (65, 0.999, 3_000), (900, 0.999, 700)]
        {
            let all: Vec<f64> = vec![chance; overdue].into_iter().chain(vec![0.002; healthy]).collect();
            let off = worst(&large(&all).law(chance * overdue as f64, moments(&all)), &exact(&all));
            assert!(off < 5e-4, "{overdue} of {chance}: {off}");
        }
        for overdue in [3, 65] {
            let all: Vec<f64> = vec![0.999; overdue].into_iter().chain([0.002; 300]).collect();
            let off = worst(&CountLaw::of(moments(&all)), &exact(&all));
            assert!(off > 0.05, "{overdue}, {off}: the moments would do");
        }
    }

    #[test]
    fn bins_of_many_parts_are_nearly_exact() {
        let (mut by_bins, mut by_moments) = (0.0_f64, 0.0_f64);
        for group in 0..60 {
            // Overdue, likely and healthy ones; of all kinds.
            let kinds = [(0.94, 0.06, 3 + group % 40), (0.06, 0.93, 70 + group), (0.0, 0.05, 400)];
            let all: Vec<f64> = (kinds.iter().zip(0..))
                .flat_map(|(&(least, range, parts), kind)| {
                    chances(1000 * kind + group, parts, 1.0).into_iter().map(move |p| least + range * p)
                })
                .collect();
            let parts = large(&all);
            assert!(matches!(parts, LargeParts::Many(_)));
            let law = exact(&all);
            by_bins = by_bins.max(worst(&parts.law(parts.sum(), moments(&all)), &law));
            by_moments = by_moments.max(worst(&CountLaw::of(moments(&all)), &law));
        }
        assert!(by_bins < 1e-3 && by_moments > 0.01, "{by_bins} {by_moments}");
    }

    #[test]
    fn a_wide_count_leans_as_its_parts_do() {
        let (mut by_parts, mut by_equals) = (0.0_f64, 0.0_f64);
        for group in 0..6 {
            // Likely ones that lean down, and rare ones that lean up.
            let likely = chances(group, 150 + 40 * group, 1.0).into_iter().map(|p| 0.97 - 0.2 * p);
            let all: Vec<f64> = likely.chain(chances(100 + group, 16_000, 0.05)).collect();
            let (law, moments) = (exact(&all), moments(&all));
            assert!(moments.variance() > SMOOTH_VARIANCE);
            let parts = large(&all);
            let own = parts.law(parts.sum(), moments);
            assert!(matches!(own, CountLaw::Smooth { .. }));
            by_parts = by_parts.max(worst(&own, &law));
            by_equals = by_equals.max(worst(&CountLaw::of(moments), &law));
        }
        assert!(by_parts < 5e-4 && by_equals > 2e-3, "{by_parts} {by_equals}");
    }

    #[test]
    fn sums_do_not_depend_on_how_parts_came() {
        let all = chances(7, 300, 0.99);
        for count in [40, 300] {
            let mut whole = large(&all[..count]);
            for cut in [1, 17, 39] {
                let mut other = large(&all[cut..count]);
                other.merge(&large(&all[..cut]));
                let mut turned = large(&all[..cut]);
                turned.merge(&large(&all[cut..count]));
                [&mut whole, &mut other, &mut turned].into_iter().for_each(LargeParts::sort);
                assert!(other == whole && turned == whole, "{count} {cut}");
            }
        }
        assert!(LargeParts::default().is_empty() && !large(&[0.06]).is_empty() && large(&[0.05]).is_empty());
    }
}
