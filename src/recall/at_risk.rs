//! Who can still fail, and with what chance within a horizon.
//!
//! A unit that has outlived age t fails within w more with chance 1 − S(t + w) / S(t). Units alike are one row with
//! their number. Units: ages in the table's own unit.

use crate::fit::lives::law::Law;
use crate::fit::lives::life::{End, Life};
use crate::simulate::count_law::{CountLaw, Moments};

/// A law with its parameters: ln T = μ + σ W, of a share of the lives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownLaw {
    pub law: Law,
    /// μ.
    pub location: f64,
    /// σ.
    pub scale: f64,
    /// The share that can fail.
    pub share: f64,
}

impl KnownLaw {
    fn z(&self, age: f64) -> f64 {
        (libm::log(age) - self.location) / self.scale
    }

    /// ln of the chance to outlive `age`.
    pub fn ln_survival(&self, age: f64) -> f64 {
        if age <= 0.0 {
            return 0.0;
        }
        let of_defective = self.law.ln_survival(self.z(age))[0];
        if self.share >= 1.0 { of_defective } else { libm::log1p(self.share * libm::expm1(of_defective)) }
    }

    /// The chance that one that has outlived `age` fails within `within` more.
    pub fn chance(&self, age: f64, within: f64) -> f64 {
        let (now, then) = (self.ln_survival(age), self.ln_survival(age + within));
        if now == f64::NEG_INFINITY { 1.0 } else { -libm::expm1(then - now) }
    }

    /// The age by which a share `failed` of all lives has failed.
    pub fn age(&self, failed: f64) -> f64 {
        let of_defective = (failed / self.share).clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON);
        libm::exp(self.location + self.scale * self.law.quantile(of_defective))
    }
}

/// Units alike that can still fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtRisk {
    pub age: f64,
    pub count: f64,
}

/// The survivors among lives.
pub fn survivors(lives: &[Life]) -> Vec<AtRisk> {
    lives
        .iter()
        .filter_map(|life| match life.end {
            End::Survived(age) => Some(AtRisk { age, count: life.count }),
            _ => None,
        })
        .collect()
}

/// Σp and Σp² of the units at risk within a horizon.
pub fn moments(at_risk: &[AtRisk], law: &KnownLaw, within: f64) -> Moments {
    let mut moments = Moments { mean: 0.0, squares: 0.0 };
    for units in at_risk {
        let p = law.chance(units.age, within);
        moments.mean += units.count * p;
        moments.squares += units.count * p * p;
    }
    moments
}

/// The law of the number that fails within a horizon.
pub fn count_law(at_risk: &[AtRisk], law: &KnownLaw, within: f64) -> CountLaw {
    CountLaw::of(moments(at_risk, law, within))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_those_of_the_formula() {
        let law =
            KnownLaw { law: Law::Weibull, location: libm::log(11_792.178_17), scale: 0.491_323_567_2, share: 1.0 };
        let hazard = |age: f64| libm::pow(age / 11_792.178_17, 1.0 / 0.491_323_567_2);
        for (age, within) in [(50.0, 300.0), (0.0, 10.0), (2_050.0, 1e5)] {
            let wanted = 1.0 - libm::exp(hazard(age) - hazard(age + within));
            assert!((law.chance(age, within) - wanted).abs() < 1e-12, "{age}");
        }
        // Of a defective share: (F(t + w) − F(t)) s / (1 − s F(t)).
        let share = KnownLaw { law: Law::WeibullDefective, share: 0.2, ..law };
        let failed = |age: f64| 1.0 - libm::exp(-hazard(age));
        let wanted = 0.2 * (failed(9_000.0) - failed(8_000.0)) / (1.0 - 0.2 * failed(8_000.0));
        assert!((share.chance(8_000.0, 1_000.0) - wanted).abs() < 1e-12);
        assert!((failed(share.age(0.05)) * 0.2 - 0.05).abs() < 1e-12);
        // Nobody is left to fail; nothing is divided by nothing.
        assert_eq!(KnownLaw { scale: 1e-3, ..law }.chance(1e9, 1.0), 1.0);
    }
}
