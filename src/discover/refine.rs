//! A candidate looked at closely: thresholds by single codes with their confidence sets, the ratio with its interval,
//! and what halves of the vehicles, left-out zones and left-out years say of it.
//!
//! Key idea: a zone's month has a rate of its own, which is fitted along: given the main effects and the ratio it is
//! the stratum's events over what they expect there, so only where within its month and zone an event fell says
//! anything. Fits alternate between these rates and the regression of the summed cells, to their joint maximum.
//!
//! A threshold's set holds the edges whose profile likelihood is near enough to the best; the limit is that of a
//! likelihood with a jump, not of a smooth one.
//!
//! Units: events; natural logarithms. Source: Hansen (2000), Sample splitting and threshold estimation, table 1.

use rayon::prelude::*;

use super::main_effects::{Curves, Fitted, Ratio, Rectangle, Table, fit};

/// Twice the log likelihood that a threshold may lie below the best one in a set of 95 %.
const THRESHOLD_95: f64 = 7.35;
/// The same for the ratio: the 95 % point of chi-square with one degree.
const RATIO_95: f64 = 3.841_459;
/// Alternations of a fit at most.
const ROUNDS: usize = 60;
const CONVERGED: f64 = 1e-6;

/// One half of the vehicles, or the other.
pub const HALVES: usize = 2;

/// A pair of channels within its strata. "Not available" is left out.
#[derive(Clone, Debug, Default)]
pub struct Strata {
    pub row_values: Vec<f64>,
    pub column_values: Vec<f64>,
    pub strata: usize,
    /// `[((stratum * HALVES + half) * rows + row) * columns + column]`
    pub expected: Vec<f64>,
    /// Sorted, so that sums over them have one order.
    pub events: Vec<Event>,
}

/// Where an event fell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    pub stratum: u32,
    pub half: u8,
    pub row: u8,
    pub column: u8,
}

/// A fit with the strata's rates.
#[derive(Clone, Debug)]
pub struct Stratified {
    pub fitted: Fitted,
    /// By stratum.
    pub rates: Vec<f64>,
    /// Of the events' places, given how many each stratum had; up to a constant of the data.
    pub log_likelihood: f64,
    /// Cells at the strata's rates.
    pub table: Table,
}

/// Thresholds with their sets: edges, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    pub rectangle: Rectangle,
    pub row_edges: (usize, usize),
    pub column_edges: (usize, usize),
}

/// A ratio with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioEstimate {
    pub ratio: f64,
    pub lower: f64,
    pub upper: f64,
    /// Over a ratio of one.
    pub log_likelihood_ratio: f64,
}

impl Strata {
    fn cells(&self) -> usize {
        self.row_values.len() * self.column_values.len()
    }

    /// What is kept of it: strata and halves.
    pub fn subset(&self, keep: &dyn Fn(u32, u8) -> bool) -> Self {
        let cells = self.cells();
        let mut expected = self.expected.clone();
        for (slab, values) in expected.chunks_mut(cells.max(1)).enumerate() {
            if !keep((slab / HALVES) as u32, (slab % HALVES) as u8) {
                values.fill(0.0);
            }
        }
        let events = self.events.iter().copied().filter(|event| keep(event.stratum, event.half)).collect();
        Self { expected, events, ..self.clone() }
    }

    /// Fits rates, curves and ratio, from the rates given or from the strata's own.
    pub fn fit(&self, ratio: Ratio, start: Option<&Stratified>) -> Stratified {
        let (rows, columns, cells) = (self.row_values.len(), self.column_values.len(), self.cells());
        let mut numbers = vec![0.0; self.strata];
        let mut observed = vec![0.0; cells];
        for event in &self.events {
            numbers[event.stratum as usize] += 1.0;
            observed[usize::from(event.row) * columns + usize::from(event.column)] += 1.0;
        }
        // Both halves together; strata without events say nothing.
        let by_stratum: Vec<Vec<f64>> = (self.expected.chunks(HALVES * cells.max(1)).zip(&numbers))
            .map(|(own, number)| match *number {
                0.0 => Vec::new(),
                _ => own[..cells].iter().zip(&own[cells..]).map(|(one, other)| one + other).collect(),
            })
            .collect();
        let sum = |stratum: usize, factors: Option<&[f64]>| -> f64 {
            let own = &by_stratum[stratum];
            match factors {
                None => own.iter().sum(),
                Some(factors) => own.iter().zip(factors).map(|(expected, factor)| expected * factor).sum(),
            }
        };
        let rate = |stratum: usize, factors: Option<&[f64]>| match numbers[stratum] {
            0.0 => 0.0,
            number => number / sum(stratum, factors).max(1e-300),
        };
        let mut rates: Vec<f64> = match start {
            Some(start) => start.rates.clone(),
            None => (0..self.strata).map(|stratum| rate(stratum, None)).collect(),
        };
        let mut parameters = start.map(|start| start.fitted.parameters);
        let mut table = Table { rows, columns, expected: Vec::new(), observed };
        let mut round = 0;
        loop {
            table.expected = vec![0.0; cells];
            for (own, rate) in by_stratum.iter().zip(&rates).filter(|(_, rate)| **rate > 0.0) {
                for (sum, expected) in table.expected.iter_mut().zip(own) {
                    *sum += rate * expected;
                }
            }
            let curves = Curves::new(&self.row_values, &self.column_values, &table.expected);
            let fitted = fit(&table, &curves, ratio, parameters.as_ref());
            let factors = factors(&table, &fitted, ratio);
            let next: Vec<f64> = (0..self.strata).map(|stratum| rate(stratum, Some(&factors))).collect();
            let change = rates.iter().zip(&next).fold(0.0, |most, (old, new)| match *old > 0.0 {
                true => f64::max(most, (new / old - 1.0).abs()),
                false => most,
            });
            round += 1;
            if change < CONVERGED || round == ROUNDS {
                let event = |event: &Event| {
                    let cell = usize::from(event.row) * columns + usize::from(event.column);
                    libm::log((next[event.stratum as usize] * factors[cell]).max(1e-300))
                };
                let log_likelihood = self.events.iter().map(event).sum();
                return Stratified { fitted, rates: next, log_likelihood, table };
            }
            parameters = Some(fitted.parameters);
            rates = next;
        }
    }

