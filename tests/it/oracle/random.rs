//! Random models, written as TOML so that the parser takes part: every curve, pair terms, interactions with records
//! exactly on, just below and just above their thresholds, codes that are not available.

use std::cell::RefCell;

use fleetwear::model::channel::{Channel, PeriodLength, Schema};
use fleetwear::model::compile::compile;
use fleetwear::model::spec::Model;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{Draw, TYPICAL_RELATIVE_ERROR, compare, decimal, median, random_records};

/// Channels with all kinds of steps, offsets and first codes; the last is the length of a record.
pub(super) fn random_schema(period_length: PeriodLength) -> Schema {
    let channel = |name: &str, factor: f64, offset: f64, first: i64, codes: u32| Channel {
        name: name.to_owned(),
        unit: "1".to_owned(),
        factor,
        offset,
        first,
        codes,
    };
    Schema {
        channels: vec![
            channel("temp", 0.1, -40.0, 0, 1251),
            channel("pct", 0.5, 0.0, 0, 201),
            channel("use", 0.1, 0.0, 0, 15_001),
            channel("late", 1.0, 0.0, 5, 256),
            channel("fine", 0.01, 0.0, 150, 251),
            channel("quarter", 0.25, -10.0, 0, 101),
            channel("lone", 1.0, 3.0, 0, 1),
            channel("period", 1.0, 0.0, 28, 4),
        ],
        period_length,
        attributes: vec!["model".to_owned()],
    }
}

/// (channel, lowest, highest value, step) of what random terms read.
const RANGES: [(&str, f64, f64, f64); 6] = [
    ("temp", -40.0, 85.0, 0.1),
    ("pct", 0.0, 100.0, 0.5),
    ("use", 0.0, 1500.0, 0.1),
    ("late", 5.0, 260.0, 1.0),
    ("fine", 1.5, 4.0, 0.01),
    ("quarter", -10.0, 15.0, 0.25),
];

/// A value on the channel's grid, so that thresholds and edges lie exactly on codes.
fn on_grid(range: (&str, f64, f64, f64), share: f64) -> f64 {
    let steps = ((range.2 - range.1) / range.3).round();
    let value = range.1 + (share * steps).round() * range.3;
    (value * 1000.0).round() / 1000.0
}

prop_compose! {
    fn single_term()(range in prop::sample::select(&RANGES[..]), kind in 0..8, shares in prop::array::uniform4(0.02..0.98f64), signed in -1.0..1.0f64, clamped in any::<bool>()) -> String {
        let (name, low, high, _) = range;
        let at = |share: f64| on_grid(range, share);
        let width = high - low;
        let reference = at(shares[0]);
        let mut sorted = [at(shares[1]), at(shares[2]), at(shares[3])];
        sorted.sort_by(f64::total_cmp);
        let clamp = if clamped { format!(", floor = {:?}, ceiling = {:?}", at(shares[0] * 0.5) , at(shares[0] * 0.5 + 0.5)) } else { String::new() };
        match kind {
            // A power needs values above zero.
            0 => {
                let floor = at(0.0).max(width * 0.01);
                let reference = reference.max(width * 0.02);
                format!("{{ channel = '{name}', curve = 'power', exponent = {:?}, reference = {reference:?}, floor = {floor:?} }}", 1.5 * signed)
            }
            1 => format!("{{ channel = '{name}', curve = 'exponential', coefficient = {:?}, reference = {reference:?}{clamp} }}", 5.0 * signed / width),
            2 => format!("{{ channel = 'temp', curve = 'arrhenius', activation_energy_ev = {:?}, reference = {:?} }}", 0.5 * signed, on_grid(RANGES[0], shares[0])),
            3 => format!("{{ channel = '{name}', curve = 'logistic', low = {:?}, high = {:?}, midpoint = {:?}, width = {:?}, reference = {reference:?}{clamp} }}", shares[1], 1.0 + 5.0 * shares[2], at(shares[3]), width * 0.1 * if signed < 0.0 { -1.0 } else { 1.0 }),
            4 => {
                let mut points = vec![(sorted[0], 0.5 + shares[1])];
                for (x, ratio) in [(sorted[1], 0.2 + shares[2]), (sorted[2], 4.0 * shares[3])] {
                    if x > points[points.len() - 1].0 { points.push((x, ratio)); }
                }
                let points: Vec<String> = points.into_iter().map(|(x, ratio)| format!("[{x:?}, {ratio:?}]")).collect();
                format!("{{ channel = '{name}', curve = 'piecewise', points = [{}], reference = {reference:?}{clamp} }}", points.join(", "))
            }
            5 => format!("{{ channel = '{name}', curve = 'u_shape', optimum = {:?}, cold_coefficient = {:?}, hot_coefficient = {:?}{} }}", at(shares[1]), 4.0 * shares[2] / width, 4.0 * shares[3] / width, if clamped { format!(", reference = {reference:?}") } else { String::new() }),
            6 => {
                let mut edges = sorted.to_vec();
                edges.dedup();
                let ratios: Vec<String> = (0..=edges.len()).map(|i| format!("{:?}", 0.3 + shares[i % 4] * (i as f64 + 1.0))).collect();
                format!("{{ channel = '{name}', curve = 'table', edges = {edges:?}, ratios = [{}], reference = {reference:?}{clamp} }}", ratios.join(", "))
            }
            _ => {
                let ratios: Vec<String> = (0..101).map(|i| format!("{:?}", 0.5 + shares[i % 4])).collect();
                format!("{{ channel = 'quarter', curve = 'table', ratios = [{}], reference = {:?} }}", ratios.join(", "), on_grid(RANGES[5], shares[0]))
            }
        }
    }
}

