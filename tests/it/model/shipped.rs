//! The shipped models: plausible lives, the planted rule, a source for every number; and what explains them.

use fleetwear::model::compile::compile;
use fleetwear::model::compiled::CompiledModel;
use fleetwear::model::explain::{TermTable, explain};
use fleetwear::model::life;
use fleetwear::model::shipped::{SHIPPED, standard_schema};
use fleetwear::model::spec::Model;
use fleetwear::model::waterfall::{MechanismWaterfall, Waterfall};

use super::GOOD;

/// Passenger car's typical day as its model file states it, by name.
const PASSENGER_DAY: [(&str, f64); 14] = [
    ("ambient_temp_c", 15.0),
    ("humidity_pct", 60.0),
    ("distance_km", 35.0),
    ("energy_kwh", 6.0),
    ("motor_load_pct", 40.0),
    ("hard_brakes", 2.0),
    ("hard_accelerations", 3.0),
    ("fast_charge_kwh", 1.5),
    ("soc_mean_pct", 60.0),
    ("depth_of_discharge_pct", 35.0),
    ("pack_temp_c", 20.0),
    ("pack_temp_spread_c", 1.0),
    ("vehicle_load_kg", 150.0),
    ("tyre_pressure_kpa", 250.0),
];

fn codes(day: &[(&str, f64)], compiled: &CompiledModel) -> Vec<u16> {
    let schema = standard_schema();
    let code = |index: &usize| {
        let channel = &schema.channels[*index];
        let value = day.iter().find(|(name, _)| *name == channel.name).unwrap().1;
        (((value - channel.offset) / channel.factor).round() as i64 - channel.first) as u16
    };
    compiled.channels.iter().map(code).collect()
}

/// Lives by (mode, mechanism) after `days` of the same day, by the kernel's arithmetic.
fn lives_after(days: u64, day: &[(&str, f64)], compiled: &CompiledModel) -> Vec<(String, f64)> {
    let mut waterfall = Waterfall::new(compiled, compiled.masks(&|_| Some("M2")));
    waterfall.push(&codes(day, compiled));
    let name = |one: &MechanismWaterfall| format!("{}.{}", one.failure_mode, one.mechanism);
    waterfall.finish().iter().map(|one| (name(one), life::lives(one.clock_q48 * days))).collect()
}

fn lives_of(lives: &[(String, f64)], name: &str) -> f64 {
    lives.iter().find(|(own, _)| own == name).unwrap().1
}

#[test]
fn every_mode_competes_so_that_counts_are_of_failures_that_come_about() {
    for (name, _) in SHIPPED {
        let compiled = compile(&Model::load(name).unwrap(), &standard_schema()).unwrap();
        let alone: Vec<&str> =
            compiled.modes.iter().filter(|mode| !mode.competes).map(|mode| mode.id.as_str()).collect();
        assert!(alone.is_empty(), "{name}: {alone:?}");
    }
}

#[test]
fn a_typical_passenger_car_lives_plausibly() {
    let compiled = compile(&Model::load("ev-passenger").unwrap(), &standard_schema()).unwrap();
    let lives = lives_after(365, &PASSENGER_DAY, &compiled);
    let distance_km = 365.0 * 35.0;
    let pads_km =
        distance_km / (lives_of(&lives, "brake_pad_wear.rolling") + lives_of(&lives, "brake_pad_wear.hard_braking"));
    let tyre =
        ["rolling", "hard_acceleration", "hard_braking"].map(|one| lives_of(&lives, &format!("tyre_wear.{one}")));
    let tyres_km = distance_km / tyre.iter().sum::<f64>();
    assert!((40_000.0..170_000.0).contains(&pads_km), "{pads_km}");
    assert!((64_000.0..68_000.0).contains(&tyres_km), "{tyres_km}");
    // Five years of fade; damage 1 is 20 % of capacity.
    let five = lives_after(5 * 365, &PASSENGER_DAY, &compiled);
    let damage = libm::pow(lives_of(&five, "battery_fade.calendar"), 0.526)
        + libm::pow(lives_of(&five, "battery_fade.cycle"), 0.828);
    let fade_per_year = 0.2 * damage / 5.0;
    // Between cars charged on AC alone (1.5 % a year) and the mean of 22,700 cars (2.3 %).
    assert!((0.015..0.023).contains(&fade_per_year), "{fade_per_year}");
    // 2.3 times as many hard brakes wear the pads 40 % faster at the same distance (ten times the day, for whole counts).
    let wear = |hard_brakes: f64| {
        let mut day = PASSENGER_DAY;
        (day[2].1, day[5].1) = (350.0, hard_brakes);
        let lives = lives_after(1, &day, &compiled);
        lives_of(&lives, "brake_pad_wear.rolling") + lives_of(&lives, "brake_pad_wear.hard_braking")
    };
    let faster = wear(46.0) / wear(20.0);
    assert!((1.39..1.41).contains(&faster), "{faster}");
    println!("pads {pads_km:.0} km, tyres {tyres_km:.0} km, fade {fade_per_year:.4} a year, hard style x {faster:.3}");
}

