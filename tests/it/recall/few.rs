//! Lives that determine little: no failure, one, all failed, failures before the sale. A bound, or a reason with what to do.

use fleetwear::recall::RecallError;
use fleetwear::recall::plan::{RecallLivesPlan, Resampling};
use fleetwear::recall::report::Method;

use super::sized;

/// With no failure the upper bound is the largest K with (G / (E + G))^K > 5 %; never 0 ± 0.
#[test]
fn no_failure_is_bounded_by_the_likelihood() {
    let table = "time,event,count\n100,0,20\n250,0,5\n";
    for (shape, horizon) in [(2.0, 50.0), (1.0, 400.0), (3.5, 250.0)] {
        let group = sized(table, &[horizon], |plan| plan.table.shape = Some(shape)).unwrap();
        let power = |age: f64| libm::pow(age, shape);
        let past = 20.0 * power(100.0) + 5.0 * power(250.0);
        let future = 20.0 * (power(100.0 + horizon) - power(100.0)) + 5.0 * (power(250.0 + horizon) - power(250.0));
        let ln_share = libm::log(future / (past + future));
        let wanted = (libm::log(0.05) / ln_share).ceil() as i64 - 1;
        let one = &group.horizons[0];
        assert_eq!((one.lower, one.upper, one.expected), (0, wanted.min(25), None), "{shape} {horizon}");
        assert!(one.upper > 0, "{shape} {horizon}: 0 ± 0");
        let most = libm::log(20.0) * future / past;
        assert!((one.expected_upper.unwrap() / most - 1.0).abs() < 1e-9, "{one:?}");
        assert_eq!(group.method, Method::Conditional);
        assert!(group.notes[0].contains("nothing failed"), "{:?}", group.notes);
    }
    // The exponential law needs no shape.
    let group = sized(table, &[50.0], |plan| plan.table.laws = vec![fleetwear::fit::lives::law::Law::Exponential]);
    assert!(group.unwrap().horizons[0].upper > 0);
}

