//! Bounds where failures are few or none, with the shape held: nothing is resampled.
//!
//! With the shape β known, r failures came from an exposure E = Σ(t^β − entry^β) and K are to come from
//! G = Σ((t + w)^β − t^β), both Poisson with one unknown rate. Given r + K, each of them falls into the future with chance
//! G / (E + G), whatever the rate; a bound holds every K that this binomial law does not refuse (Nelson, Applied Life Data
//! Analysis, 1982, section 6.6; conservative, as K is whole). No failure is then no surprise: the upper bound is the
//! largest K with (G / (E + G))^K > 1 − level. It is a bound by the likelihood alone, without a prior.
//!
//! Failures are taken as Poisson: right where few of the units at risk will fail, too wide where many will.

use serde::Serialize;

/// Counts up to which bounds are looked for.
const MOST: u64 = 1 << 40;

/// r failures, and the ratio of the exposures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Exposure {
    pub failures: f64,
    /// G / E.
    pub ratio: f64,
}

impl Exposure {
    /// P(X ≤ r), X of the binomial law of `r + k` with the past's share.
    fn at_most(&self, k: u64) -> f64 {
        binomial_at_most(self.failures, self.failures + k as f64, 1.0 / (1.0 + self.ratio))
    }

    /// The largest K that is not refused for being too many.
    pub fn upper(&self, level: f64) -> i64 {
        last(|k| self.at_most(k) > 1.0 - level)
    }

    /// The smallest K that is not refused for being too few: P(X ≥ r) is more than 1 − level.
    pub fn lower(&self, level: f64) -> i64 {
        let past = 1.0 / (1.0 + self.ratio);
        let refused =
            |k: u64| 1.0 - binomial_at_most(self.failures - 1.0, self.failures + k as f64, past) <= 1.0 - level;
        if !refused(0) { 0 } else { last(refused) + 1 }
    }
}

/// The largest k for which something holds that holds up to there; it holds for 0.
fn last(holds: impl Fn(u64) -> bool) -> i64 {
    let mut beyond = 1;
    while beyond < MOST && holds(beyond) {
        beyond *= 2;
    }
    let mut held = beyond / 2;
    while beyond - held > 1 {
        let middle = held + (beyond - held) / 2;
        if holds(middle) { held = middle } else { beyond = middle }
    }
    held as i64
}

/// P(X ≤ r) of n trials with chance p.
fn binomial_at_most(r: f64, n: f64, p: f64) -> f64 {
    if r < 0.0 {
        return 0.0;
    }
    let (ln_p, ln_q) = (libm::log(p), libm::log1p(-p));
    let ln_choose = |x: f64| libm::lgamma(n + 1.0) - libm::lgamma(x + 1.0) - libm::lgamma(n - x + 1.0);
    let term = |x: f64| libm::exp(ln_choose(x) + x * ln_p + if n > x { (n - x) * ln_q } else { 0.0 });
    (0..=r.min(n) as u64).map(|x| term(x as f64)).sum::<f64>().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_failure_bounds_are_the_closed_form() {
        for ratio in [0.05, 0.5, 1.0, 20.0] {
            let exposure = Exposure { failures: 0.0, ratio };
            // (G / (E + G))^K > 0.05: K < ln 0.05 / ln(ratio / (1 + ratio)).
            let wanted = (libm::log(0.05) / libm::log(ratio / (1.0 + ratio))).ceil() as i64 - 1;
            assert_eq!((exposure.lower(0.95), exposure.upper(0.95)), (0, wanted), "{ratio}");
        }
    }

    /// Against sums over the negative binomial law, to which the refusals are equivalent: K is refused as too many when r
    /// or fewer of r + K fall into the past.
    #[test]
    fn bounds_cover_what_they_say_whatever_the_rate() {
        // Bounds of whole numbers cover more than they say, the more so the fewer there are.
        for (rate, ratio, most) in [(1.0, 4.0, 1.0), (3.0, 1.0, 0.998), (8.0, 0.3, 0.995), (25.0, 1.0, 0.98)] {
            let poisson = |mean: f64, k: f64| libm::exp(k * libm::log(mean) - mean - libm::lgamma(k + 1.0));
            let (mut low, mut high) = (0.0, 0.0);
            for r in 0..90 {
                let exposure = Exposure { failures: f64::from(r), ratio };
                let (lower, upper) = (exposure.lower(0.95), exposure.upper(0.95));
                let chance = poisson(rate, f64::from(r));
                let up_to = |k: i64| (0..=k).map(|k| poisson(rate * ratio, k as f64)).sum::<f64>();
                high += chance * up_to(upper);
                low += chance * (1.0 - up_to(lower - 1));
            }
            assert!((0.95..most).contains(&high), "{rate} {ratio}: {high}");
            assert!((0.95..=1.0 + 1e-9).contains(&low), "{rate} {ratio}: {low}");
        }
    }
}
