//! WebP, by libwebp: lossy, lossless and animated.
//!
//! Lossy and opaque ones stay planes, as they are coded: color is made smaller at half the cost.
//! Of a file that is cut off, the rows and the pictures that came.

mod ffi;
mod riff;

use std::{borrow::Cow, time::Duration};

use self::riff::{Coding, Structure};
use super::{
    Decoded, Format, Header, Pixels, usable_profile,
    ycbcr::{Matrix, Range, make_jfif},
};
use crate::{
    animation::{Frame, Frames},
    error::RenderError,
    geometry::Size,
    picture::{Layout, Picture},
    rules::Rules,
    source::Source,
};

pub(super) fn is_of(file: &[u8]) -> bool {
    riff::is_webp(file)
}

/// Reads the chunks; all of them, as orientation comes after the picture.
pub(super) fn read_header(file: &[u8], rules: &Rules) -> Result<Header, RenderError> {
    let structure = Structure::read(file)?;
    let size = structure.size;
    Ok(match structure.coding {
        Coding::Animated(animation) => {
            let (frames, pixels) = (animation.frames, size.pixels().saturating_mul(animation.frames.into()));
            let is_allowed = frames <= rules.most_frames && pixels <= rules.most_animated_pixels;
            let frames = if is_allowed { frames } else { 1 };
            Header { frames, duration_ms: animation.duration_ms, ..Header::still(Format::WebP, size, 4) }
        }
        Coding::Lossy { has_alpha: false } => {
            Header { orientation: structure.orientation, ..Header::still(Format::WebP, size, 3) }
        }
        Coding::Lossy { has_alpha: true } | Coding::Lossless => {
            Header { orientation: structure.orientation, ..Header::still(Format::WebP, size, 4) }
        }
    })
}

/// Bytes of memory per pixel, at most.
pub(super) const fn bytes_per_pixel(header: &Header) -> u64 {
    match header.channels {
        // Color has a quarter of the samples.
        3 => 2,
        // Two canvases, the picture that is drawn on them, and the one that is handed out.
        _ if header.duration_ms > 0 || header.is_animated() => 16,
        // The reader of lossless ones has a picture of its own.
        _ => 8,
    }
}

pub(super) fn decode(file: &dyn Source, header: &Header, _: Size) -> Result<Decoded, RenderError> {
    let file = file.bytes();
    let structure = Structure::read(file)?;
    let icc = structure.icc.and_then(usable_profile);
    let pixels = match structure.coding {
        Coding::Animated(animation) => Pixels::Picture(decode_first(file, animation, header.size)?),
        Coding::Lossy { .. } | Coding::Lossless => decode_still(file, header.size)?,
    };
    Ok(Decoded { pixels, icc })
}

/// The first picture of an animation, without a look at the others: there may be millions.
fn decode_first(file: &[u8], animation: riff::Animation, size: Size) -> Result<Picture, RenderError> {
    let first = riff::up_to(file, animation.first_end);
    match Animation::open(first.into(), animation.plays, size)?.next_frame()? {
        Some(frame) => Ok(frame.picture),
        None => Err(RenderError::broken("an animation without pictures")),
    }
}

fn decode_still(file: &[u8], size: Size) -> Result<Pixels, RenderError> {
    let features = ffi::features(file)?;
    // Else the limits were checked on another picture.
    if features.size != size || features.is_animated {
        return Err(RenderError::broken("the header contradicts itself"));
    }
    if features.is_lossy && !features.has_alpha {
        let mut planes = ffi::decode_planes(file, size)?;
        let [luma, cb, cr] = &mut planes;
        make_jfif([luma, cb, cr], Matrix::BT601, Range::Limited);
        return Ok(Pixels::Planes { layout: Layout::YCbCr, planes: planes.into() });
    }
    let layout = if features.has_alpha { Layout::Rgba } else { Layout::Rgb };
    Ok(Pixels::Picture(Picture { size, layout, samples: ffi::decode_pixels(file, size, layout)? }))
}

pub(super) fn frames<'f>(file: &'f dyn Source, header: &Header) -> Result<Box<dyn Frames + 'f>, RenderError> {
    let file = file.bytes();
    let Coding::Animated(animation) = Structure::read(file)?.coding else {
        return Err(RenderError::broken("a picture that does not move"));
    };
    // libwebp refuses animations that are cut off.
    let whole = if animation.is_complete { file.into() } else { riff::up_to(file, animation.end).into() };
    Ok(Box::new(Animation::open(whole, animation.plays, header.size)?))
}

struct Animation<'f> {
    decoder: ffi::AnimationDecoder<'f>,
    plays: u16,
    /// When the last picture ends.
    shown_ms: u64,
    has_begun: bool,
}

impl<'f> Animation<'f> {
    fn open(file: Cow<'f, [u8]>, plays: u16, size: Size) -> Result<Self, RenderError> {
        let decoder = ffi::AnimationDecoder::open(file, size)?;
        Ok(Self { decoder, plays, shown_ms: 0, has_begun: false })
    }
}

impl Frames for Animation<'_> {
    fn next_frame(&mut self) -> Result<Option<Frame>, RenderError> {
        let (samples, ends_ms) = match self.decoder.next() {
            Some(Ok(next)) => next,
            // What is shown already can be kept.
            Some(Err(_)) if self.has_begun => return Ok(None),
            Some(Err(error)) => return Err(error),
            None => return Ok(None),
        };
        self.has_begun = true;
        let lasts = Duration::from_millis(ends_ms.saturating_sub(self.shown_ms));
        self.shown_ms = ends_ms;
        let picture = Picture { size: self.decoder.size(), layout: Layout::Rgba, samples };
        Ok(Some(Frame { picture, lasts }))
    }

    fn plays(&self) -> u16 {
        self.plays
    }
}

#[cfg(test)]
mod tests;
