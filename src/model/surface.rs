//! Pair terms: laws of two channels that do not factor, and the bins that make a synthetic table channel of them.
//!
//! Key idea: both channels are binned, the two bins together are the row of one table of at most [`PAIR_ROWS`] rows;
//! the law is evaluated at the bins' midpoints. Values are in the channels' units, temperatures in degC.

use std::f64::consts::LOG2_E;

use super::curve::{ZERO_CELSIUS_K, bin_of};

/// Rows that a pair's table may have, the rows for "not available" included.
pub const PAIR_ROWS: usize = 4096;

/// How a rate depends on two channels' values x and y.
#[derive(Clone, Debug, PartialEq)]
pub enum Surface {
    /// `ratios[i][j]` for bin i of x and bin j of y (bins as in [`super::curve::Curve::Table`]), divided by the ratio
    /// of the reference's bins.
    Table { edges: [Vec<f64>; 2], ratios: Vec<Vec<f64>>, reference: [f64; 2] },
    /// `(p / p_reference)^exponent`, `p = intercept + slope_a x + slope_b y`: rates that add up before a power.
    Plane { intercept: f64, slope_a: f64, slope_b: f64, exponent: f64, bins: [usize; 2], reference: [f64; 2] },
    /// `exp(-(theta + slope y) / T + (theta + slope y0) / T0)`, T of x absolute: an activation energy that falls or
    /// rises with y (NCA 18650B calendar ageing in BLAST-Lite: theta 3340 K, slope -353 K per unit of state of
    /// charge).
    ArrheniusLinear { theta_k: f64, slope_k: f64, bins: [usize; 2], reference: [f64; 2] },
    /// The same with y replaced by the graphite anode's potential in volts at state of charge y (in %), as in
    /// BLAST-Lite's calendar laws (LFP 250 Ah: theta 5210 K, slope 3560 K/V).
    ArrheniusAnode { theta_k: f64, slope_k_per_v: f64, bins: [usize; 2], reference: [f64; 2] },
}

impl Surface {
    /// The name that a model file uses.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Table { .. } => "table",
            Self::Plane { .. } => "plane",
            Self::ArrheniusLinear { .. } => "arrhenius_linear",
            Self::ArrheniusAnode { .. } => "arrhenius_anode",
        }
    }

    /// The values at which the ratio is 1.
    pub fn reference(&self) -> [f64; 2] {
        match self {
            Self::Table { reference, .. }
            | Self::Plane { reference, .. }
            | Self::ArrheniusLinear { reference, .. }
            | Self::ArrheniusAnode { reference, .. } => *reference,
        }
    }

    /// Log2 of the ratio at (x, y); not finite where the law is not defined. `tolerance`: values this close to an
    /// edge of a table lie on it.
    pub fn log2_ratio(&self, [x, y]: [f64; 2], tolerance: [f64; 2]) -> f64 {
        match self {
            Self::Table { edges: [edges_a, edges_b], ratios, reference } => {
                let log2_at = |x: f64, y: f64| {
                    let row = ratios.get(bin_of(edges_a, x, tolerance[0]));
                    let ratio = row.and_then(|row| row.get(bin_of(edges_b, y, tolerance[1])));
                    ratio.map_or(f64::NAN, |ratio| libm::log2(*ratio))
                };
                log2_at(x, y) - log2_at(reference[0], reference[1])
            }
            Self::Plane { intercept, slope_a, slope_b, exponent, reference, .. } => {
                let log2_plane = |x: f64, y: f64| libm::log2(intercept + slope_a * x + slope_b * y);
                exponent * (log2_plane(x, y) - log2_plane(reference[0], reference[1]))
            }
            Self::ArrheniusLinear { theta_k, slope_k, reference, .. } => {
                let exponent = |x: f64, y: f64| over_absolute(theta_k + slope_k * y, x);
                (exponent(reference[0], reference[1]) - exponent(x, y)) * LOG2_E
            }
            Self::ArrheniusAnode { theta_k, slope_k_per_v, reference, .. } => {
                let exponent = |x: f64, y: f64| over_absolute(theta_k + slope_k_per_v * anode_potential_v(y), x);
                (exponent(reference[0], reference[1]) - exponent(x, y)) * LOG2_E
            }
        }
    }
}

fn over_absolute(theta_k: f64, temp_c: f64) -> f64 {
    let absolute_k = temp_c + ZERO_CELSIUS_K;
    if absolute_k > 0.0 { theta_k / absolute_k } else { f64::NAN }
}

/// Potential of a graphite anode against lithium at a state of charge in %, in volts: the fit of Safari & Delacourt
/// (J. Electrochem. Soc. 158 (2011) A562) as BLAST-Lite uses it, with lithiation 0.0085 to 0.78.
pub fn anode_potential_v(soc_pct: f64) -> f64 {
    let lithiation = 0.0085 + soc_pct / 100.0 * (0.78 - 0.0085);
    0.6379 + 0.5416 * libm::exp(-305.5309 * lithiation) + 0.044 * libm::tanh(-(lithiation - 0.1958) / 0.1088)
        - 0.1978 * libm::tanh((lithiation - 1.0571) / 0.0854)
        - 0.6875 * libm::tanh((lithiation + 0.0117) / 0.0529)
        - 0.0175 * libm::tanh((lithiation - 0.5692) / 0.0875)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anode_of_a_full_cell_is_lower_than_that_of_an_empty_one() {
        // Plateaus of graphite: about 0.21 V dilute, 0.12 V in the middle, 0.09 V nearly full.
        for (soc_pct, wanted_v) in [(12.3, 0.21359), (50.0, 0.12330), (60.0, 0.11887), (90.0, 0.08818)] {
            assert!((anode_potential_v(soc_pct) - wanted_v).abs() < 1e-5, "{soc_pct} %");
        }
    }

    #[test]
    fn calendar_ageing_grows_with_heat_and_charge() {
        let surface =
            Surface::ArrheniusAnode { theta_k: 5210.0, slope_k_per_v: 3560.0, bins: [1, 1], reference: [20.0, 60.0] };
        let log2 = |at| surface.log2_ratio(at, [0.0; 2]);
        assert_eq!(log2([20.0, 60.0]), 0.0);
        assert!(log2([35.0, 60.0]) > 1.0 && log2([20.0, 90.0]) > log2([20.0, 30.0]));
        assert!(log2([-273.15, 60.0]).is_nan());
    }

    #[test]
    fn a_plane_that_turns_negative_is_not_finite() {
        let surface = Surface::Plane {
            intercept: 1.0,
            slope_a: -0.1,
            slope_b: 0.0,
            exponent: 1.2,
            bins: [1, 1],
            reference: [0.0; 2],
        };
        assert!(surface.log2_ratio([5.0, 0.0], [0.0; 2]).is_finite());
        assert!(!surface.log2_ratio([11.0, 0.0], [0.0; 2]).is_finite());
    }
}
