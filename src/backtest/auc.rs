//! The area under the receiver operating characteristic: the chance that of a part that failed and one that did not, the
//! former had been given the larger chance; ties count half.
//!
//! Key idea: the area is a mean over either side of *placements*, the share of the other side that a case outranks, and
//! its variance follows from the spread of those. Between vehicles, not cases: of one vehicle both sides hang together.
//! With one case a vehicle this is DeLong's variance.
//!
//! Sources: DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, 837–845; for clusters Obuchowski (1997), Biometrics
//! 53, 567–578.

use super::case::{Cases, Estimate, few};

/// The area with its standard error; `None` without a failure, or with nothing else.
pub fn auc(cases: &Cases) -> Option<Estimate> {
    let (failed, working) = cases.failed_and_not();
    if failed <= 0.0 || working <= 0.0 {
        return None;
    }
    let all = cases.all();
    let placements = placements(cases, failed, working);
    let area = (all.iter().zip(&placements).filter(|(case, _)| case.failed))
        .map(|(case, placement)| case.weight * placement)
        .sum::<f64>()
        / failed;
    // Of each vehicle: what its failures and its other cases have beyond the area.
    let (mut of_failed, mut of_working, mut of_both) = (0.0, 0.0, 0.0);
    let (mut with_failed, mut with_working) = (0, 0);
    let mut from = 0;
    for own in cases.by_vehicle() {
        let (mut beyond, mut has) = ([0.0; 2], [false; 2]);
        for (case, placement) in own.iter().zip(&placements[from..]) {
            let side = usize::from(!case.failed);
            beyond[side] += case.weight * (placement - area);
            has[side] = true;
        }
        from += own.len();
        of_failed += beyond[0] * beyond[0];
        of_working += beyond[1] * beyond[1];
        of_both += beyond[0] * beyond[1];
        with_failed += usize::from(has[0]);
        with_working += usize::from(has[1]);
    }
    let variance = few(with_failed) * of_failed / (failed * failed)
        + few(with_working) * of_working / (working * working)
        + 2.0 * few(cases.vehicles()) * of_both / (failed * working);
    Some(Estimate { value: area, standard_error: variance.max(0.0).sqrt() })
}

/// Of each case: the share of the other side that it outranks. A failure outranks what had smaller chances, the others
/// what had larger ones.
fn placements(cases: &Cases, failed: f64, working: f64) -> Vec<f64> {
    let all = cases.all();
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|&a, &b| all[a].probability.total_cmp(&all[b].probability).then(a.cmp(&b)));
    let mut placements = vec![0.0; all.len()];
    let (mut failed_below, mut working_below) = (0.0, 0.0);
    for tied in order.chunk_by(|&a, &b| all[a].probability == all[b].probability) {
        let sum =
            |of: bool| -> f64 { tied.iter().map(|&at| all[at]).filter(|c| c.failed == of).map(|c| c.weight).sum() };
        let (failed_tied, working_tied) = (sum(true), sum(false));
        for &at in tied {
            placements[at] = if all[at].failed {
                (working_below + 0.5 * working_tied) / working
            } else {
                (failed - failed_below - 0.5 * failed_tied) / failed
            };
        }
        failed_below += failed_tied;
        working_below += working_tied;
    }
    placements
}

/// One point of the curve: warn where the chance is at least `threshold`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RocPoint {
    pub threshold: f64,
    /// Share of the others that is warned of, and of the failures.
    pub false_positive_rate: f64,
    pub true_positive_rate: f64,
}

impl RocPoint {
    pub fn balanced_accuracy(&self) -> f64 {
        0.5 * (self.true_positive_rate + 1.0 - self.false_positive_rate)
    }
}

/// The curve from "warn of nobody" to "warn of all", one point a chance that was stated; empty where the area is `None`.
pub fn roc(cases: &Cases) -> Vec<RocPoint> {
    let (failed, working) = cases.failed_and_not();
    if failed <= 0.0 || working <= 0.0 {
        return Vec::new();
    }
    let mut sorted = cases.all().to_vec();
    sorted.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let mut points = vec![RocPoint { threshold: f64::INFINITY, false_positive_rate: 0.0, true_positive_rate: 0.0 }];
    let mut sums = [0.0; 2];
    for tied in sorted.chunk_by(|a, b| a.probability == b.probability) {
        tied.iter().for_each(|case| sums[usize::from(case.failed)] += case.weight);
        points.push(RocPoint {
            threshold: tied[0].probability,
            false_positive_rate: sums[0] / working,
            true_positive_rate: sums[1] / failed,
        });
    }
    points
}

