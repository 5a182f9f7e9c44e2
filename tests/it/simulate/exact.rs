//! With weather that repeats itself and parameters that are known, a group's count is the sum of its parts' failures and
//! nothing else: its law is the exact convolution of the chances that stand in `forecasts`.

use std::collections::BTreeMap;

use fleetwear::simulate::count_law::mixture_below_and_up_to;
use fleetwear::simulate::large_parts::LARGE_CHANCE;

use super::{DAYS, counts, numbers, simulated, table, texts};
use crate::small_fleet::{Day, FIRST_DAY, Layout, Order, SmallFleet};

/// So sharp a law that no successor fails within a quarter.
const MODEL: &str = r#"
[model]
name = "steady"
version = "1"

[[failure_mode]]
id = "pads"
component = "brake_pad"
weibull_shape = 8.0
  [[failure_mode.mechanism]]
  id = "age"
  exposure = "days"
  characteristic_life = 400
"#;

/// Vehicles whose days are all alike, with pads of 250 to 424 days.
fn fleet(vehicles: usize) -> SmallFleet {
    let day = |vehicle: usize, day: i32| Day { vehicle, day: FIRST_DAY + day, temp: 90, humidity: 50, distance: 100 };
    let days = (0..vehicles).flat_map(|vehicle| (0..DAYS).map(move |one| day(vehicle, one))).collect();
    let replaced = |vehicle: usize| Order {
        vehicle,
        component: "brake_pad",
        position: None,
        kind: "R",
        day: FIRST_DAY + (vehicle * 37 % 174) as i32,
    };
    SmallFleet { text_ids: true, listed: vehicles, days, orders: (0..vehicles).map(replaced).collect() }
}

/// The chance of each number of failures of parts with these chances.
fn convolution(chances: &[f64]) -> Vec<f64> {
    let mut law = vec![1.0];
    for p in chances {
        let mut next = vec![0.0; law.len() + 1];
        for (count, chance) in law.iter().enumerate() {
            next[count] += chance * (1.0 - p);
            next[count + 1] += chance * p;
        }
        law = next;
    }
    law
}

/// The largest difference between the distribution of a law and that of a convolution.
fn apart(law: &[fleetwear::simulate::count_law::CountLaw], exact: &[f64]) -> f64 {
    let mut up_to = 0.0;
    let differences = (0..).zip(exact).map(|(count, chance)| {
        up_to += chance;
        (mixture_below_and_up_to(law, count).1 - up_to).abs()
    });
    differences.fold(0.0, f64::max)
}

#[test]
fn the_law_of_a_count_is_the_convolution_of_its_parts_chances() {
    let plan = |plan: &mut fleetwear::engine::SimulatePlan| {
        std::fs::write(&plan.model, MODEL).unwrap();
        (plan.keep_laws, plan.horizon_weeks) = (true, 13);
    };
    simulated(&fleet(48), Layout::ByVehicle(2), plan, |out, report| {
        let rows = table(out, "forecasts");
        let columns = ["p_fail_30d", "p_fail_60d", "p_fail_90d"].map(|name| numbers(&rows, name));
        let rows = table(out, "fleet_forecast");
        let [by, windows] = ["group_by", "window"].map(|name| texts(&rows, name));
        let quantiles = ["p05", "p50", "p95"].map(|name| counts(&rows, name));
        let of_marks = (0..by.len())
            .filter(|&row| by[row].as_deref() == Some("fleet") && windows[row].as_deref() == Some("to_date"));
        let in_table: Vec<[i64; 3]> = of_marks.map(|row| [0, 1, 2].map(|at: usize| quantiles[at][row])).collect();
        let laws: BTreeMap<i32, _> = (report.laws.iter())
            .filter(|law| law.group_by == "fleet" && law.window.name == "to_date")
            .map(|law| (law.window.days.1 - law.window.days.0 + 1, law))
            .collect();
        for (at, days) in [30, 60, 90].into_iter().enumerate() {
            let chances: Vec<f64> = columns[at].iter().map(|chance| chance.unwrap()).collect();
            let least = chances.iter().copied().fold(1.0, f64::min);
            assert!(chances.len() == 48 && (least > LARGE_CHANCE) == (at > 0), "{days}: {least}");
            let (law, exact) = (laws[&days], convolution(&chances));
            // Small chances are joined in a law of their own, of the same moments.
            let off = apart(&law.on_paths, &exact);
            // Successors add some millionths of a failure.
            assert!(off < if at > 0 { 2e-5 } else { 1e-3 }, "{days} days: {off}");
            assert!(law.variance.weather + law.variance.parameters < 1e-20, "{days} days: {:?}", law.variance);
            let mut up_to = 0.0;
            let below: Vec<f64> = exact
                .iter()
                .map(|chance| {
                    up_to += chance;
                    up_to
                })
                .collect();
            let quantile = |level: f64| below.iter().position(|&up_to| up_to >= level).unwrap() as i64;
            assert_eq!(in_table[at], [0.05, 0.5, 0.95].map(quantile), "{days} days");
            // Neither a part in a hundred more nor the law of Poisson would do.
            let more: Vec<f64> = chances.iter().map(|p| (1.01 * p).min(1.0)).collect();
            assert!(apart(&law.on_paths, &convolution(&more)) > 3e-3, "{days} days");
            let mean: f64 = chances.iter().sum();
            let poisson: Vec<f64> = (0..80)
                .map(|k| libm::exp(f64::from(k) * libm::log(mean) - mean - libm::lgamma(f64::from(k) + 1.0)))
                .collect();
            assert!(apart(&law.on_paths, &poisson) > 0.02, "{days} days");
        }
    });
}
