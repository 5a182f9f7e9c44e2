//! What every state of a nightly run stands on, whatever it keeps: a [`folder`] of complete generations and a pointer
//! to the one that counts, the [`stock`] of history files taken by content ([`consumed`]), plain [`arrays`] and vehicle
//! [`ids`] on disk, and why a state cannot be used ([`error`]).

pub mod arrays;
pub mod consumed;
pub mod error;
pub mod folder;
pub mod ids;
pub mod stock;
