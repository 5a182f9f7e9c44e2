//! From the survival kernel's chances of a batch to rows of the forecasts and counts of groups: the course of every
//! part ([`super::course`]), those that compete together.
//!
//! Units: clocks and increments in Q48 lives; chances in Q48 summed over paths.

use super::course::{Service, Start, WORTH_RENEWING};
use super::expected::{ExpectedSums, PartCounts, failed_since};
use super::paths::BLOCK_WEEKS;
use super::survive::{PartForecast, World};
use crate::backend::survival::{PART_BITS, PathPlan};
use crate::model::compiled::CompiledModel;
use crate::model::life::lives;
use crate::score::parts::Parts;

/// Weeks up to today whose wear tells which mode has failed: as old as a reported failure is, more or less.
const WEEKS_BEFORE_FAILURE: usize = 13;

/// Rows of [`Parts::rows`] that stand for one part: modes that compete, or a mode by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSet {
    pub rows: Vec<usize>,
    pub competes: bool,
}

/// The rows of a vehicle in sets. Modes of one component that compete stand together where they share a position.
pub fn row_sets(parts: &Parts, model: &CompiledModel) -> Vec<RowSet> {
    let mut sets: Vec<RowSet> = Vec::new();
    for (row, template) in parts.rows.iter().enumerate() {
        let competes = model.modes[template.mode].competes;
        let rival = |set: &&mut RowSet| competes && set.competes && parts.rows[set.rows[0]].part == template.part;
        match sets.iter_mut().find(rival) {
            Some(set) => set.rows.push(row),
            None => sets.push(RowSet { rows: vec![row], competes }),
        }
    }
    sets
}

/// Modes that share a part in some set, once each.
pub fn mode_sets(parts: &Parts, sets: &[RowSet]) -> Vec<Vec<usize>> {
    let mut of_modes: Vec<Vec<usize>> = Vec::new();
    for set in sets {
        let modes = set.rows.iter().map(|&row| parts.rows[row].mode);
        let mut joined: Vec<usize> = modes.collect();
        // Positions of one mode may have rivals that others lack.
        of_modes.retain(|known| {
            let apart = !known.iter().any(|mode| joined.contains(mode));
            if !apart {
                joined.extend(known);
            }
            apart
        });
        joined.sort_unstable();
        joined.dedup();
        of_modes.push(joined);
    }
    of_modes.sort_unstable();
    of_modes
}

/// What a vehicle uses up in each future block, a mean over paths: which source weeks it lives through, how often.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanUse {
    blocks: usize,
    /// `[zone * blocks + block]`: (source week, mean number of times).
    sources: Vec<Vec<(u16, f64)>>,
}

impl MeanUse {
    pub fn new(plan: &PathPlan) -> Self {
        let blocks = plan.weeks.div_ceil(BLOCK_WEEKS);
        let mut sources = Vec::with_capacity(plan.zones * blocks);
        let mut times = vec![0_u32; plan.source_weeks];
        for zone in 0..plan.zones {
            for block in 0..blocks {
                times.fill(0);
                for path in 0..plan.paths {
                    for week in block * BLOCK_WEEKS..plan.weeks.min((block + 1) * BLOCK_WEEKS) {
                        let source = plan.source_week[(zone * plan.paths + path) * plan.weeks + week];
                        times[usize::from(source)] += 1;
                    }
                }
                let lived = times.iter().zip(0_u16..).filter(|(times, _)| **times > 0);
                sources.push(lived.map(|(&times, week)| (week, f64::from(times) / plan.paths as f64)).collect());
            }
        }
        Self { blocks, sources }
    }

    /// Adds to `ahead` what one mechanism will have used up by the beginning of every block and by the end, in lives.
    fn of(&self, zone: u32, increments_q48: &[u64], ahead: &mut Vec<f64>) {
        let mut sum = 0.0;
        ahead.push(sum);
        for sources in &self.sources[zone as usize * self.blocks..][..self.blocks] {
            sum += sources.iter().map(|&(week, times)| times * lives(increments_q48[usize::from(week)])).sum::<f64>();
            ahead.push(sum);
        }
    }
}

/// What a batch gave to the survival kernel and got back.
#[derive(Clone, Debug, PartialEq)]
pub struct Pushed {
    /// One a vehicle in service.
    pub cells: Vec<u32>,
    pub zones: Vec<u32>,
    /// `[vehicle * rows + row]`: [`super::failed_parts`].
    pub failed: Vec<bool>,
    /// One a vehicle: days until its last in service, where that is announced.
    pub days_left: Vec<Option<u32>>,
    /// In the model's order.
    pub modes: Vec<PushedMode>,
}

