//! JPEG: by our own reader, which only decodes what is needed; what it leaves to others, and what
//! is damaged, by zune-jpeg.

mod profile;
mod windows;
mod zune;

use heliograph_jpeg::{Chroma, Color, Decoder, Error, Header, Limits, Outcome, Scale};

#[cfg(test)]
pub(super) use self::zune::decode as decode_by_zune;
use self::{profile::is_srgb, windows::Windows};
use super::{Decoded, Format, Need, Pixels};
use crate::{error::RenderError, geometry::Size, orientation::Orientation, picture::Layout, source::Source};

/// Encoders write ten at most. Each costs a walk over all pixels, however few bytes it has.
const MOST_SCANS: u32 = 64;
/// The largest color profile that is used.
const MOST_ICC_BYTES: usize = 1 << 20;
/// The largest damaged picture that zune-jpeg decodes: it always decodes all of it. Of a larger
/// one we show what our own reader finds.
const MOST_MENDED_PIXELS: u64 = 4_000_000;
/// Of a hundred parts of a larger one, how many must be there: less is noise behind a header.
const LEAST_PERCENT: u8 = 10;

pub(super) fn is_of(file: &[u8]) -> bool {
    file.starts_with(&[0xff, 0xd8, 0xff])
}

pub(super) fn read_header(file: &[u8]) -> Result<super::Header, RenderError> {
    // Nobody is interested in the size yet: whoever asked refuses what is too large.
    let limits = Limits { pixels: u64::MAX, scans: 0, memory_bytes: 0, icc_bytes: 0 };
    let decoder = Decoder::new(file, limits).map_err(|error| broken(&error))?;
    let header = decoder.header();
    Ok(super::Header {
        orientation: Orientation::from_exif(header.orientation).unwrap_or_default(),
        progressive: header.is_progressive,
        ..super::Header::still(Format::Jpeg, size(header), header.color.components())
    })
}

/// Decodes without converting colors: that is cheaper on the thumbnail.
pub(super) fn decode(file: &dyn Source, found: &super::Header, need: Need) -> Result<Decoded, RenderError> {
    let reader = Decoder::new(Windows::new(file), limits(found.size)).map_err(|error| broken(&error))?;
    let header = reader.header().clone();
    if size(&header) != found.size {
        return Err(RenderError::broken("the header contradicts itself"));
    }
    let icc = header.icc_profile.clone().filter(|profile| !is_srgb(profile));
    let mended =
        || zune::decode(file.bytes(), &header).map(|picture| with_profile(Pixels::Picture(picture), icc.clone()));

    let scale = scale_for(found.size, need.least);
    let chroma = if need.halved_color { Chroma::Halved } else { Chroma::Matched };
    let (planes, Outcome { is_complete, percent }) = match reader.decode_planes(scale, chroma) {
        Err(Error::Unsupported(_)) => return mended(),
        decoded => decoded.map_err(|error| broken(&error))?,
    };
    if !is_complete && found.size.pixels() <= MOST_MENDED_PIXELS {
        // zune-jpeg tells a picture that was cut off from noise behind a good header.
        return mended();
    }
    if percent < LEAST_PERCENT {
        return Err(RenderError::broken("next to nothing of the picture is there"));
    }
    Ok(with_profile(Pixels::Planes { layout: layout(header.color), planes: planes.planes }, icc))
}

/// How large it comes out.
pub(super) fn decoded_size(header: &super::Header, least: Size) -> Size {
    let scale = u64::from(scale_for(header.size, least).eighths());
    let scaled = |side: u32| u32::try_from((u64::from(side) * scale).div_ceil(SIDE)).unwrap_or(side);
    Size { width: scaled(header.size.width), height: scaled(header.size.height) }
}

fn scale_for(full: Size, least: Size) -> Scale {
    Scale::for_target((full.width, full.height), (least.width, least.height))
}

/// Of a block.
const SIDE: u64 = 8;

/// What decoding takes: planes at the scale that is needed; of a progressive one, coefficients too. A damaged
/// one that is small is decoded whole.
pub(super) fn memory_bytes(header: &super::Header, least: Size) -> u64 {
    let (pixels, channels) = (header.size.pixels(), u64::from(header.channels));
    let rows = u64::from(header.size.width) * 2 * SIDE * channels * size_of::<i16>() as u64;
    let mended = pixels.min(MOST_MENDED_PIXELS) * channels * if header.progressive { 3 } else { 1 };
    rows + mended.max(planes_bytes(header, scale_for(header.size, least)))
}

/// Samples of all planes, as if color was not subsampled; and of a progressive file what is kept of each block
/// until its last scan.
fn planes_bytes(header: &super::Header, scale: Scale) -> u64 {
    /// Which coefficients are not zero, if any are refined.
    const MASK_BYTES: u64 = 8;
    /// The largest unit that blocks come in has so many pixels on a side.
    const UNIT: u64 = 32;
    let samples = u64::from(scale.eighths()).pow(2);
    let coefficients = if header.progressive { samples * size_of::<i16>() as u64 + MASK_BYTES } else { 0 };
    let blocks_along = |side: u32| u64::from(side).next_multiple_of(UNIT) / SIDE;
    let blocks = blocks_along(header.size.width) * blocks_along(header.size.height) * u64::from(header.channels);
    blocks * (samples + coefficients)
}

fn with_profile(pixels: Pixels, icc: Option<Vec<u8>>) -> Decoded {
    Decoded { pixels, icc }
}

fn broken(error: &Error) -> RenderError {
    RenderError::broken(error.to_string())
}

const fn size(header: &Header) -> Size {
    Size { width: header.width, height: header.height }
}

/// What the header has was held against the limits: as much as a picture of that size may
/// need.
fn limits(size: Size) -> Limits {
    /// For the coefficients of four components.
    const BYTES_PER_PIXEL: u64 = 9;
    const FIXED: u64 = 16 << 20;
    let pixels = size.pixels();
    let memory_bytes = pixels * BYTES_PER_PIXEL + FIXED;
    Limits { pixels, scans: MOST_SCANS, memory_bytes, icc_bytes: MOST_ICC_BYTES }
}

const fn layout(color: Color) -> Layout {
    match color {
        Color::Gray => Layout::Gray,
        Color::YCbCr => Layout::YCbCr,
        Color::Rgb => Layout::Rgb,
        Color::Cmyk { inverted } => Layout::Cmyk { inverted },
        Color::Ycck => Layout::Ycck,
    }
}
