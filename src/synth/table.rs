//! The fleet's small tables as Arrow batches: vehicles, work orders, and the truth.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, Int64Builder, ListBuilder, RecordBatch,
    StringArray, StringBuilder, StructBuilder,
};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use super::error::SynthError;
use super::fleet::{Fleet, Profile};
use super::identity::vin;
use super::life::Life;
use super::order::Order;
use super::plan::IdKind;
use super::style::STYLES;
use super::wear::{RunningClocks, Wear};
use crate::model::shipped::STANDARD_ATTRIBUTES;

/// A vehicle's id as the tables write it.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    pub kind: IdKind,
    pub vehicle: u32,
    pub vin: [u8; 17],
}

impl Identity {
    pub fn of(profile: &Profile, kind: IdKind) -> Self {
        let vin = vin(profile.vehicle, profile.model, profile.plant, profile.build_year());
        Self { kind, vehicle: profile.vehicle, vin }
    }

    /// The VIN as text. Its letters are ASCII.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.vin).unwrap_or_default()
    }
}

/// The id column's field.
pub fn id_field(kind: IdKind, nullable: bool) -> Field {
    match kind {
        IdKind::Vin => Field::new(kind.column(), DataType::Utf8, nullable),
        IdKind::Integer => Field::new(kind.column(), DataType::Int64, nullable),
    }
}

/// An id column.
pub fn id_column<'a>(kind: IdKind, ids: impl Iterator<Item = Option<&'a Identity>>) -> ArrayRef {
    match kind {
        IdKind::Vin => Arc::new(StringArray::from_iter(ids.map(|id| id.map(Identity::text)))),
        IdKind::Integer => Arc::new(Int64Array::from_iter(ids.map(|id| id.map(|id| i64::from(id.vehicle))))),
    }
}

fn text_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn date_field(name: &str) -> Field {
    Field::new(name, DataType::Date32, true)
}

pub fn vehicles_schema(kind: IdKind) -> SchemaRef {
    let mut fields = vec![id_field(kind, false)];
    fields.extend(STANDARD_ATTRIBUTES.map(text_field));
    fields.extend(["build_date", "sale_date", "retired_on"].map(date_field));
    Arc::new(Schema::new(fields))
}

/// One row a vehicle.
pub fn vehicles_batch(fleet: &Fleet, vehicles: &[(Identity, Profile)]) -> Result<RecordBatch, SynthError> {
    let kind = fleet.plan.ids;
    let profiles = || vehicles.iter().map(|(_, profile)| profile);
    let attributes: Vec<_> = profiles().map(|profile| fleet.attributes(profile)).collect();
    let attribute = |place: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(attributes.iter().map(|values| &values[place])))
    };
    let mut columns: Vec<ArrayRef> = vec![id_column(kind, vehicles.iter().map(|(id, _)| Some(id)))];
    columns.extend((0..STANDARD_ATTRIBUTES.len()).map(attribute));
    columns.extend::<[ArrayRef; 3]>([
        Arc::new(Date32Array::from_iter_values(profiles().map(|profile| profile.build_day))),
        Arc::new(Date32Array::from_iter_values(profiles().map(|profile| profile.sale_day))),
        Arc::new(Date32Array::from_iter(
            profiles().map(|profile| profile.end_day.filter(|&day| day < fleet.plan.end_day())),
        )),
    ]);
    batch("vehicles", vehicles_schema(kind), columns)
}

pub fn orders_schema(kind: IdKind) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("order_id", DataType::Int64, false),
        id_field(kind, true),
        text_field("component"),
        text_field("position"),
        text_field("type"),
        date_field("failed_on"),
        date_field("opened_on"),
        Field::new("odo_km", DataType::Int32, true),
        text_field("symptom"),
        text_field("result"),
        Field::new("amount", DataType::Float64, true),
        Field::new("responded", DataType::Boolean, true),
        Field::new("accepted", DataType::Boolean, true),
    ]))
}

