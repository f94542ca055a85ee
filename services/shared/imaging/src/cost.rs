//! What a job will take, by its header alone.

use serde::{Deserialize, Serialize};

use crate::{
    decode::Header,
    geometry::{Plan, Size},
    job::{Job, moves, plans_of_stills},
    render::{least_decoded, plan_of, stored},
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

/// Four channels of what comes out, before and after it is turned.
const RESIZED_PIXEL_BYTES: u64 = 8;
const BETWEEN_PIXEL_BYTES: u64 = 4;
const FIXED: u64 = 4 << 20;
/// Encoders write ten scans; few of them are over all coefficients.
const PROGRESSIVE_PASSES: u64 = 4;

/// What `job` takes of a file with this header.
pub fn estimate(header: &Header, job: &Job) -> Cost {
    let plans: Vec<Plan> = job.wanted.iter().map(|wanted| plan_of(header, wanted)).collect();
    let outputs: u64 = plans.iter().map(|plan| plan.size.pixels()).sum();
    let is_animated = job.wanted.iter().any(|wanted| moves(header, wanted));
    let frames = if is_animated { u64::from(header.frames) } else { 1 };
    let passes = if header.progressive { PROGRESSIVE_PASSES } else { 1 };
    let still = match &*plans_of_stills(header, job) {
        [] => 0,
        plans => still_bytes(header, plans),
    };
    let moving = if is_animated {
        header.memory_bytes(header.size, true).saturating_add(between_bytes(header, &plans, header.size))
    } else {
        0
    };
    let memory_bytes = still.saturating_add(moving).saturating_add(outputs * RESIZED_PIXEL_BYTES + FIXED);
    Cost { memory_bytes, pixels: header.size.pixels() * frames * passes }
}

/// What the one picture takes that all of `plans` are made of.
fn still_bytes(header: &Header, plans: &[Plan]) -> u64 {
    let least = least_decoded(header, plans);
    header.memory_bytes(least, false).saturating_add(between_bytes(header, plans, header.decoded_size(least)))
}

/// Resizing goes across first: as wide as what comes out, as high as what was decoded.
fn between_bytes(header: &Header, plans: &[Plan], decoded: Size) -> u64 {
    let widths = plans.iter().map(|plan| u64::from(stored(header, *plan).size.width));
    widths.max().unwrap_or_default() * u64::from(decoded.height) * BETWEEN_PIXEL_BYTES
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
        decode::Format,
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
        assert!(memory(&Header { format: Format::Tiff, ..large }, 800) > memory(&large, 800));
    }

    fn header(format: Format) -> Header {
        Header::still(format, Size { width: 8000, height: 4000 }, 4)
    }

    fn megabytes(header: &Header, width: u32, animated: bool) -> u64 {
        let spec = ThumbnailSpec { width, height: width, method: Fit, animated };
        let wanted = vec![Wanted { spec, format: ThumbnailFormat::Usual }];
        let job = Job { wanted, describe: false, rules: Rules::default(), quality: Quality::default() };
        estimate(header, &job).memory_bytes / 1_000_000
    }

    #[test]
    fn a_png_whose_rows_come_in_order_costs_little() {
        let png = header(Format::Png);

        assert!(megabytes(&png, 320, false) < 20, "{}", megabytes(&png, 320, false));
        assert!(megabytes(&Header { progressive: true, ..png }, 320, false) > 128);
        assert!(megabytes(&png, 8000, false) > 128, "nothing is made smaller");
    }

    #[test]
    fn an_animation_costs_more_memory_and_all_its_pictures() {
        for format in [Format::Png, Format::Gif] {
            let animation = Header { frames: 9, duration_ms: 900, ..header(format) };

            let (still, moving) = (megabytes(&animation, 320, false), megabytes(&animation, 320, true));

            assert!(still + 200 < moving, "{still} and {moving}");
        }
    }

    #[test]
    fn samples_of_16_bits_cost_more() {
        let tiff = header(Format::Tiff);

        assert!(megabytes(&tiff, 320, false) + 200 < megabytes(&Header { bits: 16, ..tiff }, 320, false));
    }
}
