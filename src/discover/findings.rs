//! What is reported: conditions with thresholds, ratios and how sure they are.
//!
//! A threshold is known to lie between two codes that occur, never closer: its set is an interval that begins and ends
//! at such codes.
//!
//! Key idea: a candidate that shares most of its events with a likelier one says the same in other words, and becomes
//! that one's alternative. A condition on one value of an attribute must be worth its attribute: it counts against the
//! same pair for all vehicles only where it is clearly likelier.
//!
//! Units: thresholds in the channels' own units; ratios of rates inside against outside.

use rayon::prelude::*;
use serde::Serialize;

use super::close_up::{Seen, View, threshold_code};
use super::main_effects::{Effects, Rectangle, Side, Table};
use super::refine::{Close, RatioEstimate, likeliest, ratio, ratio_alone, thresholds};
use super::search::{Candidate, Found, Space};
use super::shrinkage::{Prior, Shrunk};
use super::survey::{EventRow, LATE_DAYS, Settled};
use crate::model::channel::Channel;

/// What a value of an attribute must add to the log likelihood.
const ATTRIBUTE_COST: f64 = 3.0;
/// The share of the smaller one's events from which on two candidates say the same.
const OVERLAP: f64 = 0.5;
/// Findings that are looked at closely.
const MOST_FINDINGS: usize = 4;
/// Blocks a side of a pair's cells to which the prior of the ratios is fitted.
const PRIOR_BLOCKS: usize = 8;

/// A condition on one channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    pub channel: String,
    pub unit: String,
    /// `<` or `>`.
    pub is: &'static str,
    pub threshold: f64,
    /// The 95 % set of the threshold: from a value that occurs to one that occurs.
    pub lowest: f64,
    pub highest: f64,
}

/// Thresholds that were chosen on a part of the data, and what they are worth on the rest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replication {
    pub thresholds: [f64; 2],
    pub ratio: f64,
    pub ratio_lower: f64,
    pub ratio_upper: f64,
}

/// The ratio as `fit` estimates it, with the interaction in the model and clocks recomputed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RatioByFit {
    pub ratio: f64,
    pub lower: f64,
    pub upper: f64,
}

/// The same events in other words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alternative {
    pub conditions: [String; 2],
    pub attribute: Option<(String, String)>,
    pub log_likelihood_ratio: f64,
}

/// One interaction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub conditions: [Condition; 2],
    /// It was found for vehicles with this value of this attribute.
    pub attribute: Option<(String, String)>,
    /// Rate inside over rate outside, main effects, strata and the life law apart.
    pub ratio: f64,
    pub ratio_lower: f64,
    pub ratio_upper: f64,
    /// Events over records inside against outside, and nothing else.
    pub crude_ratio: f64,
    pub crude_lower: f64,
    pub crude_upper: f64,
    pub observed: f64,
    /// By the model without the interaction.
    pub expected: f64,
    pub attributable: f64,
    /// The chance that anything as clear is found where there is nothing.
    pub p_value: f64,
    pub score: f64,
    pub log_likelihood_ratio: f64,
    pub ebgm: f64,
    pub eb05: f64,
    pub eb95: f64,
    /// EB05 of the rectangle over the greater EB95 of its two conditions alone.
    pub interaction_score: f64,
    /// The ratio in either half of the vehicles, at thresholds that were chosen on the other half.
    pub halves: [Option<Replication>; 2],
    /// The ratio in each zone, and in each year, at thresholds that were chosen on the others.
    pub left_out_zone: Vec<(String, Option<f64>)>,
    pub left_out_year: Vec<(i32, Option<f64>)>,
    pub by_fit: Option<RatioByFit>,
    /// The ratio if every event had occurred so many days earlier than it is dated.
    pub if_dated_late: Vec<(i32, Option<f64>)>,
    pub alternatives: Vec<Alternative>,
}

impl Finding {
    /// Whether the close look, within strata and with all channels' levels, bears it out.
    pub fn is_borne_out(&self) -> bool {
        self.ratio_lower > 1.0
    }
}

