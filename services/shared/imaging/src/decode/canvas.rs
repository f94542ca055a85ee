//! What the pictures of an animation are drawn on.

use std::time::Duration;

use crate::{
    geometry::Size,
    picture::{Layout, Picture},
    reduce::in_memory,
};

type Pixel = [u8; 4];

/// A part of the canvas, in whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) size: Size,
}

/// What becomes of a picture when the next one comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposal {
    /// It stays.
    Keep,
    /// Its part of the canvas becomes transparent.
    Clear,
    /// Its part of the canvas becomes what it was before.
    Restore,
}

/// What is still to be done to the canvas.
#[derive(Debug)]
enum Pending {
    Nothing,
    Clear(Part),
    Restore(Part, Vec<Pixel>),
}

/// Transparent at first.
#[derive(Debug)]
pub(super) struct Canvas {
    size: Size,
    pixels: Vec<Pixel>,
    /// Within the canvas.
    part: Part,
    pending: Pending,
}

impl Canvas {
    pub(super) fn new(size: Size) -> Self {
        let part = Part { left: 0, top: 0, size };
        Self { size, pixels: vec![[0; 4]; in_memory(size.pixels())], part, pending: Pending::Nothing }
    }

    /// Memory of a canvas of that size, in bytes; of an animation, with what is kept to restore it
    /// and the picture that is taken of it.
    pub(super) const fn memory_bytes(size: Size, animated: bool) -> u64 {
        const PIXEL_BYTES: u64 = 4;
        size.pixels() * PIXEL_BYTES * if animated { 3 } else { 1 }
    }

    /// Disposes of the picture before, and begins the next one. Of its part, only what is on the
    /// canvas counts.
    pub(super) fn begin(&mut self, part: Part, disposal: Disposal) {
        self.dispose();
        self.part = self.clip(part);
        self.pending = match disposal {
            Disposal::Keep => Pending::Nothing,
            Disposal::Clear => Pending::Clear(self.part),
            Disposal::Restore => Pending::Restore(self.part, self.copy(self.part)),
        };
    }

    fn dispose(&mut self) {
        match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Nothing => {}
            Pending::Clear(part) => {
                for y in 0..part.size.height {
                    self.row_of(part, y).fill([0; 4]);
                }
            }
            Pending::Restore(part, before) => {
                let rows = before.chunks_exact(part.size.width.max(1) as usize);
                for (y, row) in (0..part.size.height).zip(rows) {
                    self.row_of(part, y).copy_from_slice(row);
                }
            }
        }
    }

    fn clip(&self, Part { left, top, size }: Part) -> Part {
        let (left, top) = (left.min(self.size.width), top.min(self.size.height));
        let width = size.width.min(self.size.width - left);
        let height = size.height.min(self.size.height - top);
        Part { left, top, size: Size { width, height } }
    }

    fn copy(&mut self, part: Part) -> Vec<Pixel> {
        let mut pixels = Vec::with_capacity(in_memory(part.size.pixels()));
        for y in 0..part.size.height {
            pixels.extend_from_slice(self.row_of(part, y));
        }
        pixels
    }

    fn row_of(&mut self, part: Part, y: u32) -> &mut [Pixel] {
        let start = (part.top + y) as usize * self.size.width as usize + part.left as usize;
        &mut self.pixels[start..start + part.size.width as usize]
    }

    /// Rows of the picture that are on the canvas.
    pub(super) const fn rows(&self) -> u32 {
        self.part.size.height
    }

    /// What is on the canvas of a row of the picture.
    ///
    /// # Invariants
    ///
    /// `y` is below [`Self::rows`].
    pub(super) fn row(&mut self, y: u32) -> &mut [Pixel] {
        debug_assert!(y < self.rows());
        self.row_of(self.part, y)
    }

    /// As it looks now.
    pub(super) fn picture(&self) -> Picture {
        Picture { size: self.size, layout: Layout::Rgba, samples: self.pixels.as_flattened().to_vec() }
    }

    /// As it looks now, for the last time.
    pub(super) fn into_picture(self) -> Picture {
        let samples = self.pixels.into_flattened();
        Picture { size: self.size, layout: Layout::Rgba, samples }
    }
}

/// How long a picture is shown that has this time in its file: browsers take next to none for a
/// mistake.
pub(super) fn as_browsers_show(lasts: Duration) -> Duration {
    const TOO_SHORT: Duration = Duration::from_millis(10);
    const INSTEAD: Duration = Duration::from_millis(100);
    if lasts <= TOO_SHORT { INSTEAD } else { lasts }
}

#[cfg(test)]
mod tests;
