//! What a job may take, by what it is estimated to cost.

use std::time::Duration;

use heliograph_imaging::{Cost, RenderError};
use heliograph_jail::Budget;

use crate::config::ThumbnailsConfig;

/// Before a pixel is decoded, and to encode what comes out.
const BASE: Duration = Duration::from_secs(4);
/// About ten times what the slowest decoder takes.
const PER_MEGAPIXEL: Duration = Duration::from_millis(500);
const MEGAPIXEL: u64 = 1_000_000;
/// Of the clock on the wall, for a machine that is busy with other things.
const PATIENCE: u32 = 4;
/// What allocators take beyond what is asked of them, and what a worker keeps for the next job.
const SLACK_BYTES: u64 = 64 << 20;
/// To look at a header, which is read where it lies.
pub(crate) const LOOK: Cost = Cost { memory_bytes: 8 << 20, pixels: 0 };

/// The budget for a job, which a worker does not leave alive.
pub(crate) fn budget(cost: Cost, config: &ThumbnailsConfig) -> Budget {
    let megapixels = u32::try_from(cost.pixels.div_ceil(MEGAPIXEL)).unwrap_or(u32::MAX);
    let processor = BASE.saturating_add(PER_MEGAPIXEL.saturating_mul(megapixels)).min(config.job_timeout);
    Budget { processor, wall: processor * PATIENCE, memory_bytes: cost.memory_bytes.saturating_add(SLACK_BYTES) }
}

/// Refuses what no job may take.
pub(crate) fn check(cost: Cost, config: &ThumbnailsConfig) -> Result<(), RenderError> {
    let (bytes, most) = (cost.memory_bytes, config.job_memory());
    if bytes > most { Err(RenderError::TooMuchMemory { bytes, most }) } else { Ok(()) }
}

/// The address space that a worker may ever have beyond its own: the largest job, and its file.
pub(crate) fn address_space(config: &ThumbnailsConfig) -> u64 {
    config.job_memory().saturating_add(config.max_source_size.as_u64()).saturating_add(2 * SLACK_BYTES)
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;

    use super::*;

    #[test]
    fn time_grows_with_the_pixels_up_to_the_setting() {
        let config = ThumbnailsConfig::default();
        let processor = |pixels| budget(Cost { memory_bytes: 0, pixels }, &config).processor;

        assert_eq!(processor(0), BASE);
        assert_eq!(processor(12_000_000), Duration::from_secs(10));
        assert_eq!(processor(u64::MAX), config.job_timeout);
    }

    #[test]
    fn what_takes_more_memory_than_a_job_may_is_refused() {
        let config = ThumbnailsConfig { job_memory: ByteSize::mib(64), ..ThumbnailsConfig::default() };
        let check = |memory_bytes| check(Cost { memory_bytes, pixels: 1 }, &config);

        assert_eq!(check(64 << 20), Ok(()));
        let (bytes, most) = ((64 << 20) + 1, 64 << 20);
        assert_eq!(check(bytes), Err(RenderError::TooMuchMemory { bytes, most }));
        assert!(address_space(&config) > most + config.max_source_size.as_u64());
    }
}
