//! Thumbnails of a picture.

use heliograph_types::ThumbnailFormat;

use crate::{
    animation::Frame,
    decode::{Header, Need, Pixels},
    encode::{
        Encoding, encode,
        jpeg::{self, Planes},
        webp::Animation,
    },
    error::RenderError,
    geometry::{Plan, Size, plan},
    job::{Made, Wanted},
    picture::{Layout, Picture},
    resize::{Original, Scratch},
    rules::Quality,
    source::Source,
};

/// Which part of what people see is wanted, and how large.
pub(crate) fn plan_of(header: &Header, wanted: &Wanted) -> Plan {
    plan(header.seen_size(), &wanted.spec)
}

/// A decoded picture that stands still, or the first one of those that move.
pub(crate) struct Still<'h> {
    header: &'h Header,
    original: Original,
    icc: Option<Vec<u8>>,
}

impl<'h> Still<'h> {
    /// Decodes `file` once, finely enough for each of `plans`, which are for what people see.
    pub(crate) fn decode(
        file: &dyn Source,
        header: &'h Header,
        plans: &[Plan],
        halved_color: bool,
    ) -> Result<Self, RenderError> {
        let decoded = header.decode_for(file, Need { least: least_decoded(header, plans), halved_color })?;
        Ok(Self { header, original: Original::new(decoded.pixels, header.size), icc: decoded.icc })
    }

    /// Makes a thumbnail.
    pub(crate) fn render(
        &mut self,
        scratch: &mut Scratch,
        wanted: &Wanted,
        quality: Quality,
    ) -> Result<Made, RenderError> {
        let plan = plan_of(self.header, wanted);
        let Size { width, height } = plan.size;
        let (encoding, image) = match wanted.format {
            ThumbnailFormat::Usual if self.has_planes() => {
                let planes = self.draw_planes(scratch, plan, jpeg::has_halved_color(quality.jpeg))?;
                (Encoding::Jpeg, jpeg::encode_planes(&planes, quality.jpeg)?)
            }
            format => encode(&self.draw(scratch, plan)?, format, quality)?,
        };
        Ok(Made { encoding, width, height, image: image.into() })
    }

    /// Carries out a plan for what people see.
    pub(crate) fn draw(&mut self, scratch: &mut Scratch, upright: Plan) -> Result<Picture, RenderError> {
        let small = self.original.fit(scratch, &stored(self.header, upright))?;
        let small = self.header.orientation.apply(small);
        Ok(scratch.colors.convert(small, self.icc.as_deref()))
    }

    /// Whether planes go from decoder to encoder without becoming pixels.
    fn has_planes(&self) -> bool {
        self.icc.is_none() && self.original.jfif_planes().is_some()
    }

    /// As [`Self::draw`], plane by plane.
    fn draw_planes(&self, scratch: &mut Scratch, upright: Plan, halved_color: bool) -> Result<Planes, RenderError> {
        let Header { size: full, orientation, .. } = *self.header;
        let luma = stored(self.header, upright);
        let color = if halved_color { luma.halved(orientation.begins_far(full)) } else { luma };
        let planes = self.original.jfif_planes().unwrap_or_default().iter().enumerate().map(|(index, plane)| {
            let plan = if index == 0 { &luma } else { &color };
            let samples = scratch.resize_plane(plane, full, plan)?;
            Ok(orientation.apply(Picture { size: plan.size, layout: Layout::Gray, samples }).samples)
        });
        Ok(Planes { size: upright.size, planes: planes.collect::<Result<_, RenderError>>()? })
    }
}

/// A plan for what people see, for what is stored. Turning comes last, when there is little left to
/// turn. The cut is in the middle, so that only swapped sides matter to it.
pub(crate) const fn stored(header: &Header, upright: Plan) -> Plan {
    if header.orientation.swaps_sides() { upright.transposed() } else { upright }
}

/// The size below which a picture must not be decoded for any of `plans`, which are for what people see.
pub(crate) fn least_decoded(header: &Header, plans: &[Plan]) -> Size {
    let least = plans.iter().map(|plan| stored(header, *plan).least_decoded(header.size));
    least.reduce(larger).unwrap_or(Size { width: 1, height: 1 })
}

fn larger(a: Size, b: Size) -> Size {
    Size { width: a.width.max(b.width), height: a.height.max(b.height) }
}

/// Makes all pictures of an animation smaller.
pub(crate) fn animate(
    scratch: &mut Scratch,
    file: &dyn Source,
    header: &Header,
    wanted: &Wanted,
    quality: Quality,
) -> Result<Made, RenderError> {
    let plan = plan_of(header, wanted);
    let mut frames = header.frames(file)?;
    let mut animation = Animation::begin(plan.size, frames.plays(), quality.webp)?;
    while let Some(Frame { picture, lasts }) = frames.next_frame()? {
        let small = scratch.fit(Pixels::Picture(picture), header.size, &plan)?;
        animation.add(&small, lasts)?;
    }
    let Size { width, height } = plan.size;
    Ok(Made { encoding: Encoding::WebP, width, height, image: animation.finish()?.into() })
}

#[cfg(test)]
mod tests;
