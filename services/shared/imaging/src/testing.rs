//! Pictures for tests, made by the encoders at hand.

use jpeg_encoder::{ColorType as JpegColor, Encoder as JpegEncoder, SamplingFactor};
use png::{BitDepth, ColorType as PngColor, Encoder as PngEncoder};

use crate::{
    decode::{Format, Header},
    geometry::{Size, plan_all},
    picture::{Layout, Picture},
    resize::Scratch,
    rules::Rules,
};

/// Everything is read.
pub const ANY: Rules =
    Rules { most_pixels: u64::MAX, most_frames: u32::MAX, most_animated_pixels: u64::MAX, svg: true, avif: true };
pub const RED: [u8; 3] = [230, 20, 20];
pub const GREEN: [u8; 3] = [20, 200, 40];
pub const BLUE: [u8; 3] = [30, 30, 220];
pub const WHITE: [u8; 3] = [250, 250, 250];

/// Samples of a picture whose pixel at `(x, y)` is `pixel(x, y)`.
pub fn paint<const N: usize>(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; N]) -> Vec<u8> {
    (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect()
}

/// Four colors, one in each quarter: red, green over blue, white.
pub fn quarters(width: u32, height: u32) -> Vec<u8> {
    paint(width, height, |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => RED,
        (false, true) => GREEN,
        (true, false) => BLUE,
        (false, false) => WHITE,
    })
}

pub struct Jpeg {
    pub width: u16,
    pub height: u16,
    pub color: JpegColor,
    pub progressive: bool,
    pub sampling: SamplingFactor,
    pub separate_scans: bool,
    pub exif: Option<Vec<u8>>,
}

impl Jpeg {
    pub fn new(width: u16, height: u16, color: JpegColor) -> Self {
        Self {
            width,
            height,
            color,
            progressive: false,
            sampling: SamplingFactor::F_2_2,
            separate_scans: false,
            exif: None,
        }
    }

    pub fn encode(&self, samples: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = JpegEncoder::new(&mut file, 92);
        encoder.set_progressive(self.progressive);
        encoder.set_sampling_factor(self.sampling);
        encoder.set_optimized_huffman_tables(self.separate_scans);
        if let Some(exif) = &self.exif {
            encoder.add_exif_metadata(exif).unwrap();
        }
        encoder.encode(samples, self.width, self.height, self.color).unwrap();
        file
    }
}

/// EXIF with an orientation, and with a place that must not get out.
pub fn exif(orientation: u16, little_endian: bool) -> Vec<u8> {
    let short = |value: u16| if little_endian { value.to_le_bytes() } else { value.to_be_bytes() };
    let long = |value: u32| if little_endian { value.to_le_bytes() } else { value.to_be_bytes() };
    let mut tiff = if little_endian { b"II\x2a\0".to_vec() } else { b"MM\0\x2a".to_vec() };
    tiff.extend(long(8));
    tiff.extend(short(2));
    for (tag, kind, count, value) in [(0x010e, 2, 4, *b"GPS\0"), (0x0112, 3, 1, [0; 4])] {
        tiff.extend(short(tag));
        tiff.extend(short(kind));
        tiff.extend(long(count));
        tiff.extend(value);
    }
    let value_at = tiff.len() - 4;
    tiff[value_at..value_at + 2].copy_from_slice(&short(orientation));
    tiff.extend(long(0));
    tiff.extend(b"48.8584 N 2.2945 E");
    tiff
}

pub fn png_file(width: u32, height: u32, color: PngColor, depth: BitDepth, samples: &[u8]) -> Vec<u8> {
    png_with(width, height, color, depth, samples, |_| {})
}

