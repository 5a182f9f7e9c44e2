//! How uncertain a model's parameters are: a covariance of logarithms, as a fit leaves it.
//!
//! ```toml
//! [covariance]
//! parameters = ["motor_noise.weibull_shape", "motor_noise.running.characteristic_life"]
//! matrix = [[0.0025, 0.0], [0.0, 0.0100]]
//! ```
//!
//! Units: natural logarithms of the parameters; the model's own values are the centre. Source: the large-sample normal
//! law of maximum-likelihood estimates, Meeker & Escobar, Statistical Methods for Reliability Data, section 8.3.

/// Free parameters and their covariance.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariance {
    pub parameters: Vec<Parameter>,
    /// Lower triangle of the Cholesky factor, row by row: row `i` has `i + 1` entries.
    pub cholesky: Vec<Vec<f64>>,
}

/// A parameter that was estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// Of a failure mode, by its place in the model.
    WeibullShape { mode: usize },
    /// Of a mechanism, by its place among all of the model's, modes in order.
    CharacteristicLife { mechanism: usize },
}

/// The Cholesky factor of a symmetric matrix, if it is positive semidefinite. A pivot within rounding of zero counts
/// as zero: a parameter that another one determines.
pub fn cholesky(matrix: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    const ROUNDING: f64 = 1e-12;
    let mut factor: Vec<Vec<f64>> = Vec::with_capacity(matrix.len());
    for (row, values) in matrix.iter().enumerate() {
        let mut own = Vec::with_capacity(row + 1);
        for column in 0..=row {
            let above: &[f64] = if column == row { &own } else { &factor[column] };
            let known: f64 = own.iter().zip(above).map(|(a, b)| a * b).sum();
            let rest = values[column] - known;
            own.push(if column < row {
                let pivot = factor[column][column];
                if pivot > 0.0 { rest / pivot } else { 0.0 }
            } else if rest < -ROUNDING * values[row].abs() {
                return None;
            } else {
                libm::sqrt(rest.max(0.0))
            });
        }
        factor.push(own);
    }
    // A pivot of zero must not hide a covariance that it cannot carry.
    let carried =
        |row: usize, column: usize| -> f64 { factor[row].iter().zip(&factor[column]).map(|(a, b)| a * b).sum() };
    let fits = |row: usize, column: usize| {
        let scale = libm::sqrt(matrix[row][row] * matrix[column][column]);
        (carried(row, column) - matrix[row][column]).abs() <= 1e-9 * scale.max(f64::MIN_POSITIVE)
    };
    (0..matrix.len()).all(|row| (0..row).all(|column| fits(row, column))).then_some(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_multiply_to_the_matrix() {
        let matrix = vec![vec![4.0, 2.0, 0.4], vec![2.0, 5.0, 1.0], vec![0.4, 1.0, 3.0]];
        let factor = cholesky(&matrix).unwrap();
        for row in 0..3 {
            for column in 0..=row {
                let product: f64 = factor[row].iter().zip(&factor[column]).map(|(a, b)| a * b).sum();
                assert!((product - matrix[row][column]).abs() < 1e-14);
            }
        }
        assert_eq!(cholesky(&[]), Some(vec![]));
        assert_eq!(cholesky(&[vec![0.0, 0.0], vec![0.0, 1.0]]), Some(vec![vec![0.0], vec![0.0, 1.0]]));
    }

    #[test]
    fn what_no_variables_have_is_refused() {
        assert_eq!(cholesky(&[vec![-1.0]]), None);
        assert_eq!(cholesky(&[vec![1.0, 2.0], vec![2.0, 1.0]]), None);
        assert_eq!(cholesky(&[vec![0.0, 1.0], vec![1.0, 1.0]]), None);
    }
}
