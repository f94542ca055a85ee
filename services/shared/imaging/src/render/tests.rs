//! Whole renders, judged by the pixels that come out.

use heliograph_types::{
    ThumbnailFormat,
    ThumbnailMethod::{self, Crop, Scale},
    ThumbnailSpec,
};
use jpeg_encoder::{ColorType as JpegColor, SamplingFactor};
use png::{BitDepth, ColorType as PngColor};

use super::*;
use crate::{
    decode::Format,
    geometry::Size,
    job::{Job, work},
    picture::Layout,
    rules::Rules,
    testing::{
        ANY, BLUE, GREEN, Jpeg, RED, Seen, WHITE, alike, assert_quarters, byte, exif, paint, png_file, png_header,
        png_with, quarters,
    },
};

mod hostile;
mod likeness;

/// The quality is that at which even the smallest pictures keep their colors.
const QUALITY: Quality = Quality { jpeg: 95, webp: 95, avif: 95 };
const RULES: Rules = Rules { most_pixels: 32_000_000, ..ANY };

fn spec(width: u32, height: u32, method: ThumbnailMethod) -> ThumbnailSpec {
    ThumbnailSpec { width, height, method, animated: false }
}

/// Exactly one thumbnail.
fn render(scratch: &mut Scratch, file: &[u8], spec: &ThumbnailSpec, rules: &Rules) -> Result<Made, RenderError> {
    let wanted = vec![Wanted { spec: *spec, format: ThumbnailFormat::Usual }];
    let job = Job { wanted, describe: false, rules: *rules, quality: QUALITY };
    work(scratch, &file.to_vec(), &job).map(|mut done| done.thumbnails.remove(0))
}

fn thumbnail(file: &[u8], spec: &ThumbnailSpec) -> Made {
    render(&mut Scratch::default(), file, spec, &RULES).unwrap()
}

fn seen(file: &[u8], width: u32, height: u32, method: ThumbnailMethod) -> Seen {
    Seen::open(&thumbnail(file, &spec(width, height, method)).image)
}

fn refusal(file: &[u8]) -> RenderError {
    render(&mut Scratch::default(), file, &spec(32, 32, Crop), &RULES).unwrap_err()
}

fn size(width: u32, height: u32) -> Size {
    Size { width, height }
}

// === orientation ===

#[test]
fn a_picture_stands_upright_after_each_orientation() {
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
        for little_endian in [false, true] {
            let jpeg = Jpeg { exif: Some(exif(number, little_endian)), ..Jpeg::new(160, 80, JpegColor::Rgb) };
            let file = jpeg.encode(&quarters(160, 80));

            let scaled = seen(&file, 80, 80, Scale);
            let cropped = seen(&file, 40, 20, Crop);
            let whole = seen(&file, 800, 600, Scale);

            let (wide, high) = if number < 5 { (80, 40) } else { (40, 80) };
            assert_eq!((scaled.size, whole.size), (size(wide, high), size(wide * 2, high * 2)), "{number}");
            assert_eq!(cropped.size, size(40, 20), "{number}");
            for picture in [&scaled, &cropped, &whole] {
                assert_quarters(picture, expected);
            }
        }
    }
}

#[test]
fn an_orientation_that_does_not_exist_changes_nothing() {
    for number in [0, 9, 0xffff] {
        let jpeg = Jpeg { exif: Some(exif(number, true)), ..Jpeg::new(80, 40, JpegColor::Rgb) };

        let picture = seen(&jpeg.encode(&quarters(80, 40)), 40, 40, Scale);

        assert_eq!(picture.size, size(40, 20));
        assert_quarters(&picture, [RED, GREEN, BLUE, WHITE]);
    }
}

// === formats ===

