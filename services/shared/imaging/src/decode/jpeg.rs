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
pub(crate) const MOST_MENDED_PIXELS: u64 = 4_000_000;
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

    let scale = Scale::for_target((header.width, header.height), (need.least.width, need.least.height));
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
