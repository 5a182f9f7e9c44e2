//! Channels computed from others at packing time.
//!
//! A derived channel is defined on codes: the values of the two operands' codes, combined in f64, then rounded half to
//! even to a code of its own. It therefore never depends on the type that the operands were stored in. Where both
//! operands have few codes, every pair is computed once, into a table.

use super::dictionary::{ChannelSource, Dictionary, Operation};
use super::error::FleetError;
use super::quantise::CellCounts;
use super::time::{LONGEST_MONTH_DAYS, SHORTEST_MONTH_DAYS, TimeAxis, days_of_month};
use crate::model::channel::Channel;

/// Pairs of codes for which a table is made: 512 KiB, which stays in a core's own cache.
const TABLE_PAIRS: usize = 1 << 18;

/// A derived channel, ready to be filled.
#[derive(Clone, Debug)]
pub struct Derived {
    operation: Operation,
    a: Channel,
    b: Channel,
    own: Channel,
    /// Code or fault by `code_a * (codes_b + 1) + code_b`; empty if there are too many pairs.
    table: Vec<u16>,
    /// Dictionary indices of the operands.
    pub operands: (usize, usize),
}

/// Why a pair of codes has none.
enum Fault {
    Missing,
    NotFinite,
    OutOfRange,
}

impl Derived {
    /// For the channel of this dictionary index; `None` if it is not a derived one.
    pub fn new(dictionary: &Dictionary, channel: usize) -> Result<Option<Self>, FleetError> {
        let Some(definition) = dictionary.channels.get(channel) else { return Ok(None) };
        let ChannelSource::Derived { operation, a, b } = definition.source else { return Ok(None) };
        let operand = |index: usize| {
            dictionary.channels.get(index).map(|definition| definition.channel.clone()).ok_or_else(|| {
                FleetError::Internal { what: format!("{:?} is derived from nothing", definition.channel.name) }
            })
        };
        let own = definition.channel.clone();
        let mut derived = Self { operation, a: operand(a)?, b: operand(b)?, own, table: Vec::new(), operands: (a, b) };
        let (rows_a, rows_b) = (derived.a.codes + 1, derived.b.codes + 1);
        if rows_a as usize * rows_b as usize <= TABLE_PAIRS {
            let pair = |code_a| (0..rows_b).map(move |code_b| (code_a, code_b));
            derived.table = (0..rows_a)
                .flat_map(pair)
                .map(|(code_a, code_b)| {
                    derived.code(code_a as u16, code_b as u16).unwrap_or(derived.own.not_available())
                })
                .collect();
        }
        Ok(Some(derived))
    }

    /// Appends one code a record, from the codes of the operands; all equally long.
    pub fn fill(&self, codes_a: &[u16], codes_b: &[u16], out: &mut Vec<u16>, cells: &mut CellCounts) {
        let not_available = self.own.not_available();
        let start = out.len();
        let pairs = codes_a.iter().zip(codes_b);
        if self.table.is_empty() {
            out.extend(pairs.map(|(&a, &b)| self.code(a, b).unwrap_or(not_available)));
        } else {
            let width = self.b.codes as usize + 1;
            let code = |(&a, &b): (&u16, &u16)| self.table.get(a as usize * width + b as usize).copied();
            out.extend(pairs.map(|pair| code(pair).unwrap_or(not_available)));
        }
        // Reasons are asked again, and only where there is no code.
        for (row, _) in out[start..].iter().enumerate().filter(|(_, code)| **code == not_available) {
            match self.code(codes_a[row], codes_b[row]) {
                Err(Fault::Missing) => cells.missing += 1,
                Err(Fault::NotFinite) => cells.not_finite += 1,
                Err(Fault::OutOfRange) | Ok(_) => cells.out_of_range += 1,
            }
        }
    }

    fn code(&self, code_a: u16, code_b: u16) -> Result<u16, Fault> {
        if code_a >= self.a.not_available() || code_b >= self.b.not_available() {
            return Err(Fault::Missing);
        }
        let (a, b) = (self.a.value(u32::from(code_a)), self.b.value(u32::from(code_b)));
        let value = match self.operation {
            Operation::Difference => a - b,
            Operation::Sum => a + b,
            Operation::Product => a * b,
            Operation::Ratio => a / b,
        };
        if !value.is_finite() {
            return Err(Fault::NotFinite);
        }
        let raw = ((value - self.own.offset) / self.own.factor).round_ties_even();
        let code = raw - self.own.first as f64;
        if code >= 0.0 && code < f64::from(self.own.codes) { Ok(code as u16) } else { Err(Fault::OutOfRange) }
    }
}

