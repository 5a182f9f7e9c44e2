//! Ring 3: compiled integer tables against an f64 oracle that evaluates the model straight from its formulas.
//!
//! Key idea: the oracle shares the parser with the program and nothing else: its own formulas (with std's functions on
//! purpose, not `libm`), its own decimals for codes on thresholds, its own bins for pair terms. Error budget: each
//! clock within 1e-4 relative, 2e-5 typical, of max(oracle, 2^-32 lives a record).
#![allow(clippy::disallowed_methods)] // An oracle that called the same functions would share their errors.

mod random;

use fleetwear::fixed::exp2::increment_q48;
use fleetwear::model::channel::{Channel, PeriodLength, Schema};
use fleetwear::model::compile::compile;
use fleetwear::model::compiled::CompiledModel;
use fleetwear::model::curve::Curve;
use fleetwear::model::shipped::{SHIPPED, standard_schema};
use fleetwear::model::spec::{Comparison, Exposure, Law, Mechanism, Model, Term, Test, Variable};
use fleetwear::model::surface::Surface;
use fleetwear::model::tables::{GROUP_LANES, TableInput};

use self::random::random_schema;

const LARGEST_RELATIVE_ERROR: f64 = 1e-4;
const TYPICAL_RELATIVE_ERROR: f64 = 2e-5;
/// Clocks are held to the budget down to this many lives a record.
const SMALLEST_RATE: f64 = 1.0 / (1u64 << 32) as f64;

/// Codes by schema channel.
type Record = Vec<u16>;

// ---- the oracle ----

/// The decimal that a code stands for: the declared factors and offsets have at most three digits.
fn decimal(channel: &Channel, code: u32) -> f64 {
    let milli = (channel.offset * 1000.0).round() as i64
        + (channel.factor * 1000.0).round() as i64 * (channel.first + i64::from(code));
    milli as f64 / 1000.0
}

struct Oracle<'a> {
    schema: &'a Schema,
    record: &'a [u16],
    attribute: Option<&'a str>,
}

