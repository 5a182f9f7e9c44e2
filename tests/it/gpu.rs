//! Which device the tests that need one use, and how they say that they had none.

/// The software rasteriser that CI installs: the tests choose it by name, a faster device would hide it.
const DEVICE: &str = "llvmpipe";

/// The device that tests compute on. With `FLEETWEAR_GPU=skip`, `None` where it is missing, and the output says so;
/// otherwise a missing device fails the test.
pub fn required_device(test: &str) -> Option<&'static str> {
    let found = fleetwear::backend::gpu::device::pick(Some(DEVICE));
    match (found, std::env::var("FLEETWEAR_GPU").as_deref()) {
        (Ok(_), _) => Some(DEVICE),
        (Err(_), Ok("skip")) => {
            println!("skipped: {test}: no adapter named {DEVICE}, and FLEETWEAR_GPU=skip");
            None
        }
        (Err(error), _) => panic!("{test} needs {DEVICE}: {error}; FLEETWEAR_GPU=skip leaves it out"),
    }
}
