//! What two channels do each on its own, fitted together with one rectangle's ratio or without.
//!
//! Key idea: the expected events of a cell are multiplied by a curve of each channel, piecewise linear in the channel's
//! value on a log scale between a few knots at quantiles, and inside the rectangle by its ratio. Curves take up what the
//! model's own curves have wrong, but no single step, so that little of a rule is lost to them. It is a Poisson
//! regression of a dozen parameters; the cells are an outer product, so a step of Newton's costs little more than
//! looking at them once.
//!
//! Units: expected events; natural logarithms. Source: McCullagh & Nelder, Generalized Linear Models, chapter 6.

#![allow(clippy::needless_range_loop, reason = "rows and columns index several tables at once")]

use std::ops::Range;

/// Knots of a channel's curve.
pub const KNOTS: usize = 6;
/// Hats of a channel: the first knot's is the level's.
pub const HATS: usize = KNOTS - 1;
/// Level, hats of rows, hats of columns.
pub const CURVES: usize = 1 + 2 * HATS;
const WITH_RATIO: usize = CURVES + 1;
/// A curve's coefficient is about this many times nothing to start with: keeps those without events finite.
const PRIOR_PRECISION: f64 = 0.1;
/// Log ratios beyond are as good as infinite.
const MOST_LOG_RATIO: f64 = 12.0;
const STEPS: usize = 40;

/// Expected and observed events of a pair, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub rows: usize,
    pub columns: usize,
    pub expected: Vec<f64>,
    pub observed: Vec<f64>,
}

/// Which side of an edge lies inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Below,
    Above,
}

impl Side {
    pub fn range(self, edge: usize, bins: usize) -> Range<usize> {
        match self {
            Self::Below => 0..edge,
            Self::Above => edge..bins,
        }
    }
}

/// A condition on both channels: an edge is the first bin above the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rectangle {
    pub row_side: Side,
    pub row_edge: usize,
    pub column_side: Side,
    pub column_edge: usize,
}

impl Table {
    /// Sums of a table's values inside a rectangle.
    pub fn inside(&self, values: &[f64], rectangle: &Rectangle) -> f64 {
        let columns = rectangle.column_side.range(rectangle.column_edge, self.columns);
        let rows = rectangle.row_side.range(rectangle.row_edge, self.rows);
        rows.map(|row| values[row * self.columns..][columns.clone()].iter().sum::<f64>()).sum()
    }
}

/// The hats of both channels' bins.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    pub rows: Vec<[f64; HATS]>,
    pub columns: Vec<[f64; HATS]>,
}

impl Curves {
    /// `row_places`, `column_places`: the value that each bin stands for, rising.
    pub fn new(row_places: &[f64], column_places: &[f64], expected: &[f64]) -> Self {
        let columns = column_places.len();
        let row_weights: Vec<f64> = expected.chunks(columns.max(1)).map(|row| row.iter().sum()).collect();
        let column_weights: Vec<f64> =
            (0..columns).map(|column| expected.iter().skip(column).step_by(columns).sum()).collect();
        Self { rows: hats(row_places, &row_weights), columns: hats(column_places, &column_weights) }
    }
}

/// Hats between knots at quantiles of the weight; of few bins, one each.
fn hats(places: &[f64], weights: &[f64]) -> Vec<[f64; HATS]> {
    let mut made = vec![[0.0; HATS]; places.len()];
    if places.len() <= KNOTS {
        for (bin, hats) in made.iter_mut().enumerate().skip(1) {
            hats[bin - 1] = 1.0;
        }
        return made;
    }
    let total: f64 = weights.iter().sum();
    let mut knots = Vec::with_capacity(KNOTS);
    let (mut sum, mut next) = (0.0, 0);
    for (place, weight) in places.iter().zip(weights) {
        sum += weight;
        if sum >= total * next as f64 / HATS as f64 * (1.0 - 1e-9) && next < HATS {
            knots.push(*place);
            while next < HATS && sum >= total * next as f64 / HATS as f64 * (1.0 - 1e-9) {
                next += 1;
            }
        }
    }
    knots[0] = places[0];
    knots.push(places[places.len() - 1]);
    knots.dedup();
    for (place, hats) in places.iter().zip(&mut made) {
        let upper = knots.partition_point(|knot| knot < place).clamp(1, knots.len() - 1);
        let share = (place - knots[upper - 1]) / (knots[upper] - knots[upper - 1]);
        hats[upper - 1] = share;
        if upper >= 2 {
            hats[upper - 2] = 1.0 - share;
        }
    }
    made
}