#[test]
fn every_kind_of_jpeg_keeps_its_colors() {
    let samplings = [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2];
    for progressive in [false, true] {
        for sampling in samplings {
            let jpeg = Jpeg { progressive, sampling, ..Jpeg::new(200, 104, JpegColor::Rgb) };
            let file = jpeg.encode(&quarters(200, 104));

            assert_quarters(&seen(&file, 64, 64, Scale), [RED, GREEN, BLUE, WHITE]);
            assert_quarters(&seen(&file, 32, 32, Crop), [RED, GREEN, BLUE, WHITE]);
            assert_quarters(&seen(&file, 640, 480, Scale), [RED, GREEN, BLUE, WHITE]);
        }
    }
}

#[test]
fn a_gray_jpeg_stays_gray() {
    let gradient = paint(300, 150, |x, _| [byte(x * 255 / 299)]);
    let file = Jpeg::new(300, 150, JpegColor::Luma).encode(&gradient);

    let picture = seen(&file, 100, 100, Scale);

    assert_eq!((picture.format, picture.layout, picture.size), (Format::Jpeg, Layout::Gray, size(100, 50)));
    assert!(picture.rgb(0, 25)[0] < 12 && picture.rgb(99, 25)[0] > 243);
    assert!(picture.rgb(50, 25)[0].abs_diff(128) < 6);
}

/// Ink in percent, and the light that is left.
const INKS: [([u8; 4], [u8; 3]); 4] = [
    ([0, 255, 255, 0], [255, 0, 0]),
    ([255, 0, 255, 0], [0, 255, 0]),
    ([0, 0, 0, 255], [0, 0, 0]),
    ([0, 0, 0, 0], [255, 255, 255]),
];

fn ink_quarters(width: u32, height: u32) -> Vec<u8> {
    paint(width, height, |x, y| INKS[usize::from(x >= width / 2) + 2 * usize::from(y >= height / 2)].0)
}

#[test]
fn ink_is_shown_as_light() {
    for color in [JpegColor::Cmyk, JpegColor::CmykAsYcck] {
        for progressive in [false, true] {
            let jpeg = Jpeg { progressive, sampling: SamplingFactor::F_1_1, ..Jpeg::new(96, 96, color) };
            let file = jpeg.encode(&ink_quarters(96, 96));

            let picture = seen(&file, 32, 32, Crop);

            assert_eq!(picture.layout, Layout::YCbCr, "{color:?}");
            assert_quarters(&picture, INKS.map(|(_, light)| light));
        }
    }
}

#[test]
fn ink_without_the_mark_of_adobe_is_not_inverted() {
    let jpeg = Jpeg { sampling: SamplingFactor::F_1_1, ..Jpeg::new(96, 96, JpegColor::Cmyk) };
    // The encoder inverts as Adobe does: undo that, and remove the mark.
    let inverted: Vec<u8> = ink_quarters(96, 96).into_iter().map(|ink| 255 - ink).collect();
    let mut file = jpeg.encode(&inverted);
    let adobe = file.windows(5).position(|bytes| bytes == b"Adobe").unwrap();
    file[adobe] = b'O';

    assert_quarters(&seen(&file, 32, 32, Crop), INKS.map(|(_, light)| light));
}

#[test]
fn a_jpeg_whose_components_are_rgb_keeps_its_colors() {
    // Samples that are declared YCbCr go through the encoder unchanged; then Adobe's mark
    // says that they are RGB.
    let jpeg = Jpeg { sampling: SamplingFactor::F_1_1, ..Jpeg::new(96, 96, JpegColor::Ycbcr) };
    let plain = jpeg.encode(&quarters(96, 96));
    let after_jfif = 4 + usize::from(u16::from_be_bytes([plain[4], plain[5]]));
    let mut file = b"\xff\xd8\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0".to_vec();
    file.extend(&plain[after_jfif..]);

    assert_quarters(&seen(&file, 32, 32, Crop), [RED, GREEN, BLUE, WHITE]);
    assert_quarters(&seen(&file, 320, 240, Scale), [RED, GREEN, BLUE, WHITE]);
}

