//! YCbCr as other formats code it, made that of JPEG: BT.601, full range.
//!
//! All of them keep gray where Cb and Cr are in the middle, so that the one becomes the other
//! plane by plane, in place, before anything is resized: color may be stored smaller than
//! brightness. Integer arithmetic on 16 bits, which compilers turn into SIMD.

#![expect(clippy::similar_names, reason = "Cb and Cr are called so")]

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use heliograph_jpeg::Plane;

use crate::{
    error::RenderError,
    geometry::Size,
    picture::{Layout, Picture, ycbcr_to_rgb},
    resize::{resample, unexpected},
};

/// How much red and blue weigh in brightness (Kr and Kb of ITU-T H.273).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Matrix {
    red: f64,
    blue: f64,
}

impl Matrix {
    pub(super) const BT601: Self = Self { red: 0.299, blue: 0.114 };
    const BT709: Self = Self { red: 0.2126, blue: 0.0722 };
    const FCC: Self = Self { red: 0.30, blue: 0.11 };
    const SMPTE240: Self = Self { red: 0.212, blue: 0.087 };
    const BT2020: Self = Self { red: 0.2627, blue: 0.0593 };

    /// By its code point in H.273. What says nothing is BT.601, as everywhere.
    pub(super) const fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            1 => Self::BT709,
            2 | 5 | 6 => Self::BT601,
            4 => Self::FCC,
            7 => Self::SMPTE240,
            9 => Self::BT2020,
            _ => return None,
        })
    }

    const fn green(self) -> f64 {
        1.0 - self.red - self.blue
    }

    /// What Cb and Cr add to red, green and blue.
    const fn colors(self) -> [(f64, f64); 3] {
        let (from_cb, from_cr) = (2.0 * (1.0 - self.blue), 2.0 * (1.0 - self.red));
        let green = (-from_cb * self.blue / self.green(), -from_cr * self.red / self.green());
        [(0.0, from_cr), green, (from_cb, 0.0)]
    }

    /// What Cb and Cr of this matrix add to Y, Cb and Cr of JPEG.
    const fn to_jfif(self) -> [(f64, f64); 3] {
        let [red, green, blue] = self.colors();
        let jfif = Self::BT601;
        let luma = (
            jfif.red * red.0 + jfif.green() * green.0 + jfif.blue * blue.0,
            jfif.red * red.1 + jfif.green() * green.1 + jfif.blue * blue.1,
        );
        let (for_cb, for_cr) = (2.0 * (1.0 - jfif.blue), 2.0 * (1.0 - jfif.red));
        let cb = ((blue.0 - luma.0) / for_cb, (blue.1 - luma.1) / for_cb);
        let cr = ((red.0 - luma.0) / for_cr, (red.1 - luma.1) / for_cr);
        [luma, cb, cr]
    }
}

/// The values that samples take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// 0 to 255.
    Full,
    /// 16 to 235, color to 240: that of video.
    Limited,
}

impl Range {
    const fn black(self) -> i16 {
        match self {
            Self::Full => 0,
            Self::Limited => 16,
        }
    }

    const fn luma_gain(self) -> f64 {
        match self {
            Self::Full => 1.0,
            Self::Limited => 255.0 / 219.0,
        }
    }

    const fn chroma_gain(self) -> f64 {
        match self {
            Self::Full => 1.0,
            Self::Limited => 255.0 / 224.0,
        }
    }
}

const MIDDLE: i16 = 128;

/// Brightness, or a color channel or alpha of its own, becomes full range.
pub(super) fn widen(samples: &mut [u8], range: Range) {
    if range == Range::Full {
        return;
    }
    let gain = Factor::new(range.luma_gain());
    for sample in samples {
        *sample = to_sample(gain.of(i16::from(*sample) - range.black()));
    }
}

/// Makes planes of Y, Cb and Cr those of JPEG.
pub(super) fn make_jfif([luma, cb, cr]: [&mut Plane; 3], matrix: Matrix, range: Range) {
    if matrix == Matrix::BT601 {
        widen(&mut luma.samples, range);
        widen_chroma(&mut cb.samples, range);
        widen_chroma(&mut cr.samples, range);
        return;
    }
    let factors = matrix.to_jfif().map(|(from_cb, from_cr)| {
        (Factor::new(from_cb * range.chroma_gain()), Factor::new(from_cr * range.chroma_gain()))
    });
    shift_luma(luma, [cb, cr], range, factors[0]);
    let [_, for_cb, for_cr] = factors;
    for (cb, cr) in cb.samples.iter_mut().zip(&mut cr.samples) {
        let (old_cb, old_cr) = (i16::from(*cb) - MIDDLE, i16::from(*cr) - MIDDLE);
        *cb = to_sample(for_cb.0.of(old_cb) + for_cb.1.of(old_cr) + MIDDLE * Factor::ONE);
        *cr = to_sample(for_cr.0.of(old_cb) + for_cr.1.of(old_cr) + MIDDLE * Factor::ONE);
    }
}

