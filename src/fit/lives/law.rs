//! Laws of life as log-location-scale families: ln T = μ + σ·W, with W of the smallest-extreme-value law (Weibull,
//! exponential) or the normal law (lognormal). After Meeker & Escobar, Statistical Methods for Reliability Data,
//! chapters 4 and 5. `z` is the standardised log age.
//!
//! A law of a *defective share* holds for a share of the lives; the others never fail of it (the limited failure
//! population of the same book, chapter 11).

use serde::Serialize;

use crate::model::normal;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Law {
    Weibull,
    Lognormal,
    Exponential,
    WeibullDefective,
    LognormalDefective,
}

/// What one law is asked for without naming any.
pub const USUAL: [Law; 3] = [Law::Weibull, Law::Lognormal, Law::Exponential];

impl Law {
    pub fn name(self) -> &'static str {
        match self {
            Self::Weibull => "weibull",
            Self::Lognormal => "lognormal",
            Self::Exponential => "exponential",
            Self::WeibullDefective => "weibull-defective",
            Self::LognormalDefective => "lognormal-defective",
        }
    }

    /// Whether only a share of the lives can fail.
    pub fn is_of_a_share(self) -> bool {
        matches!(self, Self::WeibullDefective | Self::LognormalDefective)
    }

    pub fn is_normal(self) -> bool {
        matches!(self, Self::Lognormal | Self::LognormalDefective)
    }

    /// ln of W's density, and its first two derivatives.
    pub fn ln_density(self, z: f64) -> [f64; 3] {
        if self.is_normal() {
            [-0.5 * z * z - LN_ROOT_TWO_PI, -z, -1.0]
        } else {
            let growth = libm::exp(z);
            [z - growth, 1.0 - growth, -growth]
        }
    }

    /// ln of P(W > z), and its first two derivatives.
    pub fn ln_survival(self, z: f64) -> [f64; 3] {
        if self.is_normal() {
            let (ln_survival, hazard, excess) = normal_tail(z);
            [ln_survival, -hazard, -hazard * excess]
        } else {
            let growth = -libm::exp(z);
            [growth, growth, growth]
        }
    }

    /// P(W ≤ z).
    pub fn distribution(self, z: f64) -> f64 {
        if self.is_normal() { normal::distribution(z) } else { -libm::expm1(-libm::exp(z)) }
    }

    /// The z with P(W ≤ z) = `share`, for shares between 0 and 1.
    pub fn quantile(self, share: f64) -> f64 {
        if self.is_normal() { normal::quantile(share) } else { libm::log(-libm::log1p(-share)) }
    }
}

const LN_ROOT_TWO_PI: f64 = 0.918_938_533_204_672_8;
/// From here on the tail's expansion is exact to 1e-13, and the error function underflows soon after.
const FAR: f64 = 25.0;

/// Of the normal law at z: ln of the tail, the hazard h, and h − z without its cancellation.
fn normal_tail(z: f64) -> (f64, f64, f64) {
    let ln_density = -0.5 * z * z - LN_ROOT_TWO_PI;
    if z > FAR {
        // Mills' ratio turned over: h = z + 1/z − 2/z³ + 10/z⁵ − 74/z⁷ …, the coefficients being OEIS A000698.
        let square = 1.0 / (z * z);
        let series = [110_410.0, 8_162.0, 706.0, 74.0, 10.0, 2.0, 1.0];
        let excess = series.into_iter().fold(0.0, |rest, coefficient| coefficient - square * rest) / z;
        let hazard = z + excess;
        return (ln_density - libm::log(hazard), hazard, excess);
    }
    let scaled = z * std::f64::consts::FRAC_1_SQRT_2;
    let ln_tail = if z < 0.0 { libm::log1p(-0.5 * libm::erfc(-scaled)) } else { libm::log(0.5 * libm::erfc(scaled)) };
    let hazard = libm::exp(ln_density - ln_tail);
    (ln_tail, hazard, hazard - z)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_those_of_the_functions() {
        let step = 1e-5;
        for law in [Law::Weibull, Law::Lognormal] {
            for z in [-6.0, -1.0, 0.3, 2.0, 4.0] {
                for function in [Law::ln_density, Law::ln_survival] {
                    let (above, here, below) = (function(law, z + step), function(law, z), function(law, z - step));
                    for order in 0..2 {
                        let slope = (above[order] - below[order]) / (2.0 * step);
                        let error = (slope - here[order + 1]).abs();
                        assert!(error < 1e-8 * here[order + 1].abs().max(1.0), "{law:?} {z} {order}: {slope} {here:?}");
                    }
                }
            }
        }
    }

    /// The two ways to the normal tail meet; far out the hazard is that of tables (Q(30) = 4.906714e-198).
    #[test]
    fn the_far_tail_is_seamless() {
        let (near, far) = (normal_tail(FAR), normal_tail(FAR + 1e-9));
        assert!((near.0 - far.0).abs() < 1e-7 && (near.1 - far.1).abs() < 1e-8 && (near.2 - far.2).abs() < 1e-11);
        assert!((normal_tail(30.0).0 - (libm::log(4.906_714) - 198.0 * std::f64::consts::LN_10)).abs() < 1e-6);
    }

    #[test]
    fn quantiles_undo_the_distribution() {
        for law in [Law::Weibull, Law::Lognormal] {
            for share in [1e-6, 0.01, 0.1, 0.5, 0.9, 0.999] {
                assert!((law.distribution(law.quantile(share)) / share - 1.0).abs() < 1e-12, "{law:?} {share}");
            }
        }
        assert!((Law::Lognormal.quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-12);
    }
}
