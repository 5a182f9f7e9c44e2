//! Which of a model's numbers a fit may change: `free = ["characteristic_life", "ambient_temp_c.exponent"]`.
//!
//! Key idea: a parameter is an address in the model that can be read and set in the file's own unit. A mode frees its
//! `weibull_shape`; a mechanism its `characteristic_life`, its `clock_exponent`, `<interaction>.ratio`, and
//! `<channel>.<key>` for the numbers of the curve on that channel. What is free says nothing about rates, so it does
//! not count for the model's hash.
//!
//! Units: those of the file.

use super::curve::{BOLTZMANN_EV_PER_K, Curve, GAS_CONSTANT_KJ_PER_MOL_K};
use super::spec::{Law, Mechanism, Model};

/// A number of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeParameter {
    CharacteristicLife,
    ClockExponent,
    /// Of the mechanism's interaction at this place.
    Ratio {
        interaction: usize,
    },
    /// Of the curve of the mechanism's term at this place.
    Curve {
        term: usize,
        key: CurveKey,
    },
}

/// A number of a curve, by its key in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CurveKey {
    Exponent,
    Coefficient,
    ActivationEnergyEv,
    ActivationEnergyKjPerMol,
    Low,
    High,
    Midpoint,
    Width,
    Optimum,
    ColdCoefficient,
    HotCoefficient,
}

/// On what scale a number is estimated, and its error normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Its natural logarithm.
    Log,
    Natural,
}

impl CurveKey {
    pub fn name(self) -> &'static str {
        match self {
            Self::Exponent => "exponent",
            Self::Coefficient => "coefficient",
            Self::ActivationEnergyEv => "activation_energy_ev",
            Self::ActivationEnergyKjPerMol => "activation_energy_kj_per_mol",
            Self::Low => "low",
            Self::High => "high",
            Self::Midpoint => "midpoint",
            Self::Width => "width",
            Self::Optimum => "optimum",
            Self::ColdCoefficient => "cold_coefficient",
            Self::HotCoefficient => "hot_coefficient",
        }
    }

    /// Those of a curve.
    pub fn of(curve: &Curve) -> &'static [CurveKey] {
        match curve {
            Curve::Power { .. } => &[Self::Exponent],
            Curve::Exponential { .. } => &[Self::Coefficient],
            Curve::Arrhenius { .. } => &[Self::ActivationEnergyEv, Self::ActivationEnergyKjPerMol],
            Curve::Logistic { .. } => &[Self::Low, Self::High, Self::Midpoint, Self::Width],
            Curve::UShape { .. } => &[Self::Optimum, Self::ColdCoefficient, Self::HotCoefficient],
            Curve::Piecewise { .. } | Curve::Table { .. } => &[],
        }
    }

    pub fn scale(self) -> Scale {
        match self {
            Self::Low | Self::High | Self::ColdCoefficient | Self::HotCoefficient => Scale::Log,
            _ => Scale::Natural,
        }
    }

    /// The number in the file's unit; `None` where the curve has no such key.
    pub fn value(self, curve: &Curve) -> Option<f64> {
        match (self, curve) {
            (Self::Exponent, Curve::Power { exponent, .. }) => Some(*exponent),
            (Self::Coefficient, Curve::Exponential { coefficient, .. }) => Some(*coefficient),
            (_, Curve::Arrhenius { theta_k, .. }) => self.per_kelvin().map(|unit| theta_k * unit),
            (Self::Low, Curve::Logistic { low, .. }) => Some(*low),
            (Self::High, Curve::Logistic { high, .. }) => Some(*high),
            (Self::Midpoint, Curve::Logistic { midpoint, .. }) => Some(*midpoint),
            (Self::Width, Curve::Logistic { width, .. }) => Some(*width),
            (Self::Optimum, Curve::UShape { optimum, .. }) => Some(*optimum),
            (Self::ColdCoefficient, Curve::UShape { cold, .. }) => Some(*cold),
            (Self::HotCoefficient, Curve::UShape { hot, .. }) => Some(*hot),
            _ => None,
        }
    }

    pub fn set(self, curve: &mut Curve, value: f64) {
        match (self, curve) {
            (Self::Exponent, Curve::Power { exponent, .. }) => *exponent = value,
            (Self::Coefficient, Curve::Exponential { coefficient, .. }) => *coefficient = value,
            (_, Curve::Arrhenius { theta_k, .. }) => *theta_k = self.per_kelvin().map_or(*theta_k, |unit| value / unit),
            (Self::Low, Curve::Logistic { low, .. }) => *low = value,
            (Self::High, Curve::Logistic { high, .. }) => *high = value,
            (Self::Midpoint, Curve::Logistic { midpoint, .. }) => *midpoint = value,
            (Self::Width, Curve::Logistic { width, .. }) => *width = value,
            (Self::Optimum, Curve::UShape { optimum, .. }) => *optimum = value,
            (Self::ColdCoefficient, Curve::UShape { cold, .. }) => *cold = value,
            (Self::HotCoefficient, Curve::UShape { hot, .. }) => *hot = value,
            _ => {}
        }
    }

    /// The file's unit for the energy behind a temperature of one kelvin.
    pub(super) fn per_kelvin(self) -> Option<f64> {
        match self {
            Self::ActivationEnergyEv => Some(BOLTZMANN_EV_PER_K),
            Self::ActivationEnergyKjPerMol => Some(GAS_CONSTANT_KJ_PER_MOL_K),
            _ => None,
        }
    }
}

