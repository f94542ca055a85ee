//! WebP, by libwebp: lossy, alpha kept as it is.

mod ffi;

use std::{borrow::Cow, time::Duration};

use crate::{
    error::RenderError,
    geometry::Size,
    picture::{Layout, Picture, ycbcr_to_rgb},
};

/// From 0 (quick) to 6 (small): a step up costs a fifth more time here, and saves less than that.
const METHOD: i32 = 2;
/// Of an animation: what it takes to look like one that a slower method makes. That is still quicker, and a tenth larger.
const MORE_QUALITY: u8 = 1;

pub(super) fn encode(picture: &Picture, quality: u8) -> Result<Vec<u8>, RenderError> {
    ffi::encode(&Colors::of(picture)?, picture.size, quality)
}

/// Pixels as libwebp takes them.
enum Colors<'p> {
    Rgb(Cow<'p, [u8]>),
    Rgba(Cow<'p, [u8]>),
}

impl<'p> Colors<'p> {
    fn of(picture: &'p Picture) -> Result<Self, RenderError> {
        let samples = &*picture.samples;
        Ok(match picture.layout {
            Layout::Rgb => Self::Rgb(samples.into()),
            Layout::Rgba => Self::Rgba(samples.into()),
            Layout::Gray => Self::Rgb(samples.iter().flat_map(|gray| [*gray; 3]).collect()),
            Layout::GrayAlpha => {
                let pixels = samples.as_chunks().0.iter();
                Self::Rgba(pixels.flat_map(|[gray, alpha]| [*gray, *gray, *gray, *alpha]).collect())
            }
            Layout::YCbCr => Self::Rgb(samples.as_chunks().0.iter().flat_map(|pixel| ycbcr_to_rgb(*pixel)).collect()),
            Layout::Cmyk { .. } | Layout::Ycck => return Err(super::wrong_layout()),
        })
    }
}

/// Writes an animation, one picture after the other.
pub(crate) struct Animation {
    encoder: ffi::AnimationEncoder,
    size: Size,
    shown: Duration,
}

impl Animation {
    /// Begins one that is played so often; 0 is for ever.
    pub(crate) fn begin(size: Size, plays: u16, quality: u8) -> Result<Self, RenderError> {
        let quality = quality.saturating_add(MORE_QUALITY);
        Ok(Self { encoder: ffi::AnimationEncoder::new(size, plays, quality)?, size, shown: Duration::ZERO })
    }

    /// Adds the next picture, with or without alpha.
    pub(crate) fn add(&mut self, picture: &Picture, lasts: Duration) -> Result<(), RenderError> {
        if picture.size != self.size {
            return Err(RenderError::broken("pictures of different sizes"));
        }
        self.encoder.add(&Colors::of(picture)?, self.shown_ms()?)?;
        self.shown += lasts;
        Ok(())
    }

    /// The file.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, RenderError> {
        let end = self.shown_ms()?;
        self.encoder.finish(end)
    }

    /// Whole milliseconds since the beginning: what is lost of one picture, the next one gets.
    fn shown_ms(&self) -> Result<i32, RenderError> {
        i32::try_from(self.shown.as_millis()).map_err(|_| RenderError::broken("an animation of more than three weeks"))
    }
}

#[cfg(test)]
mod tests;
