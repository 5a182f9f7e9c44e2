//! The table `scores`: its columns, and its rows by position in canonical order.
//!
//! Rows are sorted by vehicle id (integers by value, text bytewise), then failure mode, then position. Every vehicle
//! has the same number of rows, so any range of rows can be made without the others.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | the histories' vehicle column | Int64 or Utf8 | vehicle id |
//! | failure_mode | Utf8 | id of the failure mode |
//! | component | Utf8 | what is replaced |
//! | position | Utf8, null | where, if the mode has positions |
//! | as_of | Date32 (Int32 for integer periods) | the score speaks of the end of this day |
//! | clock_start | same, null | day of the part's last replacement; later records count. Null: since the first record |
//! | records | Int64 | records that count for the part |
//! | clocks | list of struct (mechanism Utf8, clock_q48 Int64) | what each mechanism has used up since then, in 2^-48 lives; 2^63 - 1 at most, and then flagged |
//! | damage | Float64 | sum of the clocks in lives, each raised to its exponent; 1 is the characteristic life |
//! | cumulative_hazard | Float64 | damage raised to the Weibull shape |
//! | damage_per_day_recent | Float64, null | growth of the damage over the last 90 days (or since start or first record, if later), per day |
//! | relative_rate | Float64, null | damage_per_day_recent over its lower median over all parts of the mode in the fleet; null where either is, or the median is 0 |
//! | driver_1 … driver_3 | Utf8, null | the channels that raise this vehicle's rate most against the fleet's mean |
//! | driver_1_ratio … | Float64, null | by how much |
//! | flags | Utf8 | names of [`super::flags::Flag`]s joined by commas, empty if there is nothing to say |
//! | attributes to keep | Utf8, null | as in the vehicles table |
//!
//! `relative_rate` is a quotient of damage rates, not of loads: where clocks are raised to exponents below 1, damage
//! grows ever slower, and of two parts under equal load the older one shows the lower rate.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Float64Builder, Int64Array, ListArray, RecordBatch, StringArray, StringBuilder, StructArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::drivers::DRIVERS;
use super::flags::Flags;
use super::repeating::{Repeating, day_column};
use super::row::{Score, Scorer};
use crate::fleet::time::TimeAxis;
use crate::fleet::vehicles::{Attribute, Ids};

/// Columns by which the rows are sorted, beside the vehicle's.
pub const SORT_COLUMNS: [&str; 2] = ["failure_mode", "position"];

/// Columns in which hardly any value stands twice, as paths.
pub const UNIQUE_COLUMNS: [&str; 8] = [
    "clocks.list.element.clock_q48",
    "damage",
    "cumulative_hazard",
    "damage_per_day_recent",
    "relative_rate",
    "driver_1_ratio",
    "driver_2_ratio",
    "driver_3_ratio",
];

/// Columns of text that begins anew with every vehicle, as paths.
pub const UNBOUNDED_COLUMNS: [&str; 8] = [
    "failure_mode",
    "component",
    "position",
    "clocks.list.element.mechanism",
    "driver_1",
    "driver_2",
    "driver_3",
    "flags",
];

/// The scores' own columns, in order, behind the vehicle's.
pub const COLUMNS: [&str; 18] = [
    "failure_mode",
    "component",
    "position",
    "as_of",
    "clock_start",
    "records",
    "clocks",
    "damage",
    "cumulative_hazard",
    "damage_per_day_recent",
    "relative_rate",
    "driver_1",
    "driver_1_ratio",
    "driver_2",
    "driver_2_ratio",
    "driver_3",
    "driver_3_ratio",
    "flags",
];

/// The rows of the scores, made on demand.
pub struct ScoreRows<'a> {
    scorer: &'a Scorer<'a>,
    /// Vehicles by rising id.
    order: Vec<u32>,
    keep: Vec<&'a Attribute>,
    schema: SchemaRef,
    repeating: Repeating,
}

