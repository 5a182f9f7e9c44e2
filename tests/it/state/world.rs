//! A small fleet on disk that changes from night to night, and the two ways to score it: with a state, and whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt16Array,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use fleetwear::backend::Choice;
use fleetwear::engine::{EngineError, ScorePlan, ScoreReport, score};
use fleetwear::fixed::threefry::threefry2x32;
use fleetwear::run::Control;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const DICTIONARY: &str = r#"
[histories]
files = "histories/*.parquet"
vehicle = "vin"
time = "date"
period = "day"

[channels.temp_c]
factor = 0.5
offset = -40.0
range = [-40.0, 60.0]

[channels.distance_km]
factor = 0.5
range = [0.0, 400.0]

[joins.weather]
files = "weather.parquet"
on = { zone = "zone", time = "day" }
channels = ["humidity_pct"]

[channels.humidity_pct]
range = [0.0, 100.0]

[vehicles]
files = "vehicles.parquet"
vehicle = "vin"
sale_date = "sold_on"
end_date = "ended_on"
attributes = ["model", "zone"]

[events]
files = "orders.parquet"
vehicle = "vin"
occurred_on = "done_on"
component = "component"
position = "position"
"#;

/// The mode "flash" reaches a whole life within some records: capped increments.
const MODEL: &str = r#"
[model]
name = "nightly"
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
    { id = "cold_humid", when = { temp_c = "< 5", humidity_pct = "> 60", model = "M2" }, ratio = 3.2, source = "made up" },
  ]
  [[failure_mode.mechanism]]
  id = "rolling"
  exposure = "distance_km"
  characteristic_life = 90000
  terms = [{ channel = "humidity_pct", curve = "power", exponent = 0.5, reference = 50.0, floor = 1.0 }]

[[failure_mode]]
id = "flash"
component = "fuse"
weibull_shape = 1.0
  [[failure_mode.mechanism]]
  id = "surge"
  exposure = "distance_km"
  characteristic_life = 380
"#;

/// First day of the histories.
pub const FIRST_DAY: i32 = 19_000;
pub const VEHICLES: usize = 24;
pub const ZONES: [&str; 3] = ["coast", "hills", "plain"];

/// The vehicle of a row without one, and the day of a row without one.
pub const NOBODY: usize = 1 << 40;
pub const NEVER: i32 = i32::MIN;

/// One record, as codes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    pub vehicle: usize,
    pub day: i32,
    /// Hour of the day, where times are timestamps.
    pub hour: i64,
    pub temp: u16,
    pub distance: Option<u16>,
}

/// A replacement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    pub vehicle: usize,
    pub component: &'static str,
    pub position: Option<&'static str>,
    pub day: i32,
}

pub const PARTS: [(&str, Option<&str>); 5] =
    [("brake_pad", None), ("bearing", Some("left")), ("bearing", Some("right")), ("bearing", None), ("fuse", None)];

