//! JPEG: by our own reader, which only decodes what is needed; what it leaves to others, and what
//! is damaged, by zune-jpeg.

mod header;

use std::borrow::Cow;

use heliograph_jpeg::{Chroma, Decoder, Error, Limits, Scale};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use self::header::Colors;
pub(super) use self::header::Header;
use super::{Decoded, Format, Pixels};
use crate::{
    error::RenderError,
    geometry::Size,
    picture::{Layout, Picture},
    source::Source,
};

pub(super) fn is_of(file: &[u8]) -> bool {
    file.starts_with(&[0xff, 0xd8, 0xff])
}

pub(super) fn read_header(file: &[u8]) -> Result<super::Header, RenderError> {
    let header = Header::read(file)?;
    let channels = u8::try_from(header.colors.layout().channels()).unwrap_or(u8::MAX);
    Ok(super::Header {
        orientation: header.orientation,
        progressive: header.is_progressive,
        ..super::Header::still(Format::Jpeg, header.size, channels)
    })
}

/// Decodes without converting colors: that is cheaper on the thumbnail.
pub(super) fn decode(file: &dyn Source, least: Size) -> Result<Decoded, RenderError> {
    let file = file.bytes();
    let header = &Header::read(file)?;
    let decoder = match Decoder::new(file, limits(header)) {
        Err(Error::Unsupported(_)) => return decode_by_zune(file, header).map(Decoded::from),
        decoder => decoder.map_err(|error| RenderError::broken(error.to_string()))?,
    };
    let (width, height) = (decoder.header().width, decoder.header().height);
    // Else the limits were checked on another picture.
    if (Size { width, height }) != header.size {
        return Err(RenderError::broken("the header contradicts itself"));
    }
    let scale = Scale::for_target((width, height), (least.width, least.height));
    let (planes, outcome) =
        decoder.decode_planes(scale, Chroma::Matched).map_err(|error| RenderError::broken(error.to_string()))?;
    if !outcome.is_complete {
        // zune-jpeg tells a picture that was cut off from noise behind a good header.
        return decode_by_zune(file, header).map(Decoded::from);
    }
    let pixels = Pixels::Planes { layout: header.colors.layout(), planes: planes.planes };
    Ok(Decoded { pixels, icc: None })
}

/// What the header has was held against the limits: as much as a picture of that size may
/// need.
fn limits(header: &Header) -> Limits {
    /// For the coefficients of four components.
    const BYTES_PER_PIXEL: u64 = 9;
    const FIXED: u64 = 16 << 20;
    let pixels = header.size.pixels();
    Limits {
        pixels,
        scans: u32::try_from(header::MOST_SCANS).unwrap_or(u32::MAX),
        memory_bytes: pixels * BYTES_PER_PIXEL + FIXED,
        icc_bytes: 0,
    }
}

pub(super) fn decode_by_zune(file: &[u8], header: &Header) -> Result<Picture, RenderError> {
    header.check_scans_for_zune(file)?;
    let (width, height) = (header.size.width as usize, header.size.height as usize);
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(width)
        .set_max_height(height)
        .jpeg_set_max_scans(header::MOST_SCANS);
    let file = as_zune_reads(file, header);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&*file), options);
    decoder.decode_headers().map_err(|error| RenderError::broken(error.to_string()))?;

    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
    let layout = header.colors.layout();
    // Our reader and zune's must have found the same header, else the limits were checked
    // on another picture.
    if decoder.dimensions() != Some((width, height)) || stored.num_components() != layout.channels() {
        return Err(RenderError::broken("the header contradicts itself"));
    }
    decoder.set_options(options.jpeg_set_out_colorspace(stored));
    let samples = decoder.decode().map_err(|error| RenderError::broken(error.to_string()))?;
    Ok(Picture { size: header.size, layout, samples })
}

/// zune takes Adobe's "no transform" for ink, also with three components: there we say
/// YCbCr, and take the samples as they come.
fn as_zune_reads<'f>(file: &'f [u8], header: &Header) -> Cow<'f, [u8]> {
    match (header.colors, header.adobe_transform_at) {
        (Colors::Rgb, Some(at)) => {
            let mut file = file.to_vec();
            if let Some(transform) = file.get_mut(at) {
                *transform = header::ADOBE_YCBCR;
            }
            file.into()
        }
        _ => file.into(),
    }
}

impl Colors {
    const fn layout(self) -> Layout {
        match self {
            Self::Gray => Layout::Gray,
            Self::YCbCr => Layout::YCbCr,
            Self::Rgb => Layout::Rgb,
            Self::Cmyk { inverted } => Layout::Cmyk { inverted },
            Self::Ycck => Layout::Ycck,
        }
    }
}