#[test]
fn a_png_without_transparency_becomes_a_jpeg() {
    let file = png_file(120, 60, PngColor::Rgb, BitDepth::Eight, &quarters(120, 60));

    let picture = seen(&file, 60, 60, Scale);

    assert_eq!((picture.format, picture.layout, picture.size), (Format::Jpeg, Layout::YCbCr, size(60, 30)));
    assert_quarters(&picture, [RED, GREEN, BLUE, WHITE]);
}

#[test]
fn alpha_is_only_kept_where_something_is_transparent() {
    let file = |alpha: u8| {
        let samples = paint(90, 60, |x, y| [byte(x), byte(y), 9, if (x, y) == (40, 30) { alpha } else { 255 }]);
        png_file(90, 60, PngColor::Rgba, BitDepth::Eight, &samples)
    };
    for (width, height) in [(30, 20), (60, 60), (90, 60)] {
        let (opaque, veiled) = (seen(&file(255), width, height, Scale), seen(&file(0), width, height, Scale));

        assert_eq!((opaque.format, opaque.layout), (Format::Jpeg, Layout::YCbCr));
        assert_eq!((veiled.format, veiled.layout), (Format::Png, Layout::Rgba));
    }
}

#[test]
fn png_of_every_depth_is_read() {
    let deep: Vec<u8> = quarters(64, 64).into_iter().flat_map(|sample| [sample, 0x7f]).collect();
    let deep = png_file(64, 64, PngColor::Rgb, BitDepth::Sixteen, &deep);
    assert_quarters(&seen(&deep, 32, 32, Crop), [RED, GREEN, BLUE, WHITE]);

    let deep_gray: Vec<u8> = paint(64, 64, |x, _| if x < 32 { [200, 1, 255, 255] } else { [40, 1, 255, 255] });
    let deep_gray = png_file(64, 64, PngColor::GrayscaleAlpha, BitDepth::Sixteen, &deep_gray);
    let picture = seen(&deep_gray, 32, 32, Crop);
    assert_eq!((picture.format, picture.layout), (Format::Jpeg, Layout::Gray), "nothing is transparent");
    assert!(alike(picture.rgb(8, 16), [200; 3]) && alike(picture.rgb(24, 16), [40; 3]));

    let bits =
        png_file(64, 64, PngColor::Grayscale, BitDepth::One, &paint(8, 64, |x, _| [if x < 4 { 0 } else { 255 }]));
    let picture = seen(&bits, 32, 32, Crop);
    assert_eq!((picture.layout, picture.rgb(8, 16), picture.rgb(24, 16)), (Layout::Gray, [0; 3], [255; 3]));
}

#[test]
fn png_with_a_palette_is_read() {
    let palette = [RED, GREEN, BLUE, WHITE].concat();
    let indices = paint(64, 64, |x, y| [u8::from(x >= 32) + 2 * u8::from(y >= 32)]);
    let opaque = png_with(64, 64, PngColor::Indexed, BitDepth::Eight, &indices, |encoder| {
        encoder.set_palette(palette.clone());
    });
    let transparent = png_with(64, 64, PngColor::Indexed, BitDepth::Eight, &indices, |encoder| {
        encoder.set_palette(palette.clone());
        encoder.set_trns(vec![255, 255, 255, 0]);
    });

    assert_quarters(&seen(&opaque, 32, 32, Crop), [RED, GREEN, BLUE, WHITE]);
    let picture = seen(&transparent, 32, 32, Crop);
    assert_eq!((picture.layout, picture.raw(24, 24)[3], picture.raw(8, 8)[3]), (Layout::Rgba, 0, 255));
}

