//! The largest likelihood: L-BFGS on analytic slopes, then Newton's steps to the last digits.
//!
//! Key idea: parameters are turned so that a step of one is about one standard error in every direction (by the spread
//! of the vehicles' own slopes at the start), where L-BFGS needs a dozen steps; far steps are bent by asinh, so that a
//! line search cannot leave what f64 holds. The information matrix comes from central differences of the slopes.
//!
//! Units: parameters on their working scale. Source: Nocedal & Wright, Numerical Optimization, chapters 3 and 7.

#![allow(clippy::needless_range_loop, reason = "rows and columns index several matrices at once")]

use std::cell::RefCell;

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

use super::law::{Law, Slopes};
use super::likelihood::{Lives, Sum};
use super::matrix::{Matrix, parts, symmetric, times, zeros};
use crate::model::free::Scale;

const LBFGS_STEPS: u64 = 80;
const LBFGS_MEMORY: usize = 8;
const NEWTON_STEPS: usize = 25;
/// Newton is done where a step gains less log-likelihood than this.
const GAIN: f64 = 1e-9;
/// Differences are taken over this share of a standard error.
const DIFFERENCE: f64 = 0.005;

/// Where the likelihood is largest.
#[derive(Clone, Debug)]
pub struct Maximum {
    /// All parameters, those held too.
    pub working: Vec<f64>,
    pub sum: Sum,
    /// Minus the second derivatives, of the active parameters.
    pub information: Matrix,
    /// Directions of the active parameters in which no vehicle's likelihood moves.
    pub flat: Matrix,
    pub converged: bool,
    /// Times that the likelihood was summed.
    pub sums: usize,
}

/// What to climb: the active parameters of a law, by place; the others stay where `start` has them.
pub struct Climb<'a> {
    pub lives: &'a Lives,
    pub law: &'a Law,
    pub active: &'a [usize],
    pub start: &'a [f64],
    /// Multiplies the weight of the vehicle at a place.
    pub factor: &'a (dyn Fn(usize) -> f64 + Sync),
}

/// Sums of products of the vehicles' slopes: about the information, at the right law.
pub fn spread(scores: &[Slopes], active: &[usize], weight: impl Fn(usize) -> f64) -> Matrix {
    let mut sum = zeros(active.len());
    for (place, score) in scores.iter().enumerate() {
        let weight = weight(place);
        for (row, &i) in active.iter().enumerate() {
            for (column, &j) in active.iter().enumerate() {
                sum[row][column] += weight * score[i] * score[j];
            }
        }
    }
    sum
}

/// An information matrix that knows everything about some directions: its inverse knows no error in them.
pub fn stiffened(information: &Matrix, flat: &Matrix) -> Matrix {
    /// Beside a unit diagonal.
    const STIFF: f64 = 1e4;
    let mut stiff = information.clone();
    for direction in flat {
        // In the coordinates in which the diagonal is one.
        let along: Vec<f64> =
            direction.iter().enumerate().map(|(row, one)| one * information[row][row].max(0.0)).collect();
        let length: f64 = direction.iter().zip(&along).map(|(one, along)| one * along).sum();
        if length > 0.0 {
            for row in 0..stiff.len() {
                for column in 0..stiff.len() {
                    stiff[row][column] += STIFF * along[row] * along[column] / length;
                }
            }
        }
    }
    stiff
}

