//! Every threshold rectangle of a pair scored at once: how far more happened inside than the main effects say, in
//! standard errors.
//!
//! Key idea: what a rectangle adds to a regression that has its main effects is told to first order by its score, the
//! excess inside less what the main effects would take up of it, over the square root of the score's information.
//! Main effects depend on margins alone, so both are sums of a dozen summed-area tables; what does not depend on the
//! observed events is formed once and serves every replicate. This is the bound that decides what is fitted jointly.
//!
//! Units: events; scores in standard errors. Source: Crow (1984) on summed-area tables; Cox & Hinkley, Theoretical
//! Statistics, section 9.3, on scores with nuisance parameters.

use super::main_effects::{CURVES, Curves, HATS, Rectangle, Side, Table};

/// Rectangles in which fewer events are expected than this are not looked at: their scores are far from normal.
const LEAST_EXPECTED: f64 = 5.0;
/// Nor are those of which the main effects leave less information than so many events.
const LEAST_INFORMATION: f64 = 2.0;

const SIDES: [(Side, Side); 4] =
    [(Side::Below, Side::Below), (Side::Below, Side::Above), (Side::Above, Side::Below), (Side::Above, Side::Above)];

/// All rectangles of one pair, ready for any observed events.
#[derive(Clone, Debug)]
pub struct Rectangles {
    rows: usize,
    columns: usize,
    /// Expected events that the scores are taken at.
    cells: Vec<f64>,
    curves: Curves,
    /// By parameter, by rectangle: the share of a main effect's excess that the rectangle's sum contains.
    slopes: Vec<f64>,
    /// By rectangle: one over the score's standard error; 0 where it is not looked at.
    inverse_error: Vec<f64>,
}

/// Room for the scores of a pair.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    areas: Vec<f64>,
    /// By rectangle.
    pub scores: Vec<f64>,
}

impl Rectangles {
    /// `cells`: the main effects' expected events; `inverse`: the inverse of their information there.
    pub fn new(table: &Table, curves: &Curves, cells: &[f64], inverse: &[[f64; CURVES]; CURVES]) -> Self {
        let (rows, columns) = (table.rows, table.columns);
        let count = 4 * rows.saturating_sub(1) * columns.saturating_sub(1);
        let total: f64 = cells.iter().sum();
        // By parameter, by rectangle: the information that the rectangle shares with it.
        let mut shared = vec![0.0; CURVES * count];
        let mut weighted = vec![0.0; cells.len()];
        let mut areas = Vec::new();
        for (parameter, own) in shared.chunks_mut(count.max(1)).enumerate().take(CURVES) {
            for row in 0..rows {
                for column in 0..columns {
                    let weight = match parameter {
                        0 => 1.0,
                        k if k <= HATS => curves.rows[row][k - 1],
                        k => curves.columns[column][k - 1 - HATS],
                    };
                    weighted[row * columns + column] = weight * cells[row * columns + column];
                }
            }
            sum_areas(&weighted, rows, columns, &mut areas);
            each_sum(&areas, rows, columns, own);
        }
        let mut slopes = vec![0.0; CURVES * count];
        let mut inverse_error = vec![0.0; count];
        for rectangle in 0..count {
            let inside = shared[rectangle];
            let mut information = inside;
            for (parameter, row) in inverse.iter().enumerate() {
                let slope: f64 = row.iter().enumerate().map(|(k, value)| value * shared[k * count + rectangle]).sum();
                slopes[parameter * count + rectangle] = slope;
                information -= slope * shared[parameter * count + rectangle];
            }
            let enough = inside >= LEAST_EXPECTED && total - inside >= LEAST_EXPECTED;
            if enough && information >= LEAST_INFORMATION {
                inverse_error[rectangle] = 1.0 / libm::sqrt(information);
            }
        }
        Self { rows, columns, cells: cells.to_vec(), curves: curves.clone(), slopes, inverse_error }
    }