/// The point with the largest balanced accuracy; of equals the one that warns least.
pub fn best_point(curve: &[RocPoint]) -> Option<RocPoint> {
    let better = |best: RocPoint, one: RocPoint| {
        if one.balanced_accuracy() > best.balanced_accuracy() { one } else { best }
    };
    curve.iter().copied().reduce(better)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backtest::case::Case;
    use crate::fixed::threefry::threefry2x32;

    fn cases(rows: &[(u64, f64, bool, f64)]) -> Cases {
        let case = |&(vehicle, probability, failed, weight): &(u64, f64, bool, f64)| Case {
            vehicle,
            probability,
            warned: false,
            failed,
            weight,
        };
        Cases::new(rows.iter().map(case).collect())
    }

    /// Hanley & McNeil's rating of 109 images (1982, Radiology 143, 29–36, table I): normal 33 6 6 11 2, abnormal
    /// 3 2 2 11 33. Area 0.893, by hand from the pairs; DeLong's error written out pair by pair below.
    #[test]
    fn ratings_of_hanley_and_mcneil_with_their_ties() {
        let (normal, abnormal) = ([33, 6, 6, 11, 2], [3, 2, 2, 11, 33]);
        let mut rows = Vec::new();
        for (rating, (n, a)) in normal.into_iter().zip(abnormal).enumerate() {
            rows.extend((0..n).map(|_| (rating as f64, false)));
            rows.extend((0..a).map(|_| (rating as f64, true)));
        }
        let kernel = |x: f64, y: f64| {
            if y > x {
                1.0
            } else if y == x {
                0.5
            } else {
                0.0
            }
        };
        let of = |side: bool| -> Vec<f64> { rows.iter().filter(|row| row.1 == side).map(|row| row.0).collect() };
        let (x, y) = (of(false), of(true));
        let area: f64 = x.iter().flat_map(|&x| y.iter().map(move |&y| kernel(x, y))).sum::<f64>() / 58.0 / 51.0;
        assert!((area - 0.893).abs() < 5e-4);
        let of_y = |y: f64| x.iter().map(|&x| kernel(x, y)).sum::<f64>() / 58.0;
        let of_x = |x: f64| y.iter().map(|&y| kernel(x, y)).sum::<f64>() / 51.0;
        let s10 = y.iter().map(|&y| (of_y(y) - area) * (of_y(y) - area)).sum::<f64>() / 50.0;
        let s01 = x.iter().map(|&x| (of_x(x) - area) * (of_x(x) - area)).sum::<f64>() / 57.0;
        let delong = f64::sqrt(s10 / 51.0 + s01 / 58.0);
        let with_vehicles: Vec<_> =
            rows.iter().enumerate().map(|(at, &(p, failed))| (at as u64, p, failed, 1.0)).collect();
        let got = auc(&cases(&with_vehicles)).unwrap();
        assert!((got.value - area).abs() < 1e-12 && (got.standard_error - delong).abs() < 1e-12, "{got:?} {delong}");
    }

    #[test]
    fn a_weight_counts_as_so_many_cases() {
        let weighted = cases(&[(1, 0.3, true, 2.0), (2, 0.2, false, 3.0), (3, 0.3, false, 1.0), (4, 0.9, true, 1.0)]);
        let copied = cases(&[
            (1, 0.3, true, 1.0),
            (1, 0.3, true, 1.0),
            (2, 0.2, false, 1.0),
            (2, 0.2, false, 1.0),
            (2, 0.2, false, 1.0),
            (3, 0.3, false, 1.0),
            (4, 0.9, true, 1.0),
        ]);
        let (a, b) = (auc(&weighted).unwrap(), auc(&copied).unwrap());
        assert!((a.value - (2.0 * 3.5 + 4.0) / 12.0).abs() < 1e-12);
        assert!((a.value - b.value).abs() < 1e-12 && (a.standard_error - b.standard_error).abs() < 1e-12);
        // The trapezoids below the curve are the area too.
        let curve = roc(&weighted);
        let trapezoids: f64 = (curve.windows(2))
            .map(|ends| {
                let width = ends[1].false_positive_rate - ends[0].false_positive_rate;
                0.5 * width * (ends[0].true_positive_rate + ends[1].true_positive_rate)
            })
            .sum();
        assert!((trapezoids - a.value).abs() < 1e-12);
        assert_eq!(best_point(&curve).unwrap().threshold, 0.3);
        assert!((best_point(&curve).unwrap().balanced_accuracy() - 0.5 * (1.0 + 0.75)).abs() < 1e-12);
    }

    #[test]
    fn without_both_sides_there_is_no_area() {
        assert_eq!(auc(&cases(&[(1, 0.3, true, 1.0), (2, 0.1, true, 1.0)])), None);
        assert_eq!(auc(&cases(&[(1, 0.3, false, 1.0)])), None);
        assert!(roc(&cases(&[])).is_empty() && best_point(&[]).is_none());
    }

    /// Vehicles of eight cases whose chance and fate hang together: the spread of 400 areas is the stated error, and that
    /// of a formula blind to vehicles is not.
    #[test]
    fn the_error_is_the_spread_of_areas_where_cases_of_a_vehicle_hang_together() {
        let uniform = |sample: u32, a: u32, b: u32| f64::from(threefry2x32([sample, 5], [a, b])[0]) / 4_294_967_296.0;
        let (mut areas, mut stated, mut blind) = (Vec::new(), 0.0, 0.0);
        for sample in 0..400 {
            let mut rows = Vec::new();
            for vehicle in 0..60 {
                let (level, luck) = (uniform(sample, vehicle, 100), uniform(sample, vehicle, 101));
                for part in 0..8 {
                    let probability = level + 0.2 * uniform(sample, vehicle, part);
                    rows.push((u64::from(vehicle), probability, luck < 0.15 + 0.5 * level, 1.0));
                }
            }
            let together = auc(&cases(&rows)).unwrap();
            let apart: Vec<_> = rows.iter().enumerate().map(|(at, row)| (at as u64, row.1, row.2, 1.0)).collect();
            areas.push(together.value);
            stated += together.standard_error * together.standard_error / 400.0;
            let apart = auc(&cases(&apart)).unwrap().standard_error;
            blind += apart * apart / 400.0;
        }
        let mean = areas.iter().sum::<f64>() / 400.0;
        let spread = areas.iter().map(|area| (area - mean) * (area - mean)).sum::<f64>() / 399.0;
        let ratio = stated / spread;
        assert!((0.8..1.25).contains(&ratio), "{ratio}");
        assert!(blind / spread < 0.3, "{}: an error blind to vehicles would pass too", blind / spread);
    }
}
