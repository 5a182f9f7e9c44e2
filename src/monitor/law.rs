//! How healthy residuals behave: their distribution and their memory, estimated from many vehicles' baselines.
//!
//! Key idea: residuals of healthy vehicles are taken as an autoregression of order one whose shocks have no assumed
//! shape: the pooled shocks themselves are drawn again. Only baseline days are used, and the memory is the median over
//! vehicles, so that a defect that few vehicles have in their first days does not pass for health.
//! Units: multiples of each vehicle's own scale.
//! Source of the bias of the lag-one correlation, -(1 + 4 rho) / n: Marriott & Pope (1954), Biometrika 41.

use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, SD_PER_MAD, median};
use crate::model::normal;

/// Shocks kept, as quantiles: what sixteen random bits can choose from.
pub const QUANTILES: usize = 1 << 16;
/// Fewest vehicles with a whole baseline from which a law is estimated.
pub const LEAST_VEHICLES: usize = 20;
/// Fewest shocks: neighbouring samples without a gap between them, of all vehicles together.
pub const LEAST_SHOCKS: usize = 120;
/// Memory assumed where it cannot be estimated: on the safe side of what sensors show.
pub const ASSUMED_LAG1: f64 = 0.5;
/// Largest memory that is simulated: beyond it baselines and deviations cannot be told apart.
pub const LARGEST_LAG1: f64 = 0.9;
/// Vehicles whose memory lies further from the median, in standard deviations, do not lend their shocks: they drifted.
const OUTLYING_SDS: f64 = 4.0;

/// The law of healthy residuals.
#[derive(Clone, Debug, PartialEq)]
pub struct Law {
    /// Correlation of neighbouring samples.
    pub lag1: f64,
    /// Rising, [`QUANTILES`] of them, mean zero.
    pub shocks: Vec<f32>,
    /// Vehicles that it was estimated from; 0: it was assumed.
    pub vehicles: usize,
}

/// One vehicle's baseline: its samples, and whether each came right after the one before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BaselineSeries {
    pub values: Vec<f32>,
    pub follows: Vec<bool>,
}

impl Law {
    /// From whole baselines of many vehicles. Too few of them, or of their shocks: normal shocks and [`ASSUMED_LAG1`].
    pub fn estimate(series: &[BaselineSeries], floor: f64) -> Self {
        let mut room = Vec::new();
        // Deviations of each vehicle that varied at all, with its lag-one correlation.
        let mut vehicles: Vec<(f64, Vec<f64>, &[bool])> = Vec::new();
        for one in series {
            let baseline = Baseline::of(&one.values, |index| one.follows[index], floor, &mut room);
            let deviation = |value: &f32| (f64::from(*value) - baseline.level) / baseline.scale;
            let deviations: Vec<f64> = one.values.iter().map(deviation).collect();
            if let Some(lag1) = lag1(&deviations, &one.follows).filter(|_| !baseline.constant) {
                vehicles.push((lag1, deviations, &one.follows));
            }
        }
        if vehicles.len() < LEAST_VEHICLES {
            return Self::assumed();
        }
        let typical = median(&mut vehicles.iter().map(|vehicle| vehicle.0).collect::<Vec<f64>>());
        let spread = median(&mut vehicles.iter().map(|vehicle| (vehicle.0 - typical).abs()).collect::<Vec<f64>>());
        let reach = OUTLYING_SDS * SD_PER_MAD * spread;
        let lag1 = typical.clamp(0.0, LARGEST_LAG1);
        vehicles.retain(|vehicle| (vehicle.0 - typical).abs() <= reach);
        let mut shocks: Vec<f64> = Vec::new();
        for (_, deviations, follows) in &vehicles {
            let pairs = deviations.windows(2).zip(&follows[1..]).filter(|(_, follows)| **follows);
            shocks.extend(pairs.map(|(pair, _)| pair[1] - lag1 * pair[0]));
        }
        if shocks.len() < LEAST_SHOCKS {
            return Self::assumed();
        }
        Self { lag1, shocks: quantiles(shocks), vehicles: vehicles.len() }
    }

    fn assumed() -> Self {
        let sd = libm::sqrt(1.0 - ASSUMED_LAG1 * ASSUMED_LAG1);
        let quantile = |step: usize| sd * normal::quantile((step as f64 + 0.5) / QUANTILES as f64);
        Self { lag1: ASSUMED_LAG1, shocks: quantiles((0..QUANTILES).map(quantile).collect()), vehicles: 0 }
    }
}

