//! What a job will take, by its header alone.

use serde::{Deserialize, Serialize};

use crate::{decode::Header, job::Job};

/// What a job takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Memory that is allocated, in bytes. The file itself is not counted.
    pub memory_bytes: u64,
    /// Pixels that are decoded: of all pictures of an animation, once for each scan of a
    /// progressive JPEG.
    pub pixels: u64,
}

/// Four channels, once as they are decoded and once as they are resized.
const BYTES_PER_PIXEL: u64 = 8;
const FIXED: u64 = 4 << 20;

/// What `job` takes of a file with this header.
pub fn estimate(header: &Header, job: &Job) -> Cost {
    let pixels = header.size.pixels();
    let outputs: u64 = job.wanted.iter().map(|wanted| crate::render::plan_of(header, wanted).size.pixels()).sum();
    let is_animated = job.wanted.iter().any(|wanted| wanted.spec.animated) && header.frames > 1;
    let frames = if is_animated { u64::from(header.frames) } else { 1 };
    Cost { memory_bytes: (pixels + outputs) * BYTES_PER_PIXEL + FIXED, pixels: pixels * frames }
}
