//! The fit of one group of modes: what is free, what is held and why, estimates with their errors.
//!
//! Key idea: what the data cannot say is said. Before the fit, an exponent beside the shape of a one-mechanism mode is
//! held, for only their product shows; so is all but a life where fewer than [`FEWEST_FAILURES`] parts failed, and
//! whatever nothing depends on. After it, directions in which the likelihood is flat are named. No failures at all give
//! a bound of the lives and no estimate.
//!
//! Errors are the sandwich: the inverse information around the spread of the vehicles' slopes, which is right where a
//! vehicle's lives hang together, plus what the sampling adds (Lin & Ying 1993; Borgan et al. 2000). Bounds are those of
//! the normal law on the working scale, of the likelihood ratio where one parameter alone is fitted.
//!
//! Units: the file's; covariances on the working scale.

#![allow(clippy::needless_range_loop, reason = "rows and columns index several matrices at once")]

use serde::Serialize;

use super::law::{Law, MOST_PARAMETERS, Slopes, in_file};
use super::likelihood::Lives;
use super::lives::LifeCounts;
use super::matrix::{Matrix, parts, product, symmetric, zeros};
use super::maximise::{Climb, Maximum, spread, stiffened};
use super::sample::Strata;
use crate::model::free::{FreeParameter, ParameterPath};
use crate::model::spec::Model;

/// Failures below which one life is all that is fitted.
pub const FEWEST_FAILURES: u64 = 5;
/// Of the normal law: 95 % lie within.
pub const TWO_SIDED_95: f64 = 1.959_963_984_540_054;
/// Drop of the log-likelihood at the ends of a 95 % interval of one parameter: half of chi-squared's 3.8415.
const RATIO_95: f64 = 1.920_729_410_347_062;
/// ln 20: a one-sided 95 % bound where no part failed.
const NONE_FAILED_95: f64 = 2.995_732_273_553_991;
/// A parameter has a part in a flat direction from this component on.
const FLAT_COMPONENT: f64 = 0.2;

/// What became of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Estimated,
    /// Stays at the model's value.
    Held(String),
    /// Estimated, but in a direction in which the likelihood is flat.
    NotIdentifiable(String),
    /// No part failed: bounded from below.
    BoundOnly,
}

impl Status {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Estimated => "estimated",
            Self::Held(_) => "held",
            Self::NotIdentifiable(_) => "not_identifiable",
            Self::BoundOnly => "bound_only",
        }
    }

    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Held(reason) | Self::NotIdentifiable(reason) => Some(reason),
            Self::Estimated | Self::BoundOnly => None,
        }
    }
}

/// A free parameter after the fit, in the file's unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    pub path: ParameterPath,
    /// What the model had.
    pub given: f64,
    pub value: f64,
    /// `None` where nothing can be said.
    pub standard_error: Option<f64>,
    /// Of the bootstrap, where one was asked for.
    pub bootstrap_error: Option<f64>,
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    pub status: Status,
}

/// What came of a group.
#[derive(Clone, Debug)]
pub struct GroupFit {
    /// Places in the model.
    pub modes: Vec<usize>,
    /// All that was free, in the order of the file.
    pub estimates: Vec<Estimate>,
    /// Of the estimates on the working scale; zero rows for those without an error.
    pub covariance: Matrix,
    /// The same by the bootstrap.
    pub bootstrap: Option<Matrix>,
    pub log_likelihood: f64,
    /// At the model's values.
    pub given_log_likelihood: f64,
    /// Failures that the fitted and the given law expect of the lives, and those that came.
    pub expected: f64,
    pub given_expected: f64,
    pub failures: u64,
    pub converged: bool,
    pub sums: usize,
    pub strata: Strata,
    pub counts: LifeCounts,
    /// By mechanism, counted within the group: how the logarithm of the life at the conditions that the fleet lives in
    /// answers each parameter.
    pub life_slopes: Vec<(usize, Slopes)>,
}

/// What a group's fit needs.
pub struct Task<'a> {
    pub model: &'a Model,
    pub modes: &'a [usize],
    pub law: &'a Law,
    pub lives: &'a Lives,
    pub strata: Strata,
    pub counts: LifeCounts,
    /// Replicates of the bootstrap; 0: none.
    pub replicates: usize,
    /// An exponential number of mean one for a stream and a vehicle's place.
    pub random: &'a (dyn Fn(usize, usize) -> f64 + Sync),
}