impl Oracle<'_> {
    fn channel(&self, name: &str) -> (usize, &Channel) {
        let index = self.schema.channels.iter().position(|channel| channel.name == name).unwrap();
        (index, &self.schema.channels[index])
    }

    /// `None`: not available.
    fn value(&self, name: &str) -> Option<f64> {
        let (index, channel) = self.channel(name);
        let code = u32::from(self.record[index]);
        (code < channel.codes).then(|| decimal(channel, code))
    }

    /// Lives that the record uses up.
    fn lives(&self, mechanism: &Mechanism) -> f64 {
        let exposure = match (&mechanism.exposure, &self.schema.period_length) {
            (Exposure::Channel(name), _) => self.value(name),
            (Exposure::Records, _) => Some(1.0),
            (Exposure::Days, PeriodLength::Constant(days)) => Some(*days),
            (Exposure::Days, PeriodLength::Channel(index)) => self.value(&self.schema.channels[*index].name),
            (Exposure::Days, PeriodLength::Unknown) => panic!("compiled although nobody knows the days"),
        };
        let mut lives = exposure.unwrap_or(0.0) / mechanism.characteristic_life;
        for term in &mechanism.terms {
            lives *= self.ratio(term);
        }
        for interaction in &mechanism.interactions {
            let met = interaction.when.iter().all(|condition| match &condition.test {
                Test::Compare(comparison) => self.value(&condition.name).is_some_and(|value| match *comparison {
                    Comparison::Less(limit) => value < limit,
                    Comparison::LessOrEqual(limit) => value <= limit,
                    Comparison::Greater(limit) => value > limit,
                    Comparison::GreaterOrEqual(limit) => value >= limit,
                    Comparison::Equal(limit) => value == limit,
                    Comparison::Range(low, high) => (low..high).contains(&value),
                    Comparison::RangeInclusive(low, high) => (low..=high).contains(&value),
                }),
                Test::OneOf(values) => self.attribute.is_some_and(|own| values.iter().any(|value| value == own)),
            });
            if met {
                lives *= interaction.ratio;
            }
        }
        lives.min(1.0)
    }

    fn ratio(&self, term: &Term) -> f64 {
        match &term.law {
            Law::One(variable, curve) => match self.value(&variable.channel) {
                None => 1.0,
                Some(value) => {
                    let x = clamp(variable, value);
                    self.curve(curve, &variable.channel, x) / self.curve(curve, &variable.channel, curve.reference())
                }
            },
            Law::Two([a, b], surface @ Surface::Table { .. }) => {
                match (self.value(&a.channel), self.value(&b.channel)) {
                    (Some(x), Some(y)) => {
                        let [x0, y0] = surface.reference();
                        at_surface(surface, clamp(a, x), clamp(b, y)) / at_surface(surface, x0, y0)
                    }
                    _ => 1.0,
                }
            }
            // Along each channel the law itself, at the other's reference where that is not available; only what the
            // two do not say together is taken in the middle of their bins.
            Law::Two([a, b], surface) => {
                let [x0, y0] = surface.reference();
                let law = |x: f64, y: f64| at_surface(surface, x, y) / at_surface(surface, x0, y0);
                let (x, y) = (self.value(&a.channel), self.value(&b.channel));
                let alone = x.map_or(1.0, |x| law(clamp(a, x), y0)) * y.map_or(1.0, |y| law(x0, clamp(b, y)));
                let (Some(x), Some(y)) = (x, y) else { return alone };
                let (x, y) = (self.binned(a, surface, 0, x), self.binned(b, surface, 1, y));
                alone * law(x, y) / (law(x, y0) * law(x0, y))
            }
        }
    }

    fn curve(&self, curve: &Curve, channel: &str, x: f64) -> f64 {
        match curve {
            Curve::Power { exponent, .. } => x.powf(*exponent),
            Curve::Exponential { coefficient, .. } => (coefficient * x).exp(),
            Curve::Arrhenius { theta_k, kelvin, .. } => (-theta_k / if *kelvin { x } else { x + 273.15 }).exp(),
            Curve::Logistic { low, high, midpoint, width, .. } => {
                low + (high - low) * 0.5 * (1.0 + (0.5 * (x - midpoint) / width).tanh())
            }
            Curve::Piecewise { points, .. } => {
                let (first, last) = (points[0], points[points.len() - 1]);
                if x <= first.0 {
                    return first.1;
                }
                if x >= last.0 {
                    return last.1;
                }
                let right = points.iter().position(|point| point.0 >= x).unwrap();
                let ((x0, r0), (x1, r1)) = (points[right - 1], points[right]);
                r0 * (r1 / r0).powf((x - x0) / (x1 - x0))
            }
            Curve::UShape { optimum, cold, hot, .. } => {
                hot * (-cold * (x - optimum)).exp() + cold * (hot * (x - optimum)).exp()
            }
            Curve::Table { edges, ratios, .. } if edges.is_empty() => {
                let channel = self.channel(channel).1;
                ratios[(0..channel.codes).position(|code| decimal(channel, code) == x).unwrap()]
            }
            Curve::Table { edges, ratios, .. } => ratios[edges.iter().filter(|edge| x >= **edge).count()],
        }
    }

    /// The value that a pair term sees: the middle of the bin of codes that `value` falls in.
    fn binned(&self, variable: &Variable, surface: &Surface, side: usize, value: f64) -> f64 {
        let bins = match surface {
            Surface::Table { .. } => return clamp(variable, value),
            Surface::Plane { bins, .. }
            | Surface::ArrheniusLinear { bins, .. }
            | Surface::ArrheniusAnode { bins, .. } => bins[side],
        };
        let channel = self.channel(&variable.channel).1;
        let inside: Vec<f64> =
            (0..channel.codes).map(|code| decimal(channel, code)).filter(|x| clamp(variable, *x) == *x).collect();
        let x = value.clamp(inside[0], inside[inside.len() - 1]);
        let at = inside.iter().position(|one| *one == x).unwrap();
        let bins = bins.min(inside.len());
        // Bin k holds positions p with p * bins / n rounded down to k.
        let bin = at * bins / inside.len();
        let first = (bin * inside.len()).div_ceil(bins);
        let last = ((bin + 1) * inside.len()).div_ceil(bins) - 1;
        (inside[first] + inside[last]) / 2.0
    }
}

