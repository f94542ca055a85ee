//! A file in, a thumbnail out. Pure: no clock, no store.

use bytes::Bytes;
use heliograph_types::ThumbnailSpec;

use crate::{
    config::ThumbnailsConfig,
    decode::{Format, Header},
    encode::encode,
    error::RenderError,
    geometry::plan,
    resize::Scratch,
};

/// What a render may cost, and how good it gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) most_pixels: u64,
    pub(crate) jpeg_quality: u8,
}

impl From<&ThumbnailsConfig> for Limits {
    fn from(config: &ThumbnailsConfig) -> Self {
        Self { most_pixels: config.max_pixels.get().into(), jpeg_quality: config.jpeg_quality }
    }
}

/// An encoded thumbnail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) format: Format,
    pub(crate) image: Bytes,
}

/// Makes the thumbnail `spec` of `file`. Takes the file, to let go of it when its pixels
/// are there.
pub(crate) fn render(
    scratch: &mut Scratch,
    file: Bytes,
    spec: &ThumbnailSpec,
    limits: &Limits,
) -> Result<Rendered, RenderError> {
    let header = Header::read(&file, limits.most_pixels)?;
    let stored = header.size();
    let orientation = header.orientation();
    let upright = plan(orientation.seen(stored), spec);
    // Turning comes last, when there is little left to turn. The cut is in the middle, so
    // that only swapped sides matter to it.
    let plan = if orientation.swaps_sides() { upright.transposed() } else { upright };

    let picture = header.decode(&file, plan.least_decoded(stored))?;
    drop(file);
    let plan = plan.for_decoded(stored, picture.size);
    let small = scratch.resize(picture, &plan)?;
    let thumbnail = orientation.apply(small.into_light());
    let image = encode(&thumbnail, header.format(), limits.jpeg_quality)?.into();
    Ok(Rendered { format: header.format(), image })
}

#[cfg(test)]
mod tests;