/// One row an order of the vehicles given, which are in order.
pub fn orders_batch(
    kind: IdKind,
    orders: &[Order],
    vehicles: &[(Identity, Profile)],
) -> Result<RecordBatch, SynthError> {
    let first = vehicles.first().map_or(0, |(id, _)| id.vehicle);
    let identity =
        |order: &Order| -> Option<&Identity> { vehicles.get((order.vehicle? - first) as usize).map(|(id, _)| id) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(orders.iter().map(|order| order.order_id))),
        id_column(kind, orders.iter().map(identity)),
        Arc::new(StringArray::from_iter(orders.iter().map(|order| order.component.as_deref()))),
        Arc::new(StringArray::from_iter(orders.iter().map(|order| order.position.as_deref()))),
        Arc::new(StringArray::from_iter_values(orders.iter().map(|order| order.kind))),
        Arc::new(Date32Array::from_iter(orders.iter().map(|order| order.occurred_day))),
        Arc::new(Date32Array::from_iter_values(orders.iter().map(|order| order.reported_day))),
        Arc::new(Int32Array::from_iter_values(orders.iter().map(|order| order.odometer_km))),
        Arc::new(StringArray::from_iter(orders.iter().map(|order| order.symptom.as_deref()))),
        Arc::new(StringArray::from_iter(orders.iter().map(|order| order.finding))),
        Arc::new(Float64Array::from_iter_values(orders.iter().map(|order| order.cost))),
        Arc::new(BooleanArray::from_iter(orders.iter().map(|order| order.responded))),
        Arc::new(BooleanArray::from_iter(orders.iter().map(|order| order.accepted))),
    ];
    batch("work_orders", orders_schema(kind), columns)
}

pub fn truth_vehicles_schema(kind: IdKind) -> SchemaRef {
    Arc::new(Schema::new(vec![
        id_field(kind, false),
        text_field("style"),
        Field::new("pilot", DataType::Boolean, false),
        Field::new("drift_slope_k_per_day", DataType::Float64, true),
        date_field("drift_onset_on"),
        date_field("drift_crosses_on"),
        date_field("protection_on"),
        date_field("sensor_replaced_on"),
    ]))
}

/// One row a vehicle: its style, and its sensor's drift with the days that lie beyond the data included.
pub fn truth_vehicles_batch(kind: IdKind, vehicles: &[(Identity, Profile)]) -> Result<RecordBatch, SynthError> {
    let drifts = || vehicles.iter().map(|(_, profile)| profile.drift);
    let columns: Vec<ArrayRef> = vec![
        id_column(kind, vehicles.iter().map(|(id, _)| Some(id))),
        Arc::new(StringArray::from_iter_values(vehicles.iter().map(|(_, profile)| STYLES[profile.style].name))),
        Arc::new(BooleanArray::from_iter(vehicles.iter().map(|(_, profile)| Some(profile.pilot)))),
        Arc::new(Float64Array::from_iter(drifts().map(|drift| drift.map(|drift| drift.slope_k_per_day)))),
        Arc::new(Date32Array::from_iter(drifts().map(|drift| drift.map(|drift| drift.onset_day)))),
        Arc::new(Date32Array::from_iter(drifts().map(|drift| drift.map(|drift| drift.crossing_day)))),
        Arc::new(Date32Array::from_iter(drifts().map(|drift| drift.map(|drift| drift.protection_day)))),
        Arc::new(Date32Array::from_iter(
            drifts().map(|drift| drift.map(|drift| drift.repaired_day).filter(|&day| day != i32::MAX)),
        )),
    ];
    batch("truth/vehicles", truth_vehicles_schema(kind), columns)
}

fn clock_fields() -> Fields {
    Fields::from(vec![
        Field::new("mechanism", DataType::Utf8, true),
        Field::new("prior_q48", DataType::Int64, true),
        Field::new("clock_q48", DataType::Int64, true),
        Field::new("failure_clock_q48", DataType::Int64, true),
    ])
}

pub fn lives_schema(kind: IdKind) -> SchemaRef {
    let clocks = Field::new("item", DataType::Struct(clock_fields()), true);
    Arc::new(Schema::new(vec![
        id_field(kind, false),
        text_field("failure_mode"),
        text_field("component"),
        text_field("position"),
        Field::new("life", DataType::Int32, false),
        date_field("started_on"),
        date_field("failed_on"),
        date_field("reported_on"),
        date_field("replaced_on"),
        Field::new("records", DataType::Int64, false),
        Field::new("hazard", DataType::Float64, false),
        Field::new("hazard_drawn", DataType::Float64, false),
        Field::new("clocks", DataType::List(Arc::new(clocks)), true),
    ]))
}

