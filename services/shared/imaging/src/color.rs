//! Colors as the screen wants them: sRGB.
//!
//! Profiles are for the small picture, where they cost little. A profile that cannot be used counts as
//! sRGB, as browsers have it.

mod profile;
mod recent;

use moxcms::Transform8BitExecutor;

use self::{profile::Meaning, recent::Recent};
use crate::picture::{Layout, Picture};

/// A longer profile is not looked at. The largest of printing presses have 2 to 3 MiB.
pub(crate) const MOST_PROFILE_BYTES: usize = 4 << 20;

/// The way from profiles to sRGB, with what it learnt of the last ones.
#[derive(Debug, Default)]
pub(crate) struct ToSrgb {
    recent: Recent,
}

impl ToSrgb {
    /// A picture in the colors of an ICC profile, in those of sRGB. Ink becomes light, also without a
    /// profile; alpha stays.
    pub(crate) fn convert(&mut self, picture: Picture, profile: Option<&[u8]>) -> Picture {
        let Some(profile) = profile.filter(|profile| profile.len() <= MOST_PROFILE_BYTES) else {
            return picture.into_light();
        };
        match self.recent.meaning(profile, Kind::of(picture.layout)) {
            Meaning::Srgb => picture.into_light(),
            Meaning::Other(transform) => transformed(picture.into_measured(), &**transform),
        }
    }
}

/// What a profile must be for, to say something about a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gray { alpha: bool },
    Light { alpha: bool },
    Ink,
}

impl Kind {
    const fn of(layout: Layout) -> Self {
        match layout {
            Layout::Gray | Layout::GrayAlpha => Self::Gray { alpha: layout.has_alpha() },
            Layout::Rgb | Layout::Rgba | Layout::YCbCr => Self::Light { alpha: layout.has_alpha() },
            Layout::Cmyk { .. } | Layout::Ycck => Self::Ink,
        }
    }
}

/// The picture behind `transform`; as it is if that fails.
fn transformed(picture: Picture, transform: &Transform8BitExecutor) -> Picture {
    let layout = if matches!(picture.layout, Layout::Cmyk { .. }) { Layout::Rgb } else { picture.layout };
    let mut samples = vec![0; picture.samples.len() / picture.layout.channels() * layout.channels()];
    match transform.transform(&picture.samples, &mut samples) {
        Ok(()) => Picture { size: picture.size, layout, samples },
        Err(_) => picture.into_light(),
    }
}

#[cfg(test)]
mod tests;
