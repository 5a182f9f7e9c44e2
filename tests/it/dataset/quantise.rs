//! Codes from columns of every type, against a plain per-value reference.

use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int8Type, Int32Type};
use fleetwear::fleet::dictionary::{ChannelDefinition, ChannelSource, Stored};
use fleetwear::fleet::error::FleetError;
use fleetwear::fleet::quantise::{CellCounts, Quantiser};
use fleetwear::model::channel::Channel;
use proptest::prelude::*;

fn definition(first: i64, codes: u32, factor: f64, offset: f64, missing: &[f64], stored: Stored) -> ChannelDefinition {
    let channel = Channel { name: "c".into(), unit: String::new(), factor, offset, first, codes };
    let source = ChannelSource::Column { column: "c".to_string(), stored };
    ChannelDefinition { channel, source, missing: missing.to_vec() }
}

fn quantise(definition: &ChannelDefinition, array: &dyn Array) -> Result<(Vec<u16>, CellCounts), FleetError> {
    let quantiser = Quantiser::new(definition, array.data_type(), Path::new("f.parquet"), "c")?;
    let (mut codes, mut cells) = (vec![7], CellCounts::default());
    quantiser.quantise(array, &mut codes, &mut cells)?;
    assert_eq!(codes.remove(0), 7, "what was there stays");
    Ok((codes, cells))
}

/// The definition, value by value: a raw number, or none for null.
fn reference(definition: &ChannelDefinition, raw_codes: bool, values: &[Option<f64>]) -> (Vec<u16>, CellCounts) {
    let channel = &definition.channel;
    let mut cells = CellCounts::default();
    let mut codes = Vec::new();
    for value in values {
        let code = match *value {
            None => Err(&mut cells.missing),
            Some(raw) if definition.missing.contains(&raw) => Err(&mut cells.missing),
            Some(raw) if !raw.is_finite() => Err(&mut cells.not_finite),
            Some(raw) => {
                let raw = if raw_codes { raw } else { (raw - channel.offset) / channel.factor };
                let code = raw.round_ties_even() - channel.first as f64;
                if code >= 0.0 && code < f64::from(channel.codes) {
                    Ok(code as u16)
                } else {
                    Err(&mut cells.out_of_range)
                }
            }
        };
        codes.push(code.unwrap_or_else(|count| {
            *count += 1;
            channel.not_available()
        }));
    }
    (codes, cells)
}

fn cells(missing: u64, not_finite: u64, out_of_range: u64) -> CellCounts {
    CellCounts { missing, not_finite, out_of_range, no_join: 0 }
}

#[test]
fn floats_round_half_to_even_and_say_why_not() {
    let temp = definition(0, 1251, 0.5, -40.0, &[-9999.0], Stored::ByType);
    let values = vec![
        Some(-40.0),
        Some(-39.75),
        Some(-39.25),
        Some(585.0),
        Some(585.25),
        Some(585.26),
        Some(-40.25),
        Some(-40.26),
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(f64::NEG_INFINITY),
        Some(-9999.0),
        None,
        Some(1e300),
        Some(-0.0),
    ];
    let na = 1251;
    let wanted = vec![0, 0, 2, 1250, 1250, na, 0, na, na, na, na, na, na, na, 80];
    let (codes, counted) = quantise(&temp, &Float64Array::from(values.clone())).unwrap();
    assert_eq!((&codes, counted), (&wanted, cells(2, 3, 3)));
    assert_eq!(reference(&temp, false, &values), (wanted, cells(2, 3, 3)));
}

#[test]
fn integers_are_raw_codes_and_thresholds_exact() {
    let codes_10_to_13 = definition(10, 4, 0.1, 5.0, &[], Stored::ByType);
    let wanted = (vec![4, 0, 3, 4, 4], cells(1, 0, 2));
    let values = [Some(9_u8), Some(10), Some(13), Some(14), None];
    let wide = UInt8Array::from(values.to_vec());
    for data_type in [
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Decimal128(9, 0),
        DataType::Decimal64(9, 0),
    ] {
        assert_eq!(quantise(&codes_10_to_13, &cast(&wide, &data_type).unwrap()).unwrap(), wanted, "{data_type}");
    }
    let values = codes_10_to_13_values();
    let as_values = definition(10, 4, 0.1, 5.0, &[], Stored::Value);
    assert_eq!(quantise(&as_values, &values).unwrap(), (vec![4, 0, 4], cells(0, 0, 2)));
}

