//! Cases: one question put to the model about one part on one day, with what came of it.
//!
//! Key idea: parts of one vehicle, and one part on several days, hang together. So cases stand by vehicle, and whatever
//! states an uncertainty takes it from the spread between vehicles.
//!
//! A case's weight is the inverse of its chance of having been followed to its end ([`super::followed`]); cases that were
//! not are not among them. Without censoring every weight is 1.

/// One case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// Of the vehicle's id: cases with the same number are of one vehicle.
    pub vehicle: u64,
    /// The chance to fail that was stated.
    pub probability: f64,
    /// Whether the part was warned of.
    pub warned: bool,
    pub failed: bool,
    pub weight: f64,
}

/// Cases by vehicle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cases {
    cases: Vec<Case>,
    /// Where each vehicle's cases begin, and the end.
    starts: Vec<usize>,
}

impl Cases {
    /// Puts cases in the order of their vehicles; of one vehicle they stay in their order.
    pub fn new(mut cases: Vec<Case>) -> Self {
        cases.sort_by_key(|case| case.vehicle);
        let firsts = (0..cases.len()).filter(|&at| at == 0 || cases[at].vehicle != cases[at - 1].vehicle);
        let starts: Vec<usize> = firsts.chain([cases.len()]).collect();
        Self { cases, starts }
    }

    pub fn all(&self) -> &[Case] {
        &self.cases
    }

    pub fn vehicles(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    pub fn by_vehicle(&self) -> impl Iterator<Item = &[Case]> {
        self.starts.windows(2).map(|ends| &self.cases[ends[0]..ends[1]])
    }

    /// Sum of the weights of the cases that failed, and of the others.
    pub fn failed_and_not(&self) -> (f64, f64) {
        let mut sums = (0.0, 0.0);
        for case in &self.cases {
            *(if case.failed { &mut sums.0 } else { &mut sums.1 }) += case.weight;
        }
        sums
    }

    /// The variance of a sum over cases, from the spread of the sums of vehicles; `of` has mean zero.
    pub fn variance_of_sum(&self, of: impl Fn(&Case) -> f64) -> f64 {
        let squares: f64 = self
            .by_vehicle()
            .map(|own| {
                let sum: f64 = own.iter().map(&of).sum();
                sum * sum
            })
            .sum();
        squares * few(self.vehicles())
    }

    /// Σ weight·`above` / Σ weight·`below` over the cases, with its standard error; `None` where the latter is zero.
    pub fn ratio(&self, above: impl Fn(&Case) -> f64, below: impl Fn(&Case) -> f64) -> Option<Estimate> {
        let sum = |of: &dyn Fn(&Case) -> f64| -> f64 { self.cases.iter().map(|case| case.weight * of(case)).sum() };
        let bottom = sum(&below);
        if bottom <= 0.0 {
            return None;
        }
        let value = sum(&above) / bottom;
        let variance = self.variance_of_sum(|case| case.weight * (above(case) - value * below(case)));
        Some(Estimate { value, standard_error: variance.sqrt() / bottom })
    }
}

/// The factor by which a spread between so many is too small.
pub fn few(clusters: usize) -> f64 {
    if clusters > 1 { clusters as f64 / (clusters - 1) as f64 } else { 1.0 }
}

/// A value with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub value: f64,
    pub standard_error: f64,
}

/// Of the two-sided 95 % intervals.
pub const Z_95: f64 = 1.959_963_984_540_054;

impl Estimate {
    /// The 95 % interval of a quantity between the ends, by the normal law.
    pub fn between(self, least: f64, most: f64) -> (f64, f64) {
        let reach = Z_95 * self.standard_error;
        ((self.value - reach).max(least), (self.value + reach).min(most))
    }

    /// Wilson's 95 % interval of a share, of as many independent cases as have this standard error (Wilson 1927, JASA 22,
    /// 209–212); of `of` cases where the share is 0 or 1 and no spread is left to tell.
    pub fn wilson(self, of: f64) -> (f64, f64) {
        let Self { value, standard_error } = self;
        let effective =
            if standard_error > 0.0 { value * (1.0 - value) / (standard_error * standard_error) } else { of };
        wilson(value, effective)
    }
}

/// Wilson's 95 % interval of a share of so many.
pub fn wilson(share: f64, of: f64) -> (f64, f64) {
    if of <= 0.0 {
        return (0.0, 1.0);
    }
    let z2 = Z_95 * Z_95;
    let middle = share + z2 / (2.0 * of);
    let reach = Z_95 * f64::sqrt((share * (1.0 - share)).max(0.0) / of + z2 / (4.0 * of * of));
    let scale = 1.0 + z2 / of;
    (((middle - reach) / scale).max(0.0), ((middle + reach) / scale).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(vehicle: u64, failed: bool) -> Case {
        Case { vehicle, probability: 0.5, warned: false, failed, weight: 1.0 }
    }

    #[test]
    fn wilson_is_that_of_the_books() {
        // 8 of 10: 0.490 to 0.943 (Newcombe 1998, Statistics in Medicine 17, 857–872, table I has 81 of 263 and 0 of 20).
        let (lower, upper) = wilson(81.0 / 263.0, 263.0);
        assert!((lower - 0.2553).abs() < 5e-5 && (upper - 0.3662).abs() < 5e-5, "{lower} {upper}");
        let (lower, upper) = wilson(0.0, 20.0);
        assert!(lower == 0.0 && (upper - 0.1611).abs() < 5e-5, "{upper}");
        assert_eq!(wilson(0.3, 0.0), (0.0, 1.0));
    }

    #[test]
    fn a_share_of_single_cases_has_the_binomials_error_and_of_copies_a_larger_one() {
        let single = Cases::new((0..100).map(|vehicle| case(vehicle, vehicle % 4 == 0)).collect());
        let one = single.ratio(|case| f64::from(u8::from(case.failed)), |_| 1.0).unwrap();
        assert!((one.value - 0.25).abs() < 1e-15);
        // The sample's variance: p(1 − p)/(n − 1).
        assert!((one.standard_error - f64::sqrt(0.25 * 0.75 / 99.0)).abs() < 1e-15);
        let copied = Cases::new((0..400).map(|place| case(place % 100, place % 4 == 0)).collect());
        assert_eq!((copied.vehicles(), copied.by_vehicle().count()), (100, 100));
        let same = copied.ratio(|case| f64::from(u8::from(case.failed)), |_| 1.0).unwrap();
        assert!((same.standard_error - one.standard_error).abs() < 1e-15, "copies say nothing new");
        assert!(Cases::new(Vec::new()).ratio(|_| 1.0, |_| 1.0).is_none());
    }
}
