//! One law fitted to lives: estimates in the field's terms, standard errors, intervals.
//!
//! Weibull: shape β = 1/σ and characteristic life η = e^μ, the age by which 63.2 % have failed. Lognormal: μ and σ of
//! ln T. Exponential: the mean life. B10 is the age by which 10 % have failed. Intervals are likelihood-ratio intervals;
//! Wald's (estimate ± z · standard error, of the log where the quantity is positive) stand beside them under their name.

use serde::Serialize;

use super::law::Law;
use super::life::Life;
use super::likelihood::Likelihood;
use super::matrix::Matrix;
use super::newton::{Maximum, NoMaximum, Part, maximise};
use super::profile::{Interval, Profile, Target};
use crate::model::normal;

/// What is wanted of a fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub confidence: f64,
    /// Percents p of the B_p lives.
    pub percents: Vec<f64>,
    /// Ages at which the share failed is wanted.
    pub ages: Vec<f64>,
    /// The Weibull shape, where the user holds it.
    pub shape: Option<f64>,
    /// Ages at which a plot wants the share failed with its bounds.
    pub plot_ages: Vec<f64>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { confidence: 0.95, percents: vec![1.0, 10.0, 50.0], ages: Vec::new(), shape: None, plot_ages: Vec::new() }
    }
}

/// A number with what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parameter {
    pub name: String,
    /// `None` where the lives do not determine it.
    pub estimate: Option<f64>,
    /// `None` where it is held, or not determined.
    pub standard_error: Option<f64>,
    /// Likelihood-ratio interval; `None`: no end, or none of this kind where Wald's stands alone.
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    pub wald_lower: Option<f64>,
    pub wald_upper: Option<f64>,
    /// Held by the law or the user, not estimated.
    pub held: bool,
}

/// A law at its largest likelihood.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fitted {
    pub law: Law,
    pub lives: f64,
    pub failures: f64,
    /// Estimated parameters.
    pub free: usize,
    pub ln_likelihood: f64,
    pub aic: f64,
    /// Of few lives; `None` where there are too few of them.
    pub aicc: Option<f64>,
    pub bic: f64,
    /// μ of ln T, and the effects behind it, as the likelihood has them: also where the lives do not determine them.
    pub location: Vec<f64>,
    /// σ of ln T.
    pub scale: f64,
    /// The share that can fail.
    pub share: Option<f64>,
    /// Of (location…, ln σ where free, logit share where there is one), row by row.
    pub covariance: Vec<Vec<f64>>,
    pub parameters: Vec<Parameter>,
    /// Shares failed by the ages asked for, as parameters `F(age)`.
    pub shares_failed: Vec<Parameter>,
    /// The same at ages for a plot.
    #[serde(skip)]
    pub band: Vec<(f64, Parameter)>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// Ages for a plot, evenly apart in their logs, from before the first failure to beyond the last age.
pub fn plot_ages<'a>(lives: impl Iterator<Item = &'a Life> + Clone) -> Vec<f64> {
    let first = lives.clone().filter(|life| life.is_failure()).map(Life::last_age).fold(f64::INFINITY, f64::min);
    let last = lives.map(Life::last_age).fold(0.0, f64::max);
    if !first.is_finite() {
        return Vec::new();
    }
    let (low, high) = (libm::log(first / 2.0), libm::log(last * 2.0));
    (0..PLOT_AGES).map(|step| libm::exp(low + (high - low) * step as f64 / (PLOT_AGES - 1) as f64)).collect()
}

const PLOT_AGES: usize = 17;

/// A quantity whose interval spans more than this is not known in any useful sense.
pub const WIDEST_RATIO: f64 = 1e6;
/// Ends of intervals beyond so many times the last age are extrapolation, not knowledge.
const FARTHEST_END: f64 = 1e3;
/// A logit beyond this is a share of one.
const WHOLE: f64 = 14.0;
/// A standard error of ln σ beyond this says that the likelihood is level.
const LEVEL: f64 = 30.0;

/// Fits `law`.
pub fn fit(likelihood: &Likelihood, lives: f64, failures: f64, wanted: &Wanted) -> Result<Fitted, NoMaximum> {
    let law = likelihood.law;
    let held = match (law, wanted.shape) {
        (Law::Exponential, _) => Some(1.0),
        (Law::Weibull | Law::WeibullDefective, shape) => shape,
        _ => None,
    };
    let maximum = climb(likelihood, held, failures / lives)?;
    let covariance = covariance(likelihood, &maximum, held).ok_or(NoMaximum::Endless)?;
    let fitter = Fitter { likelihood, maximum, covariance, held, wanted };
    if held.is_none() && fitter.deviation(fitter.place_of_scale()) > LEVEL {
        return Err(NoMaximum::Endless);
    }
    Ok(fitter.fitted(lives, failures))
}