prop_compose! {
    fn pair_term()(kind in 0..4, a in 1..6usize, shares in prop::array::uniform4(0.02..0.98f64), bins in (1..90u32, 1..40u32), clamped in any::<bool>()) -> String {
        let at = |range: usize, share: f64| on_grid(RANGES[range], share);
        let bins = format!("bins = [{}, {}]", bins.0, bins.1);
        let temp_pct = |low: f64| format!("channels = ['temp', 'pct'], reference = [{:?}, {:?}], {bins}{}", at(0, 0.4), at(1, shares[0]),
            if clamped { format!(", floor = [{:?}, 0], ceiling = [{:?}, 100]", low, low + 45.0) } else { String::new() });
        let b = if a == 5 { 1 } else { a + 1 };
        match kind {
            0 => format!("{{ curve = 'plane', {}, intercept = 1.0, slope_a = {:?}, slope_b = {:?}, exponent = {:?} }}", temp_pct(0.0), 0.02 * shares[1], 0.03 * shares[2], 2.0 * shares[3]),
            1 => format!("{{ curve = 'arrhenius_linear', {}, temperature_k = {:?}, slope_k = {:?} }}", temp_pct(-10.0), 3000.0 * shares[1], -10.0 * shares[2]),
            2 => format!("{{ curve = 'arrhenius_anode', {}, temperature_k = {:?}, slope_k_per_v = {:?} }}", temp_pct(5.0), 3000.0 * shares[1], 1000.0 * shares[2]),
            _ => {
                let (x0, x1) = (at(a, shares[0] * 0.5), at(a, shares[0] * 0.5 + 0.45));
                format!("{{ channels = ['{}', '{}'], curve = 'table', edges_a = [{x0:?}, {x1:?}], edges_b = [{:?}], ratios = [[1.0, {:?}], [2.0, 0.5], [{:?}, 3.0]], reference = [{:?}, {:?}] }}",
                    RANGES[a].0, RANGES[b].0, at(b, shares[1]), shares[2], shares[3], at(a, shares[1]), at(b, shares[2]))
            }
        }
    }
}

prop_compose! {
    /// An interaction, and the (channel index, value) of its thresholds.
    fn interaction()(a in 0..6usize, skip in 1..6usize, kinds in (0..7, 0..7), shares in prop::array::uniform4(0.02..0.98f64), ratio in 0.2..6.0f64, attribute in 0..3) -> (String, Vec<(usize, f64)>) {
        let b = (a + skip) % 6;
        let condition = |range: usize, kind: i32, share: f64, other: f64| {
            let (low, high) = (on_grid(RANGES[range], share.min(other) * 0.9), on_grid(RANGES[range], share.max(other) * 0.9 + 0.1));
            let text = match kind {
                0 => format!("'< {low:?}'"),
                1 => format!("'<= {low:?}'"),
                2 => format!("'> {low:?}'"),
                3 => format!("'>= {low:?}'"),
                4 => format!("'== {low:?}'"),
                5 => format!("'{low:?}..{high:?}'"),
                _ => format!("'{low:?}..={high:?}'"),
            };
            (text, [(range, low), (range, high)])
        };
        let (text_a, limits_a) = condition(a, kinds.0, shares[0], shares[1]);
        let (text_b, limits_b) = condition(b, kinds.1, shares[2], shares[3]);
        let attribute = match attribute { 0 => "", 1 => ", model = 'M2'", _ => ", model = ['M2', 'M3']" };
        let text = format!("when = {{ {} = {text_a}, {} = {text_b}{attribute} }}, ratio = {ratio:?}", RANGES[a].0, RANGES[b].0);
        (text, [limits_a, limits_b].concat())
    }
}

