//! Kernels on the host's cores.
//!
//! [`damage`] is the backend; [`scalar`] is its reference kernel, written straight from the definition, and
//! `vector` holds the AVX2 and AVX-512 kernels, picked at run time ([`instructions`]) and equal to the reference bit
//! for bit. [`drivers`] sums what explains a vehicle's rate, [`tables`] is the layout that they read, [`ranges`] the
//! shared, growing, locked storage of all sums.

pub mod damage;
pub mod drivers;
pub mod instructions;
pub mod ranges;
pub mod scalar;
pub mod tables;
#[cfg(target_arch = "x86_64")]
pub mod vector;
