//! From a vehicle's records to its lives with the sums that their likelihood needs.
//!
//! Key idea: increments are those of the compiled model whose free curves and ratios are taken out, so a clock that no
//! free parameter touches is the very clock of the scores. A record that adds nothing to any of a group's mechanisms
//! cannot have been the one on which a part failed.
//!
//! Units: increments in lives at the model's characteristic lives.

use super::law::{Law, Source};
use super::likelihood::{Delays, End, Life, VehicleLives};
use super::lives::{Dates, LifeCounts, Position, Records, is_failure, lives};
use super::sample::Kept;
use crate::fixed::exp2::increment_q48;
use crate::fleet::dataset::Dataset;
use crate::fleet::dictionary::Period;
use crate::fleet::tables::NO_VALUE;
use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::{FleetEvent, Vehicles};
use crate::model::channel::Schema;
use crate::model::compile::compile;
use crate::model::compiled::CompiledModel;
use crate::model::error::ModelError;
use crate::model::free::{FreeParameter, ParameterPath};
use crate::model::life::lives as in_lives;
use crate::model::spec::{Exposure, FailureMode, Mechanism, Model};
use crate::model::tables::{GROUP_LANES, Lanes, TableInput};
use crate::score::parts::Parts;
use crate::simulate::report_delay::ReportDelay;
use crate::simulate::weeks::{DAYS_PER_WEEK, RecordLength, WeekAxis, span};

/// The model without its free curves and ratios, laid over the columns of the records.
#[derive(Debug)]
pub struct FixedRates {
    model: CompiledModel,
    /// Column of the records behind each of the compiled model's channels.
    columns: Vec<usize>,
}

/// One vehicle's increments, and the interactions that its records meet.
#[derive(Debug, Default)]
pub struct Increments {
    /// By mechanism of the model, by record.
    lives: Vec<Vec<f64>>,
    /// By table group, by record.
    met: Vec<Vec<u32>>,
}

impl Increments {
    /// Of a mechanism of the model, by record.
    pub fn of(&self, mechanism: usize) -> &[f64] {
        &self.lives[mechanism]
    }
}

impl FixedRates {
    /// `channels`: the dictionary's channels that the records hold, in the order of their columns.
    pub fn new(model: &Model, free: &[ParameterPath], schema: &Schema, channels: &[usize]) -> Result<Self, ModelError> {
        let mut fixed = model.clone();
        for (mode, one) in fixed.modes.iter_mut().enumerate() {
            for (mechanism, own) in one.mechanisms.iter_mut().enumerate() {
                let is_free =
                    |parameter: FreeParameter| free.contains(&ParameterPath::Mechanism { mode, mechanism, parameter });
                for (interaction, own) in own.interactions.iter_mut().enumerate() {
                    if is_free(FreeParameter::Ratio { interaction }) {
                        own.ratio = 1.0;
                    }
                }
                let keys = |term: usize| {
                    free.iter().any(|path| {
                        matches!(path, ParameterPath::Mechanism { mode: m, mechanism: n, parameter: FreeParameter::Curve { term: t, .. } }
                            if (*m, *n, *t) == (mode, mechanism, term))
                    })
                };
                let held: Vec<bool> = (0..own.terms.len()).map(|term| !keys(term)).collect();
                let mut held = held.into_iter();
                own.terms.retain(|_| held.next().unwrap_or(true));
            }
        }
        let model = compile(&fixed, schema)?;
        let column = |channel: &usize| channels.iter().position(|one| one == channel).unwrap_or(0);
        Ok(Self { columns: model.channels.iter().map(column).collect(), model })
    }

    /// The increments of a vehicle's records.
    pub fn increments(&self, kept: &Kept, width: usize, masks: &[u32]) -> Increments {
        let tables = &self.model.tables;
        let rows = kept.ticks.len();
        let code = |row: usize, channel: usize| usize::from(kept.codes[row * width + self.columns[channel]]);
        let mut found = Increments {
            lives: vec![Vec::with_capacity(rows); tables.mechanisms],
            met: vec![Vec::with_capacity(rows); tables.groups.len()],
        };
        for (index, group) in tables.groups.iter().enumerate() {
            let first = index * GROUP_LANES;
            let lanes = (tables.mechanisms - first).min(GROUP_LANES);
            let mask = masks.get(index).copied().unwrap_or(0);
            for row in 0..rows {
                let mut sums_q18: Lanes = group.base_q18;
                let mut met = mask;
                for input in &group.inputs {
                    let code = match &self.model.inputs[input.input] {
                        TableInput::Channel(channel) => code(row, *channel),
                        TableInput::Pair { channel_a, channel_b, bins_a, bins_b } => {
                            usize::from(bins_a[code(row, *channel_a)] + bins_b[code(row, *channel_b)])
                        }
                    };
                    for (sum, entry) in sums_q18.iter_mut().zip(&input.rows_q18[code]) {
                        *sum += entry;
                    }
                    if let Some(masks) = &input.masks {
                        met &= masks[code];
                    }
                }
                found.met[index].push(met);
                while met != 0 {
                    let bit = met.trailing_zeros() as usize;
                    for (sum, entry) in sums_q18.iter_mut().zip(&group.interactions_q18[bit]) {
                        *sum += entry;
                    }
                    met &= met - 1;
                }
                for (lane, &sum) in sums_q18.iter().enumerate().take(lanes) {
                    found.lives[first + lane].push(in_lives(increment_q48(sum).0));
                }
            }
        }
        found
    }

