//! GIF. Its blocks are read here, as a hostile file has many; what is in them is unpacked by
//! `weezl`.

mod blocks;
mod unpack;

use self::{
    blocks::{Blocks, Image},
    unpack::draw,
};
use super::{
    Decoded, Format, Header,
    canvas::{Canvas, Part, as_browsers_show},
};
use crate::{
    animation::{Frame, Frames},
    error::RenderError,
    geometry::Size,
    rules::Rules,
    source::Source,
};

/// Pictures that are looked at until one has pixels.
const MOST_TRIES: usize = 16;
/// How much larger than the canvas a picture may be: writers make mistakes, but unpacking what
/// nobody sees costs time as well.
const MOST_TIMES_CANVAS: u64 = 4;
const MOST_BEYOND_CANVAS: u64 = 1 << 16;
/// Of `weezl`.
const UNPACKER_BYTES: u64 = 256 << 10;

pub(super) fn is_of(file: &[u8]) -> bool {
    file.starts_with(b"GIF87a") || file.starts_with(b"GIF89a")
}

/// Walks over the blocks, no farther than animations may go.
pub(super) fn read_header(file: &[u8], rules: &Rules) -> Result<Header, RenderError> {
    let (size, images) = open(file)?;
    let still = Header::still(Format::Gif, size, 4);
    let (mut frames, mut duration_ms) = (0_u32, 0_u64);
    for image in images {
        frames += 1;
        duration_ms += u64::try_from(as_browsers_show(image.lasts).as_millis()).unwrap_or(u64::MAX);
        if frames > rules.most_frames || u64::from(frames) * size.pixels() > rules.most_animated_pixels {
            return Ok(still);
        }
    }
    match frames {
        0 => Err(RenderError::broken("no picture")),
        1 => Ok(still),
        _ => Ok(Header { frames, duration_ms, ..still }),
    }
}

/// Memory that it takes at most, in bytes.
pub(super) const fn memory_bytes(header: &Header, animated: bool) -> u64 {
    Canvas::memory_bytes(header.size, animated) + UNPACKER_BYTES
}

/// Draws the first picture that can be read.
pub(super) fn decode(file: &dyn Source, header: &Header) -> Result<Decoded, RenderError> {
    let (_, images) = open(file.bytes())?;
    let mut canvas = Canvas::new(header.size);
    for image in images.take(MOST_TRIES) {
        canvas.begin(image.part, image.disposal);
        if draw(&image, &mut canvas) {
            return Ok(canvas.into_picture().into());
        }
    }
    Err(RenderError::broken("no picture that can be read"))
}

/// The pictures of the animation.
pub(super) fn frames<'f>(file: &'f dyn Source, header: &Header) -> Result<Box<dyn Frames + 'f>, RenderError> {
    let mut before_first = Blocks::read(file.bytes())?;
    before_first.next();
    let (size, images) = open(file.bytes())?;
    let images = images.take(header.frames as usize);
    Ok(Box::new(GifFrames { images, canvas: Canvas::new(size), plays: before_first.plays }))
}

/// How large the canvas is, and the pictures that have a part on it.
fn open(file: &[u8]) -> Result<(Size, impl Iterator<Item = Image<'_>>), RenderError> {
    let blocks = Blocks::read(file)?;
    let mut size = blocks.screen.size;
    if size.pixels() == 0 {
        // Browsers take the first picture for the canvas.
        size = blocks.clone().next().map_or(size, |image| image.part.size);
    }
    Ok((size, blocks.filter(move |image| is_seen(image, size))))
}

fn is_seen(image: &Image<'_>, canvas: Size) -> bool {
    let Part { left, top, size } = image.part;
    let is_on_canvas = left < canvas.width && top < canvas.height && size.pixels() > 0;
    let has_colors = !image.palette.is_empty();
    is_on_canvas && has_colors && size.pixels() <= canvas.pixels() * MOST_TIMES_CANVAS + MOST_BEYOND_CANVAS
}

struct GifFrames<I> {
    images: I,
    canvas: Canvas,
    plays: u16,
}

impl<'f, I: Iterator<Item = Image<'f>>> Frames for GifFrames<I> {
    fn next_frame(&mut self) -> Result<Option<Frame>, RenderError> {
        let Some(image) = self.images.next() else { return Ok(None) };
        self.canvas.begin(image.part, image.disposal);
        // One that cannot be read shows what was there before.
        draw(&image, &mut self.canvas);
        Ok(Some(Frame { picture: self.canvas.picture(), lasts: as_browsers_show(image.lasts) }))
    }

    fn plays(&self) -> u16 {
        self.plays
    }
}

#[cfg(test)]
mod tests;