/// The largest likelihood, with the steepness held where it is known; `failed_share` is where a law of a share begins.
pub fn climb(likelihood: &Likelihood, held: Option<f64>, failed_share: f64) -> Result<Maximum, NoMaximum> {
    let steepness = likelihood.steepness();
    let part =
        Part::holding(likelihood.parameters(), &held.map(|held| (steepness, held)).into_iter().collect::<Vec<_>>());
    let mut begin = likelihood.start(held);
    let along = |begin: &[f64]| -> Vec<f64> {
        (0..begin.len()).filter(|&place| held.is_none() || place != steepness).map(|place| begin[place]).collect()
    };
    if !likelihood.law.is_of_a_share() {
        return maximise(likelihood, &part, &along(&begin));
    }
    // The likelihood of a share may have several peaks: begin where few, some and most are defective.
    let mut best: Result<Maximum, NoMaximum> = Err(NoMaximum::Endless);
    for factor in [1.02, 1.5, 3.0, 10.0] {
        let share = (failed_share * factor).clamp(1e-9, 0.98);
        begin[steepness + 1] = libm::log(share / (1.0 - share));
        let found = maximise(likelihood, &part, &along(&begin));
        best = match (best, found) {
            (Ok(best), Ok(found)) if found.value <= best.value => Ok(best),
            (Ok(best), Err(_)) => Ok(best),
            (_, found) => found,
        };
    }
    best
}

/// The covariance of (μ…, ln σ, logit share): the inverse of the observed information, brought from (c…, φ, q).
fn covariance(likelihood: &Likelihood, maximum: &Maximum, held: Option<f64>) -> Option<Matrix> {
    let inner = maximum.hessian.negative_inverse()?;
    let effects = likelihood.effects;
    let steepness = maximum.parameters[effects];
    let free = inner.size;
    let mut rows = vec![vec![0.0; free]; free];
    for (effect, row) in rows.iter_mut().enumerate().take(effects) {
        row[effect] = 1.0 / steepness;
        if held.is_none() {
            row[effects] = -maximum.parameters[effect] / (steepness * steepness);
        }
    }
    for (place, row) in rows.iter_mut().enumerate().skip(effects) {
        row[place] = if held.is_none() && place == effects { -1.0 / steepness } else { 1.0 };
    }
    Some(inner.seen_along(&rows))
}

struct Fitter<'a> {
    likelihood: &'a Likelihood,
    maximum: Maximum,
    covariance: Matrix,
    held: Option<f64>,
    wanted: &'a Wanted,
}

