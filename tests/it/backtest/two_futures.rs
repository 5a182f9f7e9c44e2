//! A fleet with a past and one of several futures, written whole or cut off at a day. Everything that may be looked at too
//! early is there: records, sales, retirements, late reports, repeated orders, a side table, vehicles that only later
//! events know.
//!
//! Cutting off is done here row by row, independent of the code that is tested.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch, StringArray, UInt16Array};
use fleetwear::fixed::threefry::threefry2x32;
use parquet::arrow::ArrowWriter;

const DICTIONARY: &str = r#"
[histories]
files = "histories.parquet"
vehicle = "vin"
time = "date"
period = "day"

[channels.temp_c]
column = "temp"
factor = 0.5
offset = -40.0
range = [-40.0, 60.0]

[channels.distance_km]
column = "distance"
factor = 0.5
range = [0.0, 400.0]

[joins.weather]
files = "weather.parquet"
on = { model = "model", time = "date" }
channels = ["humidity_pct"]

[channels.humidity_pct]
range = [0.0, 100.0]

[vehicles]
files = "vehicles.parquet"
vehicle = "vin"
sale_date = "sold_on"
end_date = "retired_on"
attributes = ["model"]

[events]
files = "orders.parquet"
vehicle = "vin"
occurred_on = "occurred"
reported_on = "reported"
component = "component"
position = "position"
kind = { column = "kind", failure = ["F"], replacement = ["R"] }
finding = { column = "found", confirmed = ["C"], not_found = ["N"] }
"#;

pub const MODEL: &str = r#"
[model]
name = "small"
version = "1"

[[failure_mode]]
id = "pads"
component = "brake_pad"
weibull_shape = 2.0
free = ["weibull_shape"]
alert = { horizon_days = 30, probability = 0.2 }
  [[failure_mode.mechanism]]
  id = "rolling"
  exposure = "distance_km"
  characteristic_life = 18000
  free = ["characteristic_life"]
  terms = [{ channel = "temp_c", curve = "exponential", coefficient = 0.02, reference = 20.0 }]

[[failure_mode]]
id = "noise"
component = "bearing"
positions = ["left", "right"]
weibull_shape = 1.5
free = ["weibull_shape"]
  [[failure_mode.mechanism]]
  id = "age"
  exposure = "days"
  characteristic_life = 300
  free = ["characteristic_life"]
  interactions = [
    { id = "cold_humid", when = { temp_c = "< 5", humidity_pct = "> 80" }, ratio = 3.2, source = "made up" },
  ]
"#;

pub const FIRST_DAY: i32 = 18_600;
/// The day that forks the futures.
pub const CUT: i32 = FIRST_DAY + 240;
pub const LAST_DAY: i32 = FIRST_DAY + 345;

/// Which future, and where the files end.
#[derive(Clone, Copy, Debug)]
pub struct Fork {
    pub future: u32,
    /// Another past: for showing that a difference is seen.
    pub past: u32,
    pub until: i32,
}

pub const WHOLE: Fork = Fork { future: 1, past: 0, until: LAST_DAY };

struct Order {
    vehicle: u32,
    component: &'static str,
    position: Option<&'static str>,
    kind: &'static str,
    occurred: i32,
    reported: Option<i32>,
    found: Option<&'static str>,
}

impl Fork {
    /// A number that depends on the future if it is about a day after the cut.
    fn draw(&self, day: i32, vehicle: u32, what: u32, below: u32) -> u32 {
        let fork = if day > CUT { self.future } else { 1_000 + self.past };
        threefry2x32([fork, what], [vehicle, day as u32])[0] % below
    }

    fn sold(&self, vehicle: u32) -> i32 {
        match vehicle {
            // Driven by the dealer before.
            50..55 => CUT + 1 + self.draw(CUT + 1, vehicle, 1, 25) as i32,
            _ => FIRST_DAY - 5 * vehicle as i32,
        }
    }

    fn retired(&self, vehicle: u32) -> Option<i32> {
        match vehicle % 17 {
            3 => Some(CUT - 20),
            5 => Some(CUT + 5 + self.draw(CUT + 5, vehicle, 2, 60) as i32),
            _ => None,
        }
    }

