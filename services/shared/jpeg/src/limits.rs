//! What a file may cost.

/// What a file may cost. All but `scans` are held against the header, before anything is
/// decoded or allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most pixels, width times height. Time grows with them, also where a file has few bytes.
    pub pixels: u64,
    /// The most scans that are read. Encoders write ten or so; each may cost a walk over
    /// all blocks. What comes after them is left out, as if the file was cut off.
    pub scans: u32,
    /// The most memory that a decoder takes, without the samples that its caller keeps.
    pub memory_bytes: u64,
    /// The largest color profile that is kept; a larger one is left out.
    pub icc_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pixels: 100_000_000, scans: 64, memory_bytes: 256 << 20, icc_bytes: 1 << 20 }
    }
}
