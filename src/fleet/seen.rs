//! A bit a vehicle, set from many threads, for indices that keep growing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Vehicles of a page: 128 KiB of bits.
const PAGE_VEHICLES: usize = 1 << 20;
const PAGES: usize = 1 << 12;

/// A set of dense vehicle indices.
pub(crate) struct Seen {
    pages: Vec<OnceLock<Box<[AtomicU64]>>>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { pages: (0..PAGES).map(|_| OnceLock::new()).collect() }
    }
}

impl Seen {
    /// Adds a vehicle; false if it was there already.
    pub fn insert(&self, vehicle: u32) -> bool {
        let vehicle = vehicle as usize;
        let page = self.pages[vehicle / PAGE_VEHICLES]
            .get_or_init(|| (0..PAGE_VEHICLES / 64).map(|_| AtomicU64::new(0)).collect());
        let bit = 1 << (vehicle % 64);
        page[vehicle % PAGE_VEHICLES / 64].fetch_or(bit, Ordering::Relaxed) & bit == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn each_vehicle_is_new_once() {
        let seen = Seen::default();
        for vehicle in [0, 63, 64, (1 << 20) - 1, 1 << 20, u32::MAX] {
            assert!(seen.insert(vehicle));
            assert!(!seen.insert(vehicle));
        }
        assert!(seen.insert(1));
    }
}
