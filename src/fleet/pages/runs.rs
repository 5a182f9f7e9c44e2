//! Parquet's hybrid of runs and bit-packed numbers: dictionary indices and definition levels.
//!
//! A run is either one number many times, or groups of eight numbers of `width` bits, least significant bit first.
//! Whole groups are unpacked by code made for their width; what stands at a seam goes one by one. Whatever the bytes
//! are, reading ends: a run header takes a byte at least, and numbers that are not there are an error.
//!
//! Source: parquet-format, Encodings.md, "Run Length Encoding / Bit-Packing Hybrid".

use bytes::Bytes;

/// Numbers of a bit-packed group.
const GROUP: usize = 8;
/// Bytes behind a group that its unpacking may touch.
const SLACK_BYTES: usize = 8;
const MOST_BITS: usize = 32;

/// Reads numbers, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Runs {
    bytes: Bytes,
    width: usize,
    /// Where the next run's header stands.
    next: usize,
    run: Run,
}

#[derive(Clone, Debug)]
enum Run {
    Same {
        value: u32,
        left: u64,
    },
    /// Begins at byte `start`; `taken` of its numbers are read.
    Packed {
        start: usize,
        taken: usize,
        left: usize,
    },
}

/// The bytes end before the numbers do, or make no sense.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Runs {
    /// Numbers of `width` bits.
    pub fn new(bytes: Bytes, width: usize) -> Result<Self, Malformed> {
        match width <= MOST_BITS {
            true => Ok(Self { bytes, width, next: 0, run: Run::Same { value: 0, left: 0 } }),
            false => Err(Malformed),
        }
    }

    /// Whether no number, right or wrong, needs more than 16 bits.
    pub fn are_short(&self) -> bool {
        self.width <= 16
    }

    /// Numbers that are bit-packed without headers.
    pub fn packed(bytes: Bytes, width: usize) -> Result<Self, Malformed> {
        let left = (8 * bytes.len()).checked_div(width).ok_or(Malformed)?;
        let next = bytes.len();
        Ok(Self { run: Run::Packed { start: 0, taken: 0, left }, next, ..Self::new(bytes, width)? })
    }

    /// Fills `out`.
    pub fn read(&mut self, out: &mut [u32]) -> Result<(), Malformed> {
        self.read_as(out, |number| number)
    }

    /// Fills `out` with what the numbers stand for.
    pub fn read_as<T: Copy>(&mut self, out: &mut [T], of: impl Fn(u32) -> T + Copy) -> Result<(), Malformed> {
        let mut done = 0;
        while done < out.len() {
            let room = out.len() - done;
            match &mut self.run {
                Run::Same { value, left } if *left > 0 => {
                    let count = room.min(usize::try_from(*left).unwrap_or(room));
                    out[done..done + count].fill(of(*value));
                    *left -= count as u64;
                    done += count;
                }
                Run::Packed { start, taken, left } if *left > 0 => {
                    let count = room.min(*left);
                    unpack(&self.bytes[*start..], self.width, *taken, &mut out[done..done + count], of);
                    *taken += count;
                    *left -= count;
                    done += count;
                }
                _ => self.begin_run()?,
            }
        }
        Ok(())
    }

    fn begin_run(&mut self) -> Result<(), Malformed> {
        let mut header = 0_u64;
        let mut shift = 0;
        loop {
            let byte = *self.bytes.get(self.next).ok_or(Malformed)?;
            self.next += 1;
            header |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
            if shift > 56 {
                return Err(Malformed);
            }
        }
        let count = header >> 1;
        let at = self.next;
        let there = self.bytes.len() - at;
        if header & 1 == 1 {
            let bytes = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(self.width);
            // The last group may be cut off behind the last number that counts.
            let claimed = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(GROUP);
            let held = (8 * there).checked_div(self.width).unwrap_or(claimed);
            self.next = at + bytes.min(there);
            self.run = Run::Packed { start: at, taken: 0, left: claimed.min(held) };
        } else {
            let bytes = self.width.div_ceil(8);
            let value = self.bytes.get(at..at + bytes).ok_or(Malformed)?;
            let value = value.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
            self.next = at + bytes;
            self.run = Run::Same { value, left: count };
        }
        Ok(())
    }
}

