//! Formats that few send, by the `image` crate.

use image::{ColorType, ImageDecoder, Limits};

use super::{Decoded, Format, Header, Pixels};
use crate::{
    color::MOST_PROFILE_BYTES,
    error::RenderError,
    geometry::Size,
    orientation::Orientation,
    picture::{Layout, Picture},
    reduce::in_memory,
};

/// For tables, and for strips and tiles as they are unpacked.
pub(super) const WORKING_BYTES: u64 = 8 << 20;

/// What a decoder found in the header of its file.
pub(super) fn header_of(decoder: &mut impl ImageDecoder, format: Format) -> Result<Header, RenderError> {
    let (width, height) = decoder.dimensions();
    let (layout, bytes) = layout_of(decoder.color_type())?;
    let channels = u8::try_from(layout.channels()).unwrap_or(u8::MAX);
    let turned = decoder.orientation().map_err(broken)?;
    Ok(Header {
        orientation: Orientation::from_exif(turned.to_exif()).unwrap_or_default(),
        bits: bytes * 8,
        ..Header::still(format, Size { width, height }, channels)
    })
}

/// Memory that it takes at most, in bytes: the decoder may have its own copy of the picture, with
/// ink for light, and one of 16 bits is made one of 8.
pub(super) const fn memory_bytes(header: &Header) -> u64 {
    const UNPACKED_CHANNELS: u64 = 4;
    let sample_bytes = (header.bits / 8) as u64;
    let channels = header.channels as u64;
    header.size.pixels() * (UNPACKED_CHANNELS * sample_bytes + channels * sample_bytes + channels) + WORKING_BYTES
}

/// Decodes to 8 bits per sample, in no more memory than what [`memory_bytes`] has.
pub(super) fn decode(mut decoder: impl ImageDecoder, header: &Header) -> Result<Decoded, RenderError> {
    let (width, height) = decoder.dimensions();
    let (layout, sample_bytes) = layout_of(decoder.color_type())?;
    // Else the limits were checked on another picture.
    if (Size { width, height }) != header.size || usize::from(header.channels) != layout.channels() {
        return Err(RenderError::broken("the header contradicts itself"));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(width);
    limits.max_image_height = Some(height);
    limits.max_alloc = Some(memory_bytes(header));
    decoder.set_limits(limits).map_err(broken)?;
    let is_ink =
        matches!(decoder.original_color_type(), image::ExtendedColorType::Cmyk8 | image::ExtendedColorType::Cmyk16);
    let icc = if is_ink { None } else { decoder.icc_profile().unwrap_or_default() };
    let icc = icc.filter(|profile| profile.len() <= MOST_PROFILE_BYTES);

    let mut samples = vec![0; in_memory(decoder.total_bytes())];
    decoder.read_image(&mut samples).map_err(broken)?;
    if sample_bytes == 2 {
        samples = samples.as_chunks().0.iter().map(|sample| high_byte(*sample)).collect();
    }
    Ok(Decoded { pixels: Pixels::Picture(Picture { size: header.size, layout, samples }), icc })
}

/// Of a sample as this processor has it.
fn high_byte(sample: [u8; 2]) -> u8 {
    u16::from_ne_bytes(sample).to_be_bytes()[0]
}

/// The layout, and the bytes of a sample.
fn layout_of(color: ColorType) -> Result<(Layout, u8), RenderError> {
    Ok(match color {
        ColorType::L8 => (Layout::Gray, 1),
        ColorType::La8 => (Layout::GrayAlpha, 1),
        ColorType::Rgb8 => (Layout::Rgb, 1),
        ColorType::Rgba8 => (Layout::Rgba, 1),
        ColorType::L16 => (Layout::Gray, 2),
        ColorType::La16 => (Layout::GrayAlpha, 2),
        ColorType::Rgb16 => (Layout::Rgb, 2),
        ColorType::Rgba16 => (Layout::Rgba, 2),
        _ => return Err(RenderError::broken("samples that are no light of 8 or 16 bits")),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn broken(error: image::ImageError) -> RenderError {
    RenderError::broken(error.to_string())
}

#[cfg(test)]
pub(super) mod testing {
    //! What the tests of these formats share.

    use super::*;
    use crate::testing::ANY;

    pub(in crate::decode) fn read(file: &[u8]) -> Result<(Header, Picture), RenderError> {
        let header = Header::read(file, &ANY)?;
        match header.decode(&file.to_vec(), header.size)?.pixels {
            Pixels::Picture(picture) => Ok((header, picture)),
            Pixels::Planes { .. } => panic!("planes"),
        }
    }

    /// The beginning of a file is refused or shown, and only the whole of it must be shown.
    #[track_caller]
    pub(in crate::decode) fn assert_each_length_is_safe(whole: &[u8], size: Size) {
        for length in 0..=whole.len() {
            match read(&whole[..length]) {
                Ok((header, picture)) => {
                    assert_eq!((header.size, picture.size), (size, size), "{length}");
                    assert_eq!(picture.samples.len() as u64, size.pixels() * u64::from(header.channels));
                }
                Err(RenderError::Broken(_) | RenderError::UnknownFormat) => {
                    assert!(length < whole.len(), "the whole file is shown");
                }
                Err(error) => panic!("{length}: {error}"),
            }
        }
    }
}
