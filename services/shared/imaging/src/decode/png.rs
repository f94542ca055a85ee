//! PNG and APNG. Inflated and unfiltered by the `png` crate, which gets to see nothing but pixels
//! and what they need; large pictures become smaller while their rows come.

mod animation;
mod chunks;
mod stream;

use png::{ColorType, Decoder, InterlaceInfo, Limits, Reader, Transformations, splat_interlaced_row};

use self::{
    animation::{PngFrames, count_frames},
    chunks::{Chunks, MAGIC, Outline},
    stream::{Data, Stream},
};
use super::{Decoded, Format, Header, Pixels};
use crate::{
    animation::Frames,
    error::RenderError,
    geometry::Size,
    picture::{Layout, Picture},
    reduce::{Reducer, in_memory, nothing, reduced_size},
    rules::Rules,
    source::Source,
};

/// For a profile, packed and unpacked.
const MOST_ANCILLARY_BYTES: usize = 6 << 20;
/// Samples have 16 bits at most.
const MOST_PIXEL_BYTES: u64 = 8;
/// Rows that the decoder keeps, roughly, besides what it unpacks at least.
const DECODER_ROWS: u64 = 12;
const DECODER_BYTES: u64 = 1 << 20;

pub(super) fn is_of(file: &[u8]) -> bool {
    file.starts_with(&MAGIC)
}

/// Reads the heads of all chunks.
pub(super) fn read_header(file: &[u8], rules: &Rules) -> Result<Header, RenderError> {
    let outline = Outline::read(file)?;
    let progressive = outline.is_interlaced();
    let still = Header { progressive, ..Header::still(Format::Png, outline.size, outline.channels()) };
    Ok(match count_frames(file, &outline, rules) {
        // Nobody turns an animation.
        Some((frames, duration_ms)) => Header { frames, duration_ms, ..still },
        None => Header { orientation: outline.orientation, ..still },
    })
}

/// Rows that come in order need not all be kept.
pub(super) fn decoded_size(header: &Header, least: Size) -> Size {
    if header.progressive { header.size } else { reduced_size(header.size, least) }
}

/// Memory that it takes at most, in bytes.
pub(super) fn memory_bytes(header: &Header, least: Size, animated: bool) -> u64 {
    let row_bytes = u64::from(header.size.width) * MOST_PIXEL_BYTES;
    let frames = if animated { animation::memory_bytes(header.size) } else { 0 };
    let still = decoded_size(header, least).pixels() * u64::from(header.channels);
    still.max(frames) + row_bytes * DECODER_ROWS + DECODER_BYTES + MOST_ANCILLARY_BYTES as u64
}

/// Decodes to 8 bits per sample, without palette. Of an animation, the picture that those show who
/// cannot animate it.
pub(super) fn decode(file: &dyn Source, header: &Header, least: Size) -> Result<Decoded, RenderError> {
    let outline = Outline::read(file.bytes())?;
    debug_assert_eq!(outline.size, header.size);
    let stream = Stream::new(&outline, header.size, Data::Still(Chunks::of(file.bytes())));
    let (picture, icc) = read_picture(stream, header.size, least)?;
    Ok(Decoded { pixels: Pixels::Picture(picture), icc })
}

/// The pictures of the animation.
pub(super) fn frames<'f>(file: &'f dyn Source, header: &Header) -> Result<Box<dyn Frames + 'f>, RenderError> {
    let file = file.bytes();
    Ok(Box::new(PngFrames::new(file, Outline::read(file)?, header.frames)))
}

/// Reads a picture, and its profile. What is behind a fault is left out.
fn read_picture(stream: Stream<'_>, size: Size, least: Size) -> Result<(Picture, Option<Vec<u8>>), RenderError> {
    let row_bytes = in_memory(u64::from(size.width) * MOST_PIXEL_BYTES);
    let bytes = row_bytes.saturating_add(MOST_ANCILLARY_BYTES);
    let mut decoder = Decoder::new_with_limits(stream, Limits { bytes });
    decoder.ignore_checksums(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(broken)?;
    let layout = match reader.output_color_type().0 {
        ColorType::Grayscale => Layout::Gray,
        ColorType::GrayscaleAlpha => Layout::GrayAlpha,
        ColorType::Rgb => Layout::Rgb,
        ColorType::Rgba => Layout::Rgba,
        ColorType::Indexed => return Err(RenderError::broken("a palette that is not there")),
    };
    let picture = if reader.info().interlaced {
        read_passes(&mut reader, size, layout)?
    } else {
        read_rows(&mut reader, size, layout, least)?
    };
    Ok((picture, reader.info().icc_profile.as_deref().map(<[u8]>::to_vec)))
}

/// Reads a picture whose rows come from top to bottom.
fn read_rows(reader: &mut Reader<Stream<'_>>, size: Size, layout: Layout, least: Size) -> Result<Picture, RenderError> {
    let mut row = vec![0; size.width as usize * layout.channels()];
    let mut reducer = Reducer::new(size, layout, least);
    for y in 0..size.height {
        match reader.read_row(&mut row) {
            Ok(Some(_)) => reducer.add(&mut row)?,
            Err(error) if y == 0 => return Err(broken(error)),
            Ok(None) | Err(_) => break,
        }
    }
    Ok(reducer.finish())
}

/// Reads a picture that becomes finer with each pass.
fn read_passes(reader: &mut Reader<Stream<'_>>, size: Size, layout: Layout) -> Result<Picture, RenderError> {
    const SAMPLE_BITS: usize = 8;
    let stride = size.width as usize * layout.channels();
    let pixel_bits = u8::try_from(layout.channels() * SAMPLE_BITS).unwrap_or(u8::MAX);
    let mut samples = vec![nothing(layout); stride * size.height as usize];
    let mut has_rows = false;
    loop {
        match reader.next_interlaced_row() {
            Ok(Some(row)) => {
                if let InterlaceInfo::Adam7(pass) = row.interlace() {
                    splat_interlaced_row(&mut samples, stride, row.data(), pass, pixel_bits);
                }
                has_rows = true;
            }
            Err(error) if !has_rows => return Err(broken(error)),
            Ok(None) | Err(_) => break,
        }
    }
    Ok(Picture { size, layout, samples })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn broken(error: png::DecodingError) -> RenderError {
    RenderError::broken(error.to_string())
}

#[cfg(test)]
mod tests;
