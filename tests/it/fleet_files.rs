//! Small history files in every layout, and what a plain reader makes of their rows: for the tests of the reader.
//!
//! The plain reader works on the rows before they are written, with its own quantisation, in the most obvious way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, UInt16Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use fleetwear::fixed::threefry::threefry2x32;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

/// A row as it stands in a file. Vehicle ids are numbers here, whatever they become in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    pub vehicle: Option<i64>,
    pub day: Option<i32>,
    pub load: Option<u16>,
    pub temp: Option<f64>,
}

/// What ids are in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdType {
    Int32,
    Int64,
    Utf8,
    LargeUtf8,
    Dictionary,
}

pub const DICTIONARY: &str = r#"
[histories]
files = "histories/*.parquet"
vehicle = "vin"
time = "date"
period = "day"

[channels.load_pct]
column = "load"
unit = "%"
factor = 1.0
offset = 0.0
range = [0.0, 100.0]

[channels.temp_c]
column = "temp"
unit = "degC"
factor = 0.5
offset = -40.0
range = [-40.0, 85.0]
missing = [-999.0]
"#;

pub const LOAD_CODES: u16 = 101;
pub const TEMP_CODES: u16 = 251;

/// A record as it must come out: vehicle id as text, day, codes of load and temperature.
pub type Record = (String, i32, [u16; 2]);

/// What a plain reader makes of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub records: Vec<Record>,
    pub null_vehicle: u64,
    pub null_time: u64,
    pub after_as_of: u64,
    pub duplicates: u64,
}

pub fn load_code(load: Option<u16>) -> u16 {
    load.filter(|load| *load <= 100).unwrap_or(LOAD_CODES)
}

pub fn temp_code(temp: Option<f64>) -> u16 {
    match temp {
        Some(temp) if temp.is_finite() && temp != -999.0 => {
            let code = ((temp + 40.0) / 0.5).round_ties_even();
            if (0.0..=250.0).contains(&code) { code as u16 } else { TEMP_CODES }
        }
        _ => TEMP_CODES,
    }
}

/// Ids in a file are the number, or a text of which no order or length can be guessed from the number's.
pub fn id_text(vehicle: i64, id_type: IdType) -> String {
    match id_type {
        IdType::Int32 | IdType::Int64 => vehicle.to_string(),
        _ => format!("LFV{}{vehicle:03}", ["A", "BB", "", "Ünï"][vehicle as usize % 4]),
    }
}

pub fn expected(rows: impl IntoIterator<Item = Row>, as_of_day: Option<i32>, id_type: IdType) -> Expected {
    let mut expected = Expected::default();
    let mut kept: BTreeMap<(String, i32), [u16; 2]> = BTreeMap::new();
    for row in rows {
        match (row.vehicle, row.day) {
            (None, _) => expected.null_vehicle += 1,
            (Some(_), None) => expected.null_time += 1,
            (Some(_), Some(day)) if as_of_day.is_some_and(|as_of| day > as_of) => expected.after_as_of += 1,
            (Some(vehicle), Some(day)) => {
                let codes = [load_code(row.load), temp_code(row.temp)];
                kept.entry((id_text(vehicle, id_type), day))
                    .and_modify(|held| {
                        expected.duplicates += 1;
                        *held = codes.min(*held);
                    })
                    .or_insert(codes);
            }
        }
    }
    expected.records = kept.into_iter().map(|((vehicle, day), codes)| (vehicle, day, codes)).collect();
    expected
}

/// Draws of a seeded generator, below a limit.
pub struct Draws {
    seed: u32,
    next: u32,
}

impl Draws {
    pub fn new(seed: u32) -> Self {
        Self { seed, next: 0 }
    }

    pub fn below(&mut self, limit: u32) -> u32 {
        self.next += 1;
        ((u64::from(threefry2x32([self.seed, 1], [self.next, 0])[0]) * u64::from(limit)) >> 32) as u32
    }

    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last as u32 + 1) as usize);
        }
    }
}

