//! Storage that grows by ranges and is shared by all threads: rows 0, 1, 2 … of fixed width, a lock for every 64.
//!
//! A range takes memory when its first row is touched. Threads that work on different ranges never meet; threads
//! that walk the same ranges (a file a day, all vehicles in each) follow one another through them.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

/// Rows of a range: enough that a lock costs little where every row is another vehicle's, few enough that what one
/// thread sums aside is small. Neighbouring chunks of long histories (16,384 rows are 22 vehicles of two years) meet in
/// a range all the time.
pub const RANGE_ROWS: usize = 1 << RANGE_BITS;
pub const RANGE_BITS: u32 = 6;
/// Ranges of a block: both levels of the tree together cover every `u32`.
const BLOCK_BITS: u32 = 13;

/// The ranges of one kind of row; `T` is what is kept for [`RANGE_ROWS`] rows.
pub struct Ranges<T> {
    blocks: Box<[OnceLock<Block<T>>]>,
}

/// Neighbouring ranges, each with its lock.
type Block<T> = Box<[Mutex<Option<T>>]>;

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        let blocks = 1 << (u32::BITS - RANGE_BITS - BLOCK_BITS);
        Self { blocks: (0..blocks).map(|_| OnceLock::new()).collect() }
    }
}

impl<T> Ranges<T> {
    /// Locks the range that holds `row`. It is `None` until somebody fills it.
    pub fn lock(&self, row: u32) -> MutexGuard<'_, Option<T>> {
        // A thread that panicked elsewhere leaves sums that nobody will finish; the panic itself is reported.
        self.range(row).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same if no other thread holds the range.
    pub fn try_lock(&self, row: u32) -> Option<MutexGuard<'_, Option<T>>> {
        match self.range(row).try_lock() {
            Ok(range) => Some(range),
            Err(TryLockError::Poisoned(range)) => Some(range.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn range(&self, row: u32) -> &Mutex<Option<T>> {
        let range = (row >> RANGE_BITS) as usize;
        let block =
            self.blocks[range >> BLOCK_BITS].get_or_init(|| (0..1 << BLOCK_BITS).map(|_| Mutex::new(None)).collect());
        &block[range & ((1 << BLOCK_BITS) - 1)]
    }

    /// Takes out the range that holds `row`, if anything was added to it.
    pub fn take(&mut self, row: u32) -> Option<T> {
        let range = (row >> RANGE_BITS) as usize;
        let block = self.blocks[range >> BLOCK_BITS].get_mut()?;
        block[range & ((1 << BLOCK_BITS) - 1)].get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The stretch of rows from `start` on that lie in one range and number at most `limit`.
pub fn stretch_end(rows: &[u32], start: usize, limit: usize) -> usize {
    const BLOCK: usize = 64;
    let first = rows[start];
    let stretch = &rows[start..rows.len().min(start + limit)];
    // A block at a time without leaving it early, so that the comparisons need no branches.
    let same = |block: &[u32]| block.iter().fold(0, |other, row| other | (row ^ first)) >> RANGE_BITS == 0;
    let whole = stretch.chunks_exact(BLOCK).take_while(|block| same(block)).count() * BLOCK;
    let rest = stretch[whole..].iter().position(|row| (row ^ first) >> RANGE_BITS != 0);
    start + rest.map_or(stretch.len(), |rest| whole + rest)
}