    /// Interactions whose attribute conditions a vehicle meets.
    pub fn masks(&self, vehicles: &Vehicles, vehicle: usize) -> Vec<u32> {
        self.model.masks(&|name| {
            let attribute = vehicles.attributes.iter().find(|attribute| attribute.name == name)?;
            let code = attribute.code.get(vehicle).copied().unwrap_or(NO_VALUE);
            attribute.values.get(code as usize).map(String::as_str)
        })
    }

    /// Codes of the interactions of a mechanism that a law looks up: a bit for each.
    fn met(&self, increments: &Increments, mechanism: usize, ids: &[String]) -> Vec<u16> {
        let group = mechanism / GROUP_LANES;
        let bit_of = |id: &String| {
            let uses = |bit: &crate::model::compiled::CompiledInteraction| {
                bit.uses.iter().any(|(user, own, _)| *user == mechanism && own == id)
            };
            self.model.interactions[group].iter().position(uses).unwrap_or(0)
        };
        let bits: Vec<usize> = ids.iter().map(bit_of).collect();
        let code =
            |met: &u32| bits.iter().enumerate().fold(0, |code, (place, bit)| code | ((met >> bit & 1) as u16) << place);
        increments.met[group].iter().map(code).collect()
    }
}

/// A group of modes whose parts are the same, ready to be built for.
#[derive(Debug)]
pub struct Group {
    pub law: Law,
    /// Code of the component in the events table; `None`: no event names it.
    pub component: Option<u32>,
    /// Codes of the positions; one that no event names has a code of its own. Empty: one place without position.
    pub positions: Vec<u32>,
    /// By source of the law: the column of the records, where it is a channel.
    pub columns: Vec<Option<usize>>,
    pub constant_rates: bool,
}

/// How records become days.
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    pub axis: TimeAxis,
    pub length: RecordLength,
    pub record_days: i32,
}

impl Calendar {
    pub fn of(dataset: &Dataset) -> Self {
        let period = &dataset.dictionary.histories.period;
        Self {
            axis: dataset.axis,
            length: match period {
                Period::Day | Period::Trip => RecordLength::Day,
                Period::Week => RecordLength::Week,
                Period::Month => RecordLength::CalendarMonth,
                Period::Channel(_) => RecordLength::Column(0),
            },
            record_days: match dataset.axis {
                TimeAxis::Integer => 1,
                TimeAxis::Days | TimeAxis::SecondsSince2000 => libm::ceil(period.usual_days()) as i32,
            },
        }
    }
}

/// How the dataset's events name a mode's component and positions; those that none names have codes of their own.
pub fn event_codes(vehicles: &Vehicles, mode: &FailureMode) -> (Option<u32>, Vec<u32>) {
    let code = |names: &[String], name: &String| names.iter().position(|known| known == name).map(|code| code as u32);
    let positions = mode.positions.iter().enumerate();
    let positions =
        positions.map(|(place, name)| code(&vehicles.positions, name).unwrap_or(u32::MAX - place as u32)).collect();
    (code(&vehicles.components, &mode.component), positions)
}

/// Whether a mechanism wears by the day alone.
pub fn is_constant(mechanism: &Mechanism) -> bool {
    mechanism.exposure == Exposure::Days && mechanism.terms.is_empty() && mechanism.interactions.is_empty()
}

/// What the events say of the delay between occurrence and report, and that in days.
pub fn report_delays(dataset: &Dataset, model: &Model, as_of_day: i32) -> (Option<ReportDelay>, Delays) {
    let ticks_are_weeks = dataset.axis == TimeAxis::Integer && dataset.dictionary.histories.period == Period::Week;
    let axis = WeekAxis { axis: dataset.axis, ticks_are_weeks };
    let delay = ReportDelay::estimate(&dataset.vehicles, &Parts::of(model), axis, as_of_day);
    let unit_days = if ticks_are_weeks { DAYS_PER_WEEK } else { 1 };
    let delays = delay.as_ref().map_or_else(Delays::none, |law| Delays::of(&law.days, unit_days));
    (delay, delays)
}

/// A vehicle with its records.
#[derive(Clone, Copy)]
pub struct Vehicle<'a> {
    pub vehicle: u32,
    pub kept: &'a Kept,
    /// Channels of a record.
    pub width: usize,
    pub increments: &'a Increments,
    /// Its events known on the as-of day, in time.
    pub events: &'a [&'a FleetEvent],
    pub dates: Dates,
}

