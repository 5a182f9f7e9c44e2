//! The law of a group of modes that share parts, as a function of its free parameters.
//!
//! Key idea: a part's cumulative hazard is `H = Σ over modes (Σ over mechanisms c^e)^β`, and the clock `c` of a mechanism
//! is a sum over records. What a record adds factors into an increment that no free parameter touches (the kernels' own
//! integers), a scale for the characteristic life, and a ratio looked up by code for each channel whose curve is free
//! and for the interactions whose ratios are free. So a step of the fit costs a product of lookups a record, or nothing
//! a record where no curve and no ratio is free.
//!
//! Units: clocks in lives; parameters on their working scale ([`crate::model::free::Scale`]).

use std::ops::Range;

use crate::model::channel::Channel;
use crate::model::curve::Curve;
use crate::model::free::{CurveKey, FreeParameter, ParameterPath, Scale};
use crate::model::slope;
use crate::model::spec::{Law as TermLaw, Model, Variable};

/// Free parameters of a group at most: each record carries a derivative for each.
pub const MOST_PARAMETERS: usize = 16;
/// A derivative by each parameter.
pub type Slopes = [f64; MOST_PARAMETERS];
/// Free interactions of a mechanism at most: bits of a code.
pub const MOST_RATIOS: usize = 8;

/// A number that is free or held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slot {
    Held(f64),
    /// Place among the group's parameters.
    Free(usize),
}

impl Slot {
    fn at(self, working: &[f64]) -> f64 {
        match self {
            Self::Held(value) => value,
            Self::Free(place) => working[place],
        }
    }
}

/// What a moving ratio is looked up by.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The codes of a channel, by its name.
    Channel(String),
    /// Bits of met interactions of this mechanism (of the group), by their ids.
    Interactions { mechanism: usize, ids: Vec<String> },
}

/// One lookup of a moving mechanism.
#[derive(Clone, Debug)]
pub struct Column {
    /// Place in [`Law::sources`].
    pub source: usize,
    factors: Factors,
}

#[derive(Clone, Debug)]
enum Factors {
    /// The value that each code's curves see, then the free terms on the channel, each with its parameters.
    Curves { values: Vec<f64>, tolerance: f64, terms: Vec<FreeTerm> },
    /// Bit by bit: the parameter of its ratio.
    Ratios(Vec<usize>),
}

#[derive(Clone, Debug)]
struct FreeTerm {
    variable: Variable,
    curve: Curve,
    keys: Vec<(usize, CurveKey)>,
}

/// One mechanism of the group.
#[derive(Clone, Debug)]
pub struct MechanismLaw {
    /// Among all of the model's, modes in order.
    pub mechanism: usize,
    /// Logarithm of the characteristic life, and that at which the increments were formed.
    life: Slot,
    base_life_log: f64,
    exponent: Slot,
    /// Empty: its clock needs no records once it is summed.
    pub columns: Vec<Column>,
    /// The parameters of its columns.
    pub moving: Vec<usize>,
}

/// One mode of the group.
#[derive(Clone, Debug)]
pub struct ModeLaw {
    pub mode: usize,
    /// Into [`Law::mechanisms`].
    pub mechanisms: Range<usize>,
    shape: Slot,
}

/// The law of a group.
#[derive(Clone, Debug)]
pub struct Law {
    pub modes: Vec<ModeLaw>,
    pub mechanisms: Vec<MechanismLaw>,
    pub parameters: Vec<ParameterPath>,
    pub sources: Vec<Source>,
}