/// The parts of one mode: vehicles in order, of each its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct PushedMode {
    /// Of [`Parts::rows`].
    pub rows: Vec<usize>,
    /// Part-major, one a mechanism.
    pub clocks_q48: Vec<u64>,
    /// Part-major, one a column.
    pub failed_q48: Vec<u64>,
}

/// What a batch is settled by.
pub struct Settled<'a> {
    pub world: &'a World<'a>,
    pub model: &'a CompiledModel,
    /// `[(vehicle * mechanisms + mechanism) * weeks + week]`, gaps filled.
    pub increments_q48: &'a [u64],
}

impl Settled<'_> {
    fn increments(&self, place: usize, mechanism: usize) -> &[u64] {
        let weeks = self.world.calendar.weeks;
        &self.increments_q48[(place * self.model.mechanisms.len() + mechanism) * weeks..][..weeks]
    }

    /// Of every row: the chances to have failed in the past weeks, unreported; empty where no delay is known.
    pub fn unreported(&self, pushed: &Pushed) -> Vec<Vec<f64>> {
        let not_yet = self.world.courses.not_yet();
        let rows = self.world.parts.rows.len();
        let mut unreported = vec![Vec::new(); pushed.cells.len() * rows];
        if not_yet.is_empty() {
            return unreported;
        }
        let mut used = Vec::new();
        for (mode, parts) in pushed.modes.iter().enumerate() {
            let mechanisms = self.model.modes[mode].mechanisms.clone();
            for place in 0..pushed.cells.len() {
                used.clear();
                for mechanism in mechanisms.clone() {
                    let mut sum = 0.0;
                    used.push(sum);
                    let past = self.increments(place, mechanism).iter().rev().copied().chain(std::iter::repeat(0));
                    used.extend(past.take(not_yet.len()).map(|increment| {
                        sum += lives(increment);
                        sum
                    }));
                }
                for (own, &row) in parts.rows.iter().enumerate().filter(|(_, row)| !pushed.failed[place * rows + **row])
                {
                    let clocks: Vec<f64> =
                        parts.clocks(place, own, mechanisms.len()).iter().copied().map(lives).collect();
                    let use_of = |mechanism: usize, weeks: usize| used[mechanism * (not_yet.len() + 1) + weeks];
                    unreported[place * rows + row] = self.world.laws[mode].failed_unreported(&clocks, not_yet, use_of);
                }
            }
        }
        unreported
    }

    /// Of every row of a vehicle whose part has failed: the chance that it was this mode's failure. Events do not say, so
    /// modes divide it in the proportion of the hazards that the last weeks brought them; evenly where those brought none.
    fn failed_by(&self, pushed: &Pushed, place: usize) -> Vec<f64> {
        let templates = &self.world.parts.rows;
        let mut hazards = vec![0.0; templates.len()];
        let has_failed = |row: &usize| pushed.failed[place * templates.len() + row];
        let failed: Vec<usize> = (0..templates.len()).filter(has_failed).collect();
        for &row in &failed {
            let mode = templates[row].mode;
            let mechanisms = self.model.modes[mode].mechanisms.clone();
            let lately: Vec<f64> = (mechanisms.clone())
                .map(|mechanism| {
                    let weeks = self.increments(place, mechanism).iter().rev().take(WEEKS_BEFORE_FAILURE);
                    weeks.copied().map(lives).sum()
                })
                .collect();
            let parts = &pushed.modes[mode];
            let own = parts.rows.iter().position(|&one| one == row).unwrap_or(0);
            let clocks: Vec<f64> = parts.clocks(place, own, mechanisms.len()).iter().copied().map(lives).collect();
            hazards[row] = self.world.laws[mode].hazard_of(&clocks, &lately);
        }
        let mut chances = vec![0.0; templates.len()];
        for &row in &failed {
            let rivals = || failed.iter().filter(|&&other| templates[other].part == templates[row].part);
            let sum: f64 = rivals().map(|&other| hazards[other]).sum();
            let is_known = sum > 0.0 && sum.is_finite();
            chances[row] = if is_known { hazards[row] / sum } else { 1.0 / rivals().count().max(1) as f64 };
        }
        chances
    }

    /// Fills in the rows and adds to the sums.
    pub fn settle(&self, pushed: &Pushed, unreported: &[Vec<f64>], rows: &mut [PartForecast], expected: &ExpectedSums) {
        let world = self.world;
        let (templates, columns) = (&world.parts.rows, world.plan.columns());
        let scale = world.plan.paths as f64 * (1_u64 << PART_BITS) as f64;
        let mut ahead: Vec<Vec<f64>> = vec![Vec::new(); self.model.modes.len()];
        for (place, &cell) in pushed.cells.iter().enumerate() {
            ahead.iter_mut().for_each(Vec::clear);
            let failed_by = self.failed_by(pushed, place);
            for set in &world.sets {
                let failed: Vec<&[u64]> =
                    set.rows.iter().map(|&row| pushed.modes[templates[row].mode].failed(place, row, columns)).collect();
                let chances: Vec<Vec<f64>> =
                    failed.iter().map(|failed| failed.iter().map(|&sum| sum as f64 / scale).collect()).collect();
                // All rows of a set are the same part.
                let has_failed = set.rows.iter().any(|&row| pushed.failed[place * templates.len() + row]);
                let doubtful = |row: usize| has_failed || !unreported[place * templates.len() + row].is_empty();
                let mut at_all = 0.0;
                for (&row, chances) in set.rows.iter().zip(&chances) {
                    let law = &world.laws[templates[row].mode];
                    let by_then = chances[..world.plan.weeks].last().copied().unwrap_or(0.0);
                    at_all += if law.wears && !doubtful(row) { by_then } else { 1.0 };
                }
                if at_all >= WORTH_RENEWING {
                    for &row in &set.rows {
                        let mode = templates[row].mode;
                        if ahead[mode].is_empty() {
                            for mechanism in self.model.modes[mode].mechanisms.clone() {
                                let increments = self.increments(place, mechanism);
                                world.ahead.of(pushed.zones[place], increments, &mut ahead[mode]);
                            }
                        }
                    }
                }
                let start = |(&row, chances): (&usize, &Vec<f64>)| Start {
                    law: &world.laws[templates[row].mode],
                    fails: weekly(&chances[..world.plan.weeks]),
                    unreported: &unreported[place * templates.len() + row],
                    use_ahead: if at_all >= WORTH_RENEWING { &ahead[templates[row].mode] } else { &[] },
                };
                let starts: Vec<Start> = set.rows.iter().zip(&chances).map(start).collect();
                let service = match pushed.days_left[place] {
                    Some(days) if days < world.horizon_days() => Service::Until { days },
                    None if set.competes => Service::MayRetire,
                    _ => Service::Stays,
                };
                let courses = match has_failed {
                    true => world.courses.follow_failed(&starts, service),
                    false => world.courses.follow(&starts, service),
                };
                for (at, (&row, course)) in set.rows.iter().zip(&courses).enumerate() {
                    let mode = templates[row].mode;
                    let counts = PartCounts::new(course, &chances[at], world.plan, &world.courses);
                    expected.add(cell as usize * self.model.modes.len() + mode, &counts);
                    let part = &mut rows[place * templates.len() + row];
                    if has_failed {
                        let failed_q48 = libm::rint(failed_by[row] * scale) as u64;
                        part.fill_in_failed(failed_q48, world, world.alerts[mode].is_some());
                    } else if set.rows.len() > 1 || service != Service::Stays || course.failed_already > 0.0 {
                        let net = failed_since(course, &chances[at], world.plan);
                        let net_q48: Vec<u64> = net.iter().map(|chance| libm::rint(chance * scale) as u64).collect();
                        let already_q48 = libm::rint(course.failed_already * scale) as u64;
                        part.fill_in(&net_q48, already_q48, world, world.alerts[mode]);
                    } else {
                        part.fill_in(failed[at], 0, world, world.alerts[mode]);
                    }
                }
            }
        }
    }
}

/// What is added from week to week.
fn weekly(cumulative: &[f64]) -> Vec<f64> {
    let before = std::iter::once(0.0).chain(cumulative.iter().copied());
    cumulative.iter().zip(before).map(|(now, before)| now - before).collect()
}

impl PushedMode {
    fn part(&self, place: usize, row: usize) -> usize {
        let own = self.rows.iter().position(|&one| one == row).unwrap_or(0);
        place * self.rows.len() + own
    }

    fn failed(&self, place: usize, row: usize, columns: usize) -> &[u64] {
        &self.failed_q48[self.part(place, row) * columns..][..columns]
    }

    fn clocks(&self, place: usize, own: usize, mechanisms: usize) -> &[u64] {
        &self.clocks_q48[(place * self.rows.len() + own) * mechanisms..][..mechanisms]
    }
}
