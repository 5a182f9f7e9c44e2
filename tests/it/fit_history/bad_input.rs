//! Few failures, none, contradictions: a clear error or a defined, flagged result.

use fleetwear::engine::fit::{Fitted, Reading};
use fleetwear::engine::{EngineError, FitPlan, fit, fit_histories};
use fleetwear::fit::history::lives::{BEFORE_SERVICE, REPEATED, UNKNOWN_START};
use fleetwear::fit::history::{FitRequest, HistoryFit, Status};
use fleetwear::fleet::dataset::Dataset;
use fleetwear::model::spec::Model;
use fleetwear::run::Control;

use crate::small_fleet::{Day, FIRST_DAY, Layout, Order, SmallFleet};

/// One failure rate, so that every answer has a closed form.
const RANDOM: &str = r#"
[model]
name = "random"
version = "1"

[[failure_mode]]
id = "pads"
component = "brake_pad"
weibull_shape = 1.0
free = ["weibull_shape"]
  [[failure_mode.mechanism]]
  id = "age"
  exposure = "days"
  characteristic_life = 700
  free = ["characteristic_life"]
"#;

const DAYS: i32 = 200;

/// Twelve vehicles with two hundred days each; those whose number four divides have no date of sale.
fn fleet(orders: &[Order]) -> SmallFleet {
    let day = |vehicle: usize, day: i32| Day { vehicle, day: FIRST_DAY + day, temp: 100, humidity: 50, distance: 60 };
    let days = (0..12).flat_map(|vehicle| (0..DAYS).map(move |one| day(vehicle, one))).collect();
    SmallFleet { text_ids: true, listed: 12, days, orders: orders.to_vec() }
}

fn order(vehicle: usize, component: &'static str, kind: &'static str, day: i32) -> Order {
    Order { vehicle, component, position: None, kind, day: FIRST_DAY + day }
}

fn try_fitted(
    orders: &[Order],
    model: &str,
    change: impl FnOnce(&mut FitRequest),
) -> Result<(Fitted, Model), EngineError> {
    let folder = tempfile::tempdir().unwrap();
    fleet(orders).write(folder.path(), Layout::ByVehicle(2));
    let model = Model::parse(model, "random.toml").unwrap();
    let dataset = Dataset::open(folder.path(), 2, &Control::silent()).unwrap();
    let mut request = FitRequest::new(FIRST_DAY + DAYS - 1, 1);
    change(&mut request);
    let (done, _) = fit_histories(&dataset, &model, &request, &Reading::default(), &Control::silent())?;
    Ok((done, model))
}

fn fitted(orders: &[Order], model: &str) -> HistoryFit {
    try_fitted(orders, model, |_| {}).unwrap().0.fit
}

/// Closed form: a day is survived with the same chance, `failures` of `days` were not.
fn life_of(failures: f64, days: f64) -> f64 {
    -1.0 / libm::log1p(-failures / days)
}

#[test]
fn no_failure_gives_a_bound() {
    let fit = fitted(&[order(1, "horn", "F", 9), order(1, "brake_pad", "R", 50)], RANDOM);
    let [shape, life] = &fit.groups[0].estimates[..] else { panic!("two parameters") };
    assert_eq!((life.status.clone(), life.value, life.standard_error), (Status::BoundOnly, 700.0, None));
    assert!(matches!(shape.status, Status::Held(_)) && life.upper.is_none());
    // Nine vehicles with a date of sale; a rate under which none in twenty fleets would see no failure.
    let exact = 9.0 * 200.0 / libm::log(20.0);
    assert!((life.lower.unwrap() / exact - 1.0).abs() < 1e-5, "{:?} {exact}", life.lower);
    assert!(fit.warnings.iter().any(|text| text.contains("no part failed")));
    assert!(fit.fitted(&Model::parse(RANDOM, "m").unwrap()).covariance.is_none());
}

#[test]
fn one_failure_gives_a_life_with_an_interval() {
    let fit = fitted(&[order(1, "brake_pad", "F", 49)], RANDOM);
    let [shape, life] = &fit.groups[0].estimates[..] else { panic!("two parameters") };
    assert_eq!(shape.status, Status::Held("1 failure: fewer than 5".to_owned()));
    let days = 8.0 * 200.0 + 50.0;
    assert!((life.value / life_of(1.0, days) - 1.0).abs() < 1e-5, "{}", life.value);
    assert!((life.standard_error.unwrap() / life.value - 1.0).abs() < 0.2, "one failure: as large as the life");
    // Ends of the likelihood-ratio interval: ln x + 1 − x = −1.92 with x = L̂ / L.
    let (lower, upper) = (life.lower.unwrap() / life.value, life.upper.unwrap() / life.value);
    for end in [lower, upper] {
        assert!((1.0 - 1.0 / end - libm::log(end) + 1.9207).abs() < 0.01, "{end}");
    }
    assert!(lower < 0.4 && upper > 10.0);
}

