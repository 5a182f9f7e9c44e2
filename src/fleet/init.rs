//! Drafts a `dataset.toml` from the files of the histories: which column is the vehicle, which the time, and what
//! ranges the others have, by the statistics of the row groups. A draft to be read by a person: whatever was guessed
//! says so in a comment.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use arrow::compute::{cast, max, min};
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use super::dictionary::{Files, MAX_CODES};
use super::error::FleetError;
use super::files::resolve;
use super::ids::IdKind;
use super::table_file::decoded;
use super::time::TimeAxis;

/// Footers looked at: the statistics of more files seldom change a draft, and a fleet may have thousands.
const FILES_LOOKED_AT: usize = 64;
/// Names that columns of vehicle ids and of times go by, likeliest first.
const VEHICLE_NAMES: [&str; 12] = [
    "vin",
    "vehicle_id",
    "vehicle",
    "vehicleid",
    "car_id",
    "bus_id",
    "truck_id",
    "asset_id",
    "unit_id",
    "unit",
    "device_id",
    "id",
];
const TIME_NAMES: [&str; 13] = [
    "date",
    "day",
    "time",
    "timestamp",
    "ts",
    "datetime",
    "record_date",
    "period",
    "month",
    "week",
    "cycle",
    "start",
    "year",
];
/// Endings of a name that say a unit.
const UNITS: [(&str, &str); 15] = [
    ("_degc", "degC"),
    ("_c", "degC"),
    ("_pct", "%"),
    ("_km", "km"),
    ("_miles", "mile"),
    ("_kwh", "kWh"),
    ("_kw", "kW"),
    ("_v", "V"),
    ("_a", "A"),
    ("_kg", "kg"),
    ("_kpa", "kPa"),
    ("_bar", "bar"),
    ("_rpm", "rpm"),
    ("_h", "h"),
    ("_s", "s"),
];

/// What the footers say of one column.
struct Column {
    name: String,
    data_type: DataType,
    /// Smallest and largest value, where the row groups tell.
    range: Option<(f64, f64)>,
}

/// Drafts the dictionary of the histories at `data` (a file, folder or glob), as it would stand in the folder `base`.
pub fn draft(data: &Path, base: &Path) -> Result<String, FleetError> {
    let spec = data.to_string_lossy().into_owned();
    let sources = resolve(&Files { spec, base: PathBuf::new() })?;
    let mut columns: Vec<Column> = Vec::new();
    let mut rows = 0;
    for source in sources.iter().take(FILES_LOOKED_AT) {
        rows += look_at(&source.path, &mut columns)?;
    }
    let partitions = sources.first().map(|source| source.partitions.clone()).unwrap_or_default();
    for (name, _) in partitions {
        if !columns.iter().any(|column| column.name == name) {
            columns.push(Column { name, data_type: DataType::Utf8, range: None });
        }
    }
    Ok(written(&columns, &files_text(data, base), sources.len(), rows))
}

/// Adds what a footer says to `columns`, and returns the file's rows.
fn look_at(path: &Path, columns: &mut Vec<Column>) -> Result<i64, FleetError> {
    let file = File::open(path).map_err(|source| FleetError::io(path, source))?;
    let metadata = decoded(path, || ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))?;
    for field in metadata.schema().fields() {
        let range = range(&metadata, field);
        match columns.iter_mut().find(|column| column.name == *field.name()) {
            None => columns.push(Column { name: field.name().clone(), data_type: field.data_type().clone(), range }),
            Some(column) => {
                column.range = match (column.range, range) {
                    (Some((low, high)), Some((lower, higher))) => Some((low.min(lower), high.max(higher))),
                    (one, other) => one.or(other),
                };
            }
        }
    }
    Ok(metadata.metadata().file_metadata().num_rows())
}

fn range(metadata: &ArrowReaderMetadata, field: &Field) -> Option<(f64, f64)> {
    if !field.data_type().is_numeric() {
        return None;
    }
    let schema: &Schema = metadata.schema();
    let parquet = metadata.metadata();
    let converter = StatisticsConverter::try_new(field.name(), schema, parquet.file_metadata().schema_descr()).ok()?;
    let lows = cast(&converter.row_group_mins(parquet.row_groups()).ok()?, &DataType::Float64).ok()?;
    let highs = cast(&converter.row_group_maxes(parquet.row_groups()).ok()?, &DataType::Float64).ok()?;
    if lows.null_count() == lows.len() {
        return None;
    }
    let low = min(lows.as_primitive::<Float64Type>())?;
    let high = max(highs.as_primitive::<Float64Type>())?;
    (low.is_finite() && high.is_finite() && low <= high).then_some((low, high))
}

/// The column of one of these names that is fit; names count, then the order of the file.
fn guess<'a>(columns: &'a [Column], names: &[&str], is_fit: impl Fn(&DataType) -> bool) -> Option<&'a Column> {
    let fit = || columns.iter().filter(|column| is_fit(&column.data_type));
    let named = names.iter().find_map(|name| fit().find(|column| column.name.eq_ignore_ascii_case(name)));
    named.or_else(|| {
        names.iter().find_map(|name| fit().find(|column| column.name.to_lowercase().ends_with(&format!("_{name}"))))
    })
}

