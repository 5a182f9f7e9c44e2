//! What chance does: the whole search on events drawn from the model, as many in each zone and month as there were.
//!
//! Key idea: an event is drawn as a record of the pool, with all its channels and attributes, so that pairs hang
//! together as they do in the data. A replicate chooses its own best pairs to cross with attributes. What the
//! rectangles need besides the drawn events is formed once a table. A draw depends on the seed, the replicate, its
//! stratum and its number there.
//!
//! Units: scores in standard errors.

use rayon::prelude::*;

use super::rectangles::{Rectangles, Scores};
use super::search::{CROSSED_PAIRS, SearchRequest, Space};
use crate::fixed::threefry::threefry2x32;
use crate::run::{Control, Interrupted};

/// Draws that are held at a time.
const DRAWS: usize = 1 << 24;
const STREAM: u32 = 0x5245_504C;

/// The greatest score of each replicate's search.
///
/// # Errors
///
/// Interruption.
pub fn greatest_scores(space: &Space, request: &SearchRequest, control: &Control) -> Result<Vec<f64>, Interrupted> {
    if space.pairs.is_empty() || space.pool.places.is_empty() {
        return Ok(vec![0.0; request.replicates as usize]);
    }
    let bases: Vec<Rectangles> = space.pairs.par_iter().map(|pair| space.rectangles(0, *pair)).collect();
    let numbers = numbers(space);
    let all: Vec<u32> = (0..request.replicates).collect();
    let mut greatest = Vec::with_capacity(all.len());
    for block in all.chunks((DRAWS / space.events.len().max(1)).max(1)) {
        control.check()?;
        let draws: Vec<Vec<u32>> =
            block.par_iter().map(|replicate| draw(space, request.seed, *replicate, &numbers)).collect();
        // By pair, by replicate.
        let scores: Vec<Vec<f64>> = (space.pairs.par_iter().zip(&bases))
            .map(|(pair, base)| scores(space, 0, *pair, base, draws.iter()))
            .collect();
        control.check()?;
        let best: Vec<Vec<usize>> = (0..block.len()).map(|at| best_pairs(&scores, at)).collect();
        let first = greatest.len();
        greatest.extend(best.iter().zip(0..).map(|(best, at)| scores[best[0]][at]));
        let crossed: Vec<Vec<(usize, f64)>> =
            (0..space.pairs.len()).into_par_iter().map(|pair| crossed(space, pair, &best, &draws)).collect();
        for (at, score) in crossed.into_iter().flatten() {
            greatest[first + at] = f64::max(greatest[first + at], score);
        }
    }
    Ok(greatest)
}

/// Events by stratum.
pub(super) fn numbers(space: &Space) -> Vec<u32> {
    let mut numbers = vec![0_u32; space.events.stratum.iter().max().map_or(0, |last| *last as usize + 1)];
    for stratum in &space.events.stratum {
        numbers[*stratum as usize] += 1;
    }
    numbers
}

/// The pool's records on which a replicate's events fall.
pub(super) fn draw(space: &Space, seed: u64, replicate: u32, numbers: &[u32]) -> Vec<u32> {
    let key = [seed as u32 ^ (seed >> 32) as u32 ^ STREAM, replicate];
    let mut drawn = Vec::with_capacity(space.events.len());
    for (stratum, number) in numbers.iter().enumerate() {
        for event in 0..*number {
            let [high, low] = threefry2x32(key, [stratum as u32, event]);
            let share = (f64::from(high) * 4_294_967_296.0 + f64::from(low)) / 18_446_744_073_709_551_616.0;
            drawn.push(space.pool.draw(stratum as u32, share) as u32);
        }
    }
    drawn
}

/// The greatest score of a table in each replicate.
fn scores<'d>(
    space: &Space,
    slab: usize,
    pair: usize,
    rectangles: &Rectangles,
    draws: impl Iterator<Item = &'d Vec<u32>>,
) -> Vec<f64> {
    let (a, b) = space.plan.pairs[pair];
    let mut counts = vec![0.0; space.levels[a].bins * space.levels[b].bins];
    let mut room = Scores::default();
    draws
        .map(|drawn| {
            counts.fill(0.0);
            space.count(&space.pool.places, drawn.iter().map(|place| *place as usize), slab, pair, &mut counts);
            rectangles.greatest(&counts, &mut room)
        })
        .collect()
}

/// The pairs of a replicate with the greatest scores, falling.
fn best_pairs(scores: &[Vec<f64>], at: usize) -> Vec<usize> {
    let mut pairs: Vec<usize> = (0..scores.len()).collect();
    pairs.sort_by(|a, b| scores[*b][at].total_cmp(&scores[*a][at]).then(a.cmp(b)));
    pairs.truncate(CROSSED_PAIRS);
    pairs
}

/// A pair, by its place, crossed with every attribute's values, in the replicates in which it is among the best: their
/// places, with scores.
fn crossed(space: &Space, place: usize, best: &[Vec<usize>], draws: &[Vec<u32>]) -> Vec<(usize, f64)> {
    let own: Vec<usize> = (0..best.len()).filter(|at| best[*at].contains(&place)).collect();
    if own.is_empty() {
        return Vec::new();
    }
    let pair = space.pairs[place];
    (1..space.plan.slabs)
        .flat_map(|slab| {
            let rectangles = space.rectangles(slab, pair);
            let scores = scores(space, slab, pair, &rectangles, own.iter().map(|at| &draws[*at]));
            own.iter().copied().zip(scores).collect::<Vec<_>>()
        })
        .collect()
}
