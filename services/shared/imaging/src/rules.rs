//! What is read, how much that may cost, and how good what comes out is.

use serde::{Deserialize, Serialize};

/// What is read, and how large it may be. Held against the header, before anything is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Width times height.
    pub most_pixels: u64,
    /// Pictures that an animation may have; of one with more, the first is shown.
    pub most_frames: u32,
    /// Width times height times pictures of an animation; of one with more, the first is shown.
    pub most_animated_pixels: u64,
    /// Whether SVG is read.
    pub svg: bool,
    /// Whether AVIF is read. Its decoder (rav1d 1.1) ends the whole process on some damaged
    /// files, which nothing can catch: only for a process that may end.
    pub avif: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { most_pixels: 32_000_000, most_frames: 500, most_animated_pixels: 100_000_000, svg: false, avif: false }
    }
}

/// How good what comes out is: from 1 (small) to 100 (good).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// Of JPEG.
    pub jpeg: u8,
    /// Of WebP.
    pub webp: u8,
    /// Of AVIF.
    pub avif: u8,
}

impl Default for Quality {
    fn default() -> Self {
        Self { jpeg: 80, webp: 80, avif: 60 }
    }
}
