//! A file in, a thumbnail out. Pure: no clock, no store.

use bytes::Bytes;
use heliograph_types::{ThumbnailMethod, ThumbnailSpec};

use crate::{
    config::ThumbnailsConfig,
    decode::{Format, Header},
    encode::encode,
    error::RenderError,
    geometry::{Plan, Size, plan},
    picture::Picture,
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

/// Which thumbnail is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    /// What the caller gets at least.
    pub(crate) exact: ThumbnailSpec,
    /// What is stored for all who ask alike, and made instead where that is as good.
    pub(crate) stored: Option<ThumbnailSpec>,
}

impl Wanted {
    /// What a request for `spec` gets. A larger picture of the same content is always as
    /// good: of those who ask for some scale, all mean the same.
    pub(crate) fn by(spec: ThumbnailSpec) -> Self {
        let (exact, stored) = (spec.clamped(), spec.stored_form());
        match spec.method {
            ThumbnailMethod::Scale => Self { exact: stored.unwrap_or(exact), stored },
            ThumbnailMethod::Crop => Self { exact, stored },
        }
    }

    /// Exactly this one, not to be stored.
    pub(crate) const fn exactly(spec: ThumbnailSpec) -> Self {
        Self { exact: spec, stored: None }
    }

    /// Which is made of a picture that people see as `source` large, and whether that is the
    /// stored one. A crop whose box is larger than the picture loses its shape: smaller boxes
    /// in its place would not, so it is no answer for them.
    fn choose(&self, source: Size) -> (ThumbnailSpec, bool) {
        let for_all = |form: &ThumbnailSpec| {
            let made = plan(source, form).size;
            let (across, down) = (u64::from(made.width), u64::from(made.height));
            form.method == ThumbnailMethod::Scale || across * u64::from(form.height) == down * u64::from(form.width)
        };
        self.stored.filter(for_all).map_or((self.exact, false), |form| (form, true))
    }
}

/// An encoded thumbnail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// Whether it is the one that may be stored.
    pub(crate) for_all: bool,
    pub(crate) format: Format,
    pub(crate) image: Bytes,
}

/// Makes the thumbnail `wanted` of `file`. Takes the file, to let go of it when its pixels
/// are there.
pub(crate) fn render(
    scratch: &mut Scratch,
    file: Bytes,
    wanted: &Wanted,
    limits: &Limits,
) -> Result<Rendered, RenderError> {
    let header = Header::read(&file, limits.most_pixels)?;
    let source = header.seen_size();
    let (spec, for_all) = wanted.choose(source);
    let thumbnail = draw(scratch, file, &header, plan(source, &spec))?;
    let image = encode(&thumbnail, header.format(), limits.jpeg_quality)?.into();
    Ok(Rendered { for_all, format: header.format(), image })
}

/// Decodes `file` and carries out a plan for what people see.
pub(crate) fn draw(scratch: &mut Scratch, file: Bytes, header: &Header, upright: Plan) -> Result<Picture, RenderError> {
    let (stored, orientation) = (header.size(), header.orientation());
    // Turning comes last, when there is little left to turn. The cut is in the middle, so
    // that only swapped sides matter to it.
    let plan = if orientation.swaps_sides() { upright.transposed() } else { upright };

    let decoded = header.decode(&file, plan.least_decoded(stored))?;
    drop(file);
    let small = scratch.fit(decoded, stored, &plan)?;
    Ok(orientation.apply(small.into_light()))
}

#[cfg(test)]
mod tests;
