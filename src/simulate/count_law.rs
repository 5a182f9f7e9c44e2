//! The law of a count: how many of many unlike parts fail, given each one's chance, and its quantiles over paths.
//!
//! Given a path, parts fail independently with chances p: the count follows the Poisson-binomial law. Over paths its
//! law is the mixture. From Σp and Σp² a path's law is taken as that of Σp / Σp² trials, a mixture of the binomial laws
//! of the whole numbers next to it that has both moments: exact where all chances are equal, and for a single part; from
//! a variance of [`SMOOTH_VARIANCE`] on, the normal law with continuity correction and the third moment (the refined
//! normal approximation, Volkova 1996). Where successors fail too, Σp² is what makes the count's variance; as no count
//! is narrower than two neighbouring numbers, the law then mixes those with the binomial law.
//!
//! [`exact`] is the law itself. Over 1,200 random groups of up to 400 parts no probability of at most k is off by more
//! than 0.0011 where no chance exceeds 0.2. A few parts that fail almost surely among many that hardly do are another
//! matter (3 of 0.999 among 300 of 0.002: 0.17), so parts with large chances are told apart ([`super::large_parts`]).

use crate::model::normal;

/// Variance from which a count is smooth enough for the normal law.
pub const SMOOTH_VARIANCE: f64 = 100.0;
/// Standard deviations of a law that are looked at.
const REACH: f64 = 8.0;

/// What is known of a count's law on one path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Σp.
    pub mean: f64,
    /// Σp².
    pub squares: f64,
}

impl Moments {
    pub fn variance(self) -> f64 {
        (self.mean - self.squares).max(0.0)
    }

    /// What is left when some parts are told apart.
    pub fn without(self, some: Self) -> Self {
        let mean = (self.mean - some.mean).max(0.0);
        Self { mean, squares: (self.squares - some.squares).clamp(0.0, mean) }
    }

    /// The third central moment where all chances are equal: Σp³ is then (Σp²)² / Σp.
    pub fn third_of_equals(self) -> f64 {
        let cubes = if self.mean > 0.0 { self.squares * self.squares / self.mean } else { 0.0 };
        self.mean - 3.0 * self.squares + 2.0 * cubes
    }
}

/// The exact Poisson-binomial law: `[k]` is the chance of k.
pub fn exact(chances: &[f64]) -> Vec<f64> {
    let mut law = vec![1.0];
    for &p in chances {
        law.push(0.0);
        for k in (0..law.len()).rev() {
            let less = if k > 0 { law[k - 1] } else { 0.0 };
            law[k] = law[k] * (1.0 - p) + less * p;
        }
    }
    law
}

/// The chance of at most k, by the moments.
#[derive(Clone, Debug, PartialEq)]
pub enum CountLaw {
    /// `[k]` is the chance of at most k.
    Table(Vec<f64>),
    Smooth {
        mean: f64,
        deviation: f64,
        skewness: f64,
    },
}

impl CountLaw {
    pub fn of(moments: Moments) -> Self {
        if moments.variance() >= SMOOTH_VARIANCE {
            return Self::smooth(moments, moments.third_of_equals());
        }
        Self::Table(cumulated(&binomial(moments)))
    }

    /// The normal law of these moments, and of a third central one.
    pub fn smooth(moments: Moments, third: f64) -> Self {
        let variance = moments.variance();
        let deviation = libm::sqrt(variance);
        Self::Smooth { mean: moments.mean, deviation, skewness: third / (variance * deviation) }
    }

    /// A law that is known one by one.
    pub fn from_law(law: &[f64]) -> Self {
        Self::Table(cumulated(law))
    }

    pub fn at_most(&self, k: i64) -> f64 {
        match self {
            _ if k < 0 => 0.0,
            Self::Table(at_most) => at_most.get(k as usize).copied().unwrap_or(1.0),
            Self::Smooth { mean, deviation, skewness } => {
                let x = (k as f64 + 0.5 - mean) / deviation;
                (normal::distribution(x) + skewness * (1.0 - x * x) * density(x) / 6.0).clamp(0.0, 1.0)
            }
        }
    }

    /// Mean and Σp², by the mean and the variance of the law as it is.
    pub fn moments(&self) -> Moments {
        let (mean, variance) = match self {
            Self::Table(at_most) => {
                let beyond = |k: usize| (1.0 - at_most[k]).max(0.0);
                let mean: f64 = (0..at_most.len()).map(beyond).sum();
                // E K² = Σ (2k + 1) P(K > k).
                let second: f64 = (0..at_most.len()).map(|k| (2 * k + 1) as f64 * beyond(k)).sum();
                (mean, second - mean * mean)
            }
            Self::Smooth { mean, deviation, .. } => (*mean, deviation * deviation),
        };
        Moments { mean, squares: (mean - variance).clamp(0.0, mean) }
    }

