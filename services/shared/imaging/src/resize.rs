//! Cuts and resamples, with Lanczos3.

use fast_image_resize::{FilterType, MulDiv, PixelType, ResizeAlg, ResizeOptions, Resizer, images::Image};
use heliograph_jpeg::Plane;

use crate::{
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
}

impl Scratch {
    /// Carries out a plan for what is stored as `full` large, on what was decoded of it.
    pub(crate) fn fit(&mut self, decoded: Pixels, full: Size, plan: &Plan) -> Result<Picture, RenderError> {
        match decoded {
            Pixels::Picture(picture) => {
                let plan = plan.for_decoded(full, picture.size);
                self.resize(picture, &plan)
            }
            Pixels::Planes { layout, planes } => {
                let planes = planes.into_iter().map(|plane| self.resize_plane(plane, full, plan));
                let planes: Vec<Vec<u8>> = planes.collect::<Result<_, _>>()?;
                Ok(Picture { size: plan.size, layout, samples: interleave(&planes, plan.size) })
            }
        }
    }

    /// Carries out a plan on one channel.
    fn resize_plane(&mut self, plane: Plane, full: Size, plan: &Plan) -> Result<Vec<u8>, RenderError> {
        let (width, height) = (f64::from(plane.width), f64::from(plane.height));
        let (across, down) = (plane.covered.0 / f64::from(full.width), plane.covered.1 / f64::from(full.height));
        let (left, top) = (plan.area.left * across, plan.area.top * down);
        // What is multiplied may round up beyond the edge.
        let (wide, high) = ((plan.area.width * across).min(width - left), (plan.area.height * down).min(height - top));
        let source = Image::from_vec_u8(plane.width, plane.height, plane.samples, PixelType::U8).map_err(unexpected)?;
        let mut target = Image::new(plan.size.width, plan.size.height, PixelType::U8);
        // Color of a small picture may have to grow. What is sharp would then get a halo.
        let grows = f64::from(plan.size.width) > wide || f64::from(plan.size.height) > high;
        let filter = if grows { FilterType::Bilinear } else { FilterType::Lanczos3 };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).crop(left, top, wide, high);
        self.resizer.resize(&source, &mut target, &options).map_err(unexpected)?;
        Ok(target.into_vec())
    }

    /// Carries out a plan. `plan` is for the picture as it is stored.
    fn resize(&mut self, picture: Picture, plan: &Plan) -> Result<Picture, RenderError> {
        let layout = picture.layout;
        if !plan.resampled && plan.size == picture.size {
            return Ok(picture);
        }
        // What is transparent must not lend its color to its neighbours.
        let premultiplied = layout.has_alpha() && plan.resampled;
        let pixel = pixel_type(layout);
        let mut source =
            Image::from_vec_u8(picture.size.width, picture.size.height, picture.samples, pixel).map_err(unexpected)?;
        if premultiplied {
            self.alpha.multiply_alpha_inplace(&mut source).map_err(unexpected)?;
        }
        let mut target = Image::new(plan.size.width, plan.size.height, pixel);
        let Area { left, top, width, height } = plan.area;
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
            .crop(left, top, width, height)
            .use_alpha(false);
        self.resizer.resize(&source, &mut target, &options).map_err(unexpected)?;
        drop(source);
        if premultiplied {
            self.alpha.divide_alpha_inplace(&mut target).map_err(unexpected)?;
        }
        Ok(Picture { size: plan.size, layout, samples: target.into_vec() })
    }
}

/// Pixels of channels that are as large as each other.
fn interleave(planes: &[Vec<u8>], size: Size) -> Vec<u8> {
    if let [only] = planes {
        return only.clone();
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

const fn pixel_type(layout: Layout) -> PixelType {
    match layout {
        Layout::Gray => PixelType::U8,
        Layout::GrayAlpha => PixelType::U8x2,
        Layout::Rgb | Layout::YCbCr => PixelType::U8x3,
        Layout::Rgba | Layout::Cmyk { .. } | Layout::Ycck => PixelType::U8x4,
    }
}

/// Only a decoder that broke its word gets us here.
fn unexpected(error: impl std::fmt::Display) -> RenderError {
    RenderError::broken(error.to_string())
}
