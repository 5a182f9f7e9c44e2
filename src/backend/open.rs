//! Which backend does the work, and why: the text goes into manifests.
//!
//! `auto` takes a hardware GPU only where there are enough records to make up for opening it (a night's single day has
//! not), and a short trial on made-up records of the same model says that it beats all the processor's threads
//! together; the answer is kept for the life of the process. A software rasteriser is never taken unless its name was
//! given.

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

/// How much of a device a backend may take. Results do not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceShare {
    #[default]
    Usual,
    /// A quarter of the usual sizes: for another try after the device ran out of memory.
    Small,
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
    open_for(u64::MAX, DeviceShare::Usual, choice, device, threads, request)
}

/// Fewer records than this are not worth a device: two threads sum them in less time than opening one and trying it
/// out takes, half a second to several.
const LEAST_RECORDS: u64 = 20_000_000;

/// The same for about so many records, within a share of the device.
pub fn open_for(
    records: u64,
    share: DeviceShare,
    choice: Choice,
    device: Option<&str>,
    threads: usize,
    request: &DamageRequest,
) -> Result<Opened, BackendError> {
    match choice {
        Choice::Cpu => cpu(request, "--backend cpu".to_owned()),
        Choice::Gpu => gpu(share, device, request),
        Choice::Auto if records < LEAST_RECORDS => {
            cpu(request, format!("{records} records are summed before a device would be open"))
        }
        Choice::Auto => match worth_a_gpu(device, threads, request) {
            Ok(why) => gpu(share, device, request).map(|opened| Opened { why, ..opened }),
            Err(why) => cpu(request, why),
        },
    }
}

fn cpu(request: &DamageRequest, why: String) -> Result<Opened, BackendError> {
    Ok(Opened { backend: Box::new(CpuDamage::open(request)?), why })
}

#[cfg(not(feature = "gpu"))]
pub(super) const NO_GPU: &str = "this build lacks the feature `gpu`";

#[cfg(not(feature = "gpu"))]
fn gpu(_share: DeviceShare, device: Option<&str>, _request: &DamageRequest) -> Result<Opened, BackendError> {
    Err(BackendError::NoDevice { wanted: device.map(str::to_owned), why: NO_GPU.to_owned() })
}

#[cfg(not(feature = "gpu"))]
fn worth_a_gpu(_device: Option<&str>, _threads: usize, _request: &DamageRequest) -> Result<String, String> {
    Err(NO_GPU.to_owned())
}

#[cfg(feature = "gpu")]
fn gpu(share: DeviceShare, device: Option<&str>, request: &DamageRequest) -> Result<Opened, BackendError> {
    let backend = super::gpu::damage::GpuDamage::open(request, device, limits(share))?;
    Ok(Opened { backend: Box::new(backend), why: asked_for(device) })
}

#[cfg(feature = "gpu")]
pub(super) fn limits(share: DeviceShare) -> super::gpu::limits::GpuLimits {
    let usual = super::gpu::limits::GpuLimits::default();
    match share {
        DeviceShare::Usual => usual,
        DeviceShare::Small => usual.smaller(),
    }
}

/// Why a device was taken without a trial.
#[cfg(feature = "gpu")]
pub(super) fn asked_for(device: Option<&str>) -> String {
    match device {
        Some(name) => format!("--backend gpu --device {name}"),
        None => "--backend gpu".to_owned(),
    }
}

/// Why the GPU is worth it, or why not.
#[cfg(feature = "gpu")]
fn worth_a_gpu(device: Option<&str>, threads: usize, request: &DamageRequest) -> Result<String, String> {
    let adapter = super::gpu::device::hardware(device)?;
    let trial = super::gpu::trial::compare(adapter, threads, request).map_err(|error| error.to_string())?;
    trial.verdict(&adapter.get_info().name)
}
