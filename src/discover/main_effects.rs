//! What two channels do each on its own, fitted together with one rectangle's ratio or without.
//!
//! Key idea: the expected events of a cell are multiplied by a level of its row, a level of its column, and inside the
//! rectangle by its ratio. Every bin has a level of its own, so that nothing that one channel does alone (a step, too)
//! is left over for a pair. Levels have a prior, which matters where events are few: a curve between a few knots, of
//! any size, and around it a spread of the single bins. It also decides what levels cannot: "3 times as likely where
//! it is cold and wet" and "3 times where warm and dry, and where cold, and where wet" are the same rates, and the
//! first needs no steps of the channels themselves.
//!
//! Each stratum has a rate of its own; at the summit it is expected to have the events that it had, so rates drop out
//! of the likelihood and only where in its stratum an event fell says anything.
//!
//! Units: expected events; natural logarithms. Source: McCullagh & Nelder, Generalized Linear Models, chapters 6 and
//! 7.2 on the multinomial form; Rasmussen & Williams, Gaussian Processes for Machine Learning, section 2.7.

use std::ops::Range;

use super::factor::Factor;

/// Knots of a channel's curve.
pub const KNOTS: usize = 6;
/// Spread of the curve at a knot: about 25-fold either way.
const CURVE_SPREAD: f64 = 3.2;
/// Spread of a bin's level around the curve. A threefold step is about two of these away from the nearest curve.
const BIN_SPREAD: f64 = 0.5;
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

    pub fn holds(self, bin: usize, edge: usize) -> bool {
        (bin < edge) == (self == Self::Below)
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

impl Rectangle {
    pub fn holds(&self, row: usize, column: usize) -> bool {
        self.row_side.holds(row, self.row_edge) && self.column_side.holds(column, self.column_edge)
    }
}

impl Table {
    /// Sums of a table's values inside a rectangle.
    pub fn inside(&self, values: &[f64], rectangle: &Rectangle) -> f64 {
        let columns = rectangle.column_side.range(rectangle.column_edge, self.columns);
        let rows = rectangle.row_side.range(rectangle.row_edge, self.rows);
        rows.map(|row| values[row * self.columns..][columns.clone()].iter().sum::<f64>()).sum()
    }

    /// The table as the only stratum.
    pub fn as_strata(&self) -> Strata {
        let cells = 0..self.expected.len() as u32;
        let stratum =
            Stratum { events: self.observed.iter().sum(), cells: cells.collect(), expected: self.expected.clone() };
        Strata { rows: self.rows, columns: self.columns, observed: self.observed.clone(), strata: vec![stratum] }
    }
}

/// A pair's cells within strata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strata {
    pub rows: usize,
    pub columns: usize,
    /// Of all strata, row by row.
    pub observed: Vec<f64>,
    pub strata: Vec<Stratum>,
}

/// One stratum: the cells that it has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stratum {
    pub events: f64,
    /// `row * columns + column`.
    pub cells: Vec<u32>,
    pub expected: Vec<f64>,
}

/// The prior of a channel's levels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    pub bins: usize,
    /// Inverse of their covariance, row by row.
    pub precision: Vec<f64>,
}

impl Levels {
    /// `values`: what each bin stands for, rising; `knots`: where the curve bends, at most [`KNOTS`].
    pub fn new(values: &[f64], knots: &[f64]) -> Self {
        let bins = values.len();
        let hats = hats(values, knots);
        let mut covariance = vec![0.0; bins * bins];
        for row in 0..bins {
            for column in 0..bins {
                let shared: f64 = hats[row].iter().zip(&hats[column]).map(|(a, b)| a * b).sum();
                covariance[row * bins + column] = CURVE_SPREAD * CURVE_SPREAD * shared;
            }
            covariance[row * bins + row] += BIN_SPREAD * BIN_SPREAD;
        }
        // Positive definite: a diagonal above zero has been added to a sum of squares.
        let precision = Factor::new(&covariance, bins).map(|factor| factor.inverse()).unwrap_or_default();
        Self { bins, precision }
    }

    /// The prior's pull on levels: precision times levels.
    fn pull(&self, levels: &[f64]) -> Vec<f64> {
        self.precision.chunks(self.bins.max(1)).map(|row| row.iter().zip(levels).map(|(a, b)| a * b).sum()).collect()
    }
}

