//! Plain values of a page as an Arrow array of the column's type: exactly what the Arrow reader would give.

use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, AsArray, PrimitiveArray, make_array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Int8Type, Int16Type, Int32Type, UInt8Type, UInt16Type};
use parquet::basic::Type;

/// Whether values of this physical type are those of the Arrow type, but for their width.
pub(super) fn is_direct(physical: Type, data_type: &DataType) -> bool {
    use DataType::{
        Date32, Date64, Float32, Float64, Int8, Int16, Int32, Int64, Timestamp, UInt8, UInt16, UInt32, UInt64,
    };
    match physical {
        Type::INT32 => matches!(data_type, Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32 | Date32),
        Type::INT64 => matches!(data_type, Int64 | UInt64 | Date64 | Timestamp(_, _)),
        Type::FLOAT => matches!(data_type, Float32),
        Type::DOUBLE => matches!(data_type, Float64),
        _ => false,
    }
}

/// Bytes of a value in a page.
pub(super) fn width_bytes(physical: Type) -> usize {
    match physical {
        Type::INT32 | Type::FLOAT => 4,
        _ => 8,
    }
}

/// The array of these values, one after the other. With `valid`, only those of valid rows are there.
pub(super) fn array(
    bytes: &[u8],
    valid: Option<&[bool]>,
    physical: Type,
    data_type: &DataType,
) -> Result<ArrayRef, String> {
    let width = width_bytes(physical);
    let (buffer, rows) = match valid {
        None => (Buffer::from(bytes), bytes.len() / width),
        Some(valid) => {
            let mut spread = vec![0; valid.len() * width];
            let rows = spread.chunks_exact_mut(width).zip(valid).filter(|(_, valid)| **valid);
            for ((to, _), from) in rows.zip(bytes.chunks_exact(width)) {
                to.copy_from_slice(from);
            }
            (Buffer::from(spread.as_slice()), valid.len())
        }
    };
    let is_narrow = matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16);
    let stored = if is_narrow { DataType::Int32 } else { data_type.clone() };
    let nulls = valid.map(|valid| NullBuffer::from(valid.to_vec()));
    let data = ArrayData::builder(stored).len(rows).add_buffer(buffer).nulls(nulls);
    let wide = make_array(data.build().map_err(|error| error.to_string())?);
    Ok(match data_type {
        DataType::Int8 => narrow::<Int8Type>(&wide, |value| value as i8),
        DataType::Int16 => narrow::<Int16Type>(&wide, |value| value as i16),
        DataType::UInt8 => narrow::<UInt8Type>(&wide, |value| value as u8),
        DataType::UInt16 => narrow::<UInt16Type>(&wide, |value| value as u16),
        _ => wide,
    })
}

/// The low bits, as the Arrow reader takes them.
fn narrow<T: ArrowPrimitiveType>(wide: &ArrayRef, low: impl Fn(i32) -> T::Native) -> ArrayRef {
    let narrowed: PrimitiveArray<T> = wide.as_primitive::<Int32Type>().unary(low);
    Arc::new(narrowed)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, Float64Array, TimestampMicrosecondArray, UInt16Array};
    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn values_take_their_type_and_their_rows() {
        let bytes: Vec<u8> = [7_i32, 65_535].iter().flat_map(|value| value.to_le_bytes()).collect();
        let wanted = UInt16Array::from(vec![Some(7), None, Some(65_535)]);
        let got = array(&bytes, Some(&[true, false, true]), Type::INT32, &DataType::UInt16).unwrap();
        assert_eq!(got.as_ref(), &wanted as &dyn Array);
        let bytes: Vec<u8> = [1_i64, -1].iter().flat_map(|value| value.to_le_bytes()).collect();
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let wanted = TimestampMicrosecondArray::from(vec![1, -1]).with_timezone("UTC");
        assert_eq!(array(&bytes, None, Type::INT64, &zoned).unwrap().as_ref(), &wanted as &dyn Array);
        let bytes = 0.5_f64.to_le_bytes();
        let wanted = Float64Array::from(vec![0.5]);
        assert_eq!(array(&bytes, None, Type::DOUBLE, &DataType::Float64).unwrap().as_ref(), &wanted as &dyn Array);
        assert!(!is_direct(Type::INT32, &DataType::Date64) && !is_direct(Type::INT96, &zoned));
    }
}
