//! A planted rule is found with its thresholds, its ratio and its vehicle model; without it there is nothing.

use fleetwear::discover::findings::Finding;
use fleetwear::discover::survey::Block;

use super::world::{Fleet, Outcome, Recipe, channel, discover, fleet};

/// What is wrong with a finding, or nothing. Whether intervals hold 3.2 as often as they say is counted in `figures`.
pub fn objection(finding: &Finding) -> Option<String> {
    let [temp, humidity] = &finding.conditions;
    let wrong = if (temp.channel.as_str(), temp.is) != ("temp_c", "<") {
        "the temperature's side"
    } else if (humidity.channel.as_str(), humidity.is) != ("humidity_pct", ">") {
        "the humidity's side"
    } else if (temp.threshold - 5.0).abs() > 0.5 || (humidity.threshold - 80.0).abs() > 1.0 {
        "thresholds"
    } else if finding.attribute != Some(("model".to_owned(), "M2".to_owned())) {
        "the model"
    } else if !(2.0..6.0).contains(&finding.ratio) {
        "the ratio"
    } else {
        return None;
    };
    Some(format!("{wrong}: {finding:#?}"))
}

#[test]
fn a_planted_rule_is_found_and_nothing_else() {
    let fleet = fleet(&Recipe::small(1));
    assert!(fleet.inside >= 150, "{} events inside", fleet.inside);
    let Outcome { found, findings, .. } = discover(&fleet, 199, 5, 0.05);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(found.candidates[0].p_value, 1.0 / 200.0);
    if let Some(objection) = objection(&findings[0]) {
        panic!("{objection}");
    }
    let one = &findings[0];
    assert!(one.conditions[0].lowest <= 5.0 && one.conditions[0].highest >= 5.0, "{one:#?}");
    assert!(one.crude_lower < one.ratio && one.ratio_lower > 1.5 && one.ratio_lower < one.ratio, "{one:#?}");
    assert!(one.halves.iter().flatten().all(|ratio| *ratio > 1.5), "{one:#?}");
    assert!(one.without_zone.iter().all(|(_, ratio)| ratio.is_some_and(|ratio| ratio > 1.5)), "{one:#?}");
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