impl Fitter<'_> {
    fn place_of_scale(&self) -> usize {
        self.likelihood.effects
    }

    fn scale(&self) -> f64 {
        1.0 / self.maximum.parameters[self.likelihood.steepness()]
    }

    /// μ, and the effects.
    fn location(&self) -> Vec<f64> {
        let mut location: Vec<f64> =
            self.maximum.parameters[..self.likelihood.effects].iter().map(|c| c * self.scale()).collect();
        location[0] += self.likelihood.centre;
        location
    }

    fn deviation(&self, place: usize) -> f64 {
        self.covariance.get(place, place).max(0.0).sqrt()
    }

    fn profile(&self) -> Profile<'_> {
        let z = self.z();
        Profile { likelihood: self.likelihood, maximum: &self.maximum, held_steepness: self.held, critical: z * z }
    }

    fn z(&self) -> f64 {
        normal::quantile(0.5 + 0.5 * self.wanted.confidence)
    }

    /// The interval of a target. With effects there is no one quantile to profile.
    fn interval(&self, target: Target, estimate: f64, deviation: f64) -> Interval {
        if self.likelihood.effects > 1 && !matches!(target, Target::LnScale) {
            let reach = self.z() * deviation;
            return Interval { lower: Some(estimate - reach), upper: Some(estimate + reach) };
        }
        self.profile().interval(target, estimate, self.z() * deviation)
    }

    fn fitted(self, lives: f64, failures: f64) -> Fitted {
        let free = self.covariance.size;
        let k = free as f64;
        let value = self.maximum.value;
        let mut fitted = Fitted {
            law: self.likelihood.law,
            lives,
            failures,
            free,
            ln_likelihood: value,
            aic: 2.0 * k - 2.0 * value,
            aicc: (lives > k + 1.0).then(|| 2.0 * k - 2.0 * value + 2.0 * k * (k + 1.0) / (lives - k - 1.0)),
            bic: k * libm::log(lives) - 2.0 * value,
            location: self.location(),
            scale: self.scale(),
            share: self.share(),
            covariance: (0..free)
                .map(|row| (0..free).map(|column| self.covariance.get(row, column)).collect())
                .collect(),
            parameters: Vec::new(),
            shares_failed: Vec::new(),
            band: Vec::new(),
            notes: Vec::new(),
        };
        fitted.parameters = self.parameters();
        fitted.shares_failed = self.wanted.ages.iter().map(|&age| self.share_failed(age)).collect();
        fitted.band = self.wanted.plot_ages.iter().map(|&age| (age, self.share_failed(age))).collect();
        let unknown: Vec<&str> = fitted
            .parameters
            .iter()
            .filter(|parameter| parameter.estimate.is_none())
            .map(|parameter| parameter.name.as_str())
            .collect();
        if !unknown.is_empty() {
            fitted.notes.push(format!(
                "not determined by these lives: {}; an interval would span more than a factor of {WIDEST_RATIO:e}",
                unknown.join(", ")
            ));
        }
        if fitted.share.is_some_and(|share| share > super::jet::logistic(WHOLE)[0]) {
            fitted.notes.push(
                "the likelihood is largest where all lives are defective: the law of all lives says the same"
                    .to_owned(),
            );
        }
        if failures == 1.0 && free > 1 {
            fitted.notes.push("one failure: two parameters rest on it; hold the shape with --shape".to_owned());
        }
        fitted
    }

    fn share(&self) -> Option<f64> {
        let place = self.likelihood.steepness() + 1;
        self.likelihood.law.is_of_a_share().then(|| super::jet::logistic(self.maximum.parameters[place])[0])
    }

    fn parameters(&self) -> Vec<Parameter> {
        let law = self.likelihood.law;
        let mut parameters = Vec::new();
        if let Some(share) = self.share() {
            parameters.push(self.defective_share(share));
        }
        match law {
            Law::Weibull | Law::WeibullDefective => {
                parameters.push(self.shape());
                parameters.push(self.age("characteristic_life", 0.0));
            }
            Law::Lognormal | Law::LognormalDefective => {
                parameters.push(self.log_mean());
                parameters.push(self.log_deviation());
            }
            Law::Exponential => parameters.push(self.age("mean_life", 0.0)),
        }
        // Of the whole population there is no simple quantile where only a share fails.
        if !law.is_of_a_share() {
            for &percent in &self.wanted.percents {
                parameters.push(self.age(&format!("B{percent}"), law.quantile(percent / 100.0)));
            }
        }
        parameters
    }

    /// β = 1/σ.
    fn shape(&self) -> Parameter {
        let shape = 1.0 / self.scale();
        if self.held.is_some() {
            return held("shape", shape);
        }
        let deviation = self.deviation(self.place_of_scale());
        let ends = self.interval(Target::LnScale, -libm::log(shape), deviation);
        // ln β = −ln σ: the ends change places.
        let ends = Interval { lower: ends.upper.map(|end| -end), upper: ends.lower.map(|end| -end) };
        self.positive("shape", libm::log(shape), deviation, ends)
    }

    fn log_deviation(&self) -> Parameter {
        let deviation = self.deviation(self.place_of_scale());
        let ln_scale = libm::log(self.scale());
        self.positive("log_sd", ln_scale, deviation, self.interval(Target::LnScale, ln_scale, deviation))
    }

    fn log_mean(&self) -> Parameter {
        let (mean, deviation) = (self.location()[0], self.deviation(0));
        let ends = self.interval(Target::LnQuantile { z: 0.0 }, mean, deviation);
        let reach = self.z() * deviation;
        let known = is_known(ends);
        let far = libm::log(FARTHEST_END * self.likelihood.last_age());
        let near = |end: Option<f64>| end.filter(|end| known || *end < far);
        Parameter {
            name: "log_mean".to_owned(),
            estimate: known.then_some(mean),
            standard_error: known.then_some(deviation),
            lower: near(ends.lower),
            upper: near(ends.upper),
            wald_lower: known.then_some(mean - reach),
            wald_upper: known.then_some(mean + reach),
            held: false,
        }
    }

    /// The age at which W is `z`: ln t = μ + σ z. With effects, of a life whose effects are all zero.
    fn age(&self, name: &str, z: f64) -> Parameter {
        let ln_age = self.location()[0] + self.scale() * z;
        let mut slopes = vec![0.0; self.covariance.size];
        slopes[0] = 1.0;
        if self.held.is_none() {
            slopes[self.place_of_scale()] = self.scale() * z;
        }
        let deviation = self.covariance.between(&slopes, &slopes).max(0.0).sqrt();
        self.positive(name, ln_age, deviation, self.interval(Target::LnQuantile { z }, ln_age, deviation))
    }

    fn defective_share(&self, share: f64) -> Parameter {
        let place = self.covariance.size - 1;
        let logit = self.maximum.parameters[self.likelihood.steepness() + 1];
        let deviation = self.deviation(place);
        let ends = self.interval(Target::LogitShare, logit, deviation);
        let back = |logit: f64| super::jet::logistic(logit)[0];
        let reach = self.z() * deviation;
        let inside = logit < WHOLE;
        Parameter {
            name: "defective_share".to_owned(),
            estimate: Some(if inside { share } else { 1.0 }),
            standard_error: inside.then_some(share * (1.0 - share) * deviation),
            lower: ends.lower.map(back),
            upper: ends.upper.map(back).or(Some(1.0)),
            wald_lower: inside.then(|| back(logit - reach)),
            wald_upper: inside.then(|| back(logit + reach)),
            held: false,
        }
    }

    /// The share failed by an age.
    fn share_failed(&self, age: f64) -> Parameter {
        let law = self.likelihood.law;
        let z = (libm::log(age) - self.location()[0]) / self.scale();
        let of = |z: f64| law.distribution(z) * self.share().unwrap_or(1.0);
        let name = format!("F({age})");
        if let Some(share) = self.share() {
            return self.share_of_a_share(name, z, share);
        }
        // z = (ln t − μ)/σ: slopes in μ and ln σ.
        let mut slopes = vec![0.0; self.covariance.size];
        slopes[0] = -1.0 / self.scale();
        if self.held.is_none() {
            slopes[self.place_of_scale()] = -z;
        }
        let deviation = self.covariance.between(&slopes, &slopes).max(0.0).sqrt();
        let ends = self.interval(Target::StandardisedAt { ln_age: libm::log(age) }, z, deviation);
        let density = libm::exp(law.ln_density(z)[0]);
        let reach = self.z() * deviation;
        let ratio = (ends.lower.map(of).or(Some(0.0)), ends.upper.map(of).or(Some(1.0)));
        parameter(name, of(z), Some(density * deviation), ratio, (Some(of(z - reach)), Some(of(z + reach))))
    }

    /// The same where only a share can fail: no affine part of the parameters holds it, so Wald's interval, of its logit,
    /// stands alone.
    fn share_of_a_share(&self, name: String, z: f64, share: f64) -> Parameter {
        let law = self.likelihood.law;
        let failed = share * law.distribution(z);
        let density = share * libm::exp(law.ln_density(z)[0]);
        // Slopes in μ, ln σ and the share's logit.
        let mut slopes = vec![0.0; self.covariance.size];
        slopes[0] = -density / self.scale();
        if self.held.is_none() {
            slopes[self.place_of_scale()] = -density * z;
        }
        slopes[self.covariance.size - 1] = failed * (1.0 - share);
        let deviation = self.covariance.between(&slopes, &slopes).max(0.0).sqrt();
        let logit = libm::log(failed) - libm::log1p(-failed);
        let reach = self.z() * deviation / (failed * (1.0 - failed));
        let known = logit.is_finite() && reach.is_finite() && share < super::jet::logistic(WHOLE)[0];
        let end = |logit: f64| known.then(|| super::jet::logistic(logit)[0]);
        parameter(name, failed, known.then_some(deviation), (None, None), (end(logit - reach), end(logit + reach)))
    }

    /// A positive quantity, known by its log.
    fn positive(&self, name: &str, ln: f64, deviation: f64, ends: Interval) -> Parameter {
        let reach = self.z() * deviation;
        let known = is_known(ends);
        let raised = |ln: f64| Some(libm::exp(ln)).filter(|value| value.is_finite());
        let value = libm::exp(ln);
        let known = known && value.is_finite() && (value * deviation).is_finite();
        let (ratio, wald) =
            ((ends.lower.and_then(raised), ends.upper.and_then(raised)), (raised(ln - reach), raised(ln + reach)));
        if known {
            parameter(name.to_owned(), value, Some(value * deviation), ratio, wald)
        } else {
            let near = |end: Option<f64>| end.filter(|end| *end < FARTHEST_END * self.likelihood.last_age());
            let ratio = (near(ratio.0), near(ratio.1));
            Parameter { estimate: None, ..parameter(name.to_owned(), value, None, ratio, (None, None)) }
        }
    }
}

/// Whether an interval of logs tells anything: both ends there, and not further apart than [`WIDEST_RATIO`].
fn is_known(ends: Interval) -> bool {
    matches!((ends.lower, ends.upper), (Some(lower), Some(upper)) if upper - lower <= libm::log(WIDEST_RATIO))
}

type Ends = (Option<f64>, Option<f64>);

fn parameter(name: String, estimate: f64, standard_error: Option<f64>, ratio: Ends, wald: Ends) -> Parameter {
    Parameter {
        name,
        estimate: Some(estimate),
        standard_error,
        lower: ratio.0,
        upper: ratio.1,
        wald_lower: wald.0,
        wald_upper: wald.1,
        held: false,
    }
}

fn held(name: &str, value: f64) -> Parameter {
    Parameter { held: true, ..parameter(name.to_owned(), value, None, (None, None), (None, None)) }
}
