//! Poor data give defined results with flags; what makes no sense is refused, with the nearest name.

use fleetwear::engine::{EngineError, SimulatePlan, simulate};
use fleetwear::run::Control;
use fleetwear::simulate::expected::CountKind;

use super::{DAYS, assert_defined, simulated, steady_fleet, table, texts};
use crate::small_fleet::{FIRST_DAY, Layout, SmallFleet};

/// The flags of a vehicle's rows.
fn flags(out: &std::path::Path, vehicle: usize) -> Vec<String> {
    let rows = table(out, "forecasts");
    let id = format!("VIN{}", SmallFleet::id(vehicle));
    let rows = texts(&rows, "vin").into_iter().zip(texts(&rows, "flags"));
    rows.filter(|(vin, _)| vin.as_deref() == Some(&id)).filter_map(|(_, flags)| flags).collect()
}

#[test]
fn poor_histories_are_forecast_and_flagged() {
    let mut fleet = steady_fleet(12);
    let today = FIRST_DAY + DAYS - 1;
    fleet.days.retain(|day| match day.vehicle {
        // Three weeks; half a year; four months missing; silent for months; no record at all.
        1 => day.day > today - 21,
        2 => day.day > today - 180,
        3 => !(FIRST_DAY + 100..FIRST_DAY + 220).contains(&day.day),
        4 => day.day < today - 60,
        5 => false,
        _ => true,
    });
    fleet.listed = 11;
    simulated(
        &fleet,
        Layout::ByVehicle(1),
        |plan| plan.horizon_weeks = 104,
        |out, report| {
            assert_eq!(report.vehicles, 12);
            assert_defined(out);
            let has = |vehicle: usize, flag: &str| {
                flags(out, vehicle).iter().all(|flags| flags.split(',').any(|one| one == flag))
            };
            assert!(has(1, "short_history") && has(1, "horizon_beyond_records"), "{:?}", flags(out, 1));
            assert!(has(2, "seasons_from_cohort") && has(3, "gaps_from_cohort") && has(4, "no_recent_records"));
            assert!(has(5, "no_records") && has(11, "unlisted_vehicle"));
            assert!(!has(6, "short_history") && !has(6, "seasons_from_cohort") && !has(6, "gaps_from_cohort"));
        },
    );
}

#[test]
fn a_horizon_beyond_a_zones_records_is_flagged_there_alone() {
    let mut fleet = steady_fleet(9);
    // Zones are models here: that of 1, 4 and 7 has forty weeks, the others sixty.
    fleet.days.retain(|day| day.vehicle % 3 != 1 || day.day > FIRST_DAY + DAYS - 1 - 7 * 40);
    let run = |weeks: usize| {
        simulated(
            &fleet,
            Layout::ByVehicle(1),
            |plan| plan.horizon_weeks = weeks,
            |out, report| {
                assert_defined(out);
                let flagged = |vehicle: usize| {
                    let rows = flags(out, vehicle);
                    assert_eq!(rows.len(), 3);
                    rows.iter().all(|flags| flags.split(',').any(|one| one == "horizon_beyond_records"))
                };
                let warned: Vec<String> =
                    report.warnings.iter().filter(|text| text.starts_with("the horizon is")).cloned().collect();
                ((0..9).map(flagged).collect::<Vec<bool>>(), warned)
            },
        )
    };
    let (flagged, warned) = run(52);
    assert_eq!(flagged, [false, true, false, false, true, false, false, true, false]);
    assert!(warned.len() == 1 && warned[0].contains("52 weeks") && warned[0].contains("1 of 3 zones"), "{warned:?}");
    let (flagged, warned) = run(39);
    assert!(!flagged.contains(&true) && warned.is_empty(), "{flagged:?} {warned:?}");
    assert!(!run(61).0.contains(&false), "beyond the longest too");
}

/// Each vehicle the only one of its zone and its group, one with ten days, one with none: nobody to learn from.
#[test]
fn vehicles_alone_in_zone_and_group_are_forecast_and_flagged() {
    let mut fleet = steady_fleet(3);
    fleet.days.retain(|day| match day.vehicle {
        1 => day.day >= FIRST_DAY + DAYS - 10,
        2 => false,
        _ => true,
    });
    simulated(
        &fleet,
        Layout::ByVehicle(1),
        |plan| plan.horizon_weeks = 104,
        |out, report| {
            assert_eq!((report.vehicles, report.rows), (3, 9));
            assert_defined(out);
            let has = |vehicle: usize, flag: &str| {
                flags(out, vehicle).iter().all(|flags| flags.split(',').any(|one| one == flag))
            };
            assert!(has(1, "short_history") && has(1, "season_not_on_record"), "{:?}", flags(out, 1));
            assert!(has(2, "no_records") && !has(0, "short_history"), "{:?}", flags(out, 2));
            // A group of one: its counts are 0 and 1 at most a renewal, its shares add to one.
            let rows = table(out, "fleet_forecast");
            let (by, expected) = (texts(&rows, "group_by"), super::numbers(&rows, "expected"));
            let of_groups: Vec<f64> = (0..by.len())
                .filter(|&row| by[row].as_deref() == Some("model"))
                .filter_map(|row| expected[row])
                .collect();
            assert!(!of_groups.is_empty() && of_groups.iter().all(|count| (0.0..4.0).contains(count)));
        },
    );
}

