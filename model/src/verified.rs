//! Proof, by type, that signatures were checked.

use std::ops::Deref;

/// A value whose signatures were checked, or vouched for by something stronger.
#[derive(Debug, Clone)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Takes a value on trust. Three callers have reason to: the check itself, the author of a
    /// batch (whose members were checked one by one as they came), and whoever holds a
    /// finalization of the block that names it.
    pub fn vouch(value: T) -> Self {
        Self(value)
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
