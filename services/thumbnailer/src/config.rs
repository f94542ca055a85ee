//! Settings of the thumbnailer.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use bytesize::ByteSize;
use heliograph_imaging::{Quality, Rules};

/// Without a setting: as the protocol reference advises.
const MOST_PIXELS: NonZeroU32 = NonZeroU32::new(32_000_000).unwrap();
const QUEUE_LIMIT: NonZeroUsize = NonZeroUsize::new(128).unwrap();

heliograph_settings::settings! {
    /// Thumbnails: how they are made, and how much that may cost.
    pub struct ThumbnailsConfig {
        /// Pictures that are worked on at once, each by a thread of its own; at most 1024.
        /// Without it, one per processor core. Each may need `max_source_size` for the file and up to twelve
        /// bytes per pixel of `max_pixels`; an ordinary photo of 12 megapixels needs 10 MiB.
        pub workers: Option<NonZeroUsize> = None,
        /// Thumbnails that may be waiting or in the making; more are refused with
        /// `M_LIMIT_EXCEEDED`. One that waits holds no picture in memory; if it is to be made of a
        /// thumbnail of another server, that one, with at most 4 MiB.
        pub queue_limit: NonZeroUsize = QUEUE_LIMIT,
        /// How long a request waits for its thumbnail; then it is refused with
        /// `M_LIMIT_EXCEEDED`.
        pub timeout: Duration = Duration::from_secs(30),
        /// The largest file that is opened; for a larger one the answer is `M_TOO_LARGE`.
        pub max_source_size: ByteSize = ByteSize::mib(64),
        /// The most pixels (width times height) that a picture may have; for one with more the
        /// answer is `M_TOO_LARGE`.
        pub max_pixels: NonZeroU32 = MOST_PIXELS,
        /// Quality of JPEG thumbnails, from 1 (small) to 100 (good).
        pub jpeg_quality: u8 = 80,
    }
}

impl ThumbnailsConfig {
    /// What may be read.
    pub(crate) fn rules(&self) -> Rules {
        Rules { most_pixels: self.max_pixels.get().into(), ..Rules::default() }
    }

    /// How good what comes out is.
    pub(crate) fn quality(&self) -> Quality {
        Quality { jpeg: self.jpeg_quality, ..Quality::default() }
    }

    /// The number of threads.
    pub(crate) fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.workers.unwrap_or_else(cores).get()
    }
}
