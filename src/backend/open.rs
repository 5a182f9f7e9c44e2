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
pub struct DeviceShare {
    /// A quarter of the usual sizes: for another try after the device ran out of memory.
    pub small: bool,
    /// Bytes of its memory at most; all that the device has where there is no such limit.
    pub memory_bytes: Option<u64>,
}

/// A backend ready for batches.
pub struct Opened<B: ?Sized> {
    pub backend: Box<B>,
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
) -> Result<Opened<dyn DamageBackend>, BackendError> {
    open_for(u64::MAX, DeviceShare::default(), choice, device, threads, request)
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
) -> Result<Opened<dyn DamageBackend>, BackendError> {
    let too_few = || format!("{records} records are summed before a device would be open");
    chosen::<dyn DamageBackend>(
        choice,
        (records < LEAST_RECORDS).then(too_few),
        || Ok(Box::new(CpuDamage::open(request)?)),
        || gpu(share, device, request),
        || worth_a_gpu(share, device, threads, request),
    )
}

/// The rules of the choice. `too_little` says, where there is little to do, why `auto` does not look for a device;
/// `worth_a_gpu`, why a device is worth it or is not.
pub(super) fn chosen<B: ?Sized>(
    choice: Choice,
    too_little: Option<String>,
    cpu: impl FnOnce() -> Result<Box<B>, BackendError>,
    gpu: impl FnOnce() -> Result<Opened<B>, BackendError>,
    worth_a_gpu: impl FnOnce() -> Result<String, String>,
) -> Result<Opened<B>, BackendError> {
    let why = match (choice, too_little) {
        (Choice::Gpu, _) => return gpu(),
        (Choice::Cpu, _) => "--backend cpu".to_owned(),
        (Choice::Auto, Some(why)) => why,
        (Choice::Auto, None) => match worth_a_gpu() {
            Ok(why) => return gpu().map(|opened| Opened { why, ..opened }),
            Err(why) => why,
        },
    };
    Ok(Opened { backend: cpu()?, why })
}

#[cfg(not(feature = "gpu"))]
pub(super) const NO_GPU: &str = "this build lacks the feature `gpu`";

#[cfg(not(feature = "gpu"))]
fn gpu(
    _share: DeviceShare,
    device: Option<&str>,
    _request: &DamageRequest,
) -> Result<Opened<dyn DamageBackend>, BackendError> {
    Err(BackendError::NoDevice { wanted: device.map(str::to_owned), why: NO_GPU.to_owned() })
}

#[cfg(not(feature = "gpu"))]
fn worth_a_gpu(
    _share: DeviceShare,
    _device: Option<&str>,
    _threads: usize,
    _request: &DamageRequest,
) -> Result<String, String> {
    Err(NO_GPU.to_owned())
}

#[cfg(feature = "gpu")]
fn gpu(
    share: DeviceShare,
    device: Option<&str>,
    request: &DamageRequest,
) -> Result<Opened<dyn DamageBackend>, BackendError> {
    let backend = super::gpu::damage::GpuDamage::open(request, device, limits(share))?;
    Ok(Opened { backend: Box::new(backend), why: asked_for(device) })
}

#[cfg(feature = "gpu")]
pub(super) fn limits(share: DeviceShare) -> super::gpu::limits::GpuLimits {
    let mut limits = super::gpu::limits::GpuLimits::default();
    limits.memory_bytes = share.memory_bytes.unwrap_or(limits.memory_bytes);
    if share.small { limits.smaller() } else { limits }
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
fn worth_a_gpu(
    share: DeviceShare,
    device: Option<&str>,
    threads: usize,
    request: &DamageRequest,
) -> Result<String, String> {
    let adapter = super::gpu::device::hardware(device)?;
    let trial = super::gpu::trial::compare(adapter, limits(share), threads, request);
    let trial = trial.map_err(|error| error.to_string())?;
    trial.verdict(&adapter.get_info().name)
}
