//! Which backend does the work, and why: the text goes into manifests.

use super::cpu::damage::CpuDamage;
use super::{BackendError, DamageBackend, DamageRequest};

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// A hardware GPU where it pays, the processor otherwise; never a software rasteriser.
    #[default]
    Auto,
    Cpu,
    /// A GPU or an error.
    Gpu,
}

/// A backend ready for batches.
pub struct Opened {
    pub backend: Box<dyn DamageBackend>,
    /// Why this one, for people.
    pub why: String,
}

/// Opens the backend that `choice` and `device` (part of an adapter's name, or its PCI id) ask for. `threads` is how
/// many threads will push: what the processor could do instead.
pub fn open(
    choice: Choice,
    device: Option<&str>,
    threads: usize,
    request: &DamageRequest,
) -> Result<Opened, BackendError> {
    let _ = threads;
    match choice {
        Choice::Cpu => Ok(Opened { backend: Box::new(CpuDamage::open(request)?), why: "asked for".to_owned() }),
        Choice::Auto => {
            Ok(Opened { backend: Box::new(CpuDamage::open(request)?), why: "no GPU kernel yet".to_owned() })
        }
        Choice::Gpu => {
            Err(BackendError::NoDevice { wanted: device.map(str::to_owned), why: "no GPU kernel yet".to_owned() })
        }
    }
}
