//! Which device the tests that need one use, and how they say that they had none.

/// The software rasteriser that CI installs; `FLEETWEAR_GPU_DEVICE` names another adapter.
const DEVICE: &str = "llvmpipe";

/// The device that tests compute on. With `FLEETWEAR_GPU=skip`, `None` where it is missing, and the output says so;
/// otherwise a missing device fails the test.
pub fn required_device(test: &str) -> Option<&'static str> {
    static NAME: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let name = NAME.get_or_init(|| std::env::var("FLEETWEAR_GPU_DEVICE").unwrap_or_else(|_| DEVICE.to_owned()));
    let found = fleetwear::backend::gpu::device::pick(Some(name));
    match (found, std::env::var("FLEETWEAR_GPU").as_deref()) {
        (Ok(_), _) => Some(name),
        (Err(_), Ok("skip")) => {
            crate::skipped::say(test, &format!("no adapter named {name}, and FLEETWEAR_GPU=skip"));
            None
        }
        (Err(error), _) => panic!("{test} needs {name}: {error}; FLEETWEAR_GPU=skip leaves it out"),
    }
}
