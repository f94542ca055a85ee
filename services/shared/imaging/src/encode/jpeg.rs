//! JPEG, from planes: those of a decoder, or those that pixels are taken apart into.

use heliograph_jpeg::{EncodeError, Encoder, Samples};

use super::wrong_layout;
use crate::{
    error::RenderError,
    geometry::Size,
    picture::{Layout, Picture},
};

/// From this quality on color is stored as finely as brightness; below, at half of that in each direction,
/// which the eye does not miss.
const WHOLE_COLOR: u8 = 90;

/// Planes as JPEG stores them.
#[derive(Debug)]
pub(crate) struct Planes {
    /// Of the picture.
    pub(crate) size: Size,
    /// Brightness, or that and two of color, which may be half as large.
    pub(crate) planes: Vec<Vec<u8>>,
}

/// Whether color is stored at half the size of brightness.
pub(crate) const fn has_halved_color(quality: u8) -> bool {
    quality < WHOLE_COLOR
}

/// Encodes planes, with color as `quality` asks for it.
pub(crate) fn encode_planes(picture: &Planes, quality: u8) -> Result<Vec<u8>, RenderError> {
    let Size { width, height } = picture.size;
    let samples = match &*picture.planes {
        [luma] => Samples::Gray(luma),
        [luma, blue, red] if has_halved_color(quality) => Samples::Halved([luma, blue, red]),
        [luma, blue, red] => Samples::Whole([luma, blue, red]),
        _ => return Err(wrong_layout()),
    };
    Encoder::new(quality)
        .encode(width, height, samples)
        .map_err(|error: EncodeError| RenderError::broken(error.to_string()))
}

/// Encodes pixels.
pub(crate) fn encode(picture: &Picture, quality: u8) -> Result<Vec<u8>, RenderError> {
    let planes = match picture.layout {
        Layout::Gray => vec![picture.samples.clone()],
        Layout::Rgb => take_apart(picture, quality, ycbcr),
        Layout::YCbCr => take_apart(picture, quality, |pixel| pixel.map(|sample| i32::from(sample) << FRACTION)),
        Layout::GrayAlpha | Layout::Rgba | Layout::Cmyk { .. } | Layout::Ycck => return Err(wrong_layout()),
    };
    encode_planes(&Planes { size: picture.size, planes }, quality)
}

/// Bits behind the point.
const FRACTION: u32 = 16;

/// JFIF's conversion, in fixed point: half of a step is added where it is rounded.
const fn ycbcr([red, green, blue]: [u8; 3]) -> [i32; 3] {
    const MIDDLE: i32 = 128 << FRACTION;
    let (red, green, blue) = (red as i32, green as i32, blue as i32);
    [
        19_595 * red + 38_470 * green + 7471 * blue,
        MIDDLE - 11_059 * red - 21_709 * green + 32_768 * blue,
        MIDDLE + 32_768 * red - 27_439 * green - 5329 * blue,
    ]
}

/// Planes of pixels, `convert`ed; a sample of halved color is the mean of four pixels.
fn take_apart(picture: &Picture, quality: u8, convert: impl Fn([u8; 3]) -> [i32; 3]) -> Vec<Vec<u8>> {
    let pixels = picture.samples.as_chunks().0;
    let luma = pixels.iter().map(|pixel| rounded(convert(*pixel)[0], 0)).collect();
    let (blue, red) = if has_halved_color(quality) {
        halved_color(pixels, picture.size, convert)
    } else {
        pixels.iter().map(|pixel| convert(*pixel)).map(|[_, blue, red]| (rounded(blue, 0), rounded(red, 0))).unzip()
    };
    vec![luma, blue, red]
}

fn halved_color(pixels: &[[u8; 3]], size: Size, convert: impl Fn([u8; 3]) -> [i32; 3]) -> (Vec<u8>, Vec<u8>) {
    let convert = &convert;
    let rows = pixels.chunks(2 * size.width as usize);
    rows.flat_map(|rows| {
        let (upper, lower) = rows.split_at(size.width as usize);
        // The last row and column stand for those that are missing.
        let lower = if lower.is_empty() { upper } else { lower };
        upper.chunks(2).zip(lower.chunks(2)).map(move |(upper, lower)| {
            let corners = [upper.first(), upper.last(), lower.first(), lower.last()];
            let sums = corners
                .into_iter()
                .flatten()
                .map(|pixel| convert(*pixel))
                .fold((0, 0), |(blue, red), pixel| (blue + pixel[1], red + pixel[2]));
            (rounded(sums.0, 2), rounded(sums.1, 2))
        })
    })
    .unzip()
}

/// The nearest whole sample of the sum of 2^`more` samples.
fn rounded(sum: i32, more: u32) -> u8 {
    let bits = FRACTION + more;
    u8::try_from(((sum + (1 << (bits - 1))) >> bits).clamp(0, 255)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_those_of_the_formula() {
        for red in (0..=255).step_by(17) {
            for (green, blue) in
                (0..=255).step_by(15).flat_map(|green| (0..=255).step_by(5).map(move |blue| (green, blue)))
            {
                let (r, g, b) = (f64::from(red), f64::from(green), f64::from(blue));
                let luma = 0.299 * r + 0.587 * g + 0.114 * b;
                let exact = [luma, (b - luma) / 1.772 + 128.0, (r - luma) / 1.402 + 128.0];
                for (sample, exact) in ycbcr([red, green, blue]).into_iter().zip(exact) {
                    assert!((f64::from(rounded(sample, 0)) - exact).abs() < 0.51, "{red} {green} {blue}");
                }
            }
        }
    }

    #[test]
    fn halved_color_is_the_mean_of_four_pixels_and_of_fewer_at_the_edge() {
        let gray = [100, 100, 100];
        let (blue, green) = ([0, 0, 255], [0, 255, 0]);
        let samples = [blue, gray, green, gray, gray, green, gray, blue, green].concat();
        let picture = Picture { size: Size { width: 3, height: 3 }, layout: Layout::Rgb, samples };

        let planes = take_apart(&picture, 80, ycbcr);

        let mean = |colors: &[[u8; 3]]| {
            let sum: i32 = colors.iter().map(|color| ycbcr(*color)[1]).sum();
            u8::try_from((sum / i32::try_from(colors.len()).unwrap() + (1 << 15)) >> 16).unwrap()
        };
        assert_eq!(planes[1], [mean(&[blue, gray, gray, gray]), mean(&[green]), mean(&[gray, blue]), mean(&[green])]);
        assert_eq!((planes[0].len(), planes[2].len()), (9, 4));
        assert!(take_apart(&picture, 90, ycbcr).iter().all(|plane| plane.len() == 9));
    }
}
