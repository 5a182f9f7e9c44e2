//! Kernels on a GPU through wgpu; the only room that names it.
//!
//! [`device`] finds and opens an adapter and turns everything that can go wrong on one into typed errors; [`damage`]
//! is the backend; [`batch`] lays tables and columns out for the shaders, [`stage`] carries columns over, [`sums`]
//! holds what the kernels add to, [`shaders`] is the source text, [`trial`] says whether a device pays, [`upload`] how long
//! the way there takes. [`survival`], [`survival_words`] and [`survival_trial`] are the second backend, its layout and
//! its trial; [`cube`] is the third.

pub mod batch;
pub mod cube;
pub mod damage;
pub mod device;
pub mod limits;
pub mod shaders;
pub mod stage;
pub mod sums;
pub mod survival;
pub mod survival_trial;
pub mod survival_words;
pub mod trial;
pub mod upload;
