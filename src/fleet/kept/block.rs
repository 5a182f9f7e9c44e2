//! The rows of a block of vehicles as bytes: every column from its least value on, in as many bits as its largest needs.
//!
//! ```text
//! rows u32 | counts (one a vehicle of the block) | first ticks (one a vehicle with rows) | steps to the next tick | codes
//! column = least u32, bits u32, then the values above the least, bit after bit, and 8 bytes to read over
//! ```
//!
//! Rows stand in the order of (vehicle, tick), so a column of days is a column of ones, and a column that says the same
//! everywhere takes no bits at all. Columns that nobody asks for are passed over.

use crate::fleet::chunk::{Chunk, run_end};

/// Vehicles of a block: enough for a block of one night to be more than its headers, few enough that a core holds
/// their whole histories.
pub const BLOCK_VEHICLES: u32 = 256;

const COLUMN_HEADER: usize = 8;
/// Bytes behind a column, so that eight can be read from wherever a value begins.
const SLACK: usize = 8;

/// Appends the rows of one block, which rise by (vehicle, tick) but may repeat.
pub fn encode(rows: &Chunk, out: &mut Vec<u8>) {
    out.extend((rows.len() as u32).to_le_bytes());
    let mut values = vec![0_u32; BLOCK_VEHICLES as usize];
    rows.vehicle.iter().for_each(|vehicle| values[(vehicle % BLOCK_VEHICLES) as usize] += 1);
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
}

/// Appends a block's rows with the codes of some of its columns; `None` if the bytes do not fit together.
pub fn decode(bytes: &[u8], block: u32, columns: &[usize], out: &mut Chunk) -> Option<()> {
    let rows = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let mut rest = &bytes[4..];
    let (mut counts, mut firsts, mut steps) = (Vec::new(), Vec::new(), Vec::new());
    unpack(&mut rest, BLOCK_VEHICLES as usize, |count| counts.push(count as usize))?;
    if counts.iter().sum::<usize>() != rows {
        return None;
    }
    let vehicles = counts.iter().filter(|&&count| count > 0).count();
    unpack(&mut rest, vehicles, |first| firsts.push((first ^ 1 << 31) as i32))?;
    unpack(&mut rest, rows - vehicles, |step| steps.push(step as i32))?;
    let (mut firsts, mut steps) = (firsts.into_iter(), steps.into_iter());
    out.vehicle.reserve(rows);
    out.tick.reserve(rows);
    for (vehicle, &count) in (0..BLOCK_VEHICLES).zip(&counts).filter(|(_, count)| **count > 0) {
        out.vehicle.resize(out.vehicle.len() + count, block * BLOCK_VEHICLES + vehicle);
        let mut tick = firsts.next()?;
        out.tick.push(tick);
        for step in steps.by_ref().take(count - 1) {
            tick = tick.wrapping_add(step);
            out.tick.push(tick);
        }
    }
    let last = columns.iter().max().map_or(0, |&last| last + 1);
    for column in 0..last {
        match columns.iter().position(|&wanted| wanted == column) {
            Some(place) => {
                let codes = &mut out.codes[place];
                codes.reserve(rows);
                unpack(&mut rest, rows, |code| codes.push(code as u16))?;
            }
            None => {
                rest = rest.get(column_bytes(rest, rows)?..)?;
            }
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

fn unpack(bytes: &mut &[u8], values: usize, mut take: impl FnMut(u32)) -> Option<()> {
    let length = column_bytes(bytes, values)?;
    let (column, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let least = u32::from_le_bytes(*column.first_chunk()?);
    let bits = u32::from_le_bytes(*column[4..].first_chunk()?);
    if bits == 0 {
        (0..values).for_each(|_| take(least));
        return Some(());
    }
    let (packed, mask) = (&column[COLUMN_HEADER..], (1_u64 << bits) - 1);
    for at in (0..values).map(|value| value * bits as usize) {
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

    #[test]
    fn what_goes_in_comes_out() {
        let whole = rows();
        let mut bytes = Vec::new();
        encode(&whole, &mut bytes);
        let mut out = Chunk::with_columns(3);
        decode(&bytes, 2, &[0, 1, 2], &mut out).unwrap();
        assert_eq!(out, whole);
        let mut some = Chunk::with_columns(2);
        decode(&bytes, 2, &[2, 0], &mut some).unwrap();
        assert_eq!(some.codes, [whole.codes[2].clone(), whole.codes[0].clone()]);
        let mut none = Chunk::default();
        decode(&bytes, 2, &[], &mut none).unwrap();
        assert_eq!((none.vehicle, none.tick), (whole.vehicle, whole.tick));
    }

    #[test]
    fn a_day_a_row_and_equal_codes_take_no_room() {
        let rows = Chunk { vehicle: vec![3; 10_000], tick: (0..10_000).collect(), codes: vec![vec![9; 10_000]] };
        let mut bytes = Vec::new();
        encode(&rows, &mut bytes);
        // The counts take 14 bits a vehicle of the block.
        assert!(bytes.len() < 512, "{}", bytes.len());
    }

    #[test]
    fn bytes_that_do_not_fit_are_no_block() {
        let mut bytes = Vec::new();
        encode(&rows(), &mut bytes);
        for length in [0, 3, 11, 200, bytes.len() - 1] {
            assert!(decode(&bytes[..length], 2, &[0, 1, 2], &mut Chunk::with_columns(3)).is_none(), "{length}");
        }
        bytes[0] ^= 1;
        assert!(decode(&bytes, 2, &[0], &mut Chunk::with_columns(1)).is_none());
    }
}