/// Names and places that a finding speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// By place, those of the blocks.
    pub channels: &'a [Channel],
    /// Crossed attributes with their values.
    pub attributes: &'a [(String, Vec<String>)],
    /// By stratum: zone, and year where days have one.
    pub strata: &'a [(String, Option<i32>)],
}

/// Candidates that chance does not give more often than `level`, the likeliest first, each with what says the same.
pub fn accepted(found: &Found, space: &Space, level: f64) -> Vec<(Candidate, Vec<Candidate>)> {
    let worth = |one: &Candidate| one.log_likelihood_ratio - if one.slab > 0 { ATTRIBUTE_COST } else { 0.0 };
    let mut by_worth: Vec<&Candidate> = found.candidates.iter().collect();
    by_worth.sort_by(|a, b| worth(b).total_cmp(&worth(a)).then((a.slab, a.pair).cmp(&(b.slab, b.pair))));
    let mut accepted: Vec<(Candidate, Vec<Candidate>)> = Vec::new();
    for one in by_worth.into_iter().filter(|one| one.p_value <= level) {
        let own = inside(space, one);
        let same = accepted.iter().position(|(other, _)| {
            let others = inside(space, other);
            let shared = own.iter().zip(&others).filter(|(a, b)| **a && **b).count() as f64;
            let count = |set: &[bool]| set.iter().filter(|inside| **inside).count() as f64;
            shared >= OVERLAP * count(&own).min(count(&others))
        });
        match same {
            Some(place) => accepted[place].1.push(one.clone()),
            None if accepted.len() < MOST_FINDINGS => accepted.push((one.clone(), Vec::new())),
            None => {}
        }
    }
    accepted
}

/// Which events lie inside a candidate.
fn inside(space: &Space, one: &Candidate) -> Vec<bool> {
    let (a, b) = space.plan.pairs[one.pair];
    let rows = one.rectangle.row_side.range(one.rectangle.row_edge, space.levels[a].bins);
    let columns = one.rectangle.column_side.range(one.rectangle.column_edge, space.levels[b].bins);
    (0..space.events.len())
        .map(|event| {
            let slab = one.slab == 0 || space.events.slabs[space.attribute[one.slab]][event] as usize == one.slab;
            let bin = |channel: usize| usize::from(space.events.bins[channel][event]);
            slab && rows.contains(&bin(a)) && columns.contains(&bin(b))
        })
        .collect()
}

/// The law of the ratios in blocks of cells: of all pairs, and of the tables of the candidates.
pub fn prior(space: &Space, found: &Found) -> Prior {
    let mut tables: Vec<(usize, usize)> = space.pairs.iter().map(|pair| (0, *pair)).collect();
    tables.extend(found.candidates.iter().filter(|one| one.slab > 0).map(|one| (one.slab, one.pair)));
    let mut blocks = Vec::new();
    for (slab, pair) in tables {
        let table = space.observed(slab, pair);
        let mut sums = vec![(0.0, 0.0); PRIOR_BLOCKS * PRIOR_BLOCKS];
        for row in 0..table.rows {
            for column in 0..table.columns {
                let block = row * PRIOR_BLOCKS / table.rows * PRIOR_BLOCKS + column * PRIOR_BLOCKS / table.columns;
                sums[block].0 += table.observed[row * table.columns + column];
                sums[block].1 += table.expected[row * table.columns + column];
            }
        }
        blocks.extend(sums);
    }
    Prior::fit(&blocks)
}

/// The rectangle's shrunk ratio, and its EB05 over the greater EB95 of its two conditions alone.
fn shrunk(table: &Table, rectangle: &Rectangle, prior: &Prior) -> (Shrunk, f64) {
    let events: f64 = table.observed.iter().sum();
    let scale = events / table.expected.iter().sum::<f64>().max(1e-300);
    let of = |rectangle: &Rectangle| {
        prior.shrink(table.inside(&table.observed, rectangle), scale * table.inside(&table.expected, rectangle))
    };
    let rows = Rectangle { column_side: Side::Above, column_edge: 0, ..*rectangle };
    let columns = Rectangle { row_side: Side::Above, row_edge: 0, ..*rectangle };
    let own = of(rectangle);
    (own, own.eb05 / f64::max(of(&rows).eb95, of(&columns).eb95))
}

