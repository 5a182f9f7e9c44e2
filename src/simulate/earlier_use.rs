//! How worn a part is whose replacements before the data begin nobody wrote down.
//!
//! A vehicle's use before its first record, estimated from its mean since, is the use of *all* parts that stood in one
//! place, not of the one there now: taking it whole calls most tyres of an old fleet overdue. Given the use t of
//! the place, the part there now is of age a with density m(t − a) S(a), where m is the renewal density, or it is the
//! original with chance S(t); each age weighs by its chance to have lived through the use Δ on record since. The part
//! is given the age whose hazard equals the mean hazard of that mixture: right for the near future, between too sharp
//! and right for the far one.
//!
//! *Use* is what clocks count: a new part begins at none, and use adds up over the parts of a place, which damage does
//! not where a clock's exponent is not 1. On the use the law of one mechanism is Weibull of shape β times the exponent.
//! Clocks of several mechanisms grow in proportion here (earlier use is the mean since, taken back), so the damage is a
//! function of the use, close to a power of it: the mean of the exponents weighted by their damage today, and the use at
//! which that power reaches 1 is a life. The law is tabulated for a few shapes between those of the exponents.
//!
//! Units: lives of use. Source: renewal theory, D. R. Cox, Renewal Theory (1962), sections 4.4 and 5.1.

use crate::model::life::cumulative_hazard;

/// Knots of a life.
const LIFE_KNOTS: usize = 64;
/// Lives beyond which ages no longer depend on the use.
const MOST_LIVES: usize = 4;
/// Steps of the integral over ages.
const STEPS: usize = 48;
/// Laws between those of the smallest and the largest exponent of a mode's mechanisms.
const SHAPES: usize = 5;

/// The renewals of one failure mode's places.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlierUse {
    weibull_shape: f64,
    /// One a mechanism.
    exponents: Vec<f64>,
    /// By rising shape, evenly; one where all exponents are the same.
    laws: Vec<RenewalDensity>,
}

impl EarlierUse {
    pub fn new(weibull_shape: f64, clock_exponents: &[f64]) -> Self {
        let (low, high) = Self::range(clock_exponents);
        let count = if high > low { SHAPES } else { 1 };
        let exponent = |at: usize| low + (high - low) * at as f64 / (SHAPES - 1) as f64;
        let laws = (0..count).map(|at| RenewalDensity::new(weibull_shape * exponent(at))).collect();
        Self { weibull_shape, exponents: clock_exponents.to_vec(), laws }
    }

    fn range(exponents: &[f64]) -> (f64, f64) {
        let of = |pick: fn(f64, f64) -> f64| exponents.iter().copied().reduce(pick).unwrap_or(1.0);
        (of(f64::min), of(f64::max))
    }

    /// The share of a place's earlier use that counts for the part there now. Clocks in lives, one a mechanism: before
    /// the first record, and since.
    pub fn share(&self, earlier: &[f64], since: &[f64]) -> f64 {
        let whole = || earlier.iter().zip(since).map(|(earlier, since)| earlier + since);
        let damages = || whole().zip(&self.exponents).map(|(clock, &exponent)| libm::pow(clock, exponent));
        let (all, before) = (whole().sum::<f64>(), earlier.iter().sum::<f64>());
        let damage: f64 = damages().sum();
        if before <= 0.0 || damage <= 0.0 {
            return 1.0;
        }
        let weighted: f64 = damages().zip(&self.exponents).map(|(damage, exponent)| damage * exponent).sum();
        let (low, high) = Self::range(&self.exponents);
        let exponent = (weighted / damage).clamp(low, high);
        let use_lives = libm::pow(damage, 1.0 / exponent);
        let part = before / all;
        let of = |law: &RenewalDensity| law.share(use_lives * part, use_lives * (1.0 - part));
        let place = if high > low { (exponent - low) / (high - low) * (SHAPES - 1) as f64 } else { 0.0 };
        let law = (place as usize).min(self.laws.len() - 1);
        let next = (law + 1).min(self.laws.len() - 1);
        let lower = of(&self.laws[law]);
        lower + (place - law as f64) * (of(&self.laws[next]) - lower)
    }
}

