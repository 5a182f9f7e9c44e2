//! The statistics against their plain formulas: dense matrices, loops over cells, no tables of sums.

#![allow(clippy::needless_range_loop, reason = "rows and columns index several tables at once")]

use fleetwear::discover::main_effects::{Effects, Levels, Ratio, Rectangle, Side, Strata, Stratum, Table, fit};
use fleetwear::discover::rectangles::{Rectangles, Scores};
use fleetwear::discover::refine::{Close, CloseStratum, Event, likeliest, ratio, ratio_alone, thresholds};

use super::world::Random;

/// A random table with an effect of each channel.
fn table(seed: u32, rows: usize, columns: usize) -> Table {
    let mut random = Random::new(seed);
    let mut table = Table { rows, columns, ..Table::default() };
    for row in 0..rows {
        for column in 0..columns {
            let expected = 20.0 * random.uniform() + if column % 5 == 4 { 0.0 } else { 1.0 };
            let slope = 0.05 * row as f64 - 0.03 * column as f64;
            let inside = row < rows / 3 && column >= columns / 2;
            let mean = expected * libm::exp(slope) * if inside { 2.0 } else { 1.0 };
            table.expected.push(expected);
            table.observed.push((mean + libm::sqrt(mean) * random.normal()).round().max(0.0));
        }
    }
    table
}

/// Bins at squares, knots at a few of them.
fn levels(bins: usize) -> Levels {
    let values: Vec<f64> = (0..bins).map(|bin| (bin * bin) as f64).collect();
    let last = values[bins - 1];
    let knots = if bins <= 6 { values.clone() } else { vec![0.0, 0.1 * last, 0.4 * last, last] };
    Levels::new(&values, &knots)
}

/// A table dealt out to strata, each of which has some of the cells.
fn dealt(table: &Table, strata: usize) -> Strata {
    let mut made: Vec<Stratum> = vec![Stratum::default(); strata];
    let mut random = Random::new(77);
    let mut observed = vec![0.0; table.observed.len()];
    for (cell, (expected, events)) in table.expected.iter().zip(&table.observed).enumerate() {
        for (place, stratum) in made.iter_mut().enumerate() {
            if (cell + place) % 3 > 0 {
                let own = (events * random.uniform()).round();
                stratum.cells.push(cell as u32);
                stratum.expected.push(expected * (1 + place) as f64);
                stratum.events += own;
                observed[cell] += own;
            }
        }
    }
    Strata { rows: table.rows, columns: table.columns, observed, strata: made }
}

/// Cells inside a rectangle, by its definition.
fn is_inside(one: &Rectangle, row: usize, column: usize) -> bool {
    ((row < one.row_edge) == (one.row_side == Side::Below))
        && ((column < one.column_edge) == (one.column_side == Side::Below))
}

/// Solves by elimination with pivots.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|x, y| a[*x][k].abs().total_cmp(&a[*y][k].abs())).unwrap();
        a.swap(k, pivot);
        b.swap(k, pivot);
        for row in 0..n {
            if row != k {
                let factor = a[row][k] / a[k][k];
                let from = a[k].clone();
                a[row].iter_mut().zip(from).for_each(|(to, from)| *to -= factor * from);
                b[row] -= factor * b[k];
            }
        }
    }
    (0..n).map(|k| b[k] / a[k][k]).collect()
}

/// Covariance of a channel's levels by its formula: a curve of hats with spread 3.2 at each knot but the first, and 0.5
/// around it.
fn covariance(values: &[f64], knots: &[f64]) -> Vec<Vec<f64>> {
    let hat = |k: usize, x: f64| {
        let rise = if k > 0 { (x - knots[k - 1]) / (knots[k] - knots[k - 1]) } else { 1.0 };
        let fall = if k + 1 < knots.len() { (knots[k + 1] - x) / (knots[k + 1] - knots[k]) } else { 1.0 };
        f64::min(rise, fall).clamp(0.0, 1.0)
    };
    let shared = |x: f64, y: f64| (1..knots.len()).map(|k| hat(k, x) * hat(k, y)).sum::<f64>();
    let of = |i: usize, j: usize| 10.24 * shared(values[i], values[j]) + if i == j { 0.25 } else { 0.0 };
    (0..values.len()).map(|i| (0..values.len()).map(|j| of(i, j)).collect()).collect()
}

