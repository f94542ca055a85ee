//! AVIF, by rav1d; its container by ourselves, for all that a picture may say of itself there: how it
//! is turned and cut, what its colors mean, where its alpha is, of which tiles it consists.
//!
//! Of a sequence the picture that stands for it. Brightness beyond that of paper (PQ, HLG) is shown
//! as if it were sRGB, and the noise of a film is left away.

mod boxes;
mod canvas;
mod ffi;
mod items;
mod properties;

use self::{
    canvas::{Canvas, Coded as _},
    items::{Grid, Item, Meta},
};
use super::{Decoded, Format, Header, Pixels, usable_profile, ycbcr};
use crate::{
    animation::Frames,
    error::RenderError,
    geometry::Size,
    picture::{Layout, Picture},
    rules::Rules,
    source::Source,
};

pub(super) fn is_of(file: &[u8]) -> bool {
    boxes::is_avif(file)
}

/// Reads the boxes that describe the picture; they are small.
pub(super) fn read_header(file: &[u8], rules: &Rules) -> Result<Header, RenderError> {
    let meta = Meta::read(file)?;
    let primary = meta.primary()?;
    let stored = primary.size()?;
    // What is cut away has to be decoded all the same.
    if stored.pixels() > rules.most_pixels {
        return Err(RenderError::TooManyPixels { pixels: stored.pixels(), most: rules.most_pixels });
    }
    let depth = primary.depth();
    let channels = depth.channels + u8::from(meta.alpha_of(&primary).is_some());
    let size = primary.crop()?.map_or(stored, |crop| crop.size);
    let orientation = primary.orientation();
    Ok(Header { orientation, bits: depth.bits, ..Header::still(Format::Avif, size, channels) })
}

/// Bytes of memory per pixel, at most.
pub(super) const fn bytes_per_pixel(header: &Header) -> u64 {
    // rav1d's planes and what it remembers of blocks; ours.
    let coded = if header.bits > 8 { 8 } else { 5 } + 3;
    // Alpha is a picture of its own; then all become one, with color as large as the rest.
    let with_alpha = if header.channels.is_multiple_of(2) { 12 } else { 0 };
    // What is cut away may be as much as what stays.
    (coded + with_alpha) * MOST_CUT as u64
}

/// Of what is decoded, one in so many pixels must be shown.
const MOST_CUT: u32 = 2;

pub(super) fn frames<'f>(_: &'f dyn Source, _: &Header) -> Result<Box<dyn Frames + 'f>, RenderError> {
    Err(RenderError::broken("a picture that does not move"))
}

pub(super) fn decode(file: &dyn Source, header: &Header) -> Result<Decoded, RenderError> {
    let meta = Meta::read(file.bytes())?;
    let primary = meta.primary()?;
    let mut canvas = decode_item(&meta, &primary)?;
    let meaning = primary.meaning().unwrap_or(canvas.meaning);
    let alpha = meta.alpha_of(&primary).map(|alpha| decode_alpha(&meta, &alpha, &primary)).transpose()?;
    let icc = primary.icc().and_then(usable_profile).or_else(|| meaning.profile());

    let layout = canvas.make_full_range(meaning)?;
    let pixels = match alpha {
        Some(alpha) => Pixels::Picture(join(&canvas, layout, &alpha, meta.is_premultiplied(&primary))?),
        None => Pixels::Planes { layout, planes: canvas.planes },
    };
    let pixels = match primary.crop()? {
        Some(crop) if crop.size == header.size => crop.cut(pixels),
        None if primary.size()? == header.size => pixels,
        _ => return Err(contradiction()),
    };
    Ok(Decoded { pixels, icc })
}

fn contradiction() -> RenderError {
    RenderError::broken("the header contradicts itself")
}

/// Decodes a picture, or all tiles of one.
fn decode_item(meta: &Meta<'_>, item: &Item<'_>) -> Result<Canvas, RenderError> {
    let size = item.size()?;
    if let Some(grid) = item.grid()? {
        return decode_tiles(&meta.tiles_of(item, grid.columns * grid.rows)?, grid, size);
    }
    let coded = ffi::decode(&item.data()?, size.pixels())?;
    if coded.size() != size {
        return Err(contradiction());
    }
    let mut canvas = Canvas::like(&coded, size)?;
    canvas.put(&coded, (0, 0))?;
    Ok(canvas)
}

fn decode_tiles(tiles: &[Item<'_>], grid: Grid, size: Size) -> Result<Canvas, RenderError> {
    /// Tiles reach beyond the edges of small pictures, as they have at least 64 pixels.
    const MOST_BEYOND: u64 = 4;
    let no_fit = || RenderError::broken("tiles that do not fit");
    let tile = tiles.first().ok_or_else(no_fit)?.size()?;
    let all = tile.pixels().saturating_mul(tiles.len() as u64);
    if grid.size != size || all > size.pixels().saturating_mul(MOST_BEYOND) {
        return Err(no_fit());
    }
    let mut canvas: Option<Canvas> = None;
    for (index, item) in (0..).zip(tiles) {
        let coded = ffi::decode(&item.data()?, tile.pixels())?;
        if coded.size() != tile {
            return Err(no_fit());
        }
        let canvas = match &mut canvas {
            Some(canvas) => canvas,
            None => canvas.insert(Canvas::like(&coded, size)?),
        };
        canvas.put(&coded, ((index % grid.columns) * tile.width, (index / grid.columns) * tile.height))?;
    }
    canvas.ok_or_else(no_fit)
}

/// The first plane of the picture that says how opaque another one is.
fn decode_alpha(meta: &Meta<'_>, alpha: &Item<'_>, of: &Item<'_>) -> Result<Vec<u8>, RenderError> {
    if alpha.size()? != of.size()? {
        return Err(RenderError::broken("alpha of another size"));
    }
    let canvas = decode_item(meta, alpha)?;
    let range = alpha.meaning().unwrap_or(canvas.meaning).range;
    let mut planes = canvas.planes;
    let mut samples = std::mem::take(&mut planes.first_mut().ok_or_else(|| RenderError::broken("no planes"))?.samples);
    ycbcr::widen(&mut samples, range);
    Ok(samples)
}

fn join(canvas: &Canvas, layout: Layout, alpha: &[u8], is_premultiplied: bool) -> Result<Picture, RenderError> {
    let mut picture = match layout {
        Layout::Rgb => canvas::interleave(&canvas.planes, alpha, canvas.size),
        _ => ycbcr::with_alpha(&canvas.planes, alpha, canvas.size)?,
    };
    if is_premultiplied {
        canvas::divide_by_alpha(&mut picture);
    }
    Ok(picture)
}

#[cfg(test)]
mod tests;
