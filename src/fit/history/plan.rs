//! What a fit settles before it reads a record, and what it does when the records are there.
//!
//! Key idea: the groups of modes that share parts, what is free in each, and which vehicles are looked at all follow from
//! the model and the small tables. Then one scan keeps the records of those vehicles, and every group is fitted from
//! them.
//!
//! Units: days of the dataset's axis; bytes.

use rayon::prelude::*;

use super::build::{Calendar, FixedRates, Group, Vehicle, event_codes, is_constant, report_delays};
use super::error::HistoryFitError;
use super::estimate::{GroupFit, Task};
use super::law::{Law, Source};
use super::likelihood::{Delays, Lives, VehicleLives};
use super::lives::{Dates, LATE_DAYS, LifeCounts, known_on};
use super::request::{FitRequest, check_counts, restricted, shared};
use super::sample::{Collected, Strata, Stratum, chances, lot};
use crate::fleet::dataset::Dataset;
use crate::fleet::vehicles::{EventKind, FleetEvent, Ids, day_of};
use crate::model::compile::compile;
use crate::model::error::nearest;
use crate::model::free::ParameterPath;
use crate::model::spec::Model;
use crate::run::{Control, Interrupted};
use crate::simulate::report_delay::ReportDelay;

/// A vehicle's records take so much more than their bytes while lives are made of them.
const OVERHEAD: f64 = 1.6;
/// Of the memory limit, for the records of the sample.
const SHARE_OF_MEMORY: f64 = 0.6;
/// Fewest vehicles that a sample is made of, whatever the memory limit.
const FEWEST_VEHICLES: u64 = 200;

/// A fit, settled but for the records.
pub struct SettledFit<'a> {
    request: &'a FitRequest,
    dataset: &'a Dataset,
    /// The modes that are fitted.
    model: Model,
    /// Place of each of them in the model as given.
    given: Vec<usize>,
    ids: Ids,
    groups: Vec<Group>,
    rates: FixedRates,
    /// Indices into the dictionary's channels, to be read in this order.
    pub channels: Vec<usize>,
    calendar: Calendar,
    delays: Delays,
    delay: Option<ReportDelay>,
    /// By group and stratum.
    strata: Vec<Strata>,
    /// By group: known vehicles with a failure.
    failed: Vec<Vec<bool>>,
    /// Each known vehicle's number below one.
    lots: Vec<f64>,
    candidates: Vec<bool>,
    /// Known vehicles whose records are wanted.
    pub wanted: Vec<bool>,
}

/// What came of a fit.
#[derive(Clone, Debug)]
pub struct HistoryFit {
    /// The model with the fitted values, its covariance that which `simulate` draws from.
    pub model: Model,
    /// One a group of modes that share parts. Places of modes and parameters are those of the model as given.
    pub groups: Vec<GroupFit>,
    pub as_of_day: i32,
    pub delay: Option<ReportDelay>,
    pub vehicles: u64,
    pub sampled: u64,
    pub warnings: Vec<String>,
}

