//! What a job will take, by its header alone.

use heliograph_jpeg::Scale;
use serde::{Deserialize, Serialize};

use crate::{
    decode::{Format, Header, jpeg::MOST_MENDED_PIXELS},
    geometry::Size,
    job::{Job, plans_of_stills},
    render::{least_decoded, plan_of},
};

/// What a job takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Memory that is allocated, in bytes. The file itself is not counted.
    pub memory_bytes: u64,
    /// Pixels that are decoded: of all pictures of an animation; of a progressive JPEG several times, as it comes
    /// in several passes.
    pub pixels: u64,
}

/// Four channels, once as they are decoded and once as they are resized.
const BYTES_PER_PIXEL: u64 = 8;
const FIXED: u64 = 4 << 20;
/// Encoders write ten scans; few of them are over all coefficients.
const PROGRESSIVE_PASSES: u64 = 4;
/// Of a JPEG.
const BLOCK_SIDE: u64 = 8;

/// What `job` takes of a file with this header.
pub fn estimate(header: &Header, job: &Job) -> Cost {
    let pixels = header.size.pixels();
    let outputs: u64 = job.wanted.iter().map(|wanted| plan_of(header, wanted).size.pixels()).sum();
    let is_animated = job.wanted.iter().any(|wanted| wanted.spec.animated) && header.frames > 1;
    let frames = if is_animated { u64::from(header.frames) } else { 1 };
    let passes = if header.progressive { PROGRESSIVE_PASSES } else { 1 };
    let decoded = if header.format == Format::Jpeg { jpeg_bytes(header, job) } else { pixels * BYTES_PER_PIXEL };
    Cost { memory_bytes: decoded + outputs * BYTES_PER_PIXEL + FIXED, pixels: pixels * frames * passes }
}

/// What decoding a JPEG takes: planes at the scale that is needed; of a progressive one, coefficients too. A damaged
/// one that is small is decoded whole.
fn jpeg_bytes(header: &Header, job: &Job) -> u64 {
    let Size { width, height } = header.size;
    let least = least_decoded(header, &plans_of_stills(header, job));
    let scale = Scale::for_target((width, height), (least.width, least.height));
    let (pixels, channels) = (header.size.pixels(), u64::from(header.channels));
    let rows = u64::from(width) * 2 * BLOCK_SIDE * channels * size_of::<i16>() as u64;
    let mended = pixels.min(MOST_MENDED_PIXELS) * channels * if header.progressive { 3 } else { 1 };
    rows + mended.max(planes_bytes(header, scale))
}

/// Samples of all planes, as if color was not subsampled; and of a progressive file what is kept of each block
/// until its last scan.
fn planes_bytes(header: &Header, scale: Scale) -> u64 {
    /// Which coefficients are not zero, if any are refined.
    const MASK_BYTES: u64 = 8;
    let samples = u64::from(scale.eighths()).pow(2);
    let coefficients = if header.progressive { samples * size_of::<i16>() as u64 + MASK_BYTES } else { 0 };
    let blocks = header.size.pixels().div_ceil(BLOCK_SIDE * BLOCK_SIDE) * u64::from(header.channels);
    blocks * (samples + coefficients)
}

#[cfg(test)]
mod tests {
    use heliograph_types::{
        ThumbnailFormat,
        ThumbnailMethod::{Crop, Scale as Fit},
        ThumbnailSpec,
    };

    use super::*;
    use crate::{
        job::Wanted,
        rules::{Quality, Rules},
    };

    fn job(width: u32, height: u32) -> Job {
        let method = if width < 100 { Crop } else { Fit };
        let spec = ThumbnailSpec { width, height, method, animated: false };
        let wanted = vec![Wanted { spec, format: ThumbnailFormat::Usual }];
        Job { wanted, describe: true, rules: Rules::default(), quality: Quality::default() }
    }

    fn jpeg(width: u32, height: u32, progressive: bool) -> Header {
        Header { progressive, ..Header::still(Format::Jpeg, Size { width, height }, 3) }
    }

    #[test]
    fn a_jpeg_costs_little_memory_however_large_it_is() {
        for progressive in [false, true] {
            for (width, height) in [(32, 32), (96, 96), (320, 240), (640, 480), (800, 600)] {
                let cost = estimate(&jpeg(8064, 6048, progressive), &job(width, height));

                assert!(cost.memory_bytes < 64 << 20, "{width}, {progressive}: {cost:?}");
            }
        }
    }

    #[test]
    fn what_takes_more_costs_more() {
        let memory = |header: &Header, width| estimate(header, &job(width, width)).memory_bytes;
        let large = jpeg(8000, 6000, false);

        assert!(memory(&large, 5000) > memory(&large, 800));
        assert!(memory(&jpeg(8000, 6000, true), 5000) > memory(&large, 5000));
        assert!(estimate(&jpeg(8000, 6000, true), &job(96, 96)).pixels > estimate(&large, &job(96, 96)).pixels);
        assert!(memory(&Header { format: Format::Png, ..large }, 800) > memory(&large, 800));
    }
}
