//! Which kernel runs: picked once, when a backend is opened, by what the processor can do.

use super::damage::{SlotMaskTable, SlotSums, Stretch};
use super::drivers::{self, VehicleSums};
use super::scalar;
use super::survival_scalar;
use super::survival_starts::{Futures, LANES, Tile, TileSums};
use super::tables::Group;
#[cfg(target_arch = "x86_64")]
use super::vector::{Avx2, Avx512};

/// An instruction set that this processor has: the vector ones exist only where they were detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// The reference: plain loops.
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Instructions {
    /// What this processor runs, slowest first.
    pub fn available() -> Vec<Self> {
        let vector: [Option<Self>; 2];
        #[cfg(target_arch = "x86_64")]
        {
            vector = [Avx2::detect().map(Self::Avx2), Avx512::detect().map(Self::Avx512)];
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            vector = [None, None];
        }
        std::iter::once(Self::Scalar).chain(vector.into_iter().flatten()).collect()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
        }
    }

    /// Adds the increments of the stretch's rows to the clocks of their slots.
    pub fn add_increments(self, group: &Group, masks: &SlotMaskTable, stretch: &Stretch, sums: &mut SlotSums) {
        match self {
            Self::Scalar => scalar::add_increments(group, masks, stretch, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.add_increments(group, masks, stretch, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(token) => token.add_increments(group, masks, stretch, sums),
        }
    }

    /// Adds the driver rows of the stretch's rows to the sums of their vehicles.
    pub fn add_driver_rows(self, groups: &[Group], stretch: &Stretch, sums: &mut VehicleSums) {
        match self {
            Self::Scalar => drivers::add_driver_rows(groups, stretch, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.add_driver_rows(groups, stretch, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(token) => token.as_avx2().add_driver_rows(groups, stretch, sums),
        }
    }

    /// Adds [`LANES`] lanes, from `first` on, of every part of a tile.
    pub fn add_survival(self, futures: &Futures, tile: &Tile, first: usize, sums: &mut TileSums) {
        match self {
            Self::Scalar => survival_scalar::add_lanes(futures, tile, first, LANES, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.add_survival(futures, tile, first, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(token) => token.add_survival(futures, tile, first, sums),
        }
    }
}
