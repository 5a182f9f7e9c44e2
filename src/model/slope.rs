//! How a curve answers its own parameters: the derivative of ln(ratio) by each, which a fit's gradient is made of.
//!
//! Units: per unit of the parameter on the scale on which it is estimated ([`super::free::Scale`]); an activation energy
//! is estimated as its temperature in kelvin. Twin: [`super::curve::Curve::log2_ratio`], of which these are the slopes
//! times ln 2.

use super::curve::{Curve, ZERO_CELSIUS_K, inverse_difference};
use super::free::{CurveKey, Scale};

/// The number as it is estimated: its logarithm, the file's number, or an energy's temperature in kelvin.
pub fn working(key: CurveKey, scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Log => libm::log(value),
        Scale::Natural => value / key.per_kelvin().unwrap_or(1.0),
    }
}

/// The file's number of an estimated one, and its slope by that.
pub fn in_file(key: CurveKey, scale: Scale, working: f64) -> (f64, f64) {
    match scale {
        Scale::Log => {
            let value = libm::exp(working);
            (value, value)
        }
        Scale::Natural => {
            let unit = key.per_kelvin().unwrap_or(1.0);
            (working * unit, unit)
        }
    }
}

impl Curve {
    /// d ln(ratio at `x`) by a parameter on its working scale; zero for one that the curve does not have.
    pub fn slope(&self, key: CurveKey, x: f64) -> f64 {
        match (self, key) {
            (Self::Power { reference, .. }, CurveKey::Exponent) => libm::log(x / reference),
            (Self::Exponential { reference, .. }, CurveKey::Coefficient) => x - reference,
            (
                Self::Arrhenius { reference, kelvin, .. },
                CurveKey::ActivationEnergyEv | CurveKey::ActivationEnergyKjPerMol,
            ) => {
                let absolute_k = |t: f64| if *kelvin { t } else { t + ZERO_CELSIUS_K };
                inverse_difference(absolute_k(*reference), absolute_k(x))
            }
            (Self::Logistic { reference, .. }, _) => self.logistic_slope(key, x) - self.logistic_slope(key, *reference),
            (Self::UShape { reference, .. }, _) => self.arms_slope(key, x) - self.arms_slope(key, *reference),
            _ => 0.0,
        }
    }

    fn logistic_slope(&self, key: CurveKey, x: f64) -> f64 {
        let Self::Logistic { low, high, midpoint, width, .. } = self else { return 0.0 };
        let place = (x - midpoint) / width;
        let step = 1.0 / (1.0 + libm::exp(-place));
        let ratio = low + (high - low) * step;
        let steepness = (high - low) * step * (1.0 - step) / width;
        match key {
            // Of the logarithms of low and high.
            CurveKey::Low => low * (1.0 - step) / ratio,
            CurveKey::High => high * step / ratio,
            CurveKey::Midpoint => -steepness / ratio,
            CurveKey::Width => -steepness * place / ratio,
            _ => 0.0,
        }
    }

    fn arms_slope(&self, key: CurveKey, x: f64) -> f64 {
        let Self::UShape { optimum, cold, hot, .. } = self else { return 0.0 };
        let from_optimum = x - optimum;
        // The larger arm is taken out, as in the curve.
        let (cold_arm, hot_arm) = (-cold * from_optimum, hot * from_optimum);
        let larger = cold_arm.max(hot_arm);
        let (a, b) = (libm::exp(cold_arm - larger), libm::exp(hot_arm - larger));
        let sum = hot * a + cold * b;
        match key {
            CurveKey::Optimum => hot * cold * (a - b) / sum,
            // Of the logarithms of both coefficients.
            CurveKey::ColdCoefficient => cold * ((b - hot * from_optimum * a) / sum - 1.0 / (cold + hot)),
            CurveKey::HotCoefficient => hot * ((a + cold * from_optimum * b) / sum - 1.0 / (cold + hot)),
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::free::{FreeParameter, ParameterPath};
    use crate::model::spec::{Law, Model};

    #[test]
    fn slopes_are_those_of_the_curves() {
        let curves = [
            Curve::Power { exponent: 1.5, reference: 40.0 },
            Curve::Exponential { coefficient: -0.06, reference: 5.0 },
            Curve::Arrhenius { theta_k: 6000.0, reference: 25.0, kelvin: false },
            Curve::Arrhenius { theta_k: 6000.0, reference: 298.0, kelvin: true },
            Curve::Logistic { low: 1.3, high: 3.0, midpoint: 30.0, width: 6.0, reference: 20.0 },
            Curve::UShape { optimum: 25.0, cold: 0.06, hot: 0.03, reference: 22.0 },
        ];
        for curve in &curves {
            for &key in CurveKey::of(curve) {
                let text = "[model]\nname = \"m\"\nversion = \"1\"\n[[failure_mode]]\nid = \"a\"\ncomponent = \"c\"\n\
                            weibull_shape = 1\n[[failure_mode.mechanism]]\nid = \"b\"\nexposure = \"days\"\n\
                            characteristic_life = 9\nterms = [{ channel = \"t\", curve = \"power\", exponent = 1, reference = 1 }]";
                let mut model = Model::parse(text, "m.toml").unwrap();
                let path = ParameterPath::Mechanism {
                    mode: 0,
                    mechanism: 0,
                    parameter: FreeParameter::Curve { term: 0, key },
                };
                for x in [1.0, 24.0, 33.0, 80.0] {
                    let x = if matches!(curve, Curve::Arrhenius { kelvin: true, .. }) { x + 273.15 } else { x };
                    let mut at = |step: f64| {
                        if let Law::One(_, own) = &mut model.modes[0].mechanisms[0].terms[0].law {
                            *own = curve.clone();
                        }
                        let scale = path.scale();
                        let moved = working(key, scale, path.value(&model)) + step;
                        path.set(&mut model, in_file(key, scale, moved).0);
                        let Law::One(_, own) = &model.modes[0].mechanisms[0].terms[0].law else { unreachable!() };
                        own.log2_ratio(x, 0.0) * std::f64::consts::LN_2
                    };
                    let step = if key.per_kelvin().is_some() { 1.0 } else { 1e-5 };
                    let measured = (at(step) - at(-step)) / (2.0 * step);
                    let slope = curve.slope(key, x);
                    assert!(
                        (slope - measured).abs() < 1e-6 * (1.0 + measured.abs()),
                        "{curve:?} {key:?} {x}: {slope} {measured}"
                    );
                }
            }
        }
    }
}
