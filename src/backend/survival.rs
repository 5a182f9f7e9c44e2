//! Where survival is computed: one trait, with identical results from every implementation.
//!
//! A *part* is one (vehicle, failure mode, position). A *path* is one future: for every zone and future week it names
//! a *source week* of the vehicle's own *profile*, whose increments the vehicle lives through again. For every part,
//! path and week the kernel gives the chance p that the part has failed by the end of that week, counted from today;
//! a week's chance is a difference of two. Columns of every result: the weeks, then the marks (days between weeks).
//!
//! Units: clocks and increments in Q48 lives, increments as `u32` with a shift per vehicle and mechanism; p of a part
//! in Q48, summed over at most 2^15 paths; sums over parts in Q40, of which 2^24 fit a `u64`.
//! Tables: [`crate::model::survival`]. Kernels: [`super::cpu`], `shaders/survival.wgsl`.

use super::BackendError;
pub use super::survival_gate::SurvivalGateError;
use crate::model::survival::SurvivalTables;
use crate::run::Stop;

/// Bits after the binary point of a part's probability.
pub const PART_BITS: u32 = 48;
/// Bits after the binary point of sums over parts.
pub const GROUP_BITS: u32 = 40;
/// Parts of one group and mode: 2^24 times (2^40 − 1) fits a `u64`.
pub const GROUP_PARTS: u64 = 1 << 24;
/// Paths at most: 2^15 probabilities of 2^48 fit a `u64`.
pub const PATHS: usize = 1 << 15;

/// A moment between weeks: so many whole weeks from today and so many sevenths of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub week: u32,
    pub sevenths: u32,
}

/// The futures of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PathPlan {
    pub paths: usize,
    /// The horizon.
    pub weeks: usize,
    pub zones: usize,
    /// Weeks of a profile.
    pub source_weeks: usize,
    /// `source_week[(zone * paths + path) * weeks + week]`: what a vehicle of the zone lives through again.
    pub source_week: Vec<u16>,
    /// One a path: which of the tables' parameter draws holds in it.
    pub draws: Vec<u32>,
    /// Rising.
    pub marks: Vec<Mark>,
}

/// How a backend is opened.
#[derive(Clone, Copy, Debug)]
pub struct SurvivalRequest<'a> {
    pub tables: &'a SurvivalTables,
    pub plan: &'a PathPlan,
    pub groups: usize,
}

/// Parts of one mode, and the profiles they live by. Parts come in any order; results do not depend on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SurvivalBatch<'a> {
    /// Index into [`SurvivalTables::modes`].
    pub mode: usize,
    /// One a part.
    pub group: &'a [u32],
    /// One a part: a row of the profiles below.
    pub profile: &'a [u32],
    /// Part-major, one a mechanism of the mode: since the part's start.
    pub clocks_q48: &'a [u64],
    /// One a profile.
    pub zone: &'a [u32],
    /// `increments[(profile * mechanisms + mechanism) * source_weeks + week]`, each at most
    /// [`PathPlan::increment_limit`].
    pub increments: &'a [u32],
    /// `shifts[profile * mechanisms + mechanism]`: an increment is so many bits above Q48.
    pub shifts: &'a [u8],
}

/// What a backend has summed over parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SurvivalSums {
    /// `[((group * modes + mode) * columns + column) * paths + path]`: the sum of a week's p over parts; in a mark's
    /// column, of p from today to the mark. Q40.
    pub failures_q40: Vec<u64>,
    /// The same of p².
    pub squares_q40: Vec<u64>,
}

/// A survival kernel somewhere.
pub trait SurvivalBackend: Send + Sync {
    /// Adds a batch's parts to the sums, and writes `parts_q48[part * columns + column]`: the sum over paths of the
    /// chance to have failed by the end of the week or at the mark. May be called from several threads at once.
    fn push(&self, batch: &SurvivalBatch, parts_q48: &mut [u64]) -> Result<(), BackendError>;

    /// Hands out the sums.
    fn finish(self: Box<Self>) -> Result<SurvivalSums, BackendError>;

    /// Lets waits for a device end where the run is asked to stop.
    fn watch(&mut self, _stop: &Stop) {}

    /// What did the work, for manifests.
    fn description(&self) -> String;
}

impl PathPlan {
    /// Weeks and marks.
    pub fn columns(&self) -> usize {
        self.weeks + self.marks.len()
    }

    /// The largest increment whose sum over the horizon stays below 2^31.
    pub fn increment_limit(&self) -> u32 {
        increment_limit(self.weeks)
    }
}

fn increment_limit(weeks: usize) -> u32 {
    (u32::MAX >> 1) / weeks.clamp(1, 1 << 16) as u32
}

/// Writes one mechanism's weekly increments in Q48 as a kernel takes them, rounded to nearest at 2^-25 of the
/// largest or finer for up to 63 weeks to come, 2^-24 for up to 127; the shift that they share.
pub fn pack_increments(increments_q48: &[u64], weeks: usize, packed: &mut [u32]) -> u8 {
    let limit = u64::from(increment_limit(weeks));
    let largest = increments_q48.iter().fold(0, |largest, &increment| u64::max(largest, increment));
    let rounded = |increment: u64, shift: u32| {
        let half = if shift == 0 { 0 } else { (increment >> (shift - 1)) & 1 };
        (increment >> shift) + half
    };
    let shift = (0..64).find(|&shift| rounded(largest, shift) <= limit).unwrap_or(63);
    for (to, increment) in packed.iter_mut().zip(increments_q48) {
        *to = rounded(*increment, shift) as u32;
    }
    shift as u8
}

#[cfg(test)]
mod tests {
    use super::{increment_limit, pack_increments};

    #[test]
    fn increments_are_packed_to_the_nearest_unit_that_fits() {
        let mut packed = [0; 3];
        assert_eq!(pack_increments(&[0, 5, 1000], 104, &mut packed), 0);
        assert_eq!(packed, [0, 5, 1000]);
        let limit = u64::from(increment_limit(104));
        let increments_q48 = [limit << 9, (3 << 8) + (1 << 7), (limit << 8) - 1];
        let shift = pack_increments(&increments_q48, 104, &mut packed);
        assert_eq!((shift, packed), (9, [limit as u32, 2, (limit >> 1) as u32]));
        // What rounds up past the limit takes another bit.
        assert_eq!(pack_increments(&[(limit << 1) + 1], 104, &mut packed), 2);
        assert_eq!(pack_increments(&[], 104, &mut packed), 0);
        assert!(u64::from(increment_limit(104)) * 104 < 1 << 31);
    }
}
