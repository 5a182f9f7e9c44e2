//! Newton's method for the largest log-likelihood, on the whole parameter space or on an affine part of it.
//!
//! A step that does not raise the value is halved; where the Hessian is not negative definite (left truncation, a law of
//! a share) a ridge makes it so. φ may shrink to a fifth and grow fivefold a step, so that it stays above zero.

use super::likelihood::{Likelihood, Point};
use super::matrix::{Matrix, dot};

const MOST_STEPS: usize = 400;
/// Newton's decrement at which the value is exact to rounding and the parameters to half its digits.
const DONE: f64 = 1e-9;
/// Beyond this σ is no spread of lives: the likelihood rises without end.
const STEEPEST: f64 = 1e6;

/// Parameters = origin + Σ u · direction.
#[derive(Clone, Debug)]
pub struct Part {
    pub origin: Vec<f64>,
    pub directions: Vec<Vec<f64>>,
}

impl Part {
    /// The whole space but for the places that are held.
    pub fn holding(parameters: usize, held: &[(usize, f64)]) -> Self {
        let mut origin = vec![0.0; parameters];
        for &(place, value) in held {
            origin[place] = value;
        }
        let free = (0..parameters).filter(|place| held.iter().all(|(at, _)| at != place));
        let directions = free
            .map(|place| {
                let mut unit = vec![0.0; parameters];
                unit[place] = 1.0;
                unit
            })
            .collect();
        Self { origin, directions }
    }

    fn parameters(&self, along: &[f64]) -> Vec<f64> {
        let mut parameters = self.origin.clone();
        for (step, direction) in along.iter().zip(&self.directions) {
            for (parameter, share) in parameters.iter_mut().zip(direction) {
                *parameter += step * share;
            }
        }
        parameters
    }
}

/// Where the likelihood is largest.
#[derive(Clone, Debug)]
pub struct Maximum {
    pub parameters: Vec<f64>,
    /// Its coordinates in the part.
    pub along: Vec<f64>,
    pub value: f64,
    /// Along the part's directions.
    pub hessian: Matrix,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMaximum {
    /// The value rises as σ falls to nothing.
    Spike,
    /// The value rises, or stays level, without end in some other direction.
    Endless,
    /// The start is outside of what the lives allow.
    NoStart,
}

/// Climbs from `start`, given in the part's coordinates.
pub fn maximise(likelihood: &Likelihood, part: &Part, start: &[f64]) -> Result<Maximum, NoMaximum> {
    let mut along = start.to_vec();
    let mut point = likelihood.at(&part.parameters(&along)).ok_or(NoMaximum::NoStart)?;
    let steepness = likelihood.steepness();
    for _ in 0..MOST_STEPS {
        let parameters = part.parameters(&along);
        if parameters[steepness] > STEEPEST {
            return Err(NoMaximum::Spike);
        }
        let gradient: Vec<f64> = part.directions.iter().map(|direction| dot(direction, &point.gradient)).collect();
        let hessian = point.hessian.seen_along(&part.directions);
        let done = |along: Vec<f64>, point: &Point, hessian| Maximum {
            parameters: part.parameters(&along),
            along,
            value: point.value,
            hessian,
        };
        if gradient.is_empty() {
            return Ok(done(along, &point, hessian));
        }
        let (step, certain) = ascent(&hessian, &gradient).ok_or(NoMaximum::Endless)?;
        let decrement = dot(&step, &gradient);
        let slope: f64 = step.iter().zip(&part.directions).map(|(size, direction)| size * direction[steepness]).sum();
        let mut share = within(parameters[steepness], slope);
        if certain && decrement < DONE && share == 1.0 {
            // One full step more squares what is left of the error, if rounding lets it.
            let last: Vec<f64> = along.iter().zip(&step).map(|(at, by)| at + by).collect();
            if let Some(better) = likelihood.at(&part.parameters(&last)).filter(|better| better.value >= point.value) {
                let hessian = better.hessian.seen_along(&part.directions);
                return Ok(done(last, &better, hessian));
            }
            return Ok(done(along, &point, hessian));
        }
        let mut climbed = None;
        for _ in 0..60 {
            let next: Vec<f64> = along.iter().zip(&step).map(|(at, by)| at + share * by).collect();
            match likelihood.at(&part.parameters(&next)) {
                Some(higher) if higher.value >= point.value + 1e-4 * share * decrement => {
                    climbed = Some((next, higher));
                    break;
                }
                _ => share *= 0.5,
            }
        }
        match climbed {
            Some((next, higher)) => (along, point) = (next, higher),
            // Nothing higher within reach of rounding.
            None if certain && decrement < 1e-6 * (1.0 + point.value.abs()) => return Ok(done(along, &point, hessian)),
            None => return Err(NoMaximum::Endless),
        }
    }
    Err(NoMaximum::Endless)
}

/// Newton's step, and whether it needed no ridge.
fn ascent(hessian: &Matrix, gradient: &[f64]) -> Option<(Vec<f64>, bool)> {
    if let Some(step) = hessian.solve_negative(0.0, gradient) {
        return Some((step, true));
    }
    // A ridge of twice the diagonal's own size turns any sign.
    [1e-6, 1e-4, 1e-2, 0.1, 1.0, 2.5, 10.0, 100.0, 1e4]
        .iter()
        .find_map(|&ridge| hessian.solve_negative(ridge, gradient))
        .or_else(|| {
            let size = gradient.iter().map(|slope| slope * slope).sum::<f64>().sqrt();
            (size > 0.0).then(|| gradient.iter().map(|slope| slope / size).collect())
        })
        .map(|step| (step, false))
}

/// The largest share of a step up to which φ keeps between a fifth and five times its size.
fn within(steepness: f64, slope: f64) -> f64 {
    if slope < 0.0 {
        (-0.8 * steepness / slope).min(1.0)
    } else if slope > 0.0 {
        (4.0 * steepness / slope).min(1.0)
    } else {
        1.0
    }
}
