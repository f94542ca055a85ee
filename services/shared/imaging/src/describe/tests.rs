//! Judged by what a client draws from the hash.

use jpeg_encoder::{ColorType as JpegColor, SamplingFactor};
use png::{BitDepth, ColorType as PngColor};

use super::*;
use crate::{
    job::{Job, work},
    rules::{Quality, Rules},
    testing::{
        ANY, BLUE, Drawn, GREEN, Jpeg, RED, WHITE, alike, assert_drawn, exif, paint, png_file, png_header, quarters,
    },
};

const RULES: Rules = Rules { most_pixels: 32_000_000, ..ANY };
/// How a hash with four waves across and three down begins.
const LANDSCAPE: &str = "L";
/// Three across and four down.
const PORTRAIT: &str = "T";

fn try_to_look(file: &[u8]) -> Result<Description, RenderError> {
    let job = Job { wanted: Vec::new(), describe: true, rules: RULES, quality: Quality::default() };
    work(&mut Scratch::default(), &file.to_vec(), &job).map(|done| done.description.unwrap())
}

fn look(file: &[u8]) -> Description {
    try_to_look(file).unwrap()
}

fn refusal(file: &[u8]) -> RenderError {
    try_to_look(file).unwrap_err()
}

fn quartered_png(width: u32, height: u32) -> Vec<u8> {
    png_file(width, height, PngColor::Rgb, BitDepth::Eight, &quarters(width, height))
}

#[test]
fn a_known_picture_has_a_known_hash_with_its_colors() {
    let description = look(&quartered_png(64, 64));

    assert_eq!((description.width, description.height), (64, 64));
    assert_eq!(description.blurhash, "L~KdoUUhafpGRK]-oLNaaxoLfQa|");
    assert_drawn(&description.blurhash, [RED, GREEN, BLUE, WHITE]);
    assert_eq!(look(&quartered_png(64, 64)), description, "always the same");
}

#[test]
fn more_waves_run_along_the_longer_side() {
    for (width, height, shape) in
        [(160, 80, LANDSCAPE), (80, 160, PORTRAIT), (90, 90, LANDSCAPE), (99, 100, PORTRAIT), (2000, 16, LANDSCAPE)]
    {
        let description = look(&quartered_png(width, height));

        assert_eq!((description.width, description.height), (width, height));
        assert_eq!((&description.blurhash[..1], description.blurhash.len()), (shape, 28), "{width}x{height}");
        assert_drawn(&description.blurhash, [RED, GREEN, BLUE, WHITE]);
    }
}

#[test]
fn a_picture_is_described_as_people_see_it() {
    let table = [
        [RED, GREEN, BLUE, WHITE],
        [GREEN, RED, WHITE, BLUE],
        [WHITE, BLUE, GREEN, RED],
        [BLUE, WHITE, RED, GREEN],
        [RED, BLUE, GREEN, WHITE],
        [BLUE, RED, WHITE, GREEN],
        [WHITE, GREEN, BLUE, RED],
        [GREEN, WHITE, RED, BLUE],
    ];
    for (number, expected) in (1..).zip(table) {
        let jpeg = Jpeg { exif: Some(exif(number, true)), ..Jpeg::new(160, 80, JpegColor::Rgb) };

        let Description { width, height, blurhash, .. } = look(&jpeg.encode(&quarters(160, 80)));

        let (size, shape) = if number < 5 { ((160, 80), LANDSCAPE) } else { ((80, 160), PORTRAIT) };
        assert_eq!(((width, height), &blurhash[..1]), (size, shape), "{number}");
        assert_drawn(&blurhash, expected);
    }
}

#[test]
fn what_is_transparent_counts_as_white() {
    // Invisible, yet black: its color must not get into the hash.
    let samples = paint(160, 160, |x, y| match (x < 80, y < 80) {
        (true, true) => [230, 20, 20, 255],
        (false, true) => [30, 30, 220, 255],
        _ => [0, 0, 0, 0],
    });
    let gray = paint(160, 160, |x, _| if x < 80 { [0, 255] } else { [0, 0] });
    let half = paint(160, 160, |_, _| [0, 0, 0, 128]);

    let colored = look(&png_file(160, 160, PngColor::Rgba, BitDepth::Eight, &samples));
    let gray = look(&png_file(160, 160, PngColor::GrayscaleAlpha, BitDepth::Eight, &gray));
    let half = look(&png_file(160, 160, PngColor::Rgba, BitDepth::Eight, &half));

    assert_drawn(&colored.blurhash, [RED, BLUE, WHITE, WHITE]);
    assert_drawn(&gray.blurhash, [[0; 3], WHITE, [0; 3], WHITE]);
    assert!(Drawn::from(&*half.blurhash).pixels().all(|pixel| alike(pixel, [127; 3])), "{}", half.blurhash);
}

#[test]
fn one_color_stays_one_color_whatever_the_size_of_the_picture() {
    let color = [200, 100, 50];
    for (width, height) in [(1, 1), (1, 5000), (5000, 1), (2, 3), (31, 200), (333, 77), (64, 64)] {
        let samples = paint(width, height, |_, _| color);

        let description = look(&png_file(width, height, PngColor::Rgb, BitDepth::Eight, &samples));

        assert_eq!((description.width, description.height), (width, height));
        let drawn = Drawn::from(&*description.blurhash);
        assert!(drawn.pixels().all(|pixel| alike(pixel, color)), "{width}x{height}: {}", description.blurhash);
    }
}

#[test]
fn gray_and_ink_have_their_colors() {
    let gray = paint(96, 96, |x, _| [if x < 48 { 20 } else { 230 }]);
    let gray_jpeg = Jpeg::new(96, 96, JpegColor::Luma).encode(&gray);
    let gray_png = png_file(96, 96, PngColor::Grayscale, BitDepth::Eight, &gray);
    for file in [gray_jpeg, gray_png] {
        assert_drawn(&look(&file).blurhash, [[20; 3], [230; 3], [20; 3], [230; 3]]);
    }

    let ink = paint(96, 96, |x, _| if x < 48 { [0, 255, 255, 0] } else { [255, 0, 255, 0] });
    for color in [JpegColor::Cmyk, JpegColor::CmykAsYcck] {
        let jpeg = Jpeg { sampling: SamplingFactor::F_1_1, ..Jpeg::new(96, 96, color) };

        assert_drawn(&look(&jpeg.encode(&ink)).blurhash, [RED, GREEN, RED, GREEN]);
    }
}

#[test]
fn what_cannot_be_rendered_cannot_be_described() {
    let file = quartered_png(128, 128);
    let before_pixels = file.windows(4).position(|bytes| bytes == b"IDAT").unwrap();

    assert_eq!(refusal(b"a text"), RenderError::UnknownFormat);
    assert!(matches!(refusal(&file[..before_pixels]), RenderError::Broken(_)));
    assert_eq!(
        refusal(&png_header(60_000, 60_000)),
        RenderError::TooManyPixels { pixels: 3_600_000_000, most: RULES.most_pixels }
    );
}
