//! A file in, what it looks like from afar out. Pure: no clock, no store.

use bytes::Bytes;
use heliograph_proto::Description;

use crate::{
    decode::Header,
    error::RenderError,
    geometry::{Size, plan_stretch},
    render::{Limits, draw},
    resize::Scratch,
};

/// How large a picture is looked at, whatever its shape: a blurhash has none. Never smaller:
/// over few pixels its waves do not cancel out, and one color would come out as many.
const GLANCE: Size = Size { width: 64, height: 64 };
/// Waves along the longer and the shorter side: what clients use themselves.
const COMPONENTS: (u32, u32) = (4, 3);

/// Looks at a picture. Takes the file, to let go of it when its pixels are there.
pub(crate) fn describe(scratch: &mut Scratch, file: Bytes, limits: &Limits) -> Result<Description, RenderError> {
    let header = Header::read(&file, limits.most_pixels)?;
    let seen = header.seen_size();
    let glance = draw(scratch, file, &header, plan_stretch(seen, GLANCE))?;
    let (longer, shorter) = COMPONENTS;
    let (across, down) = if seen.height > seen.width { (shorter, longer) } else { (longer, shorter) };
    let blurhash = blurhash::encode(across, down, GLANCE.width, GLANCE.height, glance.on_white().as_flattened())
        .map_err(|error| RenderError::broken(error.to_string()))?;
    Ok(Description { width: seen.width, height: seen.height, blurhash })
}

#[cfg(test)]
mod tests;
