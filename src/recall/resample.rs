//! What else could have been seen: tables of lives like the one at hand.
//!
//! | way | a replicate is |
//! |---|---|
//! | parametric | every unit lives anew under the fitted law, watched over the same ages |
//! | fractional weights | the same lives, each counted with an exponential number of mean one |
//!
//! The first follows Escobar & Meeker (1999), but may lose its failures where they are few, and does not know when units
//! whose failure lies in an interval were looked at; the second never loses one (Xu, Gotwalt, Hong, King & Meeker, The
//! American Statistician 74 (2020), 345–358). Until when a failed unit would have been watched the table does not say: it
//! is drawn from the product-limit estimate of the survivors' watch, beyond the age at failure.
//!
//! Units: ages in the table's own unit.

use super::at_risk::KnownLaw;
use super::draws::Draws;
use crate::fit::lives::life::{End, Life};

/// The lives of a table with all that a replicate needs to know of them.
#[derive(Clone, Debug)]
pub struct Resampled<'a> {
    lives: &'a [Life],
    law: KnownLaw,
    watch: Watch,
}

impl<'a> Resampled<'a> {
    /// `lives` merged: alike ones are one row.
    pub fn new(lives: &'a [Life], law: KnownLaw) -> Self {
        Self { lives, law, watch: Watch::of(lives) }
    }

    /// Every unit lives anew.
    pub fn parametric(&self, draws: &mut Draws) -> Vec<Life> {
        let mut drawn = Vec::with_capacity(self.lives.len());
        for life in self.lives {
            match life.end {
                End::Survived(until) => self.survivors_anew(life, until, draws, &mut drawn),
                End::Failed(age) | End::Between { by: age, .. } => {
                    for _ in 0..life.count as u64 {
                        let until = self.watch.beyond(age, draws);
                        self.survivors_anew(&Life { count: 1.0, ..*life }, until, draws, &mut drawn);
                    }
                }
            }
        }
        drawn
    }

    /// Units watched from `entry` until `until`, some of which fail before.
    fn survivors_anew(&self, life: &Life, until: f64, draws: &mut Draws, drawn: &mut Vec<Life>) {
        let ln_entry = self.law.ln_survival(life.entry);
        let chance = self.law.chance(life.entry, until - life.entry);
        let failed = draws.binomial(life.count, chance);
        for _ in 0..failed as u64 {
            // S(age) = S(entry) (1 − u p), kept as the share failed, which is not rounded away where it is small.
            let share = draws.uniform() * chance;
            let age = self.law.age(-libm::expm1(ln_entry + libm::log1p(-share)));
            // At the interval's ends rounding may leave it, and its ends may be one value.
            let age = age.max(life.entry * (1.0 + f64::EPSILON)).min(until).max(f64::MIN_POSITIVE);
            drawn.push(Life { entry: life.entry, end: End::Failed(age), count: 1.0 });
        }
        if failed < life.count {
            drawn.push(Life { entry: life.entry, end: End::Survived(until), count: life.count - failed });
        }
    }

    /// The same lives with random weights.
    pub fn weighted(&self, draws: &mut Draws) -> Vec<Life> {
        self.lives.iter().map(|life| Life { count: draws.gamma(life.count), ..*life }).collect()
    }
}

/// Until which age units are watched: the product-limit estimate with failures as censoring.
#[derive(Clone, Debug)]
struct Watch {
    /// Ages at which watches end, ascending, and the share still watched beyond.
    steps: Vec<(f64, f64)>,
    longest: f64,
}

impl Watch {
    fn of(lives: &[Life]) -> Self {
        let mut ends: Vec<(f64, f64)> =
            lives.iter().filter(|life| !life.is_failure()).map(|life| (life.last_age(), life.count)).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends.dedup_by(|next, held| {
            let same = next.0 == held.0;
            held.1 += if same { next.1 } else { 0.0 };
            same
        });
        let in_order = |of: &dyn Fn(&Life) -> Option<f64>| {
            let mut ages: Vec<(f64, f64)> =
                lives.iter().filter_map(|life| of(life).map(|age| (age, life.count))).collect();
            ages.sort_by(|a, b| a.0.total_cmp(&b.0));
            ages
        };
        let entries = in_order(&|life| Some(life.entry));
        // One that failed at this very age was no longer watched when others' watch ended.
        let failures = in_order(&|life| life.is_failure().then(|| life.last_age()));
        let (mut entered, mut failed) = (Running::of(&entries), Running::of(&failures));
        let (mut watched, mut ended_before) = (1.0, 0.0);
        let steps = ends.iter().map(|&(age, ended)| {
            let at_risk = entered.while_age(|entry| entry < age) - failed.while_age(|one| one <= age) - ended_before;
            ended_before += ended;
            watched *= 1.0 - ended / at_risk;
            (age, watched)
        });
        Self { steps: steps.collect(), longest: lives.iter().map(Life::last_age).fold(0.0, f64::max) }
    }

    /// The end of a watch that went on at `age`.
    fn beyond(&self, age: f64, draws: &mut Draws) -> f64 {
        let first = self.steps.partition_point(|&(end, _)| end < age);
        let left = if first == 0 { 1.0 } else { self.steps[first - 1].1 };
        let target = left * draws.uniform();
        let ended = self.steps[first..].iter().find(|&&(_, watched)| watched <= target);
        ended.map_or(self.longest.max(age), |&(end, _)| end)
    }
}