#[test]
fn almost_no_records_still_give_forecasts() {
    for days in [1, 5, 15, 40] {
        let mut fleet = steady_fleet(3);
        fleet.days.retain(|day| day.day < FIRST_DAY + days);
        fleet.orders.clear();
        simulated(
            &fleet,
            Layout::ByVehicle(1),
            |_| (),
            |out, report| {
                assert_eq!(report.rows, 9, "{days} days");
                assert_defined(out);
            },
        );
    }
}

#[test]
fn a_single_vehicle_a_single_path_and_a_week() {
    simulated(
        &steady_fleet(1),
        Layout::ByVehicle(1),
        |plan| (plan.paths, plan.horizon_weeks) = (1, 1),
        |out, report| {
            assert_eq!((report.vehicles, report.rows), (1, 3));
            assert_defined(out);
            let rows = table(out, "forecasts");
            assert!(super::numbers(&rows, "p_fail_30d").iter().all(Option::is_none), "beyond the horizon");
        },
    );
}

/// The error of a plan on a small fleet.
fn refused(change: impl FnOnce(&mut SimulatePlan)) -> EngineError {
    let folder = tempfile::tempdir().unwrap();
    let model = steady_fleet(2).write(folder.path(), Layout::ByVehicle(1)).to_string_lossy().into_owned();
    let mut plan = SimulatePlan::new(folder.path().to_path_buf(), model, folder.path().join("out"));
    change(&mut plan);
    let error = simulate(&plan, &Control::silent()).unwrap_err();
    assert!(!plan.out.exists(), "nothing is left behind");
    error
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    let error = refused(|plan| plan.groups = Some(vec!["modle".into()])).to_string();
    assert!(error.contains("--groups: no attribute \"modle\" (did you mean \"model\"?)"), "{error}");
    let error = refused(|plan| plan.zones = Some("zone".into())).to_string();
    assert!(error.contains("--zones: no attribute \"zone\"") && error.contains("the dataset has model"), "{error}");
    let scenario = |text: &'static str| {
        refused(move |plan| {
            let path = plan.data.join("scenario.toml");
            std::fs::write(&path, text).unwrap();
            plan.scenario = Some(path);
        })
        .to_string()
    };
    let error = scenario("[[change]]\nchannel = \"temp_cc\"\nadd = 1.0\n");
    assert!(error.contains("scenario.toml:2") && error.contains("did you mean \"temp_c\"?"), "{error}");
    let error = scenario("[[remove]]\ninteraction = \"cold_humd\"\n");
    assert!(error.contains("did you mean \"cold_humid\"?"), "{error}");
}

#[test]
fn reports_are_not_counted_where_none_is_dated() {
    let error = refused(|plan| plan.count = CountKind::Reports).to_string();
    assert!(error.starts_with("--count reports: fewer than 30 failures") && error.contains("reported_on"), "{error}");
}

#[test]
fn numbers_out_of_range_are_refused() {
    for change in [
        (|plan: &mut SimulatePlan| plan.paths = 0) as fn(&mut SimulatePlan),
        |plan| plan.paths = 1 << 20,
        |plan| plan.horizon_weeks = 0,
        |plan| plan.horizon_weeks = 5_000,
    ] {
        let error = refused(change).to_string();
        assert!(error.starts_with("--") && error.contains("expected 1 to"), "{error}");
    }
}

#[test]
fn an_alert_that_looks_beyond_the_horizon_is_said_to_be_missing() {
    let warned = |weeks: usize| {
        let change = |plan: &mut SimulatePlan| {
            let text = std::fs::read_to_string(&plan.model).unwrap();
            let alert = "id = \"pads\"\nalert = { horizon_days = 60, cost_false_call = 1.0, cost_missed = 3.5 }";
            std::fs::write(&plan.model, text.replace("id = \"pads\"", alert)).unwrap();
            plan.horizon_weeks = weeks;
        };
        simulated(&steady_fleet(6), Layout::ByVehicle(1), change, |_, report| {
            report.warnings.iter().filter(|text| text.contains("no part is alerted")).cloned().collect::<Vec<_>>()
        })
    };
    // Sixty days are eight weeks and four days.
    let said = warned(8);
    assert!(said.len() == 1 && said[0].contains("pads") && said[0].contains("--horizon-weeks 9"), "{said:?}");
    assert!(warned(9).is_empty());
}
