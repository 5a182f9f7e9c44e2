//! The slopes of the likelihood against differences of the likelihood, for every kind of parameter and of life.

use fleetwear::fit::history::law::Law;
use fleetwear::fit::history::likelihood::{Delays, End, Life, Lives, VehicleLives};
use fleetwear::fixed::threefry::threefry2x32;
use fleetwear::model::channel::Channel;
use fleetwear::model::spec::Model;

/// Two modes of one component; what can be free is.
const MODEL: &str = r#"
[model]
name = "all"
version = "1"

[[failure_mode]]
id = "wear"
component = "pad"
weibull_shape = 1.6
free = ["weibull_shape"]
  [[failure_mode.mechanism]]
  id = "heat"
  exposure = "days"
  characteristic_life = 90
  clock_exponent = 0.8
  free = ["characteristic_life", "clock_exponent", "temp.activation_energy_ev", "load.exponent", "hot_loaded.ratio", "cold.ratio"]
  terms = [
    { channel = "temp", curve = "arrhenius", activation_energy_ev = 0.4, reference = 20.0 },
    { channel = "load", curve = "power", exponent = 1.5, reference = 40.0, floor = 5.0 },
  ]
  interactions = [
    { id = "hot_loaded", when = { temp = "> 30", load = "> 50" }, ratio = 2.0 },
    { id = "cold", when = { temp = "< 0", load = "> 10" }, ratio = 1.5 },
  ]
  [[failure_mode.mechanism]]
  id = "time"
  exposure = "days"
  characteristic_life = 200
  free = ["characteristic_life"]

[[failure_mode]]
id = "crack"
component = "pad"
weibull_shape = 3.0
free = ["weibull_shape"]
  [[failure_mode.mechanism]]
  id = "load"
  exposure = "days"
  characteristic_life = 150
  free = ["characteristic_life", "load.high", "load.midpoint", "load.width", "temp.optimum", "temp.cold_coefficient"]
  terms = [
    { channel = "load", curve = "logistic", high = 3.0, midpoint = 50.0, width = 8.0, reference = 40.0 },
    { channel = "temp", curve = "u_shape", optimum = 20.0, cold_coefficient = 0.03, hot_coefficient = 0.02, reference = 20.0 },
  ]
"#;

fn channels() -> [Channel; 2] {
    let channel = |name: &str, first: i64, codes: u32| Channel {
        name: name.to_owned(),
        unit: String::new(),
        factor: 1.0,
        offset: 0.0,
        first,
        codes,
    };
    [channel("temp", -20, 61), channel("load", 0, 101)]
}

fn below(bound: u32, counter: [u32; 2]) -> u32 {
    threefry2x32([11, 4], counter)[0] % bound
}

/// Vehicles of two hundred records with a life of every kind.
fn made(law: &Law) -> Lives {
    let records = 200_u32;
    let vehicle = |vehicle: u32| {
        let draw = |row: u32, what: u32, bound: u32| below(bound, [vehicle << 16 | row, what]);
        let marks = vec![0, 20, 60, 61, 100, 150, 180, 190, records];
        let increments: Vec<Vec<f32>> = (0..3)
            .map(|mechanism| (0..records).map(|row| (draw(row, mechanism, 900) + 100) as f32 * 1e-5).collect())
            .collect();
        let moves = |mechanism: usize| !law.mechanisms[mechanism].columns.is_empty();
        let sums = (0..3).map(|mechanism| match moves(mechanism) {
            true => Vec::new(),
            false => {
                let sum = |mark: &u32| increments[mechanism][..*mark as usize].iter().map(|one| f64::from(*one)).sum();
                marks.iter().map(sum).collect()
            }
        });
        let sums = sums.collect();
        let bounds = [61, 101, 4];
        let codes = (law.sources.iter().enumerate())
            .map(|(source, _)| (0..records).map(|row| draw(row, 7 + source as u32, bounds[source]) as u16).collect())
            .collect();
        let life = |start: u32, before: Option<(u32, f32)>, end: End| Life { start, before, end };
        VehicleLives {
            vehicle,
            weight: 1.0 + f64::from(vehicle),
            stratum: 0,
            failures: 1,
            marks,
            sums,
            increments,
            codes,
            lives: vec![
                life(0, None, End::Failed { after: 2, by: 3 }),
                life(3, None, End::Working { at: 4 }),
                life(1, Some((4, 0.7)), End::Failed { after: 5, by: 6 }),
                life(4, Some((5, 1.3)), End::Unreported { at: [8, 7, 5].into() }),
            ],
        }
    };
    let vehicles = (0..3).map(vehicle).collect();
    Lives { vehicles, delays: Delays { days: vec![0, 9, 40], chances: vec![0.2, 0.5, 0.3] } }
}

#[test]
fn slopes_are_those_of_the_likelihood() {
    let model = Model::parse(MODEL, "all.toml").unwrap();
    let free = model.free_parameters();
    assert_eq!(free.len(), 15);
    let law = Law::new(&model, &[0, 1], &free, &channels());
    let lives = made(&law);
    let start = law.start(&model);
    for (point, scale) in [0.0, 0.15, -0.3].into_iter().enumerate() {
        let working: Vec<f64> = start
            .iter()
            .enumerate()
            .map(|(place, value)| {
                value + scale * f64::from(below(100, [point as u32, place as u32])) / 100.0 * value.abs().min(1.0)
            })
            .collect();
        let sum = lives.sum(&law.at(&working), |_| 1.0);
        assert!(sum.log_likelihood.is_finite());
        let mut seen = 0;
        for (place, path) in free.iter().enumerate() {
            let step = 1e-5 * working[place].abs().max(1.0);
            let at = |step: f64| {
                let mut moved = working.clone();
                moved[place] += step;
                lives.sum(&law.at(&moved), |_| 1.0).log_likelihood
            };
            let measured = (at(step) - at(-step)) / (2.0 * step);
            let slope = sum.slopes[place];
            let name = path.name(&model);
            assert!((slope - measured).abs() < 2e-6 * (1.0 + measured.abs()), "{name}: {slope} {measured}");
            seen += usize::from(measured.abs() > 1e-4);
        }
        assert_eq!(seen, free.len(), "a parameter that nothing depends on would pass too");
    }
}

#[test]
fn vehicles_scores_add_up_to_the_sum_on_any_number_of_threads() {
    let model = Model::parse(MODEL, "all.toml").unwrap();
    let free = model.free_parameters();
    let law = Law::new(&model, &[0, 1], &free, &channels());
    let one = made(&law);
    let vehicles = (0..70).flat_map(|_| one.vehicles.clone()).collect();
    let many = Lives { vehicles, ..one };
    let at = law.at(&law.start(&model));
    let sums = [1, 2, 5].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| many.sum(&at, |_| 1.0))
    });
    assert!(sums[0] == sums[1] && sums[1] == sums[2]);
    let scores = many.scores(&at);
    for place in 0..free.len() {
        let sum: f64 = scores.iter().zip(&many.vehicles).map(|(score, vehicle)| vehicle.weight * score[place]).sum();
        assert!((sum - sums[0].slopes[place]).abs() < 1e-9 * (1.0 + sum.abs()));
    }
}
