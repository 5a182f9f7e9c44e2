//! Remarks on a row of an output: a set of flags, written as their names joined by commas.

use std::fmt;

/// What a table may remark on one of its rows. At most 16 kinds.
pub trait Remark: Copy + 'static {
    /// All of them with their names, in the order in which a row names them.
    const NAMES: &'static [(Self, &'static str)];

    /// Its place among [`Self::NAMES`].
    fn place(self) -> u8;
}

/// The remarks on one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remarks<R> {
    bits: u16,
    of: std::marker::PhantomData<R>,
}

impl<R> Default for Remarks<R> {
    fn default() -> Self {
        Self { bits: 0, of: std::marker::PhantomData }
    }
}

impl<R: Remark> Remarks<R> {
    pub fn raise(&mut self, remark: R, condition: bool) {
        self.bits |= u16::from(condition) << remark.place();
    }

    pub fn has(self, remark: R) -> bool {
        self.bits >> remark.place() & 1 == 1
    }
}

impl<R: Remark> fmt::Display for Remarks<R> {
    /// Names joined by commas; nothing if there are none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (_, name) in R::NAMES.iter().filter(|(remark, _)| self.has(*remark)) {
            write!(f, "{separator}{name}")?;
            separator = ",";
        }
        Ok(())
    }
}