/// The rate at which parts of one law fail in a place, by its use in characteristic lives.
#[derive(Clone, Debug, PartialEq)]
struct RenewalDensity {
    /// Of the use.
    weibull_shape: f64,
    /// At every 1/64 of a life.
    knots: Vec<f64>,
}

impl RenewalDensity {
    /// Solves m(t) = f(t) + ∫ m(t − x) f(x) dx, with f over each step taken whole from the law.
    fn new(weibull_shape: f64) -> Self {
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

    fn at(&self, used: f64) -> f64 {
        // A knot holds the mean over the step behind it.
        let place = (used * LIFE_KNOTS as f64 - 0.5).max(0.0);
        let knot = (place as usize).min(self.knots.len() - 2);
        let part = (place - knot as f64).min(1.0);
        self.knots[knot] + part * (self.knots[knot + 1] - self.knots[knot])
    }

    /// The share of a place's earlier use that counts for the part there now, `since` being its use on record.
    fn share(&self, earlier: f64, since: f64) -> f64 {
        let shape = self.weibull_shape;
        if earlier <= 0.0 || shape <= 1.0 {
            return 1.0;
        }
        let use_of_place = earlier.min(MOST_LIVES as f64);
        let alive = |used: f64| libm::exp(-cumulative_hazard(used, shape));
        let power = |used: f64| libm::pow(used, shape - 1.0);
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
    use crate::model::life::{damage_at_hazard, exponential_draw, hazard_increase};

    /// A mode whose mechanisms' clocks grow by so much a unit of use.
    struct Mode<'m> {
        shape: f64,
        exponents: &'m [f64],
        rates: &'m [f64],
    }

    impl Mode<'_> {
        fn damage(&self, used: f64) -> f64 {
            self.rates.iter().zip(self.exponents).map(|(rate, &exponent)| libm::pow(rate * used, exponent)).sum()
        }

        /// The use at which a part has taken so much damage.
        fn used(&self, damage: f64) -> f64 {
            let (mut low, mut high) = (0.0, 1.0);
            while self.damage(high) < damage {
                high *= 2.0;
            }
            for _ in 0..45 {
                let middle = 0.5 * (low + high);
                if self.damage(middle) < damage { low = middle } else { high = middle }
            }
            low
        }

        /// Chance to fail within `ahead` of places used for `earlier`, whose part then lived through `since`; its
        /// standard error.
        fn played(&self, earlier: f64, since: f64, ahead: f64) -> (f64, f64) {
            let (mut lived, mut failed) = (0.0, 0.0);
            for place in 0..40_000 {
                let mut used = 0.0;
                for life in 0.. {
                    let [low, high] = threefry2x32([3, 3], [place, life]);
                    let draw = exponential_draw(u64::from(high) << 32 | u64::from(low));
                    let ends = used + self.used(damage_at_hazard(draw, self.shape));
                    if ends > earlier {
                        lived += f64::from(ends > earlier + since);
                        failed += f64::from(ends > earlier + since && ends <= earlier + since + ahead);
                        break;
                    }
                    used = ends;
                }
            }
            (failed / lived, libm::sqrt(failed) / lived)
        }

        fn clocks(&self, used: f64) -> Vec<f64> {
            self.rates.iter().map(|rate| rate * used).collect()
        }

        fn fails(&self, from: f64, ahead: f64) -> f64 {
            let (now, then) = (self.damage(from), self.damage(from + ahead));
            -libm::expm1(-hazard_increase(now, then - now, self.shape))
        }
    }

