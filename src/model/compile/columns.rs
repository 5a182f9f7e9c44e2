//! One column of f64 log2 ratios: what one mechanism says about one input, a row a code.

use super::Dataset;
use crate::model::channel::Channel;
use crate::model::curve::{Curve, bin_of};
use crate::model::error::{ModelError, Place};
use crate::model::spec::{Law, Term, Variable};
use crate::model::surface::Surface;
use crate::model::tables::TableInput;

/// What a table is looked up by. Ordered: channels by name, then pairs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum InputKey {
    /// Index into [`Dataset::channels`].
    Channel(usize),
    Pair {
        channel_a: usize,
        channel_b: usize,
        bins_a: Vec<u16>,
        bins_b: Vec<u16>,
    },
}

impl InputKey {
    pub fn rows(&self, dataset: &Dataset) -> u32 {
        match self {
            Self::Channel(channel) => dataset.channels.get(*channel).map_or(1, |channel| channel.codes + 1),
            // The row where both are "not available" is the last.
            Self::Pair { bins_a, bins_b, .. } => {
                let last = |bins: &[u16]| bins.last().copied().map_or(0, u32::from);
                last(bins_a) + last(bins_b) + 1
            }
        }
    }

    pub fn name(&self, dataset: &Dataset) -> String {
        let name = |channel: &usize| dataset.names.get(*channel).cloned().unwrap_or_default();
        match self {
            Self::Channel(channel) => name(channel),
            Self::Pair { channel_a, channel_b, .. } => format!("{} × {}", name(channel_a), name(channel_b)),
        }
    }
}

impl From<InputKey> for TableInput {
    fn from(key: InputKey) -> Self {
        match key {
            InputKey::Channel(channel) => Self::Channel(channel),
            InputKey::Pair { channel_a, channel_b, bins_a, bins_b } => {
                Self::Pair { channel_a, channel_b, bins_a, bins_b }
            }
        }
    }
}

/// What one mechanism says about one input.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    /// Log2 of the exposure in its unit, `None` where it is zero or not available. Empty: no exposure.
    pub exposure_log2: Vec<Option<f64>>,
    /// Sum of the log2 ratios of all terms. Empty: no term.
    pub terms_log2: Vec<f64>,
}

impl Column {
    pub fn add_terms(&mut self, log2: &[f64]) {
        self.terms_log2.resize(log2.len(), 0.0);
        for (sum, one) in self.terms_log2.iter_mut().zip(log2) {
            *sum += one;
        }
    }

    /// Log2 rate of a row; `None`: no increment at all.
    pub fn log2(&self, row: usize) -> Option<f64> {
        let terms = self.terms_log2.get(row).copied().unwrap_or(0.0);
        match self.exposure_log2.get(row) {
            None => Some(terms),
            Some(exposure) => exposure.map(|exposure| exposure + terms),
        }
    }
}

/// The column of an exposure channel and its smallest value above zero.
pub(super) fn exposure_column(index: usize, dataset: &Dataset, place: &Place) -> Result<(Column, f64), ModelError> {
    let refused = |problem: String, remedy: &str| {
        Err(ModelError::Value { place: Box::new(place.clone()), problem, remedy: remedy.to_owned() })
    };
    let Some(channel) = dataset.channels.get(index) else {
        return refused("no channel".to_owned(), "name a channel of the dataset");
    };
    let tolerance = channel.tolerance();
    let mut least = f64::INFINITY;
    let mut exposure_log2 = Vec::with_capacity(channel.codes as usize + 1);
    for code in 0..channel.codes {
        let value = channel.value(code);
        if value < -tolerance || !value.is_finite() {
            let problem = format!("the range of {:?} reaches {value} {}", channel.name, channel.unit);
            return refused(problem, "an exposure cannot be negative: declare range from 0 up in dataset.toml");
        }
        if value > tolerance {
            least = least.min(value);
        }
        exposure_log2.push((value > tolerance).then(|| libm::log2(value)));
    }
    exposure_log2.push(None);
    if least == f64::INFINITY {
        return refused(format!("{:?} is never above zero", channel.name), "declare its range in dataset.toml");
    }
    Ok((Column { exposure_log2, terms_log2: Vec::new() }, least))
}

