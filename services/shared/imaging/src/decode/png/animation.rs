//! APNG: pictures that are drawn one over the other.

use super::{
    chunks::{Chunk, Chunks, Control, Outline},
    read_picture,
    stream::{Data, Stream},
};
use crate::{
    animation::{Frame, Frames},
    decode::canvas::{Canvas, Disposal, Part, as_browsers_show},
    error::RenderError,
    geometry::Size,
    picture::{Layout, Picture},
    rules::Rules,
};

/// How many pictures are shown, and for how many milliseconds; `None` if it stands still, or is
/// more than the rules allow.
pub(super) fn count_frames(file: &[u8], outline: &Outline<'_>, rules: &Rules) -> Option<(u32, u64)> {
    let (_, announced) = outline.animation?;
    let (mut frames, mut duration_ms, mut next) = (0_u32, 0_u64, None);
    for Chunk { kind, content } in Chunks::of(file) {
        match &kind {
            b"fcTL" if frames == announced => break,
            b"fcTL" => next = Some(Control::read(content, outline.size)?),
            b"IDAT" | b"fdAT" => {
                let Some(control) = next.take() else { continue };
                frames += 1;
                duration_ms += milliseconds(as_browsers_show(control.lasts));
                if frames > rules.most_frames || u64::from(frames) * outline.size.pixels() > rules.most_animated_pixels
                {
                    return None;
                }
            }
            _ => {}
        }
    }
    (frames > 1).then_some((frames, duration_ms))
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Memory that the pictures take at most, in bytes: the canvas, and the next one.
pub(super) const fn memory_bytes(size: Size) -> u64 {
    const PIXEL_BYTES: u64 = 4;
    Canvas::memory_bytes(size, true) + size.pixels() * PIXEL_BYTES
}

/// Draws the pictures.
pub(super) struct PngFrames<'f> {
    outline: Outline<'f>,
    chunks: Chunks<'f>,
    canvas: Canvas,
    left: u32,
}

impl<'f> PngFrames<'f> {
    pub(super) fn new(file: &'f [u8], outline: Outline<'f>, frames: u32) -> Self {
        Self { canvas: Canvas::new(outline.size), outline, chunks: Chunks::of(file), left: frames }
    }

    /// The next picture that has data, and where its chunks begin.
    fn next_control(&mut self) -> Option<(Control, Chunks<'f>)> {
        let mut found = None;
        loop {
            let before = self.chunks.clone();
            let Chunk { kind, content } = self.chunks.next()?;
            match &kind {
                b"fcTL" => found = Some(Control::read(content, self.outline.size)?),
                b"IDAT" | b"fdAT" => {
                    if let Some(control) = found {
                        return Some((control, before));
                    }
                }
                _ => {}
            }
        }
    }

    fn draw(&mut self, control: Control, picture: &Picture) {
        let disposal = match control.dispose {
            0 => Disposal::Keep,
            1 => Disposal::Clear,
            _ => Disposal::Restore,
        };
        let part = Part { left: control.left, top: control.top, size: control.size };
        self.canvas.begin(part, disposal);
        let over = control.blend == 1;
        let row_bytes = control.size.width as usize * picture.layout.channels();
        let rows = picture.samples.chunks_exact(row_bytes);
        for (y, row) in (0..self.canvas.rows()).zip(rows) {
            for (below, above) in self.canvas.row(y).iter_mut().zip(pixels(picture.layout, row)) {
                *below = if over { blend(above, *below) } else { above };
            }
        }
    }
}

impl Frames for PngFrames<'_> {
    fn next_frame(&mut self) -> Result<Option<Frame>, RenderError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let Some((control, chunks)) = self.next_control() else {
            self.left = 0;
            return Ok(None);
        };
        let stream = Stream::new(&self.outline, control.size, Data::Frame(chunks));
        // A picture without a single row shows what was there before.
        if let Ok((picture, _)) = read_picture(stream, control.size, control.size) {
            self.draw(control, &picture);
        }
        Ok(Some(Frame { picture: self.canvas.picture(), lasts: as_browsers_show(control.lasts) }))
    }

    fn plays(&self) -> u16 {
        let plays = self.outline.animation.map_or(0, |(plays, _)| plays);
        u16::try_from(plays).unwrap_or(u16::MAX)
    }
}

/// A row as red, green, blue, alpha.
fn pixels(layout: Layout, row: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    row.chunks_exact(layout.channels()).map(|pixel| match *pixel {
        [gray] => [gray, gray, gray, u8::MAX],
        [gray, alpha] => [gray, gray, gray, alpha],
        [red, green, blue] => [red, green, blue, u8::MAX],
        [red, green, blue, alpha] => [red, green, blue, alpha],
        _ => [0; 4],
    })
}

/// What is seen of `below` through `above`; neither is premultiplied.
fn blend(above: [u8; 4], below: [u8; 4]) -> [u8; 4] {
    let (over, under) = (u32::from(above[3]), u32::from(below[3]));
    if over == 255 || under == 0 {
        return above;
    }
    // In parts of 255 times 255.
    let (over, under) = (over * 255, under * (255 - over));
    let alpha = over + under;
    let mix = |above: u8, below: u8| (u32::from(above) * over + u32::from(below) * under + alpha / 2) / alpha.max(1);
    let byte = |value: u32| u8::try_from(value).unwrap_or(u8::MAX);
    let [red, green, blue] = [0, 1, 2].map(|channel| byte(mix(above[channel], below[channel])));
    [red, green, blue, byte((alpha + 127) / 255)]
}
