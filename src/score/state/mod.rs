//! Night by night: what is kept from one run to the next, so that a night reads only its new files and gives exactly
//! what a run over everything would give.
//!
//! What is kept are last night's sums per segment of each vehicle's time ([`stored`], [`crate::fleet::state`]), the days with records
//! ([`presence`]), and the packed records of the last 120 days ([`log_write`], [`log_read`]); [`record`] says what it
//! was made from. A [`night`] takes stock of the files ([`crate::fleet::state::stock`]), lays stored segments over
//! tonight's slots ([`cells`], [`merge`]), takes in what is new ([`sink`]), settles what came again ([`repeats`]),
//! forms anew what neither can settle ([`traits`], [`reform`]), and stores the next generation ([`collect`],
//! [`store`]).
//!
//! Everything rests on two facts: clocks are sums in integers that wrap, so parts of them can be added, taken out and
//! moved exactly; and what cannot be taken out of a sum (a least, a greatest, a bit) is told by the presence or formed
//! anew.

mod capped;
pub mod cell_sums;
pub mod cells;
pub mod collect;
mod incremental;
pub mod log_read;
pub mod log_write;
pub mod merge;
pub mod night;
pub mod presence;
pub mod record;
pub mod reform;
pub mod repeats;
pub mod sink;
pub mod store;
pub mod stored;
pub mod traits;
