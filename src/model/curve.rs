//! Response curves: how a rate depends on one channel. f64 through `libm`, so every platform gets the same bits.
//!
//! Key idea: a curve is a ratio of rates, 1 at its reference; what is tabulated is its log2. Values are in the
//! channel's unit, temperatures in degC unless the curve says kelvin.

use std::f64::consts::LOG2_E;

/// Boltzmann's constant in eV/K: exact since the SI of 2019 (1.380649e-23 J/K over 1.602176634e-19 J/eV).
pub const BOLTZMANN_EV_PER_K: f64 = 1.380_649e-23 / 1.602_176_634e-19;
/// Molar gas constant in kJ/(mol K): exact since the SI of 2019 (1.380649e-23 J/K × 6.02214076e23 /mol).
pub const GAS_CONSTANT_KJ_PER_MOL_K: f64 = 1.380_649e-23 * 6.022_140_76e23 / 1000.0;
/// 0 degC in kelvin, by definition.
pub const ZERO_CELSIUS_K: f64 = 273.15;

/// How a rate depends on one channel's value x.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// `(x / reference)^exponent`: load-life laws, Archard wear, the inverse power law of accelerated testing
    /// (Meeker & Escobar, Statistical Methods for Reliability Data, section 18.3.4).
    Power { exponent: f64, reference: f64 },
    /// `exp(coefficient (x - reference))`: log-linear effects, "doubles every n units" (coefficient = ln 2 / n).
    Exponential { coefficient: f64, reference: f64 },
    /// `exp(theta (1/T0 - 1/T))`, T absolute, theta = activation energy / Boltzmann's constant in kelvin
    /// (Meeker & Escobar, section 18.3.1).
    Arrhenius { theta_k: f64, reference: f64, kelvin: bool },
    /// `g(x) / g(reference)`, `g = low + (high - low) / (1 + exp(-(x - midpoint) / width))`: a smooth step from `low`
    /// to `high`.
    Logistic { low: f64, high: f64, midpoint: f64, width: f64, reference: f64 },
    /// Straight lines in log ratio between points (x, ratio), constant beyond the ends, divided by the ratio at the
    /// reference.
    Piecewise { points: Vec<(f64, f64)>, reference: f64 },
    /// `g(x) / g(reference)`, `g = (hot e^(-cold (x - optimum)) + cold e^(hot (x - optimum))) / (cold + hot)`: two
    /// processes, one faster in the cold and one in the heat (plating and film growth of lithium-ion cells: Waldmann
    /// et al., J. Power Sources 262 (2014) 129); least, and 1, at the optimum. `cold` and `hot` are per unit.
    UShape { optimum: f64, cold: f64, hot: f64, reference: f64 },
    /// Bin i holds `edges[i-1] <= x < edges[i]`, with `edges.len() + 1` ratios, divided by the ratio of the
    /// reference's bin. Without edges: one ratio a code of the channel (what a generalised additive model exports).
    Table { edges: Vec<f64>, ratios: Vec<f64>, reference: f64 },
}

