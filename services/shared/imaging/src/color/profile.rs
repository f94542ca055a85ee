//! What an ICC profile means for one kind of pictures.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, ParsingOptions, Transform8BitExecutor, TransformOptions};

use super::{Kind, MOST_PROFILE_BYTES};

/// Where colors have to go.
pub(super) enum Meaning {
    /// Nowhere: they are sRGB, or nobody knows better.
    Srgb,
    /// Through this.
    Other(Arc<Transform8BitExecutor>),
}

impl Meaning {
    /// Reads a profile.
    pub(super) fn read(profile: &[u8], kind: Kind) -> Self {
        match transform(profile, kind) {
            Some(transform) if !changes_nothing(&*transform, kind) => Self::Other(transform),
            _ => Self::Srgb,
        }
    }
}

/// `None` for a profile that is broken, or for pictures of another kind.
fn transform(profile: &[u8], kind: Kind) -> Option<Arc<Transform8BitExecutor>> {
    // What a table may have is more than all of the file can hold.
    let limits = ParsingOptions {
        max_profile_size: MOST_PROFILE_BYTES + 1,
        max_allowed_clut_size: MOST_PROFILE_BYTES,
        max_allowed_trc_size: 1 << 16,
    };
    let source = ColorProfile::new_from_slice_with_options(profile, limits).ok()?;
    if source.color_space != kind.color_space() {
        return None;
    }
    let (from, to) = kind.layouts();
    source.create_transform_8bit(from, &kind.target(), to, TransformOptions::default()).ok()
}

impl Kind {
    const fn color_space(self) -> DataColorSpace {
        match self {
            Self::Gray { .. } => DataColorSpace::Gray,
            Self::Light { .. } => DataColorSpace::Rgb,
            Self::Ink => DataColorSpace::Cmyk,
        }
    }

    /// What goes in and what comes out. Ink is four channels, as RGBA is.
    const fn layouts(self) -> (Layout, Layout) {
        match self {
            Self::Gray { alpha: false } => (Layout::Gray, Layout::Gray),
            Self::Gray { alpha: true } => (Layout::GrayAlpha, Layout::GrayAlpha),
            Self::Light { alpha: false } => (Layout::Rgb, Layout::Rgb),
            Self::Light { alpha: true } => (Layout::Rgba, Layout::Rgba),
            Self::Ink => (Layout::Rgba, Layout::Rgb),
        }
    }

    /// sRGB, or its grays.
    fn target(self) -> ColorProfile {
        let srgb = ColorProfile::new_srgb();
        match self {
            Self::Light { .. } | Self::Ink => srgb,
            Self::Gray { .. } => {
                let mut grays = ColorProfile::new_gray_with_gamma(1.0);
                grays.gray_trc = srgb.red_trc;
                grays
            }
        }
    }
}

/// Whether colors from all over the space stay what they are. There are many sRGB profiles, and their
/// names tell little.
fn changes_nothing(transform: &Transform8BitExecutor, kind: Kind) -> bool {
    /// Of a channel, black and white among them.
    const STEPS: [u8; 6] = [0, 51, 102, 153, 204, 255];
    /// Tables round differently.
    const TOLERANCE: u8 = 1;
    let grays = || STEPS.into_iter();
    let colors =
        || grays().flat_map(move |red| grays().flat_map(move |green| grays().map(move |blue| [red, green, blue])));
    let before: Vec<u8> = match kind {
        Kind::Gray { alpha: false } => grays().collect(),
        Kind::Gray { alpha: true } => grays().flat_map(|gray| [gray, u8::MAX]).collect(),
        Kind::Light { alpha: false } => colors().flatten().collect(),
        Kind::Light { alpha: true } => colors().flat_map(|[red, green, blue]| [red, green, blue, u8::MAX]).collect(),
        Kind::Ink => return false,
    };
    let mut after = vec![0; before.len()];
    transform.transform(&before, &mut after).is_ok()
        && before.iter().zip(&after).all(|(before, after)| before.abs_diff(*after) <= TOLERANCE)
}
