//! Parameter errors: one draw a path, for the whole fleet, from the model's covariance.
//!
//! Standard normal numbers come from Threefry by the inverse of the normal law, then the Cholesky factor gives them
//! the parameters' covariance. Everything is f64 through `libm` and depends on seed, path and parameter alone.
//!
//! Where parameters are drawn, two paths share each weather, so that what weather does can be told from what
//! parameters do ([`weather_of_paths`], [`super::fleet_forecast`]).
//!
//! Units: natural logarithms of parameters. Source of the inverse's start: Abramowitz & Stegun 26.2.23; Newton steps
//! on `erfc` take it to the last bits.

use super::paths::fold;
use crate::fixed::threefry::threefry2x32;
use crate::model::covariance::{Covariance, Parameter};
use crate::model::survival::{EXPONENT_RANGE, ParameterDraw, RATE_LOG2_LIMIT, SurvivalLaw};

const PARAMETER_STREAM: u32 = 0x5041_5241;
/// Paths that share a weather where parameters are drawn too.
pub const PATHS_PER_WEATHER: usize = 2;

/// The weather of each path.
pub fn weather_of_paths(paths: usize, parameters_drawn: bool) -> Vec<u32> {
    let share = if parameters_drawn { PATHS_PER_WEATHER } else { 1 };
    (0..paths).map(|path| (path / share) as u32).collect()
}

/// One draw a path; without covariance the model's own values, once.
pub fn draws(laws: &[SurvivalLaw], covariance: Option<&Covariance>, paths: usize, seed: u64) -> Vec<ParameterDraw> {
    let Some(covariance) = covariance.filter(|covariance| !covariance.parameters.is_empty()) else {
        return vec![ParameterDraw::central(laws)];
    };
    (0..paths).map(|path| draw(laws, covariance, path as u32, seed)).collect()
}

/// Which draw holds on each path.
pub fn draw_of_paths(paths: usize, draws: usize) -> Vec<u32> {
    (0..paths).map(|path| path.min(draws - 1) as u32).collect()
}

fn draw(laws: &[SurvivalLaw], covariance: &Covariance, path: u32, seed: u64) -> ParameterDraw {
    let normals: Vec<f64> = (0..covariance.parameters.len() as u32)
        .map(|parameter| {
            let [low, high] = threefry2x32([fold(seed), PARAMETER_STREAM], [path, parameter]);
            normal(u64::from(high) << 32 | u64::from(low))
        })
        .collect();
    let mut drawn = ParameterDraw::central(laws);
    for (parameter, row) in covariance.parameters.iter().zip(&covariance.cholesky) {
        let error: f64 = row.iter().zip(&normals).map(|(factor, normal)| factor * normal).sum();
        match *parameter {
            Parameter::WeibullShape { mode } => {
                // The product with a lone clock exponent must stay within what tables hold.
                let exponent = match laws[mode].clock_exponents[..] {
                    [one] => one,
                    _ => 1.0,
                };
                let (least, largest) = EXPONENT_RANGE.into_inner();
                let shape = drawn.weibull_shapes[mode] * libm::exp(error);
                drawn.weibull_shapes[mode] = shape.clamp(least / exponent, largest / exponent);
            }
            Parameter::CharacteristicLife { mechanism } => {
                let rate_log2 = -error * std::f64::consts::LOG2_E;
                drawn.rates_log2[mechanism] = rate_log2.clamp(-RATE_LOG2_LIMIT, RATE_LOG2_LIMIT);
            }
        }
    }
    drawn
}

/// A standard normal number from 64 random bits.
pub fn normal(random_bits: u64) -> f64 {
    // The midpoint of one of 2^52 equal steps: never zero, never one.
    let uniform = ((random_bits >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    let tail = uniform.min(1.0 - uniform);
    // A start within 0.0045 (Hastings 1955, by way of Abramowitz & Stegun 26.2.23), then three Newton steps.
    let t = libm::sqrt(-2.0 * libm::log(tail));
    let mut x = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    for _ in 0..3 {
        let above = 0.5 * libm::erfc(x * std::f64::consts::FRAC_1_SQRT_2);
        let density =
            0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2 * libm::exp(-0.5 * x * x);
        x += (above - tail) / density;
    }
    if uniform < 0.5 { -x } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_their_quantiles() {
        let bits = |uniform: f64| (uniform * 18_446_744_073_709_551_616.0) as u64;
        for (uniform, x) in [(0.5, 0.0), (0.975, 1.959_963_984_540_054), (0.001, -3.090_232_306_167_813)] {
            assert!((normal(bits(uniform)) - x).abs() < 1e-9, "{uniform}");
        }
        assert!(normal(0) < -8.0 && normal(u64::MAX) > 8.0 && normal(0).is_finite());
    }

    #[test]
    fn draws_have_the_covariance() {
        let laws = [SurvivalLaw { weibull_shape: 2.0, clock_exponents: vec![1.0, 1.0] }];
        let parameters = vec![Parameter::WeibullShape { mode: 0 }, Parameter::CharacteristicLife { mechanism: 1 }];
        let matrix = [vec![0.04, 0.012], vec![0.012, 0.09]];
        let cholesky = crate::model::covariance::cholesky(&matrix).unwrap();
        let covariance = Covariance { parameters, cholesky };
        let paths = 20_000;
        let drawn = draws(&laws, Some(&covariance), paths, 3);
        let errors: Vec<(f64, f64)> = drawn
            .iter()
            .map(|draw| (libm::log(draw.weibull_shapes[0] / 2.0), -draw.rates_log2[1] / std::f64::consts::LOG2_E))
            .collect();
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| errors.iter().map(of).sum::<f64>() / paths as f64;
        assert!(mean(&|e| e.0).abs() < 0.006 && mean(&|e| e.1).abs() < 0.009);
        assert!((mean(&|e| e.0 * e.0) - 0.04).abs() < 0.002);
        assert!((mean(&|e| e.0 * e.1) - 0.012).abs() < 0.002);
        assert!((mean(&|e| e.1 * e.1) - 0.09).abs() < 0.004);
        assert!(drawn.iter().all(|draw| draw.rates_log2[0] == 0.0));
    }

    #[test]
    fn without_covariance_there_is_one_draw() {
        let laws = [SurvivalLaw { weibull_shape: 2.0, clock_exponents: vec![1.0] }];
        assert_eq!(draws(&laws, None, 9, 3), [ParameterDraw::central(&laws)]);
        assert_eq!((draw_of_paths(3, 1), draw_of_paths(3, 3)), (vec![0; 3], vec![0, 1, 2]));
        assert_eq!((weather_of_paths(4, false), weather_of_paths(4, true)), (vec![0, 1, 2, 3], vec![0, 0, 1, 1]));
    }
}
