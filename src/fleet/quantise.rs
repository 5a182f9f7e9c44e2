//! From Arrow columns to `u16` codes: the hot path of reading.
//!
//! Key idea: every column type has one branch-free loop over its values, in its own width, that gives a code or
//! "not available"; what is rare (nulls, declared missing values, the reason why a cell has no code) is settled
//! afterwards and only where it occurs. Integer columns hold raw codes unless declared otherwise; floats and
//! decimals hold values, and their code is `(value - offset) / factor` rounded half to even, in f64.

use std::path::Path;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};

use super::dictionary::{ChannelDefinition, ChannelSource, Stored};
use super::error::FleetError;

/// What a channel's column may be.
pub const ACCEPTED: &str =
    "an integer, a float, a decimal (up to 38 digits) or a boolean column (plain or dictionary-encoded)";

/// Cells that became "not available", by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellCounts {
    /// Null, or a raw value declared as missing.
    pub missing: u64,
    /// NaN or infinite.
    pub not_finite: u64,
    pub out_of_range: u64,
    /// The side table has no row.
    pub no_join: u64,
}

impl CellCounts {
    pub fn add(&mut self, other: &CellCounts) {
        self.missing += other.missing;
        self.not_finite += other.not_finite;
        self.out_of_range += other.out_of_range;
        self.no_join += other.no_join;
    }

    pub fn count(&mut self, fault: CellFault) {
        match fault {
            CellFault::Missing => self.missing += 1,
            CellFault::NotFinite => self.not_finite += 1,
            CellFault::OutOfRange => self.out_of_range += 1,
        }
    }

    pub fn total(&self) -> u64 {
        self.missing + self.not_finite + self.out_of_range + self.no_join
    }
}

/// Why a cell of a column has no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellFault {
    /// Null, or a raw value declared as missing.
    Missing,
    /// NaN or infinite.
    NotFinite,
    OutOfRange,
}

/// Places of codes that are not there, rising.
pub type CellFaults = Vec<(u32, CellFault)>;

/// One column of one file, ready to be turned into codes.
#[derive(Clone, Debug)]
pub struct Quantiser {
    /// As it comes from the file.
    column_type: DataType,
    first: i64,
    codes: u32,
    /// `value = offset + factor * raw`; 0 and 1 where the column holds raw codes already.
    offset: f64,
    factor: f64,
    /// Whether integers are raw codes and need no arithmetic.
    raw_codes: bool,
    missing: Vec<f64>,
}

impl Quantiser {
    /// For a column of this type in this file; refuses types that hold no numbers.
    pub fn new(
        definition: &ChannelDefinition,
        data_type: &DataType,
        file: &Path,
        column: &str,
    ) -> Result<Self, FleetError> {
        let value_type = match data_type {
            DataType::Dictionary(_, values) => values.as_ref(),
            plain => plain,
        };
        let stored = match &definition.source {
            ChannelSource::Column { stored, .. } | ChannelSource::Join { stored, .. } => *stored,
            ChannelSource::Derived { .. } | ChannelSource::PeriodDays => {
                return Err(FleetError::Internal { what: format!("channel {column:?} is not read from a column") });
            }
        };
        let by_type = match value_type {
            DataType::Decimal128(_, scale) | DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => {
                *scale == 0
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => false,
            DataType::Null | DataType::Boolean => true,
            integer if integer.is_integer() => true,
            _ => {
                return Err(FleetError::WrongType {
                    file: file.to_path_buf(),
                    column: column.to_string(),
                    got: data_type.to_string(),
                    accepted: ACCEPTED,
                });
            }
        };
        let raw_codes = match stored {
            Stored::Code => true,
            Stored::Value => false,
            Stored::ByType => by_type,
        };
        let channel = &definition.channel;
        Ok(Self {
            column_type: data_type.clone(),
            first: channel.first,
            codes: channel.codes,
            offset: if raw_codes { 0.0 } else { channel.offset },
            factor: if raw_codes { 1.0 } else { channel.factor },
            raw_codes,
            missing: definition.missing.clone(),
        })
    }

    /// Appends one code a value to `out` and counts the cells that have none.
    pub fn quantise(&self, array: &dyn Array, out: &mut Vec<u16>, cells: &mut CellCounts) -> Result<(), FleetError> {
        let mut faults = Vec::new();
        self.codes(array, out, &mut faults)?;
        faults.iter().for_each(|(_, fault)| cells.count(*fault));
        Ok(())
    }

    /// Appends one code a value to `out`; the places in `out` of those that have none go to `faults`, rising.
    pub fn codes(&self, array: &dyn Array, out: &mut Vec<u16>, faults: &mut CellFaults) -> Result<(), FleetError> {
        if array.data_type() != &self.column_type {
            let what = format!("a column of type {} came as {}", self.column_type, array.data_type());
            return Err(FleetError::Internal { what });
        }
        match array.data_type() {
            DataType::UInt8 => self.integers::<UInt8Type>(array, u8_codes, out, faults),
            DataType::UInt16 => self.integers::<UInt16Type>(array, u16_codes, out, faults),
            DataType::UInt32 => self.integers::<UInt32Type>(array, u32_codes, out, faults),
            DataType::UInt64 => self.integers::<UInt64Type>(array, u64_codes, out, faults),
            DataType::Int8 => self.integers::<Int8Type>(array, i8_codes, out, faults),
            DataType::Int16 => self.integers::<Int16Type>(array, i16_codes, out, faults),
            DataType::Int32 => self.integers::<Int32Type>(array, i32_codes, out, faults),
            DataType::Int64 => self.integers::<Int64Type>(array, i64_codes, out, faults),
            DataType::Float32 => {
                let values = array.as_primitive::<Float32Type>().values();
                self.numbers(values, array.nulls(), f64::from, |missing| Some(missing as f32), out, faults);
            }
            DataType::Float64 => {
                let values = array.as_primitive::<Float64Type>().values();
                self.numbers(values, array.nulls(), |value| value, Some, out, faults);
            }
            DataType::Decimal128(_, scale) => {
                let unit = power_of_ten(*scale);
                let values = array.as_primitive::<Decimal128Type>().values();
                let digits = |missing: f64| Some((missing * unit).round() as i128);
                self.numbers(values, array.nulls(), |value| value as f64 / unit, digits, out, faults);
            }
            DataType::Null => {
                let places = out.len()..out.len() + array.len();
                out.resize(places.end, self.not_available());
                faults.extend(places.map(|place| (place as u32, CellFault::Missing)));
            }
            DataType::Boolean => return self.converted(&converted(array, &DataType::UInt8)?, out, faults),
            DataType::Float16 => return self.converted(&converted(array, &DataType::Float32)?, out, faults),
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                let wider = DataType::Decimal128(*precision, *scale);
                return self.converted(&converted(array, &wider)?, out, faults);
            }
            DataType::Dictionary(_, _) => return self.converted(&plain(array)?, out, faults),
            other => return Err(FleetError::Internal { what: format!("a channel of type {other} was accepted") }),
        }
        Ok(())
    }

