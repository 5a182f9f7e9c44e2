//! How much a GPU backend takes at a time: bytes, rows and slots. Results do not depend on any of it.

use std::time::Duration;

/// Sizes of what a backend allocates and submits. Tests set small ones to cross every border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuLimits {
    /// Bytes of a staging buffer and of its twin on the device.
    pub stage_bytes: u64,
    /// Staging buffers: one fills while others travel and compute.
    pub stages: usize,
    /// Slots of a range are two to this power: 2^20 slots of eight clocks are 64 MiB.
    pub range_slots_bits: u32,
    /// Bytes of a range of driver sums at most.
    pub driver_range_bytes: u64,
    /// Rows of one dispatch: a slow adapter's watchdog must not notice it.
    pub dispatch_rows: u32,
    /// Rows times lanes a row over the dispatches of one submission, for the same reason.
    pub submission_rows: u64,
    /// Bytes of device memory that this backend may hold.
    pub memory_bytes: u64,
    /// How long the device may stay silent.
    pub timeout: Duration,
    /// Fill every new buffer with noise before its use: what the kernels do not write must not show.
    pub poison: bool,
}

impl Default for GpuLimits {
    fn default() -> Self {
        Self {
            stage_bytes: 32 << 20,
            stages: 3,
            range_slots_bits: 20,
            driver_range_bytes: 64 << 20,
            dispatch_rows: 1 << 18,
            submission_rows: 1 << 24,
            memory_bytes: u64::MAX,
            timeout: Duration::from_secs(60),
            poison: false,
        }
    }
}

impl GpuLimits {
    /// A quarter of everything: for a second try after the device ran out of memory.
    pub fn smaller(self) -> Self {
        Self {
            stage_bytes: self.stage_bytes / 4,
            range_slots_bits: self.range_slots_bits.saturating_sub(2),
            driver_range_bytes: self.driver_range_bytes / 4,
            dispatch_rows: (self.dispatch_rows / 4).max(256),
            submission_rows: (self.submission_rows / 4).max(1 << 16),
            ..self
        }
    }
}