impl Task<'_> {
    pub fn fit(self) -> GroupFit {
        let mut start = self.law.start(self.model);
        let mut status: Vec<Status> = vec![Status::Estimated; start.len()];
        self.hold_products(&mut status);
        let failures: u64 = self.lives.vehicles.iter().map(|vehicle| u64::from(vehicle.failures)).sum();
        let given = self.law.at(&start);
        let given_sum = self.lives.sum(&given, |_| 1.0);
        let given_expected = self.lives.expected(&given);
        let weighted: f64 =
            self.lives.vehicles.iter().map(|vehicle| vehicle.weight * f64::from(vehicle.failures)).sum();
        if self.lives.vehicles.is_empty() {
            hold_all(&mut status, "no life counts");
        } else if failures == 0 {
            return self.without_failures(start, status, given_sum.log_likelihood, given_expected);
        } else if failures < FEWEST_FAILURES {
            self.hold_but_a_life(&mut status, failures);
        }
        self.shift_lives(&mut start, &status, weighted, given_expected);
        let scores = self.lives.scores(&self.law.at(&start));
        for (place, status) in status.iter_mut().enumerate().filter(|(_, status)| **status == Status::Estimated) {
            let seen: f64 = scores.iter().map(|score| score[place] * score[place]).sum();
            if !(seen > 0.0 && seen.is_finite()) {
                *status = Status::Held("nothing in the data depends on it".to_owned());
                start[place] = self.law.start(self.model)[place];
            }
        }
        let active: Vec<usize> = (0..start.len()).filter(|&place| status[place] == Status::Estimated).collect();
        let climb = Climb { lives: self.lives, law: self.law, active: &active, start: &start, factor: &|_| 1.0 };
        let maximum = match active.is_empty() {
            true => Maximum {
                working: start.clone(),
                sum: self.lives.sum(&self.law.at(&start), |_| 1.0),
                information: zeros(0),
                flat: Vec::new(),
                converged: true,
                sums: 1,
            },
            false => climb.maximise(),
        };
        // Flat at the start, or nearly so at the end.
        let taken = parts(&stiffened(&maximum.information, &maximum.flat));
        let errors = |direction: &Vec<f64>| -> Vec<f64> {
            direction
                .iter()
                .enumerate()
                .map(|(row, one)| one * libm::sqrt(maximum.information[row][row].max(0.0)))
                .collect()
        };
        let flat: Vec<Vec<f64>> = maximum.flat.iter().map(errors).chain(taken.flat().cloned()).collect();
        for direction in flat {
            let length = libm::sqrt(direction.iter().map(|one| one * one).sum::<f64>()).max(1e-100);
            let part: Vec<usize> =
                (0..active.len()).filter(|&row| direction[row].abs() >= FLAT_COMPONENT * length).collect();
            let names: Vec<String> =
                part.iter().map(|&row| self.law.parameters[active[row]].name(self.model)).collect();
            for &row in &part {
                let reason = match names.len() {
                    1 => "the data do not say".to_owned(),
                    _ => format!("the data only say something of {} together", names.join(" × ")),
                };
                status[active[row]] = Status::NotIdentifiable(reason);
            }
        }
        let scores = self.lives.scores(&self.law.at(&maximum.working));
        let own = self.sandwich(&taken.inverse(), &scores, &active);
        let bootstrap = (self.replicates > 0 && !active.is_empty())
            .then(|| embed(&self.bootstrap(&climb, &maximum, &taken.inverse()), &active, start.len()));
        let covariance = embed(&own, &active, start.len());
        let fitted = self.law.at(&maximum.working);
        let estimates = (0..start.len())
            .map(|place| self.estimate(place, &maximum, &covariance, bootstrap.as_ref(), &status[place], &climb))
            .collect();
        GroupFit {
            modes: self.modes.to_vec(),
            estimates,
            covariance,
            bootstrap,
            log_likelihood: maximum.sum.log_likelihood,
            given_log_likelihood: given_sum.log_likelihood,
            expected: self.lives.expected(&fitted),
            given_expected,
            failures,
            converged: maximum.converged,
            sums: maximum.sums,
            strata: self.strata,
            counts: self.counts.clone(),
            life_slopes: self.life_slopes(&maximum.working),
        }
    }

    /// In a mode of one mechanism, H = c^(exponent × shape): the exponent stays.
    fn hold_products(&self, status: &mut [Status]) {
        for (place, path) in self.law.parameters.iter().enumerate() {
            let ParameterPath::Mechanism { mode, parameter: FreeParameter::ClockExponent, .. } = *path else {
                continue;
            };
            let shape = self.law.parameters.contains(&ParameterPath::WeibullShape { mode });
            if shape && self.model.modes[mode].mechanisms.len() == 1 {
                let reason = "with one mechanism only clock_exponent × weibull_shape can be identified";
                status[place] = Status::Held(reason.to_owned());
            }
        }
    }

    fn hold_but_a_life(&self, status: &mut [Status], failures: u64) {
        let life = self.law.parameters.iter().position(is_life);
        for (place, status) in status.iter_mut().enumerate() {
            if Some(place) != life && *status == Status::Estimated {
                let noun = if failures == 1 { "failure" } else { "failures" };
                *status = Status::Held(format!("{failures} {noun}: fewer than {FEWEST_FAILURES}"));
            }
        }
    }

    /// Moves all free lives by one factor so that the law expects about as many failures as came.
    fn shift_lives(&self, start: &mut [f64], status: &[Status], weighted: f64, expected: f64) {
        let ratio = expected / weighted;
        if !(ratio > 0.0 && ratio.is_finite()) {
            return;
        }
        let shape = self.modes.iter().map(|&mode| self.model.modes[mode].weibull_shape).fold(0.1, f64::max);
        let shift = (libm::log(ratio) / shape).clamp(-5.0, 5.0);
        for (place, path) in self.law.parameters.iter().enumerate() {
            if is_life(path) && status[place] == Status::Estimated {
                start[place] += shift;
            }
        }
    }

    /// Inverse information × spread of the slopes × inverse information, the sampling's part in the middle.
    fn sandwich(&self, inverse: &Matrix, scores: &[Slopes], active: &[usize]) -> Matrix {
        let vehicles = &self.lives.vehicles;
        let mut middle = spread(scores, active, |place| vehicles[place].weight);
        for (number, stratum) in self.strata.iter().enumerate() {
            let (all, sampled) = (stratum.vehicles as f64, stratum.sampled as f64);
            if stratum.sampled == 0 || stratum.sampled >= stratum.vehicles {
                continue;
            }
            let inside = |place: usize| f64::from(u8::from(usize::from(vehicles[place].stratum) == number));
            let products = spread(scores, active, inside);
            let mean: Vec<f64> = active
                .iter()
                .map(|&i| {
                    scores.iter().enumerate().map(|(place, score)| inside(place) * score[i]).sum::<f64>() / sampled
                })
                .collect();
            let factor = (all / sampled) * (all / sampled) * (1.0 - sampled / all);
            for row in 0..active.len() {
                for column in 0..active.len() {
                    middle[row][column] += factor * (products[row][column] - sampled * mean[row] * mean[column]);
                }
            }
        }
        symmetric(&product(&product(inverse, &middle), inverse))
    }

    fn estimate(
        &self,
        place: usize,
        maximum: &Maximum,
        covariance: &Matrix,
        bootstrap: Option<&Matrix>,
        status: &Status,
        climb: &Climb,
    ) -> Estimate {
        let path = self.law.parameters[place];
        let given = path.value(self.model);
        let working = maximum.working[place];
        let (value, slope) = in_file(path, working);
        let held = Estimate {
            path,
            given,
            value: given,
            standard_error: None,
            bootstrap_error: None,
            lower: None,
            upper: None,
            status: status.clone(),
        };
        let error = libm::sqrt(covariance[place][place].max(0.0));
        match status {
            Status::Estimated => {
                let alone = climb.active.len() == 1 && self.strata.iter().all(|one| one.sampled >= one.vehicles);
                let ends = match alone {
                    true => [-1.0, 1.0].map(|side| self.ratio_end(place, maximum, climb, side * error.max(1e-9))),
                    false => [-1.0, 1.0].map(|side| Some(working + side * TWO_SIDED_95 * error)),
                };
                let [lower, upper] = ends.map(|end| end.map(|end| in_file(path, end).0));
                Estimate {
                    value,
                    standard_error: Some(slope * error),
                    bootstrap_error: bootstrap.map(|own| slope * libm::sqrt(own[place][place].max(0.0))),
                    lower,
                    upper,
                    ..held
                }
            }
            Status::NotIdentifiable(_) => Estimate { value, ..held },
            Status::Held(_) | Status::BoundOnly => held,
        }
    }

    /// Where the log-likelihood of one parameter has dropped by [`RATIO_95`], on the side of `step`; `None`: it does not.
    fn ratio_end(&self, place: usize, maximum: &Maximum, climb: &Climb, step: f64) -> Option<f64> {
        let drop = |working: f64| {
            let mut moved = maximum.working.clone();
            moved[place] = working;
            maximum.sum.log_likelihood - climb.sum(&moved).log_likelihood - RATIO_95
        };
        crossing(maximum.working[place], step, drop)
    }

    /// No part failed: by how much all lives together can be shorter at most.
    fn without_failures(self, start: Vec<f64>, mut status: Vec<Status>, given: f64, given_expected: f64) -> GroupFit {
        let lives: Vec<usize> = (0..start.len()).filter(|&place| is_life(&self.law.parameters[place])).collect();
        for (place, status) in status.iter_mut().enumerate().filter(|(_, status)| **status == Status::Estimated) {
            *status = match lives.contains(&place) {
                true => Status::BoundOnly,
                false => Status::Held("no failures".to_owned()),
            };
        }
        let moved = |shift: f64| {
            let mut moved = start.clone();
            lives.iter().for_each(|&place| moved[place] += shift);
            moved
        };
        let lacks = |shift: f64| NONE_FAILED_95 + self.lives.sum(&self.law.at(&moved(shift)), |_| 1.0).log_likelihood;
        // The likelihood rises towards one with longer lives: the bound is where it has come down to one in twenty.
        let shift = match lacks(0.0) > 0.0 {
            true => crossing(0.0, -0.1, |shift| -lacks(shift)),
            false => crossing(0.0, 0.1, lacks),
        };
        let at = shift.map(moved);
        let size = start.len();
        let estimates = (0..size).map(|place| {
            let path = self.law.parameters[place];
            let bounded = status[place] == Status::BoundOnly;
            Estimate {
                path,
                given: path.value(self.model),
                value: path.value(self.model),
                standard_error: None,
                bootstrap_error: None,
                lower: at.as_ref().filter(|_| bounded).map(|at| in_file(path, at[place]).0),
                upper: None,
                status: status[place].clone(),
            }
        });
        GroupFit {
            modes: self.modes.to_vec(),
            estimates: estimates.collect(),
            covariance: zeros(size),
            bootstrap: None,
            log_likelihood: given,
            given_log_likelihood: given,
            expected: given_expected,
            given_expected,
            failures: 0,
            converged: true,
            sums: 1,
            strata: self.strata,
            counts: self.counts.clone(),
            life_slopes: Vec::new(),
        }
    }

    /// A life at the reference conditions and the curves around it err together; what a forecast of the whole fleet
    /// sees is the life at the conditions that it lives in.
    fn life_slopes(&self, working: &[f64]) -> Vec<(usize, Slopes)> {
        let means = self.lives.mean_clock_slopes(&self.law.at(working));
        self.law
            .mechanisms
            .iter()
            .zip(means)
            .enumerate()
            .map(|(place_in_group, (own, mean))| {
                let mut slopes = mean.map(|slope| -slope);
                for (place, path) in self.law.parameters.iter().enumerate() {
                    if let ParameterPath::Mechanism { mode, mechanism, parameter: FreeParameter::CharacteristicLife } =
                        *path
                    {
                        let before: usize = self.model.modes[..mode].iter().map(|mode| mode.mechanisms.len()).sum();
                        if before + mechanism == own.mechanism {
                            slopes[place] += 1.0;
                        }
                    }
                }
                (place_in_group, slopes)
            })
            .collect()
    }
}

