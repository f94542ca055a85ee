//! Which thumbnails there are, of all that can be asked for.

use std::{fmt, str::FromStr};

use super::{ThumbnailMethod, ThumbnailSpec};

/// A box that a picture is fitted into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThumbnailBox {
    /// Pixels, at least 1.
    pub width: u32,
    /// Pixels, at least 1.
    pub height: u32,
}

impl ThumbnailBox {
    /// Whether the other one fits into it.
    pub const fn surrounds(self, inner: Self) -> bool {
        self.width >= inner.width && self.height >= inner.height
    }
}

impl fmt::Display for ThumbnailBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// The text is not as `Display` writes a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a box is written as 320x240")]
pub struct InvalidBox;

impl FromStr for ThumbnailBox {
    type Err = InvalidBox;

    fn from_str(text: &str) -> Result<Self, InvalidBox> {
        let (width, height) = text.split_once('x').ok_or(InvalidBox)?;
        let pixels = |text: &str| text.parse().ok().filter(|pixels| *pixels > 0).ok_or(InvalidBox);
        let size = Self { width: pixels(width)?, height: pixels(height)? };
        (size.to_string() == text).then_some(size).ok_or(InvalidBox)
    }
}

/// Which thumbnails are made and stored, as the operator has it. Whoever looks for a stored one
/// and whoever makes it must have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// What `scale` is made in, each around the one before it.
    pub boxes: Vec<ThumbnailBox>,
    /// Sides of the squares that `crop` is made in, from the smallest.
    pub squares: Vec<u32>,
    /// Whether exactly what was asked for is made and stored, whatever the lists say.
    pub dynamic: bool,
    /// Whether what moves stays so for those who ask for it (MSC2705).
    pub animated: bool,
}

impl Sizes {
    /// Boxes without a setting. The sizes of the protocol are in the two lists as they are.
    pub const BOXES: [(u32, u32); 10] = [
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
    /// Squares without a setting: pictures of people and rooms. The steps are small, for few
    /// pictures may lie between a request and its step.
    pub const SQUARES: [u32; 10] = [32, 48, 64, 96, 128, 192, 256, 320, 480, 640];

    /// The one thumbnail that is stored for this and every similar request, so that nobody
    /// fills the store with sizes. Its box lies around the one asked for: what fits into it
    /// is never smaller, whatever the picture, but for requests that no box surrounds, which get
    /// the largest. `None` for a crop that is made for its caller alone, because no other has
    /// its shape.
    pub fn stored_form(&self, spec: ThumbnailSpec) -> Option<ThumbnailSpec> {
        let clamped = self.clamped(spec);
        if self.dynamic {
            return Some(clamped);
        }
        let asked = ThumbnailBox { width: clamped.width, height: clamped.height };
        let ThumbnailBox { width, height } = match spec.method {
            ThumbnailMethod::Scale => self.find_box(asked)?,
            ThumbnailMethod::Crop if asked.width == asked.height => self.find_square(asked)?,
            ThumbnailMethod::Crop => self.boxes.iter().copied().find(|size| *size == asked)?,
        };
        Some(ThumbnailSpec { width, height, ..clamped })
    }

    /// What was asked for, as far as it is made: within bounds, and moving only if that is on.
    #[must_use]
    pub fn clamped(&self, spec: ThumbnailSpec) -> ThumbnailSpec {
        let clamp = |side: u32| side.clamp(1, ThumbnailSpec::MAX_SIDE);
        let animated = spec.animated && self.animated;
        ThumbnailSpec { width: clamp(spec.width), height: clamp(spec.height), method: spec.method, animated }
    }

    fn find_box(&self, asked: ThumbnailBox) -> Option<ThumbnailBox> {
        self.boxes.iter().copied().find(|size| size.surrounds(asked)).or_else(|| self.boxes.last().copied())
    }

    fn find_square(&self, asked: ThumbnailBox) -> Option<ThumbnailBox> {
        let side = self.squares.iter().copied().find(|side| *side >= asked.width)?;
        Some(ThumbnailBox { width: side, height: side })
    }
}

impl Default for Sizes {
    fn default() -> Self {
        let boxes = Self::BOXES.map(|(width, height)| ThumbnailBox { width, height }).to_vec();
        Self { boxes, squares: Self::SQUARES.to_vec(), dynamic: false, animated: true }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ThumbnailMethod::Crop, super::ThumbnailMethod::Scale, *};

    fn spec(width: u32, height: u32, method: ThumbnailMethod) -> ThumbnailSpec {
        ThumbnailSpec { width, height, method, animated: false }
    }

    fn stored(width: u32, height: u32, method: ThumbnailMethod) -> Option<(u32, u32)> {
        Sizes::default().stored_form(spec(width, height, method)).map(|form| (form.width, form.height))
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
        let sizes = Sizes::default();
        for width in (1..34_000).step_by(61) {
            for height in [1, 31, 96, 97, 240, 601, 4_801, 9_600, 32_768, width] {
                for form in [Scale, Crop].map(|method| sizes.stored_form(spec(width, height, method))).iter().flatten()
                {
                    let asked = sizes.clamped(spec(width, height, form.method));
                    assert!(form.width >= asked.width && form.height >= asked.height, "{asked}: {form}");
                    assert_eq!(sizes.stored_form(*form).as_ref(), Some(form));
                }
            }
        }
    }

    #[test]
    fn what_no_box_surrounds_gets_the_largest() {
        let boxes = ["100x100", "300x200"].map(|size| size.parse().unwrap()).to_vec();
        let sizes = Sizes { boxes, ..Sizes::default() };

        for (asked, form) in [((90, 90), (100, 100)), ((90, 900), (300, 200)), ((9_000, 9_000), (300, 200))] {
            let form = spec(form.0, form.1, Scale);
            assert_eq!(sizes.stored_form(spec(asked.0, asked.1, Scale)), Some(form), "{asked:?}");
        }
    }

    #[test]
    fn dynamic_sizes_are_stored_as_they_were_asked_for_within_bounds() {
        let sizes = Sizes { dynamic: true, ..Sizes::default() };

        for (asked, form) in [((90, 91), (90, 91)), ((0, 40_000), (1, 32_768))] {
            for method in [Scale, Crop] {
                let form = spec(form.0, form.1, method);
                assert_eq!(sizes.stored_form(spec(asked.0, asked.1, method)), Some(form));
            }
        }
    }

    #[test]
    fn an_animated_one_is_another_than_the_still_one_unless_nothing_may_move() {
        let still = spec(96, 96, Crop);
        let animated = ThumbnailSpec { animated: true, ..spec(90, 90, Crop) };

        assert_eq!(Sizes::default().stored_form(animated), Some(ThumbnailSpec { animated: true, ..still }));
        assert_eq!(Sizes { animated: false, ..Sizes::default() }.stored_form(animated), Some(still));
    }

    #[test]
    fn a_box_is_read_as_it_is_written_and_in_no_other_way() {
        assert_eq!("320x240".parse(), Ok(ThumbnailBox { width: 320, height: 240 }));
        for text in ["", "x", "320", "0x1", "1x0", "+1x1", "01x1", "1x1x1", "1X1", "1x4294967296"] {
            assert_eq!(text.parse::<ThumbnailBox>(), Err(InvalidBox), "{text}");
        }
    }
}
