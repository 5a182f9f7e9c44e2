//! What a simulation settles before it reads a record: columns to read, periods, zones, groups, marks.

use std::collections::BTreeMap;

use super::error::EngineError;
use super::prepare::Prepared;
use super::simulate_monitors::Watch;
use super::simulate_plan::SimulatePlan;
use crate::backend::survival::{Mark, PATHS};
use crate::fleet::dictionary::Period;
use crate::fleet::tables::NO_VALUE;
use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::Attribute;
use crate::model::channel::{Channel, Schema};
use crate::model::compile::compile;
use crate::model::compiled::CompiledModel;
use crate::model::covariance::Covariance;
use crate::model::error::nearest;
use crate::model::scenario::Scenario;
use crate::model::spec::Model;
use crate::simulate::error::SimulateError;
use crate::simulate::fleet_forecast::Group;
use crate::simulate::scenario::recoded;
use crate::simulate::weeks::{DAYS_PER_WEEK, RecordLength, WeekAxis};

/// Names that stand for themselves where nobody names an attribute.
pub(super) const ZONE_ATTRIBUTE: &str = "climate_zone";
const GROUP_ATTRIBUTE: &str = "service_centre";
const DISTANCE_CHANNEL: &str = "distance_km";
/// Weeks of a horizon at most: ten years.
const MOST_WEEKS: usize = 522;
/// Days of a quarter's count.
const QUARTER_DAYS: u32 = 91;

/// The channels to read, and where each reader of them finds its own.
#[derive(Debug)]
pub struct Columns {
    /// Indices into the dictionary's channels.
    pub channels: Vec<usize>,
    pub model: Vec<(usize, Option<Vec<u16>>)>,
    pub length: RecordLength,
    pub length_channel: Option<usize>,
    pub distance: Option<(usize, usize)>,
}

/// The other future.
#[derive(Debug)]
pub struct Changed {
    pub scenario: Scenario,
    pub model: CompiledModel,
    pub columns: Vec<(usize, Option<Vec<u16>>)>,
}

/// A simulation's options, checked against the dataset.
#[derive(Debug)]
pub struct Setup {
    pub schema: Schema,
    pub axis: WeekAxis,
    pub columns: Columns,
    pub changed: Option<Changed>,
    pub covariance: Option<Covariance>,
    pub watch: Watch,
    pub groups: Vec<Group>,
    pub cell_of: Vec<u32>,
    pub unlisted_cell: u32,
    /// As [`crate::simulate::cohort::Cohorts`] number zones.
    pub zone_of_cell: Vec<u32>,
    pub cells: usize,
}

impl Setup {
    /// `spec` is the model that was compiled.
    pub fn new(plan: &SimulatePlan, prepared: &Prepared, spec: &Model) -> Result<Self, EngineError> {
        within("--paths", plan.paths, PATHS)?;
        within("--horizon-weeks", plan.horizon_weeks, MOST_WEEKS)?;
        let schema = prepared.dataset.dictionary.schema();
        let period = &prepared.dataset.dictionary.histories.period;
        let axis = week_axis(prepared.dataset.axis, period)?;
        let mut columns = Columns {
            channels: prepared.channels.clone(),
            model: (0..prepared.channels.len()).map(|column| (column, None)).collect(),
            length: RecordLength::Day,
            length_channel: None,
            distance: None,
        };
        columns.length = match period {
            Period::Day | Period::Trip => RecordLength::Day,
            Period::Week => RecordLength::Week,
            Period::Month => RecordLength::CalendarMonth,
            Period::Channel(channel) => {
                columns.length_channel = Some(*channel);
                RecordLength::Column(columns.column(*channel))
            }
        };
        columns.distance = schema
            .channels
            .iter()
            .position(|channel| channel.name == DISTANCE_CHANNEL)
            .map(|channel| (columns.column(channel), channel));
        // Read whether or not they run, so that of repeated records the same one counts in any case.
        for monitor in &spec.monitors {
            if let Some(channel) = schema.channels.iter().position(|channel| channel.name == monitor.channel) {
                columns.column(channel);
            }
        }
        let changed = match &plan.scenario {
            None => None,
            Some(path) => Some(changed(&Scenario::load(&path.to_string_lossy())?, spec, &schema, &mut columns)?),
        };
        let Cells { groups, cell_of, zone_of_cell } = cells(plan, prepared)?;
        let unlisted = zone_of_cell.len() - 1;
        Ok(Self {
            schema,
            axis,
            columns,
            changed,
            watch: Watch::new(plan, spec)?,
            covariance: spec.covariance.clone(),
            groups,
            unlisted_cell: unlisted as u32,
            cell_of,
            cells: zone_of_cell.len(),
            zone_of_cell,
        })
    }

    /// A channel of the dataset.
    pub fn channel(&self, index: usize) -> &Channel {
        &self.schema.channels[index]
    }
}

impl Columns {
    /// The column of a channel, which is read from now on.
    fn column(&mut self, channel: usize) -> usize {
        let known = self.channels.iter().position(|&known| known == channel);
        known.unwrap_or_else(|| {
            self.channels.push(channel);
            self.channels.len() - 1
        })
    }
}

fn within(what: &'static str, got: usize, most: usize) -> Result<(), SimulateError> {
    if (1..=most).contains(&got) {
        return Ok(());
    }
    Err(SimulateError::Option { what, got: got as u64, expected: format!("1 to {most}") })
}

