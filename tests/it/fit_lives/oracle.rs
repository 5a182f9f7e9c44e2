//! The likelihood, its intervals and its bounds against formulas written independently: sums over lives of the textbook
//! densities, searched by brute force, and lives drawn from a planted law.

use fleetwear::fit::lives::estimate::{Wanted, fit};
use fleetwear::fit::lives::law::Law;
use fleetwear::fit::lives::life::{End, Life};
use fleetwear::fit::lives::likelihood::{Likelihood, merged};

use super::{close, parameter};

/// Uniform numbers above 0 and below 1 (splitmix64).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Not the step below: streams of neighbouring seeds would be one stream, shifted.
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x5851_f42d_4c95_7f2d)
    }

    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / 9_007_199_254_740_992.0 + 1e-17
    }
}

/// ln L of a Weibull law, from f, S and the ratio that truncation asks for.
fn weibull(lives: &[Life], shape: f64, scale: f64) -> f64 {
    let survival = |t: f64| libm::exp(-libm::pow(t / scale, shape));
    let density = |t: f64| shape / scale * libm::pow(t / scale, shape - 1.0) * survival(t);
    of(lives, &survival, &density, &|after, by| survival(after) - survival(by))
}

/// The same of a lognormal law, its distribution by Simpson's rule.
fn lognormal(lives: &[Life], mean: f64, deviation: f64) -> f64 {
    let bell = |z: f64| libm::exp(-0.5 * z * z) / (2.0 * std::f64::consts::PI).sqrt();
    let area = |from: f64, to: f64| {
        let steps = 4000;
        let width = (to - from) / f64::from(steps);
        let weight = |at: i32| {
            if at == 0 || at == steps {
                1.0
            } else if at % 2 == 1 {
                4.0
            } else {
                2.0
            }
        };
        (0..=steps).map(|at| weight(at) * bell(from + width * f64::from(at))).sum::<f64>() * width / 3.0
    };
    let tail = |z: f64| area(z, 12.0_f64.max(z + 12.0));
    let z = |t: f64| (libm::log(t) - mean) / deviation;
    let survival = |t: f64| if t == 0.0 { 1.0 } else { tail(z(t)) };
    // The difference of two survivals close to one would keep few digits.
    let between = |after: f64, by: f64| area(if after == 0.0 { z(by) - 15.0 } else { z(after) }, z(by));
    of(lives, &survival, &|t| bell(z(t)) / (deviation * t), &between)
}

fn of(
    lives: &[Life],
    survival: &dyn Fn(f64) -> f64,
    density: &dyn Fn(f64) -> f64,
    between: &dyn Fn(f64, f64) -> f64,
) -> f64 {
    lives
        .iter()
        .map(|life| {
            let chance = match life.end {
                End::Failed(t) => density(t),
                End::Survived(t) => survival(t),
                End::Between { after, by } => between(after, by),
            };
            life.count * (libm::log(chance) - libm::log(survival(life.entry)))
        })
        .sum()
}

/// Lives of every kind: exact, censored, in intervals, from late entries, several alike.
fn mixed(random: &mut Random, lives: usize) -> Vec<Life> {
    let mut made = Vec::new();
    while made.len() < lives {
        let age = 100.0 * libm::pow(-libm::log(random.uniform()), 1.0 / 1.7);
        let entry = if random.uniform() < 0.7 { 90.0 * random.uniform() } else { 0.0 };
        let watched_until = 30.0 + 150.0 * random.uniform();
        if age <= entry || watched_until <= entry {
            continue;
        }
        let kind = random.uniform();
        let end = if age > watched_until {
            End::Survived(watched_until)
        } else if kind < 0.3 {
            let after = (10.0 * libm::floor(age / 10.0)).max(entry);
            End::Between { after, by: 10.0 * libm::floor(age / 10.0) + 10.0 }
        } else {
            End::Failed(age)
        };
        made.push(Life { entry, end, count: if kind > 0.9 { 2.0 } else { 1.0 } });
    }
    made
}

#[test]
fn the_likelihood_is_that_of_the_textbook() {
    let lives = mixed(&mut Random::new(5), 60);
    let mut compared = 0;
    for (shape, scale) in [(0.6, 40.0), (1.0, 90.0), (1.7, 100.0), (3.5, 160.0)] {
        for law in [Law::Weibull, Law::Lognormal] {
            let likelihood = Likelihood::new(law, &lives);
            let location = libm::log(scale);
            let ours = likelihood.at(&[(location - likelihood.centre) * shape, shape]).unwrap();
            let want = |location: f64, steepness: f64| match law {
                Law::Weibull => weibull(&lives, steepness, libm::exp(location)),
                _ => lognormal(&lives, location, 1.0 / steepness),
            };
            assert!(close(ours.value, want(location, shape), 1e-9), "{law:?} {shape}: {}", ours.value);
            // Derivatives in (c, φ) by differences of the textbook's value.
            let at = |c: f64, steepness: f64| want(likelihood.centre + c / steepness, steepness);
            let (c, step) = ((location - likelihood.centre) * shape, 1e-4);
            let by_c = (at(c + step, shape) - at(c - step, shape)) / (2.0 * step);
            let by_steepness = (at(c, shape + step) - at(c, shape - step)) / (2.0 * step);
            let cross = (at(c + step, shape + step) - at(c + step, shape - step) - at(c - step, shape + step)
                + at(c - step, shape - step))
                / (4.0 * step * step);
            let size = ours.gradient.iter().map(|slope| slope.abs()).fold(1.0, f64::max);
            assert!((ours.gradient[0] - by_c).abs() < 1e-5 * size, "{law:?} {shape}: {:?} {by_c}", ours.gradient);
            assert!((ours.gradient[1] - by_steepness).abs() < 1e-5 * size, "{law:?} {shape}: {:?}", ours.gradient);
            let hessian = ours.hessian.get(0, 1);
            assert!((hessian - cross).abs() < 1e-3 * hessian.abs().max(1.0), "{law:?} {shape}: {hessian} {cross}");
            compared += 4;
        }
    }
    assert_eq!(compared, 32);
}

