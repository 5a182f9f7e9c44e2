//! From clocks to scores: slots, damage, hazard, drivers.