#[test]
fn levels_follow_their_prior() {
    let values = [0.0, 1.0, 4.0, 9.0, 16.0, 25.0, 36.0];
    let knots = [0.0, 3.6, 14.4, 36.0];
    let levels = Levels::new(&values, &knots);
    let covariance = covariance(&values, &knots);
    for row in 0..7 {
        for column in 0..7 {
            let product: f64 = (0..7).map(|k| levels.precision[row * 7 + k] * covariance[k][column]).sum();
            assert!((product - f64::from(u8::from(row == column))).abs() < 1e-9, "{row} {column} {product}");
        }
    }
}

/// The log likelihood with its prior, cell by cell: where in its stratum each event fell.
fn log_likelihood(strata: &Strata, effects: &Effects, inside: Option<&Rectangle>, parameters: &[f64]) -> f64 {
    let (rows, columns) = (strata.rows, strata.columns);
    let line = |cell: usize| {
        let (row, column) = (cell / columns, cell % columns);
        let within = inside.is_some_and(|one| is_inside(one, row, column));
        parameters[row] + parameters[rows + column] + if within { parameters[rows + columns] } else { 0.0 }
    };
    let mut sum: f64 = (0..rows * columns).map(|cell| strata.observed[cell] * line(cell)).sum();
    for stratum in &strata.strata {
        let cells = stratum.cells.iter().zip(&stratum.expected);
        let total: f64 = cells.map(|(cell, expected)| expected * libm::exp(line(*cell as usize))).sum();
        sum -= stratum.events * libm::log(total);
    }
    for (levels, own) in [(effects.rows, &parameters[..rows]), (effects.columns, &parameters[rows..rows + columns])] {
        for i in 0..levels.bins {
            for j in 0..levels.bins {
                sum -= 0.5 * own[i] * levels.precision[i * levels.bins + j] * own[j];
            }
        }
    }
    sum
}

#[test]
fn joint_fits_are_at_the_summit_of_the_likelihood() {
    for (seed, rows, columns, parts) in [(1, 12, 9, 1), (2, 31, 31, 1), (3, 2, 3, 1), (4, 7, 6, 5)] {
        let table = table(seed, rows, columns);
        let strata = if parts == 1 { table.as_strata() } else { dealt(&table, parts) };
        let (of_rows, of_columns) = (levels(rows), levels(columns));
        let effects = Effects { rows: &of_rows, columns: &of_columns };
        for side in [Side::Below, Side::Above] {
            let one = Rectangle { row_side: side, row_edge: 1 + rows / 3, column_side: Side::Above, column_edge: 1 };
            for ratio in [Ratio::None, Ratio::Free(one), Ratio::Held(one, 0.7)] {
                let fitted = fit(&strata, &effects, ratio, None);
                let rectangle = (ratio != Ratio::None).then_some(&one);
                let at = |parameters: &[f64]| log_likelihood(&strata, &effects, rectangle, parameters);
                let top = at(&fitted.parameters);
                assert!(
                    (top - fitted.log_likelihood).abs() < 1e-6 * top.abs().max(1.0),
                    "{top} {}",
                    fitted.log_likelihood
                );
                let free = rows + columns + usize::from(matches!(ratio, Ratio::Free(_)));
                for place in 0..free {
                    for step in [-1e-3, 1e-3] {
                        let mut near = fitted.parameters.clone();
                        near[place] += step;
                        assert!(at(&near) <= top + 1e-9, "seed {seed}, {ratio:?}, parameter {place}");
                    }
                }
                let mut far = fitted.parameters.clone();
                far[0] += 0.3;
                assert!(at(&far) < top - 0.01, "the comparison sees a wrong level");
                // Each stratum is expected to have what it had.
                let (told, had): (f64, f64) = (fitted.cells.iter().sum(), strata.observed.iter().sum());
                assert!((told / had - 1.0).abs() < 1e-9);
            }
        }
    }
}

