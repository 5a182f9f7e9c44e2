//! One group of lives: its law, the way to know the law's error, and the bounds that follow.
//!
//! | lives | bounds |
//! |---|---|
//! | nobody survives | 0 of 0 |
//! | the shape held, up to four failures, or none | given the total, without resampling ([`super::few`]) |
//! | no failure, the Weibull shape free | the widest of these bounds over shapes from 1 to 4, which is told |
//! | one failure, the shape free | refused: it determines no shape |
//! | few failures, very many, or some known to intervals | calibrated with random weights |
//! | else | calibrated with samples drawn from the law |
//!
//! The units at risk are those of the table in every replicate: they are whom the prediction is about. Units whose watch
//! has just begun tell nothing of the law, and are at risk.

use rayon::prelude::*;

use super::at_risk::{AtRisk, KnownLaw, count_law, moments, survivors};
use super::draws::{Draws, Purpose};
use super::error::RecallError;
use super::few::Exposure;
use super::plan::{ENOUGH_TO_DRAW, MOST_DRAWN, RecallLivesPlan, Resampling};
use super::prediction::{Bounds, calibrated};
use super::report::{GroupForecast, HorizonForecast, Method, Nested};
use super::resample::Resampled;
use crate::fit::lives::estimate::climb;
use crate::fit::lives::law::Law;
use crate::fit::lives::life::{End, Life};
use crate::fit::lives::likelihood::{Likelihood, merged};
use crate::fit::lives::newton::NoMaximum;
use crate::run::{Control, Interrupted};
use crate::simulate::count_law::CountLaw;

/// Draws for one replicate before it is given up.
const ATTEMPTS: usize = 20;
/// An expected share above this is no longer Poisson.
const NOT_RARE: f64 = 0.1;
/// Shapes over which nothing that failed is bounded where none is known: from failures by chance alone to fast wear.
const SHAPES: [f64; 5] = [1.0, 1.5, 2.0, 3.0, 4.0];
/// Tables between looks at whether the run is to stop.
const TABLES_AT_ONCE: usize = 16;

/// Predicts one group. `unwatched`: units at risk that say nothing of the law.
pub fn forecast(
    name: &str,
    lives: Vec<Life>,
    unwatched: &[Life],
    plan: &RecallLivesPlan,
    control: &Control,
) -> Result<GroupForecast, RecallError> {
    let lives = merged(lives);
    let total: f64 = lives.iter().map(|life| life.count).sum();
    let failures: f64 = lives.iter().filter(|life| life.is_failure()).map(|life| life.count).sum();
    let mut at_risk = survivors(&lives);
    at_risk.extend(survivors(unwatched));
    let mut group = GroupForecast {
        group: name.to_owned(),
        lives: total,
        failures,
        at_risk: at_risk.iter().map(|units| units.count).sum(),
        law: plan.law(),
        shape: None,
        characteristic_life: None,
        method: Method::NobodyAtRisk,
        horizons: Vec::new(),
        notes: Vec::new(),
    };
    if at_risk.is_empty() {
        group.notes.push(
            "no unit of the table still runs: 0 of 0 will fail. Where units still run and were left out, add them as censored"
                .to_owned(),
        );
        group.horizons = plan.horizons.iter().map(|&horizon| nobody(horizon)).collect();
        return Ok(group);
    }
    let new: f64 = unwatched.iter().map(|life| life.count).sum();
    if new > 0.0 {
        group.notes.push(format!(
            "{new} units are as old as when their watch began: they say nothing of the law, and are at risk"
        ));
    }
    match plan.held_shape() {
        Some(shape) if failures < ENOUGH_TO_DRAW => by_exposure(&mut group, &lives, &at_risk, &[shape], plan),
        None if failures == 0.0 && plan.law() == Law::Weibull => {
            by_exposure(&mut group, &lives, &at_risk, &SHAPES, plan);
        }
        held => by_replicates(&mut group, &lives, &at_risk, held, plan, control)?,
    }
    Ok(group)
}

fn nobody(horizon: f64) -> HorizonForecast {
    HorizonForecast {
        horizon,
        expected: Some(0.0),
        expected_upper: None,
        lower: 0,
        upper: 0,
        tails: None,
        exposure: None,
        nested: None,
    }
}

