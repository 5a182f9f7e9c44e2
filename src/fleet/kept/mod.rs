//! Packed histories: what a state keeps of the files it has read, so that a night reads only its new ones.
//!
//! Key idea: of everything that a simulation needs, the records themselves are what all of it follows from exactly. A
//! week's seven records of fourteen channels take 120 bytes in the bits that they need, the week's increments of
//! `ev-passenger`'s mechanisms, whose low bits are random, would take 80; and with records a late record, a record that
//! takes another's place, a late or withdrawn replacement, other attributes, a corrected side table or another day to
//! stand on are nothing special: whoever reads them goes the same way as after a scan of the files. So what is kept
//! depends on neither model nor day. Making the increments from the records once more costs little beside following the
//! parts along their paths.
//!
//! A night's records are packed ([`gather`]) into blocks of vehicles ([`block`]) of a [`run`], which never changes; a
//! few runs are [`merge`]d as they are read, and many small ones are put together into one. [`record`] says which
//! belong to a generation, [`night`] makes the next one, [`read`] hands out what [`crate::fleet::scan::scan`] would, and
//! [`refill`] makes side tables' and derived channels anew.

pub mod block;
pub mod gather;
pub mod merge;
pub mod night;
pub mod read;
pub mod record;
pub mod refill;
pub mod run;
