//! One group of lives, one failure mode: every law that was asked for, the curve, and what a reader must know.

use super::chi_square::upper_tail;
use super::curve::Curve;
use super::estimate::{Parameter, Wanted, fit};
use super::law::Law;
use super::life::{End, Life};
use super::likelihood::{Likelihood, merged};
use super::newton::NoMaximum;
use super::report::{BetweenGroups, Bound, GroupReport, HazardTest, Joint, LawReport, Refused};
use crate::model::normal;
use crate::run::{Control, Interrupted};

/// So many failures without any survivor are worth a word.
const FEW: f64 = 5.0;

/// Fits `laws` to lives of one mode.
pub fn report(
    group: &str,
    mode: Option<&str>,
    lives: Vec<Life>,
    laws: &[Law],
    wanted: &Wanted,
    control: &Control,
) -> Result<GroupReport, Interrupted> {
    let lives = merged(lives);
    let sum = |of: &dyn Fn(&Life) -> bool| lives.iter().filter(|life| of(life)).fold(0.0, |sum, life| sum + life.count);
    let (total, failures) = counts(&lives);
    let mut reports = Vec::with_capacity(laws.len());
    for &law in laws {
        control.check()?;
        reports.push(one_law(law, &lives, total, failures, wanted));
    }
    let mut notes = Vec::new();
    let constant_hazard = constant_hazard(&reports);
    if let Some(note) = never_fail(&lives, total, failures, &reports) {
        notes.push(note);
    }
    if total == failures && total >= FEW {
        notes.push(
            "no life is censored: where units still run and were left out of the table, lives come out too short"
                .to_owned(),
        );
    }
    Ok(GroupReport {
        group: group.to_owned(),
        mode: mode.map(str::to_owned),
        lives: total,
        failures,
        interval_failures: sum(&|life| matches!(life.end, End::Between { .. })),
        late_entries: sum(&|life| life.entry > 0.0),
        last_age: lives.iter().map(Life::last_age).fold(0.0, f64::max),
        laws: reports,
        constant_hazard,
        curve: Curve::of(&lives, normal::quantile(0.5 + 0.5 * wanted.confidence)),
        joint: Vec::new(),
        notes,
    })
}

fn one_law(law: Law, lives: &[Life], total: f64, failures: f64, wanted: &Wanted) -> LawReport {
    let refused = |reason: String| LawReport::Refused(Refused { law, reason });
    if failures == 0.0 {
        return match (law, wanted.shape) {
            (Law::Exponential, _) => LawReport::Bound(bound(law, 1.0, lives, total, wanted)),
            (Law::Weibull, Some(shape)) => LawReport::Bound(bound(law, shape, lives, total, wanted)),
            _ => refused(format!(
                "no failure among {total} lives: no estimate. --law weibull --shape β, with a shape known from elsewhere, \
                 gives a lower bound of the characteristic life"
            )),
        };
    }
    let likelihood = Likelihood::new(law, lives);
    match fit(&likelihood, total, failures, wanted) {
        Ok(fitted) => LawReport::Fitted(fitted),
        Err(problem) => refused(no_maximum(problem, law, lives)),
    }
}

/// Why the likelihood of these lives has no maximum, in terms of the lives.
fn no_maximum(problem: NoMaximum, law: Law, lives: &[Life]) -> String {
    if law.is_of_a_share() {
        return "the likelihood has no maximum with a defective share below one: take the law of all lives".to_owned();
    }
    let failed: Vec<&Life> = lives.iter().filter(|life| life.is_failure()).collect();
    let first = failed.first().map_or(0.0, |life| life.last_age());
    let remedy = if law == Law::Weibull {
        "hold the shape with --shape, or take the exponential law"
    } else {
        "take the exponential law, or the Weibull law with its shape held by --shape"
    };
    if failed.iter().all(|life| life.end == End::Failed(first)) {
        return format!(
            "all failures lie at age {first} and no life is known to have gone beyond: the likelihood rises without end as the spread shrinks to nothing; {remedy}"
        );
    }
    let what = match problem {
        NoMaximum::Spike => "rises without end as the spread of lives shrinks to nothing",
        NoMaximum::Endless | NoMaximum::NoStart => "has no maximum: these lives do not determine two parameters",
    };
    format!("the likelihood {what}; {remedy}")
}

/// Without failures, the likelihood of a characteristic life η is exp(−Σ(t/η)^β): one-sided, η is at least where that
/// falls to 1 − confidence.
fn bound(law: Law, shape: f64, lives: &[Life], total: f64, wanted: &Wanted) -> Bound {
    let likelihood = Likelihood::new(law, lives);
    let ln_exposure = likelihood.ln_exposure(shape);
    let ln_life = (ln_exposure - libm::log(-libm::log1p(-wanted.confidence))) / shape + likelihood.centre;
    let lower = |name: String, ln: f64| one_sided(name, Some(libm::exp(ln)), None);
    let name = if law == Law::Exponential { "mean_life" } else { "characteristic_life" };
    let mut parameters = vec![lower(name.to_owned(), ln_life)];
    parameters.extend(
        wanted
            .percents
            .iter()
            .map(|percent| lower(format!("B{percent}"), ln_life + law.quantile(percent / 100.0) / shape)),
    );
    let shares_failed = wanted
        .ages
        .iter()
        .map(|&age| {
            let z = shape * (libm::log(age) - ln_life);
            one_sided(format!("F({age})"), None, Some(law.distribution(z)))
        })
        .collect();
    let note = format!(
        "no failure among {total} lives: one-sided bounds at {} % confidence, with the shape held at {shape}",
        100.0 * wanted.confidence
    );
    Bound { law, shape, parameters, shares_failed, note }
}

