//! Chances of parts against a plain f64 computation from the definition: clocks from the model's formulas, futures by
//! replaying days, the life law written out. Shared with the program: which weeks are drawn.

use std::collections::BTreeMap;

use fleetwear::simulate::parameters::weather_of_paths;
use fleetwear::simulate::paths::{DrawPlan, ZoneRecord, draw};

use super::{DAYS, numbers, simulated, steady_fleet, table, texts};
use crate::small_fleet::{Day, FIRST_DAY, Layout, SmallFleet};

/// Lives that a day uses up, mechanisms of the model in order: pads rolling, noise age, noise rolling.
fn lives(day: &Day, model_is_m2: bool) -> [f64; 3] {
    let (temp_c, humidity) = (-40.0 + 0.5 * f64::from(day.temp), f64::from(day.humidity));
    let distance_km = 0.5 * f64::from(day.distance);
    let cold_humid = model_is_m2 && temp_c < 5.0 && humidity > 80.0;
    [
        distance_km / 20_000.0 * libm::exp(0.02 * (temp_c - 20.0)),
        1.0 / 2_000.0 * if cold_humid { 3.2 } else { 1.0 },
        distance_km / 90_000.0,
    ]
}

fn hazard(clocks: &[f64], mode: &str) -> f64 {
    match mode {
        "pads" => libm::pow(clocks[0].sqrt(), 2.0),
        _ => libm::pow(clocks[1] + clocks[2], 1.5),
    }
}

/// Vehicle id, mode, position.
type Part = (String, String, String);

/// The chance to fail within so many days each, a mean over paths.
fn chances(fleet: &SmallFleet, vehicles: usize, days: &[i32], seed: u64) -> BTreeMap<Part, Vec<f64>> {
    let today = FIRST_DAY + DAYS - 1;
    // Mondays are days 4 of the count since 1970, modulo 7; the first whole week of the records, and the last.
    let first_monday = (FIRST_DAY..).find(|day| day % 7 == 4).unwrap();
    let weeks = ((today + 1 - first_monday) / 7) as usize;
    let zones = ["M1", "M2", ""].map(|name| ZoneRecord { name: name.into(), on_record: vec![true; weeks] });
    let drawn = draw(&DrawPlan {
        zones: &zones,
        first_week: (first_monday + 3) / 7,
        as_of_day: today,
        horizon_weeks: 30,
        weather: &weather_of_paths(16, false),
        seed,
    });
    let mut chances = BTreeMap::new();
    for vehicle in 0..vehicles {
        let own: Vec<&Day> = fleet.days.iter().filter(|day| day.vehicle == vehicle).collect();
        let is_m2 = vehicle % 3 == 1;
        let week_of = |source: usize| -> [f64; 3] {
            let monday = first_monday + 7 * source as i32;
            let mut sum = [0.0; 3];
            for day in own.iter().filter(|day| (monday..monday + 7).contains(&day.day)) {
                for (sum, lives) in sum.iter_mut().zip(lives(day, is_m2)) {
                    *sum += lives;
                }
            }
            sum
        };
        let profile: Vec<[f64; 3]> = (0..weeks).map(week_of).collect();
        for (mode, component, position) in
            [("pads", "brake_pad", ""), ("noise", "bearing", "left"), ("noise", "bearing", "right")]
        {
            let replaced = fleet.orders.iter().filter(|order| {
                order.vehicle == vehicle
                    && order.component == component
                    && order.position.unwrap_or_default() == position
            });
            let start = replaced.map(|order| order.day).max().unwrap_or(i32::MIN);
            let mut clocks = [0.0; 3];
            for day in own.iter().filter(|day| day.day > start) {
                for (clock, lives) in clocks.iter_mut().zip(lives(day, is_m2)) {
                    *clock += lives;
                }
            }
            let within = |days: i32| -> f64 {
                let mut sum = 0.0;
                for path in 0..16 {
                    let mut later = clocks;
                    for week in 0..30 {
                        let left = days - 7 * week as i32;
                        let share = f64::from(left.clamp(0, 7)) / 7.0;
                        let source = drawn.source_week[(vehicle % 3 * 16 + path) * 30 + week];
                        for (clock, lives) in later.iter_mut().zip(profile[usize::from(source)]) {
                            *clock += share * lives;
                        }
                    }
                    sum -= libm::expm1(hazard(&clocks, mode) - hazard(&later, mode));
                }
                sum / 16.0
            };
            let key = (format!("VIN{}", SmallFleet::id(vehicle)), mode.to_owned(), position.to_owned());
            chances.insert(key, days.iter().map(|&days| within(days)).collect());
        }
    }
    chances
}

