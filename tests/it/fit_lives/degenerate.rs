//! Lives that determine little or nothing: no failure, one, all at one age, all in one interval, all within a hair. Each
//! ends in bounds or in a reason with what to do, never in a number that is none.

use fleetwear::fit::lives::law::Law;
use fleetwear::fit::lives::report::{GroupReport, LawReport};

use super::{close, fitted, law, parameter};

fn group(table: &str, change: impl FnOnce(&mut fleetwear::fit::lives::LivesPlan)) -> GroupReport {
    fitted(table.as_bytes(), "lives.csv", change).unwrap().groups.remove(0)
}

fn reason(group: &GroupReport, asked: Law) -> &str {
    match group.laws.iter().find(|report| report.law() == asked) {
        Some(LawReport::Refused(refused)) => &refused.reason,
        other => panic!("{other:?}"),
    }
}

/// Without failures a lower bound: with η at it, no failure among these lives has a chance of 5 %.
#[test]
fn no_failure_gives_one_sided_bounds() {
    let table = "time,event,count\n100,0,20\n250,0,5\n";
    let whole = group(table, |plan| plan.ages = vec![50.0]);
    assert_eq!((whole.lives, whole.failures), (25.0, 0.0));
    for asked in [Law::Weibull, Law::Lognormal] {
        assert!(reason(&whole, asked).contains("--shape"), "{}", reason(&whole, asked));
    }
    let held = group(table, |plan| (plan.shape, plan.ages) = (Some(2.5), vec![50.0]));
    for (group, asked, shape) in [(&whole, Law::Exponential, 1.0), (&held, Law::Weibull, 2.5)] {
        let Some(LawReport::Bound(bound)) = group.laws.iter().find(|report| report.law() == asked) else { panic!() };
        let life = bound.parameters[0].lower.unwrap();
        let expected: f64 =
            [(100.0, 20.0), (250.0, 5.0)].iter().map(|(age, count)| count * libm::pow(age / life, shape)).sum();
        assert!(close(libm::exp(-expected), 0.05, 1e-12), "{asked:?} {life}");
        assert_eq!((bound.parameters[0].estimate, bound.parameters[0].standard_error), (None, None));
        let share = bound.shares_failed[0].upper.unwrap();
        assert!(close(share, 1.0 - libm::exp(-libm::pow(50.0 / life, shape)), 1e-12), "{share}");
    }
}

#[test]
fn likelihoods_without_a_maximum_are_refused_with_what_to_do() {
    let tables = [
        ("time,event\n5,1\n5,1\n4,0\n", "all failures lie at age 5"),
        ("time,event\n50,1\n40,0\n", "all failures lie at age 50"),
        ("time,event\n1,1\n1.0000000001,1\n", "rises without end"),
        ("time,upper,event\n3,6,interval\n3,6,interval\n", "do not determine two parameters"),
    ];
    for (table, words) in tables {
        let whole = group(table, |_| {});
        for asked in [Law::Weibull, Law::Lognormal] {
            let reason = reason(&whole, asked);
            assert!(reason.contains(words) && reason.contains("--shape"), "{table}: {reason}");
        }
        let exponential = parameter(law(&whole, Law::Exponential), "mean_life");
        assert!(exponential.estimate.is_some() && exponential.lower < exponential.estimate, "{exponential:?}");
        // With its shape held the Weibull law has a maximum.
        let held = group(table, |plan| plan.shape = Some(2.0));
        let shape = parameter(law(&held, Law::Weibull), "shape");
        assert_eq!((shape.estimate, shape.standard_error, shape.held), (Some(2.0), None, true));
    }
}

/// With the shape held, η̂ = (Σ t^β / r)^(1/β): in closed form.
#[test]
fn a_held_shape_has_its_closed_form() {
    let whole = group("time,event\n50,1\n80,1\n40,0\n120,0\n", |plan| plan.shape = Some(3.0));
    let sum: f64 = [50.0_f64, 80.0, 40.0, 120.0].iter().map(|age| age * age * age).sum();
    let life = parameter(law(&whole, Law::Weibull), "characteristic_life");
    assert!(close(life.estimate.unwrap(), libm::cbrt(sum / 2.0), 1e-10), "{life:?}");
    // The standard error of ln η is 1/(β √r).
    assert!(close(life.standard_error.unwrap() / life.estimate.unwrap(), 1.0 / (3.0 * 2.0_f64.sqrt()), 1e-8));
}