impl Climb<'_> {
    pub fn maximise(&self) -> Maximum {
        let scores = self.lives.scores(&self.law.at(self.start));
        let about = spread(&scores, self.active, |place| self.lives.vehicles[place].weight * (self.factor)(place));
        let problem = Turned {
            climb: self,
            root: parts(&about).root_of_inverse(),
            reach: self.reach(&about),
            held: RefCell::new(None),
            best: RefCell::new((self.start.to_vec(), f64::NEG_INFINITY)),
            sums: RefCell::new(1),
        };
        let origin = vec![0.0; self.active.len()];
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), LBFGS_MEMORY)
            .with_tolerance_grad(1e-4)
            .and_then(|solver| solver.with_tolerance_cost(1e-13));
        if let Ok(solver) = solver {
            // Whether it ends well or in a line search that finds no more: the best point seen is where Newton goes on.
            let executor =
                Executor::new(&problem, solver).configure(|state| state.param(origin).max_iters(LBFGS_STEPS));
            let _ = executor.timer(false).run().map(|result| result.state().get_iter());
        }
        let (best, sums) = (problem.best.into_inner().0, problem.sums.into_inner());
        let taken = parts(&about);
        let unscaled = |direction: &Vec<f64>| -> Vec<f64> {
            direction.iter().zip(&taken.scale).map(|(one, scale)| one / scale.max(1e-100)).collect()
        };
        let flat: Matrix = taken.flat().map(unscaled).collect();
        self.polish(best, &about, flat, sums)
    }

    /// How far a parameter may go before steps are bent: an e-fold, or fifty standard errors of a natural one.
    fn reach(&self, about: &Matrix) -> Vec<f64> {
        let reach = |(row, &place): (usize, &usize)| match self.law.parameters[place].scale() {
            Scale::Log => 1.0,
            Scale::Natural => 50.0 / libm::sqrt(about[row][row].max(1e-100)),
        };
        self.active.iter().enumerate().map(reach).collect()
    }

    pub fn sum(&self, working: &[f64]) -> Sum {
        self.lives.sum(&self.law.at(working), self.factor)
    }

    /// Minus the second derivatives at a point.
    pub fn information(&self, working: &[f64], about: &Matrix) -> Matrix {
        let rows: Matrix = (self.active.iter().enumerate())
            .map(|(row, &place)| {
                let step = DIFFERENCE / libm::sqrt(about[row][row].max(1e-100));
                let at = |step: f64| {
                    let mut moved = working.to_vec();
                    moved[place] += step;
                    self.sum(&moved).slopes
                };
                let (ahead, behind) = (at(step), at(-step));
                self.active.iter().map(|&other| (behind[other] - ahead[other]) / (2.0 * step)).collect()
            })
            .collect();
        symmetric(&rows)
    }

    fn polish(&self, mut working: Vec<f64>, about: &Matrix, flat: Matrix, mut sums: usize) -> Maximum {
        let mut sum = self.sum(&working);
        let mut information = self.information(&working, about);
        let mut converged = false;
        for _ in 0..NEWTON_STEPS {
            let slopes: Vec<f64> = self.active.iter().map(|&place| sum.slopes[place]).collect();
            // Where the likelihood is not hollow downwards, the spread of the slopes leads the way.
            let curved = parts(&stiffened(&information, &flat));
            let hollow = curved.values.iter().all(|value| *value > -1e-6);
            let step = times(&if hollow { curved.inverse() } else { parts(about).inverse() }, &slopes);
            let gain: f64 = step.iter().zip(&slopes).map(|(step, slope)| 0.5 * step * slope).sum();
            let last = hollow && gain.abs() < GAIN;
            let mut share = 1.0;
            let better = loop {
                let mut moved = working.clone();
                for (&place, step) in self.active.iter().zip(&step) {
                    moved[place] += share * step;
                }
                let there = self.sum(&moved);
                sums += 1;
                if there.log_likelihood.is_finite() && there.log_likelihood >= sum.log_likelihood {
                    break Some((moved, there));
                }
                share *= 0.3;
                if share < 1e-6 {
                    break None;
                }
            };
            let Some((moved, there)) = better else {
                // No gain that f64 could show.
                converged = last || (hollow && gain < 1e-4);
                break;
            };
            (working, sum) = (moved, there);
            if last {
                converged = true;
                break;
            }
            information = self.information(&working, about);
            sums += 2 * self.active.len();
        }
        Maximum { working, sum, information, flat, converged, sums }
    }
}

/// The problem as the solver sees it: minus the log-likelihood, in turned parameters.
struct Turned<'a> {
    climb: &'a Climb<'a>,
    root: Matrix,
    reach: Vec<f64>,
    /// Cost and slopes are asked for one after the other.
    held: RefCell<Option<(Vec<f64>, f64, Vec<f64>)>>,
    best: RefCell<(Vec<f64>, f64)>,
    sums: RefCell<usize>,
}

impl Turned<'_> {
    fn at(&self, turned: &[f64]) -> (f64, Vec<f64>) {
        if let Some((known, cost, slopes)) = &*self.held.borrow()
            && known == turned
        {
            return (*cost, slopes.clone());
        }
        let steps = times(&self.root, turned);
        let mut working = self.climb.start.to_vec();
        let mut bends = Vec::with_capacity(steps.len());
        for ((&place, step), reach) in self.climb.active.iter().zip(&steps).zip(&self.reach) {
            working[place] += reach * libm::asinh(step / reach);
            bends.push(1.0 / libm::sqrt(1.0 + (step / reach) * (step / reach)));
        }
        let sum = self.climb.sum(&working);
        *self.sums.borrow_mut() += 1;
        let by_step: Vec<f64> =
            self.climb.active.iter().zip(&bends).map(|(&place, bend)| sum.slopes[place] * bend).collect();
        let slopes: Vec<f64> = (0..turned.len())
            .map(|column| -self.root.iter().zip(&by_step).map(|(row, slope)| row[column] * slope).sum::<f64>())
            .collect();
        if sum.log_likelihood > self.best.borrow().1 {
            *self.best.borrow_mut() = (working, sum.log_likelihood);
        }
        let cost = -sum.log_likelihood;
        *self.held.borrow_mut() = Some((turned.to_vec(), cost, slopes.clone()));
        (cost, slopes)
    }
}

impl CostFunction for &Turned<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, turned: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.at(turned).0)
    }
}

impl Gradient for &Turned<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, turned: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.at(turned).1)
    }
}