impl FreeParameter {
    pub fn scale(self) -> Scale {
        match self {
            Self::CharacteristicLife | Self::ClockExponent | Self::Ratio { .. } => Scale::Log,
            Self::Curve { key, .. } => key.scale(),
        }
    }

    /// As `free` names it.
    pub fn name(self, mechanism: &Mechanism) -> String {
        match self {
            Self::CharacteristicLife => "characteristic_life".to_owned(),
            Self::ClockExponent => "clock_exponent".to_owned(),
            Self::Ratio { interaction } => {
                format!("{}.ratio", mechanism.interactions.get(interaction).map_or("", |one| &one.id))
            }
            Self::Curve { term, key } => match mechanism.terms.get(term).map(|term| &term.law) {
                Some(Law::One(variable, _)) => format!("{}.{}", variable.channel, key.name()),
                _ => key.name().to_owned(),
            },
        }
    }

    /// All that a mechanism has, in the order of the file.
    pub fn all(mechanism: &Mechanism) -> Vec<FreeParameter> {
        let mut all = vec![Self::CharacteristicLife, Self::ClockExponent];
        for (term, one) in mechanism.terms.iter().enumerate() {
            if let Law::One(_, curve) = &one.law {
                all.extend(CurveKey::of(curve).iter().map(|&key| Self::Curve { term, key }));
            }
        }
        all.extend((0..mechanism.interactions.len()).map(|interaction| Self::Ratio { interaction }));
        all
    }

    fn value(self, mechanism: &Mechanism) -> Option<f64> {
        match self {
            Self::CharacteristicLife => Some(mechanism.characteristic_life),
            Self::ClockExponent => Some(mechanism.clock_exponent),
            Self::Ratio { interaction } => mechanism.interactions.get(interaction).map(|one| one.ratio),
            Self::Curve { term, key } => match mechanism.terms.get(term).map(|term| &term.law) {
                Some(Law::One(_, curve)) => key.value(curve),
                _ => None,
            },
        }
    }

    fn set(self, mechanism: &mut Mechanism, value: f64) {
        match self {
            Self::CharacteristicLife => mechanism.characteristic_life = value,
            Self::ClockExponent => mechanism.clock_exponent = value,
            Self::Ratio { interaction } => {
                if let Some(one) = mechanism.interactions.get_mut(interaction) {
                    one.ratio = value;
                }
            }
            Self::Curve { term, key } => {
                if let Some(Law::One(_, curve)) = mechanism.terms.get_mut(term).map(|term| &mut term.law) {
                    key.set(curve, value);
                }
            }
        }
    }
}

/// A number of a model, by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterPath {
    WeibullShape {
        mode: usize,
    },
    /// `mechanism` counts within its mode.
    Mechanism {
        mode: usize,
        mechanism: usize,
        parameter: FreeParameter,
    },
}

impl ParameterPath {
    pub fn mode(self) -> usize {
        match self {
            Self::WeibullShape { mode } | Self::Mechanism { mode, .. } => mode,
        }
    }

    pub fn scale(self) -> Scale {
        match self {
            Self::WeibullShape { .. } => Scale::Log,
            Self::Mechanism { parameter, .. } => parameter.scale(),
        }
    }

    /// `<mode>.weibull_shape` or `<mode>.<mechanism>.<parameter>`.
    pub fn name(self, model: &Model) -> String {
        let Some(mode) = model.modes.get(self.mode()) else { return String::new() };
        match self {
            Self::WeibullShape { .. } => format!("{}.weibull_shape", mode.id),
            Self::Mechanism { mechanism, parameter, .. } => match mode.mechanisms.get(mechanism) {
                Some(own) => format!("{}.{}.{}", mode.id, own.id, parameter.name(own)),
                None => String::new(),
            },
        }
    }

    /// In the file's unit; NaN for an address that the model does not have.
    pub fn value(self, model: &Model) -> f64 {
        let mode = model.modes.get(self.mode());
        let value = match self {
            Self::WeibullShape { .. } => mode.map(|mode| mode.weibull_shape),
            Self::Mechanism { mechanism, parameter, .. } => {
                mode.and_then(|mode| mode.mechanisms.get(mechanism)).and_then(|own| parameter.value(own))
            }
        };
        value.unwrap_or(f64::NAN)
    }

    pub fn set(self, model: &mut Model, value: f64) {
        let Some(mode) = model.modes.get_mut(self.mode()) else { return };
        match self {
            Self::WeibullShape { .. } => mode.weibull_shape = value,
            Self::Mechanism { mechanism, parameter, .. } => {
                if let Some(own) = mode.mechanisms.get_mut(mechanism) {
                    parameter.set(own, value);
                }
            }
        }
    }
}

impl Model {
    /// Every number that a fit may change, in the order of the file.
    pub fn free_parameters(&self) -> Vec<ParameterPath> {
        let mut free = Vec::new();
        for (mode, one) in self.modes.iter().enumerate() {
            free.extend(one.free_shape.then_some(ParameterPath::WeibullShape { mode }));
            for (mechanism, own) in one.mechanisms.iter().enumerate() {
                let path = |&parameter| ParameterPath::Mechanism { mode, mechanism, parameter };
                free.extend(own.free.iter().map(path));
            }
        }
        free
    }
}
