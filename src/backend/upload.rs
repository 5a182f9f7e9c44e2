//! How long the way to a device takes, apart from any work there.

use super::BackendError;

/// Seconds for `bytes` bytes to the adapter that `device` names, or to the one that would be taken.
#[cfg(feature = "gpu")]
pub fn seconds(device: Option<&str>, bytes: u64) -> Result<f64, BackendError> {
    super::gpu::upload::seconds(device, bytes)
}

/// Without the feature there is no device to reach.
#[cfg(not(feature = "gpu"))]
pub fn seconds(device: Option<&str>, _bytes: u64) -> Result<f64, BackendError> {
    let why = "this build lacks the feature `gpu`".to_owned();
    Err(BackendError::NoDevice { wanted: device.map(str::to_owned), why })
}
