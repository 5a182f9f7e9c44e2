//! Likelihood-ratio intervals: the values of a quantity at which the likelihood, maximised over everything else, stays
//! within the chi-square quantile of its maximum (Meeker & Escobar, section 8.3: profile likelihood).
//!
//! Holding ln σ holds φ; holding a log quantile, or the chance of failing by an age, ties the location to φ: each is an
//! affine part of the parameters, where a short climb finds the rest.

use super::likelihood::Likelihood;
use super::newton::{Maximum, Part, maximise};

/// What an interval is wanted for.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// ln σ.
    LnScale,
    /// The log age at which z is `z`.
    LnQuantile { z: f64 },
    /// z at this log age.
    StandardisedAt { ln_age: f64 },
    /// ln (share / (1 − share)) of a law of a share.
    LogitShare,
}

/// Both ends; `None` where the likelihood never falls far enough.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    pub lower: Option<f64>,
    pub upper: Option<f64>,
}

/// A fitted law, as profiles need it.
pub struct Profile<'a> {
    pub likelihood: &'a Likelihood,
    pub maximum: &'a Maximum,
    /// φ, where the law or the user holds it.
    pub held_steepness: Option<f64>,
    /// The chi-square quantile, one degree of freedom.
    pub critical: f64,
}

/// How far from the estimate an end is looked for, on the target's own scale (logs, or standard deviations).
const FARTHEST: f64 = 400.0;

impl Profile<'_> {
    /// The interval around `estimate`; `step` is about how wide a side is.
    pub fn interval(&self, target: Target, estimate: f64, step: f64) -> Interval {
        let step = if step.is_finite() && step > 0.0 { step.clamp(1e-6, 20.0) } else { 0.5 };
        Interval { lower: self.end(target, estimate, -step), upper: self.end(target, estimate, step) }
    }

    /// 2 (largest − profile) at a value; `None` where nothing is left to maximise over.
    pub fn deviance(&self, target: Target, value: f64) -> Option<f64> {
        let (part, start) = self.part(target, value);
        let along = maximise(self.likelihood, &part, &start).ok()?;
        Some(2.0 * (self.maximum.value - along.value))
    }

    fn end(&self, target: Target, estimate: f64, first_step: f64) -> Option<f64> {
        let root = self.critical.sqrt();
        // The signed root of the deviance is nearly straight, so chords find its crossing.
        let height = |value: f64| self.deviance(target, value).map(|deviance| deviance.max(0.0).sqrt() - root);
        let (mut inside, mut inside_height) = (estimate, -root);
        let (mut step, mut outside) = (first_step, None);
        while (inside + step - estimate).abs() < FARTHEST {
            let value = inside + step;
            let there = height(value)?;
            if there > 0.0 {
                outside = Some((value, there));
                break;
            }
            (inside, inside_height) = (value, there);
            step *= 1.6;
        }
        let (mut outside, mut outside_height) = outside?;
        for round in 0..100 {
            let width = outside - inside;
            if width.abs() < 1e-9 * (1.0 + outside.abs()) {
                break;
            }
            // A chord, kept off both ends; every third time a bisection, so that neither end can stick.
            let share = (-inside_height / (outside_height - inside_height)).clamp(0.02, 0.98);
            let value = inside + width * if round % 3 == 2 { 0.5 } else { share };
            let there = height(value)?;
            if there > 0.0 {
                (outside, outside_height) = (value, there);
            } else {
                (inside, inside_height) = (value, there);
            }
        }
        Some(0.5 * (inside + outside))
    }

    /// The part of the parameters where the target has this value, and where to begin in it.
    fn part(&self, target: Target, value: f64) -> (Part, Vec<f64>) {
        let likelihood = self.likelihood;
        let (parameters, steepness) = (likelihood.parameters(), likelihood.steepness());
        let best = &self.maximum.parameters;
        let tied = |ln_age: f64, z: f64| {
            let mut part = match self.held_steepness {
                Some(held) => {
                    Part::holding(parameters, &[(0, held * (ln_age - likelihood.centre) - z), (steepness, held)])
                }
                None => Part::holding(parameters, &[(0, -z)]),
            };
            for direction in &mut part.directions {
                direction[0] = direction[steepness] * (ln_age - likelihood.centre);
            }
            part
        };
        let held = self.held_steepness.map(|held| (steepness, held));
        let part = match target {
            Target::LnScale => Part::holding(parameters, &[(steepness, libm::exp(-value))]),
            Target::LnQuantile { z } => tied(value, z),
            Target::StandardisedAt { ln_age } => tied(ln_age, value),
            Target::LogitShare => {
                let held: Vec<(usize, f64)> = held.into_iter().chain([(steepness + 1, value)]).collect();
                Part::holding(parameters, &held)
            }
        };
        let mut begin = best.clone();
        if let Target::LnScale = target {
            // The same median at the new spread.
            begin[0] *= libm::exp(-value) / best[steepness];
        }
        let start = part
            .directions
            .iter()
            .map(|direction| {
                let place = (0..parameters)
                    .rev()
                    .find(|&place| direction[place] == 1.0 && !(place == 0 && direction[steepness] == 1.0));
                place.map_or(0.0, |place| begin[place])
            })
            .collect();
        (part, start)
    }
}