/// With the shape held and few failures, or none; of several shapes the widest bounds count.
fn by_exposure(group: &mut GroupForecast, lives: &[Life], at_risk: &[AtRisk], shapes: &[f64], plan: &RecallLivesPlan) {
    // In units of the largest age, so that no power leaves the numbers.
    let longest = lives.iter().map(Life::last_age).fold(0.0, f64::max);
    let power = |age: f64, shape: f64| libm::pow(age / longest, shape);
    let past = |shape: f64| -> f64 {
        lives.iter().map(|life| life.count * (power(middle(life), shape) - power(life.entry, shape))).sum()
    };
    let future = |shape: f64, horizon: f64| -> f64 {
        at_risk.iter().map(|units| units.count * (power(units.age + horizon, shape) - power(units.age, shape))).sum()
    };
    group.method = Method::Conditional;
    let shape = shapes.first().copied().unwrap_or(1.0);
    group.shape = (shapes.len() == 1).then_some(shape);
    group.characteristic_life =
        (group.failures > 0.0).then(|| longest * libm::pow(past(shape) / group.failures, 1.0 / shape));
    for &horizon in &plan.horizons {
        // The more is to come against what has been, the more may fail.
        let ratio = shapes.iter().map(|&shape| future(shape, horizon) / past(shape)).fold(0.0, f64::max);
        let exposure = Exposure { failures: group.failures, ratio };
        let upper = exposure.upper(plan.confidence).min(group.at_risk as i64);
        let expected = group.characteristic_life.map(|life| {
            let law = KnownLaw { law: Law::Weibull, location: libm::log(life), scale: 1.0 / shape, share: 1.0 };
            moments(at_risk, &law, horizon).mean
        });
        group.horizons.push(HorizonForecast {
            horizon,
            expected,
            // Of a Poisson mean m that showed nothing over the past: e^(−m) is not less than 1 − c.
            expected_upper: (group.failures == 0.0).then(|| -libm::log(1.0 - plan.confidence) * ratio),
            lower: exposure.lower(plan.confidence).min(upper),
            upper,
            tails: None,
            exposure: Some(exposure),
            nested: None,
        });
    }
    if group.failures == 0.0 {
        let held = match shapes {
            [shape] => format!("with the shape held at {shape}"),
            _ => format!(
                "whatever the shape between {} and {}, which is assumed; one known from elsewhere (--shape) says more",
                SHAPES[0],
                SHAPES[SHAPES.len() - 1]
            ),
        };
        group.notes.push(format!("nothing failed: no number is expected, the likelihood bounds it {held}"));
    }
    for (option, is_asked) in [("--method", plan.resampling.is_some()), ("--nested", plan.nested > 0)] {
        if is_asked {
            group.notes.push(format!(
                "{option} was not followed: with {} failures and the shape held the bounds are exact, and nothing is resampled",
                group.failures
            ));
        }
    }
    if group.horizons.iter().any(|one| one.upper as f64 > NOT_RARE * group.at_risk) {
        group.notes.push(
            "bounds beyond a tenth of the units at risk are too wide: failures are counted as if units were renewed"
                .to_owned(),
        );
    }
}

/// Where the failure of a life is taken to lie: amid its interval.
fn middle(life: &Life) -> f64 {
    match life.end {
        End::Between { after, by } => 0.5 * (after + by),
        _ => life.last_age(),
    }
}

