//! Vehicle ids: one index an id, whatever the type, the order and the number of threads.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use fleetwear::fleet::error::FleetError;
use fleetwear::fleet::ids::{IdKind, IdTable, NO_VEHICLE};
use fleetwear::fleet::vehicles::Ids;

fn table(kind: IdKind) -> IdTable {
    IdTable::new(kind, Path::new("first.parquet"))
}

fn index(table: &IdTable, array: &dyn Array) -> Result<Vec<u32>, FleetError> {
    let mut out = Vec::new();
    table.reader(array.data_type(), Path::new("second.parquet"), "id")?.index(array, &mut out)?;
    Ok(out)
}

#[test]
fn integers_of_any_width_are_one_kind() {
    let ids = table(IdKind::Integer);
    let first = Int64Array::from(vec![Some(5), Some(5), None, Some(7), Some(5)]);
    assert_eq!(index(&ids, &first).unwrap(), [0, 0, NO_VEHICLE, 1, 0]);
    for data_type in [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
    ] {
        assert_eq!(index(&ids, &cast(&first, &data_type).unwrap()).unwrap(), [0, 0, NO_VEHICLE, 1, 0], "{data_type}");
    }
    assert_eq!(index(&ids, &Int64Array::from(vec![i64::MIN, 7, i64::MAX])).unwrap(), [2, 1, 3]);
    assert_eq!(ids.ids(), Ids::Integer(vec![5, 7, i64::MIN, i64::MAX]));
    assert_eq!((ids.index_of("7"), ids.index_of("8"), ids.index_of("x")), (Some(1), None, None));
}

#[test]
fn an_unsigned_id_beyond_64_signed_bits_is_an_error_that_adds_nothing() {
    let ids = table(IdKind::Integer);
    let error = index(&ids, &UInt64Array::from(vec![1, u64::MAX])).unwrap_err().to_string();
    assert!(error.contains("18446744073709551615") && error.contains("second.parquet"), "{error}");
    assert!(ids.is_empty());
    // Under a null anything may stand.
    let nulls = UInt64Array::new(vec![1, u64::MAX].into(), Some(vec![true, false].into()));
    assert_eq!(index(&ids, &nulls).unwrap(), [0, NO_VEHICLE]);
}

#[test]
fn texts_of_any_layout_are_one_kind_and_empty_is_none() {
    let ids = table(IdKind::Text);
    let texts = StringArray::from(vec![Some("b"), Some("b"), None, Some(""), Some("äö"), Some("b")]);
    let wanted = [0, 0, NO_VEHICLE, NO_VEHICLE, 1, 0];
    for data_type in [
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::LargeUtf8)),
    ] {
        assert_eq!(index(&ids, &cast(&texts, &data_type).unwrap()).unwrap(), wanted, "{data_type}");
    }
    assert_eq!(ids.ids(), Ids::Text(vec!["b".into(), "äö".into()]));
    assert_eq!((ids.index_of("äö"), ids.index_of("")), (Some(1), None));
}

#[test]
fn dictionary_values_that_no_row_uses_are_no_vehicles() {
    let ids = table(IdKind::Text);
    let values = Arc::new(StringArray::from(vec![Some("unused"), Some("used"), None, Some("used")]));
    let keys = Int32Array::from(vec![Some(3), None, Some(1), Some(2)]);
    let coded = DictionaryArray::<Int32Type>::try_new(keys, values).unwrap();
    assert_eq!(index(&ids, &coded).unwrap(), [0, NO_VEHICLE, 0, NO_VEHICLE]);
    assert_eq!(ids.ids(), Ids::Text(vec!["used".into()]));
    let empty = DictionaryArray::<Int32Type>::try_new(
        Int32Array::from(vec![None, None]),
        Arc::new(StringArray::from(Vec::<&str>::new())),
    )
    .unwrap();
    assert_eq!(index(&ids, &empty).unwrap(), [NO_VEHICLE, NO_VEHICLE]);
}

#[test]
fn kinds_do_not_mix_and_both_files_are_named() {
    let error = index(&table(IdKind::Text), &Int32Array::from(vec![1])).unwrap_err().to_string();
    assert!(error.contains("second.parquet") && error.contains("first.parquet"), "{error}");
    assert!(error.contains("Int32") && error.contains("text"), "{error}");
    let error = index(&table(IdKind::Integer), &Float64Array::from(vec![1.0])).unwrap_err();
    assert!(matches!(error, FleetError::WrongType { .. }), "{error}");
}

#[test]
fn truncate_forgets_only_the_later_ones() {
    let ids = table(IdKind::Text);
    index(&ids, &StringArray::from(vec!["a", "b", "c"])).unwrap();
    ids.truncate(1);
    assert_eq!(ids.ids(), Ids::Text(vec!["a".into()]));
    assert_eq!(index(&ids, &StringArray::from(vec!["c", "a", "d"])).unwrap(), [1, 0, 2]);
}

/// Threads that meet the same ids in different orders agree on them: in files sorted by vehicle (runs), by day (the
/// same order again and again) and in no order.
#[test]
fn threads_agree() {
    let ids = table(IdKind::Integer);
    let layouts: Vec<Vec<i64>> = (0..8_i64)
        .map(|thread| {
            let vehicles = 0..5_000_i64;
            match thread % 4 {
                0 => vehicles.flat_map(|id| [id * 3; 7]).collect(),
                1 => (0..7).flat_map(|_| vehicles.clone().map(|id| id * 3)).collect(),
                2 => (0..35_000).map(|row| (row * 7_919 + thread * 13) % 5_000 * 3).collect(),
                _ => vehicles.rev().flat_map(|id| [id * 3, id * 3]).collect(),
            }
        })
        .collect();
    let answers: Vec<Vec<u32>> = std::thread::scope(|scope| {
        let handles: Vec<_> = layouts
            .iter()
            .map(|layout| {
                scope.spawn(|| {
                    let array = Int64Array::from(layout.clone());
                    let mut reader = ids.reader(array.data_type(), Path::new("f"), "id").unwrap();
                    let mut out = Vec::new();
                    for start in (0..layout.len()).step_by(999) {
                        reader.index(&array.slice(start, 999.min(layout.len() - start)), &mut out).unwrap();
                    }
                    out
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    let Ids::Integer(known) = ids.ids() else { panic!("integers") };
    let by_id: HashMap<i64, u32> = known.iter().enumerate().map(|(index, &id)| (id, index as u32)).collect();
    assert_eq!((known.len(), by_id.len()), (5_000, 5_000));
    for (layout, answer) in layouts.iter().zip(&answers) {
        assert!(layout.iter().map(|id| by_id[id]).eq(answer.iter().copied()));
    }
}