impl Group {
    /// The group's lives in a vehicle; `None`: it has none that count.
    pub fn build(
        &self,
        of: &Vehicle,
        rates: &FixedRates,
        calendar: &Calendar,
        delays: &Delays,
        counts: &mut LifeCounts,
    ) -> Option<VehicleLives> {
        let own: Vec<&FleetEvent> =
            of.events.iter().copied().filter(|event| Some(event.component) == self.component).collect();
        let ticks = &of.kept.ticks;
        let days = |tick: i32| match calendar.axis {
            TimeAxis::Integer => (tick, tick),
            TimeAxis::Days | TimeAxis::SecondsSince2000 => {
                span(calendar.length, calendar.axis.day(tick), calendar.record_days)
            }
        };
        let last_days: Vec<i32> = ticks.iter().map(|&tick| days(tick).1).collect();
        let mechanisms: Vec<&Vec<f64>> =
            self.law.mechanisms.iter().map(|one| &of.increments.lives[one.mechanism]).collect();
        let mut used = vec![0_u32];
        for row in 0..ticks.len() {
            let moved = mechanisms.iter().any(|increments| increments[row] > 0.0);
            used.push(if moved { row as u32 + 1 } else { used[row] });
        }
        let records = Records {
            axis: calendar.axis,
            ticks,
            last_days: &last_days,
            first_day: ticks.first().map_or(i32::MAX, |&tick| days(tick).0),
            used: &used,
        };
        let dates = Dates { constant_rates: self.constant_rates, ..of.dates };
        let mut found: Vec<Life> = Vec::new();
        if self.positions.is_empty() {
            found = lives(&records, &dates, &own, None, delays, counts);
        }
        for &code in &self.positions {
            let position = Position { code, all: &self.positions };
            found.extend(lives(&records, &dates, &own, Some(position), delays, counts));
        }
        if found.is_empty() {
            return None;
        }
        let marks = marks(&mut found);
        let rows = marks.last().map_or(0, |&last| last as usize);
        let sums = self
            .law
            .mechanisms
            .iter()
            .zip(&mechanisms)
            .map(|(law, increments)| if law.columns.is_empty() { sums_at(increments, &marks) } else { Vec::new() });
        let increments = self.law.mechanisms.iter().zip(&mechanisms).map(|(law, increments)| {
            if law.columns.is_empty() { Vec::new() } else { increments[..rows].iter().map(|&one| one as f32).collect() }
        });
        let codes = self.law.sources.iter().zip(&self.columns).map(|(source, column)| match (source, column) {
            (Source::Channel(_), Some(column)) => (0..rows).map(|row| of.kept.codes[row * of.width + column]).collect(),
            (Source::Interactions { mechanism, ids }, _) => {
                let mut met = rates.met(of.increments, self.law.mechanisms[*mechanism].mechanism, ids);
                met.truncate(rows);
                met
            }
            (Source::Channel(_), None) => vec![0; rows],
        });
        Some(VehicleLives {
            vehicle: of.vehicle,
            weight: 1.0,
            stratum: 0,
            failures: found.iter().filter(|life| matches!(life.end, End::Failed { .. })).count() as u32,
            sums: sums.collect(),
            increments: increments.collect(),
            codes: codes.collect(),
            marks,
            lives: found,
        })
    }

    /// Whether a vehicle's event is a failure of the group.
    pub fn is_failure(&self, event: &FleetEvent) -> bool {
        Some(event.component) == self.component && is_failure(event)
    }
}

/// All points of the lives, rising, each once; the lives then name them by place.
fn marks(lives: &mut [Life]) -> Vec<u32> {
    let mut all: Vec<u32> = Vec::new();
    each_point(lives, &mut |point| all.push(*point));
    all.sort_unstable();
    all.dedup();
    each_point(lives, &mut |point| *point = all.partition_point(|mark| mark < point) as u32);
    all
}

fn each_point(lives: &mut [Life], visit: &mut dyn FnMut(&mut u32)) {
    for life in lives {
        visit(&mut life.start);
        if let Some((until, _)) = &mut life.before {
            visit(until);
        }
        match &mut life.end {
            End::Failed { after, by } => {
                visit(after);
                visit(by);
            }
            End::Working { at } => visit(at),
            End::Unreported { at } => at.iter_mut().for_each(&mut *visit),
        }
    }
}

fn sums_at(increments: &[f64], marks: &[u32]) -> Vec<f64> {
    let (mut sum, mut from) = (0.0, 0);
    let mut sums = Vec::with_capacity(marks.len());
    for &mark in marks {
        sum += increments[from..mark as usize].iter().sum::<f64>();
        from = mark as usize;
        sums.push(sum);
    }
    sums
}
