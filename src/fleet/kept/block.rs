//! The rows of a block of vehicles as bytes: every column from its least value on, in as many bits as its largest needs.
//!
//! ```text
//! rows u32 | counts (one a vehicle of the span) | first ticks (one a vehicle with rows) | steps to the next tick | codes
//! column = least u32, bits u32, then the values above the least, bit after bit, and 8 bytes to read over
//! ```
//!
//! Rows stand in the order of (vehicle, tick), so a column of days is a column of ones, and a column that says the same
//! everywhere takes no bits at all. Columns that nobody asks for are passed over, and since every value of a column has as
//! many bits, so are vehicles: of a block too large to be held at once, part after part is read.

use std::ops::Range;

use crate::fleet::chunk::{Chunk, run_end};

/// Vehicles of a block at most: enough for a block of one night to be more than its headers.
pub const MOST_VEHICLES: u32 = 256;
/// Rows of a block at most, if it is not of a single vehicle: a few megabytes as they are read.
pub const MOST_ROWS: usize = 1 << 16;

/// Vehicles that follow one another, by ordinal: as many as a power of two up to [`MOST_VEHICLES`], beginning at a
/// multiple of it. So of two spans one holds the other, or they have nothing in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub first: u32,
    pub vehicles: u32,
}

impl Span {
    /// The largest that holds a vehicle.
    pub fn around(vehicle: u32) -> Self {
        Self { first: vehicle / MOST_VEHICLES * MOST_VEHICLES, vehicles: MOST_VEHICLES }
    }

    pub fn holds(self, vehicle: u32) -> bool {
        (self.first..self.first.saturating_add(self.vehicles)).contains(&vehicle)
    }

    /// Whether all vehicles of the other are its own.
    pub fn holds_all(self, other: Self) -> bool {
        self.vehicles >= other.vehicles && self.holds(other.first)
    }

    /// Of more than one vehicle.
    pub fn halves(self) -> [Self; 2] {
        let vehicles = self.vehicles / 2;
        [self.first, self.first + vehicles].map(|first| Self { first, vehicles })
    }

    /// Of rows that rise by vehicle, its own.
    pub fn rows(self, vehicles: &[u32]) -> std::ops::Range<usize> {
        let from = vehicles.partition_point(|&vehicle| vehicle < self.first);
        from..from + vehicles[from..].partition_point(|&vehicle| self.holds(vehicle))
    }
}

const COLUMN_HEADER: usize = 8;
/// Bytes behind a column, so that eight can be read from wherever a value begins.
const SLACK: usize = 8;

/// Appends the rows of one span, which rise by (vehicle, tick) but may repeat. `None`: more than can be numbered.
pub fn encode(rows: &Chunk, span: Span, out: &mut Vec<u8>) -> Option<()> {
    out.extend(u32::try_from(rows.len()).ok()?.to_le_bytes());
    let mut values = vec![0_u32; span.vehicles as usize];
    rows.vehicle.iter().for_each(|vehicle| values[(vehicle - span.first) as usize] += 1);
    pack(&values, out);
    let (mut firsts, mut from) = (Vec::new(), 0);
    values.clear();
    while from < rows.len() {
        let to = run_end(&rows.vehicle, from);
        firsts.push(rows.tick[from] as u32 ^ 1 << 31);
        values.extend(rows.tick[from..to].windows(2).map(|pair| pair[1].wrapping_sub(pair[0]) as u32));
        from = to;
    }
    pack(&firsts, out);
    pack(&values, out);
    for codes in &rows.codes {
        values.clear();
        values.extend(codes.iter().map(|&code| u32::from(code)));
        pack(&values, out);
    }
    Some(())
}

/// A block's rows, not unpacked yet.
pub struct Packed<'a> {
    /// One a vehicle that is asked for, from the first.
    counts: Vec<usize>,
    first_vehicle: u32,
    /// Rows of the block, and of those that are asked for the first.
    all_rows: usize,
    from_row: usize,
    /// Vehicles with rows of the block, and before those that are asked for.
    vehicles: usize,
    vehicles_before: usize,
    rest: &'a [u8],
}

