//! Random numbers of one replicate: a function of seed, purpose, replicate and how many were drawn before.
//!
//! Each replicate counts for itself, so that threads and their order change nothing. Source: [`crate::fixed::threefry`].

use crate::fixed::threefry::threefry2x32;
use crate::model::normal;

/// What the numbers are for; part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    Replicate = 0x5EC0_0001,
    /// Tables that the nested coverage starts from.
    Outer = 0x5EC0_0002,
}

/// From how many summands on a gamma number is taken by its cube root.
const SUMMED: f64 = 64.0;

#[derive(Clone, Debug)]
pub struct Draws {
    key: [u32; 2],
    replicate: u32,
    drawn: u32,
}

impl Draws {
    pub fn new(seed: u64, purpose: Purpose, replicate: u32) -> Self {
        let key = threefry2x32([seed as u32, (seed >> 32) as u32], [purpose as u32, 0]);
        Self { key, replicate, drawn: 0 }
    }

    /// A seed for the replicates within this one.
    pub fn seed(&mut self) -> u64 {
        self.bits()
    }

    fn bits(&mut self) -> u64 {
        let [low, high] = threefry2x32(self.key, [self.replicate, self.drawn]);
        self.drawn = self.drawn.wrapping_add(1);
        u64::from(low) | u64::from(high) << 32
    }

    /// Uniform on (0, 1).
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    /// The sum of `count` exponential numbers of mean one. Of many, by the cube root, which is nearly normal (Wilson and
    /// Hilferty 1931).
    pub fn gamma(&mut self, count: f64) -> f64 {
        if count <= SUMMED {
            return (0..count as u32).map(|_| self.exponential()).sum();
        }
        let z = normal::quantile(self.uniform());
        let root = 1.0 - 1.0 / (9.0 * count) + z / (3.0 * libm::sqrt(count));
        count * (root * root * root).max(0.0)
    }

    /// How many of `count` happen, each with chance `p`: by the gaps between those that do.
    pub fn binomial(&mut self, count: f64, p: f64) -> f64 {
        if p >= 1.0 {
            return count;
        }
        if p <= 0.0 {
            return 0.0;
        }
        let (mut happened, mut place) = (0.0, 0.0);
        let ln_spared = libm::log1p(-p);
        loop {
            place += libm::floor(libm::log(self.uniform()) / ln_spared) + 1.0;
            if place > count {
                return happened;
            }
            happened += 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_moments() {
        let moments = |draw: &dyn Fn(&mut Draws) -> f64| {
            let numbers: Vec<f64> = (0..20_000).map(|one| draw(&mut Draws::new(3, Purpose::Replicate, one))).collect();
            let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
            let variance = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / numbers.len() as f64;
            (mean, variance)
        };
        // Five standard errors of the mean, and of the variance with a kurtosis of up to nine.
        for (count, p) in [(1.0, 0.3), (40.0, 0.02), (500.0, 0.7), (3.0, 1.0), (9.0, 0.0)] {
            let (mean, variance) = moments(&|draws| draws.binomial(count, p));
            let wanted = count * p * (1.0 - p);
            assert!((mean - count * p).abs() <= 5.0 * (wanted / 20_000.0).sqrt(), "{count} {p}: {mean}");
            assert!((variance - wanted).abs() <= 0.1 * wanted, "{count} {p}: {variance}");
        }
        for count in [1.0, 5.0, 64.0, 65.0, 3_000.0] {
            let (mean, variance) = moments(&|draws| draws.gamma(count));
            assert!((mean - count).abs() < 5.0 * (count / 20_000.0).sqrt(), "{count}: {mean}");
            assert!((variance / count - 1.0).abs() < 0.1, "{count}: {variance}");
        }
    }

    #[test]
    fn replicates_purposes_and_seeds_differ() {
        let first = |seed, purpose, replicate| Draws::new(seed, purpose, replicate).seed();
        let one = first(1, Purpose::Replicate, 0);
        assert_eq!(one, first(1, Purpose::Replicate, 0));
        for other in [first(2, Purpose::Replicate, 0), first(1, Purpose::Outer, 0), first(1, Purpose::Replicate, 1)] {
            assert_ne!(one, other);
        }
    }
}
