//! A candidate looked at closely: thresholds by single codes with their confidence sets, the ratio with its interval,
//! and whether what a part of the vehicles, zones or years says holds for the rest.
//!
//! Key idea: the same regression as in the search, on finer bins, and within strata: a zone's month has a rate of its
//! own that is fitted along with every threshold and every ratio, so only where within its month and zone an event fell
//! says anything.
//!
//! A threshold's set holds the edges whose likelihood, at the best of the other threshold and of all else, is near
//! enough to the best; the limit is that of a likelihood with a jump, not of a smooth one. To replicate, thresholds are
//! chosen on one part alone and their ratio is read on the rest.
//!
//! Units: events; natural logarithms. Source: Hansen (2000), Sample splitting and threshold estimation, table 1.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::climb::Scored;
use super::main_effects::{Effects, Fitted, Ratio, Rectangle, Strata, Stratum, Table, fit};

/// Twice the log likelihood that a threshold may lie below the best one in a set of 95 %.
const THRESHOLD_95: f64 = 7.35;
/// Around a set, what lies so far below the best is looked beyond.
const THRESHOLD_NEAR: f64 = 14.0;
/// The same for the ratio: the 95 % point of chi-square with one degree.
const RATIO_95: f64 = 3.841_459;

/// One half of the vehicles, or the other.
pub const HALVES: usize = 2;

/// A pair of channels within its strata, by half of the vehicles. "Not available" is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Close {
    pub rows: usize,
    pub columns: usize,
    pub strata: Vec<CloseStratum>,
    /// Sorted, so that sums over them have one order.
    pub events: Vec<Event>,
}

/// The cells that a stratum has, and what is expected there in either half.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CloseStratum {
    pub cells: Vec<u32>,
    pub expected: [Vec<f64>; HALVES],
}

/// Where an event fell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    pub stratum: u32,
    pub half: u8,
    pub row: u8,
    pub column: u8,
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

impl Close {
    /// What is kept of it: strata and halves.
    pub fn part(&self, keep: &dyn Fn(u32, u8) -> bool) -> Strata {
        let mut observed = vec![0.0; self.rows * self.columns];
        let mut numbers = vec![0.0; self.strata.len()];
        for event in self.events.iter().filter(|event| keep(event.stratum, event.half)) {
            observed[usize::from(event.row) * self.columns + usize::from(event.column)] += 1.0;
            numbers[event.stratum as usize] += 1.0;
        }
        // Strata without events say nothing.
        let with_events = self.strata.iter().zip(0_u32..).zip(&numbers).filter(|(_, events)| **events > 0.0);
        let strata = with_events.map(|((stratum, place), events)| {
            let [first, second] = [0, 1].map(|half| f64::from(keep(place, half)));
            let both = stratum.expected[0].iter().zip(&stratum.expected[1]);
            let expected = both.map(|(one, other)| first * one + second * other).collect();
            Stratum { events: *events, cells: stratum.cells.clone(), expected }
        });
        Strata { rows: self.rows, columns: self.columns, strata: strata.collect(), observed }
    }
}

/// The likeliest thresholds on the sides of `start`, and their sets.
pub fn thresholds(strata: &Strata, effects: &Effects, start: Rectangle) -> Thresholds {
    let mut known: BTreeMap<(usize, usize), f64> = BTreeMap::new();
    let first = fit(strata, effects, Ratio::Free(start), None);
    known.insert((start.row_edge, start.column_edge), first.log_likelihood);
    let mut fresh = vec![(start.row_edge, start.column_edge)];
    loop {
        let most = known.values().fold(f64::NEG_INFINITY, |most, value| f64::max(most, *value));
        // What lies next to something near the best is fitted, until nothing new is.
        let near =
            |place: &(usize, usize)| known.get(place).is_some_and(|value| 2.0 * (most - value) <= THRESHOLD_NEAR);
        let mut next: Vec<(usize, usize)> = (fresh.iter().filter(|place| near(place)))
            .flat_map(|(row, column)| [(row - 1, *column), (row + 1, *column), (*row, column - 1), (*row, column + 1)])
            .filter(|(row, column)| (1..strata.rows).contains(row) && (1..strata.columns).contains(column))
            .filter(|place| !known.contains_key(place))
            .collect();
        next.sort_unstable();
        next.dedup();
        if next.is_empty() {
            break;
        }
        let values: Vec<f64> = (next.par_iter())
            .map(|(row_edge, column_edge)| {
                let one = Rectangle { row_edge: *row_edge, column_edge: *column_edge, ..start };
                let fitted = fit(strata, effects, Ratio::Free(one), Some(&first.parameters));
                if fitted.log_ratio() > 0.0 { fitted.log_likelihood } else { f64::NEG_INFINITY }
            })
            .collect();
        known.extend(next.iter().copied().zip(values));
        fresh = next;
    }
    let (mut best, mut most) = ((start.row_edge, start.column_edge), f64::NEG_INFINITY);
    for (place, value) in &known {
        if *value > most {
            (best, most) = (*place, *value);
        }
    }
    let near: Vec<(usize, usize)> =
        known.iter().filter(|(_, value)| 2.0 * (most - **value) <= THRESHOLD_95).map(|(place, _)| *place).collect();
    let span = |of: fn(&(usize, usize)) -> usize, best: usize| {
        near.iter().map(of).fold((best, best), |(low, high), edge| (low.min(edge), high.max(edge)))
    };
    Thresholds {
        rectangle: Rectangle { row_edge: best.0, column_edge: best.1, ..start },
        row_edges: span(|place| place.0, best.0),
        column_edges: span(|place| place.1, best.1),
    }
}