/// Hats between knots, that of the first knot left out.
fn hats(values: &[f64], knots: &[f64]) -> Vec<[f64; KNOTS - 1]> {
    let mut made = vec![[0.0; KNOTS - 1]; values.len()];
    if knots.len() < 2 {
        return made;
    }
    for (value, hats) in values.iter().zip(&mut made) {
        let upper = knots.partition_point(|knot| knot < value).clamp(1, knots.len() - 1);
        let share = ((value - knots[upper - 1]) / (knots[upper] - knots[upper - 1])).clamp(0.0, 1.0);
        hats[upper - 1] = share;
        if upper >= 2 {
            hats[upper - 2] = 1.0 - share;
        }
    }
    made
}

/// The priors of a pair's channels.
#[derive(Clone, Copy, Debug)]
pub struct Effects<'a> {
    pub rows: &'a Levels,
    pub columns: &'a Levels,
}

impl Effects<'_> {
    pub fn size(&self) -> usize {
        self.rows.bins + self.columns.bins
    }

    /// Precision times levels of rows and columns.
    pub fn pull(&self, levels: &[f64]) -> Vec<f64> {
        let (rows, columns) = levels.split_at(self.rows.bins);
        [self.rows.pull(rows), self.columns.pull(&columns[..self.columns.bins])].concat()
    }

    /// Adds the priors' precision to an information of `size` rows.
    pub fn add_precision(&self, information: &mut [f64], size: usize) {
        for (levels, first) in [(self.rows, 0), (self.columns, self.rows.bins)] {
            for (row, own) in levels.precision.chunks(levels.bins.max(1)).enumerate() {
                let to = &mut information[(first + row) * size + first..][..levels.bins];
                to.iter_mut().zip(own).for_each(|(to, own)| *to += own);
            }
        }
    }
}

/// A regression's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// Log levels of rows, log levels of columns, log ratio.
    pub parameters: Vec<f64>,
    /// Expected events of the cells, in all strata at their rates.
    pub cells: Vec<f64>,
    /// With that of the prior, up to a constant of the data.
    pub log_likelihood: f64,
}

impl Fitted {
    pub fn log_ratio(&self) -> f64 {
        self.parameters[self.parameters.len() - 1]
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

/// Fits levels and, where it is free, the ratio, from `start` or from nothing.
pub fn fit(strata: &Strata, effects: &Effects, ratio: Ratio, start: Option<&[f64]>) -> Fitted {
    let levels = effects.size();
    let regression = Regression { strata, effects, rectangle: ratio.rectangle() };
    let mut parameters = start.map_or_else(|| vec![0.0; levels + 1], <[f64]>::to_vec);
    parameters[levels] = match ratio {
        Ratio::None => 0.0,
        Ratio::Held(_, log_ratio) => log_ratio,
        Ratio::Free(_) => parameters[levels],
    };
    let free = if matches!(ratio, Ratio::Free(_)) { levels + 1 } else { levels };
    let mut factors = regression.factors(&parameters);
    let mut log_likelihood = regression.log_likelihood(&parameters, &factors);
    for _ in 0..STEPS {
        let (slopes, information) = regression.slopes(&parameters, &factors, free);
        let Some(factor) = Factor::new(&information, free) else { break };
        let step = factor.solve(&slopes);
        let gain: f64 = step.iter().zip(&slopes).map(|(step, slope)| step * slope).sum();
        if gain < 1e-9 {
            break;
        }
        let mut share = 1.0;
        let better = loop {
            let mut next = parameters.clone();
            for (to, step) in next.iter_mut().zip(&step) {
                *to += share * step.clamp(-3.0, 3.0);
            }
            next[levels] = next[levels].clamp(-MOST_LOG_RATIO, MOST_LOG_RATIO);
            let there = regression.factors(&next);
            let value = regression.log_likelihood(&next, &there);
            if value > log_likelihood {
                (parameters, factors, log_likelihood) = (next, there, value);
                break true;
            }
            share *= 0.5;
            if share < 1e-4 {
                break false;
            }
        };
        if !better {
            break;
        }
    }
    Fitted { cells: regression.cells(&factors), parameters, log_likelihood }
}

/// Strata with their priors and one rectangle.
struct Regression<'a> {
    strata: &'a Strata,
    effects: &'a Effects<'a>,
    rectangle: Option<Rectangle>,
}

impl Regression<'_> {
    /// What each cell's expected events are multiplied by, besides its stratum's rate.
    fn factors(&self, parameters: &[f64]) -> Vec<f64> {
        let (rows, columns) = (self.strata.rows, self.strata.columns);
        let of_columns: Vec<f64> = parameters[rows..rows + columns].iter().map(|level| libm::exp(*level)).collect();
        let mut factors = Vec::with_capacity(rows * columns);
        for level in &parameters[..rows] {
            let own = libm::exp(*level);
            factors.extend(of_columns.iter().map(|column| own * column));
        }
        if let Some(one) = self.rectangle {
            let ratio = libm::exp(parameters[rows + columns]);
            for row in one.row_side.range(one.row_edge, rows) {
                let inside = one.column_side.range(one.column_edge, columns);
                factors[row * columns..][inside].iter_mut().for_each(|factor| *factor *= ratio);
            }
        }
        factors
    }

