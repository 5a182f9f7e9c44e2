//! Prediction bounds of a count, calibrated tail by tail.
//!
//! The plug-in upper bound of level u is the smallest k with F(k) ≥ u under the fitted law F. Computed from what else
//! could have been seen (replicate laws F*), the same recipe covers a count drawn from F with chance
//! `cover(u) = mean F(F*⁻¹(u))`, less than u. The calibrated bound is the plug-in bound of the smallest level whose
//! cover reaches what is asked; the lower bound likewise, from below. Two one-sided bounds of level c make an interval of
//! level 2c − 1.
//!
//! Counts are whole, so covers move in steps and the calibrated bound covers what is asked or more, as far as the
//! replicates show. Source: Escobar & Meeker, "Statistical prediction based on censored life data", Technometrics 41
//! (1999), 113–124, section 5, with the count's law in place of a draw from it.

use rayon::prelude::*;
use serde::Serialize;

use crate::simulate::count_law::{CountLaw, quantile};

/// Halvings of the level.
const HALVINGS: usize = 40;
/// Levels closer to one than this are not looked at.
const HIGHEST: f64 = 1.0 - 1e-9;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Lower,
    Upper,
}

/// One one-sided bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tail {
    /// From the fitted law as if it were known.
    pub plug_in: i64,
    /// How often such a bound covers, by the replicates.
    pub plug_in_cover: f64,
    /// The level that is taken instead of the one asked for.
    pub calibrated_level: f64,
    pub bound: i64,
    pub cover: f64,
    /// False: no level covers what is asked, and the bound is that of the highest that was looked at.
    pub calibrated: bool,
}

/// Both tails of a count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bounds {
    pub lower: Tail,
    pub upper: Tail,
}

/// P(K ≤ k) of a mixture of laws, equally weighted.
fn at_most(laws: &[CountLaw], k: i64) -> f64 {
    laws.iter().map(|law| law.at_most(k)).sum::<f64>() / laws.len().max(1) as f64
}

/// The plug-in lower bound of a level: the largest k that is reached or exceeded with that chance.
pub fn lower_bound(laws: &[CountLaw], level: f64) -> i64 {
    // P(K ≤ k − 1) ≤ 1 − level; F⁻¹(1 − level) is the first k with F(k) ≥ 1 − level, one short where it is met exactly.
    let at = quantile(laws, 1.0 - level);
    if at_most(laws, at) <= 1.0 - level { at + 1 } else { at }
}

/// The plug-in upper bound of a level.
pub fn upper_bound(laws: &[CountLaw], level: f64) -> i64 {
    quantile(laws, level)
}

/// One-sided bounds of level `confidence`, calibrated by the laws of replicates. A law is a mixture of others, equally
/// weighted: of one, where it is no mixture.
pub fn calibrated(law: &[CountLaw], replicates: &[Vec<CountLaw>], confidence: f64) -> Bounds {
    Bounds {
        lower: tail(law, replicates, confidence, Side::Lower),
        upper: tail(law, replicates, confidence, Side::Upper),
    }
}

fn tail(law: &[CountLaw], replicates: &[Vec<CountLaw>], confidence: f64, side: Side) -> Tail {
    let bound = |law: &[CountLaw], level: f64| match side {
        Side::Lower => lower_bound(law, level),
        Side::Upper => upper_bound(law, level),
    };
    let covered = |bound: i64| match side {
        Side::Lower => 1.0 - at_most(law, bound - 1),
        Side::Upper => at_most(law, bound),
    };
    let cover = |level: f64| {
        // Collected before it is added up, so that the sum's order is that of the replicates.
        let covers: Vec<f64> = replicates.par_iter().map(|one| covered(bound(one, level))).collect();
        covers.iter().sum::<f64>() / covers.len().max(1) as f64
    };
    let (mut low, mut high) = (0.0, HIGHEST);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if cover(middle) >= confidence { high = middle } else { low = middle }
    }
    let reached = cover(high);
    Tail {
        plug_in: bound(law, confidence),
        plug_in_cover: cover(confidence),
        calibrated_level: high,
        bound: bound(law, high),
        cover: reached,
        calibrated: reached >= confidence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::count_law::Moments;

    fn poisson(mean: f64) -> Vec<CountLaw> {
        vec![CountLaw::of(Moments { mean, squares: 0.0 })]
    }

    #[test]
    fn plug_in_bounds_are_those_of_tables() {
        // Poisson of mean 5: P(K ≤ 1) = 0.0404, P(K ≤ 8) = 0.9319, P(K ≤ 9) = 0.9682.
        let law = poisson(5.0);
        assert_eq!((lower_bound(&law, 0.95), upper_bound(&law, 0.95)), (2, 9));
        // Met exactly: of a fair coin thrown twice P(K ≤ 0) = 1/4, so that K ≥ 1 has chance 3/4.
        let coins = [CountLaw::from_law(&[0.25, 0.5, 0.25])];
        assert_eq!((lower_bound(&coins, 0.75), upper_bound(&coins, 0.75)), (1, 1));
        assert_eq!((lower_bound(&coins, 0.76), upper_bound(&coins, 0.76)), (0, 2));
        let nobody = poisson(0.0);
        assert_eq!((lower_bound(&nobody, 0.95), upper_bound(&nobody, 0.95)), (0, 0));
    }

    #[test]
    fn a_known_law_needs_no_calibration_and_an_unknown_one_does() {
        let law = poisson(5.0);
        let known = calibrated(&law, &[poisson(5.0)], 0.95);
        assert_eq!((known.lower.bound, known.upper.bound), (2, 9));
        assert!((known.upper.cover - 0.968_171_9).abs() < 1e-6, "{known:?}");
        // By hand: replicates of mean 3 and 8 have 95 % bounds 6 and 13, which cover K of mean 5 with 0.7622 and 0.9993.
        let unsure = calibrated(&law, &[poisson(3.0), poisson(8.0)], 0.95);
        assert!((unsure.upper.plug_in_cover - 0.5 * (0.762_183_5 + 0.999_302_0)).abs() < 1e-5, "{unsure:?}");
        // The mean of 3 must reach 8 (0.9319; 0.8666 at 7 is too little): P(K ≤ 7 | 3) = 0.98810 < level.
        assert!((unsure.upper.calibrated_level - 0.988_095_5).abs() < 1e-6, "{unsure:?}");
        assert_eq!(unsure.upper.bound, 11);
        assert!(unsure.lower.calibrated_level > 0.95 && unsure.lower.bound <= 1, "{unsure:?}");
        assert!(unsure.upper.calibrated && unsure.lower.calibrated);
    }

    /// Half of what else could have been stated knows of no failure at all: whatever the level, its bound is 0, and covers
    /// a count of mean 5 in 0.7 % of cases.
    #[test]
    fn a_level_that_is_not_reached_is_told() {
        let bounds = calibrated(&poisson(5.0), &[poisson(0.0), poisson(8.0)], 0.95);
        assert!(!bounds.upper.calibrated && bounds.upper.cover < 0.51, "{bounds:?}");
        assert!(bounds.upper.calibrated_level > 0.999_999_9, "{bounds:?}");
    }
}
