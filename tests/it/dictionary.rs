//! `dataset.toml`: the whole language is understood, and every way to get it wrong is answered with line, key, remedy.

use std::path::Path;

use fleetwear::fleet::dictionary::{ChannelSource, Dictionary, Operation, Period, Stored};
use fleetwear::fleet::error::FleetError;
use fleetwear::model::channel::PeriodLength;

const WHOLE: &str = r#"
[histories]
files   = "histories/**/*.parquet"
vehicle = "vin"
time    = "date"
period  = "day"

[channels.ambient_temp_c]
column = "amb_temp"
unit = "degC"
factor = 0.1
offset = -40.0
range = [-40.0, 85.0]
missing = [-9999.0]

[channels.humidity_pct]
range = [0, 100]

[channels.distance_km]
range = [10, 300]
stored = "code"

[channels.spread_c]
factor = 0.1
range = [-50, 50]
derived = { difference = ["ambient_temp_c", "humidity_pct"] }

[joins.weather]
files = "weather.parquet"
on = { climate_zone = "zone", time = "date" }
channels = ["ambient_temp_c", "humidity_pct"]

[vehicles]
files = "vehicles.parquet"
build_date = "build_date"
sale_date = "sale_date"
end_date = "retired_on"
attributes = ["model", "climate_zone"]

[events]
files = "work_orders.parquet"
vehicle = "vin"
occurred_on = "failed_on"
reported_on = "opened_on"
component = "component"
position = "position"
kind = { column = "type", failure = ["F"], replacement = ["R", 7], inspection = ["I"] }
finding = { column = "result", confirmed = ["C"], not_found = ["N"] }
odometer_km = "odo"
cost = "amount"
"#;

fn parse(text: &str) -> Result<Dictionary, FleetError> {
    Dictionary::parse(Path::new("fleet/dataset.toml"), text)
}

#[test]
fn the_whole_language() {
    let dictionary = parse(WHOLE).unwrap();
    assert_eq!(dictionary.histories.files.base, Path::new("fleet"));
    assert_eq!(dictionary.histories.period, Period::Day);
    let names: Vec<&str> = dictionary.channels.iter().map(|definition| definition.channel.name.as_str()).collect();
    assert_eq!(names, ["ambient_temp_c", "humidity_pct", "distance_km", "spread_c"]);
    let temp = &dictionary.channels[0];
    assert_eq!((temp.channel.first, temp.channel.codes), (0, 1251));
    assert_eq!(temp.channel.value(1250), 85.0);
    assert_eq!(temp.missing, [-9999.0]);
    assert!(matches!(&temp.source, ChannelSource::Join { join: 0, column, .. } if column == "amb_temp"));
    let distance = &dictionary.channels[2];
    assert_eq!((distance.channel.first, distance.channel.codes), (10, 291));
    assert!(matches!(&distance.source, ChannelSource::Column { stored: Stored::Code, .. }));
    let spread = &dictionary.channels[3].source;
    assert!(matches!(spread, ChannelSource::Derived { operation: Operation::Difference, a: 0, b: 1 }));
    assert_eq!(dictionary.with_operands(&[3, 2]), [0, 1, 3, 2]);
    let join = &dictionary.joins[0];
    assert_eq!(join.attributes, [("climate_zone".to_string(), "zone".to_string())]);
    assert_eq!(join.time.as_deref(), Some("date"));
    assert_eq!(dictionary.vehicles.as_ref().unwrap().vehicle, "vin");
    let events = dictionary.events.as_ref().unwrap();
    let kind = events.kind.as_ref().unwrap();
    assert_eq!(kind.replacement, ["R", "7"]);
    assert!(kind.outcome.is_empty());
    assert_eq!(dictionary.schema().period_length, PeriodLength::Constant(1.0));
    assert_eq!(dictionary.schema().attributes, ["model", "climate_zone"]);
}

#[test]
fn periods() {
    let with = |period: &str| parse(&WHOLE.replace("\"day\"", period));
    assert_eq!(with("\"week\"").unwrap().schema().period_length, PeriodLength::Constant(7.0));
    assert_eq!(with("\"trip\"").unwrap().schema().period_length, PeriodLength::Unknown);
    assert_eq!(with("\"column:humidity_pct\"").unwrap().schema().period_length, PeriodLength::Channel(1));
    let month = with("\"month\"").unwrap();
    assert_eq!(month.schema().period_length, PeriodLength::Channel(4));
    let days = &month.channels[4].channel;
    assert_eq!((days.name.as_str(), days.value(0), days.value(days.codes - 1)), ("period_days", 28.0, 31.0));
}

/// Replaces a piece of the whole file and asks for the error's line, key and a part of its message.
#[track_caller]
fn refused(from: &str, to: &str, wanted_line: usize, wanted_key: &str, wanted_part: &str) {
    assert!(WHOLE.contains(from), "the example lacks {from:?}");
    let error = parse(&WHOLE.replacen(from, to, 1)).expect_err("must be refused");
    let message = error.to_string();
    let FleetError::Dictionary { line, key, .. } = error else { panic!("another error: {message}") };
    assert_eq!((line, key.as_str()), (wanted_line, wanted_key), "{message}");
    assert!(message.contains(wanted_part), "{message:?} lacks {wanted_part:?}");
    assert!(message.starts_with("fleet/dataset.toml:"), "{message}");
}

