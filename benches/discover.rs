//! How often discovery is right, on fleets made in memory: it prints Markdown and ends in an error where the figures are
//! not what is asked of them. Minutes a line, not for every change.
//!
//! ```text
//! cargo bench --bench discover -- planted 20   # a rule with at least 400 failures inside: thresholds, ratio, model
//! cargo bench --bench discover -- null 100     # no rule, three kinds of fleets, so many of each: what is reported
//! cargo bench --bench discover -- power 10     # by ratio and failures inside, so many fleets a cell
//! ```
//!
//! A further number is the first seed, so that a run can go on where another ended. The fleets are those of the tests
//! (`tests/it/discover/world.rs`): a time axis of two years, weather shared within a zone, six channels, two attributes,
//! and expected events that know the load and the age but not the rule.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(clippy::unwrap_used, reason = "a bench has nobody to hand an error to")]

use std::process::ExitCode;
use std::time::Instant;

use fleetwear::discover::findings::Finding;
use world::{Outcome, Recipe, discover, fleet, objection};

#[path = "../tests/it/discover/world.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod world;

/// What is reported at all.
const LEVEL: f64 = 0.05;
/// The coldest zone holds half of the vehicles, so that a fleet has failures enough inside the rule.
const COLD: &[usize] = &[0, 0, 0, 0, 1, 1, 2, 3];
/// So many failures inside the rule are asked of every fleet with one.
const FEWEST_INSIDE: usize = 400;
const RATIOS: [f64; 5] = [1.3, 1.6, 2.0, 2.6, 3.2];
const INSIDE: [f64; 6] = [25.0, 50.0, 100.0, 200.0, 400.0, 1_000.0];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|one| one != "--bench").collect();
    let number = |place: usize, otherwise: u32| arguments.get(place).map_or(otherwise, |text| text.parse().unwrap());
    let as_asked = match arguments.first().map(String::as_str) {
        Some("planted") => planted(number(1, 20), number(2, 100)),
        Some("null") => null(number(1, 100), number(2, 1_000)),
        Some("power") => power(number(1, 10), number(2, 5_000)),
        _ => {
            println!("usage: cargo bench --bench discover -- planted|null|power [fleets] [first seed]");
            true
        }
    };
    if as_asked { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn rule_channels(one: &Finding) -> bool {
    one.conditions[0].channel == "temp_c" && one.conditions[1].channel == "humidity_pct"
}

/// Fleets with the rule, main effects alone in the model. Of 20: first with p ≤ 0.001 in 19, thresholds within 0.5 °C and
/// 1 point in 18, the interval holds 3.2 in 17, the vehicle model named in 18.
fn planted(fleets: u32, first_seed: u32) -> bool {
    let (mut first, mut close, mut covered, mut named, mut right, mut too_few) = (0, 0, 0, 0, 0, 0);
    println!(
        "| seed | inside | p | temp_c | its 95 % set | humidity_pct | its 95 % set | for | ratio | 95 % | crude | findings | s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for seed in first_seed..first_seed + fleets {
        let began = Instant::now();
        let recipe = Recipe { vehicles: 2_000, zone_turns: COLD, inside: Some(480.0), ..Recipe::small(seed) };
        let fleet = fleet(&recipe);
        too_few += u32::from(fleet.inside < FEWEST_INSIDE);
        let Outcome { findings, found, .. } = discover(&fleet, 999, u64::from(seed), LEVEL);
        let Some(one) = findings.first() else {
            println!("| {seed} | {} | nothing, greatest {:.1} | | | | | | | | | 0 | |", fleet.inside, found.greatest);
            continue;
        };
        let [temp, humidity] = &one.conditions;
        let condition = |of: usize| {
            let one = &one.conditions[of];
            format!("{} {:.1} | {:.1} … {:.1}", one.is, one.threshold, one.lowest, one.highest)
        };
        let ratio =
            format!("{:.2} | {:.2} … {:.2} | {:.2}", one.ratio, one.ratio_lower, one.ratio_upper, one.crude_ratio);
        let whom = one.attribute.as_ref().map_or("all", |(_, value)| value);
        let (inside, p, took_s) = (fleet.inside, one.p_value, began.elapsed().as_secs_f64());
        let known = if rule_channels(one) { "" } else { " (other channels)" };
        println!(
            "| {seed} | {inside} | {p:.3}{known} | {} | {} | {whom} | {ratio} | {} | {took_s:.0} |",
            condition(0),
            condition(1),
            findings.len()
        );
        let on_rule = rule_channels(one);
        first += u32::from(on_rule && one.p_value <= 0.001);
        close += u32::from(on_rule && (temp.threshold - 5.0).abs() <= 0.5 && (humidity.threshold - 80.0).abs() <= 1.0);
        covered += u32::from(on_rule && (one.ratio_lower..=one.ratio_upper).contains(&3.2));
        named += u32::from(on_rule && whom == "M2");
        right += u32::from(objection(one).is_none());
    }
    println!(
        "\nOf {fleets}: first with p ≤ 0.001 {first}, both thresholds {close}, interval holds 3.2 {covered}, model named {named}, all of it {right}; fewer than {FEWEST_INSIDE} inside: {too_few}"
    );
    let share = |number: u32, of_20: u32| 20 * number >= of_20 * fleets;
    too_few == 0 && share(first, 19) && share(close, 18) && share(covered, 17) && share(named, 18)
}

/// Fleets without the rule: plain, with a zone's own rate of log standard deviation 0.2, with wrong curves. Of 300, 6 to
/// 23 may report anything.
fn null(fleets: u32, first_seed: u32) -> bool {
    let kinds = ["plain", "zone frailty", "wrong curves"];
    let mut reported = [0_u32; 3];
    for done in 0..fleets {
        let seed = first_seed + done;
        let plain = Recipe { ratio: 1.0, vehicles: 300, ..Recipe::small(seed) };
        let recipes = [plain, Recipe { frailty: 0.2, ..plain }, Recipe { wrong: (-0.8, 0.25), ..plain }];
        for (kind, recipe) in recipes.iter().enumerate() {
            let findings = discover(&fleet(recipe), 199, u64::from(seed), LEVEL).findings;
            if let Some(one) = findings.first() {
                println!("seed {seed}, {}: p {:.3}, {}", kinds[kind], one.p_value, one.sentence());
                reported[kind] += 1;
            }
        }
        if (done + 1) % 5 == 0 {
            println!("reported at p ≤ {LEVEL}: {reported:?} of {} each ({})", done + 1, kinds.join(", "));
        }
    }
    let (all, of) = (reported.iter().sum::<u32>(), 3 * fleets);
    println!("\nReported at p ≤ {LEVEL}: {reported:?} ({}), {all} of {of}", kinds.join(", "));
    300 * all >= 6 * of && 300 * all <= 23 * of
}

/// How often the rule's channels are reported, by its ratio and the failures inside.
fn power(fleets: u32, first_seed: u32) -> bool {
    let heads: Vec<String> = INSIDE.iter().map(|inside| format!(" {inside} inside |")).collect();
    println!("| ratio |{}\n|---|{}", heads.concat(), "---|".repeat(INSIDE.len()));
    for ratio in RATIOS {
        let cells: Vec<String> = (INSIDE.iter())
            .map(|inside| {
                let share = (first_seed..first_seed + fleets).filter(|seed| {
                    let small = Recipe::small(*seed);
                    let recipe = Recipe { ratio, inside: Some(*inside), vehicles: 600, zone_turns: COLD, ..small };
                    let findings = discover(&fleet(&recipe), 199, u64::from(*seed), LEVEL).findings;
                    findings.iter().any(rule_channels)
                });
                format!(" {} of {fleets} |", share.count())
            })
            .collect();
        println!("| {ratio} |{}", cells.concat());
    }
    true
}
