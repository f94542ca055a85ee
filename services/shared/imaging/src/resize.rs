//! Cuts and resamples, with Lanczos3.

use fast_image_resize::{
    FilterType, MulDiv, PixelTrait, PixelType, ResizeAlg, ResizeError, ResizeOptions, Resizer,
    images::{Image, ImageRef},
    pixels::{U8, U8x2, U8x3, U8x4},
};
use heliograph_jpeg::Plane;

use crate::{
    color::ToSrgb,
    decode::Pixels,
    error::RenderError,
    geometry::{Area, Plan, Size},
    picture::{Layout, Picture},
};

/// What a worker keeps from one picture to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    resizer: Resizer,
    alpha: MulDiv,
    pub(crate) colors: ToSrgb,
}

/// A decoded picture, of which several are made.
#[derive(Debug)]
pub(crate) struct Original {
    pixels: Pixels,
    /// As it is stored.
    full: Size,
    /// Whether samples were multiplied with their alpha.
    is_premultiplied: bool,
}

impl Original {
    /// What is stored as `full` large, as it was decoded.
    pub(crate) const fn new(pixels: Pixels, full: Size) -> Self {
        Self { pixels, full, is_premultiplied: false }
    }

    /// Its planes, if it is such as JPEG stores them.
    pub(crate) fn jfif_planes(&self) -> Option<&[Plane]> {
        match &self.pixels {
            Pixels::Planes { layout: Layout::Gray | Layout::YCbCr, planes } => Some(planes),
            _ => None,
        }
    }

    /// Carries out a plan. Pixels that are only cut out come first: what is transparent is changed
    /// for the resampling, and would lose a little on its way back.
    pub(crate) fn fit(&mut self, scratch: &mut Scratch, plan: &Plan) -> Result<Picture, RenderError> {
        match &mut self.pixels {
            Pixels::Planes { layout, planes } => {
                let planes = planes.iter().map(|plane| scratch.resize_plane(plane, self.full, plan));
                let planes: Vec<Vec<u8>> = planes.collect::<Result<_, _>>()?;
                Ok(Picture { size: plan.size, layout: *layout, samples: interleave(planes, plan.size) })
            }
            Pixels::Picture(picture) => {
                let plan = plan.for_decoded(self.full, picture.size);
                // What is transparent must not lend its color to its neighbours.
                if picture.layout.has_alpha() && plan.resampled && !self.is_premultiplied {
                    scratch.multiply_alpha(picture)?;
                    self.is_premultiplied = true;
                }
                scratch.resize(picture, &plan, self.is_premultiplied)
            }
        }
    }
}

impl Scratch {
    /// Carries out a plan for what is stored as `full` large, on what was decoded of it.
    pub(crate) fn fit(&mut self, decoded: Pixels, full: Size, plan: &Plan) -> Result<Picture, RenderError> {
        Original::new(decoded, full).fit(self, plan)
    }

