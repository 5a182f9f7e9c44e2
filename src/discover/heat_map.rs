//! A picture of one pair: observed over expected events all over the two channels, and the rectangle that was found.
//!
//! Key idea: a cell of the search holds an event or two, so the picture shows blocks of cells, counted from the
//! rectangle's edges outwards, with what was observed and what was expected in each. Colours run from blue (less than
//! expected) over white to red on a log scale; a block in which little is expected is pale, since its ratio says little.
//! Axes carry the channels' own values at the blocks' edges; the outermost blocks are open.

use super::binning::Binning;
use super::findings::Finding;
use super::main_effects::{Rectangle, Table};
use crate::model::channel::Channel;
use crate::svg::{Anchor, Svg};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 680.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 96.0;
const BOTTOM: f64 = 64.0;
/// A ratio of this and more is the deepest colour.
const DEEPEST: f64 = 4.0;
/// Expected events at which a block has half of its colour.
const HALF_EXPECTED: f64 = 1.0;
/// Width and height of a block that its numbers fit in.
const SMALLEST: (f64, f64) = (40.0, 12.0);
/// Events a block, on average.
const EVENTS: f64 = 6.0;
/// Blocks a side: few enough for their numbers to be read.
const BLOCKS: (usize, usize) = (4, 10);
/// In the legend: ratios with their names.
const LEGEND: [(f64, &str); 5] = [(0.25, "¼"), (0.5, "½"), (1.0, "1"), (2.0, "2"), (4.0, "4")];
/// Side of a square of the legend.
const SQUARE: f64 = 14.0;

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
    let events = table.observed.iter().sum::<f64>();
    let scale = events / table.expected.iter().sum::<f64>().max(1e-300);
    let most = (libm::sqrt(events / EVENTS) as usize).clamp(BLOCKS.0, BLOCKS.1);
    let row_edges = block_edges(rectangle.row_edge, table.rows, most);
    let column_edges = block_edges(rectangle.column_edge, table.columns, most);
    for up in row_edges.windows(2) {
        for across in column_edges.windows(2) {
            let sum = |of: &[f64]| -> f64 {
                (up[0]..up[1]).flat_map(|row| &of[row * table.columns..][across[0]..across[1]]).sum()
            };
            let (observed, expected) = (sum(&table.observed), scale * sum(&table.expected));
            let (left, bottom, right, top) = (x(across[0]), y(up[0]), x(across[1]), y(up[1]));
            svg.area(&corners(left, bottom, right, top), &colour(observed, expected));
            if right - left >= SMALLEST.0 && bottom - top >= SMALLEST.1 {
                let numbers = format!("{observed:.0} / {expected:.1}");
                svg.text((0.5 * (left + right), 0.5 * (bottom + top) + 3.5), Anchor::Middle, 10.0, &numbers);
            }
        }
    }
    let across = rectangle.column_side.range(rectangle.column_edge, table.columns);
    let up = rectangle.row_side.range(rectangle.row_edge, table.rows);
    let mut frame = corners(x(across.start), y(up.start), x(across.end), y(up.end)).to_vec();
    frame.push(frame[0]);
    svg.path(&frame, "#111", 2.5);
    for edge in inner(&column_edges) {
        let value = columns.channel.value(u32::from(columns.binning.edges[edge]));
        svg.line((x(edge), y(0)), (x(edge), y(0) + 5.0), "#666", 1.0);
        svg.text((x(edge), y(0) + 18.0), Anchor::Middle, 11.0, &text(value));
    }
    for edge in inner(&row_edges) {
        let value = rows.channel.value(u32::from(rows.binning.edges[edge]));
        svg.line((x(0) - 5.0, y(edge)), (x(0), y(edge)), "#666", 1.0);
        svg.text((x(0) - 8.0, y(edge) + 4.0), Anchor::End, 11.0, &text(value));
    }
    let named = |axis: Axis| format!("{} [{}]", axis.channel.name, axis.channel.unit).replace(" []", "");
    svg.text((0.5 * (x(0) + x(table.columns)), HEIGHT - 20.0), Anchor::Middle, 13.0, &named(columns));
    svg.text((LEFT, TOP - 10.0), Anchor::Start, 13.0, &named(rows));
    svg.text((LEFT, 26.0), Anchor::Start, 14.0, &finding.where_it_holds());
    let ratio = format!(
        "{:.2} times as likely as elsewhere, 95 % interval {:.2} to {:.2}",
        finding.ratio, finding.ratio_lower, finding.ratio_upper
    );
    svg.text((LEFT, 46.0), Anchor::Start, 13.0, &ratio);
    legend(&mut svg);
    svg.finish()
}

