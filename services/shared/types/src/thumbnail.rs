//! What a client asks of a thumbnail.

mod format;
mod sizes;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use self::{
    format::{InvalidFormat, ThumbnailFormat, ThumbnailVariant},
    sizes::{InvalidBox, Sizes, ThumbnailBox},
};

/// How a picture is fitted into the size asked for (Client-Server API, thumbnails).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ThumbnailMethod {
    /// Keeps the aspect ratio of the picture, inside the box.
    #[default]
    Scale,
    /// Has the aspect ratio of the box; what stands over is cut off evenly.
    Crop,
}

/// The value of `method` is neither `scale` nor `crop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("method must be scale or crop")]
pub struct InvalidMethod;

impl FromStr for ThumbnailMethod {
    type Err = InvalidMethod;

    fn from_str(text: &str) -> Result<Self, InvalidMethod> {
        match text {
            "scale" => Ok(Self::Scale),
            "crop" => Ok(Self::Crop),
            _ => Err(InvalidMethod),
        }
    }
}

impl fmt::Display for ThumbnailMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scale => "scale",
            Self::Crop => "crop",
        })
    }
}

/// One thumbnail of a medium, whatever it is encoded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ThumbnailSpec {
    /// Pixels, at least 1.
    pub width: u32,
    /// Pixels, at least 1.
    pub height: u32,
    /// How the picture is fitted.
    pub method: ThumbnailMethod,
    /// Whether an animated picture stays animated.
    pub animated: bool,
}

impl ThumbnailSpec {
    /// The longest side of a thumbnail. More can be asked for and is taken as this.
    pub const MAX_SIDE: u32 = 1 << 15;
}

impl fmt::Display for ThumbnailSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}-{}{}", self.width, self.height, self.method, if self.animated { "-animated" } else { "" })
    }
}

/// The text is not as `Display` writes a spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no spec of a thumbnail")]
pub struct InvalidSpec;

impl FromStr for ThumbnailSpec {
    type Err = InvalidSpec;

    fn from_str(text: &str) -> Result<Self, InvalidSpec> {
        let (size, rest) = text.split_once('-').ok_or(InvalidSpec)?;
        let (width, height) = size.split_once('x').ok_or(InvalidSpec)?;
        let (method, animated) = rest.strip_suffix("-animated").map_or((rest, false), |method| (method, true));
        let pixels = |text: &str| text.parse().ok().filter(|pixels| *pixels > 0).ok_or(InvalidSpec);
        let method = method.parse().map_err(|InvalidMethod| InvalidSpec)?;
        let spec = Self { width: pixels(width)?, height: pixels(height)?, method, animated };
        // One text for each spec: no plus signs, no zeros in front.
        (spec.to_string() == text).then_some(spec).ok_or(InvalidSpec)
    }
}

impl From<ThumbnailSpec> for String {
    fn from(spec: ThumbnailSpec) -> Self {
        spec.to_string()
    }
}

impl TryFrom<String> for ThumbnailSpec {
    type Error = InvalidSpec;

    fn try_from(text: String) -> Result<Self, InvalidSpec> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::{ThumbnailMethod::Crop, ThumbnailMethod::Scale, *};

    fn spec(width: u32, height: u32, method: ThumbnailMethod) -> ThumbnailSpec {
        ThumbnailSpec { width, height, method, animated: false }
    }

    #[test]
    fn a_spec_is_read_as_it_is_written_and_in_no_other_way() {
        for spec in [spec(1, u32::MAX, Scale), spec(96, 96, Crop), ThumbnailSpec { animated: true, ..spec(9, 8, Crop) }]
        {
            assert_eq!(spec.to_string().parse(), Ok(spec));
        }
        for text in [
            "",
            "9x8",
            "9x8-",
            "0x8-crop",
            "+9x8-crop",
            "09x8-crop",
            "9x8-Crop",
            "9x8-crop-",
            "9x8x7-crop",
            "4294967296x1-crop",
        ] {
            assert_eq!(text.parse::<ThumbnailSpec>(), Err(InvalidSpec), "{text}");
        }
    }
}
