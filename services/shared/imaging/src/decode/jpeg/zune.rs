//! What zune-jpeg decodes: always the whole picture.

use std::borrow::Cow;

use heliograph_jpeg::{Color, Header};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use super::{MOST_SCANS, layout, size};
use crate::{error::RenderError, picture::Picture};

/// Adobe's transform: YCbCr.
const ADOBE_YCBCR: u8 = 1;

/// Decodes a file that our own reader found this header in.
pub(crate) fn decode(file: &[u8], header: &Header) -> Result<Picture, RenderError> {
    check_scans(file, header)?;
    let (width, height) = (header.width as usize, header.height as usize);
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(width)
        .set_max_height(height)
        .jpeg_set_max_scans(MOST_SCANS as usize);
    let file = as_zune_reads(file, header);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&*file), options);
    decoder.decode_headers().map_err(|error| RenderError::broken(error.to_string()))?;

    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
    let layout = layout(header.color);
    // Our reader and zune's must have found the same header, else the limits were checked
    // on another picture.
    if decoder.dimensions() != Some((width, height)) || stored.num_components() != layout.channels() {
        return Err(RenderError::broken("the header contradicts itself"));
    }
    decoder.set_options(options.jpeg_set_out_colorspace(stored));
    let samples = decoder.decode().map_err(|error| RenderError::broken(error.to_string()))?;
    Ok(Picture { size: size(header), layout, samples })
}

/// Refuses scans that zune-jpeg cannot read, or that would keep it busy.
fn check_scans(file: &[u8], header: &Header) -> Result<(), RenderError> {
    const COMPONENTS_AT: usize = 4;
    let scans = usize::try_from(header.first_scan_at).ok().and_then(|at| file.get(at..)).unwrap_or_default();
    // zune-jpeg loses the later scans of these, and would show a green picture.
    let in_first = scans.get(COMPONENTS_AT).copied().unwrap_or_default();
    if !header.is_progressive && in_first < header.color.components() {
        return Err(RenderError::broken("a scan per color component, and damaged"));
    }
    if count_scans(scans) > MOST_SCANS as usize {
        return Err(RenderError::broken("too many scans"));
    }
    Ok(())
}

/// At least the number of scans that any reader can find: their marker cannot be part of
/// coded data.
fn count_scans(scans: &[u8]) -> usize {
    let pairs = scans.iter().zip(scans.iter().skip(1));
    pairs.filter(|(prefix, marker)| **prefix == 0xff && **marker == 0xda).count()
}

/// zune takes Adobe's "no transform" for ink, also with three components: there we say
/// YCbCr, and take the samples as they come.
fn as_zune_reads<'f>(file: &'f [u8], header: &Header) -> Cow<'f, [u8]> {
    match find_adobe_transform(file, header) {
        Some(at) if header.color == Color::Rgb => {
            let mut file = file.to_vec();
            file[at] = ADOBE_YCBCR;
            file.into()
        }
        _ => file.into(),
    }
}

/// The place of the last one before the first scan.
fn find_adobe_transform(file: &[u8], header: &Header) -> Option<usize> {
    const MARK: &[u8] = b"\xff\xee\0\x0eAdobe";
    const TRANSFORM_AT: usize = 15;
    let header = file.get(..usize::try_from(header.first_scan_at).ok()?)?;
    let at = header.windows(MARK.len()).rposition(|bytes| bytes == MARK)? + TRANSFORM_AT;
    (at < header.len()).then_some(at)
}
