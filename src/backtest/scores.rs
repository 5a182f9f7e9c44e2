//! Brier and log score of stated chances, beside the best that a constant could have reached.
//!
//! Key idea: a rare failure makes every score look good, so each stands beside that of the forecast which states the share
//! that came for every case. That constant is known in hindsight only, which favours it.
//!
//! Units: the Brier score is a mean square, the log score a mean of natural logarithms with the sign that makes small good.
//! Sources: Brier (1950), Monthly Weather Review 78, 1–3; Good (1952), J. R. Stat. Soc. B 14, 107–114.

use super::case::{Case, Cases, Estimate};

/// Chances nearer to 0 or 1 are taken to be this far from it: a single impossible failure must not be all that a log
/// score says.
pub const LEAST_CHANCE: f64 = 1e-9;

/// A score beside its reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    pub score: Estimate,
    /// Of the constant.
    pub reference: f64,
    /// 1 − score / reference: above zero is better than the constant.
    pub skill: f64,
    /// Of the skill, from the spread between vehicles of what each case gains over the constant.
    pub skill_error: f64,
}

/// The share of cases that failed; `None` without cases.
pub fn prevalence(cases: &Cases) -> Option<Estimate> {
    cases.ratio(|case| f64::from(u8::from(case.failed)), |_| 1.0)
}

/// `None` without cases, or if all or none failed: a constant is right then.
pub fn brier(cases: &Cases) -> Option<Score> {
    scored(cases, |chance, failed| {
        let off = chance - f64::from(u8::from(failed));
        off * off
    })
}

/// As [`brier`].
pub fn log_score(cases: &Cases) -> Option<Score> {
    scored(cases, |chance, failed| {
        let chance = chance.clamp(LEAST_CHANCE, 1.0 - LEAST_CHANCE);
        if failed { -libm::log(chance) } else { -libm::log1p(-chance) }
    })
}

fn scored(cases: &Cases, loss: impl Fn(f64, bool) -> f64) -> Option<Score> {
    let share = prevalence(cases)?.value;
    if share <= 0.0 || share >= 1.0 {
        return None;
    }
    let of = |case: &Case| loss(case.probability, case.failed);
    let score = cases.ratio(of, |_| 1.0)?;
    let reference = cases.ratio(|case| loss(share, case.failed), |_| 1.0)?.value;
    let skill = cases.ratio(|case| loss(share, case.failed) - of(case), |case| loss(share, case.failed))?;
    Some(Score { score, reference, skill: skill.value, skill_error: skill.standard_error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(rows: &[(f64, bool)]) -> Cases {
        let case = |(at, &(probability, failed)): (usize, &(f64, bool))| Case {
            vehicle: at as u64,
            probability,
            warned: false,
            failed,
            weight: 1.0,
        };
        Cases::new(rows.iter().enumerate().map(case).collect())
    }

    #[test]
    fn scores_by_hand() {
        let rows = [(0.8, true), (0.3, false), (0.1, false), (0.4, true)];
        let brier = brier(&cases(&rows)).unwrap();
        assert!((brier.score.value - (0.04 + 0.09 + 0.01 + 0.36) / 4.0).abs() < 1e-15);
        assert!((brier.reference - 0.25).abs() < 1e-15 && (brier.skill - 0.5).abs() < 1e-12);
        let log = log_score(&cases(&rows)).unwrap();
        let by_hand = -libm::log(0.8 * 0.7 * 0.9 * 0.4) / 4.0;
        assert!((log.score.value - by_hand).abs() < 1e-12 && (log.reference - std::f64::consts::LN_2).abs() < 1e-12);
        assert!((log.skill - (1.0 - by_hand / std::f64::consts::LN_2)).abs() < 1e-12);
    }

    #[test]
    fn an_impossible_failure_is_dear_but_finite_and_one_sided_fates_have_no_score() {
        let log = log_score(&cases(&[(0.0, true), (0.0, false)])).unwrap();
        assert!((log.score.value - 0.5 * -libm::log(LEAST_CHANCE)).abs() < 1e-6 && log.skill < 0.0);
        assert_eq!(brier(&cases(&[(0.2, false), (0.1, false)])), None);
        assert_eq!(log_score(&cases(&[])), None);
    }
}