impl<'a> SettledFit<'a> {
    /// # Errors
    ///
    /// Nothing free, unknown modes, no failures at all; channels or attributes that the dataset lacks.
    pub fn new(dataset: &'a Dataset, given: &Model, request: &'a FitRequest) -> Result<Self, HistoryFitError> {
        let vehicles = &dataset.vehicles;
        if dataset.dictionary.events.is_none() {
            return Err(HistoryFitError::NoEvents);
        }
        if vehicles.events.iter().all(|event| event.kind != EventKind::Failure) {
            return Err(HistoryFitError::NoFailures);
        }
        let (model, places) = restricted(given, request)?;
        let schema = dataset.dictionary.schema();
        let free = model.free_parameters();
        let channels = compile(&model, &schema)?.channels;
        let rates = FixedRates::new(&model, &free, &schema, &channels)?;
        let mut groups = Vec::new();
        for modes in shared(&model)? {
            let own: Vec<ParameterPath> = free.iter().copied().filter(|path| modes.contains(&path.mode())).collect();
            check_counts(&model, &modes, &own)?;
            let law = Law::new(&model, &modes, &own, &schema.channels);
            let first = &model.modes[modes[0]];
            let (component, positions) = event_codes(vehicles, first);
            let column = |source: &Source| match source {
                Source::Channel(name) => channels.iter().position(|&index| schema.channels[index].name == *name),
                Source::Interactions { .. } => None,
            };
            let constant = modes.iter().flat_map(|&mode| &model.modes[mode].mechanisms);
            groups.push(Group {
                columns: law.sources.iter().map(column).collect(),
                component,
                positions,
                constant_rates: constant.into_iter().all(is_constant),
                law,
            });
        }
        let calendar = Calendar::of(dataset);
        let (delay, delays) = report_delays(dataset, &model, request.as_of_day);
        let mut plan = Self {
            request,
            dataset,
            given: places,
            ids: dataset.ids.ids(),
            groups,
            rates,
            channels,
            calendar,
            delays,
            delay,
            strata: Vec::new(),
            failed: Vec::new(),
            lots: Vec::new(),
            candidates: Vec::new(),
            wanted: Vec::new(),
            model,
        };
        plan.choose();
        Ok(plan)
    }

    /// Chooses the vehicles.
    fn choose(&mut self) {
        let vehicles = &self.dataset.vehicles;
        let known = vehicles.known;
        self.lots = (0..known).map(|vehicle| lot(&self.ids, vehicle, self.request.seed, 0)).collect();
        let of_model: Vec<u32> = self.groups.iter().filter_map(|group| group.component).collect();
        let mut replaced = vec![false; known];
        self.failed = vec![vec![false; known]; self.groups.len()];
        for event in vehicles.events.iter().filter(|event| known_on(event, self.request.as_of_day)) {
            let vehicle = event.vehicle as usize;
            replaced[vehicle] |= event.kind == EventKind::Replacement && of_model.contains(&event.component);
            for (group, failed) in self.groups.iter().zip(&mut self.failed) {
                failed[vehicle] |= group.is_failure(event);
            }
        }
        let since = self.request.events_since.or(self.dataset.earliest_day()).unwrap_or(i32::MIN);
        let known_since = since.saturating_sub(LATE_DAYS + self.calendar.record_days);
        let as_of = self.request.as_of_day;
        self.candidates = (0..known)
            .map(|vehicle| {
                replaced[vehicle]
                    || vehicles.in_service_day(vehicle).is_some_and(|day| (known_since..=as_of).contains(&day))
            })
            .collect();
        let count = |failed: &[bool], wanted: bool| {
            self.candidates.iter().zip(failed).filter(|(candidate, failed)| **candidate && **failed == wanted).count()
                as u64
        };
        let numbers: Vec<[u64; 2]> =
            self.failed.iter().map(|failed| [count(failed, false), count(failed, true)]).collect();
        // What is looked at for one group is at hand for all, but each may have failures of its own.
        let room = self.room();
        let mut share = room;
        let mut drawn;
        loop {
            drawn = numbers.iter().map(|numbers| chances(*numbers, share)).collect::<Vec<_>>();
            self.wanted = (0..known)
                .map(|vehicle| self.candidates[vehicle] && self.chance(&drawn, vehicle) > self.lots[vehicle])
                .collect();
            let wanted = self.wanted.iter().filter(|wanted| **wanted).count() as u64;
            if wanted <= room + room / 8 || share <= FEWEST_VEHICLES {
                break;
            }
            share = (share * 7 / 8).max(FEWEST_VEHICLES);
        }
        self.strata = numbers
            .iter()
            .zip(&drawn)
            .map(|(numbers, chances)| {
                [0, 1].map(|one| Stratum { vehicles: numbers[one], sampled: 0, chance: chances[one] })
            })
            .collect();
        for vehicle in 0..known {
            for (group, strata) in self.strata.iter_mut().enumerate() {
                let stratum = usize::from(self.failed[group][vehicle]);
                let inside = self.candidates[vehicle] && self.lots[vehicle] < strata[stratum].chance;
                strata[stratum].sampled += u64::from(inside);
            }
        }
    }

