//! A small fleet with one watched channel, written to order: every row is the test's own.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use fleetwear::fixed::threefry::threefry2x32;
use parquet::arrow::ArrowWriter;

pub const DICTIONARY: &str = r#"
[histories]
files = "histories/*.parquet"
vehicle = "unit"
time = "date"
period = "day"

[channels.spread_c]
factor = 0.01
range = [-10.0, 20.0]

[vehicles]
files = "vehicles.parquet"
vehicle = "unit"
build_date = "built_on"
attributes = ["lot", "plant"]

[events]
files = "orders.parquet"
vehicle = "unit"
occurred_on = "done_on"
component = "component"
"#;

/// The monitor of a test; the failure mode only makes it a model.
pub fn model(direction: &str, extra: &str) -> String {
    format!(
        r#"
[model]
name = "one"
version = "1"

[[failure_mode]]
id = "age"
component = "sensor"
weibull_shape = 1.0
  [[failure_mode.mechanism]]
  id = "time"
  exposure = "days"
  characteristic_life = 5000

[[monitor]]
id = "spread"
component = "sensor"
channel = "spread_c"
direction = "{direction}"
baseline_days = 60
false_alarms_per_100000_days = 20
lot = "lot"
{extra}
"#
    )
}

pub const FIRST_DAY: i32 = 19_000;

/// Rows of a fleet: (vehicle, day, value or none), and replacements (vehicle, day).
#[derive(Clone, Debug, Default)]
pub struct Made {
    pub vehicles: i64,
    pub lots: i64,
    pub rows: Vec<(i64, i32, Option<f64>)>,
    pub replacements: Vec<(i64, i32)>,
}

/// Noise of a vehicle and day: three uniforms, standard deviation 0.25.
pub fn noise(vehicle: i64, day: i32) -> f64 {
    let unit = |counter: u32| {
        let [a, b] = threefry2x32([77, counter], [vehicle as u32, day as u32]);
        (f64::from(a) + f64::from(b)) / 4_294_967_296.0 - 1.0
    };
    0.25 * std::f64::consts::SQRT_2 * (unit(0) + unit(1) + unit(2))
}

impl Made {
    /// Healthy vehicles, each with every day.
    pub fn healthy(vehicles: i64, days: i32) -> Self {
        let row = |vehicle: i64, day: i32| (vehicle, FIRST_DAY + day, Some(1.0 + noise(vehicle, day)));
        let rows = (0..vehicles).flat_map(|vehicle| (0..days).map(move |day| row(vehicle, day)));
        Self { vehicles, lots: 5, rows: rows.collect(), replacements: Vec::new() }
    }

    /// Changes one vehicle's rows: (days since the first, value) to a value, or none for "not available".
    pub fn change(&mut self, vehicle: i64, change: impl Fn(i32, f64) -> Option<f64>) {
        for (_, day, value) in self.rows.iter_mut().filter(|row| row.0 == vehicle) {
            *value = value.and_then(|value| change(*day - FIRST_DAY, value));
        }
    }

    /// Writes everything, histories in so many files: whole vehicles in order, or (`shuffled`) in no order.
    pub fn write(&self, folder: &Path, files: usize, shuffled: bool) {
        std::fs::create_dir_all(folder.join("histories")).unwrap();
        std::fs::write(folder.join("dataset.toml"), DICTIONARY).unwrap();
        let mut rows = self.rows.clone();
        if shuffled {
            rows.sort_by_key(|row| threefry2x32([1, 1], [row.0 as u32, row.1 as u32]));
        } else {
            rows.sort_by_key(|row| (row.0, row.1));
        }
        for (index, rows) in rows.chunks(self.rows.len().div_ceil(files).max(1)).enumerate() {
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("unit", Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>())),
                ("date", Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.1)))),
                ("spread_c", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>())),
            ];
            save(&folder.join(format!("histories/{index}.parquet")), columns);
        }
        let ids = || 0..self.vehicles;
        save(
            &folder.join("vehicles.parquet"),
            vec![
                ("unit", Arc::new(Int64Array::from_iter_values(ids()))),
                ("lot", Arc::new(ids().map(|id| Some(format!("L{}", id % self.lots.max(1)))).collect::<StringArray>())),
                ("plant", Arc::new(ids().map(|id| Some(format!("P{}", id % 2))).collect::<StringArray>())),
                ("built_on", Arc::new(Date32Array::from_iter_values(ids().map(|id| 18_500 + 3 * id as i32 % 200)))),
            ],
        );
        let orders = &self.replacements;
        save(
            &folder.join("orders.parquet"),
            vec![
                ("unit", Arc::new(Int64Array::from_iter_values(orders.iter().map(|order| order.0)))),
                ("done_on", Arc::new(Date32Array::from_iter_values(orders.iter().map(|order| order.1)))),
                ("component", Arc::new(orders.iter().map(|_| Some("sensor")).collect::<StringArray>())),
            ],
        );
    }
}

fn save(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}