/// The score of every rectangle from the whole information matrix, the table's rate among its parameters.
#[test]
fn scores_are_those_of_dense_formulas() {
    let (rows, columns) = (9, 8);
    let table = table(9, rows, columns);
    let (of_rows, of_columns) = (levels(rows), levels(columns));
    let effects = Effects { rows: &of_rows, columns: &of_columns };
    let main = fit(&table.as_strata(), &effects, Ratio::None, None);
    let pull = effects.pull(&main.parameters);
    let rectangles = Rectangles::new(&table, &effects, &main.cells, pull.clone(), None);
    let mut room = Scores::default();
    // At other events than the fitted ones, and fewer, so that the main effects' share is told too.
    let mut random = Random::new(3);
    let observed: Vec<f64> = main.cells.iter().map(|cell| (cell * 1.6 * random.uniform()).round()).collect();
    rectangles.score(&observed, &mut room);
    assert_eq!(room.scores.len(), 4 * 8 * 7);
    let rate = observed.iter().sum::<f64>() / main.cells.iter().sum::<f64>();
    let size = 1 + rows + columns;
    let mut looked_at = 0;
    for (place, score) in room.scores.iter().enumerate() {
        let one = rectangles.rectangle(place);
        let mut information = vec![vec![0.0; size]; size];
        let (mut shared, mut excess) = (vec![0.0; size], vec![0.0; size]);
        let (mut inside, mut own) = (0.0, 0.0);
        for row in 0..rows {
            for column in 0..columns {
                let cell = row * columns + column;
                let touched = [0, 1 + row, 1 + rows + column];
                let within = is_inside(&one, row, column);
                let left = observed[cell] - rate * main.cells[cell];
                for k in touched {
                    for l in touched {
                        information[k][l] += main.cells[cell];
                    }
                    excess[k] += left;
                    shared[k] += if within { main.cells[cell] } else { 0.0 };
                }
                if within {
                    inside += main.cells[cell];
                    own += left;
                }
            }
        }
        for (levels, first) in [(&of_rows, 1), (&of_columns, 1 + rows)] {
            for k in 0..levels.bins {
                for l in 0..levels.bins {
                    information[first + k][first + l] += levels.precision[k * levels.bins + l];
                }
            }
        }
        excess[1..].iter_mut().zip(&pull).for_each(|(excess, pull)| *excess -= pull);
        let slopes = solve(information, shared.clone());
        let left: f64 = inside - slopes.iter().zip(&shared).map(|(a, b)| a * b).sum::<f64>();
        let excess = own - slopes.iter().zip(&excess).map(|(a, b)| a * b).sum::<f64>();
        let plain = excess / libm::sqrt(rate * left);
        if *score != 0.0 {
            looked_at += 1;
            assert!((plain - score).abs() < 1e-6, "{one:?}: {score}, plainly {plain}");
        }
    }
    assert!(looked_at > 150 && looked_at == rectangles.looked_at(), "{looked_at}");
}

/// Strata of a rule three times as likely below row 4 from column 5 on, each with a rate of its own, worse where cold
/// and wet days are many.
fn planted(seed: u32) -> (Close, Rectangle) {
    let mut random = Random::new(seed);
    let (rows, columns, strata) = (10, 8, 6);
    let one = Rectangle { row_side: Side::Below, row_edge: 4, column_side: Side::Above, column_edge: 5 };
    let mut made = Close { rows, columns, ..Close::default() };
    for stratum in 0..strata {
        let frailty = libm::exp(random.normal());
        let mut own = CloseStratum { cells: (0..(rows * columns) as u32).collect(), ..CloseStratum::default() };
        for half in 0..2 {
            for row in 0..rows {
                for column in 0..columns {
                    let cold = if is_inside(&one, row, column) { stratum as f64 } else { 1.0 };
                    let expected = cold * 4.0;
                    own.expected[half].push(expected);
                    let rate = expected * frailty * if is_inside(&one, row, column) { 3.0 } else { 1.0 };
                    let number = (rate + libm::sqrt(rate) * random.normal()).round().max(0.0) as usize;
                    let event =
                        Event { stratum: stratum as u32, half: half as u8, row: row as u8, column: column as u8 };
                    made.events.extend(std::iter::repeat_n(event, number));
                }
            }
        }
        made.strata.push(own);
    }
    (made, one)
}

