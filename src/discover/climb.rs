//! From a table's scores to its likeliest rectangle.
//!
//! Key idea: the rectangles with the greatest scores are fitted jointly with the main effects, and the best one's edges
//! are moved as long as its likelihood grows. A rectangle and the one on the opposite sides, or the two beside it,
//! differ only in what the channels must do alone, which the score cannot tell apart; so all four are fitted.

use super::main_effects::{Effects, Fitted, Ratio, Rectangle, Side, Strata, Table, fit};
use super::rectangles::{Rectangles, Scores};

/// Rectangles of a table that are fitted jointly.
const FITTED_RECTANGLES: usize = 12;
/// An edge moves by so many bins at most at a time.
const STRIDE: isize = 2;

/// A table with its main effects and its rectangles' scores.
pub struct Scored<'a> {
    pub table: Table,
    pub effects: Effects<'a>,
    pub main: Fitted,
    pub rectangles: Rectangles,
    sides: Option<(Side, Side)>,
    /// Places of the rectangles with the greatest scores, falling.
    best: Vec<(f64, usize)>,
}

impl<'a> Scored<'a> {
    /// `sides`: those that are looked at; `None`: all.
    pub fn new(table: Table, effects: Effects<'a>, sides: Option<(Side, Side)>) -> Self {
        let main = fit(&table.as_strata(), &effects, Ratio::None, None);
        let rectangles = Rectangles::new(&table, &effects, &main.cells, effects.pull(&main.parameters), sides);
        let mut room = Scores::default();
        rectangles.score(&table.observed, &mut room);
        let above = room.scores.iter().copied().zip(0..).filter(|(score, _)| *score > 0.0);
        let mut best: Vec<(f64, usize)> = above.collect();
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        best.truncate(FITTED_RECTANGLES);
        Self { table, effects, main, rectangles, sides, best }
    }

    pub fn greatest(&self) -> f64 {
        self.best.first().map_or(0.0, |(score, _)| *score)
    }

    /// The likeliest rectangle of these cells, with its fit. `strata`: the table's, or what it was summed up from.
    pub fn likeliest(&self, strata: &Strata) -> Option<(Rectangle, Fitted)> {
        let start = &self.main.parameters;
        let joint = |rectangle: Rectangle| (rectangle, fit(strata, &self.effects, Ratio::Free(rectangle), Some(start)));
        let better =
            |a: &(Rectangle, Fitted), b: &(Rectangle, Fitted)| a.1.log_likelihood.total_cmp(&b.1.log_likelihood);
        let above_one = |one: &(Rectangle, Fitted)| one.1.log_ratio() > 0.0;
        let mut starts: Vec<Rectangle> = self.best.iter().map(|(_, place)| self.rectangles.rectangle(*place)).collect();
        if let (None, Some(first)) = (self.sides, starts.first().copied()) {
            starts.extend(around(first));
        }
        let mut best = starts.into_iter().map(joint).filter(above_one).max_by(better)?;
        loop {
            let Rectangle { row_edge, column_edge, .. } = best.0;
            let strides = || -STRIDE..=STRIDE;
            let near = strides().flat_map(|down| strides().map(move |across| (down, across)));
            let moved = near.filter_map(|(down, across)| {
                let row_edge = row_edge.checked_add_signed(down).filter(|edge| (1..strata.rows).contains(edge))?;
                let column_edge =
                    column_edge.checked_add_signed(across).filter(|edge| (1..strata.columns).contains(edge))?;
                let rectangle = Rectangle { row_edge, column_edge, ..best.0 };
                (rectangle != best.0).then(|| joint(rectangle))
            });
            let turned = if self.sides.is_none() { around(best.0).to_vec() } else { Vec::new() };
            match moved.chain(turned.into_iter().map(joint)).filter(above_one).max_by(better) {
                Some(next) if next.1.log_likelihood > best.1.log_likelihood + 1e-6 => best = next,
                _ => return Some(best),
            }
        }
    }
}

/// The rectangles at the same edges on the other sides.
fn around(one: Rectangle) -> [Rectangle; 3] {
    let other = |side: Side| if side == Side::Below { Side::Above } else { Side::Below };
    let (row_side, column_side) = (other(one.row_side), other(one.column_side));
    [Rectangle { row_side, ..one }, Rectangle { column_side, ..one }, Rectangle { row_side, column_side, ..one }]
}
