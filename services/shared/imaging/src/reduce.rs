//! Makes a picture smaller while its rows come in: most of it is never in memory. What is left to
//! do is for a better filter.

use fast_image_resize::{MulDiv, images::Image};

use crate::{
    error::RenderError,
    geometry::Size,
    picture::{Layout, Picture},
    resize::{pixel_type, unexpected},
};

/// How much the better filter must have left to do: less, and the boxes of this one would show.
const LEFT_TO_FILTER: u32 = 2;
/// Pixels of a box along a side, but for those that are spread over the boxes when it does not fit:
/// fewer than half as many again. Sums of so many rows fit in 16 bits, those of a box in 24.
const MOST_IN_BOX: u32 = 128;

/// How large a picture comes out that may not be smaller than `least`.
pub(crate) fn reduced_size(full: Size, least: Size) -> Size {
    let side = |full: u32, least: u32| {
        let in_box = full / least.max(1).saturating_mul(LEFT_TO_FILTER);
        full / in_box.clamp(1, MOST_IN_BOX)
    };
    Size { width: side(full.width, least.width), height: side(full.height, least.height) }
}

/// Takes a picture row by row.
pub(crate) struct Reducer {
    full: Size,
    small: Size,
    layout: Layout,
    /// Rows that came.
    rows: u32,
    /// Those of them that are in `sums`.
    in_sums: u32,
    /// Of each column, since the last row of `samples`.
    sums: Vec<u16>,
    /// The column behind each box.
    ends: Vec<u32>,
    samples: Vec<u8>,
    alpha: MulDiv,
}

impl Reducer {
    /// For a picture that is `full` large and may not become smaller than `least`.
    pub(crate) fn new(full: Size, layout: Layout, least: Size) -> Self {
        let small = reduced_size(full, least);
        let bytes = in_memory(small.pixels()).saturating_mul(layout.channels());
        let sums = if small == full { 0 } else { full.width as usize * layout.channels() };
        let ends = (1..=small.width).map(|boxes| boundary(boxes, full.width, small.width)).collect();
        Self {
            full,
            small,
            layout,
            rows: 0,
            in_sums: 0,
            sums: vec![0; sums],
            ends,
            samples: Vec::with_capacity(bytes),
            alpha: MulDiv::new(),
        }
    }

    /// Adds the next row, and leaves something else in it.
    ///
    /// # Invariants
    ///
    /// `row` is as long as the picture is wide, and there are not more rows than it is high.
    pub(crate) fn add(&mut self, row: &mut [u8]) -> Result<(), RenderError> {
        debug_assert_eq!(row.len(), self.full.width as usize * self.layout.channels());
        debug_assert!(self.rows < self.full.height);
        self.rows += 1;
        if self.small == self.full {
            self.samples.extend_from_slice(row);
            return Ok(());
        }
        if self.layout.has_alpha() {
            // What is transparent must not lend its color to its neighbours.
            let mut image = Image::from_slice_u8(self.full.width, 1, row, pixel_type(self.layout));
            let image = image.as_mut().map_err(|error| unexpected(*error))?;
            self.alpha.multiply_alpha_inplace(image).map_err(unexpected)?;
        }
        for (sum, sample) in self.sums.iter_mut().zip(row.iter()) {
            *sum += u16::from(*sample);
        }
        self.in_sums += 1;
        if self.rows == self.end_of_box() {
            self.end_box();
        }
        Ok(())
    }

    /// The picture. What never came is transparent, or white where that cannot be.
    pub(crate) fn finish(mut self) -> Picture {
        if self.in_sums > 0 {
            self.end_box();
        }
        let bytes = in_memory(self.small.pixels()).saturating_mul(self.layout.channels());
        self.samples.resize(bytes, nothing(self.layout));
        Picture { size: self.small, layout: self.layout, samples: self.samples }
    }

    /// After how many rows the box is full that is being summed up.
    fn end_of_box(&self) -> u32 {
        let done = self.samples.len() / (self.small.width as usize * self.layout.channels());
        boundary(u32::try_from(done + 1).unwrap_or(u32::MAX), self.full.height, self.small.height)
    }

    /// Makes a row of the sums.
    fn end_box(&mut self) {
        match self.layout {
            Layout::Gray => self.average::<1>(),
            Layout::Rgb | Layout::YCbCr => self.average::<3>(),
            Layout::Cmyk { .. } | Layout::Ycck => self.average::<4>(),
            Layout::GrayAlpha => self.average_veiled::<2>(),
            Layout::Rgba => self.average_veiled::<4>(),
        }
        self.sums.fill(0);
        self.in_sums = 0;
    }

    fn average<const N: usize>(&mut self) {
        self.for_each_box::<N>(|sums, mean| sums.map(|sum| mean.of(sum)));
    }

    /// Colors were multiplied by their alpha, which must be undone; alpha comes last.
    fn average_veiled<const N: usize>(&mut self) {
        self.for_each_box::<N>(|sums, mean| {
            let alpha = sums[N - 1];
            let mut pixel = match alpha {
                0 => [0; N],
                _ if mean.is_of_opaque(alpha) => sums.map(|sum| mean.of(sum)),
                // The largest sums of a box fit, see `MOST_IN_BOX`.
                _ => sums.map(|sum| u8::try_from((sum * 255 + alpha / 2) / alpha).unwrap_or(u8::MAX)),
            };
            pixel[N - 1] = mean.of(alpha);
            pixel
        });
    }

    fn for_each_box<const N: usize>(&mut self, pixel_of: impl Fn([u32; N], Mean) -> [u8; N]) {
        let columns = self.sums.as_chunks::<N>().0;
        let (mut start, mut mean) = (0, Mean::over(self.in_sums));
        for end in &self.ends {
            let end = *end as usize;
            let mut sums = [0_u32; N];
            for column in &columns[start..end] {
                for (sum, sample) in sums.iter_mut().zip(column) {
                    *sum += u32::from(*sample);
                }
            }
            let pixels = u32::try_from(end - start).unwrap_or(u32::MAX) * self.in_sums;
            if mean.count != pixels {
                mean = Mean::over(pixels);
            }
            self.samples.extend_from_slice(&pixel_of(sums, mean));
            start = end;
        }
    }
}

/// Divides by the same number again and again, which is a multiplication.
#[derive(Clone, Copy)]
struct Mean {
    count: u32,
    /// In parts of 2 to the 32nd.
    reciprocal: u64,
}

impl Mean {
    const BITS: u32 = 32;

    fn over(count: u32) -> Self {
        Self { count, reciprocal: (1 << Self::BITS) / u64::from(count.max(1)) }
    }

    /// Rounded.
    fn of(self, sum: u32) -> u8 {
        let rounded = (u64::from(sum) * self.reciprocal + (1 << (Self::BITS - 1))) >> Self::BITS;
        u8::try_from(rounded).unwrap_or(u8::MAX)
    }

    /// Whether this sum is one of samples that all are 255.
    fn is_of_opaque(self, sum: u32) -> bool {
        sum == self.count * 255
    }
}

/// Where the first `boxes` of `parts` boxes end, so that all are as large as each other within a
/// pixel.
fn boundary(boxes: u32, side: u32, parts: u32) -> u32 {
    let end = u64::from(boxes) * u64::from(side) / u64::from(parts);
    u32::try_from(end).unwrap_or(side).min(side)
}

/// The sample of pixels that are not there.
pub(crate) const fn nothing(layout: Layout) -> u8 {
    if layout.has_alpha() { 0 } else { u8::MAX }
}

/// A size, where it is allocated. What does not fit could not be allocated either.
pub(crate) fn in_memory(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