fn clamp(variable: &Variable, value: f64) -> f64 {
    let value = if variable.floor.is_some_and(|floor| value < floor) { variable.floor.unwrap() } else { value };
    if variable.ceiling.is_some_and(|ceiling| value > ceiling) { variable.ceiling.unwrap() } else { value }
}

fn at_surface(surface: &Surface, x: f64, y: f64) -> f64 {
    match surface {
        Surface::Table { edges, ratios, .. } => {
            let reached = |edges: &[f64], value: f64| edges.iter().filter(|edge| value >= **edge).count();
            ratios[reached(&edges[0], x)][reached(&edges[1], y)]
        }
        Surface::Plane { intercept, slope_a, slope_b, exponent, .. } => {
            (intercept + slope_a * x + slope_b * y).powf(*exponent)
        }
        Surface::ArrheniusLinear { theta_k, slope_k, .. } => (-(theta_k + slope_k * y) / (x + 273.15)).exp(),
        Surface::ArrheniusAnode { theta_k, slope_k_per_v, .. } => {
            let xa = 0.0085 + 0.01 * y * 0.7715;
            let ua = 0.6379 + 0.5416 * (-305.5309 * xa).exp() + 0.044 * ((0.1958 - xa) / 0.1088).tanh()
                - 0.1978 * ((xa - 1.0571) / 0.0854).tanh()
                - 0.6875 * ((xa + 0.0117) / 0.0529).tanh()
                - 0.0175 * ((xa - 0.5692) / 0.0875).tanh();
            (-(theta_k + slope_k_per_v * ua) / (x + 273.15)).exp()
        }
    }
}

// ---- the tables, by a plain loop ----

/// Q48 clocks of all mechanisms.
fn clocks_q48(model: &CompiledModel, records: &[Record], attribute: Option<&str>) -> Vec<u64> {
    let masks = model.masks(&|name| if name == "model" { attribute } else { None });
    let mut clocks = vec![0u64; model.tables.mechanisms];
    for record in records {
        let code = |channel: &usize| usize::from(record[model.channels[*channel]]);
        let rows: Vec<usize> = model
            .inputs
            .iter()
            .map(|input| match input {
                TableInput::Channel(channel) => code(channel),
                TableInput::Pair { channel_a, channel_b, bins_a, bins_b } => {
                    usize::from(bins_a[code(channel_a)]) + usize::from(bins_b[code(channel_b)])
                }
            })
            .collect();
        for (mechanism, clock) in clocks.iter_mut().enumerate() {
            let (group, lane) = (&model.tables.groups[mechanism / GROUP_LANES], mechanism % GROUP_LANES);
            let mut mask = masks[mechanism / GROUP_LANES];
            let mut sum_q18 = group.base_q18[lane];
            for input in &group.inputs {
                let row = rows[input.input];
                sum_q18 += input.rows_q18[row][lane];
                mask &= input.masks.as_ref().map_or(u32::MAX, |masks| masks[row]);
            }
            for (bit, row) in group.interactions_q18.iter().enumerate() {
                sum_q18 += if mask >> bit & 1 == 1 { row[lane] } else { 0 };
            }
            *clock += increment_q48(sum_q18).0;
        }
    }
    clocks
}

// ---- the comparator ----

