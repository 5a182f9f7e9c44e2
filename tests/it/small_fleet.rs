//! A small fleet on disk, whole: histories in any layout, vehicles, work orders, dictionary and model. For tests that
//! go from files to files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, UInt16Array};
use fleetwear::fixed::threefry::threefry2x32;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

pub const DICTIONARY: &str = r#"
[histories]
files = "histories/*.parquet"
vehicle = "VEHICLE"
time = "date"
period = "day"

[channels.temp_c]
factor = 0.5
offset = -40.0
range = [-40.0, 60.0]

[channels.humidity_pct]
range = [0.0, 100.0]

[channels.distance_km]
factor = 0.5
range = [0.0, 400.0]

[vehicles]
files = "vehicles.parquet"
vehicle = "VEHICLE"
sale_date = "sold_on"
attributes = ["model"]

[events]
files = "orders.parquet"
vehicle = "VEHICLE"
occurred_on = "done_on"
component = "component"
position = "position"
kind = { column = "kind", failure = ["F"], replacement = ["R"] }
"#;

pub const MODEL: &str = r#"
[model]
name = "small"
version = "1"

[[failure_mode]]
id = "pads"
component = "brake_pad"
weibull_shape = 2.0
  [[failure_mode.mechanism]]
  id = "rolling"
  exposure = "distance_km"
  characteristic_life = 20000
  clock_exponent = 0.5
  terms = [{ channel = "temp_c", curve = "exponential", coefficient = 0.02, reference = 20.0 }]

[[failure_mode]]
id = "noise"
component = "bearing"
positions = ["left", "right"]
weibull_shape = 1.5
  [[failure_mode.mechanism]]
  id = "age"
  exposure = "days"
  characteristic_life = 2000
  interactions = [
    { id = "cold_humid", when = { temp_c = "< 5", humidity_pct = "> 80", model = "M2" }, ratio = 3.2, source = "made up" },
  ]
  [[failure_mode.mechanism]]
  id = "rolling"
  exposure = "distance_km"
  characteristic_life = 90000
"#;

/// One day of one vehicle, as codes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Day {
    pub vehicle: usize,
    pub day: i32,
    pub temp: u16,
    pub humidity: u16,
    pub distance: u16,
}

/// A replacement (or, for kind "F", a failure).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    pub vehicle: usize,
    pub component: &'static str,
    pub position: Option<&'static str>,
    pub kind: &'static str,
    pub day: i32,
}

/// What stands in the files. Vehicles from `listed` on are in the histories alone.
#[derive(Clone, Debug)]
pub struct SmallFleet {
    pub text_ids: bool,
    pub listed: usize,
    pub days: Vec<Day>,
    pub orders: Vec<Order>,
}

/// How the histories are cut and ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Sorted by vehicle and day, in this many files.
    ByVehicle(usize),
    /// A file for every so many days.
    ByDay(usize),
    /// In no order, in this many files.
    Shuffled(usize),
}

pub const FIRST_DAY: i32 = 19_000;

impl SmallFleet {
    /// Vehicles with some 200 days each, replacements now and then, the last tenth of them unlisted.
    pub fn new(vehicles: usize) -> Self {
        let draw = |vehicle: usize, day: i32, what: u32, below: u32| {
            threefry2x32([7, what], [vehicle as u32, day as u32])[0] % below
        };
        let mut days = Vec::new();
        let mut orders = Vec::new();
        for vehicle in 0..vehicles {
            for day in draw(vehicle, -1, 0, 60) as i32..200 {
                if draw(vehicle, day, 1, 20) > 0 {
                    days.push(Day {
                        vehicle,
                        day: FIRST_DAY + day,
                        temp: draw(vehicle, day, 2, 201) as u16,
                        humidity: draw(vehicle, day, 3, 101) as u16,
                        // One in a hundred lies outside the declared range.
                        distance: draw(vehicle, day, 4, 809) as u16,
                    });
                }
            }
            for (what, component, position) in
                [(5, "brake_pad", None), (6, "bearing", Some("left")), (7, "bearing", Some("right")), (8, "horn", None)]
            {
                for kind in ["R", "F"] {
                    if draw(vehicle, what, 9, 3) == 0 {
                        let day = FIRST_DAY + draw(vehicle, what, 10, 200) as i32;
                        orders.push(Order { vehicle, component, position, kind, day });
                    }
                }
            }
        }
        Self { text_ids: true, listed: vehicles - vehicles / 10, days, orders }
    }

