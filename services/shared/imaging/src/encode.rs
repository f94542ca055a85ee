//! From pixels to a file, without any metadata.

mod avif;
pub(crate) mod jpeg;
mod png;
pub(crate) mod webp;

use heliograph_types::ThumbnailFormat;

use serde::{Deserialize, Serialize};

pub(crate) use self::jpeg::encode as encode_jpeg;
use crate::{decode::Format, error::RenderError, picture::Picture, rules::Quality};

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
        ThumbnailFormat::Usual => encode_as_usual(picture, quality),
    }
}

/// JPEG has no transparency, and is smaller than PNG for all but drawings.
fn encode_as_usual(picture: &Picture, quality: Quality) -> Result<(Encoding, Vec<u8>), RenderError> {
    let opaque = picture.without_idle_alpha();
    match opaque.as_ref().unwrap_or(picture) {
        veiled if veiled.layout.has_alpha() => Ok((Encoding::Png, png::encode(veiled)?)),
        opaque => Ok((Encoding::Jpeg, encode_jpeg(opaque, quality.jpeg)?)),
    }
}

/// A thumbnail has the format of its source, so this does not happen.
fn wrong_layout() -> RenderError {
    RenderError::broken("pixels that the format cannot hold")
}