/// Looks at the rows of those vehicles of a block that a span has; `None` if the bytes do not fit together.
pub fn open(bytes: &[u8], block: Span, asked: Span) -> Option<Packed<'_>> {
    let all_rows = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let mut rest = &bytes[4..];
    let mut counts = Vec::new();
    unpack(&mut rest, block.vehicles as usize, 0..block.vehicles as usize, |count| counts.push(count as usize))?;
    if counts.iter().sum::<usize>() != all_rows {
        return None;
    }
    let with_rows = |counts: &[usize]| counts.iter().filter(|&&count| count > 0).count();
    let from = asked.first.saturating_sub(block.first) as usize;
    let to = asked.first.saturating_add(asked.vehicles).saturating_sub(block.first).min(block.vehicles) as usize;
    Some(Packed {
        first_vehicle: block.first + from as u32,
        all_rows,
        from_row: counts.get(..from)?.iter().sum(),
        vehicles: with_rows(&counts),
        vehicles_before: with_rows(&counts[..from]),
        counts: counts.get(from..to)?.to_vec(),
        rest,
    })
}

impl Packed<'_> {
    /// Rows that are asked for.
    pub fn rows(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Appends them with the codes of some of the columns; `None` if the bytes do not fit together.
    pub fn unpack(self, columns: &[usize], out: &mut Chunk) -> Option<()> {
        let rows = self.rows();
        let Self { counts, first_vehicle, all_rows, from_row, vehicles, vehicles_before, mut rest } = self;
        let own_vehicles = counts.iter().filter(|&&count| count > 0).count();
        let (mut firsts, mut steps) = (Vec::with_capacity(own_vehicles), Vec::with_capacity(rows - own_vehicles));
        let asked = vehicles_before..vehicles_before + own_vehicles;
        unpack(&mut rest, vehicles, asked, |first| firsts.push((first ^ 1 << 31) as i32))?;
        let from_step = from_row - vehicles_before;
        let asked = from_step..from_step + rows - own_vehicles;
        unpack(&mut rest, all_rows - vehicles, asked, |step| steps.push(step as i32))?;
        rows_of(&counts, first_vehicle, firsts, steps, out)?;
        let last = columns.iter().max().map_or(0, |&last| last + 1);
        for column in 0..last {
            match columns.iter().position(|&wanted| wanted == column) {
                Some(place) => {
                    let codes = &mut out.codes[place];
                    codes.reserve(rows);
                    unpack(&mut rest, all_rows, from_row..from_row + rows, |code| codes.push(code as u16))?;
                }
                None => {
                    rest = rest.get(column_bytes(rest, all_rows)?..)?;
                }
            }
        }
        Some(())
    }
}

/// Appends vehicles and ticks.
fn rows_of(counts: &[usize], first_vehicle: u32, firsts: Vec<i32>, steps: Vec<i32>, out: &mut Chunk) -> Option<()> {
    let (mut firsts, mut steps) = (firsts.into_iter(), steps.into_iter());
    for (vehicle, &count) in (first_vehicle..).zip(counts).filter(|(_, count)| **count > 0) {
        out.vehicle.resize(out.vehicle.len() + count, vehicle);
        let mut tick = firsts.next()?;
        out.tick.push(tick);
        for step in steps.by_ref().take(count - 1) {
            tick = tick.wrapping_add(step);
            out.tick.push(tick);
        }
    }
    Some(())
}

fn pack(values: &[u32], out: &mut Vec<u8>) {
    let (least, largest) = (values.iter().min().copied().unwrap_or(0), values.iter().max().copied().unwrap_or(0));
    let bits = u32::BITS - (largest - least).leading_zeros();
    out.extend(least.to_le_bytes());
    out.extend(bits.to_le_bytes());
    if bits == 0 {
        return;
    }
    let (mut held, mut held_bits) = (0_u64, 0);
    for value in values {
        held |= u64::from(value - least) << held_bits;
        held_bits += bits;
        while held_bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            held_bits -= 8;
        }
    }
    if held_bits > 0 {
        out.push(held as u8);
    }
    out.extend([0; SLACK]);
}

/// The bytes of the column that `bytes` begin with.
fn column_bytes(bytes: &[u8], values: usize) -> Option<usize> {
    let bits = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?);
    let packed = if bits == 0 { 0 } else { (values * bits as usize).div_ceil(8) + SLACK };
    (bits <= u32::BITS).then_some(COLUMN_HEADER + packed)
}