    /// What [`Self::codes`] takes.
    pub fn column_type(&self) -> &DataType {
        &self.column_type
    }

    /// The code that means "not available": the largest.
    pub fn not_available(&self) -> u16 {
        self.codes as u16
    }

    fn converted(&self, array: &ArrayRef, out: &mut Vec<u16>, faults: &mut CellFaults) -> Result<(), FleetError> {
        Self { column_type: array.data_type().clone(), ..self.clone() }.codes(array, out, faults)
    }

    fn integers<T: ArrowPrimitiveType>(
        &self,
        array: &dyn Array,
        codes: fn(&[T::Native], i64, u32, &mut [u16]),
        out: &mut Vec<u16>,
        faults: &mut CellFaults,
    ) where
        T::Native: Integer,
    {
        let values = array.as_primitive::<T>().values();
        if !self.raw_codes {
            return self.numbers(values, array.nulls(), T::Native::as_f64, T::Native::from_f64, out, faults);
        }
        let kernel = |values: &[T::Native], out: &mut [u16]| codes(values, self.first, self.codes, out);
        self.column(values, array.nulls(), kernel, T::Native::from_f64, |_| true, out, faults);
    }

    /// Values of any type by way of f64.
    fn numbers<T: Copy + PartialEq>(
        &self,
        values: &[T],
        nulls: Option<&NullBuffer>,
        as_f64: impl Fn(T) -> f64 + Copy,
        missing_as: impl Fn(f64) -> Option<T>,
        out: &mut Vec<u16>,
        faults: &mut CellFaults,
    ) {
        let kernel = |values: &[T], out: &mut [u16]| self.round(values, as_f64, out);
        self.column(values, nulls, kernel, missing_as, |value| as_f64(value).is_finite(), out, faults);
    }

    /// Codes of values: the nearest raw code, half to even.
    fn round<T: Copy>(&self, values: &[T], as_f64: impl Fn(T) -> f64, out: &mut [u16]) {
        // Adding and taking away 1.5 * 2^52 rounds any number below 2^51 half to even and leaves the integer in the
        // low bits, without a call or a branch.
        const ROUNDER: f64 = 6_755_399_441_055_744.0;
        let (first, last) = (self.first as f64, (self.first + i64::from(self.codes) - 1) as f64);
        let (offset, factor, not_available, first_low) =
            (self.offset, self.factor, self.not_available(), self.first as u16);
        for (code, &value) in out.iter_mut().zip(values) {
            let shifted = (as_f64(value) - offset) / factor + ROUNDER;
            let raw = shifted - ROUNDER;
            let low = (shifted.to_bits() as u16).wrapping_sub(first_low);
            *code = if (raw >= first) & (raw <= last) { low } else { not_available };
        }
    }

