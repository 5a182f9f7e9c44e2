//! The covariance of the estimates by fits with random weights of the vehicles.
//!
//! Key idea: a vehicle counts with an exponential number in place of one (the fractional-random-weight bootstrap), so no
//! replicate loses all failures; its fit takes a few steps from the maximum with the information at hand. Replicates
//! depend on seed, replicate and vehicle alone.
//!
//! Units: parameters on their working scale. Source: Xu, Gotwalt, Hong, King & Meeker (2020), The American Statistician
//! 74, 345-358.

use super::estimate::Task;
use super::matrix::{Matrix, times};
use super::maximise::{Climb, Maximum};

impl Task<'_> {
    /// The weights of a replicate: one number for the chance that the vehicle is there at all, one for the chance that
    /// it was drawn, which says nothing of the stratum's mean since its size is known.
    fn weights(&self, replicate: usize) -> Vec<f64> {
        let vehicles = &self.lives.vehicles;
        let mut drawn: Vec<f64> =
            (0..vehicles.len()).map(|place| (self.random)(2 * replicate + 1, place) - 1.0).collect();
        for (number, stratum) in self.strata.iter().enumerate() {
            let inside = |place: &usize| usize::from(vehicles[*place].stratum) == number;
            let (all, sampled) = (stratum.vehicles.max(1) as f64, stratum.sampled.max(1) as f64);
            let mean = (0..drawn.len()).filter(inside).map(|place| drawn[place]).sum::<f64>() / sampled;
            for place in (0..drawn.len()).filter(inside) {
                let there = libm::sqrt((sampled / all).min(1.0)) * ((self.random)(2 * replicate, place) - 1.0);
                drawn[place] = 1.0 + there + libm::sqrt((1.0 - sampled / all).max(0.0)) * (drawn[place] - mean);
            }
        }
        drawn
    }

    /// Covariance of the estimates under random weights of the vehicles: a few steps with the information at hand.
    pub(super) fn bootstrap(&self, climb: &Climb, maximum: &Maximum, inverse: &Matrix) -> Matrix {
        const STEPS: usize = 8;
        let drawn: Vec<Vec<f64>> = (0..self.replicates)
            .map(|replicate| {
                let weights = self.weights(replicate);
                let factor = |place: usize| weights[place];
                let mut working = maximum.working.clone();
                for _ in 0..STEPS {
                    let sum = self.lives.sum(&self.law.at(&working), factor);
                    let slopes: Vec<f64> = climb.active.iter().map(|&place| sum.slopes[place]).collect();
                    let step = times(inverse, &slopes);
                    for (&place, step) in climb.active.iter().zip(&step) {
                        working[place] += step;
                    }
                    let gain: f64 = step.iter().zip(&slopes).map(|(step, slope)| step * slope).sum();
                    if gain.abs() < 1e-6 {
                        break;
                    }
                }
                climb.active.iter().map(|&place| working[place]).collect()
            })
            .collect();
        let count = drawn.len() as f64;
        let size = climb.active.len();
        let mean: Vec<f64> = (0..size).map(|row| drawn.iter().map(|one| one[row]).sum::<f64>() / count).collect();
        let between = |row: usize, column: usize| {
            let products = drawn.iter().map(|one| (one[row] - mean[row]) * (one[column] - mean[column]));
            products.sum::<f64>() / (count - 1.0).max(1.0)
        };
        (0..size).map(|row| (0..size).map(|column| between(row, column)).collect()).collect()
    }
}
