//! The table `forecasts`: one row a part in service, sorted by vehicle, failure mode and position.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | the histories' vehicle column | Int64 or Utf8 | vehicle id |
//! | failure_mode, component, position | Utf8 (position: null) | which part fails how |
//! | as_of | Date32 (Int32 for integer periods) | the future begins after this day |
//! | p_failed | Float64 | chance to have failed already in this mode: unreported (0 where delays of reports are not known), or, for a part whose failure is reported and that was not replaced yet ([`super::failed_parts`], flag failed_not_replaced), 1 divided over its modes in proportion to the hazards that the last 13 weeks brought them, for events do not say which mode it was. Such a part is out: no mode of it has a chance left to fail, or a life |
//! | p_fail_30d, p_fail_60d, p_fail_90d | Float64, null beyond the horizon | chance to fail from today to then, given no report so far; a mean over paths |
//! | rul_p10_days, rul_p50_days, rul_p90_days | Float64, null beyond the horizon | days until the chance to have failed, already or since, reaches 10, 50, 90 % |
//! | rul_p10_km, rul_p50_km, rul_p90_km | Float64, null | the same in kilometres, at the vehicle's mean of the last year |
//! | beyond_horizon | Boolean | whether any of the three lies beyond the horizon |
//! | flags | Utf8 | names of [`super::flags::Flag`]s joined by commas |

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, RecordBatch};

use super::survive::{BEYOND, Forecasts, LIFE_LEVELS, PartForecast, VehicleForecast};
use super::table::{self, Columns};
use crate::backend::survival::PART_BITS;
use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::Ids;
use crate::fleet::writer::WriteError;
use crate::model::compiled::CompiledModel;
use crate::monitor::output::VehicleId;
use crate::score::parts::Parts;

pub const SORT_COLUMNS: [&str; 2] = ["failure_mode", "position"];
/// Vehicles of one record batch.
const BATCH_VEHICLES: usize = 1 << 10;

/// The rows of all vehicles, by rising id.
#[derive(Debug)]
pub struct ForecastRows<'a> {
    pub model: &'a CompiledModel,
    pub parts: &'a Parts,
    pub ids: &'a Ids,
    pub forecasts: &'a Forecasts,
    /// Places in [`Forecasts::vehicles`].
    order: Vec<u32>,
    pub paths: usize,
    pub axis: TimeAxis,
    /// Of the dataset's axis.
    pub as_of_day: i32,
    /// Of [`PartForecast::failed_q48`].
    pub forecast_days: [u32; 3],
}

impl<'a> ForecastRows<'a> {
    pub fn new(
        model: &'a CompiledModel,
        parts: &'a Parts,
        ids: &'a Ids,
        forecasts: &'a Forecasts,
        paths: usize,
        (axis, as_of_day): (TimeAxis, i32),
        forecast_days: [u32; 3],
    ) -> Self {
        let mut order: Vec<u32> = (0..forecasts.vehicles.len() as u32).collect();
        let vehicle = |place: u32| forecasts.vehicles[place as usize].vehicle as usize;
        match ids {
            Ids::Integer(ids) => order.sort_unstable_by_key(|&place| ids[vehicle(place)]),
            Ids::Text(ids) => order.sort_unstable_by(|&a, &b| ids[vehicle(a)].cmp(&ids[vehicle(b)])),
        }
        Self { model, parts, ids, forecasts, order, paths, axis, as_of_day, forecast_days }
    }

    /// All vehicles with their parts' rows, by rising id.
    pub fn vehicles(&self) -> impl Iterator<Item = (&VehicleForecast, &[PartForecast])> {
        self.order.iter().map(|&place| self.vehicle(place))
    }

    fn vehicle(&self, place: u32) -> (&VehicleForecast, &[PartForecast]) {
        let one = &self.forecasts.vehicles[place as usize];
        (one, &self.forecasts.parts[one.first..one.first + self.parts.rows.len()])
    }

    /// The place in the order, and the index, of a vehicle in service.
    pub fn find(&self, id: &VehicleId) -> Option<(usize, u32)> {
        let index = |place: &u32| self.forecasts.vehicles[*place as usize].vehicle;
        let found = match (self.ids, id) {
            (Ids::Integer(ids), VehicleId::Integer(id)) => {
                self.order.binary_search_by(|place| ids[index(place) as usize].cmp(id))
            }
            (Ids::Text(ids), VehicleId::Text(id)) => {
                self.order.binary_search_by(|place| ids[index(place) as usize].as_str().cmp(id))
            }
            _ => return None,
        };
        found.ok().map(|place| (place, index(&self.order[place])))
    }