/// A fleet's rows, sorted by vehicle and day, with everything that a row can have. One vehicle has `giant_rows`.
pub fn fleet(seed: u32, vehicles: u32, days: u32, giant_rows: u32) -> Vec<Row> {
    let mut draws = Draws::new(seed);
    let mut rows = Vec::new();
    for vehicle in 0..vehicles {
        let records = if vehicle == vehicles / 3 { giant_rows } else { draws.below(days) };
        for record in 0..records {
            let row = Row {
                vehicle: Some(i64::from(vehicle) * 3 + 1),
                day: Some(record as i32),
                load: Some(draws.below(103) as u16),
                temp: Some(f64::from(draws.below(600)) / 4.0 - 45.0),
            };
            rows.push(match draws.below(60) {
                0 => Row { load: None, ..row },
                1 => Row { temp: Some(f64::NAN), ..row },
                2 => Row { temp: Some(f64::NEG_INFINITY), ..row },
                3 => Row { temp: Some(-999.0), ..row },
                4 => Row { temp: None, ..row },
                _ => row,
            });
            match draws.below(40) {
                0 => rows.push(row),
                1 => rows.push(Row { load: Some(draws.below(103) as u16), ..row }),
                2 => rows.extend([Row { day: None, ..row }, Row { vehicle: None, ..row }]),
                _ => {}
            }
        }
    }
    rows
}

/// Rows of each row group of each file.
pub type Layout = Vec<Vec<Vec<Row>>>;

/// How files are written.
#[derive(Clone, Copy, Debug)]
pub struct Writing {
    pub ids: IdType,
    pub statistics: bool,
}

/// Rows in row groups of this many.
pub fn row_groups(rows: &[Row], row_group_rows: usize) -> Vec<Vec<Row>> {
    rows.chunks(row_group_rows).map(<[Row]>::to_vec).collect()
}

/// Writes a dataset of this layout and returns its `dataset.toml`.
pub fn write_dataset(folder: &Path, layout: &Layout, writing: Writing) -> PathBuf {
    let histories = folder.join("histories");
    std::fs::create_dir_all(&histories).unwrap();
    for (number, file) in layout.iter().enumerate() {
        write_file(&histories.join(format!("part-{number:03}.parquet")), file, writing);
    }
    let toml = folder.join("dataset.toml");
    std::fs::write(&toml, DICTIONARY).unwrap();
    toml
}

pub fn write_file(path: &Path, row_groups: &[Vec<Row>], writing: Writing) {
    let statistics = if writing.statistics { EnabledStatistics::Chunk } else { EnabledStatistics::None };
    let properties = WriterProperties::builder().set_statistics_enabled(statistics).build();
    write_file_as(path, row_groups, writing.ids, properties);
}

/// The same with all that a writer can be told.
pub fn write_file_as(path: &Path, row_groups: &[Vec<Row>], ids: IdType, properties: WriterProperties) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch(&[], ids).schema(), Some(properties)).unwrap();
    for rows in row_groups {
        writer.write(&batch(rows, ids)).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

pub fn batch(rows: &[Row], id_type: IdType) -> RecordBatch {
    let text = |row: &Row| row.vehicle.map(|vehicle| id_text(vehicle, id_type));
    let ids: ArrayRef = match id_type {
        IdType::Int32 => Arc::new(rows.iter().map(|row| row.vehicle.map(|id| id as i32)).collect::<Int32Array>()),
        IdType::Int64 => Arc::new(rows.iter().map(|row| row.vehicle).collect::<Int64Array>()),
        IdType::Utf8 => Arc::new(rows.iter().map(text).collect::<StringArray>()),
        IdType::LargeUtf8 => Arc::new(rows.iter().map(text).collect::<LargeStringArray>()),
        IdType::Dictionary => {
            let texts: Vec<Option<String>> = rows.iter().map(text).collect();
            Arc::new(texts.iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>())
        }
    };
    let schema = Schema::new(vec![
        Field::new("unused", DataType::Int64, true),
        Field::new("temp", DataType::Float64, true),
        Field::new("vin", ids.data_type().clone(), true),
        Field::new("load", DataType::UInt16, true),
        Field::new("date", DataType::Date32, true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.vehicle).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.temp).collect::<Float64Array>()),
        ids,
        Arc::new(rows.iter().map(|row| row.load).collect::<UInt16Array>()),
        Arc::new(rows.iter().map(|row| row.day).collect::<Date32Array>()),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}