#[test]
fn one_failure_says_so() {
    let whole = group("time,event\n5,1\n50,0\n40,0\n", |_| {});
    let weibull = law(&whole, Law::Weibull);
    assert!(weibull.notes.iter().any(|note| note.starts_with("one failure")), "{:?}", weibull.notes);
    assert_eq!(parameter(weibull, "characteristic_life").estimate, None);
    // What is known is that it is not below a bound.
    assert!(parameter(weibull, "characteristic_life").lower.is_some_and(|lower| lower > 5.0));
    assert_eq!(parameter(weibull, "characteristic_life").upper, None);
}

/// Half of the lives never fail: the share is found; where all fail it is one, and the other law is named.
#[test]
fn a_defective_share_is_found_or_is_one() {
    let mut table = "time,event,count\n".to_owned();
    (1..=40).for_each(|rank| {
        let share = (f64::from(rank) - 0.5) / 40.0;
        table.push_str(&format!("{},1,1\n", 100.0 * libm::pow(-libm::log1p(-share), 1.0 / 2.0)));
    });
    let all = group(&table, |plan| plan.laws = vec![Law::WeibullDefective]);
    let share = parameter(law(&all, Law::WeibullDefective), "defective_share");
    assert_eq!((share.estimate, share.standard_error, share.upper), (Some(1.0), None, Some(1.0)));
    assert!(share.lower.is_some_and(|lower| lower > 0.8), "{share:?}");
    table.push_str("2000,0,40\n");
    let half = group(&table, |plan| (plan.laws, plan.ages) = (vec![Law::WeibullDefective], vec![5000.0, 100.0]));
    let fitted = law(&half, Law::WeibullDefective);
    let share = parameter(fitted, "defective_share");
    assert!(close(share.estimate.unwrap(), 0.5, 1e-6), "{share:?}");
    // A binomial share: √(p(1 − p)/n).
    assert!(close(share.standard_error.unwrap(), (0.25_f64 / 80.0).sqrt(), 1e-3), "{share:?}");
    // By a great age all that can fail has failed; earlier a share of it, with about a binomial's error.
    let late = parameter(fitted, "F(5000)");
    for (late, share) in [
        (late.estimate, share.estimate),
        (late.standard_error, share.standard_error),
        (late.wald_upper, share.wald_upper),
    ] {
        assert!(close(late.unwrap(), share.unwrap(), 1e-9), "{late:?} {share:?}");
    }
    let early = parameter(fitted, "F(100)");
    assert!(close(early.estimate.unwrap(), 0.5 * (1.0 - libm::exp(-1.0)), 0.02), "{early:?}");
    let failed = early.estimate.unwrap();
    let error = early.standard_error.unwrap();
    assert!(
        error > 0.5 * (failed * (1.0 - failed) / 80.0).sqrt() && error < (failed * (1.0 - failed) / 80.0).sqrt(),
        "{early:?}"
    );
    let whole = law(&all, Law::WeibullDefective);
    assert!(close(fitted.scale, whole.scale, 1e-4) && close(fitted.location[0], whole.location[0], 1e-4));
}

#[test]
fn numbers_at_the_edge_of_f64_end_in_reasons() {
    for table in ["time,event\n1e-300,1\n1e300,1\n", "time,event\n1e308,1\n1e308,0\n", "time,event\n5e-324,1\n1,0\n"] {
        let whole = group(table, |plan| plan.laws.push(Law::WeibullDefective));
        for fitted in whole.laws.iter().filter_map(LawReport::fitted) {
            assert!(fitted.ln_likelihood.is_finite());
            for one in &fitted.parameters {
                let numbers = [one.estimate, one.standard_error, one.lower, one.upper];
                assert!(numbers.iter().flatten().all(|number| number.is_finite()), "{table}: {one:?}");
            }
        }
    }
}
