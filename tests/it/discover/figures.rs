//! Figures that take minutes: how often the rule is found, how often anything is found where there is nothing. They
//! print what they find. `cargo test --release --test it discover::figures -- --ignored --nocapture`

use super::rule::objection;
use super::world::{Recipe, discover, fleet};

/// Twenty fleets with at least 400 failures inside the rule.
#[test]
#[ignore = "minutes: prints how often the planted rule is found"]
fn twenty_fleets_with_the_rule() {
    let (mut first, mut right, mut covered, mut named, mut close) = (0, 0, 0, 0, 0);
    for seed in 100..120 {
        let fleet = fleet(&Recipe { vehicles: 2_000, events: 6_500.0, ..Recipe::small(seed) });
        let outcome = discover(&fleet, 999, u64::from(seed), 0.05);
        let Some(one) = outcome.findings.first() else {
            println!("seed {seed}: {} inside, nothing found, greatest {:.1}", fleet.inside, outcome.found.greatest);
            continue;
        };
        let [temp, humidity] = &one.conditions;
        println!(
            "seed {seed}: {} inside, p {:.3}, {} {} {:.1} [{:.1}, {:.1}], {} {} {:.0} [{:.0}, {:.0}], {:?}, ratio {:.2} [{:.2}, {:.2}], crude {:.2}, {} findings",
            fleet.inside,
            one.p_value,
            temp.channel,
            temp.is,
            temp.threshold,
            temp.lowest,
            temp.highest,
            humidity.channel,
            humidity.is,
            humidity.threshold,
            humidity.lowest,
            humidity.highest,
            one.attribute,
            one.ratio,
            one.ratio_lower,
            one.ratio_upper,
            one.crude_ratio,
            outcome.findings.len(),
        );
        first += u32::from(temp.channel == "temp_c" && humidity.channel == "humidity_pct" && one.p_value <= 0.001);
        close += u32::from((temp.threshold - 5.0).abs() <= 0.5 && (humidity.threshold - 80.0).abs() <= 1.0);
        covered += u32::from((one.ratio_lower..=one.ratio_upper).contains(&3.2));
        named += u32::from(one.attribute.as_ref().is_some_and(|(_, value)| value == "M2"));
        right += u32::from(objection(one).is_none());
    }
    println!(
        "ranked first with p ≤ 0.001: {first}, thresholds: {close}, interval: {covered}, model: {named}, all: {right} of 20"
    );
    assert!(first >= 19 && close >= 18 && covered >= 17 && named >= 18);
}

/// Fleets without the rule: plain, with a zone's own rate, with wrong curves.
#[test]
#[ignore = "minutes: prints how often anything is found where there is nothing"]
fn three_hundred_fleets_without_the_rule() {
    let mut reported = [0; 3];
    for seed in 0..100 {
        let plain = Recipe { ratio: 1.0, vehicles: 300, ..Recipe::small(1_000 + seed) };
        let kinds = [plain, Recipe { frailty: 0.2, ..plain }, Recipe { wrong: (-0.8, 0.25), ..plain }];
        for (kind, recipe) in kinds.iter().enumerate() {
            let outcome = discover(&fleet(recipe), 199, u64::from(seed), 0.05);
            if let Some(one) = outcome.findings.first() {
                let [first, second] = &one.conditions;
                let what = (&first.channel, first.is, first.threshold, &second.channel, second.is, second.threshold);
                println!("seed {seed}, kind {kind}: p {:.3}, score {:.2}, {what:?}", one.p_value, one.score);
                reported[kind] += 1;
            }
        }
    }
    println!("reported at p ≤ 0.05: {reported:?} of 100 each");
    let all: u32 = reported.iter().sum();
    assert!((6..=23).contains(&all), "{all} of 300");
}

/// How often the rule is found at p ≤ 0.05, by its ratio and the events inside.
#[test]
#[ignore = "tens of minutes: prints the power curve"]
fn power_by_ratio_and_events_inside() {
    for ratio in [1.3, 1.6, 2.0, 2.6, 3.2] {
        for inside in [25.0, 50.0, 100.0, 250.0, 1000.0] {
            let (mut found, mut seen) = (0, 0);
            for seed in 0..10 {
                let pilot = fleet(&Recipe { ratio, vehicles: 300, ..Recipe::small(5_000 + seed) });
                let events = 2_500.0 * inside / pilot.inside.max(1) as f64;
                let own = fleet(&Recipe { ratio, events, vehicles: 1_000, ..Recipe::small(5_000 + seed) });
                seen += own.inside;
                let outcome = discover(&own, 199, u64::from(seed), 0.05);
                let right = |one: &fleetwear::discover::findings::Finding| {
                    one.conditions[0].channel == "temp_c" && one.conditions[1].channel == "humidity_pct"
                };
                found += u32::from(outcome.findings.iter().any(right));
            }
            println!("ratio {ratio}, {} events inside: {found} of 10", seen / 10);
        }
    }
}