/// A term as inputs with their columns of log2 ratios; the rows for "not available" hold 0.
///
/// A formula of two channels becomes three: the law along each channel while the other stands at its reference, for
/// every code, and in the pair's bins only what the two do not say: zero along both references, and small beside them,
/// so that the bins cost little. Where one channel is not available, the law at its reference counts.
pub(super) fn term_columns(term: &Term, dataset: &Dataset) -> Result<Vec<(InputKey, Vec<f64>)>, ModelError> {
    let missing = |variable: &Variable| ModelError::UnknownChannel {
        place: Box::new(term.places.of("channel")),
        channel: variable.channel.clone(),
        nearest: None,
    };
    let found = |variable: &Variable| {
        let index = dataset.position(&variable.channel).ok_or_else(|| missing(variable))?;
        Ok((index, *dataset.channels.get(index).ok_or_else(|| missing(variable))?))
    };
    match &term.law {
        Law::One(variable, curve) => {
            let (index, channel) = found(variable)?;
            Ok(vec![(InputKey::Channel(index), curve_column(term, variable, curve, channel)?)])
        }
        Law::Two([variable_a, variable_b], surface @ Surface::Table { .. }) => {
            let (a, b) = (found(variable_a)?, found(variable_b)?);
            let ratio = |at, tolerance| surface.log2_ratio(at, tolerance);
            Ok(vec![pair_column(term, [(variable_a, a), (variable_b, b)], surface, ratio)?])
        }
        Law::Two([variable_a, variable_b], surface) => {
            let (a, b) = (found(variable_a)?, found(variable_b)?);
            let [x0, y0] = surface.reference();
            let along_a = |x: f64| surface.log2_ratio([x, y0], [0.0; 2]);
            let along_b = |y: f64| surface.log2_ratio([x0, y], [0.0; 2]);
            let rest = |[x, y]: [f64; 2], tolerance| surface.log2_ratio([x, y], tolerance) - along_a(x) - along_b(y);
            Ok(vec![
                (InputKey::Channel(a.0), main_effect(term, variable_a, a.1, along_a)?),
                (InputKey::Channel(b.0), main_effect(term, variable_b, b.1, along_b)?),
                pair_column(term, [(variable_a, a), (variable_b, b)], surface, rest)?,
            ])
        }
    }
}

/// A law along one of its channels, for every code.
fn main_effect(
    term: &Term,
    variable: &Variable,
    channel: &Channel,
    log2_ratio: impl Fn(f64) -> f64,
) -> Result<Vec<f64>, ModelError> {
    let mut log2 = Vec::with_capacity(channel.codes as usize + 1);
    for code in 0..channel.codes {
        let ratio = log2_ratio(variable.clamp(channel.value(code)));
        check_finite(term, ratio, || format!("{} = {}", variable.channel, channel.value(code)))?;
        log2.push(ratio);
    }
    log2.push(0.0);
    Ok(log2)
}

/// The synthetic channel of a pair: a row for every two bins.
fn pair_column(
    term: &Term,
    [(variable_a, (channel_a, a)), (variable_b, (channel_b, b))]: [(&Variable, (usize, &Channel)); 2],
    surface: &Surface,
    log2_ratio: impl Fn([f64; 2], [f64; 2]) -> f64,
) -> Result<(InputKey, Vec<f64>), ModelError> {
    let a = bins(term, variable_a, a, surface, 0)?;
    let b = bins(term, variable_b, b, surface, 1)?;
    let stride = b.midpoints.len() as u16 + 1;
    let mut log2 = Vec::with_capacity((a.midpoints.len() + 1) * usize::from(stride));
    for x in &a.midpoints {
        for y in &b.midpoints {
            let ratio = match (x, y) {
                (Some(x), Some(y)) => log2_ratio([*x, *y], [a.tolerance, b.tolerance]),
                // No code falls there.
                _ => 0.0,
            };
            check_finite(term, ratio, || {
                let at = |value: &Option<f64>| value.unwrap_or(f64::NAN);
                format!("{} = {}, {} = {}", variable_a.channel, at(x), variable_b.channel, at(y))
            })?;
            log2.push(ratio);
        }
        log2.push(0.0);
    }
    log2.resize(log2.len() + usize::from(stride), 0.0);
    let bins_a = a.bin_of_code.into_iter().map(|bin| bin * stride).collect();
    Ok((InputKey::Pair { channel_a, channel_b, bins_a, bins_b: b.bin_of_code }, log2))
}