/// Relative errors of all clocks, or the first that is out of budget.
fn compare(
    model: &Model,
    compiled: &CompiledModel,
    schema: &Schema,
    records: &[Record],
    attribute: Option<&str>,
) -> Result<Vec<f64>, String> {
    let clocks = clocks_q48(compiled, records, attribute);
    let mechanisms = model.modes.iter().flat_map(|mode| mode.mechanisms.iter().map(move |one| (mode, one)));
    let mut errors = Vec::new();
    for ((mode, mechanism), clock_q48) in mechanisms.zip(clocks) {
        let oracle: f64 = records.iter().map(|record| Oracle { schema, record, attribute }.lives(mechanism)).sum();
        let clock = clock_q48 as f64 / (1u64 << 48) as f64;
        let error = (clock - oracle).abs() / oracle.max(SMALLEST_RATE * records.len() as f64);
        // Written so that NaN is out of budget too.
        if error.is_nan() || error > LARGEST_RELATIVE_ERROR {
            return Err(format!("{}.{}: clock {clock:e}, oracle {oracle:e}, error {error:e}", mode.id, mechanism.id));
        }
        errors.push(error);
    }
    Ok(errors)
}

fn median(mut errors: Vec<f64>) -> f64 {
    errors.sort_by(f64::total_cmp);
    errors[errors.len() / 2]
}

/// A plain linear congruential generator: test data only (constants of Knuth's MMIX).
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((self.0 >> 33) * u64::from(limit)) >> 31) as u32
    }
}

/// Random codes over the whole range: one in ten not available, one in ten an end of the range.
fn random_records(schema: &Schema, count: usize, draw: &mut Draw) -> Vec<Record> {
    let code = |channel: &Channel, draw: &mut Draw| match draw.below(10) {
        0 => channel.codes,
        1 => (channel.codes - 1) * draw.below(2),
        _ => draw.below(channel.codes),
    };
    (0..count).map(|_| schema.channels.iter().map(|channel| code(channel, draw) as u16).collect()).collect()
}

// ---- shipped models ----

#[test]
fn shipped_models_agree_with_their_formulas() {
    let schema = standard_schema();
    for (name, _) in SHIPPED {
        let model = Model::load(name).unwrap();
        let compiled = compile(&model, &schema).unwrap();
        for attribute in [None, Some("M1"), Some("M2")] {
            let records = random_records(&schema, 2_000, &mut Draw(7));
            let errors = compare(&model, &compiled, &schema, &records, attribute).unwrap();
            let worst = errors.iter().copied().fold(0.0, f64::max);
            let typical = median(errors);
            println!("{name} {attribute:?}: largest relative error {worst:.2e}, median {typical:.2e}");
            assert!(typical < TYPICAL_RELATIVE_ERROR);
        }
    }
}

#[test]
fn every_code_of_every_shipped_channel_agrees_alone() {
    let schema = standard_schema();
    let reference: Record = [550, 120, 350, 60, 80, 2, 3, 15, 120, 70, 600, 100, 15, 100].to_vec();
    for (name, _) in SHIPPED {
        let model = Model::load(name).unwrap();
        let compiled = compile(&model, &schema).unwrap();
        for (index, channel) in schema.channels.iter().enumerate() {
            // Every code of small channels, every 7th of large ones, and always "not available".
            let step = if channel.codes > 2_000 { 7 } else { 1 };
            for code in (0..channel.codes).step_by(step).chain([channel.codes]) {
                let mut record = reference.clone();
                record[index] = code as u16;
                compare(&model, &compiled, &schema, &[record], Some("M2")).unwrap();
            }
        }
    }
}

// ---- the comparator objects ----