/// A regression's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// Level, rows' hats, columns' hats, log ratio.
    pub parameters: [f64; WITH_RATIO],
    /// Expected events of the cells, without the ratio.
    pub cells: Vec<f64>,
    /// Up to a constant of the data.
    pub log_likelihood: f64,
    /// Inverse of the information of the curves, the ratio left out.
    pub inverse: [[f64; CURVES]; CURVES],
}

impl Fitted {
    pub fn log_ratio(&self) -> f64 {
        self.parameters[CURVES]
    }
}

/// What is held in a regression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ratio {
    /// No rectangle.
    None,
    Free(Rectangle),
    Held(Rectangle, f64),
}

impl Ratio {
    fn rectangle(self) -> Option<Rectangle> {
        match self {
            Self::None => None,
            Self::Free(rectangle) | Self::Held(rectangle, _) => Some(rectangle),
        }
    }
}

/// Margins of cells: what the regression needs to know of the observed.
struct Margins {
    rows: Vec<f64>,
    columns: Vec<f64>,
    inside: f64,
}

fn margins(table: &Table, values: &[f64], rectangle: Option<&Rectangle>) -> Margins {
    let mut columns = vec![0.0; table.columns];
    let mut rows = Vec::with_capacity(table.rows);
    for row in values.chunks(table.columns) {
        rows.push(row.iter().sum());
        for (sum, value) in columns.iter_mut().zip(row) {
            *sum += value;
        }
    }
    Margins { rows, columns, inside: rectangle.map_or(0.0, |one| table.inside(values, one)) }
}

/// Fits curves and, where it is free, the ratio, from `start` or from nothing.
pub fn fit(table: &Table, curves: &Curves, ratio: Ratio, start: Option<&[f64; WITH_RATIO]>) -> Fitted {
    let rectangle = ratio.rectangle();
    let observed = margins(table, &table.observed, rectangle.as_ref());
    let events: f64 = observed.rows.iter().sum();
    let expected: f64 = table.expected.iter().sum();
    let mut parameters = start.copied().unwrap_or_else(|| {
        let mut parameters = [0.0; WITH_RATIO];
        parameters[0] = libm::log((events + 0.5) / (expected + 1e-12));
        parameters
    });
    parameters[CURVES] = match ratio {
        Ratio::None => 0.0,
        Ratio::Held(_, log_ratio) => log_ratio,
        Ratio::Free(_) => parameters[CURVES],
    };
    let free = if matches!(ratio, Ratio::Free(_)) { WITH_RATIO } else { CURVES };
    let mut at = Cells::new(table, curves, rectangle.as_ref(), &parameters);
    let mut log_likelihood = at.log_likelihood(table, curves, &observed, &parameters);
    for _ in 0..STEPS {
        let (slopes, information) = at.slopes(table, curves, rectangle.as_ref(), &observed, &parameters);
        let Some(factor) = factored(&information, free) else { break };
        let step = solved(&factor, &slopes, free);
        let gain: f64 = step.iter().zip(&slopes).take(free).map(|(step, slope)| step * slope).sum();
        if gain < 1e-10 {
            break;
        }
        let mut share = 1.0;
        loop {
            let mut next = parameters;
            for place in 0..free {
                next[place] += share * step[place].clamp(-3.0, 3.0);
            }
            next[CURVES] = next[CURVES].clamp(-MOST_LOG_RATIO, MOST_LOG_RATIO);
            let there = Cells::new(table, curves, rectangle.as_ref(), &next);
            let value = there.log_likelihood(table, curves, &observed, &next);
            if value > log_likelihood || share < 1e-4 {
                (parameters, at) = (next, there);
                share = if value > log_likelihood { share } else { 0.0 };
                log_likelihood = value;
                break;
            }
            share *= 0.5;
        }
        if share == 0.0 {
            break;
        }
    }
    let (_, information) = at.slopes(table, curves, rectangle.as_ref(), &observed, &parameters);
    let mut inverse = [[0.0; CURVES]; CURVES];
    if let Some(factor) = factored(&information, CURVES) {
        for column in 0..CURVES {
            let mut unit = [0.0; WITH_RATIO];
            unit[column] = 1.0;
            let solved = solved(&factor, &unit, CURVES);
            for row in 0..CURVES {
                inverse[row][column] = solved[row];
            }
        }
    }
    Fitted {
        parameters,
        cells: at.without_ratio(table, rectangle.as_ref(), parameters[CURVES]),
        log_likelihood,
        inverse,
    }
}