#[test]
fn of_an_animated_png_the_default_image_is_taken() {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 64, 64);
    encoder.set_color(PngColor::Rgb);
    encoder.set_animated(2, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&quarters(64, 64)).unwrap();
    writer.write_image_data(&vec![0; 64 * 64 * 3]).unwrap();
    writer.finish().unwrap();

    let rendered = thumbnail(&file, &spec(32, 32, Crop));

    assert_quarters(&Seen::open(&rendered.image), [RED, GREEN, BLUE, WHITE]);
    assert!(!rendered.image.windows(4).any(|bytes| bytes == b"acTL"), "a still picture");
}

// === resampling ===

#[test]
fn transparent_pixels_lend_no_color_to_their_neighbours() {
    // White beside invisible black: without premultiplication the border turns gray.
    let edge = paint(200, 200, |x, _| if x < 101 { [255, 255, 255, 255] } else { [0, 0, 0, 0] });
    let gray_edge = paint(200, 200, |x, _| if x < 101 { [255, 255] } else { [0, 0] });
    let files = [
        png_file(200, 200, PngColor::Rgba, BitDepth::Eight, &edge),
        png_file(200, 200, PngColor::GrayscaleAlpha, BitDepth::Eight, &gray_edge),
    ];
    for file in files {
        for picture in [seen(&file, 32, 32, Crop), seen(&file, 96, 96, Scale)] {
            let mut partly = 0;
            for y in 0..picture.size.height {
                for x in 0..picture.size.width {
                    let alpha = *picture.raw(x, y).last().unwrap();
                    partly += u32::from(alpha != 0 && alpha != 255);
                    // Where next to nothing is seen, 8 bits cannot hold a color.
                    assert!(alpha < 8 || picture.rgb(x, y)[0] > 235, "{x},{y}: {:?}", picture.raw(x, y));
                }
            }
            assert!(partly > 0, "the edge is smooth");
        }
    }
}

#[test]
fn a_picture_of_one_color_keeps_it_everywhere() {
    let file = png_file(333, 77, PngColor::Rgba, BitDepth::Eight, &paint(333, 77, |_, _| [10, 200, 90, 128]));
    for (width, height, method) in [(32, 32, Crop), (96, 96, Crop), (64, 48, Scale)] {
        let picture = seen(&file, width, height, method);
        for (x, y) in [(0, 0), (picture.size.width - 1, picture.size.height - 1), (picture.size.width / 2, 0)] {
            assert!(alike(picture.rgb(x, y), [10, 200, 90]) && picture.raw(x, y)[3] == 128, "{:?}", picture.raw(x, y));
        }
    }
}

#[test]
fn a_crop_shows_the_middle() {
    let stripes = paint(300, 100, |x, _| [RED, GREEN, BLUE][(x / 100) as usize]);
    let file = png_file(300, 100, PngColor::Rgb, BitDepth::Eight, &stripes);

    for picture in [seen(&file, 50, 50, Crop), seen(&file, 100, 100, Crop), seen(&file, 100, 5000, Crop)] {
        assert_eq!(picture.size.width, picture.size.height);
        for x in [1, picture.size.width / 2, picture.size.width - 2] {
            assert!(alike(picture.rgb(x, 1), GREEN), "{x}: {:?}", picture.rgb(x, 1));
        }
    }
}

#[test]
fn a_small_png_keeps_every_pixel() {
    let samples = paint(20, 10, |x, y| [byte(x * 12), byte(y * 25), 7, byte(x * y)]);
    let file = png_file(20, 10, PngColor::Rgba, BitDepth::Eight, &samples);

    let picture = seen(&file, 640, 480, Scale);

    assert_eq!(picture.size, size(20, 10));
    for (x, y) in (0..20).flat_map(|x| (0..10).map(move |y| (x, y))) {
        assert_eq!(picture.raw(x, y), &samples[(y * 20 + x) as usize * 4..][..4]);
    }
}