#[test]
fn a_wrong_entry_is_noticed() {
    let schema = standard_schema();
    let model = Model::load("ev-passenger").unwrap();
    let compiled = compile(&model, &schema).unwrap();
    let record: Record = [400, 180, 350, 60, 80, 2, 3, 15, 120, 70, 600, 100, 15, 100].to_vec();
    let records = vec![record.clone(); 10];
    compare(&model, &compiled, &schema, &records, Some("M2")).unwrap();
    // 1e-3 in one ratio, in 2^-18 octaves.
    let off_q18 = (1.001f64.log2() * (1 << 18) as f64).round() as i32;
    let mut tried = 0;
    for mechanism in 0..compiled.tables.mechanisms {
        let (group, lane) = (mechanism / GROUP_LANES, mechanism % GROUP_LANES);
        for position in 0..compiled.tables.groups[group].inputs.len() {
            let mut wrong = compiled.clone();
            let input = &mut wrong.tables.groups[group].inputs[position];
            let row = match &compiled.inputs[input.input] {
                TableInput::Channel(channel) => usize::from(record[compiled.channels[*channel]]),
                TableInput::Pair { .. } => continue,
            };
            input.rows_q18[row][lane] += off_q18;
            let objection = compare(&model, &wrong, &schema, &records, Some("M2")).unwrap_err();
            assert!(objection.contains(&compiled.mechanisms[mechanism].id), "{objection}");
            tried += 1;
        }
    }
    assert!(tried > 50);
    // An interaction that never fires, and one that fires for the wrong vehicles.
    let mut wrong = compiled.clone();
    wrong.interactions[1][0].attributes.clear();
    compare(&model, &wrong, &schema, &records, Some("M1")).unwrap_err();
    let mut wrong = compiled.clone();
    for group in &mut wrong.tables.groups {
        group.interactions_q18.iter_mut().for_each(|row| *row = [0; GROUP_LANES]);
    }
    compare(&model, &wrong, &schema, &records, Some("M2")).unwrap_err();
}

/// One mechanism with `rest` after its exposure.
fn one_mechanism(rest: &str) -> String {
    format!(
        "[model]\nname='m'\nversion='1'\n[[failure_mode]]\nid='a'\ncomponent='a'\nweibull_shape=1.0\n\
         [[failure_mode.mechanism]]\nid='m'\nexposure='records'\n{rest}\n"
    )
}

#[test]
fn a_slightly_different_law_is_noticed() {
    let schema = random_schema(PeriodLength::Constant(1.0));
    // Tables of the left law against the oracle of the right one, each at a record where they differ: codes of
    // temp, pct, use, late, fine, quarter.
    let when =
        |condition: &str| format!("characteristic_life=1000\ninteractions=[{{id='i',when={{{condition}}},ratio=1.5}}]");
    let term = |term: &str| format!("characteristic_life=1000\nterms=[{{{term}}}]");
    let cases: Vec<(String, String, [u16; 6])> = vec![
        ("characteristic_life=1000".into(), "characteristic_life=1000.2".into(), [0; 6]),
        (when("temp='< 5'"), when("temp='<= 5'"), [450, 0, 0, 0, 0, 0]),
        (when("temp='> 5'"), when("temp='>= 5'"), [450, 0, 0, 0, 0, 0]),
        (when("temp='5..10'"), when("temp='5..=10'"), [500, 0, 0, 0, 0, 0]),
        (when("temp='== 5'"), when("temp='== 5.1'"), [451, 0, 0, 0, 0, 0]),
        (when("fine='< 2.51'"), when("fine='<= 2.51'"), [0, 0, 0, 0, 101, 0]),
        (when("temp='< 90'"), when("temp='< 90',model=['M1']"), [0; 6]),
        (
            term("channel='temp',curve='arrhenius',activation_energy_ev=0.5,reference=20"),
            term("channel='temp',curve='arrhenius',activation_energy_ev=0.501,reference=20"),
            [700, 0, 0, 0, 0, 0],
        ),
        (
            term("channel='pct',curve='power',exponent=1.5,reference=40,floor=5"),
            term("channel='pct',curve='power',exponent=1.5,reference=40,floor=5.01"),
            [0; 6],
        ),
        (
            term("channel='pct',curve='table',edges=[50],ratios=[1,1.01],reference=10"),
            term("channel='pct',curve='table',edges=[50.5],ratios=[1,1.01],reference=10"),
            [0, 100, 0, 0, 0, 0],
        ),
        (
            term(
                "channels=['temp','pct'],curve='plane',intercept=1,slope_a=0.1,slope_b=0.02,floor=[0,0],bins=[9,63],reference=[0,50]",
            ),
            term(
                "channels=['temp','pct'],curve='plane',intercept=1,slope_a=0.1,slope_b=0.02,floor=[0,0],bins=[9,62],reference=[0,50]",
            ),
            [700, 150, 0, 0, 0, 0],
        ),
        (
            term(
                "channels=['temp','pct'],curve='arrhenius_anode',temperature_k=3000,slope_k_per_v=3500,reference=[20,50]",
            ),
            term(
                "channels=['temp','pct'],curve='arrhenius_anode',temperature_k=3000,slope_k_per_v=3510,reference=[20,50]",
            ),
            [600, 20, 0, 0, 0, 0],
        ),
    ];
    for (ours, theirs, codes) in cases {
        let record: Record = codes.iter().copied().chain([0, 0]).collect();
        let model = Model::parse(&one_mechanism(&ours), "ours.toml").unwrap();
        let compiled = compile(&model, &schema).unwrap();
        let records = [record];
        compare(&model, &compiled, &schema, &records, Some("M2")).unwrap();
        let other = Model::parse(&one_mechanism(&theirs), "theirs.toml").unwrap();
        compare(&other, &compiled, &schema, &records, Some("M2")).expect_err(&theirs);
    }
}

