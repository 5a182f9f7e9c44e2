//! Cholesky's factor of a symmetric positive definite matrix of a few dozen rows.
//!
//! Source: Golub & Van Loan, Matrix Computations, section 4.2.

/// `L` with `L Lᵀ` the matrix, row by row, zero above the diagonal.
#[derive(Clone, Debug)]
pub struct Factor {
    size: usize,
    lower: Vec<f64>,
}

impl Factor {
    /// Of a matrix of which only the lower triangle is looked at; `None`: not positive definite.
    pub fn new(matrix: &[f64], size: usize) -> Option<Self> {
        let mut lower = vec![0.0; size * size];
        for row in 0..size {
            for column in 0..=row {
                let (before, from) = (&lower[row * size..][..column], &lower[column * size..][..column]);
                let known: f64 = before.iter().zip(from).map(|(a, b)| a * b).sum();
                let rest = matrix[row * size + column] - known;
                lower[row * size + column] = if row > column {
                    rest / lower[column * size + column]
                } else if rest > 1e-300 {
                    libm::sqrt(rest)
                } else {
                    return None;
                };
            }
        }
        Some(Self { size, lower })
    }

    /// The `x` with `L x = right`.
    pub fn forward(&self, right: &[f64]) -> Vec<f64> {
        let mut x: Vec<f64> = Vec::with_capacity(self.size);
        for (row, right) in right.iter().enumerate().take(self.size) {
            let own = &self.lower[row * self.size..][..=row];
            let known: f64 = own.iter().zip(&x).map(|(a, b)| a * b).sum();
            x.push((right - known) / own[row]);
        }
        x
    }

    /// The `x` with `L Lᵀ x = right`.
    pub fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut x = self.forward(right);
        for row in (0..self.size).rev() {
            x[row] /= self.lower[row * self.size + row];
            let own = x[row];
            for (to, factor) in x[..row].iter_mut().zip(&self.lower[row * self.size..]) {
                *to -= factor * own;
            }
        }
        x
    }

    /// The inverse of the matrix, row by row.
    pub fn inverse(&self) -> Vec<f64> {
        let mut unit = vec![0.0; self.size];
        let mut inverse = Vec::with_capacity(self.size * self.size);
        for row in 0..self.size {
            unit[row] = 1.0;
            inverse.extend(self.solve(&unit));
            unit[row] = 0.0;
        }
        inverse
    }

    /// The inverse of `L`, row by row, zero above the diagonal.
    pub fn inverse_of_lower(&self) -> Vec<f64> {
        let size = self.size;
        let mut inverse = vec![0.0; size * size];
        let mut unit = vec![0.0; size];
        for column in 0..size {
            unit[column] = 1.0;
            for (row, value) in self.forward(&unit).into_iter().enumerate().skip(column) {
                inverse[row * size + column] = value;
            }
            unit[column] = 0.0;
        }
        inverse
    }
}

#[cfg(test)]
mod tests {
    use super::Factor;

    #[test]
    fn solutions_solve() {
        let matrix = [4.0, 0.0, 0.0, 2.0, 5.0, 0.0, -1.0, 0.5, 3.0];
        let factor = Factor::new(&matrix, 3).unwrap();
        let whole = [[4.0, 2.0, -1.0], [2.0, 5.0, 0.5], [-1.0, 0.5, 3.0]];
        let x = factor.solve(&[1.0, -2.0, 7.0]);
        let lower = factor.inverse_of_lower();
        let inverse = factor.inverse();
        for (row, right) in [1.0, -2.0, 7.0].into_iter().enumerate() {
            let told: f64 = whole[row].iter().zip(&x).map(|(a, b)| a * b).sum();
            assert!((told - right).abs() < 1e-12);
            for column in 0..3 {
                let squared: f64 = (0..3).map(|k| lower[k * 3 + row] * lower[k * 3 + column]).sum();
                assert!((squared - inverse[row * 3 + column]).abs() < 1e-12);
            }
        }
        assert!(Factor::new(&[1.0, 0.0, 2.0, 1.0], 2).is_none(), "not positive definite");
    }
}
