//! The exact log-likelihood of lives under a law, with gradient and Hessian.
//!
//! Parameters are `[c…, φ]`, and `q` behind them for a law of a share: z = φ·(ln t − y₀) − c, share = logistic(q). In
//! these, without left truncation and of a whole population, the likelihood is concave (Burridge 1981), so a Newton
//! step cannot be fooled. σ = 1/φ, μ = y₀ + c/φ; y₀ is a log age amid the data, so that numbers stay near one.
//!
//! | a life | contributes |
//! |---|---|
//! | failed at t | ln f(t) |
//! | survived t | ln S(t) |
//! | failed in (a, b] | ln (S(a) − S(b)) |
//! | watched from e | − ln S(e) besides |
//!
//! Densities are those of t in the file's unit, not of ln t: the − ln t of each exact failure is in.

use rayon::prelude::*;

use super::jet::{Jet, TRIANGLE, ln, ln_1p, ln_one_minus_exp, logistic, one_minus_exp};
use super::law::Law;
use super::life::{End, Life};
use super::matrix::Matrix;

/// Lives summed by one thread; the sum's order does not depend on their number.
const CHUNK: usize = 4096;

/// Log ages of a life, on the scale of `y − y₀`.
#[derive(Clone, Copy, Debug)]
struct Ages {
    entry: Option<f64>,
    end: Log,
    count: f64,
}

#[derive(Clone, Copy, Debug)]
enum Log {
    Failed { at: f64, jacobian: f64 },
    Between { after: Option<f64>, by: f64 },
    Survived(f64),
}

impl Log {
    fn last(self) -> f64 {
        match self {
            Self::Failed { at, .. } | Self::Survived(at) | Self::Between { by: at, .. } => at,
        }
    }
}

/// Lives under a law.
#[derive(Clone, Debug)]
pub struct Likelihood {
    pub law: Law,
    /// y₀.
    pub centre: f64,
    lives: Vec<Ages>,
    /// What log life depends on, `effects` numbers a life; the first is the constant.
    design: Vec<f64>,
    pub effects: usize,
}

/// The log-likelihood at a point.
#[derive(Clone, Debug)]
pub struct Point {
    pub value: f64,
    pub gradient: Vec<f64>,
    pub hessian: Matrix,
}

impl Likelihood {
    pub fn new(law: Law, lives: &[Life]) -> Self {
        Self::with_effects(law, lives, &vec![1.0; lives.len()], 1)
    }

    /// With `effects` columns that log life depends on linearly, life by life; the first is all ones.
    pub fn with_effects(law: Law, lives: &[Life], design: &[f64], effects: usize) -> Self {
        let (mut sum, mut weight) = (0.0, 0.0);
        for life in lives.iter().filter(|life| life.is_failure()) {
            sum += life.count * middle(life);
            weight += life.count;
        }
        let centre = if weight > 0.0 { sum / weight } else { 0.0 };
        let log = |age: f64| libm::log(age) - centre;
        let lives = lives
            .iter()
            .map(|life| Ages {
                entry: (life.entry > 0.0).then(|| log(life.entry)),
                end: match life.end {
                    End::Failed(age) => Log::Failed { at: log(age), jacobian: libm::log(age) },
                    End::Between { after, by } => {
                        Log::Between { after: (after > 0.0).then(|| log(after)), by: log(by) }
                    }
                    End::Survived(age) => Log::Survived(log(age)),
                },
                count: life.count,
            })
            .collect();
        Self { law, centre, lives, design: design.to_vec(), effects }
    }

    /// Number of parameters: effects, φ, and the share's.
    pub fn parameters(&self) -> usize {
        self.effects + 1 + usize::from(self.law.is_of_a_share())
    }

    /// Place of φ among the parameters.
    pub fn steepness(&self) -> usize {
        self.effects
    }

    /// The log-likelihood and its derivatives; `None` where it is not finite.
    pub fn at(&self, parameters: &[f64]) -> Option<Point> {
        let sums: Vec<Point> = self
            .lives
            .par_chunks(CHUNK)
            .enumerate()
            .map(|(chunk, lives)| self.sum(chunk * CHUNK, lives, parameters))
            .collect();
        let mut whole = self.zero();
        for part in sums {
            whole.value += part.value;
            for (total, one) in whole.gradient.iter_mut().zip(&part.gradient) {
                *total += one;
            }
            whole.hessian.add(&part.hessian);
        }
        let finite =
            whole.value.is_finite() && whole.gradient.iter().all(|one| one.is_finite()) && whole.hessian.is_finite();
        finite.then_some(whole)
    }

    fn zero(&self) -> Point {
        let parameters = self.parameters();
        Point { value: 0.0, gradient: vec![0.0; parameters], hessian: Matrix::zero(parameters) }
    }

    fn sum(&self, first: usize, lives: &[Ages], parameters: &[f64]) -> Point {
        let mut total = self.zero();
        let steepness = Jet::variable(parameters[self.effects], 1);
        let share = parameters.get(self.effects + 1).map(|&q| Jet::variable(q, 2).through(logistic(q)));
        for (place, life) in lives.iter().enumerate() {
            let row = &self.design[(first + place) * self.effects..][..self.effects];
            let location: f64 = row.iter().zip(parameters).map(|(x, c)| x * c).sum();
            let term = self.term(life, Jet::variable(location, 0), steepness, share);
            total.value += life.count * term.value;
            self.spread(&mut total, row, life.count, &term);
        }
        total
    }