fn by_replicates(
    group: &mut GroupForecast,
    lives: &[Life],
    at_risk: &[AtRisk],
    held: Option<f64>,
    plan: &RecallLivesPlan,
    control: &Control,
) -> Result<(), RecallError> {
    let prefix = if group.group.is_empty() { String::new() } else { format!("{:?}: ", group.group) };
    if group.failures < 2.0 {
        return Err(RecallError::TooFewFailures { group: prefix, failures: group.failures, lives: group.lives });
    }
    let law = fitted(group.law, lives, held).map_err(|problem| RecallError::NoFit {
        group: prefix.clone(),
        law: group.law.name(),
        problem: match problem {
            NoMaximum::Spike => "the likelihood rises without end as the spread of lives shrinks to nothing",
            NoMaximum::Endless | NoMaximum::NoStart => "the likelihood has no maximum",
        },
    })?;
    let intervals = lives.iter().any(|life| matches!(life.end, End::Between { .. }));
    let (few, many) = (group.failures < ENOUGH_TO_DRAW, group.failures > MOST_DRAWN);
    let resampling = match plan.resampling {
        Some(Resampling::Parametric) if intervals => {
            let problem = "failures known to an interval cannot be drawn anew: when they were looked at is not known";
            return Err(RecallError::Option { option: "--method", problem: problem.to_owned() });
        }
        Some(Resampling::Parametric) if many => {
            let problem = format!(
                "{} failures are not drawn one by one; {MOST_DRAWN} are: fractional-weights says the same",
                group.failures
            );
            return Err(RecallError::Option { option: "--method", problem });
        }
        Some(asked) => asked,
        None if few || intervals || many => Resampling::FractionalWeights,
        None => Resampling::Parametric,
    };
    if many && plan.nested > 0 {
        let problem =
            format!("tables are drawn failure by failure: {} are too many, {MOST_DRAWN} are allowed", group.failures);
        return Err(RecallError::Option { option: "--nested", problem });
    }
    let table = Table { lives, law, held, resampling, replicates: plan.replicates };
    let (laws, drawn_again) = table.replicate_laws(plan.seed, Some(control))?;
    if laws.len() < plan.replicates {
        return Err(RecallError::NoReplicates { group: prefix, drawn: plan.replicates, fitted: laws.len() });
    }
    group.shape = Some(1.0 / law.scale);
    group.characteristic_life = Some(libm::exp(law.location));
    group.method = Method::Calibrated { resampling, replicates: plan.replicates, drawn_again };
    let nested = if plan.nested > 0 { table.nested(plan, control)? } else { Vec::new() };
    for (place, &horizon) in plan.horizons.iter().enumerate() {
        control.check()?;
        let bounds = bounds(&law, &laws, at_risk, horizon, plan.confidence);
        group.horizons.push(HorizonForecast {
            horizon,
            expected: Some(moments(at_risk, &law, horizon).mean),
            expected_upper: None,
            lower: bounds.lower.bound.min(bounds.upper.bound),
            upper: bounds.upper.bound,
            tails: Some(bounds),
            exposure: None,
            nested: nested.get(place).copied(),
        });
    }
    let missed =
        |one: &HorizonForecast| one.tails.is_some_and(|tails| !(tails.lower.calibrated && tails.upper.calibrated));
    if group.horizons.iter().any(missed) {
        group.notes.push(
            "no level of the plug-in bound covers what is asked in the samples: a bound marked so is not calibrated, and holds less often than it says"
                .to_owned(),
        );
    }
    if few {
        group.notes.push(format!(
            "{} failures: the bounds are wide and rest on the law's form; a shape known from elsewhere (--shape) says more",
            group.failures
        ));
    }
    Ok(())
}

/// Calibrated bounds of the number that fails within a horizon.
fn bounds(law: &KnownLaw, replicates: &[KnownLaw], at_risk: &[AtRisk], horizon: f64, confidence: f64) -> Bounds {
    let counts: Vec<Vec<CountLaw>> = replicates.par_iter().map(|one| vec![count_law(at_risk, one, horizon)]).collect();
    calibrated(&[count_law(at_risk, law, horizon)], &counts, confidence)
}

/// The law of the largest likelihood.
pub fn fitted(law: Law, lives: &[Life], held: Option<f64>) -> Result<KnownLaw, NoMaximum> {
    let sum =
        |failed: bool| -> f64 { lives.iter().filter(|life| life.is_failure() || !failed).map(|life| life.count).sum() };
    let likelihood = Likelihood::new(law, lives);
    let maximum = climb(&likelihood, held, sum(true) / sum(false))?;
    let scale = 1.0 / maximum.parameters[likelihood.steepness()];
    Ok(KnownLaw {
        law,
        location: likelihood.centre + scale * maximum.parameters[0],
        scale,
        share: maximum.parameters.get(likelihood.steepness() + 1).map_or(1.0, |&logit| 1.0 / (1.0 + libm::exp(-logit))),
    })
}

/// A table and its law, from which others are drawn.
struct Table<'a> {
    lives: &'a [Life],
    law: KnownLaw,
    held: Option<f64>,
    resampling: Resampling,
    replicates: usize,
}