    /// Counts beyond which nothing is to be found.
    pub fn most(&self) -> i64 {
        match self {
            Self::Table(at_most) => at_most.len() as i64,
            Self::Smooth { mean, deviation, .. } => libm::ceil(mean + REACH * deviation) as i64,
        }
    }
}

/// The smallest count that the mixture of the laws, equally weighted, does not exceed with chance `level`.
pub fn quantile(laws: &[CountLaw], level: f64) -> i64 {
    let enough = level * laws.len() as f64 * (1.0 - 1e-12);
    let reached = |k: i64| laws.iter().map(|law| law.at_most(k)).sum::<f64>() >= enough;
    let (mut low, mut high) = (0, laws.iter().map(CountLaw::most).max().unwrap_or(0));
    while low < high {
        let middle = low + (high - low) / 2;
        if reached(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// The chance of fewer than k and of at most k in the mixture: what a randomised probability integral transform needs.
pub fn mixture_below_and_up_to(laws: &[CountLaw], k: i64) -> (f64, f64) {
    let mean = |k: i64| laws.iter().map(|law| law.at_most(k)).sum::<f64>() / laws.len().max(1) as f64;
    (mean(k - 1), mean(k))
}

/// The binomial law of Σp²-matched trials, as far as it is not negligible.
pub fn binomial(Moments { mean, squares }: Moments) -> Vec<f64> {
    if mean <= 0.0 {
        return vec![1.0];
    }
    // Two laws of the same mean, whose variances lie on either side: so many sure failures and one more perhaps, or a
    // whole number of trials; and one trial more.
    let trials = (mean * mean / squares.min(mean).max(1e-12 * mean)).min(1e12);
    let fewer = libm::floor(trials * (1.0 + 1e-12));
    let squares_of = |trials: f64| match trials < mean {
        true => mean - (mean - libm::floor(mean)) * (libm::ceil(mean) - mean),
        false => mean * mean / trials,
    };
    let fewer = if fewer < mean { libm::ceil(mean) - 1.0 } else { fewer };
    let (most, least) = (squares_of(fewer), squares_of(fewer + 1.0));
    let share = if most > least { ((squares - least) / (most - least)).clamp(0.0, 1.0) } else { 1.0 };
    let mut law = trials_law(mean, fewer);
    let other = trials_law(mean, fewer + 1.0);
    law.resize(law.len().max(other.len()), 0.0);
    law.iter_mut().for_each(|p| *p *= share);
    law.iter_mut().zip(other).for_each(|(p, other)| *p += (1.0 - share) * other);
    law
}

/// The binomial law of so many trials; where the mean asks for more, the narrowest law that there is.
fn trials_law(mean: f64, trials: f64) -> Vec<f64> {
    if trials <= mean {
        let sure = libm::floor(mean);
        let mut law = vec![0.0; sure as usize];
        law.extend([1.0 - (mean - sure), mean - sure]);
        return law;
    }
    // Counted from the nearer end, where the law's first chance is not too small for a number.
    let chance = mean / trials;
    let (rare, turned) = if chance > 0.5 { (1.0 - chance, true) } else { (chance, false) };
    let mut law = vec![libm::exp(trials * libm::log1p(-rare))];
    let reach = libm::ceil(trials * rare + REACH * libm::sqrt(trials * rare) + REACH).min(trials) as usize;
    for k in 0..reach {
        law.push(law[k] * (trials - k as f64) / (k as f64 + 1.0) * rare / (1.0 - rare));
    }
    if turned {
        law.resize(trials as usize + 1, 0.0);
        law.reverse();
    }
    law
}

fn cumulated(law: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let sums = law.iter().map(|p| {
        sum += p;
        sum
    });
    sums.collect()
}

fn density(x: f64) -> f64 {
    libm::exp(-0.5 * x * x) * (0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::fixed::threefry::threefry2x32;

    pub fn chances(group: u32, parts: u32, largest: f64) -> Vec<f64> {
        // Most are small and a few are not, as in a fleet.
        let draw = |part: u32| f64::from(threefry2x32([group, 1], [part, 0])[0]) / 4_294_967_296.0;
        (0..parts).map(|part| largest * libm::pow(draw(part), 3.0)).collect()
    }

    pub fn moments(chances: &[f64]) -> Moments {
        Moments { mean: chances.iter().sum(), squares: chances.iter().map(|p| p * p).sum() }
    }

    pub fn worst(law: &CountLaw, exact: &[f64]) -> f64 {
        let mut up_to = 0.0;
        let off = exact.iter().enumerate().map(|(k, p)| {
            up_to += p;
            (law.at_most(k as i64) - up_to).abs()
        });
        off.fold(0.0, f64::max)
    }

    #[test]
    fn equal_chances_and_single_parts_are_exact() {
        for chances in [vec![0.3; 17], vec![0.01; 300], vec![0.7], vec![0.0; 4], vec![], vec![1.0; 3]] {
            let off = worst(&CountLaw::of(moments(&chances)), &exact(&chances));
            assert!(off < 1e-9, "{} parts: {off:e}", chances.len());
        }
        assert!((exact(&[0.5, 0.25])[1] - 0.5).abs() < 1e-15);
    }

    #[test]
    fn the_approximation_stays_within_its_error_and_the_poisson_law_does_not() {
        let (mut all, mut few, mut small, mut poisson) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
        for group in 0..600 {
            let parts = 1 + threefry2x32([group, 2], [0, 0])[0] % 400;
            for largest in [0.2, 0.9] {
                let chances = chances(group, parts, largest);
                let (law, exact) = (CountLaw::of(moments(&chances)), exact(&chances));
                let off = worst(&law, &exact);
                match parts {
                    ..20 => few = few.max(off),
                    _ => all = all.max(off),
                }
                if largest < 0.5 {
                    small = small.max(off);
                }
                let without = Moments { squares: 0.0, ..moments(&chances) };
                poisson = poisson.max(worst(&CountLaw::of(without), &exact));
            }
        }
        assert!(few < 0.05 && all < 0.017 && small < 0.0011, "{few} {all} {small}");
        assert!(poisson > 0.03, "{poisson}: the comparison would not see a wrong law");
    }

    #[test]
    fn a_part_and_its_successors_have_both_moments() {
        // One part of shape 4.3 at damage 0.9 with 1.6 ahead, played out: 0, 1, 2 and 3 failures.
        let truth = [0.002, 0.035, 0.834, 0.129];
        let mean: f64 = truth.iter().zip(0..).map(|(p, k)| p * f64::from(k)).sum();
        let second: f64 = truth.iter().zip(0..).map(|(p, k)| p * f64::from(k * k)).sum();
        let law = CountLaw::of(Moments { mean, squares: mean - (second - mean * mean) });
        assert!(worst(&law, &truth) < 0.02, "{law:?}");
        for (mean, variance) in [(2.09, 0.16), (0.6, 0.24), (1.0, 0.18), (7.5, 0.25), (40.0, 3.0), (300.0, 0.3)] {
            let CountLaw::Table(at_most) = CountLaw::of(Moments { mean, squares: mean - variance }) else {
                panic!("{mean}: a smooth law")
            };
            let of = |power: i32| -> f64 {
                let before = std::iter::once(0.0).chain(at_most.iter().copied());
                let chances = at_most.iter().zip(before).map(|(up_to, before)| up_to - before);
                chances.zip(0..).map(|(p, k)| p * libm::pow(f64::from(k), f64::from(power))).sum()
            };
            assert!((of(0) - 1.0).abs() < 1e-9 && (of(1) / mean - 1.0).abs() < 1e-9, "{mean}: {}", of(1));
            assert!((of(2) - of(1) * of(1) - variance).abs() < 1e-6, "{mean}: {}", of(2) - of(1) * of(1));
        }
    }

    #[test]
    fn the_smooth_law_meets_the_exact_one() {
        let chances = chances(9, 4_000, 0.4);
        let moments = moments(&chances);
        assert!(moments.variance() > SMOOTH_VARIANCE);
        let off = worst(&CountLaw::of(moments), &exact(&chances));
        assert!(off < 5e-4, "{off}");
    }

    #[test]
    fn laws_tell_their_moments() {
        for moments in [(0.0, 0.0), (0.7, 0.3), (5.0, 0.2), (60.0, 10.0), (4_000.0, 500.0)] {
            let moments = Moments { mean: moments.0, squares: moments.1 };
            let told = CountLaw::of(moments).moments();
            assert!((told.mean - moments.mean).abs() <= 1e-9 * moments.mean, "{moments:?} {told:?}");
            assert!((told.squares - moments.squares).abs() <= 1e-6 * moments.mean, "{moments:?} {told:?}");
        }
    }

    #[test]
    fn quantiles_of_mixtures() {
        let law = |p: &[f64]| CountLaw::from_law(p);
        let fair = law(&[0.25, 0.5, 0.25]);
        let of = |level| quantile(std::slice::from_ref(&fair), level);
        assert_eq!([of(0.05), of(0.25), of(0.5), of(0.75), of(0.95)], [0, 0, 1, 1, 2]);
        let laws = [law(&[1.0]), law(&[0.0, 0.0, 0.0, 1.0])];
        assert_eq!([quantile(&laws, 0.49), quantile(&laws, 0.51)], [0, 3]);
        assert_eq!(mixture_below_and_up_to(&laws, 3), (0.5, 1.0));
        assert_eq!(quantile(&[], 0.5), 0);
        let large = CountLaw::of(Moments { mean: 10_000.0, squares: 100.0 });
        let median = quantile(std::slice::from_ref(&large), 0.5);
        assert!((median - 10_000).abs() <= 1, "{median}");
    }
}
