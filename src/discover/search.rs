//! The search: every pair of channels, all threshold rectangles, and for the best pairs the same for each value of the
//! crossed attributes.
//!
//! Key idea: scores rank what is fitted jointly ([`super::rectangles`]); the joint fit then moves the rectangle's edges
//! as long as its likelihood grows. The chance that so great a score comes of nothing is that of the greatest score of
//! the whole search, repeated on events drawn from the model ([`super::replicates`]), attributes included.
//!
//! Units: events; scores in standard errors; natural logarithms.

use rayon::prelude::*;

use super::climb::Scored;
use super::main_effects::{Effects, Levels, Rectangle, Table};
use super::pool::{Places, Pool};
use super::rectangles::Rectangles;
use super::replicates;
use crate::backend::cube::{CubePlan, CubeSums, events};
use crate::run::{Control, Interrupted};

/// Pairs that are crossed with attributes: those of the greatest scores.
pub const CROSSED_PAIRS: usize = 6;
/// What chance gives more often than this is not fitted.
const WORTH_FITTING: f64 = 0.5;

/// What is searched.
#[derive(Clone, Copy, Debug)]
pub struct Space<'a> {
    pub plan: &'a CubePlan,
    /// Those of its pairs that are looked at.
    pub pairs: &'a [usize],
    /// Slab 0: all records; the others: one value of an attribute each.
    pub sums: &'a CubeSums,
    /// By channel: the prior of its bins' levels, "not available" left out.
    pub levels: &'a [Levels],
    /// By slab: which of the crossed attributes it is a value of.
    pub attribute: &'a [usize],
    pub events: &'a Places,
    pub pool: &'a Pool,
}

/// How it is searched.
#[derive(Clone, Copy, Debug)]
pub struct SearchRequest {
    pub replicates: u32,
    pub seed: u64,
}

/// The best rectangle of a pair, of all vehicles or of a slab.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub pair: usize,
    pub slab: usize,
    pub rectangle: Rectangle,
    /// Of the rectangle with the greatest one.
    pub score: f64,
    /// How often chance does as well in the whole search.
    pub p_value: f64,
    pub log_likelihood_ratio: f64,
    /// Of the joint fit.
    pub log_ratio: f64,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// By falling likelihood, those worth a fit.
    pub candidates: Vec<Candidate>,
    /// The greatest score of each replicate.
    pub chance: Vec<f64>,
    /// Rectangles that were scored.
    pub rectangles: u64,
    /// Of all pairs: the greatest score.
    pub greatest: f64,
}

impl Space<'_> {
    /// A table without "not available": what is expected, nothing observed.
    pub fn expected(&self, slab: usize, pair: usize) -> Table {
        let (a, b) = self.plan.pairs[pair];
        let (rows, columns) = (self.levels[a].bins, self.levels[b].bins);
        let first = slab * self.plan.cells() + self.plan.first_cell(pair);
        let mut expected = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            let from = first + row * self.plan.bins[b];
            expected.extend(self.sums.expected_q40[from..from + columns].iter().map(|cell| events(*cell)));
        }
        Table { rows, columns, observed: vec![0.0; rows * columns], expected }
    }

    /// Counts places in the cells of a table.
    pub fn count(
        &self,
        places: &Places,
        which: impl Iterator<Item = usize>,
        slab: usize,
        pair: usize,
        counts: &mut [f64],
    ) {
        let (a, b) = self.plan.pairs[pair];
        let (rows, columns) = (self.levels[a].bins, self.levels[b].bins);
        let (of_a, of_b) = (&places.bins[a], &places.bins[b]);
        let own = (slab > 0).then(|| &places.slabs[self.attribute[slab]]);
        for place in which {
            let (row, column) = (usize::from(of_a[place]), usize::from(of_b[place]));
            if row < rows && column < columns && own.is_none_or(|own| own[place] as usize == slab) {
                counts[row * columns + column] += 1.0;
            }
        }
    }

    /// The table with the observed events.
    pub fn observed(&self, slab: usize, pair: usize) -> Table {
        let mut table = self.expected(slab, pair);
        let mut observed = std::mem::take(&mut table.observed);
        self.count(self.events, 0..self.events.len(), slab, pair, &mut observed);
        Table { observed, ..table }
    }

    /// The priors of a pair's channels.
    pub fn effects(&self, pair: usize) -> Effects<'_> {
        let (a, b) = self.plan.pairs[pair];
        Effects { rows: &self.levels[a], columns: &self.levels[b] }
    }

    /// Rectangles at what the model expects, for replicates.
    pub fn rectangles(&self, slab: usize, pair: usize) -> Rectangles {
        let (table, effects) = (self.expected(slab, pair), self.effects(pair));
        Rectangles::new(&table, &effects, &table.expected, vec![0.0; effects.size()], None)
    }

    fn score(&self, slab: usize, pair: usize) -> Scored<'_> {
        Scored::new(self.observed(slab, pair), self.effects(pair), None)
    }
}

/// Searches everything, on the current rayon pool.
///
/// # Errors
///
/// Interruption.
pub fn search(space: &Space, request: &SearchRequest, control: &Control) -> Result<Found, Interrupted> {
    let scored: Vec<Scored> = space.pairs.par_iter().map(|pair| space.score(0, *pair)).collect();
    control.check()?;
    let mut by_score: Vec<usize> = (0..space.pairs.len()).collect();
    by_score.sort_by(|a, b| scored[*b].greatest().total_cmp(&scored[*a].greatest()).then(a.cmp(b)));
    let tables: Vec<(usize, usize)> = (by_score.iter().take(CROSSED_PAIRS))
        .flat_map(|at| (1..space.plan.slabs).map(|slab| (slab, space.pairs[*at])))
        .collect();
    let crossed: Vec<Scored> = tables.par_iter().map(|(slab, pair)| space.score(*slab, *pair)).collect();
    control.check()?;
    let chance = replicates::greatest_scores(space, request, control)?;
    let all = space.pairs.iter().map(|pair| (0, *pair)).zip(&scored).chain(tables.into_iter().zip(&crossed));
    let all: Vec<((usize, usize), &Scored)> = all.collect();
    let p_value = |score: f64| {
        let as_great = chance.iter().filter(|other| **other >= score).count();
        (1 + as_great) as f64 / (1 + chance.len()) as f64
    };
    let mut candidates: Vec<Candidate> = all
        .par_iter()
        .filter(|(_, one)| one.greatest() > 0.0 && p_value(one.greatest()) <= WORTH_FITTING)
        .filter_map(|((slab, pair), one)| {
            let (rectangle, fitted) = one.likeliest(&one.table.as_strata())?;
            Some(Candidate {
                pair: *pair,
                slab: *slab,
                rectangle,
                score: one.greatest(),
                p_value: p_value(one.greatest()),
                log_likelihood_ratio: fitted.log_likelihood - one.main.log_likelihood,
                log_ratio: fitted.log_ratio(),
            })
        })
        .collect();
    candidates.sort_by(|a, b| {
        b.log_likelihood_ratio.total_cmp(&a.log_likelihood_ratio).then((a.slab, a.pair).cmp(&(b.slab, b.pair)))
    });
    Ok(Found {
        candidates,
        rectangles: all.iter().map(|(_, one)| one.rectangles.looked_at()).sum(),
        greatest: all.iter().fold(0.0, |greatest, (_, one)| f64::max(greatest, one.greatest())),
        chance,
    })
}