/// Passes a column of so many values and takes some of them.
fn unpack(bytes: &mut &[u8], values: usize, asked: Range<usize>, mut take: impl FnMut(u32)) -> Option<()> {
    let length = column_bytes(bytes, values)?;
    let (column, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let least = u32::from_le_bytes(*column.first_chunk()?);
    let bits = u32::from_le_bytes(*column[4..].first_chunk()?);
    if bits == 0 {
        asked.for_each(|_| take(least));
        return Some(());
    }
    let (packed, mask) = (&column[COLUMN_HEADER..], (1_u64 << bits) - 1);
    for at in asked.map(|value| value * bits as usize) {
        let word = u64::from_le_bytes(*packed[at / 8..].first_chunk()?);
        take(least.wrapping_add((word >> (at % 8) & mask) as u32));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Chunk {
        let vehicle: Vec<u32> = (512..768).flat_map(|vehicle| vec![vehicle; (vehicle as usize * 7) % 5]).collect();
        let mut tick: Vec<i32> = (0..vehicle.len() as i32).map(|row| row * row % 1_000 - 300).collect();
        tick[0] = i32::MIN;
        let mut rows = Chunk { vehicle, tick, codes: vec![Vec::new(); 3] };
        for row in 0..rows.len() {
            rows.codes[0].push((row * 40_503) as u16);
            rows.codes[1].push(65_535);
            rows.codes[2].push(row as u16 % 3);
        }
        let mut from = 0;
        while from < rows.len() {
            let to = run_end(&rows.vehicle, from);
            rows.tick[from..to].sort_unstable();
            from = to;
        }
        let last = rows.len() - 1;
        rows.tick[last] = i32::MAX;
        rows
    }

    /// Of [`rows`].
    const WHOLE: Span = Span { first: 512, vehicles: MOST_VEHICLES };

    fn decode(bytes: &[u8], asked: Span, columns: &[usize], out: &mut Chunk) -> Option<()> {
        open(bytes, WHOLE, asked)?.unpack(columns, out)
    }

    #[test]
    fn what_goes_in_comes_out() {
        let whole = rows();
        let mut bytes = Vec::new();
        encode(&whole, WHOLE, &mut bytes).unwrap();
        let mut out = Chunk::with_columns(3);
        decode(&bytes, WHOLE, &[0, 1, 2], &mut out).unwrap();
        assert_eq!(out, whole);
        let mut some = Chunk::with_columns(2);
        decode(&bytes, WHOLE, &[2, 0], &mut some).unwrap();
        assert_eq!(some.codes, [whole.codes[2].clone(), whole.codes[0].clone()]);
        let mut none = Chunk::default();
        decode(&bytes, WHOLE, &[], &mut none).unwrap();
        assert_eq!((&none.vehicle, &none.tick), (&whole.vehicle, &whole.tick));
        // Part after part, down to single vehicles.
        for vehicles in [128, 32, 1] {
            let mut parts = Chunk::with_columns(3);
            for first in (512..768).step_by(vehicles) {
                let asked = Span { first, vehicles: vehicles as u32 };
                let rows = parts.len()..parts.len() + open(&bytes, WHOLE, asked).unwrap().rows();
                decode(&bytes, asked, &[0, 1, 2], &mut parts).unwrap();
                assert_eq!(asked.rows(&whole.vehicle), rows);
            }
            assert_eq!(parts, whole, "{vehicles}");
        }
    }

    #[test]
    fn spans_hold_one_another_or_nothing() {
        let whole = Span::around(700);
        assert_eq!(whole, WHOLE);
        let [low, high] = whole.halves();
        assert!(whole.holds_all(low) && whole.holds_all(high) && !low.holds_all(high) && !low.holds_all(whole));
        assert!(low.holds(512) && low.holds(639) && !low.holds(640) && high.holds(640) && !high.holds(768));
        assert!(Span::around(u32::MAX).holds(u32::MAX - 1));
    }

    #[test]
    fn a_day_a_row_and_equal_codes_take_no_room() {
        let rows = Chunk { vehicle: vec![3; 10_000], tick: (0..10_000).collect(), codes: vec![vec![9; 10_000]] };
        let mut bytes = Vec::new();
        encode(&rows, Span::around(3), &mut bytes).unwrap();
        // The counts take 14 bits a vehicle of the block.
        assert!(bytes.len() < 512, "{}", bytes.len());
    }

    #[test]
    fn bytes_that_do_not_fit_are_no_block() {
        let mut bytes = Vec::new();
        encode(&rows(), WHOLE, &mut bytes).unwrap();
        for length in [0, 3, 11, 200, bytes.len() - 1] {
            assert!(decode(&bytes[..length], WHOLE, &[0, 1, 2], &mut Chunk::with_columns(3)).is_none(), "{length}");
        }
        bytes[0] ^= 1;
        assert!(decode(&bytes, WHOLE, &[0], &mut Chunk::with_columns(1)).is_none());
    }
}