fn curve_column(term: &Term, variable: &Variable, curve: &Curve, channel: &Channel) -> Result<Vec<f64>, ModelError> {
    let tolerance = channel.tolerance();
    let mut log2 = Vec::with_capacity(channel.codes as usize + 1);
    if let Curve::Table { edges, ratios, reference } = curve
        && edges.is_empty()
    {
        if ratios.len() != channel.codes as usize {
            return Err(ModelError::Value {
                place: Box::new(term.places.of("ratios")),
                problem: format!("{} ratios for the {} codes of {:?}", ratios.len(), channel.codes, channel.name),
                remedy: "give one ratio a code, or edges with one ratio more".to_owned(),
            });
        }
        let code = |value: f64| ((value - channel.offset) / channel.factor).round_ties_even() - channel.first as f64;
        let ratio = |value: f64| {
            let code = code(value);
            let ratio = if code >= 0.0 { ratios.get(code as usize) } else { None };
            ratio.copied().unwrap_or(f64::NAN)
        };
        let at_reference = libm::log2(ratio(*reference));
        for code in 0..channel.codes {
            log2.push(libm::log2(ratio(variable.clamp(channel.value(code)))) - at_reference);
        }
    } else {
        for code in 0..channel.codes {
            log2.push(curve.log2_ratio(variable.clamp(channel.value(code)), tolerance));
        }
    }
    for (code, ratio) in log2.iter().enumerate() {
        check_finite(term, *ratio, || format!("{} = {}", variable.channel, channel.value(code as u32)))?;
    }
    log2.push(0.0);
    Ok(log2)
}

fn check_finite(term: &Term, log2_ratio: f64, at: impl Fn() -> String) -> Result<(), ModelError> {
    if log2_ratio.is_finite() {
        return Ok(());
    }
    Err(ModelError::NotFinite { place: Box::new(term.places.of("curve")), at: at(), ratio: libm::exp2(log2_ratio) })
}

/// One side of a pair.
struct Bins {
    /// A row a code and one for "not available", which is the bin after the last.
    bin_of_code: Vec<u16>,
    /// The value a bin stands for; `None` where no code falls into it.
    midpoints: Vec<Option<f64>>,
    tolerance: f64,
}

/// Bins of one channel of a pair: a table's by its edges; a formula's as equal counts of the codes between floor and
/// ceiling (one code a bin where they suffice), codes beyond falling into the first and last bin, the law taken midway
/// between a bin's first and last code.
fn bins(
    term: &Term,
    variable: &Variable,
    channel: &Channel,
    surface: &Surface,
    side: usize,
) -> Result<Bins, ModelError> {
    let tolerance = channel.tolerance();
    let codes = channel.codes as usize;
    let values: Vec<f64> = (0..channel.codes).map(|code| channel.value(code)).collect();
    let wanted = match surface {
        Surface::Table { edges, .. } => {
            let edges = &edges[side];
            let mut midpoints = vec![None; edges.len() + 1];
            let mut bin_of_code = Vec::with_capacity(codes + 1);
            for value in values {
                let value = variable.clamp(value);
                let bin = bin_of(edges, value, tolerance);
                bin_of_code.push(bin as u16);
                if let Some(midpoint) = midpoints.get_mut(bin) {
                    *midpoint = Some(value);
                }
            }
            bin_of_code.push(midpoints.len() as u16);
            return Ok(Bins { bin_of_code, midpoints, tolerance });
        }
        Surface::Plane { bins, .. } | Surface::ArrheniusLinear { bins, .. } | Surface::ArrheniusAnode { bins, .. } => {
            bins[side]
        }
    };
    let within = |value: &f64| (variable.clamp(*value) - value).abs() <= tolerance;
    let (Some(first), Some(last)) = (values.iter().position(within), values.iter().rposition(within)) else {
        return Err(ModelError::Value {
            place: Box::new(term.places.of("floor")),
            problem: format!("no value of {:?} lies between floor and ceiling", channel.name),
            remedy: "widen them to the channel's range".to_owned(),
        });
    };
    let inside = last - first + 1;
    let count = wanted.min(inside);
    let bin = |code: usize| (code.clamp(first, last) - first) * count / inside;
    let mut bin_of_code: Vec<u16> = (0..codes).map(|code| bin(code) as u16).collect();
    bin_of_code.push(count as u16);
    let mut ends: Vec<Option<(f64, f64)>> = vec![None; count];
    for (code, value) in values.iter().enumerate().take(last + 1).skip(first) {
        if let Some(end) = ends.get_mut(bin(code)) {
            *end = Some((end.map_or(*value, |(low, _)| low), *value));
        }
    }
    let midpoints = ends.into_iter().map(|end| end.map(|(low, high)| 0.5 * (low + high))).collect();
    Ok(Bins { bin_of_code, midpoints, tolerance })
}
