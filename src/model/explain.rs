//! A model in words and tables, for people who check it before they trust it.
//!
//! Key idea: shape beta and characteristic life eta as the field writes them, every curve tabulated over its channel's
//! range. Plain data; whoever asked prints it. Units are the channels'.

use serde::Serialize;

use super::channel::{Channel, Schema};
use super::curve::Curve;
use super::shipped::standard_schema;
use super::spec::{
    Comparison, Direction, Exposure, FailureMode, Interaction, Law, Mechanism, Model, Term, Test, Variable,
};
use super::surface::Surface;

/// Points at which a curve is tabulated, besides its reference.
const CURVE_POINTS: usize = 9;
/// Points a side at which a surface is tabulated.
const SURFACE_POINTS: usize = 5;

/// A model for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    pub name: String,
    pub version: String,
    pub description: Option<String>,
    /// Hex BLAKE3 of the canonical text.
    pub hash: String,
    pub modes: Vec<ModeWords>,
    pub monitors: Vec<MonitorWords>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModeWords {
    pub id: String,
    pub component: String,
    pub positions: Vec<String>,
    /// Beta.
    pub weibull_shape: f64,
    /// What such a shape means.
    pub shape_words: &'static str,
    pub alert: Option<String>,
    pub source: Option<String>,
    pub mechanisms: Vec<MechanismWords>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MechanismWords {
    pub id: String,
    /// "distance_km", "days" or "records".
    pub exposure: String,
    /// Eta, in units of the exposure.
    pub characteristic_life: f64,
    pub clock_exponent: f64,
    /// The sentence that says eta, beta and the exponent.
    pub words: String,
    pub source: Option<String>,
    pub terms: Vec<TermTable>,
    pub interactions: Vec<InteractionWords>,
}

/// A term, tabulated.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TermTable {
    Curve {
        channel: String,
        unit: String,
        curve: &'static str,
        formula: String,
        reference: f64,
        /// (value, ratio), by rising value; the reference is among them.
        rows: Vec<(f64, f64)>,
        source: Option<String>,
    },
    Surface {
        channels: [String; 2],
        units: [String; 2],
        surface: &'static str,
        formula: String,
        reference: [f64; 2],
        /// Values of the first channel.
        rows: Vec<f64>,
        /// Values of the second channel.
        columns: Vec<f64>,
        /// `ratios[row][column]`.
        ratios: Vec<Vec<f64>>,
        source: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InteractionWords {
    pub id: String,
    /// "ambient_temp_c < 5 and humidity_pct > 80 and model is M2".
    pub when: String,
    pub ratio: f64,
    pub source: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MonitorWords {
    pub id: String,
    pub component: String,
    pub words: String,
    pub source: Option<String>,
}

/// Puts a model in words. Without a schema, curves are tabulated over the standard channels' ranges, or around their
/// references.
pub fn explain(model: &Model, schema: Option<&Schema>) -> Explanation {
    let standard = standard_schema();
    let channels = &schema.unwrap_or(&standard).channels;
    Explanation {
        name: model.name.clone(),
        version: model.version.clone(),
        description: model.description.clone(),
        hash: model.hash.clone(),
        modes: model.modes.iter().map(|mode| mode_words(mode, channels)).collect(),
        monitors: model
            .monitors
            .iter()
            .map(|monitor| {
                let way = match monitor.direction {
                    Direction::Rising => "rises",
                    Direction::Falling => "falls",
                    Direction::Both => "rises or falls",
                };
                let threshold = monitor.threshold.map(|at| format!("; crossing {at} is the detection"));
                let limit = monitor.limit.map(|at| format!("; at {at} it has failed"));
                MonitorWords {
                    id: monitor.id.clone(),
                    component: monitor.component.clone(),
                    words: format!(
                        "watches whether {} {way} against its own first {} days{}{}; {} false alarms in 100,000 vehicle-days",
                        monitor.channel,
                        monitor.baseline_days,
                        threshold.unwrap_or_default(),
                        limit.unwrap_or_default(),
                        monitor.false_alarms_per_100000_days
                    ),
                    source: monitor.source.clone(),
                }
            })
            .collect(),
    }
}

/// What a Weibull shape says about failures, as reliability handbooks put it.
pub fn shape_words(weibull_shape: f64) -> &'static str {
    match weibull_shape {
        shape if shape < 0.95 => "early failures: the longer it lasts, the safer it is",
        shape if shape <= 1.05 => "random failures: age does not matter",
        shape if shape <= 4.0 => "wear-out: risk grows with use",
        _ => "rapid wear-out: most fail around the characteristic life",
    }
}

fn mode_words(mode: &FailureMode, channels: &[Channel]) -> ModeWords {
    let alone = mode.mechanisms.len() == 1;
    ModeWords {
        id: mode.id.clone(),
        component: mode.component.clone(),
        positions: mode.positions.clone(),
        weibull_shape: mode.weibull_shape,
        shape_words: shape_words(mode.weibull_shape),
        alert: mode.alert.map(|alert| {
            format!("warn at a probability of {} or more within {} days", alert.probability, alert.horizon_days)
        }),
        source: mode.source.clone(),
        mechanisms: mode
            .mechanisms
            .iter()
            .map(|mechanism| mechanism_words(mechanism, mode.weibull_shape, alone, channels))
            .collect(),
    }
}

fn mechanism_words(mechanism: &Mechanism, shape: f64, alone: bool, channels: &[Channel]) -> MechanismWords {
    let (exposure, unit) = match &mechanism.exposure {
        Exposure::Days => ("days".to_owned(), "days".to_owned()),
        Exposure::Records => ("records".to_owned(), "records".to_owned()),
        Exposure::Channel(name) => {
            let channel = channels.iter().find(|channel| channel.name == *name);
            (
                name.clone(),
                channel.map_or_else(|| format!("units of {name}"), |channel| format!("{} of {name}", channel.unit)),
            )
        }
    };
    let exponent = mechanism.clock_exponent;
    let on_clock = match (alone, exponent == 1.0) {
        (true, true) => format!("lives are Weibull with shape beta = {shape}"),
        (true, false) => {
            format!(
                "damage = (share of eta used)^{exponent}, so lives are Weibull with shape beta = {:.3}",
                shape * exponent
            )
        }
        (false, true) => format!("its share of eta used adds to the damage; beta = {shape} on the damage"),
        (false, false) => {
            format!("(its share of eta used)^{exponent} adds to the damage; beta = {shape} on the damage")
        }
    };
    MechanismWords {
        id: mechanism.id.clone(),
        words: format!(
            "characteristic life eta = {} {unit} at the reference conditions; {on_clock}",
            mechanism.characteristic_life
        ),
        exposure,
        characteristic_life: mechanism.characteristic_life,
        clock_exponent: exponent,
        source: mechanism.source.clone(),
        terms: mechanism.terms.iter().map(|term| term_table(term, channels)).collect(),
        interactions: mechanism.interactions.iter().map(interaction_words).collect(),
    }
}

fn interaction_words(interaction: &Interaction) -> InteractionWords {
    let condition = |name: &str, test: &Test| match test {
        Test::OneOf(values) => format!("{name} is {}", values.join(" or ")),
        Test::Compare(comparison) => match comparison {
            Comparison::Less(limit) => format!("{name} < {limit}"),
            Comparison::LessOrEqual(limit) => format!("{name} <= {limit}"),
            Comparison::Greater(limit) => format!("{name} > {limit}"),
            Comparison::GreaterOrEqual(limit) => format!("{name} >= {limit}"),
            Comparison::Equal(limit) => format!("{name} = {limit}"),
            Comparison::Range(low, high) => format!("{low} <= {name} < {high}"),
            Comparison::RangeInclusive(low, high) => format!("{low} <= {name} <= {high}"),
        },
    };
    let all: Vec<String> = interaction.when.iter().map(|one| condition(&one.name, &one.test)).collect();
    InteractionWords {
        id: interaction.id.clone(),
        when: all.join(" and "),
        ratio: interaction.ratio,
        source: interaction.source.clone(),
    }
}

fn term_table(term: &Term, channels: &[Channel]) -> TermTable {
    let find = |variable: &Variable| channels.iter().find(|channel| channel.name == variable.channel);
    let unit = |variable: &Variable| find(variable).map(|channel| channel.unit.clone()).unwrap_or_default();
    let ratio_of = |log2: f64| libm::exp2(log2);
    match &term.law {
        Law::One(variable, curve) => {
            let channel = find(variable);
            let tolerance = channel.map_or(0.0, |channel| channel.factor.abs() * 1e-6);
            let mut values = evenly(range_of(variable, channel, curve.reference()), CURVE_POINTS);
            values.push(curve.reference());
            values.sort_by(f64::total_cmp);
            values.dedup();
            let per_code = matches!(curve, Curve::Table { edges, .. } if edges.is_empty());
            let ratio = |value: f64| match (per_code, channel) {
                (true, Some(channel)) => per_code_ratio(curve, variable, channel, value),
                _ => ratio_of(curve.log2_ratio(variable.clamp(value), tolerance)),
            };
            TermTable::Curve {
                channel: variable.channel.clone(),
                unit: unit(variable),
                curve: curve.name(),
                formula: formula(curve, &variable.channel),
                reference: curve.reference(),
                rows: values.into_iter().map(|value| (value, ratio(value))).collect(),
                source: term.source.clone(),
            }
        }
        Law::Two([a, b], surface) => {
            let reference = surface.reference();
            let rows = evenly(range_of(a, find(a), reference[0]), SURFACE_POINTS);
            let columns = evenly(range_of(b, find(b), reference[1]), SURFACE_POINTS);
            let ratio = |x: f64, y: f64| ratio_of(surface.log2_ratio([a.clamp(x), b.clamp(y)], [0.0; 2]));
            TermTable::Surface {
                channels: [a.channel.clone(), b.channel.clone()],
                units: [unit(a), unit(b)],
                surface: surface.name(),
                formula: surface_formula(surface, &a.channel, &b.channel),
                reference,
                ratios: rows.iter().map(|x| columns.iter().map(|y| ratio(*x, *y)).collect()).collect(),
                rows,
                columns,
                source: term.source.clone(),
            }
        }
    }
}

/// A table with a ratio a code, at the code nearest to `value`.
fn per_code_ratio(curve: &Curve, variable: &Variable, channel: &Channel, value: f64) -> f64 {
    let Curve::Table { ratios, reference, .. } = curve else { return f64::NAN };
    let at = |value: f64| {
        let code = ((value - channel.offset) / channel.factor).round_ties_even() - channel.first as f64;
        if code >= 0.0 { ratios.get(code as usize).copied().unwrap_or(f64::NAN) } else { f64::NAN }
    };
    at(variable.clamp(value)) / at(*reference)
}

/// Where a curve is tabulated: the channel's range, or from nothing to twice the reference.
fn range_of(variable: &Variable, channel: Option<&Channel>, reference: f64) -> (f64, f64) {
    let (low, high) = match channel {
        Some(channel) => (channel.value(0), channel.value(channel.codes.saturating_sub(1))),
        None => (0.0f64.min(2.0 * reference), 0.0f64.max(2.0 * reference)),
    };
    // Beyond floor and ceiling nothing changes.
    let low = variable.floor.map_or(low, |floor| low.max(floor));
    let high = variable.ceiling.map_or(high, |ceiling| high.min(ceiling));
    if low < high { (low, high) } else { (reference, reference) }
}

fn evenly((low, high): (f64, f64), points: usize) -> Vec<f64> {
    (0..points).map(|i| low + (high - low) * i as f64 / (points - 1).max(1) as f64).collect()
}

fn formula(curve: &Curve, x: &str) -> String {
    match curve {
        Curve::Power { exponent, reference } => format!("({x} / {reference})^{exponent}"),
        Curve::Exponential { coefficient, reference } => format!("exp({coefficient} ({x} - {reference}))"),
        Curve::Arrhenius { theta_k, reference, kelvin } => {
            let zero = if *kelvin { "" } else { " + 273.15" };
            format!("exp({theta_k:.0} (1 / ({reference}{zero}) - 1 / ({x}{zero})))")
        }
        Curve::Logistic { low, high, midpoint, width, reference } => {
            format!("g({x}) / g({reference}), g = {low} + ({high} - {low}) / (1 + exp(-(x - {midpoint}) / {width}))")
        }
        Curve::Piecewise { points, .. } => {
            let points: Vec<String> = points.iter().map(|(at, ratio)| format!("({at}, {ratio})")).collect();
            format!("straight lines in log ratio through {}", points.join(" "))
        }
        Curve::UShape { optimum, cold, hot, .. } => {
            format!("({hot} e^(-{cold} ({x} - {optimum})) + {cold} e^({hot} ({x} - {optimum}))) / {}", cold + hot)
        }
        Curve::Table { ratios, .. } => format!("table of {} ratios", ratios.len()),
    }
}

fn surface_formula(surface: &Surface, x: &str, y: &str) -> String {
    match surface {
        Surface::Table { edges, .. } => format!("table of {} × {} ratios", edges[0].len() + 1, edges[1].len() + 1),
        Surface::Plane { intercept, slope_a, slope_b, exponent, .. } => {
            format!("(p / p_reference)^{exponent}, p = {intercept} + {slope_a} {x} + {slope_b} {y}")
        }
        Surface::ArrheniusLinear { theta_k, slope_k, .. } => {
            format!("f / f_reference, f = exp(-({theta_k} + {slope_k} {y}) / ({x} + 273.15))")
        }
        Surface::ArrheniusAnode { theta_k, slope_k_per_v, .. } => {
            format!(
                "f / f_reference, f = exp(-({theta_k} + {slope_k_per_v} Ua({y})) / ({x} + 273.15)), Ua the anode's potential in V"
            )
        }
    }
}
