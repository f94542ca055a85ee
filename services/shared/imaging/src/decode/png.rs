//! PNG, by the `png` crate. Of an animated one, the default image.

use std::io::Cursor;

use png::{ColorType, Decoder, Limits, Transformations};

use super::{Decoded, Format, Header};
use crate::{
    animation::Frames,
    error::RenderError,
    geometry::Size,
    picture::{Layout, Picture},
    rules::Rules,
    source::Source,
};

const MAGIC: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// For rows and palettes; pixels are ours.
const MOST_WORKING_BYTES: usize = 64 << 20;

pub(super) fn is_of(file: &[u8]) -> bool {
    file.starts_with(&MAGIC)
}

/// Reads the first chunk.
pub(super) fn read_header(file: &[u8], _: &Rules) -> Result<Header, RenderError> {
    let chunk = file.strip_prefix(&MAGIC).and_then(<[u8]>::first_chunk::<16>);
    let Some(&[0, 0, 0, 13, b'I', b'H', b'D', b'R', w0, w1, w2, w3, h0, h1, h2, h3]) = chunk else {
        return Err(RenderError::broken("no header"));
    };
    let size = Size { width: u32::from_be_bytes([w0, w1, w2, w3]), height: u32::from_be_bytes([h0, h1, h2, h3]) };
    Ok(Header::still(Format::Png, size, 4))
}

pub(super) fn frames<'f>(_: &'f dyn Source, _: &Header) -> Result<Box<dyn Frames + 'f>, RenderError> {
    Err(RenderError::UnknownFormat)
}

/// Decodes to 8 bits per sample, without palette.
pub(super) fn decode(file: &dyn Source, header: &Header, _: Size) -> Result<Decoded, RenderError> {
    let broken = |error: png::DecodingError| RenderError::broken(error.to_string());
    let mut decoder = Decoder::new_with_limits(Cursor::new(file.bytes()), Limits { bytes: MOST_WORKING_BYTES });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(broken)?;
    let layout = match reader.output_color_type().0 {
        ColorType::Grayscale => Layout::Gray,
        ColorType::GrayscaleAlpha => Layout::GrayAlpha,
        ColorType::Rgb => Layout::Rgb,
        ColorType::Rgba => Layout::Rgba,
        ColorType::Indexed => return Err(RenderError::broken("a palette that is not there")),
    };
    // Not the decoder's word: the header is what was held against the limits.
    let bytes = usize::try_from(header.size.pixels()).unwrap_or(usize::MAX).saturating_mul(layout.channels());
    let mut samples = vec![0; bytes];
    let frame = reader.next_frame(&mut samples).map_err(broken)?;
    if (frame.width, frame.height) != (header.size.width, header.size.height) {
        return Err(RenderError::broken("the first frame does not cover the picture"));
    }
    Ok(Picture { size: header.size, layout, samples }.into())
}