/// What a search went by.
#[derive(Clone, Copy, Debug)]
pub struct Searched<'a> {
    pub settled: &'a Settled,
    pub space: &'a Space<'a>,
    pub events: &'a [EventRow],
    pub names: &'a Names<'a>,
    pub prior: Prior,
}

/// Everything about one accepted candidate, on the current rayon pool.
pub fn finding(searched: &Searched, view: &View, seen: &Seen, alternatives: &[Candidate]) -> Finding {
    let Searched { settled, space, events: rows, names, prior } = searched;
    let close = &seen.close;
    let effects = Effects { rows: &view.levels[0], columns: &view.levels[1] };
    let strata = close.part(&|_, _| true);
    let thresholds = thresholds(&strata, &effects, view.rectangle);
    let rectangle = thresholds.rectangle;
    let unknown = RatioEstimate { ratio: f64::NAN, lower: 0.0, upper: f64::INFINITY, log_likelihood_ratio: 0.0 };
    let RatioEstimate { ratio, lower, upper, log_likelihood_ratio } =
        ratio(&strata, &effects, rectangle).unwrap_or(unknown);
    let table = Table {
        rows: close.rows,
        columns: close.columns,
        expected: seen.records.clone(),
        observed: strata.observed.clone(),
    };
    let observed = table.inside(&table.observed, &rectangle);
    let outside = table.observed.iter().sum::<f64>() - observed;
    let records = table.inside(&table.expected, &rectangle);
    let other_records = table.expected.iter().sum::<f64>() - records;
    let crude_ratio = (observed / records) / (outside / other_records);
    let spread = libm::exp(1.96 * libm::sqrt(1.0 / observed.max(0.5) + 1.0 / outside.max(0.5)));
    let coarse = space.observed(view.candidate.slab, view.candidate.pair);
    let (own, interaction_score) = shrunk(&coarse, &view.candidate.rectangle, prior);
    let if_dated_late = LATE_DAYS.iter().enumerate().map(|(place, days)| {
        let moved = Close { events: view.events(settled, rows, Some(place)), ..close.clone() };
        (*days, ratio_alone(&moved.part(&|_, _| true), &effects, rectangle))
    });
    let edge_sets = [thresholds.row_edges, thresholds.column_edges];
    let condition = |place: usize| condition(view, &rectangle, edge_sets[place], place, names);
    Finding {
        conditions: [condition(0), condition(1)],
        attribute: attribute(view.value, names),
        ratio,
        ratio_lower: lower,
        ratio_upper: upper,
        crude_ratio,
        crude_lower: crude_ratio / spread,
        crude_upper: crude_ratio * spread,
        observed,
        expected: observed / ratio,
        attributable: observed * (1.0 - 1.0 / ratio),
        p_value: view.candidate.p_value,
        score: view.candidate.score,
        log_likelihood_ratio,
        ebgm: own.ebgm,
        eb05: own.eb05,
        eb95: own.eb95,
        interaction_score,
        halves: [0, 1].map(|half| replicated(view, close, rectangle, names, &|_, other| other == half)),
        left_out_zone: left_out(view, close, rectangle, names, |name| Some(name.0.clone())),
        left_out_year: left_out(view, close, rectangle, names, |name| name.1),
        by_fit: None,
        if_dated_late: if_dated_late.collect(),
        alternatives: alternatives
            .iter()
            .map(|other| Alternative {
                conditions: words(settled, other, names),
                attribute: attribute((other.slab > 0).then(|| settled.slabs[other.slab - 1]), names),
                log_likelihood_ratio: other.log_likelihood_ratio,
            })
            .collect(),
    }
}

