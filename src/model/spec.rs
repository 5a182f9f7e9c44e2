//! The model language as Rust types: what `model.toml` says, checked as far as it can be without a dataset.
//!
//! Key idea: nothing here knows codes or integers. A [`Model`] is text made sense of; [`super::compile`] lays it over
//! a dataset. Units are those of the dataset's channels; ratios are pure numbers, 1 at the reference.

use super::covariance::Covariance;
use super::curve::Curve;
use super::error::{Place, Places};
use super::free::FreeParameter;
use super::surface::Surface;

/// A whole model file.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub name: String,
    pub version: String,
    /// One or two sentences for people; does not count for the hash.
    pub description: Option<String>,
    /// The path as given, for error messages.
    pub file: String,
    /// Hex BLAKE3 of the canonical text: keys sorted, numbers normalised, comments, layout, `source`,
    /// `description` and `free` left out, so that only a change of meaning changes it.
    pub hash: String,
    /// In the order of the file.
    pub modes: Vec<FailureMode>,
    pub monitors: Vec<Monitor>,
    /// How uncertain the parameters are, if a fit left that.
    pub covariance: Option<Covariance>,
}

/// One way in which a component fails.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureMode {
    pub id: String,
    pub component: String,
    /// Parts of one vehicle that wear alike and are replaced apart, e.g. `front_left`. Empty: one part.
    pub positions: Vec<String>,
    /// Shape (beta) of the Weibull law on the damage.
    pub weibull_shape: f64,
    /// A fit may change the shape.
    pub free_shape: bool,
    pub alert: Option<Alert>,
    /// Its chances are net of the other modes of its component (and position) that compete, and of retirement.
    pub competes: bool,
    pub mechanisms: Vec<Mechanism>,
    pub source: Option<String>,
    pub places: Places,
}

/// Whom to warn: vehicles whose probability of failing within the horizon reaches the level, given as such or by the
/// costs of a false call and of a missed failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alert {
    pub horizon_days: f64,
    pub probability: f64,
}

/// One product of exposure, curves and interactions.
#[derive(Clone, Debug, PartialEq)]
pub struct Mechanism {
    pub id: String,
    pub exposure: Exposure,
    /// In units of the exposure, at the reference conditions.
    pub characteristic_life: f64,
    /// Damage = clock^exponent.
    pub clock_exponent: f64,
    pub terms: Vec<Term>,
    pub interactions: Vec<Interaction>,
    /// What a fit may change, in the order of the file.
    pub free: Vec<FreeParameter>,
    pub source: Option<String>,
    pub places: Places,
}

/// What uses a part up.
#[derive(Clone, Debug, PartialEq)]
pub enum Exposure {
    /// Time: the length of the record.
    Days,
    /// Every record counts one, e.g. trips.
    Records,
    /// The sum of a channel.
    Channel(String),
}

/// A factor of a rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    pub law: Law,
    pub source: Option<String>,
    pub places: Places,
}

/// What a term's factor depends on.
#[derive(Clone, Debug, PartialEq)]
pub enum Law {
    One(Variable, Curve),
    /// A law of two channels that does not factor, tabulated over bins of both.
    Two([Variable; 2], Surface),
}

/// A channel as a term sees it: values beyond `floor` and `ceiling` count as those.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    pub channel: String,
    pub floor: Option<f64>,
    pub ceiling: Option<f64>,
}

impl Variable {
    /// The value that the curve sees, in the channel's unit.
    pub fn clamp(&self, value: f64) -> f64 {
        let value = self.floor.map_or(value, |floor| value.max(floor));
        self.ceiling.map_or(value, |ceiling| value.min(ceiling))
    }
}

/// A condition on two or more channels and attributes at once that multiplies a rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Interaction {
    pub id: String,
    /// Sorted by name.
    pub when: Vec<Condition>,
    pub ratio: f64,
    pub source: Option<String>,
    pub places: Places,
}

/// One part of an interaction's `when`.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// A channel for comparisons, an attribute for values.
    pub name: String,
    pub test: Test,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// On a channel: `"< 5"`, `"5..10"`. Not met where the channel is not available.
    Compare(Comparison),
    /// On an attribute: one of these values. Not met where the attribute is missing.
    OneOf(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Comparison {
    Less(f64),
    LessOrEqual(f64),
    Greater(f64),
    GreaterOrEqual(f64),
    Equal(f64),
    /// `"a..b"`: a ≤ x < b, so that neighbouring ranges neither overlap nor leave a gap.
    Range(f64, f64),
    /// `"a..=b"`: a ≤ x ≤ b.
    RangeInclusive(f64, f64),
}

impl Comparison {
    /// Whether it holds for `value`. Values within `tolerance` of a limit count as the limit: a code's value is
    /// `offset + factor * code`, whose rounding must not decide what lies exactly on a threshold.
    pub fn holds(self, value: f64, tolerance: f64) -> bool {
        let equal = |limit: f64| (value - limit).abs() <= tolerance;
        let less = |limit: f64| value < limit && !equal(limit);
        let greater = |limit: f64| value > limit && !equal(limit);
        match self {
            Self::Less(limit) => less(limit),
            Self::LessOrEqual(limit) => !greater(limit),
            Self::Greater(limit) => greater(limit),
            Self::GreaterOrEqual(limit) => !less(limit),
            Self::Equal(limit) => equal(limit),
            Self::Range(low, high) => !less(low) && less(high),
            Self::RangeInclusive(low, high) => !less(low) && !greater(high),
        }
    }
}

/// A detector of drift or fluctuation in one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    pub id: String,
    pub component: String,
    pub channel: String,
    /// The value whose crossing counts as detection, in the channel's unit.
    pub threshold: Option<f64>,
    /// The value at which the vehicle protects itself or the part has failed, in the channel's unit.
    pub limit: Option<f64>,
    pub direction: Direction,
    /// Days from which a vehicle's own normal is estimated.
    pub baseline_days: f64,
    /// Budget of false alarms.
    pub false_alarms_per_100000_days: f64,
    /// The attribute that says which vehicles carry parts of one lot. A dataset without it is one lot.
    pub lot: Option<String>,
    pub source: Option<String>,
    pub places: Places,
}

/// Which way a monitored channel goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Rising,
    Falling,
    Both,
}