fn legend(svg: &mut Svg) {
    let step = SQUARE + 18.0;
    let left = WIDTH - RIGHT - step * LEGEND.len() as f64;
    svg.text((left - 8.0, TOP - 10.0), Anchor::End, 11.0, "observed / expected");
    for (place, (ratio, name)) in LEGEND.iter().enumerate() {
        let x = left + step * place as f64;
        let square = corners(x, TOP - 7.0, x + SQUARE, TOP - 7.0 - SQUARE);
        // Of so many that they are known.
        svg.area(&square, &colour(1e6 * ratio, 1e6));
        svg.path(&[square[0], square[1], square[2], square[3], square[0]], "#999", 0.5);
        svg.text((x + SQUARE + 3.0, TOP - 10.0), Anchor::Start, 11.0, name);
    }
}

/// About `most` blocks of bins, of which one begins at `edge`.
fn block_edges(edge: usize, bins: usize, most: usize) -> Vec<usize> {
    let step = bins.div_ceil(most).max(1);
    let inner = |at: &usize| at.abs_diff(edge).is_multiple_of(step) && 2 * (*at).min(bins - at) >= step;
    (0..=bins).filter(|at| [0, edge, bins].contains(at) || inner(at)).collect()
}

/// Edges that have a bin on both sides.
fn inner(edges: &[usize]) -> impl Iterator<Item = usize> {
    edges[1..edges.len() - 1].iter().copied()
}

fn corners(left: f64, bottom: f64, right: f64, top: f64) -> [(f64, f64); 4] {
    [(left, bottom), (right, bottom), (right, top), (left, top)]
}

fn text(value: f64) -> String {
    format!("{}", (value * 1e4).round() / 1e4)
}

/// Red for more than expected, blue for less; paler the less was expected.
fn colour(observed: f64, expected: f64) -> String {
    let ratio = (observed + 0.1) / (expected + 0.1);
    let depth = (libm::log(ratio) / libm::log(DEEPEST)).clamp(-1.0, 1.0) * expected / (expected + HALF_EXPECTED);
    let fade = |full: f64| (255.0 - (255.0 - full) * depth.abs()).round() as u8;
    let (red, green, blue) = if depth > 0.0 { (214.0, 96.0, 77.0) } else { (67.0, 147.0, 195.0) };
    format!("#{:02x}{:02x}{:02x}", fade(red), fade(green), fade(blue))
}

#[cfg(test)]
mod tests {
    use super::{block_edges, colour};

    #[test]
    fn a_block_begins_at_the_rectangle() {
        assert_eq!(block_edges(5, 31, 10), [0, 5, 9, 13, 17, 21, 25, 29, 31]);
        assert_eq!(block_edges(4, 5, 10), [0, 1, 2, 3, 4, 5]);
        assert_eq!(block_edges(30, 31, 4), [0, 6, 14, 22, 30, 31], "a thin block where the rectangle is thin");
    }

    #[test]
    fn colours_go_by_ratio_and_by_what_is_known() {
        assert_eq!(colour(100.0, 100.0), "#ffffff");
        assert_eq!(colour(0.0, 0.0), "#ffffff");
        let red = |colour: &str| u8::from_str_radix(&colour[3..5], 16).unwrap();
        assert!(red(&colour(400.0, 100.0)) < red(&colour(200.0, 100.0)));
        assert!(red(&colour(4.0, 1.0)) > red(&colour(400.0, 100.0)), "little is known of a single expected event");
        assert!(colour(25.0, 100.0).starts_with("#4"), "{}", colour(25.0, 100.0));
    }
}
