//! Drafts: what `init` writes must parse, and must read the data it was drafted from.

use std::sync::Arc;

use arrow::array::*;
use fleetwear::fleet::dictionary::{ChannelSource, Dictionary, Period, Stored};
use fleetwear::fleet::error::FleetError;
use fleetwear::fleet::init::draft;

use super::{outside_data, write_parquet};

#[test]
fn a_draft_parses_and_covers_what_the_data_hold() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    for part in 0..2 {
        let shift = f64::from(part) * 50.0;
        write_parquet(
            &base.join(format!("h/zone={part}/p.parquet")),
            &[
                ("VIN", Arc::new(StringArray::from(vec!["a", "b"]))),
                ("when", Arc::new(Date32Array::from(vec![1, 2]))),
                ("amb temp_C", Arc::new(Float64Array::from(vec![Some(-7.123 - shift), None]))),
                ("distance_km", Arc::new(UInt16Array::from(vec![3, 900]))),
                ("odometer", Arc::new(Int64Array::from(vec![0, 2_000_000]))),
                ("empty", Arc::new(Float64Array::from(vec![None, None]))),
                ("is_charging", Arc::new(BooleanArray::from(vec![true, false]))),
                ("remark\nx", Arc::new(StringArray::from(vec!["x", "y"]))),
            ],
        );
    }
    let text = draft(&base.join("h"), base).unwrap();
    let dictionary =
        Dictionary::parse(&base.join("dataset.toml"), &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!((dictionary.histories.files.spec.as_str(), dictionary.histories.vehicle.as_str()), ("h", "VIN"));
    assert_eq!((dictionary.histories.time.as_str(), &dictionary.histories.period), ("when", &Period::Day));
    let by_name = |name: &str| &dictionary.channels[dictionary.channel_index(name).unwrap()];
    let temp = &by_name("amb temp_C").channel;
    assert_eq!(temp.unit, "degC");
    assert!((temp.value(0) + 57.13).abs() < 1e-9 && temp.value(temp.codes - 1) >= -7.123, "{temp:?}");
    let odometer = by_name("odometer");
    assert!(matches!(odometer.source, ChannelSource::Column { stored: Stored::Value, .. }));
    assert_eq!((odometer.channel.factor, odometer.channel.codes), (100.0, 20_001));
    assert_eq!(by_name("is_charging").channel.codes, 2);
    assert!(text.contains("# remark?x (Utf8) is no channel"), "{text}");
    assert!(text.contains("# zone (Utf8) is no channel"), "{text}");
    assert!(!text.contains("UTC"), "dates have no zone: {text}");
}

#[test]
fn a_draft_says_which_day_a_timestamp_falls_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let when = TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("+08:00");
    write_parquet(
        &path,
        &[
            ("vin", Arc::new(StringArray::from(vec!["a", "b"]))),
            ("when", Arc::new(when)),
            ("distance_km", Arc::new(UInt16Array::from(vec![3, 900]))),
        ],
    );
    let text = draft(&path, folder.path()).unwrap();
    assert!(text.contains("# A day is a day in UTC"), "{text}");
    Dictionary::parse(&folder.path().join("dataset.toml"), &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
}

#[test]
fn the_buses_are_recognised() {
    let Some(buses) = outside_data("buses/histories.parquet") else { return };
    let text = draft(&buses, &std::env::temp_dir()).unwrap();
    let dictionary = Dictionary::parse(std::path::Path::new("d/dataset.toml"), &text)
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!((dictionary.histories.vehicle.as_str(), dictionary.histories.time.as_str()), ("bus_id", "month"));
    assert_eq!(dictionary.histories.period, Period::Month);
    assert_eq!(dictionary.channels.len(), 3);
}

#[test]
fn a_file_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    std::fs::write(&path, b"nothing").unwrap();
    assert!(matches!(draft(&path, folder.path()), Err(FleetError::Unreadable { .. })));
    assert!(matches!(draft(&folder.path().join("absent"), folder.path()), Err(FleetError::NoFiles { .. })));
}