fn widen_chroma(samples: &mut [u8], range: Range) {
    if range == Range::Full {
        return;
    }
    let gain = Factor::new(range.chroma_gain());
    for sample in samples {
        *sample = to_sample(gain.of(i16::from(*sample) - MIDDLE) + MIDDLE * Factor::ONE);
    }
}

/// The colors add to the brightness. They are small in that, so that the nearest sample will do.
fn shift_luma(luma: &mut Plane, colors: [&Plane; 2], range: Range, (from_cb, from_cr): (Factor, Factor)) {
    let gain = Factor::new(range.luma_gain());
    let halved = |full: u32, part: u32| u32::from(part < full);
    let (across, down) = (halved(luma.width, colors[0].width), halved(luma.height, colors[0].height));
    let width = luma.width as usize;
    let mut shift = vec![0_i16; width];
    for (y, row) in luma.samples.chunks_exact_mut(width.max(1)).enumerate() {
        let colors = colors.map(|plane| row_of(plane, y >> down));
        let shift_of = |cb: u8, cr: u8| from_cb.of(i16::from(cb) - MIDDLE) + from_cr.of(i16::from(cr) - MIDDLE);
        for (shifts, (cb, cr)) in shift.chunks_mut(1 << across).zip(colors[0].iter().zip(colors[1])) {
            shifts.fill(shift_of(*cb, *cr));
        }
        for (sample, shift) in row.iter_mut().zip(&shift) {
            *sample = to_sample(gain.of(i16::from(*sample) - range.black()) + shift);
        }
    }
}

/// A row of a plane, the last one if there are not so many.
fn row_of(plane: &Plane, y: usize) -> &[u8] {
    let width = plane.width as usize;
    let last = (plane.height as usize).saturating_sub(1);
    plane.samples.get(y.min(last) * width..).and_then(|rows| rows.get(..width)).unwrap_or_default()
}

/// What a sample is multiplied by; below 4.
#[derive(Debug, Clone, Copy)]
struct Factor(i16);

impl Factor {
    /// Products are in sixteenths.
    const ONE: i16 = 16;
    /// So that a product has sixteenths in its upper half.
    const SAMPLE_BITS: u32 = 7;
    const FACTOR_BITS: u32 = 13;

    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    fn new(factor: f64) -> Self {
        Self((factor * f64::from(1 << Self::FACTOR_BITS)).round() as i16)
    }

    /// The upper half of the product, in which it fits.
    fn of(self, sample: i16) -> i16 {
        ((i32::from(sample << Self::SAMPLE_BITS) * i32::from(self.0)) >> 16) as i16
    }
}

/// From sixteenths, rounded.
#[expect(clippy::cast_sign_loss, reason = "clamped")]
fn to_sample(sixteenths: i16) -> u8 {
    ((sixteenths + Factor::ONE / 2) >> 4).clamp(0, 255) as u8
}

/// One picture of planes of JPEG's YCbCr (or only Y) and of an alpha that is as large as Y.
pub(super) fn with_alpha(planes: &[Plane], alpha: &[u8], size: Size) -> Result<Picture, RenderError> {
    let [luma, colors @ ..] = planes else { return Err(RenderError::broken("no planes")) };
    let [cb, cr] = colors else {
        let samples = luma.samples.iter().zip(alpha).flat_map(|(gray, alpha)| [*gray, *alpha]).collect();
        return Ok(Picture { size, layout: Layout::GrayAlpha, samples });
    };
    let (cb, cr) = (enlarged(cb, size)?, enlarged(cr, size)?);
    let colors = luma.samples.iter().zip(cb.iter().zip(&cr));
    let pixels = colors.zip(alpha).flat_map(|((luma, (cb, cr)), alpha)| {
        let [red, green, blue] = ycbcr_to_rgb([*luma, *cb, *cr]);
        [red, green, blue, *alpha]
    });
    let mut samples = Vec::with_capacity(alpha.len() * 4);
    samples.extend(pixels);
    Ok(Picture { size, layout: Layout::Rgba, samples })
}

/// A plane of color, as large as the picture.
fn enlarged(plane: &Plane, size: Size) -> Result<Vec<u8>, RenderError> {
    if (plane.width, plane.height) == (size.width, size.height) {
        return Ok(plane.samples.clone());
    }
    let source = ImageRef::new(plane.width, plane.height, &plane.samples, PixelType::U8).map_err(unexpected)?;
    let mut target = Image::new(size.width, size.height, PixelType::U8);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).crop(
        0.0,
        0.0,
        plane.covered.0,
        plane.covered.1,
    );
    resample(&mut Resizer::new(), &source, &mut target, &options)?;
    Ok(target.into_vec())
}

#[cfg(test)]
mod tests;
