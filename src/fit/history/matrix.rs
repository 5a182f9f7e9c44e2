//! Small symmetric matrices: eigenvalues, inverses, directions in which nothing is known.
//!
//! Key idea: Jacobi's rotations give all eigenvalues and directions of a matrix of a dozen rows to full precision in
//! any order of magnitude once it is scaled to a unit diagonal. An eigenvalue below [`FLAT`] is a direction that the
//! data say nothing of; an inverse leaves it out.
//!
//! Source: Golub & Van Loan, Matrix Computations, section 8.5.

#![allow(clippy::needless_range_loop, reason = "rows and columns index several matrices at once")]

/// Below this, an eigenvalue of a matrix of unit diagonal is nothing.
pub const FLAT: f64 = 1e-8;
const SWEEPS: usize = 60;

pub type Matrix = Vec<Vec<f64>>;

/// A matrix scaled to a unit diagonal, taken apart.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Roots of the diagonal.
    pub scale: Vec<f64>,
    pub values: Vec<f64>,
    /// `directions[k]` belongs to `values[k]`.
    pub directions: Matrix,
}

pub fn zeros(size: usize) -> Matrix {
    vec![vec![0.0; size]; size]
}

/// Takes a symmetric matrix apart. Rows whose diagonal is not above zero count as nothing.
pub fn parts(matrix: &Matrix) -> Parts {
    let size = matrix.len();
    let scale: Vec<f64> = (0..size).map(|row| libm::sqrt(matrix[row][row].max(0.0))).collect();
    let share = |row: usize, column: usize| {
        let scale = scale[row] * scale[column];
        if scale > 0.0 && scale.is_finite() { matrix[row][column] / scale } else { 0.0 }
    };
    let mut a: Matrix = (0..size).map(|row| (0..size).map(|column| share(row, column)).collect()).collect();
    let mut directions = zeros(size);
    (0..size).for_each(|place| directions[place][place] = 1.0);
    for _ in 0..SWEEPS {
        let off: f64 =
            (0..size).flat_map(|row| (0..row).map(move |column| (row, column))).map(|(r, c)| a[r][c] * a[r][c]).sum();
        if off < 1e-30 {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                rotate(&mut a, &mut directions, p, q);
            }
        }
    }
    Parts { scale, values: (0..size).map(|place| a[place][place]).collect(), directions }
}

fn rotate(a: &mut Matrix, directions: &mut Matrix, p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = theta.signum() / (theta.abs() + libm::sqrt(theta * theta + 1.0));
    let t = if theta == 0.0 { 1.0 } else { t };
    let c = 1.0 / libm::sqrt(t * t + 1.0);
    let s = t * c;
    for k in 0..a.len() {
        let (akp, akq) = (a[k][p], a[k][q]);
        a[k][p] = c * akp - s * akq;
        a[k][q] = s * akp + c * akq;
    }
    for k in 0..a.len() {
        let (apk, aqk) = (a[p][k], a[q][k]);
        a[p][k] = c * apk - s * aqk;
        a[q][k] = s * apk + c * aqk;
    }
    for k in 0..a.len() {
        let (dp, dq) = (directions[p][k], directions[q][k]);
        directions[p][k] = c * dp - s * dq;
        directions[q][k] = s * dp + c * dq;
    }
}

impl Parts {
    /// Directions of nothing, on the scale of the unit diagonal.
    pub fn flat(&self) -> impl Iterator<Item = &Vec<f64>> {
        self.values.iter().zip(&self.directions).filter(|(value, _)| **value <= FLAT).map(|(_, direction)| direction)
    }

    /// The inverse, but for the directions of nothing.
    pub fn inverse(&self) -> Matrix {
        let size = self.scale.len();
        let mut inverse = zeros(size);
        for (value, direction) in self.values.iter().zip(&self.directions).filter(|(value, _)| **value > FLAT) {
            for row in 0..size {
                for column in 0..size {
                    let scale = self.scale[row] * self.scale[column];
                    if scale > 0.0 {
                        inverse[row][column] += direction[row] * direction[column] / value / scale;
                    }
                }
            }
        }
        inverse
    }

    /// A matrix `R` with `R Rᵀ` the inverse: what turns numbers of unit spread into steps of the parameters.
    pub fn root_of_inverse(&self) -> Matrix {
        let size = self.scale.len();
        let mut root = zeros(size);
        for (column, (value, direction)) in self.values.iter().zip(&self.directions).enumerate() {
            if *value <= FLAT {
                continue;
            }
            for row in 0..size {
                if self.scale[row] > 0.0 {
                    root[row][column] = direction[row] / libm::sqrt(*value) / self.scale[row];
                }
            }
        }
        root
    }
}

pub fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let columns = b.first().map_or(0, Vec::len);
    a.iter()
        .map(|row| (0..columns).map(|column| row.iter().zip(b).map(|(x, other)| x * other[column]).sum()).collect())
        .collect()
}

pub fn times(a: &Matrix, x: &[f64]) -> Vec<f64> {
    a.iter().map(|row| row.iter().zip(x).map(|(a, x)| a * x).sum()).collect()
}

/// A matrix with its transpose's mean: rounding apart, it was symmetric.
pub fn symmetric(a: &Matrix) -> Matrix {
    (0..a.len()).map(|row| (0..a.len()).map(|column| 0.5 * (a[row][column] + a[column][row])).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_inverts_whatever_the_scales() {
        let a = vec![vec![4.0e6, 2.0e3, 0.4], vec![2.0e3, 5.0, 1.0e-3], vec![0.4, 1.0e-3, 3.0e-6]];
        let unit = product(&a, &parts(&a).inverse());
        for (row, values) in unit.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                let wanted = f64::from(u8::from(row == column));
                let scale = libm::sqrt(a[row][row] / a[column][column]);
                assert!((value - wanted).abs() < 1e-11 * scale.max(1.0), "{unit:?}");
            }
        }
        let root = parts(&a).root_of_inverse();
        let transposed: Matrix = (0..3).map(|row| (0..3).map(|column| root[column][row]).collect()).collect();
        let (again, inverse) = (product(&root, &transposed), parts(&a).inverse());
        for (i, j) in (0..3).flat_map(|i| (0..3).map(move |j| (i, j))) {
            // Beside the spreads of both: what is hardly correlated is a difference of much larger numbers.
            let scale = libm::sqrt(inverse[i][i] * inverse[j][j]);
            assert!((again[i][j] - inverse[i][j]).abs() < 1e-12 * scale, "{again:?} {inverse:?}");
        }
    }

    #[test]
    fn a_flat_direction_is_found_and_left_out() {
        // The second is a multiple of the first; the third stands alone; the fourth says nothing.
        let a = vec![vec![1.0, 2.0, 0.0, 0.0], vec![2.0, 4.0, 0.0, 0.0], vec![0.0, 0.0, 9.0, 0.0], vec![0.0; 4]];
        let taken = parts(&a);
        let flat: Vec<&Vec<f64>> = taken.flat().collect();
        assert_eq!(flat.len(), 2);
        assert!(flat.iter().any(|one| one[0].abs() > 0.7 && one[1].abs() > 0.7 && one[2].abs() < 1e-12));
        assert!((taken.inverse()[2][2] - 1.0 / 9.0).abs() < 1e-15);
    }
}
