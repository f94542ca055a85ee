//! How a camera was held, and turning pictures accordingly.

use serde::{Deserialize, Serialize};

use crate::{geometry::Size, picture::Picture};

/// The orientation of EXIF: where the first row and the first column of the stored picture
/// belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Orientation {
    #[default]
    /// As it is.
    Upright,
    /// Left and right are swapped.
    MirroredAcross,
    /// Turned by half.
    UpsideDown,
    /// Top and bottom are swapped.
    MirroredDown,
    /// Rows are columns.
    Transposed,
    /// To be turned right by a quarter.
    TurnRight,
    /// Rows are columns, from the far end.
    Transversed,
    /// To be turned left by a quarter.
    TurnLeft,
}

impl Orientation {
    /// By its number in EXIF, 1 to 8.
    pub(crate) const fn from_exif(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Upright,
            2 => Self::MirroredAcross,
            3 => Self::UpsideDown,
            4 => Self::MirroredDown,
            5 => Self::Transposed,
            6 => Self::TurnRight,
            7 => Self::Transversed,
            8 => Self::TurnLeft,
            _ => return None,
        })
    }

    /// Whether stored rows are columns of what people see.
    pub(crate) const fn swaps_sides(self) -> bool {
        matches!(self, Self::Transposed | Self::TurnRight | Self::Transversed | Self::TurnLeft)
    }

    /// The size that people see.
    pub(crate) const fn seen(self, stored: Size) -> Size {
        if self.swaps_sides() { stored.transposed() } else { stored }
    }

    /// Whether the first of what people see is at the far end of what is stored, across and down.
    pub(crate) const fn begins_far(self, stored: Size) -> (bool, bool) {
        let (x, y) = self.origin_of(0, 0, stored.width as usize, stored.height as usize);
        (x > 0, y > 0)
    }

    /// Turns a stored picture into what people see.
    pub(crate) fn apply(self, stored: Picture) -> Picture {
        if self == Self::Upright {
            return stored;
        }
        let channels = stored.layout.channels();
        let (width, height) = (stored.size.width as usize, stored.size.height as usize);
        let seen = self.seen(stored.size);
        let mut samples = Vec::with_capacity(stored.samples.len());
        for y in 0..seen.height as usize {
            for x in 0..seen.width as usize {
                let (from_x, from_y) = self.origin_of(x, y, width, height);
                let start = (from_y * width + from_x) * channels;
                samples.extend_from_slice(&stored.samples[start..start + channels]);
            }
        }
        Picture { size: seen, layout: stored.layout, samples }
    }

    /// Where the seen pixel `(x, y)` is in the stored picture of `width` times `height`.
    const fn origin_of(self, x: usize, y: usize, width: usize, height: usize) -> (usize, usize) {
        match self {
            Self::Upright => (x, y),
            Self::MirroredAcross => (width - 1 - x, y),
            Self::UpsideDown => (width - 1 - x, height - 1 - y),
            Self::MirroredDown => (x, height - 1 - y),
            Self::Transposed => (y, x),
            Self::TurnRight => (y, height - 1 - x),
            Self::Transversed => (width - 1 - y, height - 1 - x),
            Self::TurnLeft => (width - 1 - y, x),
        }
    }
}

/// The orientation in a TIFF structure (the content of an EXIF segment), if it is there.
pub(crate) fn find_in_exif(tiff: &[u8]) -> Option<Orientation> {
    heliograph_jpeg::find_orientation(tiff).and_then(Orientation::from_exif)
}