/// 5.0 + 0.1 * 10 = 6: of whole numbers only 6 lies in the range 6.0 to 6.3.
fn codes_10_to_13_values() -> Int32Array {
    Int32Array::from(vec![5, 6, 7])
}

#[test]
fn the_full_range_and_types_narrower_than_the_range() {
    let full = definition(0, 65_535, 1.0, 0.0, &[], Stored::ByType);
    let values = UInt16Array::from(vec![0, 1, 65_534, 65_535]);
    assert_eq!(quantise(&full, &values).unwrap(), (vec![0, 1, 65_534, 65_535], cells(0, 0, 1)));
    let values = Int64Array::from(vec![i64::MIN, -1, 0, 65_535, i64::MAX]);
    assert_eq!(quantise(&full, &values).unwrap(), (vec![65_535, 65_535, 0, 65_535, 65_535], cells(0, 0, 4)));
    let negative = definition(-300, 601, 1.0, 0.0, &[], Stored::ByType);
    assert_eq!(quantise(&negative, &Int8Array::from(vec![-128, 0, 127])).unwrap().0, [172, 300, 427]);
    let beyond = definition(1000, 10, 1.0, 0.0, &[], Stored::ByType);
    assert_eq!(quantise(&beyond, &UInt8Array::from(vec![0, 255])).unwrap(), (vec![10, 10], cells(0, 0, 2)));
}

#[test]
fn declared_missing_values_count_once_by_what_they_are() {
    let channel = definition(0, 100, 1.0, 0.0, &[50.0, 65_535.0, 50.0, 0.5, -9999.0], Stored::ByType);
    let values = UInt16Array::from(vec![Some(50), Some(65_535), Some(49), Some(200), None]);
    assert_eq!(quantise(&channel, &values).unwrap(), (vec![100, 100, 49, 100, 100], cells(3, 0, 1)));
    let channel = definition(0, 100, 1.0, 0.0, &[-9999.1], Stored::ByType);
    let values = Float32Array::from(vec![-9999.1, 3.0]);
    assert_eq!(quantise(&channel, &values).unwrap(), (vec![100, 3], cells(1, 0, 0)));
    let channel = definition(0, 100, 1.0, 0.0, &[f64::INFINITY], Stored::ByType);
    let values = Float64Array::from(vec![f64::INFINITY, f64::NEG_INFINITY]);
    assert_eq!(quantise(&channel, &values).unwrap(), (vec![100, 100], cells(1, 1, 0)));
}

#[test]
fn every_other_numeric_type() {
    let channel = definition(0, 100, 0.5, 0.0, &[], Stored::ByType);
    let tenths =
        Decimal128Array::from(vec![Some(5), Some(12), Some(500), None]).with_precision_and_scale(5, 1).unwrap();
    assert_eq!(quantise(&channel, &tenths).unwrap(), (vec![1, 2, 100, 100], cells(1, 0, 1)));
    let truths = BooleanArray::from(vec![Some(true), Some(false), None]);
    assert_eq!(quantise(&channel, &truths).unwrap(), (vec![1, 0, 100], cells(1, 0, 0)));
    let halves = cast(&Float32Array::from(vec![1.5, f32::NAN]), &DataType::Float16).unwrap();
    assert_eq!(quantise(&channel, &halves).unwrap(), (vec![3, 100], cells(0, 1, 0)));
    assert_eq!(quantise(&channel, &NullArray::new(3)).unwrap(), (vec![100; 3], cells(3, 0, 0)));
    assert_eq!(quantise(&channel, &Int32Array::from(Vec::<i32>::new())).unwrap(), (vec![], cells(0, 0, 0)));
    // A value that no row uses (99) must not be counted; a null value behind a key counts as often as it is used.
    let keys = Int8Array::from(vec![Some(0), Some(2), None, Some(2)]);
    let values = Arc::new(Int32Array::from(vec![Some(4), Some(999), None]));
    let coded = DictionaryArray::<Int8Type>::try_new(keys, values).unwrap();
    assert_eq!(quantise(&channel, &coded).unwrap(), (vec![4, 100, 100, 100], cells(3, 0, 0)));
    // Floats may hold codes, where a tool knows no missing integers.
    let stored = definition(0, 100, 0.5, 7.0, &[], Stored::Code);
    assert_eq!(quantise(&stored, &Float64Array::from(vec![4.0, f64::NAN])).unwrap(), (vec![4, 100], cells(0, 1, 0)));
}

