//! What a client asks of a thumbnail.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

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

/// What `scale` is made in: boxes, each around the one before it. The five sizes of the
/// protocol are in the two lists as they are.
const BOXES: [(u32, u32); 10] = [
    (32, 32),
    (96, 96),
    (320, 240),
    (640, 480),
    (800, 600),
    (1600, 1200),
    (3200, 2400),
    (6400, 4800),
    (12_800, 9600),
    (ThumbnailSpec::MAX_SIDE, ThumbnailSpec::MAX_SIDE),
];

/// What square `crop`s are made in: pictures of people and rooms. The steps are small, for
/// few pictures may lie between a request and its step.
const SQUARES: [u32; 10] = [32, 48, 64, 96, 128, 192, 256, 320, 480, 640];

impl ThumbnailSpec {
    /// The longest side of a thumbnail. More can be asked for and is taken as this.
    pub const MAX_SIDE: u32 = 1 << 15;

    /// The one thumbnail that is stored for this and every similar request, so that nobody
    /// fills the store with sizes. Its box lies around the one asked for: what fits into it
    /// is never smaller, whatever the picture. `None` for a crop that is made for its caller
    /// alone, because no other has its shape.
    #[must_use]
    pub fn stored_form(self) -> Option<Self> {
        let Self { width, height, method, .. } = self.clamped();
        let surrounds = |(outer_width, outer_height): &(u32, u32)| *outer_width >= width && *outer_height >= height;
        let (width, height) = match method {
            ThumbnailMethod::Scale => BOXES.into_iter().find(surrounds)?,
            ThumbnailMethod::Crop if width == height => SQUARES.into_iter().map(|side| (side, side)).find(surrounds)?,
            ThumbnailMethod::Crop => BOXES.into_iter().find(|size| *size == (width, height))?,
        };
        Some(Self { width, height, method, animated: false })
    }

    /// What was asked for, as far as we make it: within bounds, and still, for we make no
    /// animated thumbnails yet. Who makes them gives them keys of their own by keeping
    /// `animated` here and in [`Self::stored_form`].
    #[must_use]
    pub fn clamped(self) -> Self {
        let clamp = |side: u32| side.clamp(1, Self::MAX_SIDE);
        Self { width: clamp(self.width), height: clamp(self.height), method: self.method, animated: false }
    }
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

    fn stored(width: u32, height: u32, method: ThumbnailMethod) -> Option<(u32, u32)> {
        spec(width, height, method).stored_form().map(|form| (form.width, form.height))
    }

    #[test]
    fn the_sizes_of_the_protocol_are_stored_as_they_are() {
        for (width, height, method) in
            [(32, 32, Crop), (96, 96, Crop), (320, 240, Scale), (640, 480, Scale), (800, 600, Scale)]
        {
            assert_eq!(stored(width, height, method), Some((width, height)));
        }
    }

    #[test]
    fn a_scaled_one_is_stored_as_the_next_larger_box() {
        for (asked, form) in [
            ((1, 1), (32, 32)),
            ((32, 33), (96, 96)),
            ((100, 100), (320, 240)),
            ((320, 241), (640, 480)),
            ((100, 700), (1600, 1200)),
            ((0, 40_000), (32_768, 32_768)),
            ((u32::MAX, u32::MAX), (32_768, 32_768)),
        ] {
            assert_eq!(stored(asked.0, asked.1, Scale), Some(form), "{asked:?}");
        }
    }

    #[test]
    fn a_crop_is_stored_only_in_its_own_shape() {
        assert_eq!(stored(40, 40, Crop), Some((48, 48)));
        assert_eq!(stored(640, 480, Crop), Some((640, 480)));
        for (width, height) in [(641, 641), (639, 480), (40, 41), (40_000, 40_000)] {
            assert_eq!(stored(width, height, Crop), None, "{width}x{height}");
        }
    }

    #[test]
    fn what_is_stored_surrounds_what_was_asked_for_and_is_stored_as_itself() {
        for width in (1..34_000).step_by(61) {
            for height in [1, 31, 96, 97, 240, 601, 4_801, 9_600, 32_768, width] {
                for form in [Scale, Crop].map(|method| spec(width, height, method).stored_form()).iter().flatten() {
                    let asked = spec(width, height, form.method).clamped();
                    assert!(form.width >= asked.width && form.height >= asked.height, "{asked}: {form}");
                    assert_eq!(form.stored_form().as_ref(), Some(form));
                }
            }
        }
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

    #[test]
    fn an_animated_one_is_the_same_as_a_still_one() {
        let animated = ThumbnailSpec { animated: true, ..spec(90, 90, Crop) };

        assert_eq!(animated.stored_form(), Some(spec(96, 96, Crop)));
    }
}
