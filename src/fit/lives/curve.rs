//! What the lives say without any law: the product-limit curve (Kaplan–Meier) with late entry, and the cumulative
//! hazard (Nelson–Aalen) beside it.
//!
//! At each age with failures: d failures of n at risk, those that had entered before it and were still watched at it.
//! S = Π(1 − d/n); variance by Greenwood, S²·Σ d/(n(n − d)); bounds on the scale of ln(−ln S). H = Σ d/n, variance
//! Σ d/n² (Aalen's); bounds on the scale of ln H. A life censored at an age is at risk at it.
//!
//! Failures known to an interval take part where no other age that matters lies inside of one: they then count at its
//! end, which is the largest likelihood of grouped lives. Otherwise there is no curve (that would need Turnbull's).

use serde::Serialize;

use super::life::{End, Life};

/// One step of the curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    pub age: f64,
    pub at_risk: f64,
    pub failures: f64,
    pub survival: f64,
    pub survival_standard_error: Option<f64>,
    pub survival_lower: Option<f64>,
    pub survival_upper: Option<f64>,
    pub cumulative_hazard: f64,
    pub cumulative_hazard_standard_error: f64,
    pub cumulative_hazard_lower: f64,
    pub cumulative_hazard_upper: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Curve {
    pub steps: Vec<Step>,
    /// Why there is none, or what to beware of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Curve {
    /// The curve of `lives`; `z` is the normal quantile of its pointwise bounds.
    pub fn of(lives: &[Life], z: f64) -> Self {
        if let Some(note) = unsuited(lives) {
            return Self { steps: Vec::new(), note: Some(note) };
        }
        let mut ends: Vec<(f64, f64)> = Vec::new();
        let mut failures: Vec<(f64, f64)> = Vec::new();
        let mut entries: Vec<(f64, f64)> = Vec::new();
        for life in lives {
            entries.push((life.entry, life.count));
            ends.push((life.last_age(), life.count));
            if life.is_failure() {
                failures.push((life.last_age(), life.count));
            }
        }
        for list in [&mut ends, &mut failures, &mut entries] {
            list.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        let last_age = ends.last().map_or(0.0, |(age, _)| *age);
        let (mut entered, mut left) = (Running::new(entries), Running::new(ends));
        let mut steps = Vec::new();
        let (mut ln_survival, mut greenwood, mut hazard, mut variance) = (0.0_f64, 0.0, 0.0, 0.0);
        let mut emptied = None;
        let mut at = 0;
        while at < failures.len() {
            let age = failures[at].0;
            let mut failed = 0.0;
            while at < failures.len() && failures[at].0 == age {
                failed += failures[at].1;
                at += 1;
            }
            let at_risk = entered.below(age) - left.below(age);
            if at_risk == failed && emptied.is_none() {
                emptied = Some(age);
            }
            ln_survival += libm::log1p(-failed / at_risk);
            greenwood += failed / (at_risk * (at_risk - failed));
            hazard += failed / at_risk;
            variance += failed / (at_risk * at_risk);
            steps.push(step(age, at_risk, failed, ln_survival, greenwood, hazard, variance, z));
        }
        let note = emptied.filter(|&age| last_age > age).map(|age| {
            format!(
                "all lives at risk at age {age} failed there, others are watched later: survival is zero from then on"
            )
        });
        Self { steps, note }
    }

    /// Survival just after an age.
    pub fn survival_at(&self, age: f64) -> f64 {
        let passed = self.steps.partition_point(|step| step.age <= age);
        if passed == 0 { 1.0 } else { self.steps[passed - 1].survival }
    }
}

#[allow(clippy::too_many_arguments, reason = "one step's sums, each with its own meaning")]
fn step(
    age: f64,
    at_risk: f64,
    failures: f64,
    ln_survival: f64,
    greenwood: f64,
    hazard: f64,
    variance: f64,
    z: f64,
) -> Step {
    let survival = libm::exp(ln_survival);
    let known = greenwood.is_finite() && survival > 0.0;
    // Of ln(−ln S): the standard error is that of ln S over −ln S.
    let width = libm::exp(z * greenwood.sqrt() / -ln_survival);
    let hazard_error = variance.sqrt();
    let hazard_width = libm::exp(z * hazard_error / hazard);
    Step {
        age,
        at_risk,
        failures,
        survival,
        survival_standard_error: known.then(|| survival * greenwood.sqrt()),
        survival_lower: known.then(|| libm::exp(ln_survival * width)),
        survival_upper: known.then(|| libm::exp(ln_survival / width)),
        cumulative_hazard: hazard,
        cumulative_hazard_standard_error: hazard_error,
        cumulative_hazard_lower: hazard / hazard_width,
        cumulative_hazard_upper: hazard * hazard_width,
    }
}

/// Why these lives have no product-limit curve.
fn unsuited(lives: &[Life]) -> Option<String> {
    let mut between: Vec<(f64, f64)> = Vec::new();
    let mut ages: Vec<f64> = Vec::new();
    for life in lives {
        match life.end {
            End::Between { after, by } => between.push((after, by)),
            _ => ages.push(life.last_age()),
        }
        if life.entry > 0.0 {
            ages.push(life.entry);
        }
    }
    if between.is_empty() {
        return None;
    }
    ages.extend(between.iter().flat_map(|&(after, by)| [after, by]));
    ages.sort_by(f64::total_cmp);
    let inside = |&&(after, by): &&(f64, f64)| {
        let first = ages.partition_point(|&age| age <= after);
        ages.get(first).is_some_and(|&age| age < by)
    };
    between.iter().find(inside).map(|(after, by)| {
        format!(
            "no product-limit curve: other lives begin or end within the interval ({after}, {by}] in which a failure \
             happened; fitted laws use intervals exactly"
        )
    })
}

/// Counts passed so far, ages ascending.
struct Running {
    list: Vec<(f64, f64)>,
    at: usize,
    sum: f64,
}

impl Running {
    fn new(list: Vec<(f64, f64)>) -> Self {
        Self { list, at: 0, sum: 0.0 }
    }

    /// Of ages below `age`; asked with ages that do not fall.
    fn below(&mut self, age: f64) -> f64 {
        while self.list.get(self.at).is_some_and(|(other, _)| *other < age) {
            self.sum += self.list[self.at].1;
            self.at += 1;
        }
        self.sum
    }
}