/// What the tables say besides the histories, which are on disk only.
pub struct World {
    pub folder: tempfile::TempDir,
    pub text_ids: bool,
    pub timestamps: bool,
    /// Model and zone of the listed vehicles.
    pub listed: BTreeMap<usize, (&'static str, &'static str)>,
    /// Last days of listed vehicles.
    pub ends: BTreeMap<usize, i32>,
    pub orders: Vec<Order>,
    /// Humidity by (zone, day).
    pub weather: BTreeMap<(&'static str, i32), u16>,
    pub runs: std::cell::Cell<u32>,
}

/// A number below `below` that depends on what it is for.
pub fn draw(key: [u32; 2], what: [u32; 2], below: u32) -> u32 {
    threefry2x32(key, what)[0] % below
}

impl World {
    /// Listed vehicles with models and zones, weather for 500 days, no order and no record yet.
    pub fn new(text_ids: bool, timestamps: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("histories")).unwrap();
        fs::write(folder.path().join("dataset.toml"), DICTIONARY).unwrap();
        fs::write(folder.path().join("model.toml"), MODEL).unwrap();
        let listed =
            (0..VEHICLES - 4).map(|vehicle| (vehicle, (["M1", "M2"][vehicle % 2], ZONES[vehicle % 3]))).collect();
        let mut weather = BTreeMap::new();
        for (number, zone) in ZONES.into_iter().enumerate() {
            for day in 0..500 {
                // A day without weather now and then.
                if draw([8, number as u32], [day as u32, 0], 40) > 0 {
                    weather.insert((zone, FIRST_DAY + day), draw([9, number as u32], [day as u32, 0], 101) as u16);
                }
            }
        }
        let world = Self {
            folder,
            text_ids,
            timestamps,
            listed,
            ends: BTreeMap::new(),
            orders: Vec::new(),
            weather,
            runs: 0.into(),
        };
        world.write_tables();
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Writes vehicles, orders and weather as they are now.
    pub fn write_tables(&self) {
        let vehicles: Vec<usize> = self.listed.keys().copied().collect();
        let of = |pick: fn(&(&'static str, &'static str)) -> &'static str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(self.listed.values().map(pick)))
        };
        let sold: Vec<Option<i32>> =
            vehicles.iter().map(|vehicle| (vehicle % 3 > 0).then_some(FIRST_DAY - 20 + *vehicle as i32)).collect();
        let ended = vehicles.iter().map(|vehicle| self.ends.get(vehicle).copied());
        let ended: ArrayRef = Arc::new(Date32Array::from_iter(ended));
        write(
            &self.path("vehicles.parquet"),
            &[
                ("vin", self.ids(&vehicles)),
                ("sold_on", Arc::new(Date32Array::from(sold))),
                ("ended_on", ended),
                ("model", of(|listed| listed.0)),
                ("zone", of(|listed| listed.1)),
            ],
        );
        let vehicles: Vec<usize> = self.orders.iter().map(|order| order.vehicle).collect();
        write(
            &self.path("orders.parquet"),
            &[
                ("vin", self.ids(&vehicles)),
                ("done_on", Arc::new(Date32Array::from_iter_values(self.orders.iter().map(|order| order.day)))),
                ("component", Arc::new(StringArray::from_iter_values(self.orders.iter().map(|order| order.component)))),
                ("position", Arc::new(StringArray::from_iter(self.orders.iter().map(|order| order.position)))),
            ],
        );
        write(
            &self.path("weather.parquet"),
            &[
                ("zone", Arc::new(StringArray::from_iter_values(self.weather.keys().map(|key| key.0)))),
                ("day", Arc::new(Date32Array::from_iter_values(self.weather.keys().map(|key| key.1)))),
                (
                    "humidity_pct",
                    Arc::new(Float64Array::from_iter_values(self.weather.values().map(|&code| f64::from(code)))),
                ),
            ],
        );
    }

    fn ids(&self, vehicles: &[usize]) -> ArrayRef {
        if self.text_ids {
            let id = |vehicle: &usize| (*vehicle != NOBODY).then(|| format!("V{vehicle:03}"));
            Arc::new(StringArray::from_iter(vehicles.iter().map(id)))
        } else {
            let id = |vehicle: &usize| (*vehicle != NOBODY).then_some(*vehicle as i64 * 7 - 50);
            Arc::new(Int64Array::from_iter(vehicles.iter().map(id)))
        }
    }

    /// Writes a history file.
    pub fn write_history(&self, name: &str, records: &[Record]) {
        let vehicles: Vec<usize> = records.iter().map(|record| record.vehicle).collect();
        let date: ArrayRef = if self.timestamps {
            let micros = records.iter().map(|record| (i64::from(record.day) * 24 + record.hour) * 3_600_000_000);
            Arc::new(TimestampMicrosecondArray::from_iter_values(micros))
        } else {
            Arc::new(Date32Array::from_iter(records.iter().map(|record| (record.day != NEVER).then_some(record.day))))
        };
        write(
            &self.history(name),
            &[
                ("vin", self.ids(&vehicles)),
                ("date", date),
                ("temp_c", Arc::new(UInt16Array::from_iter_values(records.iter().map(|record| record.temp)))),
                ("distance_km", Arc::new(UInt16Array::from_iter(records.iter().map(|record| record.distance)))),
            ],
        );
    }

    /// All records of a day after the first, in a file of their own.
    pub fn add_day(&self, day: i32) {
        self.write_history(&format!("n{day:04}"), &days(FIRST_DAY + day..FIRST_DAY + day + 1));
    }

    /// What may happen until a night, by chance: orders and listed vehicles change, and records come late or again.
    /// `now` is the day that comes with it, after the first.
    pub fn change_by_chance(&mut self, stream: u32, seed: u32, night: u32, now: i32) -> Vec<Record> {
        let chance = |what: u32, below: u32| draw([stream, seed], [night, what], below);
        if chance(0, 8) > 0 {
            self.add_day(now);
        }
        let mut late = Vec::new();
        for event in 0..chance(1, 6) {
            let of = |what: u32, below: u32| draw([stream + 1 + event, seed], [night, what], below);
            let vehicle = of(0, VEHICLES as u32 + 2) as usize;
            let day = FIRST_DAY + now - of(1, [8, 60, 130, 220][of(2, 4) as usize]) as i32;
            let (component, position) = PARTS[of(3, PARTS.len() as u32) as usize];
            match of(4, 7) {
                0 => late.push(Record { vehicle, day, hour: 5, temp: of(5, 201) as u16, distance: Some(3) }),
                1 => late.extend(record(vehicle, day)),
                2 => late.extend(record(vehicle, day).map(|mut record| {
                    record.distance = record.distance.map(|code| code.saturating_sub(of(6, 3) as u16));
                    record.temp = of(7, 201) as u16;
                    record
                })),
                3 => self.orders.push(Order { vehicle, component, position, day }),
                4 => self.orders.retain(|order| order.vehicle != vehicle),
                5 => {
                    self.orders.iter_mut().filter(|order| order.vehicle == vehicle).for_each(|order| order.day = day);
                }
                _ => {
                    let zone = ZONES[of(6, 3) as usize];
                    if of(5, 4) == 0 {
                        self.listed.insert(vehicle, (["M1", "M2"][of(7, 2) as usize], zone));
                    }
                }
            }
        }
        late
    }