/// Chooses thresholds where `left_out` does not hold, and reads their ratio where it does.
fn replicated(view: &View, close: &Close, sides: Rectangle, names: &Names, left_out: &Keep) -> Option<Replication> {
    let effects = Effects { rows: &view.levels[0], columns: &view.levels[1] };
    let chosen = likeliest(&close.part(&|stratum, half| !left_out(stratum, half)), &effects, sides)?;
    let estimate = ratio(&close.part(left_out), &effects, chosen)?;
    let value = |place: usize, side: Side, edge: usize| {
        names.channels[view.channels[place]].value(threshold_code(&view.binnings[place], side, edge))
    };
    Some(Replication {
        thresholds: [value(0, chosen.row_side, chosen.row_edge), value(1, chosen.column_side, chosen.column_edge)],
        ratio: estimate.ratio,
        ratio_lower: estimate.lower,
        ratio_upper: estimate.upper,
    })
}

type Keep<'a> = dyn Fn(u32, u8) -> bool + Sync + 'a;

/// The same for each zone or year, as `of` names it, the ratio alone.
fn left_out<N: Ord + Clone + Send + Sync>(
    view: &View,
    close: &Close,
    sides: Rectangle,
    names: &Names,
    of: impl Fn(&(String, Option<i32>)) -> Option<N> + Sync,
) -> Vec<(N, Option<f64>)> {
    let mut all: Vec<N> = names.strata.iter().filter_map(&of).collect();
    all.sort_unstable();
    all.dedup();
    if all.len() < 2 {
        return Vec::new();
    }
    let effects = Effects { rows: &view.levels[0], columns: &view.levels[1] };
    all.into_par_iter()
        .map(|name| {
            let own = |stratum: u32| of(&names.strata[stratum as usize]).as_ref() == Some(&name);
            let chosen = likeliest(&close.part(&|stratum, _| !own(stratum)), &effects, sides);
            let ratio =
                chosen.and_then(|chosen| ratio_alone(&close.part(&|stratum, _| own(stratum)), &effects, chosen));
            (name, ratio)
        })
        .collect()
}

/// A candidate's conditions in words, by the bins of the search.
fn words(settled: &Settled, one: &Candidate, names: &Names) -> [String; 2] {
    let (a, b) = settled.cube.pairs[one.pair];
    let word = |place: usize, side: Side, edge: usize| {
        let channel = &names.channels[settled.channels[place]];
        let value = channel.value(threshold_code(&settled.binnings[place], side, edge));
        format!("{} {} {value}", channel.name, sign(side, channel))
    };
    let Rectangle { row_side, row_edge, column_side, column_edge } = one.rectangle;
    [word(a, row_side, row_edge), word(b, column_side, column_edge)]
}

/// A falling factor turns the order of codes around.
pub(super) fn sign(side: Side, channel: &Channel) -> &'static str {
    if (side == Side::Below) == (channel.factor > 0.0) { "<" } else { ">" }
}

fn attribute(value: Option<(usize, u32)>, names: &Names) -> Option<(String, String)> {
    let (attribute, value) = value?;
    let (name, values) = names.attributes.get(attribute)?;
    Some((name.clone(), values.get(value as usize)?.clone()))
}

fn condition(view: &View, rectangle: &Rectangle, set: (usize, usize), place: usize, names: &Names) -> Condition {
    let channel = &names.channels[view.channels[place]];
    let binning = &view.binnings[place];
    let (side, edge) = match place {
        0 => (rectangle.row_side, rectangle.row_edge),
        _ => (rectangle.column_side, rectangle.column_edge),
    };
    // It lies beyond the last code before the lowest edge, and not beyond the highest edge's own.
    let value = |code: u16| channel.value(u32::from(code));
    let (one, other) = (value(binning.last_before[set.0]), value(binning.edges[set.1]));
    Condition {
        channel: channel.name.clone(),
        unit: channel.unit.clone(),
        is: sign(side, channel),
        threshold: channel.value(threshold_code(binning, side, edge)),
        lowest: one.min(other),
        highest: one.max(other),
    }
}
