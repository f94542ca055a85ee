//! AVIF, by ravif: as quick as it can be, which is slow still.

use ravif::{Encoder, Img, RGB8, RGBA8};

use crate::{
    error::RenderError,
    picture::{Layout, Picture, ycbcr_to_rgb},
};

/// From 1 (small) to 10 (quick).
const SPEED: u8 = 10;

pub(super) fn encode(picture: &Picture, quality: u8) -> Result<Vec<u8>, RenderError> {
    let encoder = Encoder::new()
        .with_quality(f32::from(quality.clamp(1, 100)))
        .with_alpha_quality(f32::from(quality.clamp(1, 100)))
        .with_speed(SPEED)
        .with_bit_depth(ravif::BitDepth::Eight)
        .with_num_threads(Some(1));
    let file = match Colors::of(picture)? {
        Colors::Rgb(pixels) => encoder.encode_rgb(image(&pixels, picture)?),
        Colors::Rgba(pixels) => encoder.encode_rgba(image(&pixels, picture)?),
    };
    file.map(|encoded| encoded.avif_file).map_err(|error| RenderError::broken(format!("ravif: {error}")))
}

enum Colors {
    Rgb(Vec<RGB8>),
    Rgba(Vec<RGBA8>),
}

impl Colors {
    fn of(picture: &Picture) -> Result<Self, RenderError> {
        let samples = &*picture.samples;
        let rgb = |[r, g, b]: [u8; 3]| RGB8 { r, g, b };
        let rgba = |[r, g, b, a]: [u8; 4]| RGBA8 { r, g, b, a };
        Ok(match picture.layout {
            Layout::Gray => Self::Rgb(samples.iter().map(|gray| rgb([*gray; 3])).collect()),
            Layout::Rgb => Self::Rgb(samples.as_chunks().0.iter().copied().map(rgb).collect()),
            Layout::YCbCr => Self::Rgb(samples.as_chunks().0.iter().map(|pixel| rgb(ycbcr_to_rgb(*pixel))).collect()),
            Layout::GrayAlpha => {
                let pixels = samples.as_chunks().0.iter();
                Self::Rgba(pixels.map(|[gray, alpha]| rgba([*gray, *gray, *gray, *alpha])).collect())
            }
            Layout::Rgba => Self::Rgba(samples.as_chunks().0.iter().copied().map(rgba).collect()),
            Layout::Cmyk { .. } | Layout::Ycck => return Err(super::wrong_layout()),
        })
    }
}

fn image<'p, P>(pixels: &'p [P], picture: &Picture) -> Result<Img<&'p [P]>, RenderError> {
    let size = picture.size;
    if size.pixels() == 0 || pixels.len() as u64 != size.pixels() {
        return Err(RenderError::broken("pixels that do not fit their size"));
    }
    Ok(Img::new(pixels, size.width as usize, size.height as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        decode::Format,
        geometry::Size,
        testing::{BLUE, GREEN, RED, Seen, WHITE, alike, assert_quarters, paint, quarters},
    };

    const SIZE: Size = Size { width: 41, height: 30 };
    const QUALITY: u8 = 90;

    fn seen(layout: Layout, samples: Vec<u8>) -> Seen {
        Seen::open(&encode(&Picture { size: SIZE, layout, samples }, QUALITY).unwrap())
    }

    #[test]
    fn colors_are_kept() {
        let seen = seen(Layout::Rgb, quarters(41, 30));

        assert_eq!((seen.format, seen.size), (Format::Avif, SIZE));
        assert_quarters(&seen, [RED, GREEN, BLUE, WHITE]);
    }

    #[test]
    fn gray_and_alpha_are_kept() {
        let veiled = seen(Layout::GrayAlpha, paint(41, 30, |x, _| if x < 20 { [30, 255] } else { [200, 77] }));
        let gray = seen(Layout::Gray, paint(41, 30, |x, _| [if x < 20 { 30 } else { 200 }]));

        assert!(alike(gray.rgb(5, 15), [30; 3]) && alike(gray.rgb(35, 15), [200; 3]));
        assert!(alike(veiled.rgb(5, 15), [30; 3]) && alike(veiled.rgb(35, 15), [200; 3]));
        assert!(veiled.raw(5, 15)[3] > 250 && veiled.raw(35, 15)[3].abs_diff(77) < 5);
    }

    #[test]
    fn pixels_that_do_not_fit_are_refused() {
        let picture = Picture { size: SIZE, layout: Layout::Gray, samples: vec![0; 5] };

        assert!(encode(&picture, QUALITY).is_err());
    }
}
