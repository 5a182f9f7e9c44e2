//! The life law as integer tables: what a survival kernel needs of a model, compiled once on the host in f64.
//!
//! Key idea: with a = log2 D, z = log2 growth − a, the hazard a part takes on is H(D + growth) − H(D) =
//! 2^(shape · a + φ(z)), φ(z) = log2((1 + 2^z)^shape − 1). φ is a straight line beyond a few octaves on either side
//! (slope 1 below, slope `shape` above), so a table of knots holds the bend and two constants hold the rest. A
//! mechanism's clock exponent has the same form with the exponent in place of the shape; in a mode with one
//! mechanism the two multiply, and only their product is kept. log2 p = y + ψ(y), ψ(y) = log2(1 − exp(−2^y)) − y.
//!
//! Units: logarithms in 2^-20 ("Q20"), exponents in 2^-24, rates as factors of a mechanism's whole clock. Kernels:
//! [`crate::backend::survival`]. Source: Weibull law as in [`super::life`]; the bounds below are this table's own.

use super::compiled::CompiledModel;
use crate::fixed::knots::{OCTAVE_KNOTS, SUM_SPAN_Q20};
use crate::fixed::log2::LOG2_FINE_BITS;

/// Least and largest shape, exponent, or product of both: beyond, logarithms leave `i32` or lines their slope.
pub const EXPONENT_RANGE: std::ops::RangeInclusive<f64> = 0.1..=16.0;
/// Largest log2 by which a draw may change a mechanism's rate.
pub const RATE_LOG2_LIMIT: f64 = 16.0;
/// Mechanisms of a mode at most: a kernel holds their running sums in registers.
pub const MODE_MECHANISMS: usize = 8;
/// Octaves below which φ(z) = z + log2(shape) to 5e-6.
const POWER_LOW: i32 = -21;
/// Octaves of y covered by ψ: below, p is the hazard itself; above, p is one.
const PROBABILITY_LOW: i32 = -20;
const PROBABILITY_HIGH: i32 = 6;
pub const POWER_LOW_Q20: i32 = POWER_LOW << LOG2_FINE_BITS;
pub const PROBABILITY_LOW_Q20: i32 = PROBABILITY_LOW << LOG2_FINE_BITS;
pub const PROBABILITY_HIGH_Q20: i32 = PROBABILITY_HIGH << LOG2_FINE_BITS;

/// A failure mode's law.
#[derive(Clone, Debug, PartialEq)]
pub struct SurvivalLaw {
    pub weibull_shape: f64,
    /// One a mechanism of the mode: damage = clock^exponent.
    pub clock_exponents: Vec<f64>,
}

/// One draw of the model's uncertain parameters, for the whole fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterDraw {
    /// One a mode.
    pub weibull_shapes: Vec<f64>,
    /// One a mechanism, modes in order: the mechanism's clock, past and to come, is two to this power of what the
    /// model says. A life drawn half as long is 1.
    pub rates_log2: Vec<f64>,
}

/// Why a law cannot be compiled.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SurvivalLawError {
    #[error("mode {mode}, draw {draw}: {what} is {got}, expected {least} to {largest}")]
    Range { what: &'static str, mode: usize, draw: usize, got: f64, least: f64, largest: f64 },
    #[error("mode {mode}: {got} mechanisms, expected 1 to {limit}")]
    Mechanisms { mode: usize, got: usize, limit: usize },
    #[error("draw {draw}: {what}: got {got}, expected {expected}")]
    Length { what: &'static str, draw: usize, got: usize, expected: usize },
    #[error("no parameter draw: one of the model's own values is the least")]
    NoDraw,
}

/// (1 + 2^z)^exponent − 1 in logarithms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PowerTable {
    /// Where its knots begin.
    pub first: u32,
    /// From [`POWER_LOW_Q20`] to its last knot.
    pub span_q20: i32,
    pub exponent_q24: u32,
    /// φ(z) − exponent · z above the last knot.
    pub tail_q20: i32,
}

/// A mode as a survival kernel needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct SurvivalMode {
    /// One a mechanism; `None`: its clock counts as it is.
    pub exponents: Vec<Option<PowerTable>>,
    /// One a draw: the law's shape.
    pub shapes: Vec<PowerTable>,
    /// Draw-major, one a mechanism.
    pub rates_q20: Vec<i32>,
}

/// What a survival kernel needs of a model, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct SurvivalTables {
    /// All tables, one after another; the last knot of each stands twice.
    pub knots: Vec<i32>,
    /// Where log2(1 + 2^-d) begins.
    pub sum_first: u32,
    /// Where ψ begins.
    pub probability_first: u32,
    pub modes: Vec<SurvivalMode>,
    pub draws: usize,
}