    pub fn rows(&self) -> usize {
        self.order.len() * self.parts.rows.len()
    }

    /// A chance from a sum over paths.
    pub fn chance(&self, sum_q48: u64) -> f64 {
        sum_q48 as f64 / (self.paths as f64 * (1_u64 << PART_BITS) as f64)
    }

    /// All rows in order; one batch without rows if there is none.
    pub fn batches(&self, vehicle_column: &str) -> impl Iterator<Item = Result<RecordBatch, WriteError>> {
        let vehicles = self.order.len();
        let starts = (0..vehicles.max(1)).step_by(BATCH_VEHICLES);
        starts.map(move |from| self.batch(from..vehicles.min(from + BATCH_VEHICLES), vehicle_column))
    }

    fn batch(&self, vehicles: Range<usize>, vehicle_column: &str) -> Result<RecordBatch, WriteError> {
        let templates = &self.parts.rows;
        let rows: Vec<(&VehicleForecast, usize, &PartForecast)> = self.order[vehicles]
            .iter()
            .flat_map(|&place| {
                let (vehicle, parts) = self.vehicle(place);
                parts.iter().enumerate().map(move |(row, part)| (vehicle, row, part))
            })
            .collect();
        let part = |row: usize| &self.parts.parts[templates[row].part];
        let numbers = |of: &dyn Fn(&(&VehicleForecast, usize, &PartForecast)) -> Option<f64>| {
            Arc::new(rows.iter().map(of).collect::<Float64Array>())
        };
        let indices: Vec<u32> = rows.iter().map(|(vehicle, ..)| vehicle.vehicle).collect();
        let mut columns = Columns::new();
        columns.add(vehicle_column, false, table::ids(self.ids, &indices));
        let mode = |row: usize| self.model.modes[templates[row].mode].id.as_str();
        columns.add("failure_mode", false, table::texts(rows.iter().map(|(_, row, _)| Some(mode(*row)))));
        let component = table::texts(rows.iter().map(|(_, row, _)| Some(part(*row).component.as_str())));
        columns.add("component", false, component);
        columns.add("position", true, table::texts(rows.iter().map(|(_, row, _)| part(*row).position.as_deref())));
        columns.add("as_of", false, table::days(self.axis, vec![Some(self.as_of_day); rows.len()]));
        let already = numbers(&|(_, _, part)| Some(self.chance(part.failed_already_q48)));
        columns.add("p_failed", false, already as arrow::array::ArrayRef);
        for (at, days) in self.forecast_days.iter().enumerate() {
            let chance = numbers(&|(_, _, part)| part.failed_q48[at].map(|sum| self.chance(sum)));
            columns.add(&format!("p_fail_{days}d"), true, chance as arrow::array::ArrayRef);
        }
        for (at, level) in LIFE_LEVELS.iter().enumerate() {
            let days = numbers(&|(_, _, part)| life_left_days(part, at));
            columns.add(&format!("rul_p{:.0}_days", level * 100.0), true, days as arrow::array::ArrayRef);
        }
        for (at, level) in LIFE_LEVELS.iter().enumerate() {
            let km = numbers(&|(vehicle, _, part)| Some(life_left_days(part, at)? * vehicle.km_per_day?));
            columns.add(&format!("rul_p{:.0}_km", level * 100.0), true, km as arrow::array::ArrayRef);
        }
        let beyond = rows.iter().map(|(_, _, part)| Some(part.life_left_tenths.contains(&BEYOND)));
        columns.add("beyond_horizon", false, Arc::new(beyond.collect::<BooleanArray>()) as arrow::array::ArrayRef);
        let flags: Vec<String> = rows.iter().map(|(_, _, part)| part.flags.to_string()).collect();
        columns.add("flags", false, table::texts(flags.iter().map(|flags| Some(flags.as_str()))));
        columns.batch()
    }
}

fn life_left_days(part: &PartForecast, at: usize) -> Option<f64> {
    Some(part.life_left_tenths[at]).filter(|&tenths| tenths != BEYOND).map(|tenths| f64::from(tenths) / 10.0)
}