    /// Carries out a plan for what is stored as `full` large, on one channel.
    pub(crate) fn resize_plane(&mut self, plane: &Plane, full: Size, plan: &Plan) -> Result<Vec<u8>, RenderError> {
        let span = |from: f64, length: f64, scale: f64, side: u32| {
            let (from, to) = ((from * scale).max(0.0), ((from + length) * scale).min(f64::from(side)));
            (from, to - from)
        };
        let (across, down) = (plane.covered.0 / f64::from(full.width), plane.covered.1 / f64::from(full.height));
        let (left, width) = span(plan.area.left, plan.area.width, across, plane.width);
        let (top, height) = span(plan.area.top, plan.area.height, down, plane.height);
        let source = ImageRef::new(plane.width, plane.height, &plane.samples, PixelType::U8).map_err(unexpected)?;
        let mut target = Image::new(plan.size.width, plan.size.height, PixelType::U8);
        // Color of a small picture may have to grow. What is sharp would then get a halo.
        let grows = f64::from(plan.size.width) > width || f64::from(plan.size.height) > height;
        let filter = if grows { FilterType::Bilinear } else { FilterType::Lanczos3 };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).crop(left, top, width, height);
        resample(&mut self.resizer, &source, &mut target, &options)?;
        Ok(target.into_vec())
    }

    fn multiply_alpha(&self, picture: &mut Picture) -> Result<(), RenderError> {
        let Picture { size, layout, samples } = picture;
        let mut image =
            Image::from_slice_u8(size.width, size.height, samples, pixel_type(*layout)).map_err(unexpected)?;
        self.alpha.multiply_alpha_inplace(&mut image).map_err(unexpected)
    }

    /// Carries out a plan. `plan` is for the picture as it is decoded.
    fn resize(&mut self, picture: &Picture, plan: &Plan, is_premultiplied: bool) -> Result<Picture, RenderError> {
        let pixel = pixel_type(picture.layout);
        let (width, height) = (picture.size.width, picture.size.height);
        let mut target = if !plan.resampled && plan.size == picture.size {
            Image::from_vec_u8(width, height, picture.samples.clone(), pixel).map_err(unexpected)?
        } else {
            let source = ImageRef::new(width, height, &picture.samples, pixel).map_err(unexpected)?;
            let mut target = Image::new(plan.size.width, plan.size.height, pixel);
            let Area { left, top, width, height } = plan.area;
            let options = ResizeOptions::new()
                .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
                .crop(left, top, width, height)
                .use_alpha(false);
            resample(&mut self.resizer, &source, &mut target, &options)?;
            target
        };
        if is_premultiplied {
            self.alpha.divide_alpha_inplace(&mut target).map_err(unexpected)?;
        }
        Ok(Picture { size: plan.size, layout: picture.layout, samples: target.into_vec() })
    }
}

/// Resamples channels of 8 bits. `Resizer::resize` would bring with it what resamples all others, which nothing here
/// has: a tenth of this crate's code, and of some of it the compiler makes something else each time.
pub(crate) fn resample(
    resizer: &mut Resizer,
    source: &ImageRef,
    target: &mut Image,
    options: &ResizeOptions,
) -> Result<(), RenderError> {
    let resample = match source.pixel_type() {
        PixelType::U8 => resample_pixels::<U8>,
        PixelType::U8x2 => resample_pixels::<U8x2>,
        PixelType::U8x3 => resample_pixels::<U8x3>,
        PixelType::U8x4 => resample_pixels::<U8x4>,
        _ => return Err(unexpected(ResizeError::PixelTypesAreDifferent)),
    };
    resample(resizer, source, target, options).map_err(unexpected)
}

fn resample_pixels<P: PixelTrait>(
    resizer: &mut Resizer,
    source: &ImageRef,
    target: &mut Image,
    options: &ResizeOptions,
) -> Result<(), ResizeError> {
    let (source, target) = (source.typed_image::<P>(), target.typed_image_mut::<P>());
    let (source, mut target) = source.zip(target).ok_or(ResizeError::PixelTypesAreDifferent)?;
    resizer.resize_typed(&source, &mut target, options)
}

/// Pixels of channels that are as large as each other.
fn interleave(mut planes: Vec<Vec<u8>>, size: Size) -> Vec<u8> {
    if planes.len() == 1 {
        return planes.remove(0);
    }
    let mut samples = vec![0; planes.iter().map(Vec::len).sum()];
    debug_assert_eq!(samples.len() as u64, size.pixels() * planes.len() as u64);
    for (channel, plane) in planes.iter().enumerate() {
        for (pixel, sample) in samples.chunks_exact_mut(planes.len()).zip(plane) {
            pixel[channel] = *sample;
        }
    }
    samples
}

pub(crate) const fn pixel_type(layout: Layout) -> PixelType {
    match layout {
        Layout::Gray => PixelType::U8,
        Layout::GrayAlpha => PixelType::U8x2,
        Layout::Rgb | Layout::YCbCr => PixelType::U8x3,
        Layout::Rgba | Layout::Cmyk { .. } | Layout::Ycck => PixelType::U8x4,
    }
}

/// Only a decoder that broke its word gets us here.
pub(crate) fn unexpected(error: impl std::fmt::Display) -> RenderError {
    RenderError::broken(error.to_string())
}