    /// A life's derivatives in (location, φ, q), as derivatives in all parameters.
    fn spread(&self, total: &mut Point, row: &[f64], count: f64, term: &Jet) {
        let places = |variable: usize| {
            if variable == 0 { 0..self.effects } else { self.effects + variable - 1..self.effects + variable }
        };
        let factor = |variable: usize, place: usize| if variable == 0 { row[place] } else { 1.0 };
        for variable in 0..=self.parameters() - self.effects {
            for place in places(variable) {
                total.gradient[place] += count * factor(variable, place) * term.gradient[variable];
            }
        }
        for (at, (high, low)) in TRIANGLE.into_iter().enumerate() {
            if high > self.parameters() - self.effects {
                continue;
            }
            for row_place in places(high) {
                for column_place in places(low) {
                    let value = count * factor(high, row_place) * factor(low, column_place) * term.hessian[at];
                    total.hessian.add_at(row_place, column_place, value);
                    if high != low {
                        total.hessian.add_at(column_place, row_place, value);
                    }
                }
            }
        }
    }

    fn term(&self, life: &Ages, location: Jet, steepness: Jet, share: Option<Jet>) -> Jet {
        let z = |y: f64| Jet::constant(y).times(steepness).minus(location);
        let ln_survival = |y: f64| {
            let z = z(y);
            z.through(self.law.ln_survival(z.value))
        };
        // Of the whole population: those without the defect survive everything.
        let ln_survivors = |y: f64| {
            let ln_survival = ln_survival(y);
            match share {
                None => ln_survival,
                Some(share) => {
                    let failed = share.times(ln_survival.through(one_minus_exp(ln_survival.value)));
                    Jet::constant(0.0).minus(failed).through(ln_1p(-failed.value))
                }
            }
        };
        let ln_share = share.map_or(Jet::constant(0.0), |share| share.through(ln(share.value)));
        let end = match life.end {
            Log::Failed { at, jacobian } => {
                let z = z(at);
                let density = z.through(self.law.ln_density(z.value)).plus(steepness.through(ln(steepness.value)));
                density.minus(Jet::constant(jacobian)).plus(ln_share)
            }
            Log::Survived(age) => ln_survivors(age),
            Log::Between { after, by } => {
                let before = after.map_or(Jet::constant(0.0), ln_survival);
                let fall = ln_survival(by).minus(before);
                // Nobody is left at `by`: the whole chance of `after` falls into the interval.
                let within =
                    if fall.value < -700.0 { before } else { before.plus(fall.through(ln_one_minus_exp(fall.value))) };
                within.plus(ln_share)
            }
        };
        life.entry.map_or(end, |entry| end.minus(ln_survivors(entry)))
    }

    /// Where to begin: φ from the spread of the failures, the location where as many failures were to be expected as there are.
    pub fn start(&self, fixed_steepness: Option<f64>) -> Vec<f64> {
        let (mut squares, mut failures) = (0.0, 0.0);
        for life in &self.lives {
            let at = match life.end {
                Log::Failed { at, .. } => at,
                Log::Between { after: Some(after), by } => 0.5 * (after + by),
                Log::Between { after: None, by } => by,
                Log::Survived(_) => continue,
            };
            squares += life.count * at * at;
            failures += life.count;
        }
        let spread = (squares / failures.max(1.0)).sqrt().clamp(0.2, 5.0);
        let steepness = fixed_steepness.unwrap_or(1.0 / spread);
        let mut start = vec![0.0; self.parameters()];
        start[self.effects] = steepness;
        if !self.law.is_of_a_share() {
            start[0] = self.ln_exposure(steepness) - libm::log(failures.max(1e-300));
        }
        start
    }

    /// The latest age of any life.
    pub fn last_age(&self) -> f64 {
        libm::exp(self.lives.iter().map(|life| life.end.last()).fold(f64::NEG_INFINITY, f64::max) + self.centre)
    }

    /// ln Σ (t^φ − entry^φ), on the centred scale.
    pub fn ln_exposure(&self, steepness: f64) -> f64 {
        let highest = self.lives.iter().map(|life| life.end.last()).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self
            .lives
            .iter()
            .map(|life| {
                let power = |y: f64| libm::exp(steepness * (y - highest));
                life.count * (power(life.end.last()) - life.entry.map_or(0.0, power))
            })
            .sum();
        libm::log(sum) + steepness * highest
    }
}

/// The log age around which a failure lies.
fn middle(life: &Life) -> f64 {
    match life.end {
        End::Between { after, by } => libm::log(0.5 * (after + by)),
        _ => libm::log(life.last_age()),
    }
}

/// Lives that are alike as one, in a fixed order: sums take as long as there are different lives.
pub fn merged(mut lives: Vec<Life>) -> Vec<Life> {
    let key = |life: &Life| match life.end {
        End::Failed(age) => (0, age, age, life.entry),
        End::Between { after, by } => (1, after, by, life.entry),
        End::Survived(age) => (2, age, age, life.entry),
    };
    let order = |a: &Life, b: &Life| {
        let (a, b) = (key(a), key(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2)).then(a.3.total_cmp(&b.3))
    };
    lives.sort_by(order);
    lives.dedup_by(|next, held| {
        let same = order(next, held).is_eq();
        held.count += if same { next.count } else { 0.0 };
        same
    });
    lives
}