#[test]
fn all_failed_and_failures_that_nobody_can_place() {
    let mut orders: Vec<Order> =
        (0..12).map(|vehicle| order(vehicle, "brake_pad", "F", 10 + 15 * vehicle as i32)).collect();
    // Twice the same order, one more of a part that has failed, and one before the sale.
    orders.push(orders[1]);
    orders.push(order(1, "brake_pad", "F", 60));
    orders.push(order(3, "brake_pad", "F", -30));
    let fit = fitted(&orders, &RANDOM.replace("free = [\"weibull_shape\"]", ""));
    let group = &fit.groups[0];
    let days: i32 = (0..12).filter(|vehicle| vehicle % 4 > 0).map(|vehicle| 11 + 15 * vehicle).sum();
    assert!((group.estimates[0].value / life_of(9.0, f64::from(days)) - 1.0).abs() < 1e-5);
    assert_eq!((group.counts.lives, group.failures), (9, 9));
    assert_eq!((group.counts.orders[REPEATED], group.counts.orders[BEFORE_SERVICE]), (1, 1));
    // Vehicles without a date of sale are not looked at, unless a replacement says when a part began.
    assert_eq!(fit.vehicles, 9);
    let fit = fitted(&[&orders[..], &[order(0, "brake_pad", "R", 40)]].concat(), RANDOM);
    assert_eq!((fit.vehicles, fit.groups[0].counts.lives), (10, 10));
    assert_eq!(fit.groups[0].counts.left_out[UNKNOWN_START].failures, 1);
}

#[test]
fn replacements_before_a_failure_and_after_the_end() {
    // Repaired two days before it failed: the successor failed. Nothing after the as-of day is known.
    let orders = [order(1, "brake_pad", "R", 60), order(1, "brake_pad", "F", 62), order(2, "brake_pad", "F", 150)];
    let fit = try_fitted(&orders, RANDOM, |request| request.as_of_day = FIRST_DAY + 99).unwrap().0.fit;
    let group = &fit.groups[0];
    assert_eq!((group.counts.lives, group.failures), (10, 1));
    let days = 8.0 * 100.0 + 61.0 + 2.0;
    assert!((group.estimates[1].value / life_of(1.0, days) - 1.0).abs() < 1e-5, "{}", group.estimates[1].value);
}

#[test]
fn nothing_later_than_the_as_of_day_counts() {
    let orders: Vec<Order> = (0..12).map(|vehicle| order(vehicle, "brake_pad", "F", 20 * vehicle as i32)).collect();
    let as_of = FIRST_DAY + 120;
    let whole = try_fitted(&orders, RANDOM, |request| request.as_of_day = as_of).unwrap().0.fit;
    let folder = tempfile::tempdir().unwrap();
    let mut cut = fleet(&orders);
    cut.days.retain(|day| day.day <= as_of);
    cut.orders.retain(|order| order.day <= as_of);
    cut.write(folder.path(), Layout::ByVehicle(2));
    let dataset = Dataset::open(folder.path(), 2, &Control::silent()).unwrap();
    let request = FitRequest::new(as_of, 1);
    let model = Model::parse(RANDOM, "random.toml").unwrap();
    let (done, _) = fit_histories(&dataset, &model, &request, &Reading::default(), &Control::silent()).unwrap();
    assert_eq!(whole.groups[0].estimates, done.fit.groups[0].estimates);
    assert_eq!(whole.groups[0].counts, done.fit.groups[0].counts);
    let later = try_fitted(&orders, RANDOM, |_| {}).unwrap().0.fit;
    assert!(whole.groups[0].estimates != later.groups[0].estimates, "the rest would change it");
}