/// A sum of counts along ascending ages.
struct Running<'a> {
    ages: &'a [(f64, f64)],
    at: usize,
    sum: f64,
}

impl<'a> Running<'a> {
    fn of(ages: &'a [(f64, f64)]) -> Self {
        Self { ages, at: 0, sum: 0.0 }
    }

    /// Of all whose age is as `holds` says, which only ever asks for more.
    fn while_age(&mut self, holds: impl Fn(f64) -> bool) -> f64 {
        while let Some(&(_, count)) = self.ages.get(self.at).filter(|(age, _)| holds(*age)) {
            self.sum += count;
            self.at += 1;
        }
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::lives::law::Law;
    use crate::recall::draws::Purpose;

    fn life(end: End, count: f64) -> Life {
        Life { entry: 0.0, end, count }
    }

    #[test]
    fn watches_end_as_the_product_limit_says() {
        // By hand: at 2 four are watched (the failure at 2 is gone), one ends: 3/4; at 5 two: 1/2 of it; at 9 the last.
        let lives = [
            life(End::Failed(2.0), 1.0),
            life(End::Survived(2.0), 1.0),
            life(End::Failed(4.0), 1.0),
            life(End::Survived(5.0), 1.0),
            life(End::Survived(9.0), 1.0),
        ];
        let watch = Watch::of(&lives);
        assert_eq!(watch.steps, [(2.0, 0.75), (5.0, 0.375), (9.0, 0.0)]);
        let mut counts = [0.0; 2];
        for one in 0..4_000 {
            let end = watch.beyond(4.0, &mut Draws::new(1, Purpose::Replicate, one));
            counts[usize::from(end == 9.0)] += 1.0 / 4_000.0;
            assert!(end == 5.0 || end == 9.0, "{end}");
        }
        assert!((counts[0] - 0.5_f64).abs() < 0.04, "{counts:?}");
        // Nobody's watch ended later than the failure: the oldest age stands in.
        assert_eq!(Watch::of(&[life(End::Failed(7.0), 1.0)]).beyond(3.0, &mut Draws::new(1, Purpose::Outer, 0)), 7.0);
    }

    /// Against the definition, with late entries and ties; and of 200,000 different ages, which pairs of ages would take
    /// minutes over.
    #[test]
    fn watches_of_many_lives_are_counted_in_one_go() {
        let lives = |count: u32, ages: u32| -> Vec<Life> {
            let mut draws = Draws::new(5, Purpose::Outer, 0);
            (0..count)
                .map(|one| {
                    let age = (1 + (draws.uniform() * f64::from(ages)) as u32) as f64;
                    let entry = if one % 3 == 0 { (age * draws.uniform()).floor() } else { 0.0 };
                    let end = if one % 4 == 0 { End::Failed(age) } else { End::Survived(age) };
                    Life { entry, end, count: f64::from(1 + one % 5) }
                })
                .collect()
        };
        let few = lives(300, 40);
        let watch = Watch::of(&few);
        let mut watched = 1.0;
        for &(age, share) in &watch.steps {
            let sum =
                |of: &dyn Fn(&Life) -> bool| few.iter().filter(|life| of(life)).map(|life| life.count).sum::<f64>();
            let at_risk = sum(&|life| {
                life.entry < age && if life.is_failure() { life.last_age() > age } else { life.last_age() >= age }
            });
            watched *= 1.0 - sum(&|life| life.end == End::Survived(age)) / at_risk;
            assert_eq!(share, watched, "{age}");
        }
        assert!(watch.steps.len() > 20);
        let began = std::time::Instant::now();
        assert!(Watch::of(&lives(200_000, 1 << 30)).steps.len() > 100_000);
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }

    #[test]
    fn units_that_live_anew_fail_as_the_law_says_and_nobody_is_lost() {
        let law = KnownLaw { law: Law::Weibull, location: libm::log(1_000.0), scale: 0.5, share: 1.0 };
        let lives = [
            Life { entry: 200.0, end: End::Survived(600.0), count: 500.0 },
            life(End::Survived(900.0), 300.0),
            life(End::Failed(400.0), 7.0),
        ];
        let resampled = Resampled::new(&lives, law);
        let (mut failed, mut early) = (0.0, 0.0);
        for one in 0..400 {
            let drawn = resampled.parametric(&mut Draws::new(9, Purpose::Replicate, one));
            assert_eq!(drawn.iter().map(|life| life.count).sum::<f64>(), 807.0);
            for life in drawn.iter().filter(|life| life.is_failure() && life.entry == 200.0) {
                assert!((200.0..=600.0).contains(&life.last_age()), "{life:?}");
                failed += life.count / 400.0;
                early += if life.last_age() < 400.0 { life.count / 400.0 } else { 0.0 };
            }
        }
        // 500 (1 − exp((200/1000)² − (600/1000)²)) and the same to 400.
        let wanted = |until: f64| 500.0 * (1.0 - libm::exp(0.04 - until * until / 1e6));
        assert!((failed / wanted(600.0) - 1.0).abs() < 0.02, "{failed} {}", wanted(600.0));
        assert!((early / wanted(400.0) - 1.0).abs() < 0.03, "{early} {}", wanted(400.0));
    }
}
