//! What kernels rely on: the stated bounds of all tables.

use fleetwear::model::channel::{Channel, PeriodLength, Schema};
use fleetwear::model::compile::compile;
use fleetwear::model::compiled::{CompiledModel, DriverKind};
use fleetwear::model::shipped::{SHIPPED, standard_schema};
use fleetwear::model::spec::Model;
use fleetwear::model::tables::{GROUP_LANES, TableInput};

use super::GOOD;

/// The stated bounds of all tables.
fn check_bounds(model: &CompiledModel) {
    assert_eq!(model.drivers.len(), model.tables.driver_columns());
    for (rows, input) in model.tables.input_rows.iter().zip(&model.inputs) {
        if matches!(input, TableInput::Pair { .. }) {
            assert!(*rows <= 4096);
        }
    }
    for group in &model.tables.groups {
        for lane in 0..GROUP_LANES {
            let (mut most, mut least) = (i64::from(group.base_q18[lane]), i64::from(group.base_q18[lane]));
            for input in &group.inputs {
                assert_eq!(input.rows_q18.len(), model.tables.input_rows[input.input] as usize);
                assert_eq!(input.driver_rows.len(), input.rows_q18.len());
                let entries = || input.rows_q18.iter().map(|row| i64::from(row[lane]));
                let (low, high) = (entries().min().unwrap(), entries().max().unwrap());
                assert!(high - low <= 96 << 18);
                assert!(input.driver_rows.iter().all(|row| row[lane].unsigned_abs() <= 1 << 24));
                most += high;
                least += low;
            }
            assert!(most < 16 << 18);
            assert!(least > i64::from(i32::MIN));
        }
        assert!(group.interactions_q18.len() <= 32);
        let positions: Vec<usize> = group.inputs.iter().map(|input| input.input).collect();
        assert!(positions.is_sorted());
    }
}

#[test]
fn bounds_hold_even_for_steep_curves() {
    for (name, _) in SHIPPED {
        check_bounds(&compile(&Model::load(name).unwrap(), &standard_schema()).unwrap());
    }
    // 1,500 km against a reference of 1 to the 20th power: entries 200 octaves apart, cut to 96.
    let steep = GOOD.replace(
        "{ channel = \"motor_load_pct\", curve = \"power\", exponent = 1.5, reference = 40.0, floor = 5.0 }",
        "{ channel = \"distance_km\", curve = \"power\", exponent = 20, reference = 1500, floor = 0.1 }",
    );
    let compiled = compile(&Model::parse(&steep, "steep.toml").unwrap(), &standard_schema()).unwrap();
    check_bounds(&compiled);
    let position = compiled.channel_names.iter().position(|name| name == "distance_km").unwrap();
    let input = compiled.tables.groups[0].inputs.iter().find(|input| input.input == position).unwrap();
    assert_eq!(input.rows_q18[1][0], -(96 << 18), "0.1 km lies 277 octaves below 1,500 km");
}