fn is_life(path: &ParameterPath) -> bool {
    matches!(path, ParameterPath::Mechanism { parameter: FreeParameter::CharacteristicLife, .. })
}

fn hold_all(status: &mut [Status], reason: &str) {
    for status in status.iter_mut().filter(|status| **status == Status::Estimated) {
        *status = Status::Held(reason.to_owned());
    }
}

/// A matrix of the active parameters among all.
fn embed(own: &Matrix, active: &[usize], size: usize) -> Matrix {
    let mut all = zeros(size);
    for (row, &i) in active.iter().enumerate() {
        for (column, &j) in active.iter().enumerate() {
            all[i][j] = own[row][column];
        }
    }
    all
}

/// Where a function that is below zero at `from` comes to zero, going by growing steps in the direction of `step`;
/// `None`: not within what a logarithm can hold.
fn crossing(from: f64, step: f64, above: impl Fn(f64) -> f64) -> Option<f64> {
    let (mut inside, mut outside) = (from, from + step);
    let mut stride = step;
    while above(outside) < 0.0 {
        inside = outside;
        stride *= 2.0;
        outside += stride;
        if (outside - from).abs() > 60.0 * step.abs().max(1.0) {
            return None;
        }
    }
    for _ in 0..60 {
        let middle = 0.5 * (inside + outside);
        if above(middle) < 0.0 { inside = middle } else { outside = middle }
    }
    Some(0.5 * (inside + outside))
}

/// What a group with too many free parameters is refused by.
pub fn fits(parameters: usize) -> bool {
    parameters <= MOST_PARAMETERS
}
