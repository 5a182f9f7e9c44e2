//! Weights for cases that were not followed to their end.
//!
//! A part that leaves service or is replaced for another reason before the horizon neither failed nor survived: it is left
//! out, and those that were followed count for it. Each gets the inverse of the chance of having been followed as long,
//! from the product-limit curve of being lost, among parts that were warned of and parts that were not apart: workshops
//! replace what they are warned of. Counting such parts as survivors would make every forecast look too high.
//!
//! Units: days since the cut day. Source: Gerds & Schumacher (2006), Biometrical Journal 48, 1029–1040.

/// How one case ended within its horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Days until it was settled or lost; the horizon for one that survived it.
    pub days: u32,
    /// Left out: its fate is not known.
    pub lost: bool,
    pub warned: bool,
}

/// The weight of each case; 0 for one that was lost.
pub fn weights(cases: &[Followed]) -> Vec<f64> {
    let mut weights = vec![0.0; cases.len()];
    for warned in [false, true] {
        let mut order: Vec<usize> = (0..cases.len()).filter(|&at| cases[at].warned == warned).collect();
        // On one day, what was settled was settled before others were lost.
        order.sort_by_key(|&at| (cases[at].days, cases[at].lost));
        let (mut followed, mut at_risk) = (1.0, order.len());
        for same_day in order.chunk_by(|&a, &b| cases[a].days == cases[b].days) {
            let settled = same_day.iter().filter(|&&at| !cases[at].lost);
            let mut count = 0;
            for &at in settled {
                weights[at] = 1.0 / followed;
                count += 1;
            }
            at_risk -= count;
            let lost = same_day.len() - count;
            if lost > 0 {
                followed *= (at_risk - lost) as f64 / at_risk as f64;
                at_risk -= lost;
            }
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(days: u32, lost: bool) -> Followed {
        Followed { days, lost, warned: false }
    }

    #[test]
    fn weights_by_hand_add_up_to_all() {
        // Five parts: one fails on day 10, one is lost on day 20, one fails on day 30, two survive day 90.
        let cases = [of(10, false), of(20, true), of(30, false), of(90, false), of(90, false)];
        let weights = weights(&cases);
        // Of four at risk on day 20 three were followed on.
        let after = 4.0 / 3.0;
        assert_eq!(weights, [1.0, 0.0, after, after, after]);
        assert!((weights.iter().sum::<f64>() - 5.0).abs() < 1e-12);
    }

    #[test]
    fn without_losses_all_weigh_one_and_on_the_same_day_failures_come_first() {
        assert_eq!(weights(&[of(3, false), of(90, false)]), [1.0, 1.0]);
        assert_eq!(weights(&[of(5, true), of(5, false), of(90, false)]), [0.0, 1.0, 2.0]);
        // Half of those warned of are lost; the others know nothing of it.
        let warned = |days, lost| Followed { days, lost, warned: true };
        assert_eq!(weights(&[warned(5, true), warned(90, false), of(90, false)]), [0.0, 2.0, 1.0]);
        assert!(weights(&[]).is_empty());
        assert_eq!(weights(&[of(4, true), of(5, true)]), [0.0, 0.0]);
    }

    /// Parts that fail at one rate and are lost at another: the weighted share of failures is that without losses.
    #[test]
    fn the_weighted_share_is_that_of_a_world_without_losses() {
        let uniform = |at: u32, what: u32| {
            f64::from(crate::fixed::threefry::threefry2x32([6, what], [at, 0])[0]) / 4_294_967_296.0
        };
        let (horizon, mut cases, mut failed) = (90, Vec::new(), Vec::new());
        for at in 0..40_000 {
            let fails = (-libm::log(uniform(at, 0)) * 300.0) as u32;
            let leaves = (-libm::log(uniform(at, 1)) * 200.0) as u32;
            let lost = leaves < fails.min(horizon);
            cases.push(of(fails.min(leaves).min(horizon), lost));
            failed.push(!lost && fails < horizon);
        }
        let weights = weights(&cases);
        let sum = |all: bool| -> f64 { weights.iter().zip(&failed).filter(|(_, f)| all || **f).map(|(w, _)| w).sum() };
        let truth = 1.0 - libm::exp(-90.0 / 300.0);
        let share = sum(false) / sum(true);
        assert!((share - truth).abs() < 0.008, "{share} {truth}");
        let naive = failed.iter().filter(|failed| **failed).count() as f64 / 40_000.0;
        assert!((naive - truth).abs() > 0.03, "{naive}: counting the lost as survivors would do too");
    }
}