/// Inverse of the information of curves at given expected events.
pub fn inverse_information(table: &Table, curves: &Curves, cells: &[f64]) -> [[f64; CURVES]; CURVES] {
    let at = Cells { cells: cells.to_vec() };
    let none = Margins { rows: vec![0.0; table.rows], columns: vec![0.0; table.columns], inside: 0.0 };
    let (_, information) = at.slopes(table, curves, None, &none, &[0.0; WITH_RATIO]);
    let mut inverse = [[0.0; CURVES]; CURVES];
    if let Some(factor) = factored(&information, CURVES) {
        for column in 0..CURVES {
            let mut unit = [0.0; WITH_RATIO];
            unit[column] = 1.0;
            for (row, value) in solved(&factor, &unit, CURVES).iter().enumerate().take(CURVES) {
                inverse[row][column] = *value;
            }
        }
    }
    inverse
}

/// Expected events of the cells at some parameters, the ratio included.
struct Cells {
    cells: Vec<f64>,
}

impl Cells {
    fn new(table: &Table, curves: &Curves, rectangle: Option<&Rectangle>, parameters: &[f64; WITH_RATIO]) -> Self {
        let dot = |hats: &[f64; HATS], first: usize| -> f64 {
            hats.iter().zip(&parameters[first..first + HATS]).map(|(hat, parameter)| hat * parameter).sum()
        };
        let columns: Vec<f64> = curves.columns.iter().map(|hats| libm::exp(dot(hats, 1 + HATS))).collect();
        let ratio = libm::exp(parameters[CURVES]);
        let mut cells = Vec::with_capacity(table.expected.len());
        for (row, expected) in table.expected.chunks(table.columns).enumerate() {
            let own = libm::exp(parameters[0] + dot(&curves.rows[row], 1));
            cells.extend(expected.iter().zip(&columns).map(|(expected, column)| expected * own * column));
            if let Some(one) = rectangle
                && one.row_side.range(one.row_edge, table.rows).contains(&row)
            {
                let first = row * table.columns;
                for column in one.column_side.range(one.column_edge, table.columns) {
                    cells[first + column] *= ratio;
                }
            }
        }
        Self { cells }
    }

    fn without_ratio(mut self, table: &Table, rectangle: Option<&Rectangle>, log_ratio: f64) -> Vec<f64> {
        if let Some(one) = rectangle {
            let ratio = libm::exp(log_ratio);
            for row in one.row_side.range(one.row_edge, table.rows) {
                for column in one.column_side.range(one.column_edge, table.columns) {
                    self.cells[row * table.columns + column] /= ratio;
                }
            }
        }
        self.cells
    }

    fn log_likelihood(
        &self,
        _table: &Table,
        curves: &Curves,
        observed: &Margins,
        parameters: &[f64; WITH_RATIO],
    ) -> f64 {
        let line = |hats: &[[f64; HATS]], sums: &[f64], first: usize| -> f64 {
            let of = |hats: &[f64; HATS]| -> f64 {
                hats.iter().zip(&parameters[first..]).map(|(hat, parameter)| hat * parameter).sum()
            };
            hats.iter().zip(sums).map(|(hats, sum)| if *sum > 0.0 { sum * of(hats) } else { 0.0 }).sum()
        };
        let events: f64 = observed.rows.iter().sum();
        let prior: f64 = parameters[1..CURVES].iter().map(|one| one * one).sum();
        events * parameters[0]
            + line(&curves.rows, &observed.rows, 1)
            + line(&curves.columns, &observed.columns, 1 + HATS)
            + observed.inside * parameters[CURVES]
            - self.cells.iter().sum::<f64>()
            - 0.5 * PRIOR_PRECISION * prior
    }

