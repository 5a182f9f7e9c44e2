//! A picture of one pair: observed over expected events in every cell of the search, and the rectangle that was found.
//!
//! Colours run from blue (less than expected) over white to red on a log scale; a cell in which little is expected is
//! pale, since its ratio says little. Axes carry the channels' own values at the bins' edges.

use super::binning::Binning;
use super::findings::Finding;
use super::main_effects::{Rectangle, Table};
use crate::model::channel::Channel;
use crate::svg::{Anchor, Svg};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 640.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 64.0;
/// A ratio of this and more is the deepest colour.
const DEEPEST: f64 = 4.0;
/// Expected events at which a cell has half of its colour.
const HALF_EXPECTED: f64 = 1.0;
/// Edges with a label on an axis, about.
const LABELS: usize = 10;

/// One channel of the pair: rows run up the picture, columns to the right.
#[derive(Clone, Copy)]
pub struct Axis<'a> {
    pub channel: &'a Channel,
    pub binning: &'a Binning,
}

/// Draws a table with its rectangle.
pub fn draw(table: &Table, rectangle: &Rectangle, rows: Axis, columns: Axis, finding: &Finding) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT);
    let x = |edge: usize| LEFT + (WIDTH - LEFT - RIGHT) * edge as f64 / table.columns as f64;
    let y = |edge: usize| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * edge as f64 / table.rows as f64;
    let scale = table.observed.iter().sum::<f64>() / table.expected.iter().sum::<f64>().max(1e-300);
    for row in 0..table.rows {
        for column in 0..table.columns {
            let cell = row * table.columns + column;
            let colour = colour(table.observed[cell], scale * table.expected[cell]);
            svg.area(&corners(x(column), y(row), x(column + 1), y(row + 1)), &colour);
        }
    }
    let across = rectangle.column_side.range(rectangle.column_edge, table.columns);
    let up = rectangle.row_side.range(rectangle.row_edge, table.rows);
    let mut frame = corners(x(across.start), y(up.start), x(across.end), y(up.end)).to_vec();
    frame.push(frame[0]);
    svg.path(&frame, "#111", 2.5);
    for edge in labelled(table.columns) {
        let value = columns.channel.value(u32::from(columns.binning.edges[edge]));
        svg.line((x(edge), y(0)), (x(edge), y(0) + 5.0), "#666", 1.0);
        svg.text((x(edge), y(0) + 18.0), Anchor::Middle, 11.0, &text(value));
    }
    for edge in labelled(table.rows) {
        let value = rows.channel.value(u32::from(rows.binning.edges[edge]));
        svg.line((x(0) - 5.0, y(edge)), (x(0), y(edge)), "#666", 1.0);
        svg.text((x(0) - 8.0, y(edge) + 4.0), Anchor::End, 11.0, &text(value));
    }
    let named = |axis: Axis| format!("{} [{}]", axis.channel.name, axis.channel.unit);
    svg.text((0.5 * (x(0) + x(table.columns)), HEIGHT - 20.0), Anchor::Middle, 13.0, &named(columns));
    svg.text((LEFT, TOP - 10.0), Anchor::Start, 13.0, &named(rows));
    svg.text((LEFT, 24.0), Anchor::Start, 15.0, &finding.sentence());
    svg.text((WIDTH - RIGHT, TOP - 10.0), Anchor::End, 11.0, "observed / expected: blue ¼ · white 1 · red 4");
    svg.finish()
}

fn corners(left: f64, bottom: f64, right: f64, top: f64) -> [(f64, f64); 4] {
    [(left, bottom), (right, bottom), (right, top), (left, top)]
}

fn labelled(bins: usize) -> impl Iterator<Item = usize> {
    (0..bins).step_by(bins.div_ceil(LABELS).max(1))
}

fn text(value: f64) -> String {
    format!("{}", (value * 1e4).round() / 1e4)
}

/// Red for more than expected, blue for less; paler the less was expected.
fn colour(observed: f64, expected: f64) -> String {
    let ratio = (observed + 0.1) / (expected + 0.1);
    let depth = (libm::log(ratio) / libm::log(DEEPEST)).clamp(-1.0, 1.0) * expected / (expected + HALF_EXPECTED);
    let fade = |full: f64| (255.0 - (255.0 - full) * depth.abs()).round() as u8;
    let (red, green, blue) = if depth > 0.0 { (178.0, 24.0, 43.0) } else { (33.0, 102.0, 172.0) };
    format!("#{:02x}{:02x}{:02x}", fade(red), fade(green), fade(blue))
}

#[cfg(test)]
mod tests {
    use super::colour;

    #[test]
    fn colours_go_by_ratio_and_by_what_is_known() {
        assert_eq!(colour(100.0, 100.0), "#ffffff");
        assert_eq!(colour(0.0, 0.0), "#ffffff");
        let red = |colour: &str| u8::from_str_radix(&colour[3..5], 16).unwrap();
        assert!(red(&colour(400.0, 100.0)) < red(&colour(200.0, 100.0)));
        assert!(red(&colour(4.0, 1.0)) > red(&colour(400.0, 100.0)), "little is known of a single expected event");
        assert!(colour(25.0, 100.0).starts_with("#2"), "{}", colour(25.0, 100.0));
    }
}