/// The laws of a model's modes, in order.
pub fn laws(model: &CompiledModel) -> Vec<SurvivalLaw> {
    (model.modes.iter())
        .map(|mode| SurvivalLaw {
            weibull_shape: mode.weibull_shape,
            clock_exponents: model.mechanisms[mode.mechanisms.clone()].iter().map(|one| one.clock_exponent).collect(),
        })
        .collect()
}

impl ParameterDraw {
    /// The model's own values.
    pub fn central(laws: &[SurvivalLaw]) -> Self {
        let mechanisms = laws.iter().map(|law| law.clock_exponents.len()).sum();
        Self { weibull_shapes: laws.iter().map(|law| law.weibull_shape).collect(), rates_log2: vec![0.0; mechanisms] }
    }
}

impl SurvivalTables {
    /// Compiles the modes' laws for every draw.
    pub fn compile(laws: &[SurvivalLaw], draws: &[ParameterDraw]) -> Result<Self, SurvivalLawError> {
        check_lengths(laws, draws)?;
        let mut knots = Vec::new();
        let sum_first = push_knots(&mut knots, 0, SUM_SPAN_Q20 >> LOG2_FINE_BITS, |apart| {
            libm::log1p(libm::exp2(-apart)) * std::f64::consts::LOG2_E
        });
        let probability_first = push_knots(&mut knots, PROBABILITY_LOW, PROBABILITY_HIGH, |hazard_log2| {
            libm::log2(-libm::expm1(-libm::exp2(hazard_log2))) - hazard_log2
        });
        let mut tables = Self { knots, sum_first, probability_first, modes: Vec::new(), draws: draws.len() };
        let mut mechanism = 0;
        for (mode, law) in laws.iter().enumerate() {
            let rates = mechanism..mechanism + law.clock_exponents.len();
            mechanism = rates.end;
            let made = tables.mode(mode, law, draws, rates)?;
            tables.modes.push(made);
        }
        Ok(tables)
    }

    fn mode(
        &mut self,
        mode: usize,
        law: &SurvivalLaw,
        draws: &[ParameterDraw],
        rates: std::ops::Range<usize>,
    ) -> Result<SurvivalMode, SurvivalLawError> {
        let (least, largest) = EXPONENT_RANGE.into_inner();
        let within = |what, draw, got: f64, least: f64, largest: f64| {
            if (least..=largest).contains(&got) {
                Ok(got)
            } else {
                Err(SurvivalLawError::Range { what, mode, draw, got, least, largest })
            }
        };
        let single = <&[f64; 1]>::try_from(law.clock_exponents.as_slice()).map(|[exponent]| *exponent).ok();
        let mut exponents = vec![None; law.clock_exponents.len()];
        if single.is_none() {
            for (table, exponent) in exponents.iter_mut().zip(&law.clock_exponents) {
                within("clock exponent", 0, *exponent, least, largest)?;
                *table = (*exponent != 1.0).then(|| self.power(*exponent));
            }
        }
        let (mut shapes, mut rates_q20) = (Vec::new(), Vec::new());
        let mut known: Vec<(f64, PowerTable)> = Vec::new();
        for (at, draw) in draws.iter().enumerate() {
            let shape = draw.weibull_shapes[mode] * single.unwrap_or(1.0);
            within("shape times clock exponent", at, shape, least, largest)?;
            let table = match known.iter().find(|(value, _)| *value == shape) {
                Some((_, table)) => *table,
                None => {
                    known.push((shape, self.power(shape)));
                    known[known.len() - 1].1
                }
            };
            shapes.push(table);
            for rate in &draw.rates_log2[rates.clone()] {
                within("log2 of a rate's draw", at, *rate, -RATE_LOG2_LIMIT, RATE_LOG2_LIMIT)?;
                rates_q20.push(rounded(*rate, LOG2_FINE_BITS));
            }
        }
        Ok(SurvivalMode { exponents, shapes, rates_q20 })
    }

    /// Adds the table of an exponent.
    fn power(&mut self, exponent: f64) -> PowerTable {
        let high = libm::ceil(f64::max(21.0, 20.0 / exponent)) as i32;
        let phi = |z: f64| libm::log2(libm::expm1(exponent * libm::log1p(libm::exp2(z))));
        PowerTable {
            first: push_knots(&mut self.knots, POWER_LOW, high, phi),
            span_q20: (high - POWER_LOW) << LOG2_FINE_BITS,
            exponent_q24: rounded(exponent, 24) as u32,
            tail_q20: rounded(phi(f64::from(high)) - exponent * f64::from(high), LOG2_FINE_BITS),
        }
    }
}