    pub fn history(&self, name: &str) -> PathBuf {
        self.path("histories").join(format!("{name}.parquet"))
    }

    /// The plan of a run, with a new folder to write.
    pub fn plan(&self, as_of_day: Option<i32>) -> ScorePlan {
        self.runs.set(self.runs.get() + 1);
        let out = self.path(&format!("out-{}", self.runs.get()));
        let mut plan = ScorePlan::new(self.folder.path().into(), self.path("model.toml").to_string_lossy(), out);
        plan.backend = Choice::Cpu;
        plan.threads = 2;
        plan.as_of_day = as_of_day;
        plan.keep = vec!["zone".into()];
        plan
    }

    /// A run with the state.
    pub fn night(&self, as_of_day: Option<i32>) -> Result<ScoreReport, EngineError> {
        let plan = ScorePlan { state: Some(self.state()), ..self.plan(as_of_day) };
        score(&plan, &Control::silent())
    }

    /// A run over everything.
    pub fn whole(&self, as_of_day: Option<i32>) -> ScoreReport {
        score(&self.plan(as_of_day), &Control::silent()).unwrap()
    }

    /// Scores both ways and compares the content, row by row if it differs.
    pub fn compare(&self, as_of_day: Option<i32>, what: &str) -> ScoreReport {
        let night = self.night(as_of_day).unwrap_or_else(|error| panic!("{what}: {error}"));
        let whole = self.whole(as_of_day);
        assert!(night.account.balances(), "{what}: {:?}", night.account);
        if night.content_hash != whole.content_hash {
            panic!("{what}: {}", first_difference(&night.out, &whole.out));
        }
        for out in [&night.out, &whole.out] {
            fs::remove_dir_all(out).unwrap();
        }
        night
    }
}

/// The first row that two results do not agree on.
pub fn first_difference(a: &Path, b: &Path) -> String {
    let (a, b) = (rows(a), rows(b));
    for (a, b) in a.iter().zip(&b) {
        if a != b {
            return format!("night {a}\nwhole {b}");
        }
    }
    format!("{} rows against {}", a.len(), b.len())
}

fn rows(out: &Path) -> Vec<String> {
    let mut parts: Vec<PathBuf> =
        fs::read_dir(out.join("scores")).unwrap().map(|entry| entry.unwrap().path()).collect();
    parts.sort();
    let mut rows = Vec::new();
    for part in parts {
        let file = fs::File::open(part).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let options = FormatOptions::default().with_null("-");
            let columns: Vec<ArrayFormatter> = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
                .collect();
            for row in 0..batch.num_rows() {
                let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
                rows.push(cells.join(" | "));
            }
        }
    }
    rows
}

fn write(path: &Path, columns: &[(&str, ArrayRef)]) {
    let batch = RecordBatch::try_from_iter(columns.iter().map(|(name, column)| (*name, column.clone()))).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The record of a vehicle on a day, if it drove: nine days in ten, from a day of its own on.
pub fn record(vehicle: usize, day: i32) -> Option<Record> {
    let key = |what: u32| draw([vehicle as u32, what], [day as u32, 0], 1 << 30);
    let drove = key(1) % 10 > 0 && day >= FIRST_DAY + (vehicle as i32 * 7) % 90;
    drove.then(|| Record {
        vehicle,
        day,
        hour: i64::from(key(2) % 24),
        temp: (key(3) % 201) as u16,
        // One in thirty is missing; few reach the whole life of a fuse.
        distance: (key(4) % 30 > 0).then_some(if key(5) % 25 == 0 { 780 } else { (key(6) % 300) as u16 }),
    })
}

/// All records of some days.
pub fn days(days: std::ops::Range<i32>) -> Vec<Record> {
    days.flat_map(|day| (0..VEHICLES).filter_map(move |vehicle| record(vehicle, day))).collect()
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
