//! The standard normal law, for everything that is counted, drawn or bounded by it.
//!
//! Units: pure numbers. Source: Abramowitz & Stegun, Handbook of Mathematical Functions, section 26.2, by way of the
//! complementary error function.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

/// P(Z ≤ z).
pub fn distribution(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// The z with P(Z < z) = p, by bisection.
pub fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-10.0, 10.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if 0.5 * libm::erfc(-middle / SQRT_2) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_tables_and_undo_the_distribution() {
        assert!((quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-12);
        for z in [-6.0, -1.0, 0.0, 2.5] {
            assert!((quantile(distribution(z)) - z).abs() < 1e-9, "{z}");
        }
    }
}
