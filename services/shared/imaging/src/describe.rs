//! A file in, what it looks like from afar out. Pure: no clock, no store.

use serde::{Deserialize, Serialize};

use crate::{
    decode::Header,
    error::RenderError,
    geometry::{Plan, Size, plan_stretch},
    render::Still,
    resize::Scratch,
};

/// What is known of a picture that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Pixels, as people see it: turned the way its EXIF orientation says.
    pub width: u32,
    /// Likewise.
    pub height: u32,
    /// How long it moves, in milliseconds; 0 for one that stands still.
    pub duration_ms: u64,
    /// Its colors, blurred (MSC2448). What is transparent counts as white.
    pub blurhash: String,
}

/// How large a picture is looked at, whatever its shape: a blurhash has none. Never smaller:
/// over few pixels its waves do not cancel out, and one color would come out as many.
const GLANCE: Size = Size { width: 64, height: 64 };
/// Waves along the longer and the shorter side: what clients use themselves.
const COMPONENTS: (u32, u32) = (4, 3);

/// What is looked at.
pub(crate) fn plan_of_glance(header: &Header) -> Plan {
    plan_stretch(header.seen_size(), GLANCE)
}

/// Looks at a picture that was decoded for [`plan_of_glance`].
pub(crate) fn describe(
    scratch: &mut Scratch,
    still: &mut Still<'_>,
    header: &Header,
) -> Result<Description, RenderError> {
    let seen = header.seen_size();
    let glance = still.draw(scratch, plan_of_glance(header))?;
    let (longer, shorter) = COMPONENTS;
    let (across, down) = if seen.height > seen.width { (shorter, longer) } else { (longer, shorter) };
    let blurhash = blurhash::encode(across, down, GLANCE.width, GLANCE.height, glance.on_white().as_flattened())
        .map_err(|error| RenderError::broken(error.to_string()))?;
    Ok(Description { width: seen.width, height: seen.height, duration_ms: header.duration_ms, blurhash })
}

#[cfg(test)]
mod tests;
