//! Integer arithmetic that gives the same bits on every device. Each file has a WGSL twin of the same function
//! names and parameter order: `exp2` in `shaders/fixed.wgsl`, `log2` and `knots` in `shaders/log2.wgsl`, `threefry` in `shaders/rng.wgsl`.

pub mod exp2;
pub mod knots;
pub mod log2;
pub mod threefry;
