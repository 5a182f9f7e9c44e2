//! Ratios of observed to expected events, shrunk towards what is usual: the multi-item gamma–Poisson shrinker.
//!
//! Key idea: the true ratios of many cells follow a mixture of two gamma laws, one for the many cells in which nothing
//! is the matter and one for the few in which something is; its five numbers are fitted to all cells. Given a cell's
//! events, its ratio follows a mixture of two gamma laws again. EBGM is that law's geometric mean, EB05 and EB95 are its
//! 5 % and 95 % points: three events where one was expected are no threefold rate, three hundred where a hundred were
//! are.
//!
//! Units: pure ratios. Source: DuMouchel (1999), Bayesian data mining in large frequency tables, The American
//! Statistician 53(3), equations 4 to 12; Nelder & Mead (1965) for the maximum.

/// A gamma law of the true ratios.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gamma {
    pub shape: f64,
    /// One over the scale: with the shape, how many expected events it counts for.
    pub rate: f64,
}

/// The law of the true ratios.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    pub components: [Gamma; 2],
    /// The chance of the first one.
    pub weight: f64,
}

/// A ratio after shrinkage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shrunk {
    pub ebgm: f64,
    pub eb05: f64,
    pub eb95: f64,
}

/// Where the search for the maximum begins: DuMouchel's own start, and one for cells that are calibrated already.
const STARTS: [Prior; 2] = [
    Prior { components: [Gamma { shape: 0.2, rate: 0.1 }, Gamma { shape: 2.0, rate: 4.0 }], weight: 1.0 / 3.0 },
    Prior { components: [Gamma { shape: 2.0, rate: 1.0 }, Gamma { shape: 50.0, rate: 50.0 }], weight: 0.05 },
];
/// Shapes and rates lie between these.
const BOUNDS: (f64, f64) = (1e-3, 1e5);
/// Evaluations of the likelihood a start.
const EVALUATIONS: usize = 600;

impl Gamma {
    /// Logarithm of the chance of so many events: a negative binomial law, but for what the prior has no part in.
    fn log_chance(&self, observed: f64, expected: f64) -> f64 {
        libm::lgamma(self.shape + observed) - libm::lgamma(self.shape)
            + self.shape * libm::log(self.rate / (self.rate + expected))
            + observed * libm::log(expected / (self.rate + expected))
    }

    fn given(&self, observed: f64, expected: f64) -> Self {
        Self { shape: self.shape + observed, rate: self.rate + expected }
    }
}

impl Prior {
    /// Fitted by maximum likelihood to cells' (observed, expected) events.
    pub fn fit(cells: &[(f64, f64)]) -> Self {
        let cells: Vec<(f64, f64)> = cells.iter().copied().filter(|(_, expected)| *expected > 0.0).collect();
        let value = |place: &[f64; 5]| -Self::at(place).log_likelihood(&cells);
        let found = STARTS.map(|start| least(start.place(), &value));
        let [one, other] = found;
        Self::at(if other.1 < one.1 { &other.0 } else { &one.0 })
    }

    fn log_likelihood(&self, cells: &[(f64, f64)]) -> f64 {
        let of = |(observed, expected): &(f64, f64)| {
            let [one, other] = self.components.map(|gamma| gamma.log_chance(*observed, *expected));
            let most = f64::max(one, other);
            most + libm::log(self.weight * libm::exp(one - most) + (1.0 - self.weight) * libm::exp(other - most))
        };
        cells.iter().map(of).sum()
    }

    /// Numbers without bounds that stand for the law.
    fn place(&self) -> [f64; 5] {
        let [one, other] = self.components;
        let weight = libm::log(self.weight / (1.0 - self.weight));
        [libm::log(one.shape), libm::log(one.rate), libm::log(other.shape), libm::log(other.rate), weight]
    }

    fn at(place: &[f64; 5]) -> Self {
        let bounded = |log: f64| libm::exp(log).clamp(BOUNDS.0, BOUNDS.1);
        let gamma = |shape: f64, rate: f64| Gamma { shape: bounded(shape), rate: bounded(rate) };
        Self {
            components: [gamma(place[0], place[1]), gamma(place[2], place[3])],
            weight: 1.0 / (1.0 + libm::exp(-place[4].clamp(-12.0, 12.0))),
        }
    }

