//! Small fleets of records with and without a rule, made in memory, and the whole search over them.
//!
//! Weather is shared by the vehicles of a zone, as in the data that the search is for: a temperature with seasons and a
//! humidity, both with memory from day to day. What is expected of a record follows from its load; events are drawn
//! from it, times the rule's ratio where it holds. `benches/discover.rs` makes its fleets here too.

use fleetwear::backend::cpu::cube::CpuCube;
use fleetwear::discover::close_up::{CloseUp, View};
use fleetwear::discover::findings::{Finding, Names, Searched, accepted, finding, prior};
use fleetwear::discover::passes::{CubePass, event_places, without_copies};
use fleetwear::discover::search::{Found, SearchRequest, Space, search};
use fleetwear::discover::singles::{MainEffect, main_effects};
use fleetwear::discover::survey::{Block, EventRow, Settled, Survey};
use fleetwear::fixed::threefry::threefry2x32;
use fleetwear::model::channel::Channel;
use fleetwear::run::Control;

/// What a fleet is made of.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    pub seed: u32,
    pub zones: usize,
    /// The vehicles' zones, in turn: the coldest is 0.
    pub zone_turns: &'static [usize],
    pub days: usize,
    pub vehicles: usize,
    /// Besides temperature, humidity and load.
    pub other_channels: usize,
    /// Expected events without the rule; `inside` overrides it.
    pub events: f64,
    /// Expected events where the rule holds.
    pub inside: Option<f64>,
    /// Ratio below 5 °C and above 80 % on vehicles of model M2; 1: no rule.
    pub ratio: f64,
    /// Log standard deviation of a zone's own rate, unknown to the model.
    pub frailty: f64,
    /// Power of the load that the model does not know of, and log slope in the temperature per 10 K.
    pub wrong: (f64, f64),
    /// Ratio below 5 °C whatever the humidity, on all vehicles, that the model does not know of.
    pub step: f64,
}

impl Recipe {
    pub fn small(seed: u32) -> Self {
        Self {
            seed,
            zones: 4,
            zone_turns: &[0, 1, 2, 3],
            days: 730,
            vehicles: 500,
            other_channels: 3,
            events: 2_500.0,
            inside: None,
            ratio: 3.2,
            frailty: 0.0,
            wrong: (0.0, 0.0),
            step: 1.0,
        }
    }
}

pub struct Random {
    seed: u32,
    next: u32,
}

impl Random {
    pub fn new(seed: u32) -> Self {
        Self { seed, next: 0 }
    }

    pub fn uniform(&mut self) -> f64 {
        self.next += 1;
        (f64::from(threefry2x32([self.seed, 4711], [self.next, 0])[0]) + 0.5) / 4_294_967_296.0
    }

    pub fn normal(&mut self) -> f64 {
        libm::sqrt(-2.0 * libm::log(self.uniform())) * libm::cos(std::f64::consts::TAU * self.uniform())
    }
}

pub struct Fleet {
    pub channels: Vec<Channel>,
    pub block: Block,
    pub events: Vec<EventRow>,
    pub strata: Vec<(String, Option<i32>)>,
    pub attributes: Vec<(String, Vec<String>)>,
    /// Events drawn where the rule holds.
    pub inside: usize,
}

pub fn channel(name: &str, factor: f64, offset: f64, codes: u32) -> Channel {
    Channel { name: name.to_owned(), unit: String::new(), factor, offset, first: 0, codes }
}