#[test]
fn strata_take_up_what_moves_a_stratum_as_a_whole() {
    let (made, one) = planted(17);
    let (of_rows, of_columns) = (levels(made.rows), levels(made.columns));
    let effects = Effects { rows: &of_rows, columns: &of_columns };
    let strata = made.part(&|_, _| true);
    let estimate = ratio(&strata, &effects, one).unwrap();
    assert!(estimate.lower < 3.0 && estimate.upper > 3.0, "{estimate:?}");
    assert!(estimate.upper / estimate.lower < 1.6 && estimate.log_likelihood_ratio > 50.0, "{estimate:?}");
    // The bounds lie where twice the log likelihood has fallen by 3.84.
    let best = fit(&strata, &effects, Ratio::Free(one), None);
    for bound in [estimate.lower, estimate.upper] {
        let held = fit(&strata, &effects, Ratio::Held(one, libm::log(bound)), None);
        let fallen = 2.0 * (best.log_likelihood - held.log_likelihood);
        assert!((fallen - 3.841).abs() < 0.02, "{fallen}");
    }
    assert_eq!(ratio_alone(&made.part(&|stratum, _| stratum == 99), &effects, one), None);
    // Chosen on one half of the vehicles, thresholds hold on the other.
    for half in [0, 1] {
        let chosen = likeliest(&made.part(&|_, other| other == half), &effects, one).unwrap();
        assert_eq!((chosen.row_edge, chosen.column_edge), (4, 5));
        let other = ratio(&made.part(&|_, other| other != half), &effects, chosen).unwrap();
        assert!(other.lower < 3.0 && other.upper > 3.0 && other.lower > 1.5, "{other:?}");
    }
}

/// The set of a threshold holds every edge whose fit, with the strata's rates estimated anew, is near the best.
#[test]
fn sets_of_thresholds_are_those_of_all_joint_fits() {
    let (mut made, one) = planted(18);
    // Few of the events, so that the sets hold more than one edge.
    made.events = made.events.into_iter().step_by(25).collect();
    let (of_rows, of_columns) = (levels(made.rows), levels(made.columns));
    let effects = Effects { rows: &of_rows, columns: &of_columns };
    let strata = made.part(&|_, _| true);
    let told = thresholds(&strata, &effects, Rectangle { row_edge: 5, column_edge: 4, ..one });
    let mut all = Vec::new();
    for row_edge in 1..made.rows {
        for column_edge in 1..made.columns {
            let at = Rectangle { row_edge, column_edge, ..one };
            let fitted = fit(&strata, &effects, Ratio::Free(at), None);
            if fitted.log_ratio() > 0.0 {
                all.push((fitted.log_likelihood, row_edge, column_edge));
            }
        }
    }
    let best = all.iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    assert_eq!((told.rectangle.row_edge, told.rectangle.column_edge), (best.1, best.2));
    let near: Vec<_> = all.iter().filter(|one| 2.0 * (best.0 - one.0) <= 7.35).collect();
    let span = |of: fn(&&(f64, usize, usize)) -> usize| (near.iter().map(of).min(), near.iter().map(of).max());
    let (rows, columns) = (span(|one| one.1), span(|one| one.2));
    assert_eq!((Some(told.row_edges.0), Some(told.row_edges.1)), rows);
    assert_eq!((Some(told.column_edges.0), Some(told.column_edges.1)), columns);
    assert!(near.len() > 1, "sets of one edge show nothing: {told:?}");
}
