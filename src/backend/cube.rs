//! Where cubes are summed: one trait, with identical results from every implementation.
//!
//! A *slab* is any division of the records: a zone's month, an attribute's value, half of the vehicles. For every
//! slab and every *pair* of channels a cube holds, cell by cell (bin of the first channel × bin of the second), what
//! is expected to happen on its records and how many they are. "Not available" is a bin like any other; which one it is
//! the caller knows.
//!
//! Units: expected events in Q40, so that 2^24 of them fit a `u64` and one record's counts to 2^-41.
//! Kernels: [`super::cpu::cube`], `shaders/cube.wgsl`. Gate: [`super::cube_gate`].

use super::BackendError;
pub use super::cube_gate::CubeGateError;

/// Bits after the binary point of expected events.
pub const EXPECTED_BITS: u32 = 40;
/// Bins of a channel at most, "not available" among them.
pub const MOST_BINS: usize = 64;

/// The cubes of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CubePlan {
    pub slabs: usize,
    /// One a channel: its number of bins.
    pub bins: Vec<usize>,
    /// Pairs of channels: places in [`Self::bins`].
    pub pairs: Vec<(usize, usize)>,
}

/// Records on their way into cubes, in any order; runs of one slab are fastest.
#[derive(Clone, Copy, Debug, Default)]
pub struct CubeBatch<'a> {
    pub slab: &'a [u32],
    /// One column a channel, each as long as `slab`.
    pub bins: &'a [&'a [u8]],
    /// What is expected of each record.
    pub expected_q40: &'a [u64],
}

/// What a backend has summed: `[slab * plan.cells() + plan.first_cell(pair) + bin_a * bins_b + bin_b]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CubeSums {
    pub expected_q40: Vec<u64>,
    pub records: Vec<u64>,
}

/// A cube kernel somewhere.
pub trait CubeBackend: Send + Sync {
    /// Adds a batch. May be called from several threads at once.
    fn push(&self, batch: &CubeBatch) -> Result<(), BackendError>;

    /// Hands out the sums.
    fn finish(self: Box<Self>) -> Result<CubeSums, BackendError>;

    /// What did the work, for manifests.
    fn description(&self) -> String;
}

impl CubePlan {
    /// Every pair of channels.
    pub fn all_pairs(slabs: usize, bins: Vec<usize>) -> Self {
        let channels = bins.len();
        let pairs = (0..channels).flat_map(|a| (a + 1..channels).map(move |b| (a, b))).collect();
        Self { slabs, bins, pairs }
    }

    /// Cells of a pair.
    pub fn pair_cells(&self, pair: usize) -> usize {
        let (a, b) = self.pairs[pair];
        self.bins[a] * self.bins[b]
    }

    /// Where a pair's cells begin in a slab.
    pub fn first_cell(&self, pair: usize) -> usize {
        (0..pair).map(|before| self.pair_cells(before)).sum()
    }

    /// Cells of a slab.
    pub fn cells(&self) -> usize {
        self.first_cell(self.pairs.len())
    }
}

/// Expected events as the kernels take them, rounded to nearest; nothing for what is below zero or no number.
pub fn expected_q40(events: f64) -> u64 {
    libm::rint(events * (1_u64 << EXPECTED_BITS) as f64) as u64
}

/// Expected events as a number.
pub fn events(expected_q40: u64) -> f64 {
    expected_q40 as f64 / (1_u64 << EXPECTED_BITS) as f64
}
