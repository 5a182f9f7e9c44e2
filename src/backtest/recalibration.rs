//! Recalibration: the logistic line through fate against the log odds of the chance that was stated. A slope below one
//! says that chances are too far apart (overfitted), above one that they are too close; the failures that came against
//! those expected say whether they are too small or too large on the whole.
//!
//! Errors are sandwiches over vehicles. Sources: Cox (1958), Biometrika 45, 562–565; Liang & Zeger (1986), Biometrika 73,
//! 13–22.

use super::case::{Case, Cases, Estimate, few};
use super::scores::LEAST_CHANCE;

/// Steps of Newton's method at most.
const MOST_STEPS: usize = 60;
/// Change of both coefficients below which the line stands.
const STANDS: f64 = 1e-10;
/// Coefficients beyond are no line: fates are separated by the chance.
const RUN_AWAY: f64 = 50.0;

/// The line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recalibration {
    pub intercept: Estimate,
    pub slope: Estimate,
}

/// Failures that came over failures expected; `None` where none is expected.
pub fn came_over_expected(cases: &Cases) -> Option<Estimate> {
    cases.ratio(|case| f64::from(u8::from(case.failed)), |case| case.probability)
}

/// `None` where there is no line: one fate only, one chance only, or fates separated by the chance.
pub fn recalibration(cases: &Cases) -> Option<Recalibration> {
    let (failed, working) = cases.failed_and_not();
    let first = cases.all().first()?.probability;
    if failed <= 0.0 || working <= 0.0 || cases.all().iter().all(|case| case.probability == first) {
        return None;
    }
    let (mut intercept, mut slope) = (0.0, 1.0);
    let mut inverse = [0.0; 3];
    let mut stands = false;
    for _ in 0..MOST_STEPS {
        let (mut gradient, mut information) = ([0.0; 2], [0.0; 3]);
        for case in cases.all() {
            let x = log_odds(case.probability);
            let (residual, spread) = residual(case, intercept + slope * x);
            gradient[0] += residual;
            gradient[1] += residual * x;
            information[0] += spread;
            information[1] += spread * x;
            information[2] += spread * x * x;
        }
        let determinant = information[0] * information[2] - information[1] * information[1];
        if determinant <= 0.0 || !determinant.is_finite() {
            return None;
        }
        inverse = [information[2] / determinant, -information[1] / determinant, information[0] / determinant];
        let mut step =
            [inverse[0] * gradient[0] + inverse[1] * gradient[1], inverse[1] * gradient[0] + inverse[2] * gradient[1]];
        // A long step overshoots where the log odds are far from straight.
        let length = step[0].abs().max(step[1].abs());
        let shorten = if length > 1.0 { 1.0 / length } else { 1.0 };
        step.iter_mut().for_each(|part| *part *= shorten);
        intercept += step[0];
        slope += step[1];
        if intercept.abs() > RUN_AWAY || slope.abs() > RUN_AWAY {
            return None;
        }
        stands = length < STANDS;
        if stands {
            break;
        }
    }
    if !stands {
        return None;
    }
    let mut between = [0.0; 3];
    for own in cases.by_vehicle() {
        let mut sums = [0.0; 2];
        for case in own {
            let x = log_odds(case.probability);
            let (residual, _) = residual(case, intercept + slope * x);
            sums[0] += residual;
            sums[1] += residual * x;
        }
        between[0] += sums[0] * sums[0];
        between[1] += sums[0] * sums[1];
        between[2] += sums[1] * sums[1];
    }
    let variance = |row: [f64; 2]| {
        let middle = row[0] * row[0] * between[0] + 2.0 * row[0] * row[1] * between[1] + row[1] * row[1] * between[2];
        (few(cases.vehicles()) * middle).max(0.0).sqrt()
    };
    Some(Recalibration {
        intercept: Estimate { value: intercept, standard_error: variance([inverse[0], inverse[1]]) },
        slope: Estimate { value: slope, standard_error: variance([inverse[1], inverse[2]]) },
    })
}

