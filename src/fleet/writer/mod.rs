//! Writing results: a folder that appears whole or not at all.
//!
//! [`OutputFolder`] stages everything in a hidden sibling of the target, and one rename makes it visible; `_SUCCESS`
//! stands in it from its first visible moment. [`PartWriter`] writes one Parquet file of it, [`TableWriter`] a table
//! cut into parts by row count alone. [`ContentHasher`] names the content whatever the cut.

pub mod content;
pub mod error;
pub mod folder;
pub mod part;

pub use content::ContentHasher;
pub use error::WriteError;
pub use folder::OutputFolder;
pub use part::{Encoding, PartWriter, TableSpec, TableWriter};
