//! The upper tail of the chi-square law with whole degrees of freedom, in closed form: sums of a few terms for even ones,
//! the same behind the error function's complement for odd ones.

/// P(χ² > `value`).
pub fn upper_tail(value: f64, degrees: usize) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let half = 0.5 * value;
    let ln_half = libm::log(half);
    // Σ over k below degrees/2 of half^k e^−half / Γ(k + 1), k whole for even degrees and half-odd for odd ones.
    let (mut tail, mut order) = if degrees.is_multiple_of(2) { (0.0, 0.0) } else { (libm::erfc(half.sqrt()), 0.5) };
    while order < 0.5 * degrees as f64 {
        tail += libm::exp(order * ln_half - half - libm::lgamma(order + 1.0));
        order += 1.0;
    }
    tail.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::upper_tail;

    /// 95 % quantiles of any table.
    #[test]
    fn tails_of_tables() {
        let quantiles = [3.841_459, 5.991_465, 7.814_728, 9.487_729, 11.070_498, 18.307_038];
        for (degrees, quantile) in [1, 2, 3, 4, 5, 10].into_iter().zip(quantiles) {
            assert!((upper_tail(quantile, degrees) - 0.05).abs() < 1e-7, "{degrees}");
        }
        assert_eq!(upper_tail(0.0, 3), 1.0);
        assert!(upper_tail(1000.0, 2) > 0.0 && upper_tail(1e9, 7) == 0.0);
    }
}
