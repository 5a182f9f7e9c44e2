//! Reliability: of the cases that were given a chance near p, did a share near p fail?
//!
//! Cases are put into tenths by their chance. In each, failures that came are compared with those expected, in standard
//! errors of a sum of independent cases; the squares add up to χ². Since parts of a vehicle, and one part on several days,
//! hang together, χ² is divided by the design effect: the variance of all cases' excess as the spread between vehicles
//! has it, against that of independent cases (Rao & Scott 1984, Annals of Statistics 12, 46–60), never below one. Tenths
//! with few failures expected are joined with the next, for a square of so few follows no χ².
//!
//! A small mean gap between chance and share says nothing at a base rate of two percent (a constant has 0.003): judge by
//! the tenths' z, χ² and the slope ([`super::recalibration`]).

use super::case::{Case, Cases};
use crate::fit::lives::chi_square;

/// Groups of cases.
pub const BINS: usize = 10;
/// Failures expected below which a group is joined with the next for χ².
const FEWEST_EXPECTED: f64 = 5.0;

/// One tenth of the cases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// The least and the largest chance.
    pub from: f64,
    pub to: f64,
    pub cases: u64,
    /// Sums of weights: of the cases, of their chances, of those that failed.
    pub weight: f64,
    pub expected: f64,
    pub failed: f64,
    /// Of the failures that came, if the chances were right and cases independent.
    pub variance: f64,
    /// (failed − expected) in standard errors, the design effect included.
    pub z: f64,
}

/// What χ² says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquare {
    /// After division by the design effect.
    pub value: f64,
    pub degrees: usize,
    pub p: f64,
    pub design_effect: f64,
}

/// The tenths in rising order, those with cases; and χ², `None` where fewer than five failures are expected in all.
pub fn reliability(cases: &Cases) -> (Vec<Bin>, Option<ChiSquare>) {
    let mut sorted = cases.all().to_vec();
    sorted.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let mut bins: Vec<Option<Bin>> = vec![None; BINS];
    let mut before = 0;
    // Equal chances go to one tenth, that of their middle.
    for tied in sorted.chunk_by(|a, b| a.probability == b.probability) {
        let middle = before as f64 + 0.5 * tied.len() as f64;
        before += tied.len();
        let place = (middle / sorted.len() as f64 * BINS as f64) as usize;
        let bin = bins[place.min(BINS - 1)].get_or_insert(Bin {
            from: tied[0].probability,
            to: 0.0,
            cases: 0,
            weight: 0.0,
            expected: 0.0,
            failed: 0.0,
            variance: 0.0,
            z: 0.0,
        });
        bin.to = tied[0].probability;
        bin.cases += tied.len() as u64;
        for case in tied {
            bin.weight += case.weight;
            bin.expected += case.weight * case.probability;
            bin.failed += if case.failed { case.weight } else { 0.0 };
            bin.variance += variance(case);
        }
    }
    let mut bins: Vec<Bin> = bins.into_iter().flatten().collect();
    let design_effect = design_effect(cases);
    for bin in &mut bins {
        let spread = (bin.variance * design_effect).sqrt();
        bin.z = if spread > 0.0 { (bin.failed - bin.expected) / spread } else { 0.0 };
    }
    let chi_square = chi_square(&bins, design_effect);
    (bins, chi_square)
}

/// Of one case's weighted fate, if its chance is right.
fn variance(case: &Case) -> f64 {
    case.weight * case.weight * case.probability * (1.0 - case.probability)
}

fn design_effect(cases: &Cases) -> f64 {
    let independent: f64 = cases.all().iter().map(variance).sum();
    let excess = |case: &Case| case.weight * (f64::from(u8::from(case.failed)) - case.probability);
    // Around their mean: a bias is not a spread.
    let mean = cases.all().iter().map(excess).sum::<f64>() / cases.vehicles().max(1) as f64;
    let spread: f64 = cases
        .by_vehicle()
        .map(|own| {
            let beyond = own.iter().map(excess).sum::<f64>() - mean;
            beyond * beyond
        })
        .sum();
    if independent > 0.0 { (spread / independent).max(1.0) } else { 1.0 }
}