#[test]
fn names_that_nothing_is_called_by() {
    let orders = [order(1, "brake_pad", "F", 49)];
    let other = fitted(&orders, &RANDOM.replace("\"brake_pad\"", "\"brake_pads\""));
    assert!(other.warnings.iter().any(|text| text.contains("did you mean \"brake_pad\"?")), "{:?}", other.warnings);
    let refused = |model: &str, change: &dyn Fn(&mut FitRequest)| {
        try_fitted(&orders, model, change).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let error = refused(RANDOM, &|request| request.modes = Some(vec!["pad".to_owned()]));
    assert!(error.contains("no failure mode \"pad\" (did you mean \"pads\"?)"), "{error}");
    let nothing = RANDOM.replace("free = [\"weibull_shape\"]\n", "").replace("free = [\"characteristic_life\"]", "");
    assert!(refused(&nothing, &|_| {}).contains("no parameter is free"));
    let error = try_fitted(&[order(1, "brake_pad", "R", 49)], RANDOM, |_| {}).err().map(|error| error.to_string());
    assert!(error.is_some_and(|error| error.contains("no event of the dataset is a failure")));
}

#[test]
fn what_cannot_be_told_apart_is_named() {
    let orders: Vec<Order> =
        (0..12).map(|vehicle| order(vehicle, "brake_pad", "F", 10 + 15 * vehicle as i32)).collect();
    // One mechanism: exponent × shape.
    let powers = RANDOM
        .replace("characteristic_life = 700", "characteristic_life = 700\n  clock_exponent = 0.5")
        .replace("[\"characteristic_life\"]", "[\"characteristic_life\", \"clock_exponent\"]");
    let fit = fitted(&orders, &powers);
    let held: Vec<_> = fit.estimates().filter(|one| matches!(one.status, Status::Held(_))).collect();
    assert!(
        held.len() == 1 && held[0].status.reason().is_some_and(|why| why.contains("clock_exponent × weibull_shape"))
    );
    // Every day every vehicle drives as far: days and kilometres cannot be told apart.
    let both = format!(
        "{RANDOM}  [[failure_mode.mechanism]]\n  id = \"rolling\"\n  exposure = \"distance_km\"\n  \
         characteristic_life = 30000\n  free = [\"characteristic_life\"]\n"
    );
    let fit = fitted(&orders, &both);
    let flat: Vec<_> = fit.estimates().filter(|one| matches!(one.status, Status::NotIdentifiable(_))).collect();
    assert_eq!(flat.len(), 2, "{:?}", fit.estimates().map(|one| &one.status).collect::<Vec<_>>());
    assert!(flat.iter().all(|one| one.standard_error.is_none()));
    // A condition that no record meets.
    let never = RANDOM.replace(
        "free = [\"characteristic_life\"]",
        "free = [\"characteristic_life\", \"hot.ratio\"]\n  interactions = [{ id = \"hot\", when = { temp_c = \"> 50\", humidity_pct = \"> 10\" }, ratio = 2.0 }]",
    );
    let fit = fitted(&orders, &never);
    let held: Vec<_> = fit.estimates().filter_map(|one| one.status.reason()).collect();
    assert_eq!(held, ["nothing in the data depends on it"]);
}

#[test]
fn a_folder_holds_a_model_that_parses() {
    let folder = tempfile::tempdir().unwrap();
    let orders: Vec<Order> =
        (0..12).map(|vehicle| order(vehicle, "brake_pad", "F", 10 + 15 * vehicle as i32)).collect();
    fleet(&orders).write(folder.path(), Layout::ByDay(3));
    let path = folder.path().join("random.toml");
    std::fs::write(&path, RANDOM).unwrap();
    let out = folder.path().join("fitted");
    let plan = FitPlan::new(folder.path().to_path_buf(), path.to_string_lossy(), out.clone());
    let report = fit(&plan, &Control::silent()).unwrap();
    let fitted = Model::load(&out.join("model.toml").to_string_lossy()).unwrap();
    let life = report.fit.estimates().find(|one| one.path.name(&report.model).ends_with("life")).unwrap();
    assert!((fitted.modes[0].mechanisms[0].characteristic_life / life.value - 1.0).abs() < 1e-8);
    let covariance = fitted.covariance.as_ref().unwrap();
    assert_eq!(covariance.parameters.len(), 2);
    let error = life.standard_error.unwrap() / life.value;
    let carried: f64 = covariance.cholesky[1].iter().map(|one| one * one).sum();
    assert!((libm::sqrt(carried) / error - 1.0).abs() < 1e-6, "{carried} {error}");
    assert_eq!(
        report.fit.fitted(&report.model).covariance.map(|one| one.parameters),
        fitted.covariance.map(|one| one.parameters)
    );
    for table in ["estimates", "covariance", "lives"] {
        assert!(out.join(table).join("part-00000.parquet").exists(), "{table}");
    }
}
