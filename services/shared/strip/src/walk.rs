//! What the walks through all formats have in common.

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They stay.
    Keep,
    /// They go.
    Drop,
    /// Zeros take their place.
    Blank,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This cannot be told before so many bytes can be seen.
    Need(usize),
    /// So many bytes have one fate, seen or yet to come.
    Span(Fate, u64),
    /// So many of the bytes that are seen give way to others; then comes a span.
    Replace {
        /// The bytes that give way.
        seen: usize,
        /// What takes their place.
        by: Vec<u8>,
        /// How much metadata goes by that.
        removed_bytes: u64,
        /// What becomes of the bytes after them.
        then: (Fate, u64),
    },
    /// The file is not what it began as.
    Broken,
}

impl Step {
    /// All that still comes goes.
    pub(crate) const DROP_THE_REST: Self = Self::Span(Fate::Drop, u64::MAX);

    /// So many bytes stay.
    pub(crate) const fn keep(bytes: u64) -> Self {
        Self::Span(Fate::Keep, bytes)
    }
}

/// A way through a file of one format, from its first byte.
pub(crate) trait Walk: Send {
    /// What is to be done with the bytes from here on, of which `seen`, never empty, are there. The answer
    /// must not depend on how much can be seen beyond what is needed, but for where a span of
    /// bytes that stay is divided.
    fn step(&mut self, seen: &[u8]) -> Step;

    /// Whether `rest`, at which the file ends too early for a step, is the beginning of metadata.
    fn is_metadata(&self, rest: &[u8]) -> bool;
}