impl<'a> ScoreRows<'a> {
    /// `vehicle_column` is the name that the histories give their vehicles, `keep` the attributes to carry along.
    pub fn new(scorer: &'a Scorer<'a>, vehicle_column: &str, keep: Vec<&'a Attribute>) -> Self {
        let order = in_id_order(scorer);
        let schema = schema(&scorer.fleet.sums.ids, scorer.fleet.plan.axis, vehicle_column, &keep);
        Self { scorer, order, keep, schema, repeating: Repeating::new(scorer, 0) }
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Number of vehicles.
    pub fn vehicles(&self) -> usize {
        self.order.len()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.order.len() * self.scorer.parts.rows.len()
    }

    /// The rows of a range of positions.
    pub fn batch(&self, rows: Range<usize>) -> Result<RecordBatch, ArrowError> {
        let scorer = self.scorer;
        let templates = &scorer.parts.rows;
        let capacity = rows.len();
        let mut vehicles: Vec<u32> = Vec::with_capacity(capacity);
        let mut clock_start: Vec<Option<i32>> = Vec::with_capacity(capacity);
        let mut records: Vec<i64> = Vec::with_capacity(capacity);
        let mut clock_q48: Vec<i64> = Vec::with_capacity(capacity * 2);
        let mut damage: Vec<f64> = Vec::with_capacity(capacity);
        let mut cumulative_hazard: Vec<f64> = Vec::with_capacity(capacity);
        let mut damage_per_day_recent = Float64Builder::with_capacity(capacity);
        let mut relative_rate = Float64Builder::with_capacity(capacity);
        let mut driver = [(); DRIVERS].map(|()| StringBuilder::with_capacity(capacity, capacity * 16));
        let mut driver_ratio = [(); DRIVERS].map(|()| Float64Builder::with_capacity(capacity));
        let mut flags = StringBuilder::with_capacity(capacity, capacity * 8);
        let (mut flags_of_text, mut flags_text) = (Flags::default(), String::new());

        let own;
        let repeating = match self.repeating.holds(capacity, templates.len()) {
            true => &self.repeating,
            false => {
                own = Repeating::new(scorer, capacity);
                &own
            }
        };
        let repeating = repeating.slice(rows.start.checked_rem(templates.len()).unwrap_or(0), capacity);
        let mut figures = scorer.figures();
        // Positions of one vehicle and mode whose parts are equally old differ in nothing but a flag.
        let mut before: Option<(usize, Option<i32>, Score)> = None;
        for row in rows {
            let vehicle = self.order[row / templates.len()];
            if vehicles.last() != Some(&vehicle) {
                scorer.load(vehicle as usize, &mut figures);
                before = None;
            }
            vehicles.push(vehicle);
            let template = &templates[row % templates.len()];
            let start_day = scorer.starts.day(vehicle as usize, template.part);
            let score = match &before {
                Some((mode, day, score)) if (*mode, *day) == (template.mode, start_day) => {
                    let mechanisms = scorer.fleet.model.modes[template.mode].mechanisms.len();
                    clock_q48.extend_from_within(clock_q48.len() - mechanisms..);
                    score
                }
                _ => {
                    let slots = scorer.fleet.plan.since(vehicle as usize, start_day);
                    clock_q48.extend(scorer.clocks_q48(template.mode, &slots).map(|clock_q48| clock_q48 as i64));
                    let score = scorer.score_since(template.mode, start_day, slots, &mut figures);
                    &before.insert((template.mode, start_day, score)).2
                }
            };
            clock_start.push(score.clock_start_day);
            records.push(score.records as i64);
            damage.push(score.damage);
            cumulative_hazard.push(score.cumulative_hazard);
            damage_per_day_recent.append_option(score.damage_per_day_recent);
            relative_rate.append_option(score.relative_rate);
            for (place, ranked) in score.drivers.iter().enumerate() {
                driver[place].append_option(ranked.map(|ranked| ranked.channel));
                driver_ratio[place].append_option(ranked.map(|ranked| ranked.ratio));
            }
            let row_flags = scorer.flags_of_part(score, vehicle as usize, template.part);
            if row_flags != flags_of_text {
                flags_of_text = row_flags;
                flags_text = row_flags.to_string();
            }
            flags.append_value(&flags_text);
        }

        let clocks = StructArray::try_new(
            clock_fields(),
            vec![repeating.mechanism, Arc::new(Int64Array::from(clock_q48))],
            None,
        )?;
        let clocks = ListArray::try_new(clocks_item(), repeating.clock_offsets, Arc::new(clocks), None)?;
        let mut columns: Vec<ArrayRef> = vec![
            id_column(&scorer.fleet.sums.ids, &vehicles),
            repeating.failure_mode,
            repeating.component,
            repeating.position,
            repeating.as_of,
            day_column(scorer.fleet.plan.axis, clock_start),
            Arc::new(Int64Array::from(records)),
            Arc::new(clocks),
            Arc::new(Float64Array::from(damage)),
            Arc::new(Float64Array::from(cumulative_hazard)),
            Arc::new(damage_per_day_recent.finish()),
            Arc::new(relative_rate.finish()),
        ];
        for (mut name, mut ratio) in driver.into_iter().zip(driver_ratio) {
            columns.push(Arc::new(name.finish()));
            columns.push(Arc::new(ratio.finish()));
        }
        columns.push(Arc::new(flags.finish()));
        for attribute in &self.keep {
            let values = vehicles.iter().map(|&vehicle| {
                let code = attribute.code.get(vehicle as usize).copied().unwrap_or(u32::MAX);
                attribute.values.get(code as usize).map(String::as_str)
            });
            columns.push(Arc::new(values.collect::<StringArray>()));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

/// The vehicles of the fleet by rising id, integers by value, text bytewise: those of the tables, and those that have a record that counts. A name that stands in
/// nothing but rows that cannot be used, or that come after the as-of day, is no vehicle: so the fleet as of a day is
/// the same whatever came later, and night by night.
fn in_id_order(scorer: &Scorer) -> Vec<u32> {
    use rayon::prelude::*;
    let ids = &scorer.fleet.sums.ids;
    let known = scorer.fleet.plan.known();
    let belongs = |&vehicle: &u32| (vehicle as usize) < known || scorer.fleet.history(vehicle as usize).records > 0;
    let mut order: Vec<u32> = (0..ids.len() as u32).into_par_iter().filter(belongs).collect();
    match ids {
        Ids::Integer(ids) => order.par_sort_unstable_by_key(|&vehicle| ids[vehicle as usize]),
        Ids::Text(ids) => order.par_sort_unstable_by(|&a, &b| ids[a as usize].cmp(&ids[b as usize])),
    }
    order
}

fn clock_fields() -> Fields {
    Fields::from(vec![Field::new("mechanism", DataType::Utf8, false), Field::new("clock_q48", DataType::Int64, false)])
}

fn clocks_item() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Struct(clock_fields()), false))
}

fn schema(ids: &Ids, axis: TimeAxis, vehicle_column: &str, keep: &[&Attribute]) -> SchemaRef {
    let id_type = match ids {
        Ids::Integer(_) => DataType::Int64,
        Ids::Text(_) => DataType::Utf8,
    };
    let day_type = match axis {
        TimeAxis::Days | TimeAxis::SecondsSince2000 => DataType::Date32,
        TimeAxis::Integer => DataType::Int32,
    };
    let mut fields = vec![Field::new(vehicle_column, id_type, false)];
    fields.extend(COLUMNS.iter().map(|&name| {
        let (data_type, nullable) = match name {
            "as_of" => (day_type.clone(), false),
            "clock_start" => (day_type.clone(), true),
            "records" => (DataType::Int64, false),
            "clocks" => (DataType::List(clocks_item()), false),
            "damage" | "cumulative_hazard" => (DataType::Float64, false),
            "damage_per_day_recent" | "relative_rate" => (DataType::Float64, true),
            "driver_1_ratio" | "driver_2_ratio" | "driver_3_ratio" => (DataType::Float64, true),
            "position" | "driver_1" | "driver_2" | "driver_3" => (DataType::Utf8, true),
            _ => (DataType::Utf8, false),
        };
        Field::new(name, data_type, nullable)
    }));
    fields.extend(keep.iter().map(|attribute| Field::new(&attribute.name, DataType::Utf8, true)));
    Arc::new(Schema::new(fields))
}

fn id_column(ids: &Ids, vehicles: &[u32]) -> ArrayRef {
    match ids {
        Ids::Integer(ids) => {
            Arc::new(vehicles.iter().map(|&vehicle| Some(ids[vehicle as usize])).collect::<Int64Array>())
        }
        Ids::Text(ids) => {
            Arc::new(StringArray::from_iter_values(vehicles.iter().map(|&vehicle| ids[vehicle as usize].as_str())))
        }
    }
}
