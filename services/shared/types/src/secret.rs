//! Values that must never reach a log.

use std::fmt;

/// A value whose `Debug` hides it. There is no `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value that must not be shown.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: for the one place that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}