fn log_odds(chance: f64) -> f64 {
    let chance = chance.clamp(LEAST_CHANCE, 1.0 - LEAST_CHANCE);
    libm::log(chance) - libm::log1p(-chance)
}

/// Weighted residual and variance of a case at these log odds.
fn residual(case: &Case, log_odds: f64) -> (f64, f64) {
    let chance = 1.0 / (1.0 + libm::exp(-log_odds));
    (case.weight * (f64::from(u8::from(case.failed)) - chance), case.weight * chance * (1.0 - chance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::threefry::threefry2x32;

    fn groups(rows: &[(f64, usize, usize)]) -> Cases {
        let mut cases = Vec::new();
        for &(probability, count, failed) in rows {
            for place in 0..count {
                let vehicle = cases.len() as u64;
                cases.push(Case { vehicle, probability, warned: false, failed: place < failed, weight: 1.0 });
            }
        }
        Cases::new(cases)
    }

    /// Two chances make the line exact: it goes through the log odds of both shares.
    #[test]
    fn two_chances_have_their_line_in_closed_form() {
        let line = recalibration(&groups(&[(0.1, 40, 8), (0.4, 50, 30)])).unwrap();
        let logit = |p: f64| libm::log(p / (1.0 - p));
        let slope = (logit(0.6) - logit(0.2)) / (logit(0.4) - logit(0.1));
        assert!((line.slope.value - slope).abs() < 1e-9);
        assert!((line.intercept.value - (logit(0.6) - slope * logit(0.4))).abs() < 1e-9);
        // Of two binomials, each log odds has the variance 1/(n p q).
        let variance: f64 = 1.0 / (40.0 * 0.2 * 0.8) + 1.0 / (50.0 * 0.6 * 0.4);
        let error = f64::sqrt(variance * 90.0 / 89.0) / (logit(0.4) - logit(0.1));
        assert!((line.slope.standard_error / error - 1.0).abs() < 1e-9);
        let ratio = came_over_expected(&groups(&[(0.1, 40, 8), (0.4, 50, 30)])).unwrap();
        assert!((ratio.value - 38.0 / 24.0).abs() < 1e-12);
    }

    #[test]
    fn no_line_where_there_is_none() {
        assert_eq!(recalibration(&groups(&[(0.1, 40, 0), (0.4, 50, 0)])), None, "nobody failed");
        assert_eq!(recalibration(&groups(&[(0.1, 40, 40)])), None, "all failed");
        assert_eq!(recalibration(&groups(&[(0.1, 40, 4)])), None, "one chance");
        assert_eq!(recalibration(&groups(&[(0.1, 40, 0), (0.4, 50, 50)])), None, "separated");
        assert_eq!(recalibration(&groups(&[])), None);
        assert_eq!(came_over_expected(&groups(&[])), None);
    }

    /// Chances stretched by a factor on the log odds have its inverse as slope, and the stated error holds.
    #[test]
    fn stretched_chances_have_the_inverse_slope() {
        let mut beyond = 0;
        for sample in 0..100 {
            let uniform = |a: u32, b: u32| f64::from(threefry2x32([sample, 4], [a, b])[0]) / 4_294_967_296.0;
            let mut cases = Vec::new();
            for vehicle in 0..800 {
                let odds = -3.0 + 2.0 * uniform(vehicle, 0);
                let probability = 1.0 / (1.0 + libm::exp(-2.0 * odds));
                let failed = uniform(vehicle, 1) < 1.0 / (1.0 + libm::exp(-odds));
                cases.push(Case { vehicle: u64::from(vehicle), probability, warned: false, failed, weight: 1.0 });
            }
            let slope = recalibration(&Cases::new(cases)).unwrap().slope;
            beyond += usize::from((slope.value - 0.5).abs() > 2.0 * slope.standard_error);
        }
        assert!(beyond <= 12, "{beyond} of 100 beyond two standard errors");
    }
}