/// The ratio inside a rectangle, with its interval by the profile likelihood; `None` where nothing is expected on one side of
/// its edges.
pub fn ratio(strata: &Strata, effects: &Effects, rectangle: Rectangle) -> Option<RatioEstimate> {
    let best = fit_ratio(strata, effects, rectangle)?;
    let log_ratio = best.log_ratio();
    let at =
        |log_ratio: f64| fit(strata, effects, Ratio::Held(rectangle, log_ratio), Some(&best.parameters)).log_likelihood;
    let falls_short = |log_ratio: f64| 2.0 * (best.log_likelihood - at(log_ratio)) > RATIO_95;
    let bound = |direction: f64| {
        let (mut near, mut far) = (0.0, 0.1);
        while far < 8.0 && !falls_short(log_ratio + direction * far) {
            (near, far) = (far, 2.0 * far);
        }
        if far >= 8.0 {
            return direction * f64::INFINITY;
        }
        for _ in 0..14 {
            let middle = 0.5 * (near + far);
            if falls_short(log_ratio + direction * middle) { far = middle } else { near = middle }
        }
        log_ratio + direction * 0.5 * (near + far)
    };
    let (lower, upper) = rayon::join(|| bound(-1.0), || bound(1.0));
    Some(RatioEstimate {
        ratio: libm::exp(log_ratio),
        lower: libm::exp(lower),
        upper: libm::exp(upper),
        log_likelihood_ratio: best.log_likelihood - at(0.0),
    })
}

/// The ratio alone.
pub fn ratio_alone(strata: &Strata, effects: &Effects, rectangle: Rectangle) -> Option<f64> {
    fit_ratio(strata, effects, rectangle).map(|fitted| libm::exp(fitted.log_ratio()))
}

fn fit_ratio(strata: &Strata, effects: &Effects, rectangle: Rectangle) -> Option<Fitted> {
    // Something must be expected on either side; that nothing happened outside bounds the ratio from below alone.
    let (mut inside, mut outside) = (0.0, 0.0);
    for stratum in &strata.strata {
        for (cell, expected) in stratum.cells.iter().zip(&stratum.expected) {
            let holds = rectangle.holds(*cell as usize / strata.columns, *cell as usize % strata.columns);
            *(if holds { &mut inside } else { &mut outside }) += expected;
        }
    }
    (inside > 0.0 && outside > 0.0).then(|| fit(strata, effects, Ratio::Free(rectangle), None))
}

/// The likeliest rectangle on the sides of one, looked for among all edges.
pub fn likeliest(strata: &Strata, effects: &Effects, sides: Rectangle) -> Option<Rectangle> {
    let levels = fit(strata, effects, Ratio::None, None);
    // The strata's sum at their rates, without the levels.
    let mut table =
        Table { rows: strata.rows, columns: strata.columns, expected: levels.cells, observed: strata.observed.clone() };
    for (cell, expected) in table.expected.iter_mut().enumerate() {
        let (row, column) = (cell / strata.columns, strata.rows + cell % strata.columns);
        *expected /= libm::exp(levels.parameters[row] + levels.parameters[column]);
    }
    let scored = Scored::new(table, *effects, Some((sides.row_side, sides.column_side)));
    scored.likeliest(strata).map(|(rectangle, _)| rectangle)
}
