//! Data that nobody here made: AI4I's heat failures, whose rule is published (process − air temperature below 8.6 K and
//! fewer than 1,380 turns a minute, 12 of the 115 on the edge by rounding), and capacitors in which temperature and
//! voltage do not interact.

use fleetwear::discover::survey::{Block, EventRow};
use fleetwear::model::channel::Channel;

use super::world::{Fleet, channel, discover};
use crate::fit_lives::outside;

/// Units as records without a time axis: channels' codes, what is expected, and whether it happened.
fn units(channels: Vec<Channel>, rows: &[(Vec<u16>, f64, bool)]) -> Fleet {
    let mut block = Block::new(channels.len(), 0);
    let mut events = Vec::new();
    for (unit, (codes, expected, failed)) in rows.iter().enumerate() {
        block.id.push(unit as u32);
        block.tick.push(unit as i32);
        block.stratum.push(0);
        block.expected.push(*expected);
        for (column, code) in block.codes.iter_mut().zip(codes) {
            column.push(*code);
        }
        if *failed {
            let id = unit as u32;
            events.push(EventRow { id, stratum: 0, codes: codes.clone(), ..EventRow::default() });
        }
    }
    let inside = 0;
    Fleet { channels, block, events, strata: vec![(String::new(), None)], attributes: Vec::new(), inside }
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().split(',').map(|cell| cell.trim_matches('"')).collect()
}

#[test]
fn the_heat_rule_of_ai4i_lies_in_the_sets_of_its_thresholds() {
    let Some(file) = outside("the_heat_rule_of_ai4i_lies_in_the_sets_of_its_thresholds", "ai4i/ai4i_hdf.csv") else {
        return;
    };
    let text = std::fs::read_to_string(file).unwrap();
    let header = cells(text.lines().next().unwrap());
    let place = |name: &str| header.iter().position(|column| column.starts_with(name)).unwrap();
    let columns = ["Air", "Process", "Rotational", "Torque", "Tool wear"].map(place);
    let failed = place("HDF");
    let rows: Vec<(Vec<u16>, f64, bool)> = text
        .lines()
        .skip(1)
        .map(|line| {
            let row = cells(line);
            let number = |column: usize| row[column].parse::<f64>().unwrap();
            let [air, process, turns, torque, wear] = columns.map(number);
            let tenths = |value: f64| (10.0 * value).round();
            // The derived difference, by codes: exact.
            let difference = tenths(process) - tenths(air);
            let codes =
                [tenths(air) - 2_900.0, tenths(process) - 3_000.0, difference, turns - 1_000.0, tenths(torque), wear];
            (codes.map(|code| code as u16).to_vec(), 0.0115, row[failed] == "1")
        })
        .collect();
    let channels = vec![
        channel("air_temp_k", 0.1, 290.0, 300),
        channel("process_temp_k", 0.1, 300.0, 300),
        channel("difference_k", 0.1, 0.0, 200),
        channel("turns_rpm", 1.0, 1_000.0, 2_500),
        channel("torque_nm", 0.1, 0.0, 1_000),
        channel("wear_min", 1.0, 0.0, 400),
    ];
    let fleet = units(channels, &rows);
    assert_eq!((fleet.block.len(), fleet.events.len()), (10_000, 115));
    let outcome = discover(&fleet, 199, 1, 0.05);
    let first = &outcome.findings[0];
    let [difference, turns] = &first.conditions;
    assert_eq!((difference.channel.as_str(), difference.is), ("difference_k", "<"), "{first:#?}");
    assert_eq!((turns.channel.as_str(), turns.is), ("turns_rpm", "<"), "{first:#?}");
    assert_eq!(first.p_value, 0.005);
    // A threshold lies between two neighbouring codes: below 8.7 in tenths is up to 8.6, where 12 failures lie by
    // rounding.
    let holds = |one: &fleetwear::discover::findings::Condition, value: f64| {
        one.lowest <= value + 1e-9 && one.highest >= value - 1e-9
    };
    assert!(holds(difference, 8.6) && holds(turns, 1_380.0), "{first:#?}");
    assert!(difference.highest - difference.lowest < 0.5 && turns.highest - turns.lowest < 30.0, "{first:#?}");
    assert!(!holds(difference, 9.5) && !holds(turns, 1_420.0), "the check can fail");
}

#[test]
fn nothing_is_found_in_capacitors() {
    let Some(file) = outside("nothing_is_found_in_capacitors", "lifetimes/r_capacitor.csv") else { return };
    let text = std::fs::read_to_string(file).unwrap();
    let header = cells(text.lines().next().unwrap());
    let place = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let [time, status, temperature, voltage] = ["time", "status", "temperature", "voltage"].map(place);
    let rows: Vec<(Vec<u16>, f64, bool)> = text
        .lines()
        .skip(1)
        .map(|line| {
            let row = cells(line);
            let number = |column: usize| row[column].parse::<f64>().unwrap();
            // The Weibull law of the published fit: scale 0.3624, so shape 2.76.
            let hazard = libm::pow(number(time) / 900.0, 1.0 / 0.3624);
            let codes = [number(temperature), number(voltage)].map(|value| value as u16).to_vec();
            (codes, hazard, number(status) == 1.0)
        })
        .collect();
    let channels = vec![channel("temperature_c", 1.0, 0.0, 400), channel("voltage_v", 1.0, 0.0, 400)];
    let fleet = units(channels, &rows);
    assert_eq!((fleet.block.len(), fleet.events.len()), (64, 32));
    let outcome = discover(&fleet, 199, 1, 0.05);
    assert!(outcome.found.rectangles > 0, "something was looked at");
    assert!(outcome.findings.is_empty(), "{:#?}", outcome.findings);
    // Had the capacitors at the higher temperature and the highest voltage failed five times as often, it would be found.
    let mut worse = units(vec![channel("temperature_c", 1.0, 0.0, 400), channel("voltage_v", 1.0, 0.0, 400)], &rows);
    let corner = |codes: &[u16]| codes[0] == 180 && codes[1] >= 300;
    let inside: Vec<EventRow> = worse.events.iter().filter(|event| corner(&event.codes)).cloned().collect();
    assert!(!inside.is_empty(), "{:?}", rows);
    worse.events.extend((0..4).flat_map(|_| inside.clone()));
    let outcome = discover(&worse, 199, 1, 0.05);
    assert_eq!(outcome.findings.len(), 1, "{} rectangles", outcome.found.rectangles);
}
