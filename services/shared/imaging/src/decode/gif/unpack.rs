//! From the coded bytes of a picture to the canvas.

use weezl::{BitOrder, LzwStatus, decode::Decoder};

use super::blocks::{Image, SubBlocks};
use crate::decode::canvas::Canvas;

/// Rows of an interlaced picture: where each pass begins, and how many it goes on.
const PASSES: [(usize, usize); 4] = [(0, 8), (4, 8), (2, 4), (1, 2)];

/// Draws a picture row by row, as far as it can be unpacked. Whether anything came.
pub(super) fn draw(image: &Image<'_>, canvas: &mut Canvas) -> bool {
    let Some(mut pixels) = Unpacker::new(image) else { return false };
    let mut row = vec![0; image.part.size.width as usize];
    let mut has_rows = false;
    for y in rows(image, canvas.rows()) {
        if !pixels.fill(&mut row) {
            break;
        }
        has_rows = true;
        if y >= canvas.rows() {
            continue;
        }
        for (pixel, index) in canvas.row(y).iter_mut().zip(&row) {
            let color = image.palette.as_chunks().0.get(usize::from(*index));
            if let (Some([red, green, blue]), false) = (color, image.transparent == Some(*index)) {
                *pixel = [*red, *green, *blue, u8::MAX];
            }
        }
    }
    has_rows
}

/// The rows as they come. What comes after the last one that is seen is left out.
fn rows(image: &Image<'_>, seen: u32) -> impl Iterator<Item = u32> {
    let (height, interlaced) = (image.part.size.height, image.interlaced);
    let pass = move |(start, step): (usize, usize)| (0..height).skip(start).step_by(step);
    let in_passes = PASSES.into_iter().filter(move |_| interlaced).flat_map(pass);
    in_passes.chain((0..seen).filter(move |_| !interlaced))
}

struct Unpacker<'f> {
    lzw: Decoder,
    blocks: SubBlocks<'f>,
    block: &'f [u8],
}

impl<'f> Unpacker<'f> {
    fn new(image: &Image<'f>) -> Option<Self> {
        let is_valid = (1..=11).contains(&image.color_bits);
        is_valid.then(|| Self {
            lzw: Decoder::new(BitOrder::Lsb, image.color_bits),
            blocks: image.data.clone(),
            block: &[],
        })
    }

    /// Unpacks a row; false if it ends before.
    fn fill(&mut self, row: &mut [u8]) -> bool {
        let mut filled = 0;
        while filled < row.len() {
            let result = self.lzw.decode_bytes(self.block, &mut row[filled..]);
            self.block = self.block.get(result.consumed_in..).unwrap_or_default();
            filled += result.consumed_out;
            let is_stuck = result.consumed_in == 0 && result.consumed_out == 0;
            match result.status {
                Ok(LzwStatus::Done) | Err(_) => break,
                Ok(_) if !is_stuck => {}
                Ok(_) if !self.block.is_empty() => break,
                Ok(_) => match self.blocks.next() {
                    Some(block) => self.block = block,
                    None => break,
                },
            }
        }
        filled == row.len()
    }
}