fn one_sided(name: String, lower: Option<f64>, upper: Option<f64>) -> Parameter {
    Parameter {
        name,
        estimate: None,
        standard_error: None,
        lower,
        upper,
        wald_lower: None,
        wald_upper: None,
        held: false,
    }
}

/// Twice the gain of the Weibull law over the exponential one.
fn constant_hazard(reports: &[LawReport]) -> Option<HazardTest> {
    let fitted = |law: Law| reports.iter().find(|report| report.law() == law)?.fitted();
    let (weibull, exponential) = (fitted(Law::Weibull)?, fitted(Law::Exponential)?);
    if weibull.free < 2 {
        return None;
    }
    let likelihood_ratio = (2.0 * (weibull.ln_likelihood - exponential.ln_likelihood)).max(0.0);
    Some(HazardTest { likelihood_ratio, p: upper_tail(likelihood_ratio, 1) })
}

/// Whether most lives went on long after the last failure: then a law of all lives extrapolates what only a share does.
fn never_fail(lives: &[Life], total: f64, failures: f64, reports: &[LawReport]) -> Option<String> {
    if failures == 0.0 || reports.iter().any(|report| report.law().is_of_a_share()) {
        return None;
    }
    let last_failure = lives.iter().filter(|life| life.is_failure()).map(Life::last_age).fold(0.0, f64::max);
    let beyond: f64 = lives
        .iter()
        .filter(|life| !life.is_failure() && life.last_age() > 3.0 * last_failure)
        .map(|life| life.count)
        .sum();
    (beyond > 0.5 * total).then(|| {
        format!(
            "{beyond} of {total} lives went on for more than three times the age of the last of {failures} failures \
             ({last_failure}): perhaps only a share is defective; --law weibull-defective fits that"
        )
    })
}

/// Whether each group needs a law of its own: the groups' log-likelihoods against that of all lives together.
pub fn between_groups(groups: &[GroupReport], all: Vec<Life>, laws: &[Law], wanted: &Wanted) -> Vec<BetweenGroups> {
    let lives = merged(all);
    let (total, failures) = counts(&lives);
    laws.iter()
        .filter_map(|&law| {
            let fits: Vec<_> = groups
                .iter()
                .map(|group| group.laws.iter().find(|report| report.law() == law).and_then(LawReport::fitted))
                .collect::<Option<_>>()?;
            let pooled = fit(&Likelihood::new(law, &lives), total, failures, wanted).ok()?;
            let apart: f64 = fits.iter().map(|fit| fit.ln_likelihood).sum();
            let likelihood_ratio = (2.0 * (apart - pooled.ln_likelihood)).max(0.0);
            let degrees = fits.iter().map(|fit| fit.free).sum::<usize>() - pooled.free;
            Some(BetweenGroups { law, likelihood_ratio, degrees, p: upper_tail(likelihood_ratio, degrees) })
        })
        .collect()
}

/// Lives, and failures among them.
fn counts(lives: &[Life]) -> (f64, f64) {
    let sum = |lives: &mut dyn Iterator<Item = &Life>| lives.fold(0.0, |sum, life| sum + life.count);
    (sum(&mut lives.iter()), sum(&mut lives.iter().filter(|life| life.is_failure())))
}

/// Competing modes together: nothing fails of a mode that another ended, so the log-likelihoods add, and the chance to
/// survive all is the product.
pub fn joint(modes: &[GroupReport], laws: &[Law], wanted: &Wanted) -> Vec<Joint> {
    laws.iter()
        .filter_map(|&law| {
            let fits: Vec<_> = modes
                .iter()
                .map(|mode| mode.laws.iter().find(|report| report.law() == law).and_then(LawReport::fitted))
                .collect::<Option<_>>()?;
            if law.is_of_a_share() {
                return None;
            }
            let ln_likelihood: f64 = fits.iter().map(|fit| fit.ln_likelihood).sum();
            let free: usize = fits.iter().map(|fit| fit.free).sum();
            let ln_survival = |ln_age: f64| -> f64 {
                fits.iter().map(|fit| law.ln_survival((ln_age - fit.location[0]) / fit.scale)[0]).sum()
            };
            let age = |percent: f64| {
                let wanted = libm::log1p(-percent / 100.0);
                // Bisection between ages at which nobody and everybody has failed.
                let (mut low, mut high) = (-700.0, 700.0);
                for _ in 0..200 {
                    let middle = 0.5 * (low + high);
                    if ln_survival(middle) > wanted { low = middle } else { high = middle }
                }
                libm::exp(0.5 * (low + high))
            };
            let ages = wanted.percents.iter().map(|&percent| (format!("B{percent}"), age(percent))).collect();
            Some(Joint { law, ln_likelihood, aic: 2.0 * free as f64 - 2.0 * ln_likelihood, ages })
        })
        .collect()
}