    fn log_likelihood(&self, parameters: &[f64], factors: &[f64]) -> f64 {
        let observed = self.strata.observed.iter().zip(factors).filter(|(observed, _)| **observed > 0.0);
        let places: f64 = observed.map(|(observed, factor)| observed * libm::log(*factor)).sum();
        let with_events = self.strata.strata.iter().filter(|stratum| stratum.events > 0.0);
        let totals: f64 =
            with_events.map(|stratum| stratum.events * libm::log(stratum.total(factors).max(1e-300))).sum();
        let pull = self.effects.pull(parameters);
        let prior: f64 = pull.iter().zip(parameters).map(|(pull, level)| pull * level).sum();
        places - totals - 0.5 * prior
    }

    /// Expected events at the strata's rates.
    fn cells(&self, factors: &[f64]) -> Vec<f64> {
        let mut cells = vec![0.0; factors.len()];
        for stratum in self.strata.strata.iter().filter(|stratum| stratum.events > 0.0) {
            let rate = stratum.events / stratum.total(factors).max(1e-300);
            for (cell, expected) in stratum.cells.iter().zip(&stratum.expected) {
                cells[*cell as usize] += rate * expected * factors[*cell as usize];
            }
        }
        cells
    }

    /// Slopes of the log likelihood and its information, of the first `free` parameters.
    fn slopes(&self, parameters: &[f64], factors: &[f64], free: usize) -> (Vec<f64>, Vec<f64>) {
        let (rows, columns) = (self.strata.rows, self.strata.columns);
        let levels = rows + columns;
        let cells = self.cells(factors);
        let mut slopes = vec![0.0; free];
        let mut information = vec![0.0; free * free];
        for row in 0..rows {
            for column in 0..columns {
                let (cell, observed) = (cells[row * columns + column], self.strata.observed[row * columns + column]);
                slopes[row] += observed - cell;
                slopes[rows + column] += observed - cell;
                information[row * free + row] += cell;
                information[(rows + column) * (free + 1)] += cell;
                information[(rows + column) * free + row] += cell;
                if free > levels && self.rectangle.is_some_and(|one| one.holds(row, column)) {
                    slopes[levels] += observed - cell;
                    information[levels * free + row] += cell;
                    information[levels * free + rows + column] += cell;
                    information[levels * free + levels] += cell;
                }
            }
        }
        let mut own = vec![0.0; free];
        let mut touched = Vec::new();
        for stratum in self.strata.strata.iter().filter(|stratum| stratum.events > 0.0) {
            let rate = stratum.events / stratum.total(factors).max(1e-300);
            for (cell, expected) in stratum.cells.iter().zip(&stratum.expected) {
                let (row, column) = (*cell as usize / columns, *cell as usize % columns);
                let value = rate * expected * factors[*cell as usize];
                let inside = free > levels && self.rectangle.is_some_and(|one| one.holds(row, column));
                for place in [row, rows + column].into_iter().chain(inside.then_some(levels)) {
                    if own[place] == 0.0 && value > 0.0 {
                        touched.push(place);
                    }
                    own[place] += value;
                }
            }
            // Lower triangle only.
            touched.sort_unstable();
            for (at, row) in touched.iter().enumerate() {
                let share = own[*row] / stratum.events;
                for column in &touched[..=at] {
                    information[row * free + column] -= share * own[*column];
                }
            }
            touched.drain(..).for_each(|place| own[place] = 0.0);
        }
        for (slope, pull) in slopes.iter_mut().zip(self.effects.pull(parameters)) {
            *slope -= pull;
        }
        self.effects.add_precision(&mut information, free);
        (slopes, information)
    }
}

impl Stratum {
    /// Its expected events at factors of the cells.
    pub fn total(&self, factors: &[f64]) -> f64 {
        self.cells.iter().zip(&self.expected).map(|(cell, expected)| expected * factors[*cell as usize]).sum()
    }
}
