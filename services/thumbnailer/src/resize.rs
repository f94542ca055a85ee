//! Cuts and resamples, with Lanczos3.

use fast_image_resize::{FilterType, MulDiv, PixelType, ResizeAlg, ResizeOptions, Resizer, images::Image};

use crate::{
    error::RenderError,
    geometry::{Area, Plan},
    picture::{Layout, Picture},
};

/// What a worker keeps from one picture to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    resizer: Resizer,
    alpha: MulDiv,
}

impl Scratch {
    /// Carries out a plan. `plan` is for the picture as it is stored.
    pub(crate) fn resize(&mut self, picture: Picture, plan: &Plan) -> Result<Picture, RenderError> {
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