#[test]
fn slices_keep_to_their_rows() {
    let channel = definition(0, 100, 1.0, 0.0, &[], Stored::ByType);
    let array = Int32Array::from(vec![Some(1), None, Some(3), Some(500), None, Some(6)]);
    assert_eq!(quantise(&channel, &array.slice(2, 3)).unwrap(), (vec![3, 100, 100], cells(1, 0, 1)));
}

#[test]
fn other_types_are_refused_with_file_and_column() {
    let channel = definition(0, 100, 1.0, 0.0, &[], Stored::ByType);
    for array in [
        Arc::new(StringArray::from(vec!["1"])) as ArrayRef,
        Arc::new(Date32Array::from(vec![1])),
        Arc::new(BinaryArray::from(vec![&b"1"[..]])),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])])),
    ] {
        let error = quantise(&channel, &array).unwrap_err().to_string();
        assert!(error.starts_with("f.parquet: column \"c\" is of type"), "{error}");
    }
    // A file whose column changes its type between batches breaks a promise of the reader; it is no panic either.
    let quantiser = Quantiser::new(&channel, &DataType::Int32, Path::new("f"), "c").unwrap();
    let other = quantiser.quantise(&Int64Array::from(vec![1]), &mut vec![], &mut CellCounts::default());
    assert!(matches!(other, Err(FleetError::Internal { .. })));
}

proptest! {
    #[test]
    fn floats_as_the_reference(
        values in prop::collection::vec(prop::option::of(prop_oneof![
            4 => -60.0..120.0_f64,
            1 => any::<f64>(),
            2 => (-900..1800_i32).prop_map(|tenths| f64::from(tenths) * 0.05),
        ]), 0..300),
        first in -2000..2000_i64,
        codes in 1..3000_u32,
        factor in prop_oneof![Just(0.1), Just(0.05), Just(1.0), 0.001..10.0_f64],
        offset in prop_oneof![Just(0.0), Just(-40.0), -100.0..100.0_f64],
        missing in prop::collection::vec(-10..10_i32, 0..3),
    ) {
        let missing: Vec<f64> = missing.into_iter().map(f64::from).collect();
        let channel = definition(first, codes, factor, offset, &missing, Stored::ByType);
        prop_assert_eq!(quantise(&channel, &Float64Array::from(values.clone())).unwrap(), reference(&channel, false, &values));
        let narrow: Vec<Option<f32>> = values.iter().map(|value| value.map(|value| value as f32)).collect();
        let widened: Vec<Option<f64>> = narrow.iter().map(|value| value.map(f64::from)).collect();
        prop_assert_eq!(quantise(&channel, &Float32Array::from(narrow)).unwrap(), reference(&channel, false, &widened));
    }

    #[test]
    fn integers_as_the_reference(
        values in prop::collection::vec(prop::option::of(prop_oneof![-300..300_i64, any::<i64>()]), 0..300),
        first in -400..400_i64,
        codes in 1..65_535_u32,
        missing in prop::collection::vec(-300..300_i32, 0..3),
    ) {
        let missing: Vec<f64> = missing.into_iter().map(f64::from).collect();
        let channel = definition(first, codes, 0.1, 3.0, &missing, Stored::ByType);
        let as_f64: Vec<Option<f64>> = values.iter().map(|value| value.map(|value| value as f64)).collect();
        prop_assert_eq!(quantise(&channel, &Int64Array::from(values.clone())).unwrap(), reference(&channel, true, &as_f64));
        let narrow: Vec<Option<i16>> = values.iter().map(|value| value.map(|value| value as i16)).collect();
        let as_f64: Vec<Option<f64>> = narrow.iter().map(|value| value.map(f64::from)).collect();
        prop_assert_eq!(quantise(&channel, &Int16Array::from(narrow)).unwrap(), reference(&channel, true, &as_f64));
    }
}