    /// The likeliest thresholds on the same sides as `start`, and their sets.
    pub fn thresholds(&self, start: Rectangle) -> Thresholds {
        let mut best = start;
        let mut profile = Vec::new();
        for _ in 0..4 {
            let held = self.fit(Ratio::Free(best), None);
            profile = profiled(&held, best, &self.row_values, &self.column_values);
            let Some((likeliest, _)) = profile.iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))) else {
                break;
            };
            if *likeliest == best {
                break;
            }
            best = *likeliest;
        }
        let most = profile.iter().fold(f64::NEG_INFINITY, |most, (_, value)| f64::max(most, *value));
        let near = profile.iter().filter(|(_, value)| 2.0 * (most - value) <= THRESHOLD_95).map(|(one, _)| *one);
        let near: Vec<Rectangle> = near.chain([best]).collect();
        let span = |edge: &dyn Fn(&Rectangle) -> usize| {
            let edges = near.iter().map(edge);
            edges.fold((usize::MAX, 0), |(low, high), edge| (low.min(edge), high.max(edge)))
        };
        Thresholds { rectangle: best, row_edges: span(&|one| one.row_edge), column_edges: span(&|one| one.column_edge) }
    }

    /// The ratio inside a rectangle, with its interval by the profile likelihood.
    pub fn ratio(&self, rectangle: Rectangle) -> RatioEstimate {
        let best = self.fit(Ratio::Free(rectangle), None);
        let log_ratio = best.fitted.log_ratio();
        let at = |log_ratio: f64| self.fit(Ratio::Held(rectangle, log_ratio), Some(&best)).log_likelihood;
        let falls_short = |log_ratio: f64| 2.0 * (best.log_likelihood - at(log_ratio)) > RATIO_95;
        let bound = |direction: f64| {
            let mut step = 0.1;
            while step < 8.0 && !falls_short(log_ratio + direction * step) {
                step *= 2.0;
            }
            if step >= 8.0 {
                return direction * f64::INFINITY;
            }
            let (mut near, mut far) = (0.5 * step, step);
            if step <= 0.1 {
                near = 0.0;
            }
            for _ in 0..14 {
                let middle = 0.5 * (near + far);
                if falls_short(log_ratio + direction * middle) { far = middle } else { near = middle }
            }
            log_ratio + direction * 0.5 * (near + far)
        };
        let (lower, upper) = rayon::join(|| bound(-1.0), || bound(1.0));
        RatioEstimate {
            ratio: libm::exp(log_ratio),
            lower: libm::exp(lower),
            upper: libm::exp(upper),
            log_likelihood_ratio: best.log_likelihood - at(0.0),
        }
    }

    /// The ratio alone, of some of it: `None` without events inside and outside.
    pub fn ratio_of(&self, rectangle: Rectangle, keep: &dyn Fn(u32, u8) -> bool) -> Option<f64> {
        let part = self.subset(keep);
        let fitted = part.fit(Ratio::Free(rectangle), None);
        let inside = fitted.table.inside(&fitted.table.observed, &rectangle);
        let expected = fitted.table.inside(&fitted.table.expected, &rectangle);
        let enough = expected > 0.0 && (part.events.len() as f64) > inside;
        enough.then(|| libm::exp(fitted.fitted.log_ratio()))
    }
}

/// What curves and ratio multiply each cell's expected events by.
fn factors(table: &Table, fitted: &Fitted, ratio: Ratio) -> Vec<f64> {
    let mut factors: Vec<f64> = fitted
        .cells
        .iter()
        .zip(&table.expected)
        .map(|(cell, expected)| if *expected > 0.0 { cell / expected } else { 1.0 })
        .collect();
    if let Ratio::Free(one) | Ratio::Held(one, _) = ratio {
        let inside = libm::exp(fitted.log_ratio());
        for row in one.row_side.range(one.row_edge, table.rows) {
            for column in one.column_side.range(one.column_edge, table.columns) {
                factors[row * table.columns + column] *= inside;
            }
        }
    }
    factors
}

/// Log likelihoods of the joint fit with any edges, on the sides of a rectangle, the strata's rates held.
fn profiled(held: &Stratified, sides: Rectangle, row_values: &[f64], column_values: &[f64]) -> Vec<(Rectangle, f64)> {
    let table = &held.table;
    let curves = Curves::new(row_values, column_values, &table.expected);
    let rectangles: Vec<Rectangle> = (1..table.rows)
        .flat_map(|row_edge| (1..table.columns).map(move |column_edge| Rectangle { row_edge, column_edge, ..sides }))
        .collect();
    rectangles
        .into_par_iter()
        .map(|one| (one, fit(table, &curves, Ratio::Free(one), Some(&held.fitted.parameters)).log_likelihood))
        .collect()
}
