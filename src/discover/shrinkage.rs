//! Ratios of observed to expected events, shrunk towards what is usual: a gamma–Poisson model.
//!
//! Key idea: the true ratios of many cells are taken to follow a gamma law of mean one, whose spread is fitted to all
//! of them; given a cell's events, its ratio is gamma again. EBGM is the posterior's geometric mean, EB05 and EB95 are its
//! 5 % and 95 % points: three events where one was expected are no threefold rate, three hundred where a hundred were
//! are.
//!
//! Units: pure ratios. Source: DuMouchel (1999), Bayesian data mining in large frequency tables, with one component
//! in place of two, since expected events are already calibrated.

/// Spreads of the prior that are looked at: its precision, in events.
const PRECISIONS: (f64, f64) = (0.5, 1e4);

/// The law of the true ratios: gamma of mean one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Shape and rate of the gamma law: how many expected events it counts for.
    pub precision_events: f64,
}

/// A ratio after shrinkage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shrunk {
    pub ebgm: f64,
    pub eb05: f64,
    pub eb95: f64,
}

impl Prior {
    /// Fitted by maximum likelihood to cells' (observed, expected) events.
    pub fn fit(cells: &[(f64, f64)]) -> Self {
        let value = |log_precision: f64| {
            let precision = libm::exp(log_precision);
            let of = |(observed, expected): &(f64, f64)| {
                libm::lgamma(observed + precision) - libm::lgamma(precision)
                    + precision * libm::log(precision / (precision + expected))
                    + observed * libm::log(expected / (precision + expected))
            };
            cells.iter().filter(|(_, expected)| *expected > 0.0).map(of).sum::<f64>()
        };
        // The likelihood has one summit in the logarithm of the precision.
        let (mut low, mut high) = (libm::log(PRECISIONS.0), libm::log(PRECISIONS.1));
        for _ in 0..60 {
            let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
            if value(left) < value(right) { low = left } else { high = right }
        }
        Self { precision_events: libm::exp(0.5 * (low + high)) }
    }

    pub fn shrink(&self, observed: f64, expected: f64) -> Shrunk {
        let (shape, rate) = (self.precision_events + observed, self.precision_events + expected);
        Shrunk {
            ebgm: libm::exp(digamma(shape)) / rate,
            eb05: quantile(shape, 0.05) / rate,
            eb95: quantile(shape, 0.95) / rate,
        }
    }
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

    #[test]
    fn few_events_are_shrunk_and_many_are_not() {
        let prior = Prior { precision_events: 10.0 };
        let (few, many) = (prior.shrink(3.0, 1.0), prior.shrink(300.0, 100.0));
        assert!(few.ebgm < 1.3 && few.eb05 < 1.0, "{few:?}");
        assert!((2.5..3.0).contains(&many.ebgm) && many.eb05 > 2.4 && many.eb95 < 3.1, "{many:?}");
    }

    #[test]
    fn the_spread_of_the_ratios_is_found() {
        // Counts at fixed quantiles of a negative binomial law of mean 20 and precision 5.
        let mut cells = Vec::new();
        for cell in 0..400 {
            let chance = (f64::from(cell) + 0.5) / 400.0;
            let ratio = quantile(5.0, chance) / 5.0;
            for low in [0.25, 0.75] {
                cells.push((quantile(20.0 * ratio, low).round(), 20.0));
            }
        }
        let found = Prior::fit(&cells).precision_events;
        assert!((4.0..6.5).contains(&found), "{found}");
        assert!(Prior::fit(&[(20.0, 20.0); 50]).precision_events > 1e3);
    }
}
