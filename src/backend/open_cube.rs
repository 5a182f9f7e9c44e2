//! Which cube backend does the work, and why: the text goes into manifests.
//!
//! The rules are those of [`mod@super::open`], but `auto` stays on the processor: telling each record's expected events
//! takes longer there than summing them, so a device would wait for it.

use super::cpu::cube::CpuCube;
use super::cube::{CubeBackend, CubePlan};
use super::open::chosen;
use super::{BackendError, Choice, Opened};

/// Opens the backend that `choice` and `device` ask for. `memory_limit_bytes`: for the sums on the host.
pub fn open_cube(
    choice: Choice,
    device: Option<&str>,
    plan: &CubePlan,
    memory_limit_bytes: usize,
) -> Result<Opened<dyn CubeBackend>, BackendError> {
    let too_little = || "the processor tells what is expected of each record, and sums it meanwhile".to_owned();
    chosen::<dyn CubeBackend>(
        choice,
        Some(too_little()),
        || Ok(Box::new(CpuCube::open(plan, memory_limit_bytes)?)),
        || gpu(device, plan),
        || Err(too_little()),
    )
}

#[cfg(not(feature = "gpu"))]
fn gpu(device: Option<&str>, _plan: &CubePlan) -> Result<Opened<dyn CubeBackend>, BackendError> {
    Err(BackendError::NoDevice { wanted: device.map(str::to_owned), why: super::open::NO_GPU.to_owned() })
}

#[cfg(feature = "gpu")]
fn gpu(device: Option<&str>, plan: &CubePlan) -> Result<Opened<dyn CubeBackend>, BackendError> {
    let limits = super::open::limits(super::DeviceShare::default());
    let backend = super::gpu::cube::GpuCube::open(plan, device, limits)?;
    Ok(Opened { backend: Box::new(backend), why: super::open::asked_for(device) })
}
