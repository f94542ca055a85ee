//! What the settings mean for those who do the work.

use std::num::NonZeroUsize;

use heliograph_imaging::{Quality, Rules};
use heliograph_jail::Jail;

use super::{JailChoice, ThumbnailsConfig};
use crate::memory;

/// The part of all memory that pictures in work may take.
const MEMORY_PART: u64 = 4;

impl From<JailChoice> for Jail {
    fn from(choice: JailChoice) -> Self {
        match choice {
            JailChoice::Strict => Self::Strict,
            JailChoice::Available => Self::Available,
            JailChoice::Off => Self::Off,
        }
    }
}

impl ThumbnailsConfig {
    /// What may be read.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            most_pixels: self.max_pixels.get().into(),
            most_frames: self.max_frames.get(),
            most_animated_pixels: self.max_animated_pixels.get().into(),
            svg: self.svg,
            // Workers may end.
            avif: true,
        }
    }

    /// How good what comes out is.
    pub(crate) const fn quality(&self) -> Quality {
        Quality { jpeg: self.jpeg_quality, webp: self.webp_quality, avif: self.avif_quality }
    }

    /// What one job may take.
    pub(crate) fn job_memory(&self) -> u64 {
        self.job_memory.as_u64().min(self.memory())
    }

    /// What all jobs may take.
    pub(crate) fn memory(&self) -> u64 {
        let part = || (memory::find().unwrap_or_default() / MEMORY_PART).max(self.job_memory.as_u64());
        self.memory.map_or_else(part, |memory| memory.as_u64())
    }

    /// The number of workers.
    pub(crate) fn workers(&self) -> usize {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.workers.unwrap_or_else(cores).get()
    }
}