    #[test]
    fn the_share_gives_the_chance_of_renewals_played_out() {
        for (shape, earlier, since) in
            [(4.0, 1.5, 0.3), (4.0, 3.7, 0.1), (1.4, 2.0, 0.5), (2.5, 0.4, 0.2), (4.3, 0.9, 0.0)]
        {
            let mode = Mode { shape, exponents: &[1.0], rates: &[1.0] };
            let share = EarlierUse::new(shape, &[1.0]).share(&[earlier], &[since]);
            let chance = mode.fails(share * earlier + since, 0.02);
            let (expected, error) = mode.played(earlier, since, 0.02);
            let taken_whole = mode.fails(earlier + since, 0.02);
            assert!((chance - expected).abs() < 4.0 * error, "{shape}, {earlier} + {since}: {chance} not {expected}");
            assert!(earlier < 0.5 || taken_whole - expected > 4.0 * error, "the whole use would pass too");
        }
    }

    #[test]
    fn use_adds_up_on_clocks_whatever_their_exponents() {
        // The shipped batteries' calendar law alone, a law that quickens, and both battery laws together.
        let battery: &[f64] = &[0.526, 0.828];
        let mut told_apart = 0;
        for (shape, exponents, rates, earlier, since) in [
            (4.7, &[0.526][..], &[1.0][..], 2.0, 0.5),
            (4.7, &[0.526], &[1.0], 0.8, 0.1),
            (2.0, &[2.0], &[1.0], 1.4, 0.2),
            (4.7, battery, &[0.3, 0.2], 6.0, 1.0),
            (4.7, battery, &[0.1, 0.5], 2.0, 0.4),
            (4.7, battery, &[0.5, 0.02], 1.5, 0.5),
        ] {
            let mode = Mode { shape, exponents, rates };
            // A little way: the share is that of the hazard, and further on the mixture of ages is no single one.
            let ahead = 0.02 * mode.used(1.0);
            let share = EarlierUse::new(shape, exponents).share(&mode.clocks(earlier), &mode.clocks(since));
            let chance = mode.fails(share * earlier + since, ahead);
            let (expected, error) = mode.played(earlier, since, ahead);
            // A power stands in for the sum of two.
            let error = 4.0 * error + if rates.len() > 1 { 0.02 * expected } else { 0.0 };
            assert!((chance - expected).abs() < error, "{exponents:?} {earlier}: {chance} instead of {expected}");
            // Renewals of the damage, whose share was then applied to the clocks.
            let damage = mode.damage(since);
            let of_damage = RenewalDensity::new(shape).share(mode.damage(earlier + since) - damage, damage);
            let off = mode.fails(of_damage * earlier + since, ahead);
            told_apart += usize::from((off - expected).abs() > 2.0 * error);
        }
        assert!(told_apart >= 1, "the share by damage would pass in all but {told_apart}");
    }

    #[test]
    fn ends() {
        let law = RenewalDensity::new(3.0);
        assert_eq!((law.share(0.0, 1.0), RenewalDensity::new(1.0).share(2.0, 0.0)), (1.0, 1.0));
        assert!(law.share(0.05, 0.1) > 0.95, "a young place holds its original part");
        for (earlier, since) in [(1e9, 0.0), (1e9, 1e9), (3.0, 1e3), (f64::MIN_POSITIVE, 0.0)] {
            for exponents in [&[1.0][..], &[0.4], &[0.5, 1.0]] {
                let [earlier, since] = [earlier, since].map(|clock| vec![clock; exponents.len()]);
                let share = EarlierUse::new(3.0, exponents).share(&earlier, &since);
                assert!((0.0..=1.0).contains(&share), "{earlier:?} {since:?}: {share}");
            }
        }
        assert_eq!(EarlierUse::new(3.0, &[0.5]).share(&[0.0], &[0.0]), 1.0);
        assert_eq!(EarlierUse::new(3.0, &[0.5, 1.0]).share(&[0.0, 0.0], &[1.0, 1.0]), 1.0);
        // Renewals settle at one a mean life.
        let mean_life = libm::tgamma(1.0 + 1.0 / 3.0);
        assert!((law.at(3.9) * mean_life - 1.0).abs() < 0.01, "{}", law.at(3.9) * mean_life);
    }
}