impl Law {
    /// Of the modes of these places in the model, with these parameters free; the rest is held where the model has it.
    /// `channels`: the dataset's.
    pub fn new(model: &Model, modes: &[usize], parameters: &[ParameterPath], channels: &[Channel]) -> Self {
        let slot = |path: ParameterPath| match parameters.iter().position(|one| *one == path) {
            Some(place) => Slot::Free(place),
            None => Slot::Held(libm::log(path.value(model))),
        };
        let mut law =
            Self { modes: Vec::new(), mechanisms: Vec::new(), parameters: parameters.to_vec(), sources: Vec::new() };
        for &mode in modes {
            let first = law.mechanisms.len();
            let before: usize = model.modes[..mode].iter().map(|mode| mode.mechanisms.len()).sum();
            for (mechanism, own) in model.modes[mode].mechanisms.iter().enumerate() {
                let path = |parameter| ParameterPath::Mechanism { mode, mechanism, parameter };
                let mut built = MechanismLaw {
                    mechanism: before + mechanism,
                    life: slot(path(FreeParameter::CharacteristicLife)),
                    base_life_log: libm::log(own.characteristic_life),
                    exponent: slot(path(FreeParameter::ClockExponent)),
                    columns: Vec::new(),
                    moving: Vec::new(),
                };
                let mut ratios = Vec::new();
                for (place, parameter) in parameters.iter().enumerate() {
                    let ParameterPath::Mechanism { mode: m, mechanism: n, parameter } = *parameter else { continue };
                    if (m, n) != (mode, mechanism) {
                        continue;
                    }
                    match parameter {
                        FreeParameter::Curve { term, key } => {
                            law.free_curve(&mut built, own, term, key, place, channels);
                            built.moving.push(place);
                        }
                        FreeParameter::Ratio { interaction } => {
                            ratios.push((own.interactions[interaction].id.clone(), place))
                        }
                        FreeParameter::CharacteristicLife | FreeParameter::ClockExponent => {}
                    }
                }
                if !ratios.is_empty() {
                    let (ids, places): (Vec<_>, Vec<_>) = ratios.into_iter().unzip();
                    let source = law.source(Source::Interactions { mechanism: law.mechanisms.len(), ids });
                    built.moving.extend(&places);
                    built.columns.push(Column { source, factors: Factors::Ratios(places) });
                }
                law.mechanisms.push(built);
            }
            let shape = slot(ParameterPath::WeibullShape { mode });
            law.modes.push(ModeLaw { mode, mechanisms: first..law.mechanisms.len(), shape });
        }
        law
    }

    fn source(&mut self, source: Source) -> usize {
        let known = self.sources.iter().position(|one| *one == source);
        known.unwrap_or_else(|| {
            self.sources.push(source);
            self.sources.len() - 1
        })
    }

    fn free_curve(
        &mut self,
        built: &mut MechanismLaw,
        own: &crate::model::spec::Mechanism,
        term: usize,
        key: CurveKey,
        place: usize,
        channels: &[Channel],
    ) {
        let TermLaw::One(variable, curve) = &own.terms[term].law else { return };
        let Some(channel) = channels.iter().find(|channel| channel.name == variable.channel) else { return };
        let source = self.source(Source::Channel(variable.channel.clone()));
        let column = match built.columns.iter().position(|column| column.source == source) {
            Some(column) => column,
            None => {
                let values = (0..channel.codes).map(|code| channel.value(code)).collect();
                let factors = Factors::Curves { values, tolerance: channel.tolerance(), terms: Vec::new() };
                built.columns.push(Column { source, factors });
                built.columns.len() - 1
            }
        };
        let Factors::Curves { terms, .. } = &mut built.columns[column].factors else { return };
        match terms.iter_mut().find(|one| one.variable == *variable && one.curve == *curve) {
            Some(one) => one.keys.push((place, key)),
            None => terms.push(FreeTerm { variable: variable.clone(), curve: curve.clone(), keys: vec![(place, key)] }),
        }
    }

    /// The model's values on the working scale.
    pub fn start(&self, model: &Model) -> Vec<f64> {
        self.parameters.iter().map(|path| working(*path, path.value(model))).collect()
    }

    /// The law at some values of the parameters.
    pub fn at(&self, working: &[f64]) -> LawAt<'_> {
        let mechanisms = self.mechanisms.iter().map(|one| MechanismAt {
            scale: libm::exp((one.base_life_log - one.life.at(working)).clamp(-300.0, 300.0)),
            exponent: libm::exp(one.exponent.at(working).clamp(-30.0, 30.0)),
            tables: one.columns.iter().map(|column| column.factors.at(working)).collect(),
        });
        LawAt {
            law: self,
            mechanisms: mechanisms.collect(),
            shapes: self.modes.iter().map(|mode| libm::exp(mode.shape.at(working).clamp(-30.0, 30.0))).collect(),
        }
    }
}

/// A parameter's file value on its working scale.
pub fn working(path: ParameterPath, value: f64) -> f64 {
    match path {
        ParameterPath::Mechanism { parameter: FreeParameter::Curve { key, .. }, .. } => {
            slope::working(key, path.scale(), value)
        }
        _ => libm::log(value),
    }
}

/// The file value of a working one, and its slope.
pub fn in_file(path: ParameterPath, working: f64) -> (f64, f64) {
    match path {
        ParameterPath::Mechanism { parameter: FreeParameter::Curve { key, .. }, .. } => {
            slope::in_file(key, path.scale(), working)
        }
        _ => slope::in_file(CurveKey::Exponent, Scale::Log, working),
    }
}

