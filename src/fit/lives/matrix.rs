//! Small symmetric matrices: a handful of parameters' second derivatives and covariances.

#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    pub size: usize,
    cells: Vec<f64>,
}

impl Matrix {
    pub fn zero(size: usize) -> Self {
        Self { size, cells: vec![0.0; size * size] }
    }

    pub fn get(&self, row: usize, column: usize) -> f64 {
        self.cells[row * self.size + column]
    }

    pub fn set(&mut self, row: usize, column: usize, value: f64) {
        self.cells[row * self.size + column] = value;
    }

    pub fn add_at(&mut self, row: usize, column: usize, value: f64) {
        self.cells[row * self.size + column] += value;
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.cells.iter_mut().zip(&other.cells) {
            *mine += theirs;
        }
    }

    pub fn is_finite(&self) -> bool {
        self.cells.iter().all(|cell| cell.is_finite())
    }

    /// `B' · self · B` for the columns `directions` of B.
    pub fn seen_along(&self, directions: &[Vec<f64>]) -> Self {
        let mut seen = Self::zero(directions.len());
        for (row, left) in directions.iter().enumerate() {
            let image = self.times(left);
            for (column, right) in directions.iter().enumerate() {
                seen.set(row, column, dot(&image, right));
            }
        }
        seen
    }

    pub fn times(&self, vector: &[f64]) -> Vec<f64> {
        (0..self.size).map(|row| dot(&self.cells[row * self.size..][..self.size], vector)).collect()
    }

    /// `left' · self · right`.
    pub fn between(&self, left: &[f64], right: &[f64]) -> f64 {
        dot(left, &self.times(right))
    }

    /// Solves `−self + ridge·diagonal = …` for a right side, where that matrix is positive definite.
    pub fn solve_negative(&self, ridge: f64, right: &[f64]) -> Option<Vec<f64>> {
        let factor = self.negative_factor(ridge)?;
        Some(self.back(&factor, right))
    }

    /// The inverse of `−self`, where that is positive definite.
    pub fn negative_inverse(&self) -> Option<Self> {
        let factor = self.negative_factor(0.0)?;
        let mut inverse = Self::zero(self.size);
        for column in 0..self.size {
            let mut unit = vec![0.0; self.size];
            unit[column] = 1.0;
            for (row, value) in self.back(&factor, &unit).into_iter().enumerate() {
                inverse.set(row, column, value);
            }
        }
        inverse.is_finite().then_some(inverse)
    }

    /// Cholesky's factor of `−self`, its diagonal raised by `ridge` of its own size.
    fn negative_factor(&self, ridge: f64) -> Option<Self> {
        let mut factor = Self::zero(self.size);
        for row in 0..self.size {
            for column in 0..=row {
                let mut sum = -self.get(row, column);
                if row == column {
                    sum += ridge * sum.abs().max(1e-300);
                }
                for inner in 0..column {
                    sum -= factor.get(row, inner) * factor.get(column, inner);
                }
                if row == column {
                    // What rounding leaves of a diagonal is no curvature.
                    if sum.is_nan() || sum <= 1e-14 * self.get(row, row).abs() {
                        return None;
                    }
                    factor.set(row, row, sum.sqrt());
                } else {
                    factor.set(row, column, sum / factor.get(column, column));
                }
            }
        }
        Some(factor)
    }

    fn back(&self, factor: &Self, right: &[f64]) -> Vec<f64> {
        let mut x = right.to_vec();
        for row in 0..self.size {
            for column in 0..row {
                x[row] -= factor.get(row, column) * x[column];
            }
            x[row] /= factor.get(row, row);
        }
        for row in (0..self.size).rev() {
            for below in row + 1..self.size {
                x[row] -= factor.get(below, row) * x[below];
            }
            x[row] /= factor.get(row, row);
        }
        x
    }
}

pub fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_solves_and_refuses_what_is_not_definite() {
        let mut matrix = Matrix::zero(2);
        for (row, column, value) in [(0, 0, -4.0), (0, 1, -1.0), (1, 0, -1.0), (1, 1, -3.0)] {
            matrix.set(row, column, value);
        }
        let x = matrix.solve_negative(0.0, &[1.0, 2.0]).unwrap();
        assert!((x[0] - 1.0 / 11.0).abs() < 1e-15 && (x[1] - 7.0 / 11.0).abs() < 1e-15);
        assert!((matrix.negative_inverse().unwrap().get(0, 1) + 1.0 / 11.0).abs() < 1e-15);
        matrix.set(1, 1, 1.0);
        assert_eq!(matrix.negative_inverse(), None);
    }
}
