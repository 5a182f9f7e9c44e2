//! Kernels on the host's cores.
//!
//! [`damage`] is the backend; [`scalar`] is its reference kernel, written straight from the definition, and
//! `vector` holds the AVX2 and AVX-512 kernels, picked at run time ([`instructions`]) and equal to the reference bit
//! for bit. [`drivers`] sums what explains a vehicle's rate, [`tables`] is the layout that they read, [`ranges`] the
//! shared, growing, locked storage of all sums.
//!
//! [`survival`] is the second backend: [`survival_starts`] lays its futures and parts out, [`survival_scalar`] is its
//! reference kernel, `survival_avx2` and `survival_avx512` are its twins.
//!
//! [`cube`] is the third.

pub mod cube;
pub mod damage;
pub mod drivers;
pub mod instructions;
pub mod ranges;
pub mod scalar;
pub mod survival;
#[cfg(target_arch = "x86_64")]
pub mod survival_avx2;
#[cfg(target_arch = "x86_64")]
pub mod survival_avx512;
pub mod survival_scalar;
pub mod survival_starts;
pub mod tables;
#[cfg(target_arch = "x86_64")]
pub mod vector;