/// The lag-one correlation with its bias taken off; `None` for a series too short or without variance.
fn lag1(deviations: &[f64], follows: &[bool]) -> Option<f64> {
    let count = deviations.len() as f64;
    if count < 10.0 {
        return None;
    }
    let mean = deviations.iter().sum::<f64>() / count;
    let variance = deviations.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
    let (mut products, mut pairs) = (0.0, 0.0);
    for (pair, _) in deviations.windows(2).zip(&follows[1..]).filter(|(_, follows)| **follows) {
        products += (pair[0] - mean) * (pair[1] - mean);
        pairs += 1.0;
    }
    if pairs < 5.0 || variance <= 0.0 {
        return None;
    }
    let raw = products / pairs / variance;
    Some((raw + 1.0 / count) / (1.0 - 4.0 / count))
}

/// Evenly spaced quantiles, centred on mean zero.
fn quantiles(mut shocks: Vec<f64>) -> Vec<f32> {
    let mean = shocks.iter().sum::<f64>() / shocks.len().max(1) as f64;
    shocks.sort_unstable_by(f64::total_cmp);
    let at =
        |step: usize| shocks.get((2 * step + 1) * shocks.len() / (2 * QUANTILES)).map_or(0.0, |shock| shock - mean);
    (0..QUANTILES).map(|step| at(step) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::threefry::threefry2x32;

    /// Autoregressive series around a level of their own, shocks uniform.
    fn series(vehicles: u32, samples: u32, memory: f64) -> Vec<BaselineSeries> {
        (0..vehicles)
            .map(|vehicle| {
                let mut value = 0.0;
                let values = (0..samples + 30).map(|sample| {
                    let [word, _] = threefry2x32([5, 0], [vehicle, sample]);
                    value = memory * value + f64::from(word) / 4_294_967_296.0 - 0.5;
                    (f64::from(vehicle) + value) as f32
                });
                let values: Vec<f32> = values.skip(30).collect();
                BaselineSeries { follows: vec![true; values.len()], values }
            })
            .collect()
    }

    #[test]
    fn memory_and_shape_are_found() {
        for memory in [0.0, 0.3, 0.6] {
            let law = Law::estimate(&series(300, 180, memory), 0.001);
            assert_eq!((law.vehicles >= 290, law.shocks.len()), (true, QUANTILES));
            assert!((law.lag1 - memory).abs() < 0.015, "{memory}: {}", law.lag1);
            // Uniform shocks: the middle half spans half of the whole, a little less where estimated scales blur the
            // ends; of normal shocks it would span 0.29.
            let span = |from: f64, to: f64| {
                let at = |share: f64| f64::from(law.shocks[((QUANTILES - 1) as f64 * share) as usize]);
                at(to) - at(from)
            };
            let ratio = span(0.25, 0.75) / span(0.01, 0.99);
            assert!((0.44..0.54).contains(&ratio), "{ratio}");
        }
    }

    #[test]
    fn a_tenth_of_drifting_vehicles_changes_little() {
        let healthy = Law::estimate(&series(300, 180, 0.3), 0.001);
        let mut mixed = series(300, 180, 0.3);
        for one in mixed.iter_mut().take(30) {
            one.values.iter_mut().enumerate().for_each(|(day, value)| *value += 0.05 * day as f32);
        }
        let law = Law::estimate(&mixed, 0.001);
        assert!((law.lag1 - healthy.lag1).abs() < 0.03, "{} {}", law.lag1, healthy.lag1);
        assert!(law.vehicles <= 272, "{}", law.vehicles);
    }

    #[test]
    fn without_enough_vehicles_it_is_assumed() {
        for few in [series(LEAST_VEHICLES as u32 - 1, 180, 0.3), series(300, 4, 0.3), Vec::new()] {
            let law = Law::estimate(&few, 0.001);
            assert_eq!((law.vehicles, law.lag1), (0, ASSUMED_LAG1));
            assert!((f64::from(law.shocks[QUANTILES * 3 / 4]) - 0.674_5 * 0.866_03).abs() < 1e-3);
        }
        // Twenty vehicles of five pairs each, the other samples after gaps.
        let mut gaps = series(LEAST_VEHICLES as u32, 10, 0.0);
        let pairs = |one: &mut BaselineSeries, every: usize| (0..10).for_each(|at| one.follows[at] = at % every == 1);
        gaps.iter_mut().for_each(|one| pairs(one, 2));
        assert_eq!(Law::estimate(&gaps, 0.001).vehicles, 0);
        let constant = vec![BaselineSeries { values: vec![1.0; 90], follows: vec![true; 90] }; 50];
        assert_eq!(Law::estimate(&constant, 0.01).vehicles, 0);
    }
}