/// Collects the rows of `truth/lives`: one a life that falls into the data.
pub struct LivesTable {
    kind: IdKind,
    ids: Vec<Identity>,
    modes: Vec<usize>,
    positions: Vec<Option<String>>,
    numbers: Vec<i32>,
    started: Vec<i32>,
    failed: Vec<Option<i32>>,
    reported: Vec<Option<i32>>,
    replaced: Vec<Option<i32>>,
    records: Vec<i64>,
    hazard: Vec<f64>,
    hazard_drawn: Vec<f64>,
    clocks: ListBuilder<StructBuilder>,
}

impl LivesTable {
    pub fn new(kind: IdKind) -> Self {
        Self {
            kind,
            ids: Vec::new(),
            modes: Vec::new(),
            positions: Vec::new(),
            numbers: Vec::new(),
            started: Vec::new(),
            failed: Vec::new(),
            reported: Vec::new(),
            replaced: Vec::new(),
            records: Vec::new(),
            hazard: Vec::new(),
            hazard_drawn: Vec::new(),
            clocks: ListBuilder::new(StructBuilder::from_fields(clock_fields(), 0)),
        }
    }

    /// `clock_q48` is the wear of the records on which the part was in place, what the engine computes too;
    /// `failure_clock_q48` the wear up to its failure, without `prior_q48`, the wear before the data begin.
    pub fn push(&mut self, id: Identity, life: &Life, wear: &Wear, clocks: &RunningClocks) {
        let mode = &wear.model.modes[life.mode];
        self.ids.push(id);
        self.modes.push(life.mode);
        self.positions.push(mode.positions.get(life.position).cloned());
        self.numbers.push(life.number as i32);
        self.started.push(life.started_day);
        self.failed.push(life.failed.map(|failure| failure.day));
        self.reported.push(life.failed.and_then(|failure| failure.reported_day));
        self.replaced.push(life.replaced_day);
        self.records.push((life.end_row - life.first_row) as i64);
        self.hazard.push(life.hazard);
        self.hazard_drawn.push(life.hazard_drawn);
        let items = self.clocks.values();
        for (mechanism, &prior_q48) in mode.mechanisms.clone().zip(&life.prior_q48) {
            let until = |row: usize| clocks.between_q48(mechanism, life.first_row, row) as i64;
            if let Some(names) = items.field_builder::<StringBuilder>(0) {
                names.append_value(&wear.model.mechanisms[mechanism].id);
            }
            let at_failure = life.failed.map(|failure| until(failure.row + 1));
            for (field, value) in [(1, Some(prior_q48 as i64)), (2, Some(until(life.end_row))), (3, at_failure)] {
                if let Some(builder) = items.field_builder::<Int64Builder>(field) {
                    builder.append_option(value);
                }
            }
            items.append(true);
        }
        self.clocks.append(true);
    }

    pub fn finish(mut self, wear: &Wear) -> Result<RecordBatch, SynthError> {
        let mode_text = |value: &dyn Fn(usize) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(self.modes.iter().map(|&mode| value(mode))))
        };
        let columns: Vec<ArrayRef> = vec![
            id_column(self.kind, self.ids.iter().map(Some)),
            mode_text(&|mode| wear.model.modes[mode].id.clone()),
            mode_text(&|mode| wear.model.modes[mode].component.clone()),
            Arc::new(StringArray::from_iter(self.positions.iter().map(|position| position.as_deref()))),
            Arc::new(Int32Array::from(std::mem::take(&mut self.numbers))),
            Arc::new(Date32Array::from(std::mem::take(&mut self.started))),
            Arc::new(Date32Array::from(std::mem::take(&mut self.failed))),
            Arc::new(Date32Array::from(std::mem::take(&mut self.reported))),
            Arc::new(Date32Array::from(std::mem::take(&mut self.replaced))),
            Arc::new(Int64Array::from(std::mem::take(&mut self.records))),
            Arc::new(Float64Array::from(std::mem::take(&mut self.hazard))),
            Arc::new(Float64Array::from(std::mem::take(&mut self.hazard_drawn))),
            Arc::new(self.clocks.finish()),
        ];
        batch("truth/lives", lives_schema(self.kind), columns)
    }
}

pub(super) fn batch(table: &'static str, schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch, SynthError> {
    RecordBatch::try_new(schema, columns).map_err(|source| SynthError::Table { table, source })
}