    /// The greatest chance of a vehicle in any group.
    fn chance(&self, drawn: &[[f64; 2]], vehicle: usize) -> f64 {
        drawn
            .iter()
            .zip(&self.failed)
            .map(|(chances, failed)| chances[usize::from(failed[vehicle])])
            .fold(0.0, f64::max)
    }

    /// How many vehicles to look at.
    fn room(&self) -> u64 {
        if let Some(sample) = self.request.sample {
            return sample.max(1);
        }
        let known = self.dataset.vehicles.known.max(1) as f64;
        let rows = (self.dataset.history_rows() as f64 / known).max(1.0);
        let of_law = |law: &Law| {
            let moving = law.mechanisms.iter().filter(|one| !one.columns.is_empty()).count();
            4 * moving + 2 * law.sources.len()
        };
        let moving: usize = self.groups.iter().map(|group| of_law(&group.law)).sum();
        let record = 4 + 2 * self.channels.len() + moving;
        let bytes = OVERHEAD * rows * record as f64 + 2_000.0;
        let fit = SHARE_OF_MEMORY * self.request.memory_limit_bytes as f64 / bytes;
        (fit as u64).max(FEWEST_VEHICLES)
    }

    /// Fits every group from the records of the wanted vehicles, on the current rayon pool.
    ///
    /// # Errors
    ///
    /// Interruption.
    pub fn finish(mut self, collected: Collected, control: &Control) -> Result<HistoryFit, Interrupted> {
        let mut records = collected.vehicles;
        // By id, so that sums have one order whatever the vehicles' indices.
        match &self.ids {
            Ids::Integer(ids) => records.sort_by_key(|(vehicle, _)| ids[*vehicle as usize]),
            Ids::Text(ids) => records.sort_by(|a, b| ids[a.0 as usize].cmp(&ids[b.0 as usize])),
        }
        control.check()?;
        let built: Vec<(Vec<Option<VehicleLives>>, Vec<LifeCounts>)> =
            records.into_par_iter().map(|(vehicle, kept)| self.build(vehicle, &kept)).collect();
        let mut lives: Vec<Vec<VehicleLives>> = self.groups.iter().map(|_| Vec::new()).collect();
        let mut counts = vec![LifeCounts::default(); self.groups.len()];
        for (own, own_counts) in built {
            for (group, vehicle) in own.into_iter().enumerate() {
                lives[group].extend(vehicle);
            }
            for (sum, own) in counts.iter_mut().zip(&own_counts) {
                sum.add(own);
            }
        }
        let mut fits = Vec::with_capacity(self.groups.len());
        let mut warnings = self.warnings();
        for ((group, vehicles), counts) in self.groups.iter().zip(lives).zip(counts) {
            control.check()?;
            let lives = Lives { vehicles, delays: self.delays.clone() };
            let strata = self.strata[fits.len()];
            let random = |stream: usize, place: usize| {
                let vehicle = lives.vehicles[place].vehicle as usize;
                -libm::log((1.0 - lot(&self.ids, vehicle, self.request.seed, 1 + stream as u32)).max(1e-300))
            };
            let modes: Vec<usize> = group.law.modes.iter().map(|mode| mode.mode).collect();
            let task = Task {
                model: &self.model,
                modes: &modes,
                law: &group.law,
                lives: &lives,
                strata,
                counts,
                replicates: self.request.replicates,
                random: &random,
            };
            fits.push(task.fit());
        }
        for fit in &fits {
            warn_of(&self.model, fit, &mut warnings);
        }
        let vehicles = self.candidates.iter().filter(|candidate| **candidate).count() as u64;
        let sampled = self.wanted.iter().filter(|wanted| **wanted).count() as u64;
        let given = std::mem::take(&mut self.given);
        Ok(HistoryFit {
            model: self.model.clone(),
            groups: fits.into_iter().map(|fit| fit.at_given(&given)).collect(),
            as_of_day: self.request.as_of_day,
            delay: self.delay.clone(),
            vehicles,
            sampled,
            warnings,
        })
    }