/// The ends of each interval are where the textbook's profile, searched by golden section, has fallen by half the
/// chi-square quantile.
#[test]
fn intervals_end_where_the_profile_says() {
    let lives = mixed(&mut Random::new(11), 40);
    let wanted = Wanted { confidence: 0.9, ages: vec![60.0], ..Wanted::default() };
    let likelihood = Likelihood::new(Law::Weibull, &lives);
    let fitted = fit(&likelihood, 40.0, 30.0, &wanted).unwrap();
    let largest = weibull(&lives, 1.0 / fitted.scale, libm::exp(fitted.location[0]));
    assert!(close(fitted.ln_likelihood, largest, 1e-9));
    // The 90 % quantile of chi-square with one degree of freedom.
    let fallen = largest - 0.5 * 2.705_543_454_095_404;
    let best = |of: &dyn Fn(f64) -> f64, low: f64, high: f64| {
        let (mut low, mut high) = (low, high);
        let golden = 0.5 * (5.0_f64.sqrt() - 1.0);
        for _ in 0..90 {
            let (left, right) = (high - golden * (high - low), low + golden * (high - low));
            if of(left) > of(right) { high = right } else { low = left }
        }
        of(0.5 * (low + high))
    };
    // Where a density underflows the textbook's formula is no number.
    let weibull = |lives: &[Life], shape: f64, scale: f64| {
        let value = weibull(lives, shape, scale);
        if value.is_nan() { f64::NEG_INFINITY } else { value }
    };
    let mut ends = 0;
    let mut check = |name: &str, profile: &dyn Fn(f64) -> f64| {
        let one = parameter(&fitted, name);
        for end in [one.lower.unwrap(), one.upper.unwrap()] {
            let there = profile(end);
            assert!((there - fallen).abs() < 1e-5, "{name} at {end}: {there}, not {fallen}");
            ends += 1;
        }
    };
    check("shape", &|shape| best(&|ln_scale| weibull(&lives, shape, libm::exp(ln_scale)), 2.0, 8.0));
    check("characteristic_life", &|scale| best(&|shape| weibull(&lives, shape, scale), 0.1, 8.0));
    let tenth = -libm::log(0.9);
    check("B10", &|age| best(&|shape| weibull(&lives, shape, age / libm::pow(tenth, 1.0 / shape)), 0.1, 8.0));
    check("F(60)", &|share| {
        let hazard = -libm::log1p(-share);
        best(&|shape| weibull(&lives, shape, 60.0 / libm::pow(hazard, 1.0 / shape)), 0.1, 8.0)
    });
    assert_eq!(ends, 8);
}

/// Counts are lives, and the order of lives is nothing.
#[test]
fn counts_and_order_do_not_matter() {
    let lives = mixed(&mut Random::new(3), 5000);
    let mut alone: Vec<Life> = Vec::new();
    for life in &lives {
        (0..life.count as usize).for_each(|_| alone.push(Life { count: 1.0, ..*life }));
    }
    alone.reverse();
    let [counted, alone] = [lives, alone].map(|lives| {
        let lives = merged(lives);
        fit(&Likelihood::new(Law::Weibull, &lives), 5000.0, 4000.0, &Wanted::default()).unwrap()
    });
    assert_eq!(counted, alone);
    assert!(close(parameter(&counted, "shape").estimate.unwrap(), 1.7, 0.05));
    assert!(close(parameter(&counted, "characteristic_life").estimate.unwrap(), 100.0, 0.05));
}

/// Lives drawn from planted laws, watched from late entries on, in intervals, censored: over many tables the intervals
/// hold the truth as often as they say. Without the truncation's term they do not.
#[test]
fn intervals_hold_the_planted_law_as_often_as_they_say() {
    let (tables, mut held, mut naive_held) = (300, [0_u32; 3], 0_u32);
    for seed in 0..tables {
        // Each by itself: a life counted twice is no second life.
        let lives: Vec<Life> =
            mixed(&mut Random::new(1000 + seed), 50).into_iter().map(|life| Life { count: 1.0, ..life }).collect();
        let fitted =
            |lives: &[Life]| fit(&Likelihood::new(Law::Weibull, lives), 50.0, 40.0, &Wanted::default()).unwrap();
        let sound = fitted(&lives);
        let truth = [1.7, 100.0, 100.0 * libm::pow(-libm::log(0.9), 1.0 / 1.7)];
        for (held, (name, truth)) in held.iter_mut().zip(["shape", "characteristic_life", "B10"].into_iter().zip(truth))
        {
            let one = parameter(&sound, name);
            *held += u32::from(one.lower.unwrap() <= truth && truth <= one.upper.unwrap());
        }
        let naive: Vec<Life> = lives.iter().map(|life| Life { entry: 0.0, ..*life }).collect();
        let one = fitted(&naive);
        let one = parameter(&one, "B10");
        naive_held += u32::from(one.lower.unwrap() <= truth[2] && truth[2] <= one.upper.unwrap());
    }
    println!(
        "of {tables} 95 % intervals hold the truth: shape, characteristic life, B10: {held:?}; B10 untruncated: {naive_held}"
    );
    // 95 % of 300 are 285; a binomial's standard deviation is 3.8.
    assert!(held.iter().all(|&held| (272..=297).contains(&held)), "{held:?}");
    assert!(naive_held < 230, "{naive_held}");
}
