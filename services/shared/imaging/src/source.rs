//! The file that a picture is read from.

use bytes::Bytes;

/// A whole file, as memory.
pub trait Source {
    /// Its bytes.
    fn bytes(&self) -> &[u8];

    /// What lies before this place is not needed for now: it need not stay in memory.
    fn release_before(&self, at: usize) {
        _ = at;
    }
}

impl Source for [u8] {
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Source for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Source for Bytes {
    fn bytes(&self) -> &[u8] {
        self
    }
}