#[test]
fn cold_humid_days_hurt_one_model_3_2_times() {
    let compiled = compile(&Model::load("ev-passenger").unwrap(), &standard_schema()).unwrap();
    let day = |temp_c: f64, humidity_pct: f64| {
        let mut day = PASSENGER_DAY;
        (day[0].1, day[1].1) = (temp_c, humidity_pct);
        codes(&day, &compiled)
    };
    let clock = |model: &str, codes: &[u16]| {
        let mut waterfall = Waterfall::new(&compiled, compiled.masks(&|_| Some(model)));
        waterfall.push(codes);
        waterfall.finish().into_iter().find(|one| one.failure_mode == "motor_noise").unwrap().clock_q48 as f64
    };
    let plain = clock("M2", &day(15.0, 60.0));
    let ratio = |model: &str, temp_c: f64, humidity_pct: f64| clock(model, &day(temp_c, humidity_pct)) / plain;
    assert!((ratio("M2", 4.9, 80.5) - 3.2).abs() < 1e-4);
    // Both thresholds are sharp, and exactly on them the rule does not hold; temperature alone changes nothing.
    for (model, temp_c, humidity_pct) in
        [("M2", 5.0, 80.5), ("M2", 4.9, 80.0), ("M1", 4.9, 80.5), ("M2", -30.0, 40.0), ("M2", 40.0, 100.0)]
    {
        assert_eq!(ratio(model, temp_c, humidity_pct), 1.0, "{model} {temp_c} {humidity_pct}");
    }
}

#[test]
fn every_number_of_a_shipped_model_has_its_source() {
    for (name, text) in SHIPPED {
        let model = Model::load(name).unwrap();
        unsourced(&model).unwrap();
        // Shown to object: the same model with one source taken away.
        let first = text.find("source = ").unwrap();
        let end = first + text[first..].find('\n').unwrap();
        let bare = Model::parse(&(text[..first].to_owned() + &text[end..]), "bare.toml").unwrap();
        unsourced(&bare).unwrap_err();
    }
}

fn unsourced(model: &Model) -> Result<(), String> {
    let need = |source: &Option<String>, what: String| source.as_ref().map(|_| ()).ok_or(what);
    for mode in &model.modes {
        need(&mode.source, mode.id.clone())?;
        for mechanism in &mode.mechanisms {
            need(&mechanism.source, mechanism.id.clone())?;
            mechanism.terms.iter().try_for_each(|term| need(&term.source, format!("{:?}", term.places.own)))?;
            mechanism.interactions.iter().try_for_each(|one| need(&one.source, one.id.clone()))?;
        }
    }
    model.monitors.iter().try_for_each(|monitor| need(&monitor.source, monitor.id.clone()))
}

// ---- explanations ----

#[test]
fn an_explanation_has_beta_eta_and_tables_with_the_reference() {
    let explanation = explain(&Model::load("ev-passenger").unwrap(), Some(&standard_schema()));
    let noise = explanation.modes.iter().find(|mode| mode.id == "motor_noise").unwrap();
    assert_eq!(noise.weibull_shape, 1.4);
    assert_eq!(noise.shape_words, "wear-out: risk grows with use");
    assert_eq!(
        noise.mechanisms[0].words,
        "characteristic life eta = 1600 days at the reference conditions; lives are Weibull with shape beta = 1.4"
    );
    assert_eq!(noise.mechanisms[0].interactions[0].when, "ambient_temp_c < 5 and humidity_pct > 80 and model is M2");
    for term in explanation.modes.iter().flat_map(|mode| &mode.mechanisms).flat_map(|mechanism| &mechanism.terms) {
        match term {
            TermTable::Curve { reference, rows, .. } => {
                assert!(rows.is_sorted_by(|a, b| a.0 < b.0) && rows.len() >= 9);
                assert_eq!(rows.iter().find(|(value, _)| value == reference).unwrap().1, 1.0);
            }
            TermTable::Surface { rows, columns, ratios, .. } => {
                assert_eq!((ratios.len(), ratios[0].len()), (rows.len(), columns.len()));
                assert!(ratios.iter().flatten().all(|ratio| ratio.is_finite() && *ratio > 0.0));
            }
        }
    }
    // Without a schema, channels that are not standard are shown around their reference.
    let unknown = GOOD.replace("motor_load_pct", "my_load");
    let explanation = explain(&Model::parse(&unknown, "x.toml").unwrap(), None);
    assert!(matches!(&explanation.modes[0].mechanisms[0].terms[0], TermTable::Curve { rows, .. } if rows.len() >= 9));
}

#[test]
fn a_waterfall_multiplies_to_the_clock() {
    let compiled = compile(&Model::load("ev-passenger").unwrap(), &standard_schema()).unwrap();
    let mut waterfall = Waterfall::new(&compiled, compiled.masks(&|_| Some("M2")));
    for i in 0..200u16 {
        let mut day = PASSENGER_DAY;
        day[0].1 = f64::from(i % 30) - 5.0;
        day[1].1 = 40.0 + f64::from(i * 7 % 60);
        day[2].1 = f64::from(i % 7) * 20.0;
        day[12].1 = f64::from(i % 10) * 100.0;
        waterfall.push(&codes(&day, &compiled));
    }
    // Nothing is known of this day.
    waterfall.push(&[u16::MAX; 14]);
    for one in waterfall.finish() {
        let product: f64 = one.reference_lives * one.steps.iter().map(|step| step.ratio).product::<f64>();
        assert!((product / one.lives - 1.0).abs() < 1e-12, "{one:?}");
        assert!((life::lives(one.clock_q48) / one.lives - 1.0).abs() < 2e-5, "{one:?}");
        assert_eq!(one.records, 201);
        let missing = if one.failure_mode.starts_with("motor") || one.mechanism == "calendar" { 0 } else { 1 };
        assert_eq!(one.exposure_missing, missing, "{one:?}");
        if one.failure_mode == "motor_noise" {
            let rule = one.steps.iter().find(|step| step.interaction).unwrap();
            assert_eq!(rule.factor, "cold_humid");
            assert!(rule.active_records > 0 && rule.ratio > 1.0 && rule.ratio < 3.2);
        }
        assert!(one.steps.iter().all(|step| step.interaction || step.factor != "hard_brakes"));
    }
}