pub(super) fn week_axis(axis: TimeAxis, period: &Period) -> Result<WeekAxis, SimulateError> {
    match (axis, period) {
        (TimeAxis::Integer, Period::Week) => Ok(WeekAxis { axis, ticks_are_weeks: true }),
        (TimeAxis::Days | TimeAxis::SecondsSince2000, _) | (TimeAxis::Integer, Period::Day) => {
            Ok(WeekAxis { axis, ticks_are_weeks: false })
        }
        (TimeAxis::Integer, _) => Err(SimulateError::NoCalendar),
    }
}

fn changed(scenario: &Scenario, spec: &Model, schema: &Schema, columns: &mut Columns) -> Result<Changed, EngineError> {
    let model = compile(&scenario.apply(spec)?, schema)?;
    let codes = recoded(scenario, &model, schema)?;
    let own = model.channels.iter().zip(codes).map(|(&channel, codes)| (columns.column(channel), codes)).collect();
    Ok(Changed { scenario: scenario.clone(), model, columns: own })
}

/// The attribute of an option, or the one that stands for itself, if the dataset has it.
fn attribute<'a>(
    prepared: &'a Prepared,
    option: &'static str,
    asked: Option<&str>,
    usual: &str,
) -> Result<Option<&'a Attribute>, SimulateError> {
    let attributes = &prepared.dataset.vehicles.attributes;
    let name = asked.unwrap_or(usual);
    let found = attributes.iter().find(|attribute| attribute.name == name);
    if found.is_none() && asked.is_some() {
        let names = || attributes.iter().map(|attribute| attribute.name.as_str());
        let nearest = nearest(name, names());
        let attributes = names().map(str::to_owned).collect();
        return Err(SimulateError::UnknownGroup { option, name: name.to_owned(), nearest, attributes });
    }
    Ok(found)
}

/// The attribute that names climate zones, if there is one.
pub fn zone<'a>(plan: &SimulatePlan, prepared: &'a Prepared) -> Result<Option<&'a Attribute>, SimulateError> {
    attribute(prepared, "--zones", plan.zones.as_deref(), ZONE_ATTRIBUTE)
}

/// Vehicles that are counted together: of one climate zone and in the same groups.
struct Cells {
    groups: Vec<Group>,
    /// Of each known vehicle.
    cell_of: Vec<u32>,
    /// The last is for vehicles that only the histories know.
    zone_of_cell: Vec<u32>,
}

fn cells(plan: &SimulatePlan, prepared: &Prepared) -> Result<Cells, SimulateError> {
    let mut by: Vec<&Attribute> = Vec::new();
    match &plan.groups {
        None => by.extend(attribute(prepared, "--groups", None, GROUP_ATTRIBUTE)?),
        Some(names) => {
            for name in (0..names.len()).filter(|&at| !names[..at].contains(&names[at])).map(|at| &names[at]) {
                by.extend(attribute(prepared, "--groups", Some(name), name)?);
            }
        }
    }
    let known = prepared.dataset.vehicles.known;
    let code = |attribute: &Attribute, vehicle: usize| attribute.code.get(vehicle).copied().unwrap_or(NO_VALUE);
    let zone = zone(plan, prepared)?;
    let no_zone = zone.map_or(0, |zone| zone.values.len() as u32);
    let zone_of = |vehicle: usize| zone.map_or(NO_VALUE, |zone| code(zone, vehicle)).min(no_zone);
    // The zone stands behind the attributes of the groups.
    let key = |vehicle: usize| -> Vec<u32> {
        by.iter().map(|attribute| code(attribute, vehicle)).chain([zone_of(vehicle)]).collect()
    };
    let mut cells: BTreeMap<Vec<u32>, u32> = (0..known).map(|vehicle| (key(vehicle), 0)).collect();
    cells.values_mut().zip(0..).for_each(|(cell, number)| *cell = number);
    let cell_of = (0..known).map(|vehicle| cells.get(&key(vehicle)).copied().unwrap_or(0)).collect();
    let unlisted = cells.len() as u32;
    let zone_of_cell = cells.keys().filter_map(|key| key.last().copied()).chain([no_zone]).collect();
    let mut groups = vec![Group { group_by: "fleet".to_owned(), value: None, cells: (0..=unlisted).collect() }];
    for (place, attribute) in by.iter().enumerate() {
        let mut values: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (key, &cell) in &cells {
            values.entry(key[place]).or_default().push(cell);
        }
        values.entry(NO_VALUE).or_default().push(unlisted);
        let group = |(code, cells): (u32, Vec<u32>)| Group {
            group_by: attribute.name.clone(),
            value: attribute.values.get(code as usize).cloned(),
            cells,
        };
        groups.extend(values.into_iter().map(group));
    }
    // Nulls first, then by value: the order of the table.
    groups.sort_by(|a, b| (&a.group_by, &a.value).cmp(&(&b.group_by, &b.value)));
    Ok(Cells { groups, cell_of, zone_of_cell })
}

/// The marks of a plan: the forecasts' days, a quarter, and the alerts' horizons, as far as the horizon reaches.
pub fn marks(model: &CompiledModel, plan: &SimulatePlan) -> Vec<Mark> {
    let alerts = model.modes.iter().filter_map(|mode| mode.alert).map(|alert| libm::ceil(alert.horizon_days) as u32);
    let mut marks: Vec<Mark> = (plan.forecast_days.into_iter())
        .chain([QUARTER_DAYS])
        .chain(alerts)
        .filter_map(|days| mark(days, plan.horizon_weeks))
        .collect();
    marks.sort_unstable();
    marks.dedup();
    marks
}

/// So many days from today; `None`: beyond the horizon.
pub fn mark(days: u32, horizon_weeks: usize) -> Option<Mark> {
    let week = DAYS_PER_WEEK as u32;
    let inside = u64::from(days) <= horizon_weeks as u64 * u64::from(week);
    inside.then_some(Mark { week: days / week, sevenths: days % week })
}