impl Factors {
    fn at(&self, working: &[f64]) -> Table {
        match self {
            Self::Curves { values, tolerance, terms } => {
                let terms: Vec<FreeTerm> = terms.iter().map(|term| term.at(working)).collect();
                let mut ratio = Vec::with_capacity(values.len() + 1);
                let keys: Vec<(usize, CurveKey, &FreeTerm)> = terms
                    .iter()
                    .flat_map(|term| term.keys.iter().map(move |&(place, key)| (place, key, term)))
                    .collect();
                let mut slopes: Vec<(usize, Vec<f64>)> =
                    keys.iter().map(|(place, ..)| (*place, Vec::with_capacity(values.len() + 1))).collect();
                for &value in values {
                    let log2: f64 =
                        terms.iter().map(|term| term.curve.log2_ratio(term.variable.clamp(value), *tolerance)).sum();
                    ratio.push(libm::exp2(log2.clamp(-400.0, 400.0)));
                    for ((_, column), (_, key, term)) in slopes.iter_mut().zip(&keys) {
                        column.push(term.curve.slope(*key, term.variable.clamp(value)));
                    }
                }
                // "Not available" counts as ratio 1.
                ratio.push(1.0);
                slopes.iter_mut().for_each(|(_, column)| column.push(0.0));
                Table { ratio, slopes }
            }
            Self::Ratios(places) => {
                let codes = 1_usize << places.len();
                let met = |code: usize, bit: usize| code >> bit & 1 == 1;
                let log = |code: usize| -> f64 {
                    places.iter().enumerate().filter(|(bit, _)| met(code, *bit)).map(|(_, &place)| working[place]).sum()
                };
                let slope = |bit: usize| (0..codes).map(|code| f64::from(u8::from(met(code, bit)))).collect();
                Table {
                    ratio: (0..codes).map(|code| libm::exp(log(code).clamp(-300.0, 300.0))).collect(),
                    slopes: places.iter().enumerate().map(|(bit, &place)| (place, slope(bit))).collect(),
                }
            }
        }
    }
}

impl FreeTerm {
    fn at(&self, working: &[f64]) -> Self {
        let mut term = self.clone();
        for &(place, key) in &self.keys {
            key.set(&mut term.curve, slope::in_file(key, key.scale(), working[place]).0);
        }
        term
    }
}

/// Ratio by code, and by parameter d ln(ratio).
#[derive(Clone, Debug)]
pub struct Table {
    pub ratio: Vec<f64>,
    pub slopes: Vec<(usize, Vec<f64>)>,
}

#[derive(Clone, Debug)]
pub struct MechanismAt {
    /// Clock of the increments times this is the clock.
    pub scale: f64,
    exponent: f64,
    /// One a column.
    pub tables: Vec<Table>,
}

/// A law at some values of its parameters.
#[derive(Clone, Debug)]
pub struct LawAt<'a> {
    pub law: &'a Law,
    pub mechanisms: Vec<MechanismAt>,
    shapes: Vec<f64>,
}

impl LawAt<'_> {
    /// Cumulative hazard and its slopes. `clock` gives, for a mechanism of the group, the sum of its increments (with
    /// moving ratios), and adds their slopes to what it is handed: d(sum) by each of [`MechanismLaw::moving`].
    pub fn hazard(&self, clock: &dyn Fn(usize, &mut Slopes) -> f64) -> (f64, Slopes) {
        let (mut hazard, mut slopes) = (0.0, [0.0; MOST_PARAMETERS]);
        for (mode, &shape) in self.law.modes.iter().zip(&self.shapes) {
            let mut damage = 0.0;
            let mut damage_slopes = [0.0; MOST_PARAMETERS];
            for mechanism in mode.mechanisms.clone() {
                let (own, at) = (&self.law.mechanisms[mechanism], &self.mechanisms[mechanism]);
                let mut sum_slopes = [0.0; MOST_PARAMETERS];
                let sum = clock(mechanism, &mut sum_slopes);
                if sum <= 0.0 {
                    continue;
                }
                let log_clock = libm::log(sum) + libm::log(at.scale);
                let share = libm::exp((at.exponent * log_clock).min(300.0));
                damage += share;
                if let Slot::Free(place) = own.life {
                    damage_slopes[place] -= at.exponent * share;
                }
                if let Slot::Free(place) = own.exponent {
                    damage_slopes[place] += at.exponent * log_clock * share;
                }
                for &place in &own.moving {
                    damage_slopes[place] += at.exponent * share * sum_slopes[place] / sum;
                }
            }
            if damage <= 0.0 {
                continue;
            }
            let log_damage = libm::log(damage);
            let own = libm::exp((shape * log_damage).min(230.0));
            hazard += own;
            let by_damage = shape * own / damage;
            for (slope, damage_slope) in slopes.iter_mut().zip(&damage_slopes) {
                *slope += by_damage * damage_slope;
            }
            if let Slot::Free(place) = mode.shape {
                slopes[place] += shape * log_damage * own;
            }
        }
        (hazard, slopes)
    }
}