    /// Slopes of the log likelihood and its information.
    fn slopes(
        &self,
        table: &Table,
        curves: &Curves,
        rectangle: Option<&Rectangle>,
        observed: &Margins,
        parameters: &[f64; WITH_RATIO],
    ) -> ([f64; WITH_RATIO], [[f64; WITH_RATIO]; WITH_RATIO]) {
        let own = margins(table, &self.cells, rectangle);
        let mut slopes = [0.0; WITH_RATIO];
        let mut information = [[0.0; WITH_RATIO]; WITH_RATIO];
        slopes[0] = observed.rows.iter().sum::<f64>() - own.rows.iter().sum::<f64>();
        information[0][0] = own.rows.iter().sum();
        let mut take = |hats: &[[f64; HATS]], own: &[f64], observed: &[f64], first: usize| {
            for ((hats, own), observed) in hats.iter().zip(own).zip(observed) {
                for k in 0..HATS {
                    if hats[k] != 0.0 {
                        slopes[first + k] += hats[k] * (observed - own);
                        information[0][first + k] += hats[k] * own;
                        for l in k..HATS {
                            information[first + k][first + l] += hats[k] * hats[l] * own;
                        }
                    }
                }
            }
        };
        take(&curves.rows, &own.rows, &observed.rows, 1);
        take(&curves.columns, &own.columns, &observed.columns, 1 + HATS);
        for (row, hats) in curves.rows.iter().enumerate() {
            let mut across = [0.0; HATS];
            for (cell, other) in self.cells[row * table.columns..][..table.columns].iter().zip(&curves.columns) {
                for (sum, hat) in across.iter_mut().zip(other) {
                    *sum += cell * hat;
                }
            }
            for k in 0..HATS {
                for l in 0..HATS {
                    information[1 + k][1 + HATS + l] += hats[k] * across[l];
                }
            }
        }
        if let Some(one) = rectangle {
            slopes[CURVES] = observed.inside - own.inside;
            information[CURVES][CURVES] = own.inside;
            information[0][CURVES] = own.inside;
            for row in one.row_side.range(one.row_edge, table.rows) {
                for column in one.column_side.range(one.column_edge, table.columns) {
                    let cell = self.cells[row * table.columns + column];
                    for k in 0..HATS {
                        information[1 + k][CURVES] += cell * curves.rows[row][k];
                        information[1 + HATS + k][CURVES] += cell * curves.columns[column][k];
                    }
                }
            }
        }
        for place in 1..CURVES {
            slopes[place] -= PRIOR_PRECISION * parameters[place];
            information[place][place] += PRIOR_PRECISION;
        }
        for row in 0..WITH_RATIO {
            for column in 0..row {
                information[row][column] = information[column][row];
            }
        }
        (slopes, information)
    }
}

type Square = [[f64; WITH_RATIO]; WITH_RATIO];

/// Cholesky's factor of the first `size` rows; `None`: not positive definite.
fn factored(matrix: &Square, size: usize) -> Option<Square> {
    let mut factor = [[0.0; WITH_RATIO]; WITH_RATIO];
    for row in 0..size {
        for column in 0..=row {
            let before: f64 = (0..column).map(|k| factor[row][k] * factor[column][k]).sum();
            let rest = matrix[row][column] - before;
            if row == column {
                if rest <= 1e-300 || rest.is_nan() {
                    return None;
                }
                factor[row][row] = libm::sqrt(rest);
            } else {
                factor[row][column] = rest / factor[column][column];
            }
        }
    }
    Some(factor)
}

fn solved(factor: &Square, right: &[f64; WITH_RATIO], size: usize) -> [f64; WITH_RATIO] {
    let mut x = [0.0; WITH_RATIO];
    for row in 0..size {
        let before: f64 = (0..row).map(|k| factor[row][k] * x[k]).sum();
        x[row] = (right[row] - before) / factor[row][row];
    }
    for row in (0..size).rev() {
        let after: f64 = (row + 1..size).map(|k| factor[k][row] * x[k]).sum();
        x[row] = (x[row] - after) / factor[row][row];
    }
    x
}