#[test]
fn chances_agree_with_the_definition() {
    let fleet = steady_fleet(18);
    let found = |days: u32, seed: u64| {
        let change = |plan: &mut fleetwear::engine::SimulatePlan| plan.seed = seed;
        simulated(&fleet, Layout::ByDay(30), change, |out, _| {
            let rows = table(out, "forecasts");
            let ids = texts(&rows, "vin");
            let (modes, positions) = (texts(&rows, "failure_mode"), texts(&rows, "position"));
            let chances = numbers(&rows, &format!("p_fail_{days}d"));
            let rows = ids.into_iter().zip(modes).zip(positions).zip(chances);
            rows.map(|(((id, mode), position), p)| {
                ((id.unwrap(), mode.unwrap(), position.unwrap_or_default()), p.unwrap())
            })
            .collect::<BTreeMap<_, _>>()
        })
    };
    for days in [30, 90] {
        let (found, expected) = (found(days, 5), chances(&fleet, 18, &[days as i32], 5));
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        let mut worst = 0.0_f64;
        for (key, p) in &expected {
            let p = p[0];
            let off = (found[key] / p - 1.0).abs();
            assert!(p > 1e-7 && off < 4e-4, "{days} days, {key:?}: {} instead of {p}", found[key]);
            worst = worst.max(off);
        }
        // Clocks are within 1e-4 of their formulas and chances within 1e-4 of their clocks.
        assert!(worst > 1e-9, "{worst}: the oracle is not independent");
        let other = chances(&fleet, 18, &[days as i32], 6);
        let differs = |key: &Part| (found[key] / other[key][0] - 1.0).abs() > 4e-4;
        assert!(other.keys().any(differs), "another seed's futures would pass too");
    }
}

/// Days until the chance reaches a level, evenly within a week; `None`: not within 30 weeks.
fn days_until(level: f64, by_week: &[f64]) -> Option<f64> {
    let week = by_week.iter().position(|&chance| chance >= level)?;
    let before = if week > 0 { by_week[week - 1] } else { 0.0 };
    Some(7.0 * (week as f64 + (level - before) / (by_week[week] - before)))
}

#[test]
fn lives_left_agree_with_the_definition() {
    let (fleet, vehicles) = (steady_fleet(18), 18);
    let weeks: Vec<i32> = (1..=30).map(|week| 7 * week).collect();
    let chances = chances(&fleet, vehicles, &weeks, 5);
    let last_year = |day: &&Day| day.day > FIRST_DAY + DAYS - 1 - 365;
    let km_per_day: BTreeMap<String, f64> = (0..vehicles)
        .map(|vehicle| {
            let days = fleet.days.iter().filter(|day| day.vehicle == vehicle).filter(last_year);
            let km: f64 = days.map(|day| 0.5 * f64::from(day.distance)).sum();
            (format!("VIN{}", SmallFleet::id(vehicle)), km / 365.0)
        })
        .collect();
    let change = |plan: &mut fleetwear::engine::SimulatePlan| plan.seed = 5;
    simulated(&fleet, Layout::ByDay(30), change, |out, _| {
        let rows = table(out, "forecasts");
        let [ids, modes, positions] = ["vin", "failure_mode", "position"].map(|name| texts(&rows, name));
        let mut compared = 0;
        for (percent, level) in [(10, 0.1), (50, 0.5), (90, 0.9)] {
            let [days, km] = ["days", "km"].map(|unit| numbers(&rows, &format!("rul_p{percent}_{unit}")));
            for row in 0..ids.len() {
                let id = ids[row].clone().unwrap();
                let part = (id.clone(), modes[row].clone().unwrap(), positions[row].clone().unwrap_or_default());
                let expected = days_until(level, &chances[&part]);
                assert_eq!(days[row].is_some(), expected.is_some(), "{part:?} {percent} %");
                assert_eq!(km[row].is_some(), expected.is_some(), "{part:?} {percent} %");
                let (Some(days), Some(km), Some(expected)) = (days[row], km[row], expected) else { continue };
                // Tenths of a day, and chances within 4e-4.
                assert!((days - expected).abs() < 0.1 + 1e-3 * expected, "{part:?} {percent} %: {days} {expected}");
                assert!((km / (days * km_per_day[&id]) - 1.0).abs() < 1e-9, "{part:?} {percent} %: {km} km");
                let other = days_until(level * 1.1, &chances[&part]);
                assert!(other.is_none_or(|other| (days - other).abs() > 0.1), "another level would pass too");
                compared += 1;
            }
        }
        assert!(compared > 40, "{compared}");
    });
}