pub fn png_with(
    width: u32,
    height: u32,
    color: PngColor,
    depth: BitDepth,
    samples: &[u8],
    change: impl FnOnce(&mut PngEncoder<'_, &mut Vec<u8>>),
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = PngEncoder::new(&mut file, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    change(&mut encoder);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(samples).unwrap();
    writer.finish().unwrap();
    file
}

/// A PNG that only has a header.
pub fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut file = png_file(1, 1, PngColor::Rgb, BitDepth::Eight, &[0; 3]);
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    file
}

/// A picture that others have made: of `tests/golden/modern`.
pub fn golden(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/modern");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

/// What people see when they open a file.
#[derive(Debug)]
pub struct Seen {
    pub format: Format,
    pub size: Size,
    pub(crate) layout: Layout,
    pixels: Picture,
}

impl Seen {
    /// Opens a file as it is, without turning it.
    pub fn open(file: &[u8]) -> Self {
        let header = Header::read(file, &ANY).unwrap();
        let size = header.size;
        let decoded = header.decode(&file.to_vec(), size).unwrap();
        let picture = Scratch::default().fit(decoded.pixels, size, &plan_all(size)).unwrap();
        assert_eq!(picture.samples.len() as u64, picture.size.pixels() * picture.layout.channels() as u64);
        Self { format: header.format, size, layout: picture.layout, pixels: picture }
    }

    /// The samples of a pixel, as they are in the file.
    pub fn raw(&self, x: u32, y: u32) -> &[u8] {
        let channels = self.layout.channels();
        let start = (y as usize * self.size.width as usize + x as usize) * channels;
        &self.pixels.samples[start..start + channels]
    }

    /// The color of a pixel.
    pub fn rgb(&self, x: u32, y: u32) -> [u8; 3] {
        match (self.layout, self.raw(x, y)) {
            (Layout::Gray | Layout::GrayAlpha, [gray, ..]) => [*gray; 3],
            (Layout::Rgb | Layout::Rgba, [red, green, blue, ..]) => [*red, *green, *blue],
            (Layout::YCbCr, [luma, cb, cr]) => ycbcr_to_rgb([*luma, *cb, *cr]),
            (layout, _) => panic!("{layout:?} is no output"),
        }
    }

    /// The colors in the middle of the quarters: upper left, upper right, lower left, lower
    /// right.
    pub fn quarters(&self) -> [[u8; 3]; 4] {
        let (left, right) = (self.size.width / 4, self.size.width * 3 / 4);
        let (upper, lower) = (self.size.height / 4, self.size.height * 3 / 4);
        [self.rgb(left, upper), self.rgb(right, upper), self.rgb(left, lower), self.rgb(right, lower)]
    }
}

/// JFIF's formula, as it is printed.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn ycbcr_to_rgb(samples: [u8; 3]) -> [u8; 3] {
    let [luma, cb, cr] = samples.map(f64::from);
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    [luma + 1.402 * cr, luma - 0.34414 * cb - 0.71414 * cr, luma + 1.772 * cb].map(|sample| sample.round() as u8)
}

/// The lowest eight bits.
pub fn byte(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

/// The same color for human eyes.
pub fn alike(a: [u8; 3], b: [u8; 3]) -> bool {
    a.into_iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 12)
}

#[track_caller]
pub fn assert_quarters(seen: &Seen, expected: [[u8; 3]; 4]) {
    let quarters = seen.quarters();
    assert!(quarters.into_iter().zip(expected).all(|(a, b)| alike(a, b)), "{quarters:?} should be {expected:?}");
}

/// What a client draws from a blurhash.
#[derive(Debug)]
pub struct Drawn(Vec<u8>);

impl Drawn {
    const SIDE: u32 = 32;

    pub fn pixels(&self) -> impl Iterator<Item = [u8; 3]> {
        self.0.as_chunks().0.iter().map(|[red, green, blue, _]| [*red, *green, *blue])
    }

    /// The colors in the middle of the quarters, as [`Seen::quarters`] has them.
    fn quarters(&self) -> [[u8; 3]; 4] {
        let (near, far) = (Self::SIDE / 4, Self::SIDE * 3 / 4);
        [(near, near), (far, near), (near, far), (far, far)]
            .map(|(x, y)| self.pixels().nth((y * Self::SIDE + x) as usize).unwrap())
    }
}

impl From<&str> for Drawn {
    fn from(blurhash: &str) -> Self {
        Self(blurhash::decode(blurhash, Self::SIDE, Self::SIDE, 1.0).unwrap())
    }
}

/// Sharp edges overshoot in a hash, so each color must only be the nearest one of the four.
#[track_caller]
pub fn assert_drawn(blurhash: &str, expected: [[u8; 3]; 4]) {
    let distance =
        |a: [u8; 3], b: [u8; 3]| a.into_iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum::<u32>();
    let drawn = Drawn::from(blurhash).quarters();
    let nearest = drawn.map(|color| expected.into_iter().min_by_key(|other| distance(color, *other)).unwrap());
    assert_eq!(nearest, expected, "{blurhash} shows {drawn:?}");
}