#[test]
fn pictures_one_pixel_wide_are_made_smaller_too() {
    let tall = png_file(1, 5000, PngColor::Rgb, BitDepth::Eight, &paint(1, 5000, |_, _| RED));
    let wide = Jpeg::new(5000, 1, JpegColor::Rgb).encode(&paint(5000, 1, |_, _| RED));
    let dot = Jpeg::new(1, 1, JpegColor::Rgb).encode(&RED);

    assert_eq!(seen(&tall, 320, 240, Scale).size, size(1, 240));
    assert_eq!(seen(&wide, 320, 240, Scale).size, size(320, 1));
    assert_eq!(seen(&wide, 96, 96, Crop).size, size(96, 1));
    assert_eq!(seen(&dot, 96, 96, Crop).size, size(1, 1));
    assert!(alike(seen(&wide, 320, 240, Scale).rgb(160, 0), RED));
}

// === what must not get out ===

#[test]
fn no_metadata_is_kept_at_any_size() {
    let jpeg = Jpeg { exif: Some(exif(1, true)), ..Jpeg::new(64, 64, JpegColor::Rgb) }.encode(&quarters(64, 64));
    let png = png_with(64, 64, PngColor::Rgb, BitDepth::Eight, &quarters(64, 64), |encoder| {
        encoder.add_text_chunk("Comment".to_owned(), "48.8584 N".to_owned()).unwrap();
    });
    for file in [jpeg, png] {
        assert!(file.windows(7).any(|bytes| bytes == b"48.8584"), "the test is worth something");
        for wanted in [spec(32, 32, Crop), spec(800, 600, Scale)] {
            let image = thumbnail(&file, &wanted).image;
            assert!(!image.windows(7).any(|bytes| bytes == b"48.8584"));
            assert!(![&b"Exif"[..], b"tEXt", b"eXIf"].iter().any(|mark| image.windows(4).any(|bytes| bytes == *mark)));
        }
    }
}

#[test]
fn the_same_picture_gives_the_same_bytes_whatever_was_rendered_before() {
    let (first, other) = (crate::sample_picture(), png_header(1, 1));
    let mut scratch = Scratch::default();
    let mut make = |file: &[u8]| render(&mut scratch, file, &spec(96, 96, Crop), &RULES);

    let before = make(&first).unwrap();
    make(&other).unwrap();

    assert_eq!(make(&first).unwrap(), before);
}

#[test]
fn the_sample_picture_is_a_picture() {
    let file = crate::sample_picture();

    let picture = seen(&file, 320, 240, Scale);

    assert_eq!((Seen::open(&file).size, picture.size, picture.format), (size(640, 480), size(320, 240), Format::Jpeg));
    assert!(file.len() < 100_000, "{}", file.len());
    assert!(alike(picture.rgb(204, 81), [255, 244, 206]), "the sun: {:?}", picture.rgb(204, 81));
}

// === many sizes of one picture ===

/// All of these, in one job.
fn thumbnails(file: &[u8], wanted: &[(u32, u32, ThumbnailMethod)]) -> Vec<Made> {
    let wanted = wanted.iter().map(|(width, height, method)| spec(*width, *height, *method));
    let wanted = wanted.map(|spec| Wanted { spec, format: ThumbnailFormat::Usual }).collect();
    let job = Job { wanted, describe: true, rules: RULES, quality: Quality::default() };
    work(&mut Scratch::default(), &file.to_vec(), &job).unwrap().thumbnails
}