impl Table<'_> {
    /// The laws of replicates in their order, and how many samples had to be drawn again. Fewer than asked for: a replicate
    /// could not be fitted however often it was drawn.
    fn replicate_laws(&self, seed: u64, control: Option<&Control>) -> Result<(Vec<KnownLaw>, usize), Interrupted> {
        let resampled = Resampled::new(self.lives, self.law);
        let drawn: Vec<Option<(KnownLaw, usize)>> = (0..self.replicates)
            .into_par_iter()
            .map(|replicate| {
                control.map_or(Ok(()), Control::check)?;
                let mut draws = Draws::new(seed, Purpose::Replicate, replicate as u32);
                Ok((0..ATTEMPTS).find_map(|attempt| {
                    let lives = match self.resampling {
                        Resampling::Parametric => merged(resampled.parametric(&mut draws)),
                        Resampling::FractionalWeights => resampled.weighted(&mut draws),
                    };
                    self.fitted_anew(&lives).map(|law| (law, attempt))
                }))
            })
            .collect::<Result<_, Interrupted>>()?;
        let again = drawn.iter().map(|one| one.map_or(ATTEMPTS, |(_, attempt)| attempt)).sum();
        Ok((drawn.into_iter().flatten().map(|(law, _)| law).collect(), again))
    }

    fn fitted_anew(&self, lives: &[Life]) -> Option<KnownLaw> {
        let failed = lives.iter().filter(|life| life.is_failure());
        let enough = match self.resampling {
            Resampling::Parametric => {
                failed.map(|life| life.count).sum::<f64>() >= if self.held.is_some() { 1.0 } else { 2.0 }
            }
            // Weights are no numbers of failures: as many different ones are there as in the table.
            Resampling::FractionalWeights => true,
        };
        enough.then(|| fitted(self.law.law, lives, self.held).ok()).flatten()
    }

    /// How often bounds cover that are found from tables drawn from the law, horizon by horizon.
    fn nested(&self, plan: &RecallLivesPlan, control: &Control) -> Result<Vec<Nested>, RecallError> {
        let resampled = Resampled::new(self.lives, self.law);
        let mut covers: Vec<Vec<[f64; 6]>> = Vec::with_capacity(plan.nested);
        for first in (0..plan.nested).step_by(TABLES_AT_ONCE) {
            control.check()?;
            let tables = first..(first + TABLES_AT_ONCE).min(plan.nested);
            let found: Vec<Option<Vec<[f64; 6]>>> = tables
                .into_par_iter()
                .map(|table| self.one_table(&resampled, &mut Draws::new(plan.seed, Purpose::Outer, table as u32), plan))
                .collect();
            covers.extend(found.into_iter().flatten());
        }
        Ok((0..plan.horizons.len())
            .map(|horizon| {
                let mean =
                    |what: usize| covers.iter().map(|one| one[horizon][what]).sum::<f64>() / covers.len().max(1) as f64;
                let interval = mean(5);
                let squares = covers.iter().map(|one| (one[horizon][5] - interval) * (one[horizon][5] - interval));
                let variance = squares.sum::<f64>() / covers.len().max(1) as f64;
                Nested {
                    tables: covers.len(),
                    plug_in_lower: mean(0),
                    plug_in_upper: mean(1),
                    plug_in_interval: mean(2),
                    lower: mean(3),
                    upper: mean(4),
                    interval,
                    interval_standard_error: libm::sqrt(variance / covers.len().max(1) as f64),
                }
            })
            .collect())
    }

    /// A table drawn from the law, its own bounds, and with what chance they cover a count of its survivors under the law:
    /// lower, upper and interval, plug-in first.
    fn one_table(&self, resampled: &Resampled, draws: &mut Draws, plan: &RecallLivesPlan) -> Option<Vec<[f64; 6]>> {
        let seed = draws.seed();
        let (lives, law) = (0..ATTEMPTS).find_map(|_| {
            let lives = merged(resampled.parametric(draws));
            let enough = lives.iter().filter(|life| life.is_failure()).map(|life| life.count).sum::<f64>() >= 2.0;
            let law = enough.then(|| fitted(self.law.law, &lives, self.held).ok()).flatten()?;
            Some((lives, law))
        })?;
        let at_risk = survivors(&lives);
        let inner = Table { lives: &lives, law, ..*self };
        let (laws, _) = inner.replicate_laws(seed, None).ok()?;
        let covers = plan.horizons.iter().map(|&horizon| {
            let bounds = bounds(&law, &laws, &at_risk, horizon, plan.confidence);
            let truth = count_law(&at_risk, &self.law, horizon);
            let below = |bound: i64| truth.at_most(bound - 1);
            let of = |lower: i64, upper: i64| {
                [1.0 - below(lower), truth.at_most(upper), (truth.at_most(upper) - below(lower)).max(0.0)]
            };
            let (plug_in, found) =
                (of(bounds.lower.plug_in, bounds.upper.plug_in), of(bounds.lower.bound, bounds.upper.bound));
            [plug_in[0], plug_in[1], plug_in[2], found[0], found[1], found[2]]
        });
        Some(covers.collect())
    }
}