prop_compose! {
    fn mechanism()(exposure in prop::sample::select(vec!["days", "records", "use", "late"]), octaves in 10..31i32, terms in prop::collection::vec(single_term(), 0..4), pairs in prop::collection::vec(pair_term(), 0..2), interactions in prop::collection::vec(interaction(), 0..3)) -> (String, Vec<(usize, f64)>) {
        let terms = [terms, pairs].concat().join(",\n    ");
        let limits = interactions.iter().flat_map(|(_, limits)| limits.clone()).collect();
        let interactions: Vec<String> = interactions.into_iter().enumerate().map(|(i, (text, _))| format!("{{ id = 'i{i}', {text} }}")).collect();
        let text = format!("exposure = '{exposure}'\ncharacteristic_life = {}\nterms = [\n    {terms}]\ninteractions = [{}]\n",
            (1u64 << octaves) as f64 * 1.37, interactions.join(", "));
        (text, limits)
    }
}

#[test]
fn random_models_agree_with_their_formulas() {
    let config =
        ProptestConfig { cases: 64, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() };
    let strategy = (
        prop::collection::vec(mechanism(), 1..19),
        0..3,
        any::<u64>(),
        prop::sample::select(vec![None, Some("M1"), Some("M2")]),
    );
    let errors = RefCell::new(Vec::new());
    let outcome = TestRunner::new(config).run(&strategy, |(mechanisms, period, seed, attribute)| {
        match agree(&mechanisms, period, seed, attribute) {
            Ok(found) => errors.borrow_mut().extend(found),
            // Terms that multiply beyond what the tables hold are refused, with a remedy: not a model to compare.
            Err(why) if why.contains("must stay below 2^16") => return Err(TestCaseError::reject(why)),
            Err(why) => return Err(TestCaseError::fail(why)),
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let errors = errors.into_inner();
    let worst = errors.iter().copied().fold(0.0, f64::max);
    let (clocks, typical) = (errors.len(), median(errors));
    println!("{clocks} clocks of random models: largest relative error {worst:.2e}, median {typical:.2e}");
    assert!(typical < TYPICAL_RELATIVE_ERROR);
}

/// Relative errors of all clocks, or what is wrong with which record of which model.
fn agree(
    mechanisms: &[(String, Vec<(usize, f64)>)],
    period: i32,
    seed: u64,
    attribute: Option<&str>,
) -> Result<Vec<f64>, String> {
    let schema = random_schema(match period {
        0 => PeriodLength::Constant(1.0),
        1 => PeriodLength::Constant(7.0),
        _ => PeriodLength::Channel(7),
    });
    let mut text =
        "[model]\nname = 'random'\nversion = '1'\n[[failure_mode]]\nid = 'a'\ncomponent = 'a'\nweibull_shape = 1.5\n"
            .to_owned();
    for (i, (mechanism, _)) in mechanisms.iter().enumerate() {
        text += &format!("[[failure_mode.mechanism]]\nid = 'm{i}'\n{mechanism}");
    }
    let model = Model::parse(&text, "random.toml").map_err(|error| format!("{error}\n{text}"))?;
    let compiled = compile(&model, &schema).map_err(|error| format!("{error}\n{text}"))?;
    let mut draw = Draw(seed);
    let mut records = random_records(&schema, 40, &mut draw);
    for (channel, limit) in mechanisms.iter().flat_map(|(_, limits)| limits) {
        let declared = &schema.channels[*channel];
        let exactly = (0..declared.codes).find(|code| decimal(declared, *code) == *limit);
        let exactly = exactly.ok_or_else(|| format!("{limit} is no value of {}", declared.name))?;
        for code in [exactly.saturating_sub(1), exactly, exactly + 1] {
            let other = draw.below(records.len() as u32) as usize;
            let mut record = records[other].clone();
            record[*channel] = code as u16;
            records.push(record);
        }
    }
    // One by one: in a sum, a wrong record can hide behind large ones.
    for record in &records {
        compare(&model, &compiled, &schema, std::slice::from_ref(record), attribute)
            .map_err(|objection| format!("{objection}\n{record:?}\n{text}"))?;
    }
    compare(&model, &compiled, &schema, &records, attribute).map_err(|objection| format!("{objection}\n{text}"))
}
