//! Planes of 8 bits, filled with what was decoded.

use heliograph_jpeg::Plane;

use super::properties::Meaning;
use crate::{
    decode::ycbcr::{Matrix, make_jfif, widen},
    error::RenderError,
    geometry::Size,
    picture::{Layout, Picture},
};

/// Green, blue and red as they are.
const IDENTITY: u32 = 0;

/// How samples of color lie among those of brightness: every so many, across and down.
pub(super) type Sampling = (u32, u32);

/// What a decoder has of a picture.
pub(super) trait Coded {
    fn size(&self) -> Size;

    /// None for one without color.
    fn sampling(&self) -> Option<Sampling>;

    fn meaning(&self) -> Meaning;

    /// A row of a plane, in 8 bits.
    fn copy_row(&self, plane: usize, y: u32, to: &mut [u8]);
}

pub(super) struct Canvas {
    pub(super) size: Size,
    pub(super) planes: Vec<Plane>,
    pub(super) meaning: Meaning,
    sampling: Option<Sampling>,
}

impl Canvas {
    /// An empty one for what is coded like this.
    pub(super) fn like(coded: &impl Coded, size: Size) -> Result<Self, RenderError> {
        let sampling = coded.sampling();
        let luma = plane(size, (1, 1))?;
        let mut planes = vec![luma];
        if let Some(sampling) = sampling {
            planes.extend([plane(size, sampling)?, plane(size, sampling)?]);
        }
        Ok(Self { size, planes, meaning: coded.meaning(), sampling })
    }

    /// Puts a picture there, as much of it as there is room for.
    pub(super) fn put(&mut self, coded: &impl Coded, place: (u32, u32)) -> Result<(), RenderError> {
        let (across, down) = self.sampling.unwrap_or((1, 1));
        if coded.sampling() != self.sampling || !place.0.is_multiple_of(across) || !place.1.is_multiple_of(down) {
            return Err(RenderError::broken("tiles of different kinds"));
        }
        let size = coded.size();
        for (index, plane) in self.planes.iter_mut().enumerate() {
            let (across, down) = if index == 0 { (1, 1) } else { (across, down) };
            let (left, top) = (place.0 / across, place.1 / down);
            let wide = size.width.div_ceil(across).min(plane.width.saturating_sub(left)) as usize;
            let high = size.height.div_ceil(down).min(plane.height.saturating_sub(top));
            let rows = plane.samples.chunks_exact_mut(plane.width as usize).skip(top as usize);
            for (y, row) in (0..high).zip(rows) {
                coded.copy_row(index, y, &mut row[left as usize..][..wide]);
            }
        }
        Ok(())
    }

    /// Makes them such as JPEG has.
    pub(super) fn make_full_range(&mut self, meaning: Meaning) -> Result<Layout, RenderError> {
        match &mut *self.planes {
            [gray] => {
                widen(&mut gray.samples, meaning.range);
                Ok(Layout::Gray)
            }
            [green, blue, red] if meaning.matrix == IDENTITY => {
                for plane in [green, blue, red] {
                    widen(&mut plane.samples, meaning.range);
                }
                self.planes.rotate_right(1);
                Ok(Layout::Rgb)
            }
            [luma, cb, cr] => {
                let matrix = Matrix::from_code(meaning.matrix)
                    .ok_or_else(|| RenderError::broken("colors in a code that is not read"))?;
                make_jfif([luma, cb, cr], matrix, meaning.range);
                Ok(Layout::YCbCr)
            }
            _ => Err(RenderError::broken("no planes")),
        }
    }
}

/// Gray, where nothing is put.
fn plane(size: Size, (across, down): Sampling) -> Result<Plane, RenderError> {
    let (width, height) = (size.width.div_ceil(across), size.height.div_ceil(down));
    let length = usize::try_from(u64::from(width) * u64::from(height));
    let length = length.map_err(|_| RenderError::broken("more pixels than there is room for"))?;
    let covered = (f64::from(size.width) / f64::from(across), f64::from(size.height) / f64::from(down));
    Ok(Plane { width, height, covered, samples: vec![0; length] })
}

/// Pixels of red, green, blue and alpha.
pub(super) fn interleave(planes: &[Plane], alpha: &[u8], size: Size) -> Picture {
    let mut samples = vec![0; alpha.len() * 4];
    let channels = planes.iter().map(|plane| &*plane.samples).chain([alpha]);
    for (index, channel) in channels.take(4).enumerate() {
        for (pixel, sample) in samples.as_chunks_mut::<4>().0.iter_mut().zip(channel) {
            pixel[index] = *sample;
        }
    }
    Picture { size, layout: Layout::Rgba, samples }
}

/// Undoes that colors were multiplied by alpha.
pub(super) fn divide_by_alpha(picture: &mut Picture) {
    let channels = picture.layout.channels();
    for pixel in picture.samples.chunks_exact_mut(channels) {
        let Some((alpha, colors)) = pixel.split_last_mut() else { continue };
        let alpha = u32::from(*alpha);
        if alpha == 0 {
            continue;
        }
        for color in colors {
            let divided = (u32::from(*color) * 255 + alpha / 2) / alpha;
            *color = u8::try_from(divided).unwrap_or(u8::MAX);
        }
    }
}