fn chi_square(bins: &[Bin], design_effect: f64) -> Option<ChiSquare> {
    let (mut sum, mut degrees) = (0.0, 0);
    let (mut excess, mut expected, mut variance) = (0.0, 0.0, 0.0);
    let mut left: f64 = bins.iter().map(|bin| bin.expected).sum();
    for bin in bins {
        excess += bin.failed - bin.expected;
        expected += bin.expected;
        variance += bin.variance;
        left -= bin.expected;
        // What is left behind the last full group is part of it.
        if expected >= FEWEST_EXPECTED && (left >= FEWEST_EXPECTED || left.abs() < 1e-12) && variance > 0.0 {
            sum += excess * excess / variance;
            degrees += 1;
            (excess, expected, variance) = (0.0, 0.0, 0.0);
        }
    }
    if expected >= FEWEST_EXPECTED && variance > 0.0 {
        sum += excess * excess / variance;
        degrees += 1;
    }
    let value = sum / design_effect;
    (degrees > 0).then(|| ChiSquare { value, degrees, p: chi_square::upper_tail(value, degrees), design_effect })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::threefry::threefry2x32;

    fn uniform(sample: u32, a: u32, b: u32) -> f64 {
        f64::from(threefry2x32([sample, 9], [a, b])[0]) / 4_294_967_296.0
    }

    /// Vehicles of `parts` parts with chances around 2 %, that fail with `factor` times them; `together`: at once.
    fn drawn(sample: u32, vehicles: u32, parts: u32, factor: f64, together: bool) -> Cases {
        let mut cases = Vec::new();
        for vehicle in 0..vehicles {
            let level = 0.002 + 0.036 * uniform(sample, vehicle, 1_000);
            for part in 0..parts {
                let luck = uniform(sample, vehicle, if together { 2_000 } else { part });
                let failed = luck < factor * level;
                cases.push(Case {
                    vehicle: u64::from(vehicle),
                    probability: level,
                    warned: false,
                    failed,
                    weight: 1.0,
                });
            }
        }
        Cases::new(cases)
    }

    #[test]
    fn tenths_by_hand_with_ties() {
        // Twenty cases: ten of chance 0.1 (one failed), six of 0.5 (three failed), four of 0.9 (four failed).
        let rows = [(0.1, 10, 1), (0.5, 6, 3), (0.9, 4, 4)];
        let mut cases = Vec::new();
        for (probability, count, failed) in rows {
            for place in 0..count {
                let vehicle = cases.len() as u64;
                cases.push(Case { vehicle, probability, warned: false, failed: place < failed, weight: 1.0 });
            }
        }
        let (bins, chi_square) = reliability(&Cases::new(cases));
        let seen: Vec<(f64, u64, f64)> = bins.iter().map(|bin| (bin.from, bin.cases, bin.failed)).collect();
        assert_eq!(seen, [(0.1, 10, 1.0), (0.5, 6, 3.0), (0.9, 4, 4.0)]);
        assert!((bins[2].expected - 3.6).abs() < 1e-12 && (bins[2].variance - 0.36).abs() < 1e-12);
        // 7.6 are expected in all, 4 in the first two groups: one group is left, with an excess of 0.4.
        let found = chi_square.unwrap();
        assert_eq!(found.degrees, 1);
        let variance = 0.9 + 1.5 + 0.36;
        assert!((found.value - 0.16 / variance / found.design_effect).abs() < 1e-12);
    }

    #[test]
    fn right_chances_pass_as_often_as_stated_and_half_as_much_again_does_not() {
        let mut rejected = [0; 3];
        for sample in 0..200 {
            let worlds = [
                drawn(sample, 2_000, 6, 1.0, false),
                drawn(sample, 2_000, 6, 1.5, false),
                drawn(sample, 2_000, 6, 1.0, true),
            ];
            for (count, cases) in rejected.iter_mut().zip(&worlds) {
                *count += usize::from(reliability(cases).1.unwrap().p < 0.05);
            }
        }
        // 5 % of 200 are 10, give or take 3.
        assert!((2..=20).contains(&rejected[0]), "{rejected:?}");
        assert!(rejected[1] >= 180, "{rejected:?}: chances half as large as they should be pass");
        assert!((2..=24).contains(&rejected[2]), "{rejected:?}: parts of a vehicle that fail together");
        let blind = (0..200).filter(|&sample| {
            let cases = drawn(sample, 2_000, 6, 1.0, true);
            let apart = cases.all().iter().enumerate().map(|(at, &case)| Case { vehicle: at as u64, ..case });
            reliability(&Cases::new(apart.collect())).1.unwrap().p < 0.05
        });
        assert!(blind.count() > 60, "a test that is blind to vehicles would do too");
    }

    #[test]
    fn nothing_expected_is_no_test() {
        let (bins, chi_square) = reliability(&Cases::new(Vec::new()));
        assert!(bins.is_empty() && chi_square.is_none());
        let few = drawn(1, 20, 2, 1.0, false);
        assert!(reliability(&few).1.is_none());
    }
}
