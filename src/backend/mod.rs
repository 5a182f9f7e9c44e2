//! Where increments are computed: one trait, `cpu` and `gpu` implement it, with identical results.
//!
//! A backend is opened for a model and a set of slots, takes batches in any order from any number of threads, and is
//! finished once.

pub mod cpu;
pub mod cube;
pub mod cube_gate;
pub mod devices;
pub mod gate;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod open;
pub mod open_cube;
pub mod open_survival;
pub mod survival;
pub mod survival_gate;
pub mod survival_start;
pub mod upload;

pub use gate::GateError;
pub use open::{Choice, DeviceShare, Opened, open, open_for};
pub use open_cube::open_cube;
pub use open_survival::open_survival;

use crate::model::tables::DamageTables;
use crate::run::{Interrupted, Stop};

/// Which slots there are. The first `masks.len() / groups` slots have a mask of their own; any later slot, up to the
/// `slots` given to [`DamageBackend::finish`], has the default mask.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlotMasks {
    /// Slot-major: `masks[slot * groups + group]`, the interactions whose attribute conditions the vehicle meets.
    pub masks: Vec<u32>,
    /// One mask a group, for slots beyond.
    pub default: Vec<u32>,
}

/// Records on their way into a kernel. Rows of one slot stand together as far as the reader could manage; results do
/// not depend on it.
#[derive(Clone, Copy, Debug)]
pub struct DamageBatch<'a> {
    pub slot: &'a [u32],
    /// Dense vehicle index, for the driver sums.
    pub vehicle: &'a [u32],
    /// One column a table input, each as long as `slot`. A code lies below its input's row count.
    pub codes: &'a [&'a [u16]],
}

/// What a backend has summed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DamageSums {
    /// Slot-major Q48 lives: `clocks_q48[slot * mechanisms + mechanism]`.
    pub clocks_q48: Vec<u64>,
    /// Per slot: bit `mechanism % 32` of word `mechanism / 32` is set where an increment was capped;
    /// `capped[slot * words + word]`.
    pub capped: Vec<u32>,
    /// Vehicle-major sums of [`crate::model::tables::GroupInput::driver_rows`]: for every vehicle, one column a bit of
    /// [`crate::model::tables::GroupInput::driver_lanes`]. Empty if drivers were not asked for.
    pub drivers: Vec<i64>,
}

/// A damage kernel somewhere.
pub trait DamageBackend: Send + Sync {
    /// Adds the increments of a batch. May be called from several threads at once.
    fn push(&self, batch: &DamageBatch) -> Result<(), BackendError>;

    /// Waits until all that was pushed is summed, so that a clock can tell the work from the way back of the sums.
    fn settle(&self) -> Result<(), BackendError> {
        Ok(())
    }

    /// Waits for what was pushed and hands out the sums of `slots` slots and `vehicles` vehicles.
    fn finish(self: Box<Self>, slots: usize, vehicles: usize) -> Result<DamageSums, BackendError>;

    /// Lets waits for a device end where the run is asked to stop.
    fn watch(&mut self, _stop: &Stop) {}

    /// What did the work, for manifests: the device's name, or "cpu" with the instruction set.
    fn description(&self) -> String;
}

/// How a backend is opened.
#[derive(Clone, Copy, Debug)]
pub struct DamageRequest<'a> {
    pub tables: &'a DamageTables,
    pub masks: &'a SlotMasks,
    /// Whether to sum driver rows too.
    pub drivers: bool,
}

/// Why a backend could not do its work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BackendError {
    #[error("no GPU adapter {}: {why}", wanted.as_ref().map_or("found".to_owned(), |name| format!("matches {name:?}")))]
    NoDevice { wanted: Option<String>, why: String },
    #[error("device {device:?} was lost: {reason}")]
    Lost { device: String, reason: String },
    #[error("device {device:?} is out of memory: {asked_bytes} bytes for {what}")]
    OutOfMemory { device: String, what: &'static str, asked_bytes: u64 },
    #[error("device {device:?} refused {what}: {reason}")]
    Refused { device: String, what: &'static str, reason: String },
    #[error("device {device:?} did not answer within {waited_s} s")]
    Timeout { device: String, waited_s: u64 },
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error(transparent)]
    SurvivalGate(#[from] survival::SurvivalGateError),
    #[error(transparent)]
    CubeGate(#[from] cube::CubeGateError),
}

impl BackendError {
    /// Whether another attempt may help: the device was there, and then failed.
    pub fn is_device_failure(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::OutOfMemory { .. } | Self::Refused { .. } | Self::Timeout { .. } => true,
            Self::NoDevice { .. }
            | Self::Interrupted(_)
            | Self::Gate(_)
            | Self::SurvivalGate(_)
            | Self::CubeGate(_) => false,
        }
    }
}