    /// Runs a kernel over a column, then settles nulls, declared missing values and reasons where there are any.
    #[expect(clippy::too_many_arguments, reason = "the one place where all forms of columns meet")]
    fn column<T: Copy + PartialEq>(
        &self,
        values: &[T],
        nulls: Option<&NullBuffer>,
        kernel: impl Fn(&[T], &mut [u16]),
        missing_as: impl Fn(f64) -> Option<T>,
        is_finite: impl Fn(T) -> bool,
        out: &mut Vec<u16>,
        faults: &mut CellFaults,
    ) {
        let not_available = self.not_available();
        let start = out.len();
        out.resize(start + values.len(), 0);
        let codes = &mut out[start..];
        kernel(values, codes);
        // "Not available" is the largest code, so one vectorised maximum says whether any cell has none.
        let any_bad = codes.iter().fold(0, |largest: u16, &code| largest.max(code)) >= not_available;
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        if !any_bad && nulls.is_none() && self.missing.is_empty() {
            return;
        }
        let valid = |row: usize| nulls.is_none_or(|nulls| nulls.is_valid(row));
        let first_fault = faults.len();
        let mut note = |row: usize, fault| faults.push(((start + row) as u32, fault));
        let mut missing = 0;
        if let Some(nulls) = nulls {
            missing += nulls.null_count();
            for row in (!nulls.inner()).set_indices() {
                codes[row] = not_available;
                note(row, CellFault::Missing);
            }
        }
        let mut declared: Vec<T> = Vec::with_capacity(self.missing.len());
        for wanted in self.missing.iter().filter_map(|&wanted| missing_as(wanted)) {
            // Two spellings of one raw value must not count twice; most columns hold none of them.
            if declared.contains(&wanted) || !values.contains(&wanted) {
                continue;
            }
            declared.push(wanted);
            for (row, code) in codes.iter_mut().enumerate() {
                if values[row] == wanted && valid(row) {
                    missing += 1;
                    *code = not_available;
                    note(row, CellFault::Missing);
                }
            }
        }
        if codes.iter().filter(|&&code| code == not_available).count() != missing {
            for (row, &code) in codes.iter().enumerate() {
                if code != not_available || !valid(row) || declared.contains(&values[row]) {
                    continue;
                }
                note(row, if is_finite(values[row]) { CellFault::OutOfRange } else { CellFault::NotFinite });
            }
        }
        faults[first_fault..].sort_unstable_by_key(|(place, _)| *place);
    }
}

/// How a raw integer compares with a missing value of the dictionary, and what it is as a number.
trait Integer: Copy {
    fn from_f64(number: f64) -> Option<Self>;
    fn as_f64(self) -> f64;
}

/// Codes of raw integers, one function a type. The declared range is first cut to the type's own; then one
/// subtraction and one unsigned comparison in the type's width say whether a value lies in it.
macro_rules! integer_codes {
    ($name:ident, $native:ty, $unsigned:ty) => {
        fn $name(values: &[$native], first: i64, codes: u32, out: &mut [u16]) {
            let not_available = codes as u16;
            let low = i128::from(first).max(i128::from(<$native>::MIN));
            let high = (i128::from(first) + i128::from(codes) - 1).min(i128::from(<$native>::MAX));
            if low > high {
                out.fill(not_available);
                return;
            }
            let below = (low - i128::from(first)) as u16;
            let (low, span) = (low as $native, (high - low) as $unsigned);
            for (code, &value) in out.iter_mut().zip(values) {
                let distance = value.wrapping_sub(low) as $unsigned;
                let inside = below.wrapping_add(distance as u16);
                *code = if distance <= span { inside } else { not_available };
            }
        }

        impl Integer for $native {
            fn from_f64(number: f64) -> Option<Self> {
                let raw = number as $native;
                (raw as f64 == number).then_some(raw)
            }

            fn as_f64(self) -> f64 {
                self as f64
            }
        }
    };
}

integer_codes!(u8_codes, u8, u8);
integer_codes!(u16_codes, u16, u16);
integer_codes!(u32_codes, u32, u32);
integer_codes!(u64_codes, u64, u64);
integer_codes!(i8_codes, i8, u8);
integer_codes!(i16_codes, i16, u16);
integer_codes!(i32_codes, i32, u32);
integer_codes!(i64_codes, i64, u64);

/// The unit of a decimal's digits. Parsed, since parsing rounds correctly on every platform.
fn power_of_ten(scale: i8) -> f64 {
    format!("1e{scale}").parse().unwrap_or(f64::NAN)
}

/// A column as another type that holds all its values.
pub(super) fn converted(array: &dyn Array, to: &DataType) -> Result<ArrayRef, FleetError> {
    cast(array, to).map_err(|error| FleetError::Internal { what: format!("{} as {to}: {error}", array.data_type()) })
}

/// A dictionary-encoded array as its plain values.
pub(super) fn plain(array: &dyn Array) -> Result<ArrayRef, FleetError> {
    let Some(dictionary) = array.as_any_dictionary_opt() else {
        return Err(FleetError::Internal { what: format!("{} is not dictionary-encoded", array.data_type()) });
    };
    take(dictionary.values(), dictionary.keys(), None)
        .map_err(|error| FleetError::Internal { what: format!("{}: {error}", array.data_type()) })
}
