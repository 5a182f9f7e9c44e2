//! Every threshold rectangle of a pair scored at once: how far more happened inside than the main effects say, in
//! standard errors.
//!
//! Key idea: what a rectangle adds to a regression that has its main effects is told to first order by its score, the
//! excess inside that is left after the levels of rows and columns have taken up what they can, over the square root
//! of the score's information. Levels that follow other observed events are one step of the regression away, and the
//! step's matrix depends on the expected events alone; so one table of what is left, summed up over areas, gives all
//! scores, and what does not depend on the observed events is formed once and serves every replicate. This is the bound
//! that decides what is fitted jointly.
//!
//! Units: events; scores in standard errors. Source: Crow (1984) on summed-area tables; Cox & Hinkley, Theoretical
//! Statistics, section 9.3, on scores with nuisance parameters.

use super::factor::Factor;
use super::main_effects::{Effects, Rectangle, Side, Table};

/// Rectangles in which fewer events are expected than this are not looked at: their scores are far from normal.
const LEAST_EXPECTED: f64 = 5.0;
/// Nor are those of which the main effects leave less information than so many events.
const LEAST_INFORMATION: f64 = 1.0;

const SIDES: [(Side, Side); 4] =
    [(Side::Below, Side::Below), (Side::Below, Side::Above), (Side::Above, Side::Below), (Side::Above, Side::Above)];

/// All rectangles of one pair, ready for any observed events.
#[derive(Clone, Debug)]
pub struct Rectangles {
    rows: usize,
    columns: usize,
    /// Expected events that the scores are taken at, and their sum.
    cells: Vec<f64>,
    total: f64,
    /// Expected events of rows, then of columns.
    margins: Vec<f64>,
    /// How strongly the prior pulls the levels back at these cells.
    pull: Vec<f64>,
    /// Information of the levels, the table's own rate apart; `None`: no table.
    levels: Option<Factor>,
    /// By rectangle: one over the score's standard error; 0 where it is not looked at.
    inverse_error: Vec<f64>,
}

/// Room for the scores of a pair.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    areas: Vec<f64>,
    left: Vec<f64>,
    /// By rectangle.
    pub scores: Vec<f64>,
}

impl Rectangles {
    /// `cells`: expected events at some levels; `pull`: the prior's precision times these levels.
    /// `sides`: those that are looked at; `None`: all.
    pub fn new(table: &Table, effects: &Effects, cells: &[f64], pull: Vec<f64>, sides: Option<(Side, Side)>) -> Self {
        let (rows, columns) = (table.rows, table.columns);
        let size = rows + columns;
        let total: f64 = cells.iter().sum();
        let margins = margins(cells, rows, columns);
        let mut information = vec![0.0; size * size];
        for (place, own) in margins.iter().enumerate() {
            information[place * (size + 1)] = *own;
        }
        for (cell, value) in cells.iter().enumerate() {
            information[(rows + cell % columns) * size + cell / columns] = *value;
        }
        if total > 0.0 {
            for row in 0..size {
                for column in 0..=row {
                    information[row * size + column] -= margins[row] * margins[column] / total;
                }
            }
        }
        effects.add_precision(&mut information, size);
        let levels = Factor::new(&information, size).filter(|_| total > 0.0);
        let mut made =
            Self { rows, columns, cells: cells.to_vec(), total, margins, pull, levels, inverse_error: Vec::new() };
        made.inverse_error = made.inverse_errors(sides);
        made
    }

    fn inverse_errors(&self, sides: Option<(Side, Side)>) -> Vec<f64> {
        let (rows, columns, size) = (self.rows, self.columns, self.rows + self.columns);
        let count = 4 * rows.saturating_sub(1) * columns.saturating_sub(1);
        let mut inverse_error = vec![0.0; count];
        let Some(levels) = &self.levels else { return inverse_error };
        let lower = levels.inverse_of_lower();
        let mut areas = Vec::new();
        sum_areas(&self.cells, rows, columns, &mut areas);
        let area = |row: usize, column: usize| areas[row * (columns + 1) + column];
        let mut shared = vec![0.0; size];
        for (place, inverse) in inverse_error.iter_mut().enumerate() {
            let one = self.rectangle(place);
            if sides.is_some_and(|sides| sides != (one.row_side, one.column_side)) {
                continue;
            }
            let (down, across) =
                (one.row_side.range(one.row_edge, rows), one.column_side.range(one.column_edge, columns));
            let sum = |from: usize, to: usize, left: usize, right: usize| {
                area(to, right) - area(from, right) - area(to, left) + area(from, left)
            };
            let inside = sum(down.start, down.end, across.start, across.end);
            let variance = inside * (1.0 - inside / self.total);
            if inside < LEAST_EXPECTED || self.total - inside < LEAST_EXPECTED || variance < LEAST_INFORMATION {
                continue;
            }
            for (to, margin) in shared.iter_mut().zip(&self.margins) {
                *to = -margin * inside / self.total;
            }
            for row in down.clone() {
                shared[row] += sum(row, row + 1, across.start, across.end);
            }
            for column in across.clone() {
                shared[rows + column] += sum(down.start, down.end, column, column + 1);
            }
            let taken_up: f64 = (lower.chunks(size).enumerate())
                .map(|(row, own)| {
                    let value: f64 = own[..=row].iter().zip(&shared).map(|(a, b)| a * b).sum();
                    value * value
                })
                .sum();
            if variance - taken_up >= LEAST_INFORMATION {
                *inverse = 1.0 / libm::sqrt(variance - taken_up);
            }
        }
        inverse_error
    }

    /// Rectangles that are looked at.
    pub fn looked_at(&self) -> u64 {
        self.inverse_error.iter().filter(|inverse| **inverse > 0.0).count() as u64
    }

    /// Scores of observed events, row by row.
    pub fn score(&self, observed: &[f64], room: &mut Scores) {
        room.scores.clear();
        room.scores.resize(self.inverse_error.len(), 0.0);
        let Some(levels) = &self.levels else { return };
        // The table's own rate is that of its events.
        let rate = observed.iter().sum::<f64>() / self.total;
        room.left.clear();
        room.left.extend(observed.iter().zip(&self.cells).map(|(observed, cell)| observed - rate * cell));
        let mut slopes = margins(&room.left, self.rows, self.columns);
        slopes.iter_mut().zip(&self.pull).for_each(|(slope, pull)| *slope -= pull);
        let step = levels.solve(&slopes);
        let mean = step.iter().zip(&self.margins).map(|(step, margin)| step * margin).sum::<f64>() / self.total;
        let (of_rows, of_columns) = step.split_at(self.rows);
        for (row, (left, cells)) in room.left.chunks_mut(self.columns).zip(self.cells.chunks(self.columns)).enumerate()
        {
            let own = of_rows[row] - mean;
            for ((left, cell), column) in left.iter_mut().zip(cells).zip(of_columns) {
                *left -= cell * (own + column);
            }
        }
        sum_areas(&room.left, self.rows, self.columns, &mut room.areas);
        each_sum(&room.areas, self.rows, self.columns, &mut room.scores);
        let spread = 1.0 / libm::sqrt(rate.max(1e-300));
        for (score, inverse) in room.scores.iter_mut().zip(&self.inverse_error) {
            *score *= inverse * spread;
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

/// Sums of rows, then of columns.
fn margins(values: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    let mut sums = vec![0.0; rows + columns];
    let (of_rows, of_columns) = sums.split_at_mut(rows);
    for (sum, row) in of_rows.iter_mut().zip(values.chunks(columns.max(1))) {
        *sum = row.iter().sum();
        of_columns.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    sums
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
