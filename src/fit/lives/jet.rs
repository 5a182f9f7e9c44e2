//! A value with its first and second derivatives in three variables: second-order forward differentiation, so that a
//! likelihood's gradient and Hessian are exact to rounding and stand in one place with its value.

/// Number of variables.
pub const VARIABLES: usize = 3;

/// A function of three variables at a point. The Hessian holds the lower triangle: 00, 10, 11, 20, 21, 22.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jet {
    pub value: f64,
    pub gradient: [f64; VARIABLES],
    pub hessian: [f64; 6],
}

/// Rows and columns of the lower triangle, in its order.
pub const TRIANGLE: [(usize, usize); 6] = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)];

impl Jet {
    pub fn constant(value: f64) -> Self {
        Self { value, gradient: [0.0; VARIABLES], hessian: [0.0; 6] }
    }

    pub fn variable(value: f64, which: usize) -> Self {
        let mut jet = Self::constant(value);
        jet.gradient[which] = 1.0;
        jet
    }

    pub fn plus(self, other: Self) -> Self {
        self.mixed(1.0, other, 1.0)
    }

    pub fn minus(self, other: Self) -> Self {
        self.mixed(1.0, other, -1.0)
    }

    pub fn times(self, other: Self) -> Self {
        let mut jet = self.mixed(other.value, other, self.value);
        jet.value = self.value * other.value;
        for (place, (row, column)) in TRIANGLE.into_iter().enumerate() {
            jet.hessian[place] +=
                self.gradient[row] * other.gradient[column] + self.gradient[column] * other.gradient[row];
        }
        jet
    }

    /// A function of this jet, given its value and its first two derivatives here.
    pub fn through(self, [value, first, second]: [f64; 3]) -> Self {
        let mut jet = Self { value, gradient: self.gradient.map(|slope| first * slope), hessian: [0.0; 6] };
        for (place, (row, column)) in TRIANGLE.into_iter().enumerate() {
            jet.hessian[place] = first * self.hessian[place] + second * self.gradient[row] * self.gradient[column];
        }
        jet
    }

    fn mixed(self, mine: f64, other: Self, theirs: f64) -> Self {
        let mut jet = Self::constant(mine * self.value + theirs * other.value);
        for at in 0..VARIABLES {
            jet.gradient[at] = mine * self.gradient[at] + theirs * other.gradient[at];
        }
        for at in 0..jet.hessian.len() {
            jet.hessian[at] = mine * self.hessian[at] + theirs * other.hessian[at];
        }
        jet
    }
}

/// `exp`, with derivatives.
pub fn exp(x: f64) -> [f64; 3] {
    let value = libm::exp(x);
    [value, value, value]
}

/// `ln`, with derivatives.
pub fn ln(x: f64) -> [f64; 3] {
    [libm::log(x), 1.0 / x, -1.0 / (x * x)]
}

/// `ln(1 + x)`, with derivatives.
pub fn ln_1p(x: f64) -> [f64; 3] {
    let first = 1.0 / (1.0 + x);
    [libm::log1p(x), first, -first * first]
}

/// `1 - exp(x)`, with derivatives.
pub fn one_minus_exp(x: f64) -> [f64; 3] {
    let slope = -libm::exp(x);
    [-libm::expm1(x), slope, slope]
}

/// `ln(1 - exp(x))` for x below zero, with derivatives.
pub fn ln_one_minus_exp(x: f64) -> [f64; 3] {
    let growth = libm::expm1(-x);
    [libm::log(-libm::expm1(x)), -1.0 / growth, -(growth + 1.0) / (growth * growth)]
}

/// `1 / (1 + exp(-x))`, with derivatives.
pub fn logistic(x: f64) -> [f64; 3] {
    let value = 1.0 / (1.0 + libm::exp(-x));
    let first = value / (1.0 + libm::exp(x));
    [value, first, first * (1.0 - 2.0 * value)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every function's derivatives against differences of the one before.
    #[test]
    fn derivatives_are_those_of_the_functions() {
        type Function = fn(f64) -> [f64; 3];
        let functions: [(&str, Function, f64); 6] = [
            ("exp", exp, 0.7),
            ("ln", ln, 1.3),
            ("ln_1p", ln_1p, -0.4),
            ("one_minus_exp", one_minus_exp, -0.3),
            ("ln_one_minus_exp", ln_one_minus_exp, -0.8),
            ("logistic", logistic, 0.9),
        ];
        let step = 1e-5;
        for (name, function, x) in functions {
            let (above, here, below) = (function(x + step), function(x), function(x - step));
            for order in 0..2 {
                let slope = (above[order] - below[order]) / (2.0 * step);
                assert!((slope - here[order + 1]).abs() < 1e-8, "{name}, derivative {}: {slope} {here:?}", order + 1);
            }
        }
    }

    #[test]
    fn products_and_compositions_follow_the_rules() {
        // exp(x y) ln(z) at (0.5, 1.5, 2.5), by hand.
        let (x, y, z) = (0.5_f64, 1.5, 2.5);
        let jet = |which, value| Jet::variable(value, which);
        let product = jet(0, x).times(jet(1, y));
        let got = product.through(exp(product.value)).times(jet(2, z).through(ln(z)));
        let (e, l) = (libm::exp(x * y), libm::log(z));
        let want = [y * y * e * l, e * l + x * y * e * l, x * x * e * l, y * e / z, x * e / z, -e / (z * z)];
        assert!((got.value - e * l).abs() < 1e-14);
        for (got, want) in got.gradient.iter().zip([y * e * l, x * e * l, e / z]) {
            assert!((got - want).abs() < 1e-14);
        }
        for (got, want) in got.hessian.iter().zip(want) {
            assert!((got - want).abs() < 1e-14);
        }
    }
}
