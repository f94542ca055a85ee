//! Which thumbnail a request gets.

use heliograph_imaging::{self as imaging, Header, Size, plan};
use heliograph_types::{Sizes, ThumbnailFormat, ThumbnailMethod, ThumbnailVariant};

/// Which thumbnail is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    /// What the caller gets at least.
    pub(crate) exact: ThumbnailVariant,
    /// What is stored for all who ask alike, and made instead where that is as good.
    pub(crate) stored: Option<ThumbnailVariant>,
    /// Whether the stored one is for smaller requests too.
    is_shared: bool,
}

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) variant: ThumbnailVariant,
    /// Whether it is the stored one.
    pub(crate) for_all: bool,
}

impl Wanted {
    /// What a request gets. A larger picture of the same content is always as good: of those who
    /// ask for some scale, all mean the same.
    pub(crate) fn by(sizes: &Sizes, ThumbnailVariant { spec, format }: ThumbnailVariant) -> Self {
        let variant = |spec| ThumbnailVariant { spec, format };
        let (exact, stored) = (variant(sizes.clamped(spec)), sizes.stored_form(spec).map(variant));
        let exact = match spec.method {
            ThumbnailMethod::Scale => stored.unwrap_or(exact),
            ThumbnailMethod::Crop => exact,
        };
        Self { exact, stored, is_shared: !sizes.dynamic }
    }

    /// Which one it is of a picture with this header: what stands still has no other, and what
    /// moves has one format.
    #[must_use]
    pub(crate) fn of(self, header: &Header) -> Self {
        let settle = |mut variant: ThumbnailVariant| {
            variant.spec.animated &= header.is_animated();
            if variant.spec.animated {
                variant.format = ThumbnailFormat::Usual;
            }
            variant
        };
        Self { exact: settle(self.exact), stored: self.stored.map(settle), ..self }
    }

    /// Which is made of a picture that people see as `source` large. A crop whose box is larger
    /// than the picture loses its shape: smaller boxes in its place would not, so it is no answer
    /// for them.
    pub(crate) fn choose(&self, source: Size) -> Choice {
        let is_for_all = |form: &ThumbnailVariant| !self.is_shared || keeps_shape(source, form);
        match self.stored.filter(is_for_all) {
            Some(variant) => Choice { variant, for_all: true },
            None => Choice { variant: self.exact, for_all: false },
        }
    }
}

impl From<Choice> for imaging::Wanted {
    fn from(Choice { variant: ThumbnailVariant { spec, format }, .. }: Choice) -> Self {
        Self { spec, format }
    }
}

fn keeps_shape(source: Size, ThumbnailVariant { spec, .. }: &ThumbnailVariant) -> bool {
    let made = plan(source, spec).size;
    let (across, down) = (u64::from(made.width), u64::from(made.height));
    spec.method == ThumbnailMethod::Scale || across * u64::from(spec.height) == down * u64::from(spec.width)
}

#[cfg(test)]
mod tests {
    use heliograph_imaging::{Format, Orientation};

    use super::*;

    fn header(frames: u32) -> Header {
        Header {
            format: Format::Gif,
            size: Size { width: 100, height: 50 },
            orientation: Orientation::Upright,
            frames,
            duration_ms: 0,
            channels: 4,
            bits: 8,
            progressive: false,
        }
    }

    fn made(sizes: &Sizes, text: &str, frames: u32) -> (String, bool) {
        let wanted = Wanted::by(sizes, text.parse().unwrap()).of(&header(frames));
        let Choice { variant, for_all } = wanted.choose(header(frames).seen_size());
        (variant.to_string(), for_all)
    }

    #[test]
    fn what_moves_has_one_format_and_what_stands_still_moves_for_nobody() {
        let sizes = Sizes::default();

        for (asked, frames, expected) in [
            ("40x40-crop", 9, "48x48-crop"),
            ("40x40-crop.avif", 9, "48x48-crop.avif"),
            ("40x40-crop-animated", 9, "48x48-crop-animated"),
            ("40x40-crop-animated.avif", 9, "48x48-crop-animated"),
            ("40x40-crop-animated", 1, "48x48-crop"),
            ("40x40-crop-animated.webp", 1, "48x48-crop.webp"),
        ] {
            assert_eq!(made(&sizes, asked, frames), (expected.to_owned(), true), "{asked}");
        }
        let still = Sizes { animated: false, ..sizes };
        assert_eq!(made(&still, "40x40-crop-animated.webp", 9), ("48x48-crop.webp".to_owned(), true));
    }

    #[test]
    fn a_crop_that_loses_its_shape_is_for_all_only_if_nobody_gets_it_for_less() {
        // The picture is 100x50.
        assert_eq!(made(&Sizes::default(), "60x60-crop", 1), ("60x60-crop".to_owned(), false));
        let dynamic = Sizes { dynamic: true, ..Sizes::default() };
        assert_eq!(made(&dynamic, "60x60-crop", 1), ("60x60-crop".to_owned(), true));
    }
}
