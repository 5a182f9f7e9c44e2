//! Lives that determine little: no failure, one, all failed, failures before the sale. A bound, or a reason with what to do.

use fleetwear::recall::RecallError;
use fleetwear::recall::plan::Resampling;
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
        assert_eq!(group.method, Method::Conditional);
        assert!(group.notes[0].contains("nothing failed"), "{:?}", group.notes);
    }
    // The exponential law needs no shape.
    let group = sized(table, &[50.0], |plan| plan.table.laws = vec![fleetwear::fit::lives::law::Law::Exponential]);
    assert!(group.unwrap().horizons[0].upper > 0);
}

#[test]
fn too_few_failures_for_a_shape_are_refused_with_what_to_do() {
    for table in ["time,event\n100,0\n250,0\n", "time,event\n100,1\n250,0\n"] {
        let error = sized(table, &[50.0], |_| {}).unwrap_err();
        assert!(matches!(error, RecallError::TooFewFailures { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("--shape") && text.contains("--law exponential"), "{text}");
    }
    let one = sized("time,event\n100,1\n250,0\n300,0\n", &[50.0], |plan| plan.table.shape = Some(2.0)).unwrap();
    // η² = (100² + 250² + 300²) / 1; 1 − exp(−(300² − 250²)/η²) and so on.
    let life = 100.0 * 100.0 + 250.0 * 250.0 + 300.0 * 300.0;
    let chance = |age: f64| 1.0 - libm::exp((age * age - (age + 50.0) * (age + 50.0)) / life);
    let wanted = chance(250.0) + chance(300.0);
    assert!((one.horizons[0].expected.unwrap() - wanted).abs() < 1e-9, "{one:?}");
    assert_eq!(one.horizons[0].upper, 2, "no more than are at risk");
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
