//! Which survival backend does the work, and why: the text goes into manifests.
//!
//! The rules are those of [`mod@super::open`]: a device that is asked for is taken or the run ends; `auto` takes a
//! hardware GPU only where there is enough to compute to make up for opening it, and a short trial says that it beats
//! all the processor's threads together. Units: a step is one part along one path to one column of the plan.

use super::cpu::survival::CpuSurvival;
use super::open::chosen;
use super::survival::{SurvivalBackend, SurvivalRequest};
use super::{BackendError, Choice, DeviceShare, Opened};

/// Fewer steps than this are not worth a device: two threads take them in less time than opening one and trying it
/// out takes, half a second to several.
const LEAST_STEPS: u64 = 1_000_000_000;

/// Opens the backend that `choice` and `device` ask for, for about so many parts. `threads` is how many threads will
/// push: what the processor could do instead.
pub fn open_survival(
    parts: u64,
    share: DeviceShare,
    choice: Choice,
    device: Option<&str>,
    threads: usize,
    request: &SurvivalRequest,
) -> Result<Opened<dyn SurvivalBackend>, BackendError> {
    let steps = parts.saturating_mul((request.plan.paths * request.plan.columns()) as u64);
    let too_few = || format!("{parts} parts are followed before a device would be open");
    chosen::<dyn SurvivalBackend>(
        choice,
        (steps < LEAST_STEPS).then(too_few),
        || Ok(Box::new(CpuSurvival::open(request)?)),
        || gpu(share, device, request),
        || worth_a_gpu(share, device, threads, request),
    )
}

#[cfg(not(feature = "gpu"))]
fn gpu(
    _share: DeviceShare,
    device: Option<&str>,
    _request: &SurvivalRequest,
) -> Result<Opened<dyn SurvivalBackend>, BackendError> {
    Err(BackendError::NoDevice { wanted: device.map(str::to_owned), why: super::open::NO_GPU.to_owned() })
}

#[cfg(not(feature = "gpu"))]
fn worth_a_gpu(
    _share: DeviceShare,
    _device: Option<&str>,
    _threads: usize,
    _request: &SurvivalRequest,
) -> Result<String, String> {
    Err(super::open::NO_GPU.to_owned())
}

#[cfg(feature = "gpu")]
fn gpu(
    share: DeviceShare,
    device: Option<&str>,
    request: &SurvivalRequest,
) -> Result<Opened<dyn SurvivalBackend>, BackendError> {
    let limits = super::open::limits(share);
    let backend = super::gpu::survival::GpuSurvival::open(request, device, limits)?;
    Ok(Opened { backend: Box::new(backend), why: super::open::asked_for(device) })
}

/// Why the GPU is worth it, or why not.
#[cfg(feature = "gpu")]
fn worth_a_gpu(
    share: DeviceShare,
    device: Option<&str>,
    threads: usize,
    request: &SurvivalRequest,
) -> Result<String, String> {
    let adapter = super::gpu::device::hardware(device)?;
    let trial = super::gpu::survival_trial::compare(adapter, super::open::limits(share), threads, request);
    let trial = trial.map_err(|error| error.to_string())?;
    trial.verdict(&adapter.get_info().name)
}
