//! One thumbnail of a picture.

use crate::{
    animation::Frame,
    color::to_srgb,
    decode::{Header, Pixels},
    encode::{Encoding, encode, webp::Animation},
    error::RenderError,
    geometry::{Plan, Size, plan},
    job::{Made, Wanted},
    picture::Picture,
    resize::Scratch,
    rules::Quality,
    source::Source,
};

/// Which part of what people see is wanted, and how large.
pub(crate) fn plan_of(header: &Header, wanted: &Wanted) -> Plan {
    plan(header.seen_size(), &wanted.spec)
}

/// Makes the thumbnail `wanted` of `file`.
pub(crate) fn render(
    scratch: &mut Scratch,
    file: &dyn Source,
    header: &Header,
    wanted: &Wanted,
    quality: Quality,
) -> Result<Made, RenderError> {
    if wanted.spec.animated && header.is_animated() {
        return animate(scratch, file, header, plan_of(header, wanted), quality);
    }
    let thumbnail = draw(scratch, file, header, plan_of(header, wanted))?;
    let (encoding, image) = encode(&thumbnail, wanted.format, quality)?;
    Ok(Made { encoding, width: thumbnail.size.width, height: thumbnail.size.height, image: image.into() })
}

/// Makes all pictures of an animation smaller.
fn animate(
    scratch: &mut Scratch,
    file: &dyn Source,
    header: &Header,
    plan: Plan,
    quality: Quality,
) -> Result<Made, RenderError> {
    let mut frames = header.frames(file)?;
    let mut animation = Animation::begin(plan.size, frames.plays(), quality.webp)?;
    while let Some(Frame { picture, lasts }) = frames.next_frame()? {
        let small = scratch.fit(Pixels::Picture(picture), header.size, &plan)?;
        animation.add(&small, lasts)?;
    }
    let Size { width, height } = plan.size;
    Ok(Made { encoding: Encoding::WebP, width, height, image: animation.finish()?.into() })
}

/// Decodes `file` and carries out a plan for what people see.
pub(crate) fn draw(
    scratch: &mut Scratch,
    file: &dyn Source,
    header: &Header,
    upright: Plan,
) -> Result<Picture, RenderError> {
    let (stored, orientation) = (header.size, header.orientation);
    // Turning comes last, when there is little left to turn. The cut is in the middle, so
    // that only swapped sides matter to it.
    let plan = if orientation.swaps_sides() { upright.transposed() } else { upright };

    let decoded = header.decode(file, plan.least_decoded(stored))?;
    let small = orientation.apply(scratch.fit(decoded.pixels, stored, &plan)?.into_light());
    Ok(match decoded.icc {
        Some(profile) => to_srgb(small, &profile),
        None => small,
    })
}

#[cfg(test)]
mod tests;