#[test]
fn refusals_name_line_key_and_remedy() {
    refused("vehicle = \"vin\"", "vehicel = \"vin\"", 4, "histories.vehicel", "did you mean `vehicle`?");
    refused("period  = \"day\"", "perod = \"day\"", 6, "histories.perod", "did you mean `period`?");
    refused("period  = \"day\"", "period = \"dya\"", 6, "histories.period", "did you mean \"day\"?");
    refused("period  = \"day\"", "period = \"column:humidty_pct\"", 6, "histories.period", "\"humidity_pct\"");
    refused("unit = \"degC\"", "units = \"degC\"", 10, "channels.ambient_temp_c.units", "did you mean `unit`?");
    refused("unit = \"degC\"", "unit = 5", 10, "channels.ambient_temp_c.unit", "write a text in quotes");
    refused("factor = 0.1\noffset", "factor = 0.0\noffset", 8, "channels.ambient_temp_c.factor", "above zero");
    refused("factor = 0.1\noffset", "factor = 1e-9\noffset", 13, "channels.ambient_temp_c.range", "65535 fit");
    refused("range = [-40.0, 85.0]", "range = [85.0, -40.0]", 13, "channels.ambient_temp_c.range", "lowest, highest");
    refused("range = [-40.0, 85.0]", "range = [nan, 85.0]", 13, "channels.ambient_temp_c.range", "lowest, highest");
    refused("range = [-40.0, 85.0]", "range = [1]", 13, "channels.ambient_temp_c.range", "has 1 numbers");
    refused("range = [0, 100]", "", 16, "channels.humidity_pct.range", "is missing");
    refused("range = [0, 100]", "range = [0, 65535]", 17, "channels.humidity_pct.range", "holds 65536 codes");
    refused("stored = \"code\"", "stored = \"raw\"", 19, "channels.distance_km.stored", "\"code\" or \"value\"");
    refused(
        "[\"ambient_temp_c\", \"humidity_pct\"] }",
        "[\"a\", \"humidity_pct\"] }",
        26,
        "channels.spread_c.derived.difference",
        "declare it",
    );
    refused(
        "[\"ambient_temp_c\", \"humidity_pct\"] }",
        "[\"spread_c\", \"humidity_pct\"] }",
        23,
        "channels.spread_c",
        "itself",
    );
    refused("difference = [", "differenze = [", 26, "channels.spread_c.derived.differenze", "`difference`");
    refused("derived = {", "column = \"x\"\nderived = {", 27, "channels.spread_c.derived", "at once");
    refused(
        "climate_zone = \"zone\"",
        "climate_zon = \"zone\"",
        30,
        "joins.weather.on.climate_zon",
        "\"climate_zone\"",
    );
    refused(
        "channels = [\"ambient_temp_c\", \"humidity_pct\"]",
        "channels = [\"ambient_temp\"]",
        28,
        "joins",
        "\"ambient_temp_c\"",
    );
    refused(
        "attributes = [\"model\", \"climate_zone\"]",
        "attributes = [\"climate_zone\", \"climate_zone\"]",
        33,
        "vehicles.attributes",
        "twice",
    );
    refused("failure = [\"F\"]", "failure = [\"R\"]", 47, "events.kind.replacement", "once");
    refused("[events]", "[event]", 40, "event", "did you mean `events`?");
    refused("[vehicles]", "[vehicles", 33, "TOML", "mend the syntax");
    refused("range = [10, 300]", "range = [1e300, 2e300]", 20, "channels.distance_km.range", "raw codes");
}

#[test]
fn limits_are_exact() {
    let codes = |range: &str| {
        let dictionary = parse(&WHOLE.replace("range = [0, 100]", range)).unwrap();
        dictionary.channels[1].channel.clone()
    };
    assert_eq!(codes("range = [0, 65534]").codes, 65_535);
    assert_eq!(codes("range = [0, 65534]").not_available(), 65_535);
    assert_eq!(codes("range = [5, 5]").codes, 1);
    assert_eq!(codes("range = [-32768, 32766]").first, -32_768);
}

#[test]
fn no_dictionary_is_said_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let error = Dictionary::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("dataset.toml; write a dataset.toml or draft one with `fleetwear init`"), "{error}");
    std::fs::write(folder.path().join("dataset.toml"), b"[histories]\nfiles = \"\xff\"\n").unwrap();
    let error = Dictionary::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("dataset.toml:2: `TOML`: is not UTF-8"), "{error}");
}

#[test]
fn the_hash_is_that_of_the_text_that_was_parsed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dataset.toml");
    std::fs::write(&path, WHOLE).unwrap();
    let dictionary = Dictionary::load(&path).unwrap();
    std::fs::write(&path, "# edited while a run that had read it was going on").unwrap();
    assert_eq!(dictionary.blake3, blake3::hash(WHOLE.as_bytes()).to_hex().to_string());
}