#[test]
fn exposures_far_from_zero_keep_driver_rows_small() {
    let far = Channel {
        name: "odometer".into(),
        unit: "km".into(),
        factor: 0.001,
        offset: 0.0,
        first: 20_000_000,
        codes: 60_000,
    };
    let schema = Schema { channels: vec![far], period_length: PeriodLength::Constant(1.0), attributes: vec![] };
    let text = "[model]\nname='m'\nversion='1'\n[[failure_mode]]\nid='a'\ncomponent='a'\nweibull_shape=1\n[[failure_mode.mechanism]]\nid='m'\nexposure='odometer'\ncharacteristic_life=1e9\n";
    let compiled = compile(&Model::parse(text, "far.toml").unwrap(), &schema).unwrap();
    check_bounds(&compiled);
    match compiled.drivers[0].kind {
        DriverKind::Exposure { offset, factor } => {
            let raw = compiled.tables.groups[0].inputs[0].driver_rows[7][0];
            assert_eq!(offset + factor * f64::from(raw), schema.channels[0].value(7));
        }
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn hostile_channels_do_not_panic() {
    let model = Model::parse(GOOD, "good.toml").unwrap();
    for (factor, offset, first, codes) in [
        (0.1, 0.0, 0, 0),
        (0.0, 5.0, 0, 10),
        (f64::NAN, 0.0, 0, 10),
        (f64::INFINITY, 0.0, 0, 3),
        (-1.0, 50.0, 0, 40),
        (1e300, 1e300, i64::MAX, 65_535),
    ] {
        let mut schema = standard_schema();
        for channel in &mut schema.channels {
            (channel.factor, channel.offset, channel.first, channel.codes) = (factor, offset, first, codes);
        }
        // Accepted or refused, in words.
        if let Err(error) = compile(&model, &schema) {
            assert!(error.to_string().starts_with("good.toml:"), "{error}");
        }
    }
}

#[test]
fn masks_follow_the_attributes() {
    let compiled = compile(&Model::parse(GOOD, "good.toml").unwrap(), &standard_schema()).unwrap();
    assert_eq!(compiled.attributes(), ["model"]);
    assert_eq!(compiled.masks(&|_| Some("M2")), [1]);
    assert_eq!(compiled.masks(&|_| Some("M1")), [0]);
    assert_eq!(compiled.masks(&|_| None), [0]);
}

/// A battery's law of temperature and charge is nearly exact along both references, and within what datasets/models/README.md
/// says of its bins elsewhere.
#[test]
fn a_formula_of_two_channels_stays_near_itself_between_the_bins() {
    use fleetwear::model::spec::Law;
    let model = Model::load("ev-passenger").unwrap();
    let schema = standard_schema();
    let compiled = compile(&model, &schema).unwrap();
    let number = compiled.mechanisms.iter().position(|mechanism| mechanism.id == "calendar").unwrap();
    let calendar = model.modes.iter().flat_map(|mode| &mode.mechanisms).nth(number).unwrap();
    let Law::Two([a, b], surface) = &calendar.terms[0].law else { panic!("the calendar law takes two channels") };
    let channel = |name: &str| schema.channels.iter().find(|channel| channel.name == name).unwrap();
    let place = |name: &str| compiled.channel_names.iter().position(|known| known == name).unwrap();
    let (temp, charge) = (channel(&a.channel), channel(&b.channel));
    let group = &compiled.tables.groups[number / GROUP_LANES];
    let missing = vec![u16::MAX; compiled.channels.len()];
    let sum = |codes: &[u16]| -> i64 {
        let entry = |input: &fleetwear::model::tables::GroupInput| {
            i64::from(input.rows_q18[compiled.row(input.input, codes)][number % GROUP_LANES])
        };
        group.inputs.iter().map(entry).sum()
    };
    let nothing = sum(&missing);
    let mut errors = Vec::new();
    for temp_code in (0..temp.codes).filter(|code| (10.0..=45.0).contains(&temp.value(*code))) {
        for charge_code in (0..charge.codes).filter(|code| (10.0..=100.0).contains(&charge.value(*code))) {
            let mut codes = missing.clone();
            codes[place(&a.channel)] = temp_code as u16;
            codes[place(&b.channel)] = charge_code as u16;
            let law = surface.log2_ratio([temp.value(temp_code), charge.value(charge_code)], [0.0; 2]);
            let got = (sum(&codes) - nothing) as f64 / f64::from(1 << 18);
            errors.push(((got - law) * std::f64::consts::LN_2).abs());
            if temp.value(temp_code) == 20.0 || charge.value(charge_code) == 60.0 {
                // Half a bin of what the two say together is left even there.
                assert!(errors[errors.len() - 1] < 5e-3, "{temp_code}, {charge_code}");
            }
        }
    }
    errors.sort_by(f64::total_cmp);
    let (median, worst) = (errors[errors.len() / 2], errors[errors.len() - 1]);
    assert!(median < 5e-4 && worst < 0.012, "median {median}, worst {worst}");
}
