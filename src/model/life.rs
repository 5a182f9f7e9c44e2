//! The life law: Weibull on damage, H = D^beta, in f64 through `libm`.
//!
//! Key idea: damage 1 is the characteristic life, so the law has a shape and nothing else. Alive today, the chance of
//! failing while the damage grows by delta is `1 - exp(-(H(D + delta) - H(D)))`; differences are formed with `expm1`
//! and `log1p` so that small ones keep their digits. Units: clocks in Q48 lives or lives; damage, hazard and
//! probability are pure numbers. Source: Meeker & Escobar, Statistical Methods for Reliability Data, section 4.8.

use crate::fixed::exp2::CLOCK_BITS;

/// A clock in lives. Exact up to 32 lives (2^53 units), rounded to nearest beyond.
pub fn lives(clock_q48: u64) -> f64 {
    clock_q48 as f64 / (1u64 << CLOCK_BITS) as f64
}

/// What one mechanism's clock adds to its mode's damage: `clock^exponent`.
pub fn mechanism_damage(clock_q48: u64, clock_exponent: f64) -> f64 {
    let lives = lives(clock_q48);
    if clock_exponent == 1.0 { lives } else { libm::pow(lives, clock_exponent) }
}

/// Damage of a mode by Miner's sum over (clock, clock exponent) of its mechanisms.
pub fn damage(clocks: impl IntoIterator<Item = (u64, f64)>) -> f64 {
    clocks.into_iter().map(|(clock_q48, exponent)| mechanism_damage(clock_q48, exponent)).sum()
}

/// H = D^beta.
pub fn cumulative_hazard(damage: f64, weibull_shape: f64) -> f64 {
    libm::pow(damage, weibull_shape)
}

/// H(D + delta) - H(D), for damage and delta of zero or more.
pub fn hazard_increase(damage: f64, delta: f64, weibull_shape: f64) -> f64 {
    if damage <= 0.0 {
        return cumulative_hazard(delta, weibull_shape);
    }
    let growth = weibull_shape * libm::log1p(delta / damage);
    // Beyond e the difference no longer cancels, and D^beta of a tiny D must not underflow before the product.
    if growth > 1.0 {
        cumulative_hazard(damage + delta, weibull_shape) - cumulative_hazard(damage, weibull_shape)
    } else {
        cumulative_hazard(damage, weibull_shape) * libm::expm1(growth)
    }
}

/// The chance that a part alive at `damage` fails before it has taken `delta` more.
pub fn failure_probability(damage: f64, delta: f64, weibull_shape: f64) -> f64 {
    -libm::expm1(-hazard_increase(damage, delta, weibull_shape))
}

/// The damage at which the cumulative hazard reaches `hazard`: where a part fails whose draw from the unit
/// exponential law is `hazard`.
pub fn damage_at_hazard(hazard: f64, weibull_shape: f64) -> f64 {
    libm::pow(hazard, 1.0 / weibull_shape)
}

/// A draw from the unit exponential law from 64 random bits: -ln of the midpoint of one of 2^52 equal steps, each of
/// which f64 holds exactly, so never zero and never infinite.
pub fn exponential_draw(random_bits: u64) -> f64 {
    let uniform = ((random_bits >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
    -libm::log(uniform)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_become_lives_exactly() {
        assert_eq!(lives(1), 1.0 / (1u64 << 48) as f64);
        assert_eq!(lives(1 << 48), 1.0);
        assert_eq!(lives((1 << 53) - 1) * (1u64 << 48) as f64, ((1u64 << 53) - 1) as f64);
    }

    #[test]
    fn damage_is_a_sum_of_powers() {
        assert_eq!(damage([(1 << 46, 0.5), (1 << 47, 1.0)]), 0.5 + 0.5);
        assert_eq!(damage([]), 0.0);
        assert_eq!(damage([(0, 0.5)]), 0.0);
    }

    #[test]
    fn small_increases_keep_their_digits() {
        // d(D^2) = 2 D dD + dD^2: with D = 1 and dD = 1e-12 the naive difference has four digits left.
        let exact = 2e-12 + 1e-24;
        assert!((hazard_increase(1.0, 1e-12, 2.0) / exact - 1.0).abs() < 1e-15);
        assert!((failure_probability(1.0, 1e-12, 2.0) / exact - 1.0).abs() < 1e-11);
        let naive = cumulative_hazard(1.0 + 1e-12, 2.0) - cumulative_hazard(1.0, 2.0);
        assert!((naive / exact - 1.0).abs() > 1e-6, "the naive form would do: the test shows nothing");
    }

    #[test]
    fn ends_are_exact() {
        assert_eq!(failure_probability(0.0, 0.0, 1.4), 0.0);
        assert_eq!(failure_probability(0.7, 0.0, 1.4), 0.0);
        assert_eq!(failure_probability(0.0, 1e9, 3.0), 1.0);
        assert_eq!(failure_probability(1e-300, 1.0, 3.0), failure_probability(0.0, 1.0, 3.0));
        assert!((failure_probability(0.0, 1.0, 2.5) - (1.0 - libm::exp(-1.0))).abs() < 1e-15);
    }

    #[test]
    fn both_forms_of_the_increase_meet() {
        for shape in [0.7, 1.0, 1.4, 3.0] {
            let at_switch = libm::expm1(1.0 / shape);
            let below = hazard_increase(0.3, 0.3 * at_switch * (1.0 - 1e-9), shape);
            let above = hazard_increase(0.3, 0.3 * at_switch * (1.0 + 1e-9), shape);
            assert!((above / below - 1.0).abs() < 1e-8, "shape {shape}");
        }
    }

    #[test]
    fn damage_at_hazard_inverts_the_law() {
        for hazard in [1e-9, 0.3, 1.0, 40.0] {
            let damage = damage_at_hazard(hazard, 1.4);
            assert!((cumulative_hazard(damage, 1.4) / hazard - 1.0).abs() < 1e-14);
        }
        assert!(exponential_draw(0) < 40.0 && exponential_draw(u64::MAX) > 0.0);
    }
}