    fn orders(&self) -> Vec<Order> {
        let mut orders = Vec::new();
        for vehicle in 0..58 {
            let places = [("brake_pad", None), ("bearing", Some("left")), ("bearing", Some("right"))];
            for (number, (component, position)) in (0..).zip(places) {
                // Vehicles from 55 on have no row of their own, and orders only after the cut.
                let mut day = if vehicle < 55 { FIRST_DAY } else { CUT };
                for turn in 0..20 {
                    day += 20 + self.draw(day, vehicle, 10 * turn + number, 160) as i32;
                    if day > LAST_DAY {
                        break;
                    }
                    let late = self.draw(day, vehicle, 400 + number, 40) as i32;
                    // What is reported after the cut belongs to the future, wherever it occurred.
                    let came = day + late <= CUT || self.draw(CUT + 1, vehicle, 500 + 10 * turn + number, 3) > 0;
                    let reported = (late % 5 > 0).then_some(day + late);
                    let known = reported.unwrap_or(day);
                    if known > CUT && !came {
                        continue;
                    }
                    let order = |kind, occurred, reported, found| Order {
                        vehicle,
                        component,
                        position,
                        kind,
                        occurred,
                        reported,
                        found,
                    };
                    let found = [Some("C"), None, Some("N")][(late % 3) as usize];
                    if late % 4 > 0 {
                        orders.push(order("F", day, reported, if late % 7 == 0 { Some("N") } else { Some("C") }));
                    }
                    // Written down a second time, later.
                    if late % 6 == 1 {
                        orders.push(order("F", day, Some(known + 25), Some("C")));
                    }
                    if self.draw(known + 2, vehicle, 600 + number, 10) > 0 {
                        orders.push(order("R", known + 2, None, found));
                    }
                }
            }
        }
        orders
    }

    /// Writes everything below `folder`.
    pub fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("dataset.toml"), DICTIONARY).unwrap();
        std::fs::write(folder.join("model.toml"), MODEL).unwrap();
        let until = self.until;
        let vin = |vehicle: u32| format!("VIN{:03}", vehicle * 77 % 101);
        let mut rows: Vec<(u32, i32)> = Vec::new();
        for vehicle in 0..60 {
            let first = match vehicle {
                50..55 => CUT - 30,
                55..58 => CUT + 3,
                _ => FIRST_DAY,
            };
            let last = self.retired(vehicle).unwrap_or(LAST_DAY).min(until);
            rows.extend((first..=last).map(|day| (vehicle, day)));
        }
        rows.sort_by_key(|&(vehicle, day)| (vin(vehicle), day));
        let texts = |values: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let codes = |what, below: u32| -> ArrayRef {
            Arc::new(UInt16Array::from_iter_values(rows.iter().map(|&(v, day)| self.draw(day, v, what, below) as u16)))
        };
        let dates = |values: Vec<Option<i32>>| -> ArrayRef { Arc::new(Date32Array::from(values)) };
        write_table(
            &folder.join("histories.parquet"),
            vec![
                ("vin", texts(rows.iter().map(|row| vin(row.0)).collect())),
                ("date", dates(rows.iter().map(|row| Some(row.1)).collect())),
                ("temp", codes(700, 201)),
                ("distance", codes(701, 300)),
            ],
        );
        let weather: Vec<(u32, i32)> = (FIRST_DAY..=until).flat_map(|day| [1, 2].map(|model| (model, day))).collect();
        let humid = weather.iter().map(|&(model, day)| self.draw(day, model, 800, 101) as u16);
        write_table(
            &folder.join("weather.parquet"),
            vec![
                ("model", texts(weather.iter().map(|row| format!("M{}", row.0)).collect())),
                ("date", dates(weather.iter().map(|row| Some(row.1)).collect())),
                ("humidity_pct", Arc::new(UInt16Array::from_iter_values(humid))),
            ],
        );
        let listed: Vec<u32> = (0..55).filter(|&vehicle| self.sold(vehicle) <= until).collect();
        let retired = listed.iter().map(|&vehicle| self.retired(vehicle).filter(|&day| day <= until));
        write_table(
            &folder.join("vehicles.parquet"),
            vec![
                ("vin", texts(listed.iter().map(|&vehicle| vin(vehicle)).collect())),
                ("sold_on", dates(listed.iter().map(|&vehicle| Some(self.sold(vehicle))).collect())),
                ("retired_on", dates(retired.collect())),
                ("model", texts(listed.iter().map(|vehicle| format!("M{}", 1 + vehicle % 2)).collect())),
            ],
        );
        let mut orders = self.orders();
        orders.retain(|order| order.occurred.max(order.reported.unwrap_or(i32::MIN)) <= until);
        let optional = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        write_table(
            &folder.join("orders.parquet"),
            vec![
                ("vin", texts(orders.iter().map(|order| vin(order.vehicle)).collect())),
                ("occurred", dates(orders.iter().map(|order| Some(order.occurred)).collect())),
                ("reported", dates(orders.iter().map(|order| order.reported).collect())),
                ("component", optional(orders.iter().map(|order| Some(order.component)).collect())),
                ("position", optional(orders.iter().map(|order| order.position).collect())),
                ("kind", optional(orders.iter().map(|order| Some(order.kind)).collect())),
                ("found", optional(orders.iter().map(|order| order.found).collect())),
            ],
        );
    }
}

fn write_table(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}