impl Curve {
    /// The name that a model file uses.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Power { .. } => "power",
            Self::Exponential { .. } => "exponential",
            Self::Arrhenius { .. } => "arrhenius",
            Self::Logistic { .. } => "logistic",
            Self::Piecewise { .. } => "piecewise",
            Self::UShape { .. } => "u_shape",
            Self::Table { .. } => "table",
        }
    }

    /// The value at which the ratio is 1.
    pub fn reference(&self) -> f64 {
        match self {
            Self::Power { reference, .. }
            | Self::Exponential { reference, .. }
            | Self::Arrhenius { reference, .. }
            | Self::Logistic { reference, .. }
            | Self::Piecewise { reference, .. }
            | Self::UShape { reference, .. }
            | Self::Table { reference, .. } => *reference,
        }
    }

    /// Log2 of the ratio at `x`; not finite where the law is not defined. `tolerance`: values this close to an edge
    /// of a table lie on it.
    pub fn log2_ratio(&self, x: f64, tolerance: f64) -> f64 {
        match self {
            Self::Power { exponent, reference } => exponent * libm::log2(x / reference),
            Self::Exponential { coefficient, reference } => coefficient * (x - reference) * LOG2_E,
            Self::Arrhenius { theta_k, reference, kelvin } => {
                let absolute_k = |t: f64| if *kelvin { t } else { t + ZERO_CELSIUS_K };
                theta_k * inverse_difference(absolute_k(*reference), absolute_k(x)) * LOG2_E
            }
            Self::Logistic { low, high, midpoint, width, reference } => {
                let log2_g = |x: f64| libm::log2(low + (high - low) / (1.0 + libm::exp(-(x - midpoint) / width)));
                log2_g(x) - log2_g(*reference)
            }
            Self::Piecewise { points, reference } => log2_between(points, x) - log2_between(points, *reference),
            Self::UShape { optimum, cold, hot, reference } => {
                log2_two_arms(*optimum, *cold, *hot, x) - log2_two_arms(*optimum, *cold, *hot, *reference)
            }
            Self::Table { edges, ratios, reference } => {
                let log2_at = |x: f64| ratios.get(bin_of(edges, x, tolerance)).map_or(f64::NAN, |r| libm::log2(*r));
                log2_at(x) - log2_at(*reference)
            }
        }
    }
}

/// `1/T0 - 1/T` without cancellation; NaN where a temperature is not above absolute zero.
pub(super) fn inverse_difference(reference_k: f64, absolute_k: f64) -> f64 {
    if reference_k > 0.0 && absolute_k > 0.0 {
        (absolute_k - reference_k) / (reference_k * absolute_k)
    } else {
        f64::NAN
    }
}

/// The bin of `x`: the number of edges that it reaches.
pub(super) fn bin_of(edges: &[f64], x: f64, tolerance: f64) -> usize {
    edges.partition_point(|edge| *edge <= x || (x - edge).abs() <= tolerance)
}

fn log2_between(points: &[(f64, f64)], x: f64) -> f64 {
    let after = points.partition_point(|(at, _)| *at <= x);
    match (after.checked_sub(1).and_then(|before| points.get(before)), points.get(after)) {
        (Some((x0, r0)), Some((x1, r1))) => {
            let (low, high) = (libm::log2(*r0), libm::log2(*r1));
            low + (high - low) * ((x - x0) / (x1 - x0))
        }
        (Some((_, ratio)), None) | (None, Some((_, ratio))) => libm::log2(*ratio),
        (None, None) => f64::NAN,
    }
}

