//! The statistics against their plain formulas: dense matrices, loops over cells, no tables of sums.

#![allow(clippy::needless_range_loop, reason = "rows and columns index several tables at once")]

use fleetwear::discover::main_effects::{CURVES, Curves, HATS, Ratio, Rectangle, Side, Table, fit};
use fleetwear::discover::rectangles::{Rectangles, Scores};
use fleetwear::discover::refine::{Event, Strata};

use super::world::Random;

/// A random table with an effect of each channel.
fn table(seed: u32, rows: usize, columns: usize) -> (Table, Curves) {
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
    let places = |count: usize| (0..count).map(|bin| (bin * bin) as f64).collect::<Vec<f64>>();
    let curves = Curves::new(&places(rows), &places(columns), &table.expected);
    (table, curves)
}

/// The regressors of a cell.
fn regressors(curves: &Curves, row: usize, column: usize) -> Vec<f64> {
    let mut x = vec![1.0];
    x.extend(curves.rows[row]);
    x.extend(curves.columns[column]);
    x
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

/// The log likelihood with its weak prior, cell by cell.
fn log_likelihood(table: &Table, curves: &Curves, inside: Option<&Rectangle>, parameters: &[f64]) -> f64 {
    let mut sum = -0.05 * parameters[1..CURVES].iter().map(|one| one * one).sum::<f64>();
    for row in 0..table.rows {
        for column in 0..table.columns {
            let x = regressors(curves, row, column);
            let mut line: f64 = x.iter().zip(parameters).map(|(x, parameter)| x * parameter).sum();
            if inside.is_some_and(|one| is_inside(one, row, column)) {
                line += parameters[CURVES];
            }
            let cell = row * table.columns + column;
            sum += table.observed[cell] * line - table.expected[cell] * libm::exp(line);
        }
    }
    sum
}

#[test]
fn joint_fits_are_at_the_summit_of_the_likelihood() {
    for (seed, rows, columns) in [(1, 12, 9), (2, 31, 31), (3, 2, 3), (4, 7, 6)] {
        let (table, curves) = table(seed, rows, columns);
        for side in [Side::Below, Side::Above] {
            let one = Rectangle { row_side: side, row_edge: 1 + rows / 3, column_side: Side::Above, column_edge: 1 };
            for ratio in [Ratio::None, Ratio::Free(one), Ratio::Held(one, 0.7)] {
                let fitted = fit(&table, &curves, ratio, None);
                let rectangle = (ratio != Ratio::None).then_some(&one);
                let at = |parameters: &[f64]| log_likelihood(&table, &curves, rectangle, parameters);
                let top = at(&fitted.parameters);
                assert!(
                    (top - fitted.log_likelihood).abs() < 1e-6 * top.abs().max(1.0),
                    "{top} {}",
                    fitted.log_likelihood
                );
                let free = if matches!(ratio, Ratio::Free(_)) { CURVES + 1 } else { CURVES };
                for place in 0..free {
                    for step in [-1e-3, 1e-3] {
                        let mut near = fitted.parameters;
                        near[place] += step;
                        assert!(at(&near) <= top + 1e-9, "seed {seed}, {ratio:?}, parameter {place}");
                    }
                }
                let mut far = fitted.parameters;
                far[0] += 0.05;
                assert!(at(&far) < top - 0.01, "the comparison sees a step of 5 %");
            }
        }
    }
}

#[test]
fn scores_are_those_of_dense_formulas() {
    let (table, curves) = table(9, 9, 8);
    let main = fit(&table, &curves, Ratio::None, None);
    let rectangles = Rectangles::new(&table, &curves, &main.cells, &main.inverse);
    let mut room = Scores::default();
    // At other events than the fitted ones, so that the main effects' share is told too.
    let mut random = Random::new(3);
    let observed: Vec<f64> = main.cells.iter().map(|cell| (cell * 2.0 * random.uniform()).round()).collect();
    rectangles.score(&observed, &mut room);
    assert_eq!(room.scores.len(), 4 * 8 * 7);
    let mut looked_at = 0;
    for (place, score) in room.scores.iter().enumerate() {
        let one = rectangles.rectangle(place);
        let mut information = vec![vec![0.0; CURVES]; CURVES];
        let (mut shared, mut excess) = (vec![0.0; CURVES], vec![0.0; CURVES]);
        let (mut inside, mut own) = (0.0, 0.0);
        for row in 0..table.rows {
            for column in 0..table.columns {
                let cell = row * table.columns + column;
                let x = regressors(&curves, row, column);
                let within = is_inside(&one, row, column);
                for k in 0..CURVES {
                    for l in 0..CURVES {
                        information[k][l] += main.cells[cell] * x[k] * x[l];
                    }
                    excess[k] += (observed[cell] - main.cells[cell]) * x[k];
                    shared[k] += if within { main.cells[cell] * x[k] } else { 0.0 };
                }
                if within {
                    inside += main.cells[cell];
                    own += observed[cell] - main.cells[cell];
                }
            }
        }
        for (k, row) in information.iter_mut().enumerate().skip(1) {
            row[k] += 0.1;
        }
        let slopes = solve(information, shared.clone());
        let left: f64 = inside - slopes.iter().zip(&shared).map(|(a, b)| a * b).sum::<f64>();
        let plain = (own - slopes.iter().zip(&excess).map(|(a, b)| a * b).sum::<f64>()) / libm::sqrt(left);
        if *score != 0.0 {
            looked_at += 1;
            assert!((plain - score).abs() < 1e-6, "{one:?}: {score}, plainly {plain}");
        }
    }
    assert!(looked_at > 180 && looked_at == rectangles.looked_at(), "{looked_at}");
    assert_eq!(HATS, 5);
}

#[test]
fn strata_take_up_what_moves_a_stratum_as_a_whole() {
    let mut random = Random::new(17);
    let (rows, columns, strata) = (10, 8, 6);
    let mut made = Strata {
        row_values: (0..rows).map(f64::from).collect(),
        column_values: (0..columns).map(f64::from).collect(),
        strata,
        ..Strata::default()
    };
    let one = Rectangle { row_side: Side::Below, row_edge: 4, column_side: Side::Above, column_edge: 5 };
    for stratum in 0..strata {
        let frailty = libm::exp(random.normal());
        for half in 0..2 {
            for row in 0..rows as usize {
                for column in 0..columns as usize {
                    // Where it is cold and wet, the stratum is worse off anyway.
                    let cold = if is_inside(&one, row, column) { stratum as f64 } else { 1.0 };
                    let expected = cold * 4.0;
                    made.expected.push(expected);
                    let rate = expected * frailty * if is_inside(&one, row, column) { 3.0 } else { 1.0 };
                    let number = (rate + libm::sqrt(rate) * random.normal()).round().max(0.0) as usize;
                    let event = Event { stratum: stratum as u32, half, row: row as u8, column: column as u8 };
                    made.events.extend(std::iter::repeat_n(event, number));
                }
            }
        }
    }
    let estimate = made.ratio(one);
    assert!(estimate.lower < 3.0 && estimate.upper > 3.0, "{estimate:?}");
    assert!(estimate.upper / estimate.lower < 1.4 && estimate.log_likelihood_ratio > 100.0, "{estimate:?}");
    // The bounds lie where twice the log likelihood has fallen by 3.84.
    let best = made.fit(Ratio::Free(one), None);
    for bound in [estimate.lower, estimate.upper] {
        let held = made.fit(Ratio::Held(one, libm::log(bound)), None);
        let fallen = 2.0 * (best.log_likelihood - held.log_likelihood);
        assert!((fallen - 3.841).abs() < 0.02, "{fallen}");
    }
    // Given the rest, each stratum is expected to have what it had.
    for stratum in 0..strata {
        let had = made.events.iter().filter(|event| event.stratum as usize == stratum).count() as f64;
        let cells = (rows * columns) as usize;
        let mut told = 0.0;
        for (at, expected) in made.expected[stratum * 2 * cells..(stratum + 1) * 2 * cells].iter().enumerate() {
            let (row, column) = (at % cells / columns as usize, at % columns as usize);
            let curve = best.fitted.cells[row * columns as usize + column]
                / best.table.expected[row * columns as usize + column];
            let inside = if is_inside(&one, row, column) { libm::exp(best.fitted.log_ratio()) } else { 1.0 };
            told += expected * best.rates[stratum] * curve * inside;
        }
        assert!((told / had.max(1.0) - 1.0).abs() < 1e-3, "{told} for {had}");
    }
    let thresholds = made.thresholds(Rectangle { row_edge: 5, column_edge: 4, ..one });
    assert_eq!(thresholds.rectangle, one);
    assert!((thresholds.row_edges.0..=thresholds.row_edges.1).contains(&4));
    assert_eq!(made.ratio_of(one, &|stratum, _| stratum == 99), None);
}