    pub fn shrink(&self, observed: f64, expected: f64) -> Shrunk {
        let expected = expected.max(1e-12);
        let [one, other] = self.components.map(|gamma| gamma.log_chance(observed, expected));
        let most = f64::max(one, other);
        let (one, other) = (self.weight * libm::exp(one - most), (1.0 - self.weight) * libm::exp(other - most));
        let weight = one / (one + other);
        let laws = self.components.map(|gamma| gamma.given(observed, expected));
        let log_mean = laws.map(|law| digamma(law.shape) - libm::log(law.rate));
        let below = |ratio: f64| {
            let [one, other] = laws.map(|law| distribution(law.shape, law.rate * ratio));
            weight * one + (1.0 - weight) * other
        };
        let point = |chance: f64| {
            let ends = laws.map(|law| quantile(law.shape, chance) / law.rate);
            let (mut low, mut high) = (f64::min(ends[0], ends[1]), f64::max(ends[0], ends[1]));
            for _ in 0..60 {
                let middle = 0.5 * (low + high);
                if below(middle) < chance { low = middle } else { high = middle }
            }
            0.5 * (low + high)
        };
        Shrunk {
            ebgm: libm::exp(weight * log_mean[0] + (1.0 - weight) * log_mean[1]),
            eb05: point(0.05),
            eb95: point(0.95),
        }
    }
}

/// The least value near a start, by the simplex of Nelder and Mead, with its place.
fn least(start: [f64; 5], value: &dyn Fn(&[f64; 5]) -> f64) -> ([f64; 5], f64) {
    let mut simplex = vec![(start, value(&start))];
    for place in 0..start.len() {
        let mut corner = start;
        corner[place] += 0.7;
        simplex.push((corner, value(&corner)));
    }
    let mut evaluations = simplex.len();
    while evaluations < EVALUATIONS {
        simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (best, worst) = (simplex[0], simplex[start.len()]);
        if worst.1 - best.1 < 1e-7 * (1.0 + best.1.abs()) {
            break;
        }
        let mut middle = [0.0; 5];
        for (corner, _) in &simplex[..start.len()] {
            middle.iter_mut().zip(corner).for_each(|(sum, own)| *sum += own / start.len() as f64);
        }
        let along = |share: f64| {
            let mut place = middle;
            place.iter_mut().zip(worst.0).for_each(|(own, worst)| *own += share * (*own - worst));
            (place, value(&place))
        };
        let turned = along(1.0);
        evaluations += 1;
        let taken = if turned.1 < best.1 {
            evaluations += 1;
            let farther = along(2.0);
            if farther.1 < turned.1 { farther } else { turned }
        } else if turned.1 < simplex[start.len() - 1].1 {
            turned
        } else {
            evaluations += 1;
            along(if turned.1 < worst.1 { 0.5 } else { -0.5 })
        };
        if taken.1 < worst.1 {
            simplex[start.len()] = taken;
            continue;
        }
        for corner in &mut simplex[1..] {
            corner.0.iter_mut().zip(best.0).for_each(|(own, best)| *own = 0.5 * (*own + best));
            corner.1 = value(&corner.0);
            evaluations += 1;
        }
    }
    simplex.sort_by(|a, b| a.1.total_cmp(&b.1));
    simplex[0]
}

/// Derivative of the gamma function's logarithm, for arguments above zero.
fn digamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 8.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    sum + libm::log(x) - 0.5 / x - square * (1.0 / 12.0 - square * (1.0 / 120.0 - square / 252.0))
}