/// Log2 of the two-armed curve, with the larger arm taken out so that a steep arm does not overflow.
fn log2_two_arms(optimum: f64, cold: f64, hot: f64, x: f64) -> f64 {
    let (cold_arm, hot_arm) = (-cold * (x - optimum), hot * (x - optimum));
    let larger = cold_arm.max(hot_arm);
    let sum = hot * libm::exp(cold_arm - larger) + cold * libm::exp(hot_arm - larger);
    libm::log2(sum / (cold + hot)) + larger * LOG2_E
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(curve: &Curve, x: f64) -> f64 {
        libm::exp2(curve.log2_ratio(x, 1e-9))
    }

    fn near(got: f64, wanted: f64) {
        assert!((got / wanted - 1.0).abs() < 1e-9, "got {got}, wanted {wanted}");
    }

    #[test]
    fn arrhenius_agrees_with_published_acceleration_factors() {
        // Peck's table of a hygrothermal test against 25 degC, humidity apart: 45 degC at 0.79 eV.
        let curve = Curve::Arrhenius { theta_k: 0.79 / BOLTZMANN_EV_PER_K, reference: 25.0, kelvin: false };
        near(ratio(&curve, 45.0), libm::exp(0.79 / BOLTZMANN_EV_PER_K * (1.0 / 298.15 - 1.0 / 318.15)));
        assert!((BOLTZMANN_EV_PER_K - 8.617_333_262e-5).abs() < 1e-14);
        assert!((GAS_CONSTANT_KJ_PER_MOL_K - 8.314_462_618e-3).abs() < 1e-12);
        // One electronvolt a molecule is 96.485 kJ/mol.
        near(1.0 / BOLTZMANN_EV_PER_K, 96.485_332_123_310_0 / GAS_CONSTANT_KJ_PER_MOL_K);
        let kelvin = Curve::Arrhenius { theta_k: 9000.0, reference: 298.15, kelvin: true };
        near(ratio(&kelvin, 318.15), libm::exp(9000.0 * (1.0 / 298.15 - 1.0 / 318.15)));
        assert!(curve.log2_ratio(-273.15, 0.0).is_nan(), "nothing is colder than absolute zero");
    }

    #[test]
    fn a_power_is_undefined_at_zero_with_a_negative_exponent() {
        let curve = |exponent: f64| Curve::Power { exponent, reference: 40.0 };
        near(ratio(&curve(1.5), 80.0), 2.0 * libm::sqrt(2.0));
        assert!(!curve(-1.0).log2_ratio(0.0, 0.0).is_finite());
        assert!(!curve(1.5).log2_ratio(-1.0, 0.0).is_finite());
    }

    #[test]
    fn the_two_armed_curve_is_least_at_its_optimum_and_survives_steep_arms() {
        let curve = Curve::UShape { optimum: 25.0, cold: 0.06, hot: 0.03, reference: 25.0 };
        assert_eq!(curve.log2_ratio(25.0, 0.0), 0.0);
        assert!(ratio(&curve, 24.9) > 1.0 && ratio(&curve, 25.1) > 1.0);
        near(ratio(&curve, 35.0), (0.03 * libm::exp(-0.6) + 0.06 * libm::exp(0.3)) / 0.09);
        let steep = Curve::UShape { optimum: 0.0, cold: 100.0, hot: 100.0, reference: 0.0 };
        assert!(steep.log2_ratio(1000.0, 0.0).is_finite());
    }

    #[test]
    fn pieces_meet_at_their_points_and_stay_flat_beyond() {
        let curve = Curve::Piecewise { points: vec![(0.0, 1.0), (10.0, 4.0), (20.0, 2.0)], reference: 0.0 };
        for (x, wanted) in
            [(-5.0, 1.0), (0.0, 1.0), (5.0, 2.0), (10.0, 4.0), (15.0, libm::sqrt(8.0)), (20.0, 2.0), (90.0, 2.0)]
        {
            near(ratio(&curve, x), wanted);
        }
        let single = Curve::Piecewise { points: vec![(3.0, 7.0)], reference: 0.0 };
        near(ratio(&single, 50.0), 1.0);
    }

    #[test]
    fn an_edge_belongs_to_the_bin_above_whatever_rounding_does() {
        let curve = Curve::Table { edges: vec![5.0, 10.0], ratios: vec![1.0, 2.0, 4.0], reference: 0.0 };
        for (x, wanted) in [(4.9, 1.0), (5.0 - 1e-12, 2.0), (5.0, 2.0), (9.9, 2.0), (10.0 - 1e-12, 4.0), (99.0, 4.0)] {
            near(ratio(&curve, x), wanted);
        }
    }

    #[test]
    fn a_logistic_step_is_half_done_at_its_midpoint() {
        let curve = Curve::Logistic { low: 1.0, high: 3.0, midpoint: 50.0, width: 2.0, reference: 0.0 };
        near(ratio(&curve, 50.0), 2.0 / (1.0 + 2.0 / (1.0 + libm::exp(25.0))));
        near(ratio(&curve, 1e6), 3.0 / (1.0 + 2.0 / (1.0 + libm::exp(25.0))));
    }
}