#[test]
fn all_sizes_of_a_job_come_as_they_were_wanted() {
    let table = [(640, 480, Scale), (32, 32, Crop), (800, 600, Scale), (95, 95, Crop), (101, 75, Scale)];
    let sizes = [size(640, 320), size(32, 32), size(700, 350), size(95, 95), size(101, 51)];
    for exif_number in [1, 6, 7, 3] {
        let jpeg = Jpeg { exif: Some(exif(exif_number, true)), ..Jpeg::new(700, 350, JpegColor::Rgb) };
        let file = jpeg.encode(&quarters(700, 350));

        let made = thumbnails(&file, &table);

        assert_eq!(made.len(), table.len());
        for ((made, expected), wanted) in made.iter().zip(sizes).zip(table) {
            let alone = Seen::open(&thumbnail(&file, &spec(wanted.0, wanted.1, wanted.2)).image);
            let picture = Seen::open(&made.image);
            assert_eq!((picture.size, picture.format), (size(made.width, made.height), Format::Jpeg));
            if exif_number == 1 {
                assert_eq!(picture.size, expected);
            }
            assert_eq!(picture.size, alone.size);
            assert_quarters(&picture, alone.quarters());
        }
    }
}

#[test]
fn a_transparent_picture_keeps_its_pixels_whatever_else_is_made_of_it() {
    let samples = paint(120, 90, |x, y| [byte(x * 2), byte(y * 2), 7, byte(x * y)]);
    let file = png_file(120, 90, PngColor::Rgba, BitDepth::Eight, &samples);

    let made = thumbnails(&file, &[(32, 32, Crop), (800, 600, Scale), (64, 48, Scale)]);

    let whole = Seen::open(&made[1].image);
    assert_eq!((made[0].width, whole.size, made[2].width), (32, size(120, 90), 64));
    for (x, y) in (0..120).flat_map(|x| (0..90).map(move |y| (x, y))) {
        assert_eq!(whole.raw(x, y), &samples[(y * 120 + x) as usize * 4..][..4]);
    }
}

/// The mean difference of samples of color, in tenths, from what is drawn without halving it.
fn color_difference(file: &[u8], spec: ThumbnailSpec) -> u32 {
    let wanted = Wanted { spec, format: ThumbnailFormat::Usual };
    let quality = Quality { jpeg: 89, ..QUALITY };
    let job = Job { wanted: vec![wanted], describe: false, rules: RULES, quality };
    let file = file.to_vec();
    let made = work(&mut Scratch::default(), &file, &job).unwrap().thumbnails.remove(0);
    let picture = Seen::open(&made.image);
    let header = Header::read(&file, &RULES).unwrap();
    let plan = plan_of(&header, &wanted);
    let expected = Still::decode(&file, &header, &[plan], false).unwrap().draw(&mut Scratch::default(), plan).unwrap();

    assert_eq!(picture.size, expected.size);
    let places = (0..picture.size.height).flat_map(|y| (0..picture.size.width).map(move |x| (x, y)));
    let differences = places.zip(expected.samples.as_chunks::<3>().0).map(|((x, y), expected)| {
        let found = picture.raw(x, y);
        u32::from(found[1].abs_diff(expected[1])) + u32::from(found[2].abs_diff(expected[2]))
    });
    differences.sum::<u32>() * 10 / (picture.size.width * picture.size.height * 2)
}

#[test]
fn color_stays_where_it_is_in_pictures_of_odd_sizes() {
    // Waves of color, which are seen to be elsewhere when planes are turned or cut in different ways.
    let wave = |place: u32| [0, 26, 77, 128, 179, 230, 255, 230, 179, 128, 77, 26][(place / 12 % 12) as usize];
    let waves = paint(301, 201, |x, y| [wave(x), 128, wave(y)]);
    for number in 1..=8 {
        let jpeg = Jpeg {
            sampling: SamplingFactor::F_1_1,
            exif: Some(exif(number, true)),
            ..Jpeg::new(301, 201, JpegColor::Rgb)
        };
        let file = jpeg.encode(&waves);

        // What halving alone costs. With planes cut at the wrong end, half of the orientations are above.
        for (spec, most) in [(spec(99, 99, Scale), 45), (spec(99, 99, Crop), 34), (spec(33, 77, Crop), 49)] {
            let difference = color_difference(&file, spec);

            println!("orientation {number}, {spec}: {difference}");
            assert!(difference < most, "orientation {number}, {spec}: {difference}");
        }
    }
}
