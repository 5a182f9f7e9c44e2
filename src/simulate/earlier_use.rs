//! How worn a part is whose replacements before the data begin nobody wrote down.
//!
//! A vehicle's use before its first record, estimated from its mean since, is the use of *all* parts that stood in one
//! place, not of the one there now: taking it whole calls most tyres of an old fleet overdue. Given the use t of
//! the place (in damage, 1 = the characteristic life), the part there now is of age a with density m(t − a) S(a), where
//! m is the renewal density, or it is the original with chance S(t); each age weighs by its chance to have lived
//! through the use Δ on record since. The part is given the age whose hazard equals the mean hazard of that mixture:
//! right for the near future, between too sharp and right for the far one.
//!
//! Units: damage. Source: renewal theory, D. R. Cox, Renewal Theory (1962), sections 4.4 and 5.1.

use crate::model::life::cumulative_hazard;

/// Knots of a life.
const LIFE_KNOTS: usize = 64;
/// Lives beyond which ages no longer depend on the use.
const MOST_LIVES: usize = 4;
/// Steps of the integral over ages.
const STEPS: usize = 48;

/// The rate at which parts of one law fail in a place, by its use.
#[derive(Clone, Debug, PartialEq)]
pub struct RenewalDensity {
    weibull_shape: f64,
    /// At every 1/64 of a life.
    knots: Vec<f64>,
}

impl RenewalDensity {
    /// Solves m(t) = f(t) + ∫ m(t − x) f(x) dx, with f over each step taken whole from the law.
    pub fn new(weibull_shape: f64) -> Self {
        let step = 1.0 / LIFE_KNOTS as f64;
        let count = LIFE_KNOTS * MOST_LIVES;
        let alive = |knot: usize| libm::exp(-cumulative_hazard(knot as f64 * step, weibull_shape));
        let fails: Vec<f64> = (0..=count).map(|knot| alive(knot) - alive(knot + 1)).collect();
        // Failures of each step, those of the part itself and of its successors, which begin on average half a step
        // later than the step's start and end half a step before the next one's end.
        let mut renewals: Vec<f64> = Vec::with_capacity(count + 1);
        for knot in 0..=count {
            let later: f64 =
                (0..knot).map(|first| renewals[first] * 0.5 * (fails[knot - first] + fails[knot - first - 1])).sum();
            renewals.push(fails[knot] + later);
        }
        Self { weibull_shape, knots: renewals.into_iter().map(|one| one / step).collect() }
    }

    fn at(&self, damage: f64) -> f64 {
        // A knot holds the mean over the step behind it.
        let place = (damage * LIFE_KNOTS as f64 - 0.5).max(0.0);
        let knot = (place as usize).min(self.knots.len() - 2);
        let part = (place - knot as f64).min(1.0);
        self.knots[knot] + part * (self.knots[knot + 1] - self.knots[knot])
    }

    /// The share of a place's earlier use that counts for the part there now, `since` being its use on record.
    pub fn share(&self, earlier: f64, since: f64) -> f64 {
        let shape = self.weibull_shape;
        if earlier <= 0.0 || shape <= 1.0 {
            return 1.0;
        }
        let use_of_place = earlier.min(MOST_LIVES as f64);
        let alive = |damage: f64| libm::exp(-cumulative_hazard(damage, shape));
        let power = |damage: f64| libm::pow(damage, shape - 1.0);
        // The original part may have been left out of the integral by the cut: it is gone by then.
        let original = alive(use_of_place + since);
        let (mut weights, mut powers) = (original, original * power(use_of_place + since));
        let step = use_of_place / STEPS as f64;
        for place in 0..STEPS {
            let age = (place as f64 + 0.5) * step;
            let weight = self.at(use_of_place - age) * alive(age + since) * step;
            weights += weight;
            powers += weight * power(age + since);
        }
        if weights <= 0.0 || !weights.is_finite() {
            // Nothing lives that long: as young as it can be.
            return 0.0;
        }
        let age = libm::pow(powers / weights, 1.0 / (shape - 1.0)) - since;
        (age / earlier).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::threefry::threefry2x32;
    use crate::model::life::{damage_at_hazard, exponential_draw};

    /// Chance to fail within `ahead` of places used for `earlier`, whose part then lived through `since`.
    fn played(shape: f64, earlier: f64, since: f64, ahead: f64) -> f64 {
        let (mut lived, mut failed) = (0.0, 0.0);
        for place in 0..40_000 {
            let mut used = 0.0;
            for life in 0.. {
                let [low, high] = threefry2x32([3, 3], [place, life]);
                let ends = used + damage_at_hazard(exponential_draw(u64::from(high) << 32 | u64::from(low)), shape);
                if ends > earlier {
                    lived += f64::from(ends > earlier + since);
                    failed += f64::from(ends > earlier + since && ends <= earlier + since + ahead);
                    break;
                }
                used = ends;
            }
        }
        failed / lived
    }

    #[test]
    fn the_share_gives_the_chance_of_renewals_played_out() {
        for (shape, earlier, since) in
            [(4.0, 1.5, 0.3), (4.0, 3.7, 0.1), (1.4, 2.0, 0.5), (2.5, 0.4, 0.2), (4.3, 0.9, 0.0)]
        {
            let share = RenewalDensity::new(shape).share(earlier, since);
            let age = share * earlier + since;
            let chance = -libm::expm1(cumulative_hazard(age, shape) - cumulative_hazard(age + 0.02, shape));
            let expected = played(shape, earlier, since, 0.02);
            let taken_whole =
                cumulative_hazard(earlier + since + 0.02, shape) - cumulative_hazard(earlier + since, shape);
            let error = 4.0 * libm::sqrt(expected / 20_000.0);
            assert!((chance - expected).abs() < error, "shape {shape}, {earlier} + {since}: {chance} not {expected}");
            assert!(earlier < 0.5 || taken_whole - expected > error, "the whole use would pass too");
        }
    }

    #[test]
    fn ends() {
        let law = RenewalDensity::new(3.0);
        assert_eq!((law.share(0.0, 1.0), RenewalDensity::new(1.0).share(2.0, 0.0)), (1.0, 1.0));
        assert!(law.share(0.05, 0.1) > 0.95, "a young place holds its original part");
        for (earlier, since) in [(1e9, 0.0), (1e9, 1e9), (3.0, 1e3), (f64::MIN_POSITIVE, 0.0)] {
            assert!((0.0..=1.0).contains(&law.share(earlier, since)), "{earlier} {since}");
        }
        // Renewals settle at one a mean life.
        let mean_life = libm::tgamma(1.0 + 1.0 / 3.0);
        assert!((law.at(3.9) * mean_life - 1.0).abs() < 0.01, "{}", law.at(3.9) * mean_life);
    }
}