/// Makes a fleet.
pub fn fleet(recipe: &Recipe) -> Fleet {
    let mut random = Random::new(recipe.seed);
    let mut channels = vec![
        channel("temp_c", 0.1, -40.0, 1000),
        channel("humidity_pct", 1.0, 0.0, 101),
        channel("load_pct", 0.5, 0.0, 201),
    ];
    for other in 0..recipe.other_channels {
        channels.push(channel(&format!("other_{other}"), 1.0, 0.0, 200));
    }
    let months = recipe.days / 30 + 1;
    let mut strata = Vec::new();
    let mut weather: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut frailty = Vec::new();
    for zone in 0..recipe.zones {
        strata.extend((0..months).map(|month| (format!("zone {zone}"), Some((month / 12) as i32))));
        frailty.push(libm::exp(recipe.frailty * random.normal()));
        let mean = 4.0 + 6.0 * zone as f64;
        let (mut warm, mut wet) = (0.0, 0.0);
        weather.push(
            (0..recipe.days)
                .map(|day| {
                    warm = 0.8 * warm + 0.6 * random.normal();
                    wet = 0.7 * wet + 0.71 * random.normal();
                    let season = -libm::cos(std::f64::consts::TAU * day as f64 / 365.0);
                    let temp_c = mean + 12.0 * season + 4.0 * warm;
                    let humidity_pct = (66.0 + 14.0 * wet - 3.0 * warm - 4.0 * season).clamp(5.0, 100.0);
                    (temp_c, humidity_pct)
                })
                .collect(),
        );
    }
    let mut block = Block::new(channels.len(), 2);
    let mut rates = Vec::new();
    for vehicle in 0..recipe.vehicles {
        let zone = recipe.zone_turns[vehicle % recipe.zone_turns.len()];
        let (model, plant) = ((random.uniform() * 3.0) as u32, (random.uniform() * 2.0) as u32);
        let habit = random.normal();
        for (day, (temp_c, humidity_pct)) in weather[zone].iter().enumerate() {
            let load_pct = (40.0 + 10.0 * habit + 12.0 * random.normal()).clamp(5.0, 100.0);
            let expected = libm::pow(load_pct / 40.0, 1.5) * libm::sqrt(1.0 + day as f64);
            let codes = [
                ((temp_c + 40.0) * 10.0).round().clamp(0.0, 999.0) as u16,
                humidity_pct.round() as u16,
                (load_pct * 2.0).round() as u16,
            ];
            for (column, code) in block.codes.iter_mut().zip(codes) {
                column.push(code);
            }
            for (other, column) in block.codes.iter_mut().enumerate().skip(3) {
                // Some go with the temperature, some with nothing.
                let own = if other % 2 == 0 { *temp_c } else { 10.0 * habit };
                column.push((100.0 + own + 15.0 * random.normal()).clamp(0.0, 199.0) as u16);
            }
            block.id.push(threefry2x32([3, 3], [vehicle as u32, recipe.seed])[0]);
            block.tick.push(day as i32);
            block.stratum.push((zone * months + day / 30) as u32);
            block.values[0].push(model);
            block.values[1].push(plant);
            block.expected.push(expected);
            let rule = codes[0] < 450 && codes[1] > 80 && model == 1;
            let wrong = libm::pow(load_pct / 40.0, recipe.wrong.0) * libm::exp(recipe.wrong.1 * (temp_c - 10.0) / 10.0);
            let step = if codes[0] < 450 { recipe.step } else { 1.0 };
            rates.push((expected * frailty[zone] * wrong * step * if rule { recipe.ratio } else { 1.0 }, rule));
        }
    }
    let scale = match recipe.inside {
        Some(events) => events / rates.iter().filter(|(_, rule)| *rule).map(|(rate, _)| rate).sum::<f64>(),
        None => recipe.events / block.expected.iter().sum::<f64>(),
    };
    block.expected.iter_mut().for_each(|expected| *expected *= scale);
    let mut events = Vec::new();
    let mut inside = 0;
    for (row, (rate, rule)) in rates.iter().enumerate() {
        if random.uniform() < scale * rate {
            let codes_at = |row: usize| block.codes.iter().map(|column| column[row]).collect::<Vec<u16>>();
            let earlier = [1, 3, 7].map(|days| {
                let row = row.checked_sub(days).filter(|before| block.id[*before] == block.id[row])?;
                Some(codes_at(row))
            });
            events.push(EventRow {
                id: block.id[row],
                stratum: block.stratum[row],
                codes: codes_at(row),
                earlier,
                values: block.values.iter().map(|column| column[row]).collect(),
            });
            inside += usize::from(*rule);
        }
    }
    let attributes = vec![
        ("model".to_owned(), ["M1", "M2", "M3"].map(str::to_owned).to_vec()),
        ("plant".to_owned(), ["north", "south"].map(str::to_owned).to_vec()),
    ];
    Fleet { channels, block, events, strata, attributes, inside }
}

/// What came of the search over a fleet.
pub struct Outcome {
    pub found: Found,
    pub findings: Vec<Finding>,
    pub main_effects: Vec<MainEffect>,
    pub copies: Vec<(usize, usize)>,
    pub channels: Vec<usize>,
}

/// All passes and the search, as the engine does them.
pub fn discover(fleet: &Fleet, replicates: u32, seed: u64, level: f64) -> Outcome {
    let codes: Vec<u32> = fleet.channels.iter().map(|channel| channel.codes).collect();
    let mut survey = Survey::new(&codes);
    survey.push(&fleet.block);
    let values: Vec<usize> = fleet.attributes.iter().map(|(_, values)| values.len()).collect();
    let settled = Settled::new(&survey, &fleet.events, &values);
    let backend = Box::new(CpuCube::open(&settled.cube, usize::MAX).unwrap());
    let pass = CubePass::new(&settled, backend, seed, fleet.events.len());
    pass.push(&fleet.block).unwrap();
    let (sums, pool) = pass.finish().unwrap();
    let (pairs, copies) = without_copies(&settled, &pool);
    let places = event_places(&settled, &fleet.events);
    let space = Space {
        plan: &settled.cube,
        pairs: &pairs,
        sums: &sums,
        levels: &settled.levels,
        attribute: &settled.attribute,
        events: &places,
        pool: &pool,
    };
    let found = search(&space, &SearchRequest { replicates, seed }, &Control::silent()).unwrap();
    let strata: Vec<_> = settled.strata.iter().map(|key| fleet.strata[*key as usize].clone()).collect();
    let names = Names { channels: &fleet.channels, attributes: &fleet.attributes, strata: &strata };
    let prior = prior(&space, &found);
    let searched = Searched { settled: &settled, space: &space, events: &fleet.events, names: &names, prior };
    let findings = accepted(&found, &space, level)
        .iter()
        .map(|(candidate, alternatives)| {
            let close_up = CloseUp::new(&settled, View::new(&settled, &survey, candidate));
            close_up.push(&fleet.block);
            let (view, seen) = close_up.finish(&fleet.events);
            finding(&searched, &view, &seen, alternatives)
        })
        .filter(Finding::is_borne_out)
        .collect();
    let request = SearchRequest { replicates, seed };
    let main_effects = main_effects(&settled, &space, &names, &request, level, &Control::silent()).unwrap();
    Outcome { found, findings, main_effects, copies, channels: settled.channels.clone() }
}

/// What is wrong with a finding, or nothing. How often intervals hold 3.2 is counted in `benches/discover.rs`.
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
