//! A planted rule is found with its thresholds, its ratio and its vehicle model; without it there is nothing.

use fleetwear::discover::findings::Finding;
use fleetwear::discover::survey::Block;

use super::world::{Fleet, Outcome, Recipe, channel, discover, fleet, objection};

#[test]
fn a_planted_rule_is_found_and_nothing_else() {
    let fleet = fleet(&Recipe { vehicles: 700, events: 5_000.0, ..Recipe::small(1) });
    assert!(fleet.inside >= 250, "{} events inside", fleet.inside);
    let Outcome { found, findings, .. } = discover(&fleet, 199, 5, 0.05);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(found.candidates[0].p_value, 1.0 / 200.0);
    if let Some(objection) = objection(&findings[0]) {
        panic!("{objection}");
    }
    let one = &findings[0];
    assert!(one.conditions[0].lowest <= 5.0 && one.conditions[0].highest >= 5.0, "{one:#?}");
    assert!(one.crude_lower < one.ratio && one.ratio_lower > 1.5 && one.ratio_lower < one.ratio, "{one:#?}");
    assert!(one.ratio_lower < 3.2 && one.ratio_upper > 3.2, "{one:#?}");
    assert!(one.interaction_score > 1.0 && one.ebgm > 1.7 && one.eb05 > 1.5, "{one:#?}");
    // At thresholds that were chosen on the other half.
    for half in &one.halves {
        let half = half.as_ref().unwrap();
        assert!(half.ratio > 1.5 && half.ratio_lower > 1.0, "{one:#?}");
        assert!((half.thresholds[0] - 5.0).abs() < 2.0 && (half.thresholds[1] - 80.0).abs() < 5.0, "{one:#?}");
    }
    // Where it is cold at times, zones hold the rule too, at thresholds that were chosen on the others.
    assert_eq!(one.left_out_zone.len(), 4);
    assert!(one.left_out_zone[..2].iter().all(|(_, ratio)| ratio.is_some_and(|ratio| ratio > 1.5)), "{one:#?}");
    assert!(one.left_out_year.len() >= 2, "{one:#?}");
    assert!(one.if_dated_late[2].1.is_some_and(|ratio| ratio < 2.2), "a week earlier it is other weather: {one:#?}");
    // The checker sees each fault.
    let mut wrong = one.clone();
    wrong.conditions[0].threshold += 0.6;
    assert!(objection(&wrong).is_some());
    assert!(objection(&Finding { attribute: None, ..one.clone() }).is_some());
    assert!(objection(&Finding { ratio: 1.9, ..one.clone() }).is_some());
}

#[test]
fn the_order_of_records_and_events_does_not_matter() {
    let mut recipe = Recipe::small(2);
    recipe.vehicles = 200;
    let one = fleet(&recipe);
    let mut turned = Fleet { block: reversed(&one.block), ..fleet(&recipe) };
    turned.events.reverse();
    let (one, turned) = (discover(&one, 49, 5, 0.05), discover(&turned, 49, 5, 0.05));
    assert_eq!(one.found, turned.found);
    assert!(!one.findings.is_empty());
    assert_eq!(one.findings, turned.findings);
}

fn reversed(block: &Block) -> Block {
    let mut turned = block.clone();
    turned.id.reverse();
    turned.tick.reverse();
    turned.stratum.reverse();
    turned.expected.reverse();
    turned.codes.iter_mut().for_each(|column| column.reverse());
    turned.values.iter_mut().for_each(|column| column.reverse());
    turned
}

#[test]
fn without_a_rule_nothing_is_found_and_copies_and_constants_are_named() {
    let mut recipe = Recipe { ratio: 1.0, vehicles: 200, ..Recipe::small(3) };
    recipe.frailty = 0.2;
    let mut fleet = fleet(&recipe);
    // A copy of the temperature in another unit, and a constant.
    fleet.channels.push(channel("temp_f", 0.18, -40.0, 1000));
    fleet.channels.push(channel("constant", 1.0, 0.0, 10));
    let copied = fleet.block.codes[0].clone();
    fleet.block.codes.push(copied);
    fleet.block.codes.push(vec![4; fleet.block.len()]);
    for event in &mut fleet.events {
        let temp = event.codes[0];
        event.codes.extend([temp, 4]);
        event.earlier.iter_mut().flatten().for_each(|codes| codes.extend([0, 4]));
    }
    let outcome = discover(&fleet, 199, 5, 0.01);
    assert!(outcome.findings.is_empty(), "{:#?}", outcome.findings);
    assert_eq!(outcome.channels, [0, 1, 2, 3, 4, 5, 6], "the constant is left out");
    assert_eq!(outcome.copies, [(6, 0)]);
}

/// A rate three times as high below 5 °C whatever the humidity is an effect of the temperature alone: no pair says more.
#[test]
fn a_step_of_one_channel_is_no_interaction() {
    for (seed, events) in [(11, 2_500.0), (12, 400.0)] {
        let recipe = Recipe { ratio: 1.0, step: 3.0, events, vehicles: 300, ..Recipe::small(seed) };
        let outcome = discover(&fleet(&recipe), 199, 5, 0.01);
        assert!(outcome.findings.is_empty(), "seed {seed}: {:#?}", outcome.findings);
        let first = &outcome.main_effects[0];
        assert_eq!((first.name.as_str(), first.is), ("temp_c", "<"), "{first:?}");
        let threshold: f64 = first.value.parse().unwrap();
        assert!((threshold - 5.0).abs() < 2.5 && first.ratio > 2.0 && first.p_value == 0.005, "{first:?}");
    }
}

/// Vehicles of one plant fail twice as often, whatever the weather: the attribute alone is named.
#[test]
fn an_attribute_alone_is_named() {
    let mut fleet = fleet(&Recipe { ratio: 1.0, vehicles: 200, ..Recipe::small(13) });
    let mut odd = 0;
    fleet.events.retain(|event| {
        odd += 1;
        event.values[1] == 1 || odd % 2 == 0
    });
    let outcome = discover(&fleet, 199, 5, 0.01);
    assert!(outcome.findings.is_empty(), "{:#?}", outcome.findings);
    assert_eq!(outcome.main_effects.len(), 1, "{:#?}", outcome.main_effects);
    let first = &outcome.main_effects[0];
    let named = (first.name.as_str(), first.is, first.value.as_str());
    assert!(named == ("plant", "is", "south") || named == ("plant", "is not", "north"), "{first:?}");
    assert!((1.6..2.5).contains(&first.ratio) && first.ratio_lower > 1.0, "{first:?}");
}