    fn build(&self, vehicle: u32, kept: &super::sample::Kept) -> (Vec<Option<VehicleLives>>, Vec<LifeCounts>) {
        let index = vehicle as usize;
        let vehicles = &self.dataset.vehicles;
        let as_of = self.request.as_of_day;
        let from = vehicles.events.partition_point(|event| event.vehicle < vehicle);
        let events: Vec<&FleetEvent> = vehicles.events[from..]
            .iter()
            .take_while(|event| event.vehicle == vehicle)
            .filter(|event| known_on(event, as_of))
            .collect();
        let dates = Dates {
            in_service_day: vehicles.in_service_day(index).filter(|&day| day <= as_of),
            last_day: day_of(&vehicles.end_day, index).map_or(as_of, |day| day.min(as_of)),
            record_days: self.calendar.record_days,
            events_since: self.request.events_since,
            prior_use_days: self.request.prior_use_days as i32,
            constant_rates: false,
        };
        let masks = self.rates.masks(vehicles, index);
        let increments = self.rates.increments(kept, self.channels.len(), &masks);
        let of = Vehicle { vehicle, kept, width: self.channels.len(), increments: &increments, events: &events, dates };
        let mut counts = vec![LifeCounts::default(); self.groups.len()];
        let built = self
            .groups
            .iter()
            .enumerate()
            .map(|(number, group)| {
                let stratum = usize::from(self.failed[number][index]);
                let Stratum { vehicles, sampled, chance } = self.strata[number][stratum];
                if self.lots[index] >= chance {
                    return None;
                }
                let mut built = group.build(&of, &self.rates, &self.calendar, &self.delays, &mut counts[number])?;
                built.weight = vehicles as f64 / sampled.max(1) as f64;
                built.stratum = stratum as u8;
                Some(built)
            })
            .collect();
        (built, counts)
    }

    /// What is known to be amiss before the fit.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let components = &self.dataset.vehicles.components;
        for mode in &self.model.modes {
            if !components.contains(&mode.component) {
                let near = nearest(&mode.component, components.iter().map(String::as_str));
                let near = near.map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
                warnings.push(format!(
                    "failure mode {}: no event names the component {:?}{near}: it counts as never failed",
                    mode.id, mode.component
                ));
            }
        }
        if self.delay.is_none() {
            warnings.push(
                "too few failures say both when they occurred and when they were reported: every failure counts as known at once"
                    .to_owned(),
            );
        }
        warnings
    }
}

impl GroupFit {
    /// The same with places of the model as it was given.
    fn at_given(mut self, given: &[usize]) -> Self {
        self.modes.iter_mut().for_each(|mode| *mode = given[*mode]);
        for estimate in &mut self.estimates {
            estimate.path = match estimate.path {
                ParameterPath::WeibullShape { mode } => ParameterPath::WeibullShape { mode: given[mode] },
                ParameterPath::Mechanism { mode, mechanism, parameter } => {
                    ParameterPath::Mechanism { mode: given[mode], mechanism, parameter }
                }
            };
        }
        self
    }
}

fn warn_of(model: &Model, fit: &GroupFit, warnings: &mut Vec<String>) {
    let names: Vec<&str> = fit.modes.iter().map(|&mode| model.modes[mode].id.as_str()).collect();
    let names = names.join(", ");
    if !fit.converged {
        warnings.push(format!("failure mode {names}: the likelihood's maximum was not reached"));
    }
    if fit.failures == 0 {
        warnings.push(format!("failure mode {names}: no part failed: its lives are bounded from below, not estimated"));
    }
    for (reason, out) in fit.counts.left_out.iter().filter(|(_, out)| out.failures > 0) {
        let (lives, failures) = (out.lives, out.failures);
        warnings.push(format!("failure mode {names}: {lives} lives with {failures} failures left out: {reason}"));
    }
}