    /// Neither in the order of the index nor of their numbers.
    pub fn id(vehicle: usize) -> i64 {
        (vehicle as i64 * 7_919) % 100_003
    }

    fn ids(&self, vehicles: impl Iterator<Item = usize>) -> ArrayRef {
        if self.text_ids {
            Arc::new(StringArray::from_iter_values(vehicles.map(|vehicle| format!("VIN{}", Self::id(vehicle)))))
        } else {
            Arc::new(Int64Array::from_iter_values(vehicles.map(Self::id)))
        }
    }

    /// Writes everything below `folder`, and gives the path of the model.
    pub fn write(&self, folder: &Path, layout: Layout) -> PathBuf {
        std::fs::create_dir_all(folder.join("histories")).unwrap();
        let vehicle = if self.text_ids { "vin" } else { "vehicle_id" };
        std::fs::write(folder.join("dataset.toml"), DICTIONARY.replace("VEHICLE", vehicle)).unwrap();
        std::fs::write(folder.join("model.toml"), MODEL).unwrap();
        let mut days = self.days.clone();
        let files: Vec<Vec<Day>> = match layout {
            Layout::ByVehicle(files) => {
                let id = |day: &Day| (Self::id(day.vehicle), format!("VIN{}", Self::id(day.vehicle)));
                days.sort_by_key(|day| {
                    if self.text_ids { (0, id(day).1, day.day) } else { (id(day).0, String::new(), day.day) }
                });
                days.chunks(days.len().div_ceil(files).max(1)).map(<[Day]>::to_vec).collect()
            }
            Layout::ByDay(length) => {
                days.sort_by_key(|day| (day.day, day.vehicle));
                days.chunk_by(|a, b| a.day as usize / length == b.day as usize / length).map(<[Day]>::to_vec).collect()
            }
            Layout::Shuffled(files) => {
                days.sort_by_key(|day| threefry2x32([1, 2], [day.vehicle as u32, day.day as u32]));
                days.chunks(days.len().div_ceil(files).max(1)).map(<[Day]>::to_vec).collect()
            }
        };
        let files = if files.is_empty() { vec![Vec::new()] } else { files };
        for (index, days) in files.iter().enumerate() {
            let column = |value: fn(&Day) -> u16| -> ArrayRef {
                Arc::new(UInt16Array::from_iter_values(days.iter().map(value)))
            };
            let columns: Vec<(&str, ArrayRef)> = vec![
                (vehicle, self.ids(days.iter().map(|day| day.vehicle))),
                ("date", Arc::new(Date32Array::from_iter_values(days.iter().map(|day| day.day)))),
                ("temp_c", column(|day| day.temp)),
                ("humidity_pct", column(|day| day.humidity)),
                ("distance_km", column(|day| day.distance)),
            ];
            write_table(&folder.join(format!("histories/part-{index:03}.parquet")), columns);
        }
        let listed = 0..self.listed;
        let models = listed.clone().map(|vehicle| [Some("M1"), Some("M2"), None][vehicle % 3]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            (vehicle, self.ids(listed.clone())),
            ("sold_on", Arc::new(Date32Array::from_iter(listed.map(|v| (v % 4 > 0).then_some(FIRST_DAY - v as i32))))),
            ("model", Arc::new(StringArray::from_iter(models))),
        ];
        write_table(&folder.join("vehicles.parquet"), columns);
        let orders: Vec<&Order> = self.orders.iter().filter(|order| order.vehicle < self.listed).collect();
        let text = |value: fn(&Order) -> Option<&'static str>| -> ArrayRef {
            Arc::new(StringArray::from_iter(orders.iter().map(|order| value(order))))
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            (vehicle, self.ids(orders.iter().map(|order| order.vehicle))),
            ("done_on", Arc::new(Date32Array::from_iter_values(orders.iter().map(|order| order.day)))),
            ("component", text(|order| Some(order.component))),
            ("position", text(|order| order.position)),
            ("kind", text(|order| Some(order.kind))),
        ];
        write_table(&folder.join("orders.parquet"), columns);
        folder.join("model.toml")
    }
}

fn write_table(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(997)).build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}
