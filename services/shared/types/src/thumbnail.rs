//! What a client asks of a thumbnail.

use std::{fmt, str::FromStr};

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

/// One thumbnail of a medium. Its `Display` is the last part of the key that stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

impl fmt::Display for ThumbnailSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}-{}{}", self.width, self.height, self.method, if self.animated { "-animated" } else { "" })
    }
}
