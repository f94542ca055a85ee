//! What a thumbnail is encoded in.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{InvalidSpec, ThumbnailSpec};

/// What a thumbnail is encoded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThumbnailFormat {
    /// JPEG; PNG of what is transparent, WebP of what moves.
    #[default]
    Usual,
    /// WebP, for who takes it (MSC4011).
    WebP,
    /// AVIF, for who takes it (MSC4011).
    Avif,
}

impl ThumbnailFormat {
    /// Its name; the usual one has none.
    const fn name(self) -> Option<&'static str> {
        match self {
            Self::Usual => None,
            Self::WebP => Some("webp"),
            Self::Avif => Some("avif"),
        }
    }

    /// The media type that a client must name to get it; `None` for the usual one, which all get.
    pub const fn media_type(self) -> Option<&'static str> {
        match self {
            Self::Usual => None,
            Self::WebP => Some("image/webp"),
            Self::Avif => Some("image/avif"),
        }
    }
}

impl fmt::Display for ThumbnailFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("usual"))
    }
}

/// The text names no format that somebody can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("format must be webp or avif")]
pub struct InvalidFormat;

/// Of those that one asks for; the usual one comes without asking.
impl FromStr for ThumbnailFormat {
    type Err = InvalidFormat;

    fn from_str(text: &str) -> Result<Self, InvalidFormat> {
        [Self::WebP, Self::Avif].into_iter().find(|format| format.name() == Some(text)).ok_or(InvalidFormat)
    }
}

/// One thumbnail of a medium, in one format. Its `Display` is the last part of the key that
/// stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThumbnailVariant {
    /// How large, and how fitted.
    pub spec: ThumbnailSpec,
    /// In what it is encoded.
    pub format: ThumbnailFormat,
}

impl From<ThumbnailSpec> for ThumbnailVariant {
    fn from(spec: ThumbnailSpec) -> Self {
        Self { spec, format: ThumbnailFormat::Usual }
    }
}

impl fmt::Display for ThumbnailVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format.name() {
            None => self.spec.fmt(f),
            Some(format) => write!(f, "{}.{format}", self.spec),
        }
    }
}

impl FromStr for ThumbnailVariant {
    type Err = InvalidSpec;

    fn from_str(text: &str) -> Result<Self, InvalidSpec> {
        let Some((spec, format)) = text.split_once('.') else { return Ok(text.parse::<ThumbnailSpec>()?.into()) };
        Ok(Self { spec: spec.parse()?, format: format.parse().map_err(|InvalidFormat| InvalidSpec)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_read_as_it_is_written_and_in_no_other_way() {
        for text in ["9x8-crop", "9x8-crop.webp", "1x1-scale-animated.avif"] {
            assert_eq!(text.parse::<ThumbnailVariant>().unwrap().to_string(), text);
        }
        for text in ["9x8-crop.", "9x8-crop.usual", "9x8-crop.WebP", "9x8-crop.png", ".webp", "9x8-crop.webp.webp"] {
            assert_eq!(text.parse::<ThumbnailVariant>(), Err(InvalidSpec), "{text}");
        }
    }
}
