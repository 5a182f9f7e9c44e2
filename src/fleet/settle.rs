//! Settling duplicates: of the rows with equal (vehicle, tick) the lexicographically smallest codes count.
//!
//! A chunk whose rows already rise strictly, which is nearly every chunk, is left as it is after one pass.

use super::chunk::Chunk;

/// Scratch space of [`settle`], one a worker.
#[derive(Default)]
pub(crate) struct Settler {
    keys: Vec<(u64, u32)>,
    spare: Chunk,
}

impl Chunk {
    /// An empty chunk of this many code columns.
    pub(crate) fn with_columns(columns: usize) -> Self {
        Self { vehicle: Vec::new(), tick: Vec::new(), codes: vec![Vec::new(); columns] }
    }

    pub(crate) fn clear(&mut self) {
        self.vehicle.clear();
        self.tick.clear();
        for column in &mut self.codes {
            column.clear();
        }
    }

    pub(crate) fn append(&mut self, other: &Chunk) {
        self.append_range(other, 0, other.len());
    }

    pub(crate) fn append_range(&mut self, other: &Chunk, from: usize, to: usize) {
        self.vehicle.extend_from_slice(&other.vehicle[from..to]);
        self.tick.extend_from_slice(&other.tick[from..to]);
        for (column, added) in self.codes.iter_mut().zip(&other.codes) {
            column.extend_from_slice(&added[from..to]);
        }
    }

    /// Bytes that its columns have reserved.
    pub(crate) fn held_bytes(&self) -> usize {
        let codes: usize = self.codes.iter().map(Vec::capacity).sum();
        4 * (self.vehicle.capacity() + self.tick.capacity()) + 2 * codes
    }

    /// Whether ticks rise strictly within every run of one vehicle.
    pub(crate) fn rises(&self) -> bool {
        let pairs = self.vehicle.windows(2).zip(self.tick.windows(2));
        // No early exit: a flat loop over two columns runs at memory speed, and chunks that do not rise are rare.
        pairs.fold(true, |rises, (vehicle, tick)| rises & ((vehicle[0] != vehicle[1]) | (tick[0] < tick[1])))
    }

    /// Removes rows that equal the row before them in everything. Returns how many.
    pub(crate) fn drop_repeats(&mut self) -> u64 {
        let rows = self.len();
        let repeated = |row: usize| {
            self.vehicle[row] == self.vehicle[row - 1]
                && self.tick[row] == self.tick[row - 1]
                && self.codes.iter().all(|column| column[row] == column[row - 1])
        };
        let Some(first) = (1..rows).find(|&row| repeated(row)) else { return 0 };
        let kept: Vec<usize> = (0..first).chain((first..rows).filter(|&row| !repeated(row))).collect();
        self.vehicle = kept.iter().map(|&row| self.vehicle[row]).collect();
        self.tick = kept.iter().map(|&row| self.tick[row]).collect();
        for column in &mut self.codes {
            *column = kept.iter().map(|&row| column[row]).collect();
        }
        (rows - kept.len()) as u64
    }

    fn compare_codes(&self, a: u32, b: u32) -> std::cmp::Ordering {
        let mut columns = self.codes.iter();
        columns
            .find_map(|column| {
                let order = column[a as usize].cmp(&column[b as usize]);
                (order != std::cmp::Ordering::Equal).then_some(order)
            })
            .unwrap_or(std::cmp::Ordering::Equal)
    }
}

/// Orders (vehicle, tick) as one integer: both parts of the key compare as unsigned numbers.
pub(crate) fn key(vehicle: u32, tick: i32) -> u64 {
    (u64::from(vehicle) << 32) | u64::from(tick as u32 ^ 0x8000_0000)
}

impl Settler {
    /// Sorts the rows of `chunk` by (vehicle, tick) and removes duplicates. Returns how many it removed.
    pub(crate) fn sort(&mut self, chunk: &mut Chunk) -> u64 {
        let rows = chunk.len();
        self.order(chunk);
        self.spare.codes.resize(chunk.codes.len(), Vec::new());
        self.spare.clear();
        gather(chunk, &self.keys, &mut self.spare);
        std::mem::swap(chunk, &mut self.spare);
        (rows - chunk.len()) as u64
    }

    /// As [`Self::sort`] where the rows do not already rise; the vehicles' runs must be whole.
    pub(crate) fn settle(&mut self, chunk: &mut Chunk) -> u64 {
        if chunk.rises() {
            return 0;
        }
        // The commonest fault is a row written twice in a row, which needs no sorting.
        let repeated = chunk.drop_repeats();
        if repeated > 0 && chunk.rises() { repeated } else { repeated + self.sort(chunk) }
    }

    /// The rows of `chunk` that count, in the order of (vehicle, tick), as [`key`]s and rows.
    pub(crate) fn order(&mut self, chunk: &Chunk) -> &[(u64, u32)] {
        order(chunk, &mut self.keys);
        &self.keys
    }
}

/// Fills `keys` with the rows of a chunk that count, in the order of (vehicle, tick).
pub(crate) fn order(chunk: &Chunk, keys: &mut Vec<(u64, u32)>) {
    keys.clear();
    let pairs = chunk.vehicle.iter().zip(&chunk.tick);
    keys.extend(pairs.zip(0u32..).map(|((&vehicle, &tick), row)| (key(vehicle, tick), row)));
    keys.sort_unstable();
    keys.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same && chunk.compare_codes(later.1, kept.1).is_lt() {
            kept.1 = later.1;
        }
        same
    });
}

/// Appends the rows that `order` names.
pub(crate) fn gather(from: &Chunk, order: &[(u64, u32)], to: &mut Chunk) {
    to.vehicle.extend(order.iter().map(|&(key, _)| (key >> 32) as u32));
    to.tick.extend(order.iter().map(|&(key, _)| (key as u32 ^ 0x8000_0000) as i32));
    for (column, source) in to.codes.iter_mut().zip(&from.codes) {
        column.extend(order.iter().map(|&(_, row)| source[row as usize]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(rows: &[(u32, i32, u16, u16)]) -> Chunk {
        Chunk {
            vehicle: rows.iter().map(|row| row.0).collect(),
            tick: rows.iter().map(|row| row.1).collect(),
            codes: vec![rows.iter().map(|row| row.2).collect(), rows.iter().map(|row| row.3).collect()],
        }
    }

    #[test]
    fn smallest_codes_count_whatever_the_order() {
        let rows = [(1, -5, 9, 0), (1, -5, 3, 7), (0, 2, 4, 4), (1, -5, 3, 2), (1, -6, 1, 1), (0, 2, 4, 4)];
        let settled = chunk(&[(0, 2, 4, 4), (1, -6, 1, 1), (1, -5, 3, 2)]);
        for turn in 0..rows.len() {
            let mut turned = rows;
            turned.rotate_left(turn);
            let mut held = chunk(&turned);
            assert_eq!(Settler::default().sort(&mut held), 3);
            assert_eq!(held, settled);
        }
    }

    #[test]
    fn rising_means_strictly_and_within_a_vehicle() {
        assert!(chunk(&[]).rises());
        assert!(chunk(&[(3, 5, 0, 0), (1, 4, 0, 0), (1, 5, 0, 0)]).rises());
        assert!(!chunk(&[(3, 5, 0, 0), (3, 5, 0, 0)]).rises());
        assert!(!chunk(&[(3, 5, 0, 0), (3, 4, 0, 0)]).rises());
    }
}