/// Unpacks numbers of `width` bits from the `from`th on. All of them are there.
fn unpack<T>(bytes: &[u8], width: usize, from: usize, out: &mut [T], of: impl Fn(u32) -> T + Copy) {
    let (head, groups) = out.split_at_mut((from.next_multiple_of(GROUP) - from).min(out.len()));
    one_by_one(bytes, width, from, head, of);
    let first = from + head.len();
    let whole = (groups.len() / GROUP).min(bytes.len().saturating_sub(first * width / 8 + SLACK_BYTES) / width.max(1));
    let (groups, tail) = groups.split_at_mut(whole * GROUP);
    let packed = &bytes[(first * width / 8).min(bytes.len())..];
    macro_rules! by_width {
        ($($width:literal)*) => {
            match width {
                $($width => unpack_groups::<$width, T>(packed, groups, of),)*
                _ => one_by_one(bytes, width, first, groups, of),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20);
    one_by_one(bytes, width, first + groups.len(), tail, of);
}

fn mask(width: usize) -> u64 {
    (1 << width) - 1
}

/// Groups that begin at the first byte; a group may be followed by bytes of the next.
fn unpack_groups<const WIDTH: usize, T>(packed: &[u8], out: &mut [T], of: impl Fn(u32) -> T) {
    let word = |group: &[u8], at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&group[at..at + 8]);
        u64::from_le_bytes(word)
    };
    for (place, out) in out.chunks_exact_mut(GROUP).enumerate() {
        let group = &packed[place * WIDTH..place * WIDTH + WIDTH + SLACK_BYTES];
        if WIDTH <= 8 {
            let all = word(group, 0);
            for (number, out) in out.iter_mut().enumerate() {
                *out = of((all >> (number * WIDTH) & mask(WIDTH)) as u32);
            }
        } else if WIDTH <= 16 {
            let (low, high) = (word(group, 0), word(group, 4 * WIDTH / 8) >> (4 * WIDTH % 8));
            for (number, out) in out.iter_mut().enumerate() {
                let half = if number < 4 { low } else { high };
                *out = of((half >> (number % 4 * WIDTH) & mask(WIDTH)) as u32);
            }
        } else {
            for (number, out) in out.iter_mut().enumerate() {
                *out = of((word(group, number * WIDTH / 8) >> (number * WIDTH % 8) & mask(WIDTH)) as u32);
            }
        }
    }
}

fn one_by_one<T>(bytes: &[u8], width: usize, from: usize, out: &mut [T], of: impl Fn(u32) -> T) {
    for (number, out) in out.iter_mut().enumerate() {
        let bit = (from + number) * width;
        let held = bytes.get(bit / 8..).unwrap_or_default();
        let held = &held[..held.len().min(8)];
        let word = held.iter().rev().fold(0_u64, |word, &byte| word << 8 | u64::from(byte));
        *out = of((word >> (bit % 8) & mask(width)) as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: bit by bit, least significant first.
    fn pack(numbers: &[u32], width: usize) -> Vec<u8> {
        let mut bytes = vec![0; (numbers.len() * width).div_ceil(8)];
        for (number, value) in numbers.iter().enumerate() {
            for bit in 0..width {
                let at = number * width + bit;
                bytes[at / 8] |= ((value >> bit & 1) as u8) << (at % 8);
            }
        }
        bytes
    }

    fn numbers(count: usize, width: usize) -> Vec<u32> {
        let scatter = |number: usize| (number as u32).wrapping_mul(0x9e37_79b1) ^ 0x5bd1_e995;
        (0..count).map(|number| (u64::from(scatter(number)) & mask(width)) as u32).collect()
    }

    #[test]
    fn every_width_and_every_seam() {
        for width in 0..=MOST_BITS {
            let wanted = numbers(24, width);
            let seven = if width == 0 { 0 } else { 1 };
            // Three groups, five times one number, three groups again.
            let mut bytes = vec![3 << 1 | 1];
            bytes.extend(pack(&wanted, width));
            bytes.push(5 << 1);
            bytes.extend(&[1, 0, 0, 0][..width.div_ceil(8)]);
            bytes.push(3 << 1 | 1);
            bytes.extend(pack(&wanted, width));
            let all: Vec<u32> = [&wanted[..], &[seven; 5], &wanted[..]].concat();
            for step in [1, 3, 8, 11, 53] {
                let mut runs = Runs::new(bytes.clone().into(), width).unwrap();
                let mut got = vec![0; all.len()];
                got.chunks_mut(step).for_each(|some| runs.read(some).unwrap());
                assert_eq!(got, all, "width {width}, step {step}");
                assert_eq!(runs.read(&mut [0]), Err(Malformed), "nothing is left");
            }
        }
    }

    #[test]
    fn a_last_group_may_be_cut_off_but_not_its_numbers() {
        let wanted = numbers(10, 12);
        let mut bytes = vec![2 << 1 | 1];
        bytes.extend(pack(&wanted, 12));
        let mut got = vec![0; 10];
        Runs::new(bytes.clone().into(), 12).unwrap().read(&mut got).unwrap();
        assert_eq!(got, wanted);
        bytes.pop();
        assert_eq!(Runs::new(bytes.into(), 12).unwrap().read(&mut got), Err(Malformed));
    }

    #[test]
    fn headers_that_make_no_sense_are_refused() {
        let read = |bytes: &[u8], width| Runs::new(bytes.to_vec().into(), width)?.read(&mut [0; 100]);
        assert_eq!(read(&[], 3), Err(Malformed));
        assert_eq!(read(&[0xff; 20], 3), Err(Malformed), "an endless header");
        assert_eq!(read(&[0; 20], 3), Err(Malformed), "empty runs only");
        assert_eq!(
            read(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 2], 3),
            Ok(()),
            "longer than asked for"
        );
        assert_eq!(read(&[200], 12), Err(Malformed), "a run without its number");
        assert!(Runs::new(Bytes::new(), 33).is_err());
    }

    #[test]
    fn levels_without_headers() {
        let mut got = [0; 10];
        Runs::packed(vec![0b1010_0101, 0b11].into(), 1).unwrap().read(&mut got).unwrap();
        assert_eq!(got, [1, 0, 1, 0, 0, 1, 0, 1, 1, 1]);
        assert_eq!(Runs::packed(vec![1].into(), 1).unwrap().read(&mut got), Err(Malformed));
    }
}