    /// Rectangles that are looked at.
    pub fn looked_at(&self) -> u64 {
        self.inverse_error.iter().filter(|inverse| **inverse > 0.0).count() as u64
    }

    /// Scores of observed events, row by row.
    pub fn score(&self, observed: &[f64], room: &mut Scores) {
        let count = self.inverse_error.len();
        room.scores.clear();
        room.scores.resize(count, 0.0);
        let excess: Vec<f64> = observed.iter().zip(&self.cells).map(|(observed, cell)| observed - cell).collect();
        let mut by_parameter = [0.0; CURVES];
        let mut by_column = vec![0.0; self.columns];
        for (row, hats) in excess.chunks(self.columns).zip(&self.curves.rows) {
            let sum: f64 = row.iter().sum();
            by_parameter[0] += sum;
            for (to, hat) in by_parameter[1..].iter_mut().zip(hats) {
                *to += hat * sum;
            }
            for (to, value) in by_column.iter_mut().zip(row) {
                *to += value;
            }
        }
        for (sum, hats) in by_column.iter().zip(&self.curves.columns) {
            for (to, hat) in by_parameter[1 + HATS..].iter_mut().zip(hats) {
                *to += hat * sum;
            }
        }
        sum_areas(&excess, self.rows, self.columns, &mut room.areas);
        each_sum(&room.areas, self.rows, self.columns, &mut room.scores);
        for (slopes, own) in self.slopes.chunks(count.max(1)).zip(by_parameter) {
            for (score, slope) in room.scores.iter_mut().zip(slopes) {
                *score -= slope * own;
            }
        }
        for (score, inverse) in room.scores.iter_mut().zip(&self.inverse_error) {
            *score *= inverse;
        }
    }

    /// The greatest score of observed events; 0 where nothing is looked at.
    pub fn greatest(&self, observed: &[f64], room: &mut Scores) -> f64 {
        self.score(observed, room);
        room.scores.iter().fold(0.0, |greatest, score| f64::max(greatest, *score))
    }

    /// The rectangle at a place among the scores.
    pub fn rectangle(&self, place: usize) -> Rectangle {
        let (across, down) = (self.columns - 1, self.rows - 1);
        let (row_side, column_side) = SIDES[place / (across * down)];
        let rest = place % (across * down);
        Rectangle { row_side, row_edge: rest / across + 1, column_side, column_edge: rest % across + 1 }
    }
}

/// Sums of values over all rows and columns before each edge, edges from 0 on.
fn sum_areas(values: &[f64], rows: usize, columns: usize, areas: &mut Vec<f64>) {
    areas.clear();
    areas.resize((rows + 1) * (columns + 1), 0.0);
    for row in 0..rows {
        let (before, after) = areas.split_at_mut((row + 1) * (columns + 1));
        let above = &before[row * (columns + 1)..];
        let mut sum = 0.0;
        for (column, value) in values[row * columns..][..columns].iter().enumerate() {
            sum += value;
            after[column + 1] = above[column + 1] + sum;
        }
    }
}

/// Every rectangle's sum.
fn each_sum(areas: &[f64], rows: usize, columns: usize, sums: &mut [f64]) {
    if rows < 2 || columns < 2 {
        return;
    }
    let wide = columns + 1;
    let (across, last) = (columns - 1, rows * wide);
    let quarter = (rows - 1) * across;
    let (below, above) = sums.split_at_mut(2 * quarter);
    let (below_below, below_above) = below.split_at_mut(quarter);
    let (above_below, above_above) = above.split_at_mut(quarter);
    let all = areas[last + columns];
    for row in 1..rows {
        let own = &areas[row * wide..][..wide];
        let (first, whole) = ((row - 1) * across, own[columns]);
        for column in 1..columns {
            let (at, corner, tall) = (first + column - 1, own[column], areas[last + column]);
            below_below[at] = corner;
            below_above[at] = whole - corner;
            above_below[at] = tall - corner;
            above_above[at] = all - whole - tall + corner;
        }
    }
}
