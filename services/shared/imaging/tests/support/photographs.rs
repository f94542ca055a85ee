//! A picture with soft shapes and edges at all angles, in each format that something here can write.

use std::{io::Cursor, ptr};

use image::{DynamicImage, ImageFormat, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// Red, green and blue, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Photo {
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) samples: Vec<u8>,
}

/// The same each time.
pub(crate) fn photo(width: u16, height: u16) -> Photo {
    let samples = (0..height).flat_map(|y| (0..width).map(move |x| (f64::from(x), f64::from(y)))).flat_map(|(x, y)| {
        [0.0, 1.1, 2.3].map(|phase| {
            let shape = (x / 21.0 + phase).sin() * (y / 15.0).cos() + (x * y / 1500.0).sin() / 3.0;
            let edge = if (x - 120.0).hypot(y - 90.0) % 45.0 < 15.0 { 40.0 } else { 0.0 };
            to_sample(shape * 70.0 + edge + 100.0)
        })
    });
    Photo { width, height, samples: samples.collect() }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn to_sample(value: f64) -> u8 {
    value as u8
}

impl Photo {
    /// Only colors of a palette with six steps of red and blue and seven of green.
    pub(crate) fn with_few_colors(mut self) -> Self {
        for pixel in self.samples.as_chunks_mut::<3>().0 {
            *pixel = PALETTE_STEPS.map_each(*pixel, |sample, steps| level(index(sample, steps), steps));
        }
        self
    }

    pub(crate) fn jpeg(&self, sampling: SamplingFactor, progressive: bool) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 95);
        encoder.set_sampling_factor(sampling);
        encoder.set_progressive(progressive);
        encoder.encode(&self.samples, self.width, self.height, ColorType::Rgb).unwrap();
        file
    }

    /// As printers want it: no ink is 255.
    pub(crate) fn cmyk_jpeg(&self) -> Vec<u8> {
        let ink: Vec<u8> =
            self.samples.as_chunks().0.iter().flat_map(|[r, g, b]| [255 - r, 255 - g, 255 - b, 0]).collect();
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, 95);
        encoder.set_sampling_factor(SamplingFactor::F_1_1);
        encoder.encode(&ink, self.width, self.height, ColorType::Cmyk).unwrap();
        file
    }

    pub(crate) fn png(&self, depth: png::BitDepth) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width.into(), self.height.into());
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(depth);
        let mut writer = encoder.write_header().unwrap();
        match depth {
            png::BitDepth::Sixteen => {
                writer.write_image_data(&self.samples.iter().flat_map(|sample| [*sample; 2]).collect::<Vec<_>>())
            }
            _ => writer.write_image_data(&self.samples),
        }
        .unwrap();
        writer.finish().unwrap();
        file
    }

    /// One picture, then others that are shorter.
    pub(crate) fn gif(&self, frames: u16) -> Vec<u8> {
        let indices = self
            .samples
            .as_chunks::<3>()
            .0
            .iter()
            .map(|[r, g, b]| (index(*r, 6) * 7 + index(*g, 7)) * 6 + index(*b, 6));
        let indices: Vec<u8> = indices.collect();
        let palette: Vec<u8> =
            (0..252_u8).flat_map(|at| [level(at / 42, 6), level(at / 6 % 7, 7), level(at % 6, 6)]).collect();
        let mut file = Vec::new();
        let mut encoder = gif::Encoder::new(&mut file, self.width, self.height, &palette).unwrap();
        for number in 0..frames {
            let height = self.height - number.min(self.height - 1);
            let length = usize::from(self.width) * usize::from(height);
            let mut frame = gif::Frame::from_indexed_pixels(self.width, height, indices[..length].to_vec(), None);
            frame.delay = 5;
            encoder.write_frame(&frame).unwrap();
        }
        drop(encoder);
        file
    }

    pub(crate) fn webp(&self) -> Vec<u8> {
        let (width, height) = (i32::from(self.width), i32::from(self.height));
        let mut output = ptr::null_mut();
        #[expect(
            unsafe_code,
            reason = "libwebp is C: it reads `height` rows of `stride` bytes and allocates what it answers"
        )]
        unsafe {
            let length =
                libwebp_sys::WebPEncodeRGB(self.samples.as_ptr(), width, height, width * 3, 95.0, &raw mut output);
            assert!(length > 0 && !output.is_null(), "libwebp has no answer");
            let file = std::slice::from_raw_parts(output, length).to_vec();
            libwebp_sys::WebPFree(output.cast());
            file
        }
    }

    pub(crate) fn avif(&self) -> Vec<u8> {
        let pixels: Vec<_> = self.samples.as_chunks().0.iter().map(|[r, g, b]| ravif::RGB8::new(*r, *g, *b)).collect();
        let picture = ravif::Img::new(&pixels[..], self.width.into(), self.height.into());
        ravif::Encoder::new()
            .with_quality(92.0)
            .with_speed(10)
            .with_num_threads(Some(1))
            .encode_rgb(picture)
            .unwrap()
            .avif_file
    }

    pub(crate) fn by_image(&self, format: ImageFormat) -> Vec<u8> {
        let picture = RgbImage::from_raw(self.width.into(), self.height.into(), self.samples.clone()).unwrap();
        let picture = DynamicImage::from(picture);
        // An icon only takes pixels with alpha.
        let picture = if format == ImageFormat::Ico { picture.into_rgba8().into() } else { picture };
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, format).unwrap();
        file.into_inner()
    }
}

struct Steps([u8; 3]);
const PALETTE_STEPS: Steps = Steps([6, 7, 6]);

impl Steps {
    fn map_each(&self, pixel: [u8; 3], map: impl Fn(u8, u8) -> u8) -> [u8; 3] {
        std::array::from_fn(|channel| map(pixel[channel], self.0[channel]))
    }
}

fn index(sample: u8, steps: u8) -> u8 {
    to_sample((f64::from(sample) * f64::from(steps - 1) / 255.0).round())
}

fn level(index: u8, steps: u8) -> u8 {
    to_sample((f64::from(index) * 255.0 / f64::from(steps - 1)).round())
}