#[test]
fn too_few_failures_for_a_shape_are_refused_with_what_to_do() {
    let error = sized("time,event\n100,1\n250,0\n", &[50.0], |_| {}).unwrap_err();
    assert!(matches!(error, RecallError::TooFewFailures { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("--shape") && text.contains("--law exponential"), "{text}");
    let one = sized("time,event\n100,1\n250,0\n300,0\n", &[50.0], |plan| plan.table.shape = Some(2.0)).unwrap();
    // η² = (100² + 250² + 300²) / 1; 1 − exp(−(300² − 250²)/η²) and so on.
    let life = 100.0 * 100.0 + 250.0 * 250.0 + 300.0 * 300.0;
    let chance = |age: f64| 1.0 - libm::exp((age * age - (age + 50.0) * (age + 50.0)) / life);
    let wanted = chance(250.0) + chance(300.0);
    assert!((one.horizons[0].expected.unwrap() - wanted).abs() < 1e-9, "{one:?}");
    assert_eq!(one.horizons[0].upper, 2, "no more than are at risk");
}

/// Without a failure and without a shape there is a bound all the same: the widest of those over the shapes that are named.
#[test]
fn no_failure_and_no_shape_has_the_widest_bound() {
    let table = "time,event,count\n100,0,200\n250,0,50\n";
    let free =
        sized(table, &[50.0], |plan| (plan.resampling, plan.nested) = (Some(Resampling::Parametric), 9)).unwrap();
    let held = [1.0, 1.5, 2.0, 3.0, 4.0]
        .map(|shape| sized(table, &[50.0], |plan| plan.table.shape = Some(shape)).unwrap().horizons[0].upper);
    let one = &free.horizons[0];
    assert_eq!((one.lower, Some(&one.upper), one.expected), (0, held.iter().max(), None));
    assert!(held.iter().min() < held.iter().max() && free.shape.is_none());
    for words in ["between 1 and 4", "--method was not followed", "--nested was not followed"] {
        assert!(free.notes.iter().any(|note| note.contains(words)), "{words}: {:?}", free.notes);
    }
}

/// A unit sold today, or one whose watch begins today, can fail like any other.
#[test]
fn units_that_are_not_watched_yet_are_at_risk() {
    let table = "time,entry,event,count\n100,0,1,6\n150,0,1,8\n200,0,0,300\n";
    let new = format!("{table}0,0,0,1000\n120,120,0,40\n90,120,0,7\n");
    let of = |table: &str| sized(table, &[80.0], |plan| plan.replicates = 100).unwrap();
    let (before, after) = (of(table), of(&new));
    assert_eq!((before.at_risk, after.at_risk), (300.0, 1_340.0), "{:?}", after.notes);
    assert_eq!((before.shape, before.lives), (after.shape, after.lives), "they say nothing of the law");
    let (shape, life) = (after.shape.unwrap(), after.characteristic_life.unwrap());
    let hazard = |age: f64| libm::pow(age / life, shape);
    let more = 1_000.0 * (1.0 - libm::exp(-hazard(80.0))) + 40.0 * (1.0 - libm::exp(hazard(120.0) - hazard(200.0)));
    let found = after.horizons[0].expected.unwrap() - before.horizons[0].expected.unwrap();
    assert!((found / more - 1.0).abs() < 1e-9, "{found} {more}");
    assert!(after.notes[0].contains("1040 units"), "{:?}", after.notes);
}

/// Of a hundred million failures nothing is drawn one by one.
#[test]
fn huge_counts_take_random_weights() {
    let table = "time,event,count\n100,1,60000000\n150,1,40000000\n200,0,3000000000\n";
    let group = sized(table, &[50.0], |plan| plan.replicates = 100).unwrap();
    assert!(
        matches!(group.method, Method::Calibrated { resampling: Resampling::FractionalWeights, .. }),
        "{:?}",
        group.method
    );
    for (change, words) in [
        ((|plan| plan.resampling = Some(Resampling::Parametric)) as fn(&mut RecallLivesPlan), "--method"),
        (|plan| plan.nested = 2, "--nested"),
    ] {
        let error = sized(table, &[50.0], change).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
}

#[test]
fn a_shape_is_held_of_the_weibull_law_alone() {
    use fleetwear::fit::lives::law::Law;
    let table = "time,event\n5,1\n6,1\n9,0\n";
    for law in [Law::WeibullDefective, Law::Exponential, Law::Lognormal] {
        let change = |plan: &mut RecallLivesPlan| (plan.table.laws, plan.table.shape) = (vec![law], Some(2.0));
        let error = sized(table, &[1.0], change).unwrap_err().to_string();
        assert!(error.starts_with("--shape"), "{error}");
    }
}

#[test]
fn all_failed_leaves_nobody_at_risk() {
    let group = sized("time,event\n100,1\n250,1\n260,1\n", &[50.0], |_| {}).unwrap();
    assert_eq!(group.method, Method::NobodyAtRisk);
    let one = &group.horizons[0];
    assert_eq!((one.expected, one.lower, one.upper), (Some(0.0), 0, 0));
    assert!(group.notes[0].contains("add them as censored"), "{:?}", group.notes);
}

#[test]
fn few_failures_and_intervals_take_random_weights() {
    let few = "time,event,count\n100,1,1\n150,1,2\n200,0,50\n300,0,50\n";
    let intervals = "time,upper,event,count\n100,150,interval,5\n150,200,interval,9\n200,250,interval,6\n250,,0,300\n";
    for table in [few, intervals] {
        let group = sized(table, &[50.0], |plan| plan.replicates = 200).unwrap();
        let Method::Calibrated { resampling, .. } = group.method else { panic!("{:?}", group.method) };
        assert_eq!(resampling, Resampling::FractionalWeights);
        let one = &group.horizons[0];
        assert!(one.lower <= one.upper && one.upper > 0, "{one:?}");
    }
    let asked = sized(intervals, &[50.0], |plan| plan.resampling = Some(Resampling::Parametric)).unwrap_err();
    assert!(asked.to_string().contains("interval"), "{asked}");
}

/// Failures before the sale have a negative age: set aside and counted, by the table's reader.
#[test]
fn failures_before_the_sale_are_set_aside() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("lives.csv");
    std::fs::write(&path, "time,event,count\n-3,1,1\n0,1,1\n100,1,3\n150,1,3\n200,0,90\n").unwrap();
    let report = super::run(&path, &[50.0], |plan| plan.replicates = 100).unwrap();
    assert_eq!((report.rows_in, report.rows_used), (5, 3));
    let reasons: Vec<&str> = report.set_aside.iter().map(|one| one.reason).collect();
    assert!(reasons.iter().any(|one| one.contains("below zero")) && reasons.len() == 2, "{reasons:?}");
    assert_eq!(report.groups[0].failures, 6.0);
}

#[test]
fn lives_without_a_maximum_and_wrong_numbers_are_refused() {
    let error = sized("time,event\n5,1\n5,1\n4,0\n", &[1.0], |_| {}).unwrap_err();
    assert!(matches!(error, RecallError::NoFit { .. }) && error.to_string().contains("--shape"), "{error}");
    for horizon in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = sized("time,event\n5,1\n6,1\n9,0\n", &[horizon], |_| {}).unwrap_err();
        assert!(error.to_string().starts_with("--horizon"), "{error}");
    }
    let error = sized("time,event\n5,1\n6,1\n9,0\n", &[1.0], |plan| plan.confidence = 0.3).unwrap_err();
    assert!(error.to_string().starts_with("--confidence"), "{error}");
}
