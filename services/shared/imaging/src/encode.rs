//! From pixels to a file, without any metadata.

mod avif;
pub(crate) mod jpeg;
pub(crate) mod webp;

use heliograph_types::ThumbnailFormat;
use png::{BitDepth, ColorType as PngColor, Compression, Encoder as PngEncoder};

use serde::{Deserialize, Serialize};

pub(crate) use self::jpeg::encode as encode_jpeg;
use crate::{
    decode::Format,
    error::RenderError,
    picture::{Layout, Picture},
    rules::Quality,
};

/// What a thumbnail is encoded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// JPEG, of what is opaque.
    Jpeg,
    /// PNG, of what is transparent.
    Png,
    /// WebP, of what moves, or for who wants it.
    WebP,
    /// AVIF, for who wants it.
    Avif,
}

impl Encoding {
    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Avif => "image/avif",
        }
    }

    /// What an encoded thumbnail is, by its first bytes.
    pub fn sniff(image: &[u8]) -> Option<Self> {
        Some(match Format::sniff(image)? {
            Format::Jpeg => Self::Jpeg,
            Format::Png => Self::Png,
            Format::WebP => Self::WebP,
            Format::Avif => Self::Avif,
            _ => return None,
        })
    }
}

/// Encodes a picture that stands still.
pub(crate) fn encode(
    picture: &Picture,
    format: ThumbnailFormat,
    quality: Quality,
) -> Result<(Encoding, Vec<u8>), RenderError> {
    match format {
        ThumbnailFormat::WebP => Ok((Encoding::WebP, webp::encode(picture, quality.webp)?)),
        ThumbnailFormat::Avif => Ok((Encoding::Avif, avif::encode(picture, quality.avif)?)),
        ThumbnailFormat::Usual if picture.layout.has_alpha() => Ok((Encoding::Png, encode_png(picture)?)),
        ThumbnailFormat::Usual => Ok((Encoding::Jpeg, encode_jpeg(picture, quality.jpeg)?)),
    }
}

fn encode_png(picture: &Picture) -> Result<Vec<u8>, RenderError> {
    let broken = |error: png::EncodingError| RenderError::broken(error.to_string());
    let mut file = Vec::new();
    let mut encoder = PngEncoder::new(&mut file, picture.size.width, picture.size.height);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_color(match picture.layout {
        Layout::Gray => PngColor::Grayscale,
        Layout::GrayAlpha => PngColor::GrayscaleAlpha,
        Layout::Rgb => PngColor::Rgb,
        Layout::Rgba => PngColor::Rgba,
        Layout::YCbCr | Layout::Cmyk { .. } | Layout::Ycck => return Err(wrong_layout()),
    });
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header().map_err(broken)?;
    writer.write_image_data(&picture.samples).map_err(broken)?;
    writer.finish().map_err(broken)?;
    Ok(file)
}

/// A thumbnail has the format of its source, so this does not happen.
fn wrong_layout() -> RenderError {
    RenderError::broken("pixels that the format cannot hold")
}