/// P(a gamma variable of this shape and rate one ≤ x).
fn distribution(shape: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let front = libm::exp(shape * libm::log(x) - x - libm::lgamma(shape));
    if x < shape + 1.0 {
        let (mut term, mut sum, mut at) = (1.0 / shape, 1.0 / shape, shape);
        while term > sum * 1e-15 {
            at += 1.0;
            term *= x / at;
            sum += term;
        }
        return (sum * front).min(1.0);
    }
    // Lentz's continued fraction of the upper tail.
    let mut b = x + 1.0 - shape;
    let mut c = 1e300;
    let mut d = 1.0 / b;
    let mut h = d;
    for i in 1..10_000 {
        let a = -f64::from(i) * (f64::from(i) - shape);
        b += 2.0;
        d = 1.0 / (a * d + b);
        c = b + a / c;
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    1.0 - front * h
}

/// The x below which such a variable lies with a chance.
fn quantile(shape: f64, chance: f64) -> f64 {
    let (mut low, mut high) = (0.0, shape + 10.0 * libm::sqrt(shape) + 20.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if distribution(shape, middle) < chance { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of any table of the chi-square law: half of χ² with 2·shape degrees.
    #[test]
    fn quantiles_of_tables() {
        for (shape, chance, doubled) in
            [(0.5, 0.95, 3.841_459), (1.0, 0.05, 0.102_587), (5.0, 0.95, 18.307_038), (50.0, 0.05, 77.929_465)]
        {
            assert!((2.0 * quantile(shape, chance) - doubled).abs() < 2e-6, "{shape}");
        }
        assert!((digamma(1.0) + 0.577_215_664_901_532_9).abs() < 1e-9);
        assert!((digamma(30.0) - 3.384_438_132_686).abs() < 1e-9);
    }

    /// Counts at quantiles of a mixture of two gamma laws: most cells around one, a few around three.
    fn cells() -> Vec<(f64, f64)> {
        let mut cells = Vec::new();
        for cell in 0..400 {
            let chance = (f64::from(cell % 40) + 0.5) / 40.0;
            let (shape, rate) = if cell < 40 { (9.0, 3.0) } else { (50.0, 50.0) };
            let expected = 10.0 + f64::from(cell % 7) * 20.0;
            let ratio = quantile(shape, chance) / rate;
            for low in [0.25, 0.75] {
                cells.push((quantile(expected * ratio, low).round(), expected));
            }
        }
        cells
    }

    #[test]
    fn both_laws_of_the_ratios_are_found() {
        let found = Prior::fit(&cells());
        let ([one, other], weight) = (found.components, found.weight);
        let ((few, share), many) = if one.shape / one.rate > other.shape / other.rate {
            ((one, weight), other)
        } else {
            ((other, 1.0 - weight), one)
        };
        assert!((2.5..3.5).contains(&(few.shape / few.rate)) && (0.06..0.15).contains(&share), "{found:?}");
        assert!((0.95..1.05).contains(&(many.shape / many.rate)) && many.rate > 20.0, "{found:?}");
        // No other law near it is likelier.
        let (place, cells) = (found.place(), cells());
        let most = found.log_likelihood(&cells);
        for at in 0..5 {
            for step in [-0.05, 0.05] {
                let mut near = place;
                near[at] += step;
                assert!(Prior::at(&near).log_likelihood(&cells) <= most + 1e-3, "number {at}");
            }
        }
    }

    #[test]
    fn few_events_are_shrunk_and_many_are_not() {
        let prior = Prior::fit(&cells());
        let (few, many) = (prior.shrink(3.0, 1.0), prior.shrink(416.0, 130.0));
        assert!(few.ebgm < 2.0 && few.eb05 < 1.1, "{few:?}");
        assert!((3.0..3.3).contains(&many.ebgm) && many.eb05 > 2.8 && many.eb95 < 3.6, "{many:?}");
        // Nothing is the matter anywhere: everything is drawn to one.
        let calm = Prior::fit(&[(20.0, 20.0); 50]).shrink(30.0, 20.0);
        assert!(calm.ebgm < 1.1, "{calm:?}");
    }

    #[test]
    fn points_of_the_mixture_are_those_of_its_numerical_law() {
        let prior =
            Prior { components: [Gamma { shape: 0.5, rate: 0.2 }, Gamma { shape: 4.0, rate: 4.0 }], weight: 0.3 };
        // The posterior by sums over a fine grid of ratios, straight from the definition.
        let (observed, expected) = (7.0, 2.5);
        let density = |x: f64, gamma: &Gamma| {
            libm::exp((gamma.shape - 1.0) * libm::log(x) - gamma.rate * x + gamma.shape * libm::log(gamma.rate))
                / libm::tgamma(gamma.shape)
        };
        let (mut all, mut log_mean, mut points) = (0.0, 0.0, Vec::new());
        for step in 0..400_000 {
            let x = (f64::from(step) + 0.5) * 5e-5;
            let prior = 0.3 * density(x, &prior.components[0]) + 0.7 * density(x, &prior.components[1]);
            let own = prior * libm::pow(x * expected, observed) * libm::exp(-x * expected);
            (all, log_mean) = (all + own, log_mean + own * libm::log(x));
            points.push((x, all));
        }
        let point = |chance: f64| points[points.partition_point(|(_, below)| *below < chance * all)].0;
        let told = prior.shrink(observed, expected);
        assert!((told.ebgm - libm::exp(log_mean / all)).abs() < 1e-3, "{told:?}");
        assert!((told.eb05 - point(0.05)).abs() < 1e-3 && (told.eb95 - point(0.95)).abs() < 1e-3, "{told:?}");
        assert!((told.eb05 - point(0.10)).abs() > 1e-2, "the comparison can fail");
    }
}
