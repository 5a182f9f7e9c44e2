//! The shaders' source, composed from the files in `shaders/`: shared parts first, one entry point each.

/// The damage kernel.
pub const DAMAGE: &str = concat!(
    include_str!("../../../shaders/fixed.wgsl"),
    include_str!("../../../shaders/batch.wgsl"),
    include_str!("../../../shaders/damage.wgsl"),
);
pub const DAMAGE_ENTRY: &str = "add_increments";

/// The driver sums' kernel.
pub const DRIVERS: &str = concat!(
    include_str!("../../../shaders/fixed.wgsl"),
    include_str!("../../../shaders/batch.wgsl"),
    include_str!("../../../shaders/drivers.wgsl"),
);
pub const DRIVERS_ENTRY: &str = "add_driver_rows";

/// The survival kernel.
pub const SURVIVAL: &str = concat!(
    include_str!("../../../shaders/fixed.wgsl"),
    include_str!("../../../shaders/log2.wgsl"),
    include_str!("../../../shaders/survival.wgsl"),
);
pub const SURVIVAL_ENTRY: &str = "add_parts";

/// The cube kernel.
pub const CUBE: &str = include_str!("../../../shaders/cube.wgsl");
pub const CUBE_ENTRY: &str = "add_cells";

/// Functions alone, for kernels to come and for tests that compare them with their twins.
pub const FIXED: &str = include_str!("../../../shaders/fixed.wgsl");
pub const RNG: &str = include_str!("../../../shaders/rng.wgsl");
pub const LOG2: &str = include_str!("../../../shaders/log2.wgsl");