/// Appends the built-in channel of months: the days of each record's calendar month. Integer periods have none.
pub fn period_days(axis: TimeAxis, ticks: &[i32], out: &mut Vec<u16>, cells: &mut CellCounts) {
    let not_available = (LONGEST_MONTH_DAYS - SHORTEST_MONTH_DAYS + 1) as u16;
    out.extend(ticks.iter().map(|&tick| {
        let days = if axis == TimeAxis::Integer { None } else { days_of_month(axis.day(tick)) };
        match days {
            Some(days) => (days - SHORTEST_MONTH_DAYS) as u16,
            None => {
                cells.missing += 1;
                not_available
            }
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn dictionary(operation: &str, codes_of_b: u32) -> Dictionary {
        let text = format!(
            "[histories]\nfiles = \"h\"\nvehicle = \"v\"\ntime = \"t\"\n\
             [channels.a]\nfactor = 0.5\nrange = [-10, 10]\n\
             [channels.b]\nrange = [-3, {}]\n\
             [channels.own]\nfactor = 0.25\nrange = [-4, 4]\nderived = {{ {operation} = [\"a\", \"b\"] }}\n",
            i64::from(codes_of_b) - 4
        );
        Dictionary::parse(Path::new("d"), &text).unwrap()
    }

    fn fill(derived: &Derived, a: &[u16], b: &[u16]) -> (Vec<u16>, CellCounts) {
        let (mut out, mut cells) = (Vec::new(), CellCounts::default());
        derived.fill(a, b, &mut out, &mut cells);
        (out, cells)
    }

    #[test]
    fn each_operation_and_each_fault() {
        // a: code 20 is 0.0, 24 is 2.0; b: code 3 is 0, 4 is 1; own: code 16 is 0.0, 33 is not available.
        let of = |operation: &str, a: u16, b: u16| {
            let dictionary = dictionary(operation, 10);
            fill(&Derived::new(&dictionary, 2).unwrap().unwrap(), &[a], &[b])
        };
        let good = CellCounts::default();
        assert_eq!(of("difference", 24, 4), (vec![20], good));
        assert_eq!(of("sum", 24, 4), (vec![28], good));
        assert_eq!(of("product", 24, 5), (vec![32], good));
        assert_eq!(of("ratio", 21, 5), (vec![17], good)); // 0.5 / 2 = 0.25
        assert_eq!(of("ratio", 21, 7), (vec![16], good)); // 0.5 / 4 = 0.125 lies half-way: to the even 0
        assert_eq!(of("ratio", 24, 3), (vec![33], CellCounts { not_finite: 1, ..good }));
        assert_eq!(of("ratio", 20, 3), (vec![33], CellCounts { not_finite: 1, ..good }));
        assert_eq!(of("product", 40, 4), (vec![33], CellCounts { out_of_range: 1, ..good }));
        assert_eq!(of("sum", 41, 4), (vec![33], CellCounts { missing: 1, ..good }));
        assert_eq!(of("sum", 24, 10), (vec![33], CellCounts { missing: 1, ..good }));
    }

    #[test]
    fn the_table_says_what_the_formula_says() {
        for operation in ["difference", "sum", "product", "ratio"] {
            let dictionary = dictionary(operation, 40);
            let with_table = Derived::new(&dictionary, 2).unwrap().unwrap();
            assert!(!with_table.table.is_empty());
            let without = Derived { table: Vec::new(), ..with_table.clone() };
            let (a, b): (Vec<u16>, Vec<u16>) = (0..=41).flat_map(|a| (0..=40).map(move |b| (a, b))).unzip();
            assert_eq!(fill(&with_table, &a, &b), fill(&without, &a, &b), "{operation}");
        }
        let large = Derived::new(&dictionary("sum", 60_000), 2).unwrap().unwrap();
        assert!(large.table.is_empty());
    }

    #[test]
    fn only_derived_channels_derive() {
        assert!(Derived::new(&dictionary("sum", 10), 0).unwrap().is_none());
        assert!(Derived::new(&dictionary("sum", 10), 9).unwrap().is_none());
    }

    #[test]
    fn months_have_their_days() {
        let (mut out, mut cells) = (Vec::new(), CellCounts::default());
        // 1972-02-01 (leap), 1973-02-28, 1969-12-31, 1970-04-15
        period_days(TimeAxis::Days, &[761, 1154, -1, 104], &mut out, &mut cells);
        assert_eq!((out, cells), (vec![1, 0, 3, 2], CellCounts::default()));
        let mut out = Vec::new();
        period_days(TimeAxis::Integer, &[1], &mut out, &mut cells);
        assert_eq!((out, cells.missing), (vec![4], 1));
        let mut out = Vec::new();
        period_days(TimeAxis::Days, &[i32::MAX, i32::MIN], &mut out, &mut cells);
        assert_eq!((out, cells.missing), (vec![4, 4], 3));
    }
}
