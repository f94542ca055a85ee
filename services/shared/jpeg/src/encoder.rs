//! The writer that others use.
//!
//! A picture is gone through twice: first each block is transformed, and what is to be written is noted
//! as tokens, which are counted; then codes are made that suit the counts, and the tokens are written.

mod codes;
mod entropy;
mod file;
mod quantisation;
mod tokens;
mod transform;

use fearless_simd::Simd;

use self::{
    codes::Codes,
    entropy::EntropyWriter,
    file::FrameComponent,
    quantisation::{CHROMA, LUMA, Quantisation},
    tokens::{BlockWriter, Tokens},
    transform::transform,
};
use crate::processor::{Task, run_with_best_instructions};

/// What can be written in the two bytes that a file has for each side.
const LONGEST_SIDE: u32 = 65_535;
const BLOCK: usize = 8;

/// Why a picture cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A side is 0, or longer than 65,535.
    #[error("a JPEG cannot be {width} by {height} pixels large")]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// A plane has not as many samples as its size asks for.
    #[error("component {component} has {found} samples instead of {expected}")]
    Samples {
        /// Which one.
        component: usize,
        /// As many as it must have.
        expected: u64,
        /// As many as it has.
        found: u64,
    },
}

/// The samples of a picture: a plane per component, row by row, without gaps.
#[derive(Debug, Clone, Copy)]
pub enum Samples<'s> {
    /// Brightness alone.
    Gray(&'s [u8]),
    /// Y, Cb and Cr as JFIF defines them, each as large as the picture (4:4:4).
    Whole([&'s [u8]; 3]),
    /// Likewise, but Cb and Cr are half as large in each direction, rounded up (4:2:0): a sample of
    /// color lies in the middle of four of brightness.
    Halved([&'s [u8]; 3]),
}

/// Writes baseline JPEGs, with Huffman codes that suit each, and no metadata.
///
/// ```
/// use heliograph_jpeg::{Encoder, Samples};
///
/// # fn main() -> Result<(), heliograph_jpeg::EncodeError> {
/// let (luma, color) = ([90; 3 * 3], [128; 2 * 2]);
/// let file = Encoder::new(80).encode(3, 3, Samples::Halved([&luma, &color, &color]))?;
///
/// assert!(file.starts_with(&[0xff, 0xd8]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Encoder {
    luma: Quantisation,
    chroma: Quantisation,
    /// Kept from one picture to the next.
    tokens: Tokens,
}

impl Encoder {
    /// Of a quality from 1 to 100, as libjpeg counts it: with the same quantisation.
    pub fn new(quality: u8) -> Self {
        Self {
            luma: Quantisation::new(&LUMA, quality),
            chroma: Quantisation::new(&CHROMA, quality),
            tokens: Tokens::default(),
        }
    }

    /// Writes a picture. Takes memory for the file, and four bytes for each coefficient that is not
    /// zero.
    ///
    /// # Errors
    ///
    /// The size is not one that a JPEG can have, or the planes are not of that size.
    pub fn encode(&mut self, width: u32, height: u32, samples: Samples<'_>) -> Result<Vec<u8>, EncodeError> {
        if !(1..=LONGEST_SIDE).contains(&width) || !(1..=LONGEST_SIDE).contains(&height) {
            return Err(EncodeError::Size { width, height });
        }
        let mut components = components(width, height, samples)?;
        let Self { luma, chroma, tokens } = self;
        tokens.clear();
        let (across, down) = mcus(width, height, &components);
        for mcu_row in 0..down {
            let components = &mut components;
            run_with_best_instructions(RowOfMcus { mcu_row, across, components, luma, chroma, tokens });
        }

        let codes = Codes::suiting(tokens.counts(), components.len() > 1);
        let frame = components.iter().map(Component::in_frame);
        let quantisation: &[&Quantisation] = if components.len() > 1 { &[luma, chroma] } else { &[luma] };
        let mut file = file::begin(width, height, frame, quantisation, &codes);
        let mut writer = EntropyWriter::new(&mut file, &codes);
        tokens.iter().for_each(|token| writer.put(token));
        writer.finish();
        file::end(&mut file);
        Ok(file)
    }
}

/// A plane, and what it is in an MCU.
struct Component<'s> {
    samples: &'s [u8],
    width: usize,
    height: usize,
    /// Blocks in an MCU.
    across: usize,
    down: usize,
    is_color: bool,
    predictor: i32,
}

fn components(width: u32, height: u32, samples: Samples<'_>) -> Result<Vec<Component<'_>>, EncodeError> {
    let (planes, halving): (Vec<&[u8]>, u32) = match samples {
        Samples::Gray(luma) => (vec![luma], 1),
        Samples::Whole(planes) => (planes.to_vec(), 1),
        Samples::Halved(planes) => (planes.to_vec(), 2),
    };
    let component = |(index, samples): (usize, _)| match index {
        0 => Component::new(0, samples, (width, height), halving),
        _ => Component::new(index, samples, (width.div_ceil(halving), height.div_ceil(halving)), 1),
    };
    planes.into_iter().enumerate().map(component).collect()
}

/// Across and down.
fn mcus(width: u32, height: u32, components: &[Component<'_>]) -> (usize, usize) {
    let side = components.first().map_or(BLOCK, |luma| luma.across * BLOCK);
    ((width as usize).div_ceil(side), (height as usize).div_ceil(side))
}

impl<'s> Component<'s> {
    fn new(index: usize, samples: &'s [u8], (width, height): (u32, u32), factor: u32) -> Result<Self, EncodeError> {
        let (expected, found) = (u64::from(width) * u64::from(height), samples.len() as u64);
        if expected != found {
            return Err(EncodeError::Samples { component: index, expected, found });
        }
        let (width, height, factor) = (width as usize, height as usize, factor as usize);
        Ok(Self { samples, width, height, across: factor, down: factor, is_color: index > 0, predictor: 0 })
    }

    const fn in_frame(&self) -> FrameComponent {
        FrameComponent { across: self.across as u8, down: self.down as u8, is_color: self.is_color }
    }

    /// The samples of a block, those of the edges repeated beyond them; none of a block that is all
    /// beyond.
    #[inline(always)]
    fn block(&self, left: usize, top: usize) -> Option<[[u8; BLOCK]; BLOCK]> {
        if left >= self.width || top >= self.height {
            return None;
        }
        let mut block = [[0; BLOCK]; BLOCK];
        for (y, target) in block.iter_mut().enumerate() {
            let start = (top + y).min(self.height - 1) * self.width;
            let row = self.samples.get(start..start + self.width)?;
            let rest = &row[left..];
            if let Some(whole) = rest.first_chunk() {
                *target = *whole;
            } else {
                target.fill(*rest.last()?);
                target[..rest.len()].copy_from_slice(rest);
            }
        }
        Some(block)
    }
}

/// Noting what is to be written of a row of MCUs.
struct RowOfMcus<'r, 's> {
    mcu_row: usize,
    across: usize,
    components: &'r mut [Component<'s>],
    luma: &'r Quantisation,
    chroma: &'r Quantisation,
    tokens: &'r mut Tokens,
}

impl Task for RowOfMcus<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { mcu_row, across, components, luma, chroma, tokens } = self;
        for mcu in 0..across {
            for component in &mut *components {
                let quantisation = if component.is_color { chroma } else { luma };
                let mut writer = tokens.of_component(component.is_color);
                let (across, down) = (component.across, component.down);
                for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
                    let left = (mcu * across + x) * BLOCK;
                    let top = (mcu_row * down + y) * BLOCK;
                    write_block(simd, &mut writer, component, quantisation, (left, top));
                }
            }
        }
    }
}

#[inline(always)]
fn write_block<S: Simd>(
    simd: S,
    writer: &mut BlockWriter<'_>,
    component: &mut Component<'_>,
    quantisation: &Quantisation,
    (left, top): (usize, usize),
) {
    match component.block(left, top) {
        Some(samples) => {
            let block = transform(simd, &samples, quantisation.divisors());
            writer.put(&block, &mut component.predictor);
        }
        // Nobody will see it: as the one before, and without waves.
        None => writer.put_nothing(),
    }
}