fn written(columns: &[Column], files: &str, file_count: usize, rows: i64) -> String {
    let is_date =
        |data_type: &DataType| matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _));
    let time = columns
        .iter()
        .find(|column| is_date(&column.data_type))
        .or_else(|| guess(columns, &TIME_NAMES, |data_type| TimeAxis::of(data_type).is_some()));
    let is_time = |column: &Column| time.is_some_and(|time| time.name == column.name);
    let vehicle = guess(columns, &VEHICLE_NAMES, |data_type| IdKind::of(data_type).is_some()).or_else(|| {
        let first =
            |kind| columns.iter().find(|column| !is_time(column) && IdKind::of(&column.data_type) == Some(kind));
        first(IdKind::Text).or_else(|| first(IdKind::Integer))
    });
    let mut text = String::new();
    let files_word = if file_count == 1 { "file" } else { "files" };
    let looked = file_count.min(FILES_LOOKED_AT);
    line(&mut text, &format!("# A draft from the footers of {looked} of {file_count} {files_word} ({rows} rows)."));
    line(&mut text, "# Read it line by line: ranges are what the data hold, not what a sensor can give.");
    line(&mut text, "");
    line(&mut text, "[histories]");
    line(&mut text, &format!("files = {files}"));
    for (key, column, what) in
        [("vehicle", vehicle, "the column of vehicle ids"), ("time", time, "the column of dates, times or periods")]
    {
        match column {
            Some(column) => {
                line(&mut text, &format!("{key} = {}  # check: a {} column", quoted(&column.name), column.data_type));
            }
            None => line(&mut text, &format!("{key} = \"\"  # fill in: {what} was not recognised")),
        }
    }
    if time.is_some_and(|column| matches!(column.data_type, DataType::Timestamp(_, _))) {
        line(
            &mut text,
            "# A day is a day in UTC, whatever zone a timestamp carries: write local dates if days are to be local.",
        );
    }
    line(&mut text, &format!("period = {}  # check: day, week, month, trip or column:<channel>", period(time)));
    for column in columns {
        if is_time(column) || vehicle.is_some_and(|vehicle| vehicle.name == column.name) {
            continue;
        }
        if column.data_type.is_numeric() || column.data_type == DataType::Boolean {
            channel(&mut text, column);
        } else {
            line(&mut text, "");
            line(
                &mut text,
                &format!("# {} ({}) is no channel: not a number.", comment(&column.name), column.data_type),
            );
        }
    }
    line(&mut text, "");
    line(&mut text, "# [vehicles]");
    line(&mut text, "# files = \"vehicles.parquet\"");
    line(&mut text, "# attributes = [\"model\", \"climate_zone\"]");
    line(&mut text, "");
    line(&mut text, "# [events]");
    line(&mut text, "# files = \"work_orders.parquet\"");
    line(&mut text, "# occurred_on = \"failed_on\"");
    line(&mut text, "# component = \"component\"");
    line(&mut text, "# kind = { column = \"type\", failure = [\"F\"], replacement = [\"R\"], other = [\"S\"] }");
    text
}

fn channel(text: &mut String, column: &Column) {
    line(text, "");
    line(text, &format!("[channels.{}]", key(&column.name)));
    let lower = column.name.to_lowercase();
    let unit = UNITS.iter().find(|(ending, _)| lower.ends_with(ending)).map_or("", |(_, unit)| unit);
    line(text, &format!("unit = {}{}", quoted(unit), if unit.is_empty() { "  # fill in" } else { "  # check" }));
    let is_float = !(column.data_type.is_integer() || column.data_type == DataType::Boolean);
    let (low, high) = match (&column.data_type, column.range) {
        (DataType::Boolean, _) => (0.0, 1.0),
        (_, Some(range)) => range,
        (_, None) => {
            line(text, "range = [0, 1]  # fill in: the files tell no range");
            return;
        }
    };
    let factor = factor(low, high, is_float);
    if factor != 1.0 {
        if !is_float {
            line(text, "stored = \"value\"  # a range this wide does not fit codes of 1");
        }
        line(text, &format!("factor = {factor}  # check: the resolution worth keeping"));
    }
    // The range ends on whole steps that enclose what the data hold.
    let (first, last) = ((low / factor).floor(), (high / factor).ceil());
    let end = |step: f64| if factor >= 1.0 { step * factor } else { step / (1.0 / factor).round() };
    line(text, &format!("range = [{}, {}]  # what the data hold", end(first), end(last)));
}

/// The step: 1 for integers and 0.01 for others, or the smallest power of ten with which the range fits.
fn factor(low: f64, high: f64, is_float: bool) -> f64 {
    const STEPS: [f64; 12] = [0.01, 0.1, 1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e9, 1e12, 1e15];
    let finest = if is_float { 0.01 } else { 1.0 };
    let fits = |step: f64| (high / step).ceil() - (low / step).floor() < f64::from(MAX_CODES);
    STEPS.into_iter().filter(|step| *step >= finest).find(|step| fits(*step)).unwrap_or(1e18)
}

fn period(time: Option<&Column>) -> &'static str {
    let name = time.map(|column| column.name.to_lowercase()).unwrap_or_default();
    if name.contains("month") {
        "\"month\""
    } else if name.contains("week") {
        "\"week\""
    } else {
        "\"day\""
    }
}

/// `files` as seen from the folder of the dictionary.
fn files_text(data: &Path, base: &Path) -> String {
    let whole = std::path::absolute(data).unwrap_or_else(|_| data.to_path_buf());
    let whole_base = std::path::absolute(base).unwrap_or_else(|_| base.to_path_buf());
    quoted(&whole.strip_prefix(&whole_base).unwrap_or(&whole).to_string_lossy())
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_string()).to_string()
}

/// A channel's name as a key: bare where TOML allows.
fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { name.to_string() } else { quoted(name) }
}

/// A name inside a comment: control characters would end it or hide text.
fn comment(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn line(text: &mut String, content: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{content}");
}