fn check_lengths(laws: &[SurvivalLaw], draws: &[ParameterDraw]) -> Result<(), SurvivalLawError> {
    for (mode, law) in laws.iter().enumerate() {
        let got = law.clock_exponents.len();
        if !(1..=MODE_MECHANISMS).contains(&got) {
            return Err(SurvivalLawError::Mechanisms { mode, got, limit: MODE_MECHANISMS });
        }
    }
    let mechanisms: usize = laws.iter().map(|law| law.clock_exponents.len()).sum();
    for (draw, one) in draws.iter().enumerate() {
        for (what, got, expected) in
            [("shapes", one.weibull_shapes.len(), laws.len()), ("rates", one.rates_log2.len(), mechanisms)]
        {
            if got != expected {
                return Err(SurvivalLawError::Length { what, draw, got, expected });
            }
        }
    }
    if draws.is_empty() { Err(SurvivalLawError::NoDraw) } else { Ok(()) }
}

fn rounded(value: f64, bits: u32) -> i32 {
    libm::rint(value * f64::from(1u32 << bits)) as i32
}

/// Knots of `function` from octave `low` to octave `high`, the last twice; where they begin.
fn push_knots(knots: &mut Vec<i32>, low: i32, high: i32, function: impl Fn(f64) -> f64) -> u32 {
    let first = knots.len() as u32;
    let count = (high - low) * OCTAVE_KNOTS as i32;
    let at = |knot: i32| rounded(function(f64::from(low) + f64::from(knot) / OCTAVE_KNOTS as f64), LOG2_FINE_BITS);
    knots.extend((0..=count).map(at));
    knots.push(at(count));
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn law(weibull_shape: f64, clock_exponents: &[f64]) -> SurvivalLaw {
        SurvivalLaw { weibull_shape, clock_exponents: clock_exponents.to_vec() }
    }

    #[test]
    fn one_mechanism_keeps_only_the_product() {
        let folded = [law(2.0, &[0.5])];
        let plain = [law(1.0, &[1.0])];
        let tables = |laws: &[SurvivalLaw]| SurvivalTables::compile(laws, &[ParameterDraw::central(laws)]).unwrap();
        assert_eq!(tables(&folded), tables(&plain));
        let two = [law(2.0, &[0.5, 1.0])];
        let tables = tables(&two);
        assert!(tables.modes[0].exponents[0].is_some() && tables.modes[0].exponents[1].is_none());
    }

    #[test]
    fn equal_shapes_share_a_table_and_steep_ones_stay_in_words() {
        let laws = [law(16.0, &[1.0])];
        let central = ParameterDraw::central(&laws);
        let other = ParameterDraw { weibull_shapes: vec![0.1], ..central.clone() };
        let tables = SurvivalTables::compile(&laws, &[central.clone(), other, central]).unwrap();
        let shapes = &tables.modes[0].shapes;
        assert_eq!(shapes[0], shapes[2]);
        assert_ne!(shapes[0].first, shapes[1].first);
        assert!(tables.knots.windows(2).all(|pair| pair[1].abs_diff(pair[0]) < 1 << 18 || pair[1] < pair[0]));
    }

    #[test]
    fn laws_out_of_range_are_refused() {
        let compile = |laws: &[SurvivalLaw]| SurvivalTables::compile(laws, &[ParameterDraw::central(laws)]);
        assert!(matches!(compile(&[law(16.1, &[1.0])]), Err(SurvivalLawError::Range { .. })));
        assert!(matches!(compile(&[law(1.0, &[0.05])]), Err(SurvivalLawError::Range { .. })));
        assert!(matches!(compile(&[law(f64::NAN, &[1.0])]), Err(SurvivalLawError::Range { .. })));
        assert!(matches!(compile(&[law(1.0, &[])]), Err(SurvivalLawError::Mechanisms { .. })));
        assert!(matches!(compile(&[law(1.0, &[1.0; 9])]), Err(SurvivalLawError::Mechanisms { .. })));
        let laws = [law(1.0, &[1.0])];
        assert_eq!(SurvivalTables::compile(&laws, &[]), Err(SurvivalLawError::NoDraw));
        let wild = ParameterDraw { weibull_shapes: vec![1.0], rates_log2: vec![17.0] };
        assert!(matches!(SurvivalTables::compile(&laws, &[wild]), Err(SurvivalLawError::Range { .. })));
        let short = ParameterDraw { weibull_shapes: vec![], rates_log2: vec![0.0] };
        assert!(matches!(SurvivalTables::compile(&laws, &[short]), Err(SurvivalLawError::Length { .. })));
    }
}