#[test]
fn not_available_is_neutral_for_terms_and_nothing_for_exposures() {
    let schema = random_schema(PeriodLength::Constant(1.0));
    let text = one_mechanism(
        "characteristic_life=1000\nterms=[{channel='pct',curve='power',exponent=3,reference=10,floor=5}]\n\
         interactions=[{id='i',when={temp='< 90'},ratio=4}]\n\
         [[failure_mode.mechanism]]\nid='n'\nexposure='use'\ncharacteristic_life=1000\n\
         terms=[{channel='use',curve='exponential',coefficient=0.001,reference=0}]",
    );
    let model = Model::parse(&text, "na.toml").unwrap();
    let compiled = compile(&model, &schema).unwrap();
    let missing: Record = schema.channels.iter().map(Channel::not_available).collect();
    let clocks = clocks_q48(&compiled, &[missing], None);
    assert!((clocks[0] as f64 / (1u64 << 48) as f64 * 1000.0 - 1.0).abs() < 1e-4, "ratio 1, condition not met");
    assert_eq!(clocks[1], 0, "no exposure, no increment");
    let zero: Record = vec![0; schema.channels.len()];
    assert_eq!(clocks_q48(&compiled, &[zero], None)[1], 0, "an exposure of zero is no increment");
}

// ---- down to 2^-32 lives a record ----

#[test]
fn small_rates_keep_the_budget() {
    let schema = random_schema(PeriodLength::Constant(1.0));
    let mut worst_by_octave = Vec::new();
    for octave in 1..=32 {
        // Slightly below the power of two, so that the rate is at least 2^-octave.
        let life = (1u64 << octave) as f64 * 0.999;
        let text = format!(
            "[model]\nname='small'\nversion='1'\n[[failure_mode]]\nid='a'\ncomponent='a'\nweibull_shape=1.0\n\
             [[failure_mode.mechanism]]\nid='m'\nexposure='records'\ncharacteristic_life={life}\n\
             terms=[{{channel='pct',curve='exponential',coefficient=0.006,reference=0}}]\n"
        );
        let model = Model::parse(&text, "small.toml").unwrap();
        let compiled = compile(&model, &schema).unwrap();
        let mut worst: f64 = 0.0;
        for code in 0..=201 {
            let mut record: Record = vec![0; schema.channels.len()];
            record[1] = code;
            let errors = compare(&model, &compiled, &schema, &[record], None).unwrap();
            worst = worst.max(errors[0]);
        }
        worst_by_octave.push(format!("2^-{octave}: {worst:.1e}"));
    }
    println!("largest relative error of a single record by rate: {}", worst_by_octave.join(", "));
}
