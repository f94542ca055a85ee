//! Thumbnails of every format, size and method, held against those made the plain way from the same
//! pixels. Not byte by byte: as the eye does.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "support/likeness.rs"]
mod likeness;
#[path = "support/photographs.rs"]
mod photographs;

use std::io::Cursor;

use heliograph_imaging::{Encoding, Format, Job, Made, Quality, RenderError, Rules, Scratch, Wanted, work};
use heliograph_types::{
    ThumbnailFormat,
    ThumbnailMethod::{self, Crop, Scale},
    ThumbnailSpec,
};
use image::ImageFormat;
use jpeg_encoder::SamplingFactor;
use likeness::{Luma, ssim};
use photographs::{Photo, photo};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// Those that clients ask for, as far as they are smaller than the picture, odd ones, and one that is
/// larger.
const SIZES: [(u32, u32, ThumbnailMethod); 8] = [
    (32, 32, Crop),
    (96, 96, Crop),
    (200, 50, Crop),
    (60, 170, Crop),
    (64, 48, Scale),
    (97, 301, Scale),
    (320, 240, Scale),
    (640, 480, Scale),
];

const WIDTH: u16 = 480;
const HEIGHT: u16 = 360;

/// A file, the pixels that went into it, and how alike thumbnails must be.
struct Case {
    name: &'static str,
    format: Format,
    file: Vec<u8>,
    photo: Photo,
    least: f64,
}

/// What only the encoder of the thumbnail takes away.
const EXACT: f64 = 0.99;
/// The encoder of the file took something, too.
const LOSSY: f64 = 0.985;
/// Steps from one color of few to the next are hard on the encoder of the thumbnail.
const STEPS: f64 = 0.985;

fn cases() -> Vec<Case> {
    let (photo, few, icon) = (photo(WIDTH, HEIGHT), photo(WIDTH, HEIGHT).with_few_colors(), photo(240, 180));
    let case = |name, format, file, photo: &Photo, least| Case { name, format, file, photo: photo.clone(), least };
    let jpeg = |name, sampling, progressive| {
        // Color at half resolution is not in the brightness, which alone is compared.
        case(name, Format::Jpeg, photo.jpeg(sampling, progressive), &photo, LOSSY)
    };
    vec![
        jpeg("JPEG 4:4:4", SamplingFactor::F_1_1, false),
        jpeg("JPEG 4:2:2", SamplingFactor::F_2_1, false),
        jpeg("JPEG 4:4:0", SamplingFactor::F_1_2, false),
        jpeg("JPEG 4:2:0", SamplingFactor::F_2_2, false),
        jpeg("JPEG 4:1:1", SamplingFactor::F_4_1, false),
        jpeg("progressive JPEG 4:4:4", SamplingFactor::F_1_1, true),
        jpeg("progressive JPEG 4:2:0", SamplingFactor::F_2_2, true),
        case("CMYK JPEG", Format::Jpeg, photo.cmyk_jpeg(), &photo, LOSSY),
        case("PNG", Format::Png, photo.png(png::BitDepth::Eight), &photo, EXACT),
        case("PNG with 16 bits", Format::Png, photo.png(png::BitDepth::Sixteen), &photo, EXACT),
        case("GIF", Format::Gif, few.gif(1), &few, STEPS),
        case("animated GIF", Format::Gif, few.gif(3), &few, STEPS),
        case("WebP", Format::WebP, photo.webp(), &photo, LOSSY),
        case("AVIF", Format::Avif, photo.avif(), &photo, LOSSY),
        case("JPEG XL", Format::Jxl, include_bytes!("golden/photo.jxl").to_vec(), &photographs::photo(240, 180), LOSSY),
        case("BMP", Format::Bmp, photo.by_image(ImageFormat::Bmp), &photo, EXACT),
        case("TIFF", Format::Tiff, photo.by_image(ImageFormat::Tiff), &photo, EXACT),
        case("icon", Format::Ico, icon.by_image(ImageFormat::Ico), &icon, EXACT),
        // A thumbnail is drawn, not made smaller: its edges are a little sharper.
        case("SVG", Format::Svg, drawing(), &drawing_in_pixels(), 0.97),
    ]
}

fn drawing() -> Vec<u8> {
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}'><rect width='100%' height='100%' fill='#fff'/>\
         <rect x='50' y='40' width='210.5' height='180' fill='#c02020'/><circle cx='300' cy='200' r='120' fill='#2040d0'/></svg>"
    )
    .into_bytes()
}

/// The same shapes, by hand: each pixel is the mean of many places in it.
fn drawing_in_pixels() -> Photo {
    const PLACES: u16 = 8;
    let color = |x: f64, y: f64| -> [f64; 3] {
        match (x, y) {
            _ if (x - 300.0).hypot(y - 200.0) < 120.0 => [32.0, 64.0, 208.0],
            _ if (50.0..260.5).contains(&x) && (40.0..220.0).contains(&y) => [192.0, 32.0, 32.0],
            _ => [255.0; 3],
        }
    };
    let place = |at: u16, part: u16| f64::from(at) + (f64::from(part) + 0.5) / f64::from(PLACES);
    let pixel = |x: u16, y: u16| {
        let places = (0..PLACES).flat_map(|row| (0..PLACES).map(move |column| (column, row)));
        let sum = places.map(|(column, row)| color(place(x, column), place(y, row)));
        let sum = sum.fold([0.0; 3], |sum, color| std::array::from_fn(|channel| sum[channel] + color[channel]));
        sum.map(|sum| rounded(sum / f64::from(PLACES * PLACES)))
    };
    let samples = (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| pixel(x, y))).collect();
    Photo { width: WIDTH, height: HEIGHT, samples }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn rounded(value: f64) -> u8 {
    value.round() as u8
}

fn thumbnails(file: &[u8]) -> Result<Vec<Made>, RenderError> {
    let spec = |(width, height, method)| ThumbnailSpec { width, height, method, animated: false };
    let wanted = SIZES.map(|size| Wanted { spec: spec(size), format: ThumbnailFormat::Usual }).to_vec();
    let quality = Quality { jpeg: 95, ..Quality::default() };
    let job = Job { wanted, describe: false, rules: Rules { svg: true, avif: true, ..Rules::default() }, quality };
    work(&mut Scratch::default(), &file.to_vec(), &job).map(|done| done.thumbnails)
}

/// By readers that are not ours.
fn opened(made: &Made) -> Luma {
    let (width, height) = (made.width as usize, made.height as usize);
    let samples = match made.encoding {
        Encoding::Jpeg => {
            let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
            JpegDecoder::new_with_options(ZCursor::new(&made.image[..]), options).decode().unwrap()
        }
        Encoding::Png => {
            let mut reader = png::Decoder::new(Cursor::new(&made.image[..])).read_info().unwrap();
            let mut samples = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut samples).unwrap();
            let channels = reader.output_color_type().0.samples();
            assert!(channels >= 3, "a colorful picture");
            samples.chunks_exact(channels).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
        }
        encoding => panic!("{encoding:?} was not wanted"),
    };
    assert_eq!(samples.len(), width * height * 3, "as large as it says");
    Luma::of_rgb(width, height, &samples)
}

/// As the specification describes it: what is cut out, and how large it becomes.
fn expected(photo: &Photo, (width, height, method): (u32, u32, ThumbnailMethod)) -> Luma {
    let (wide, high) = (f64::from(photo.width), f64::from(photo.height));
    let (box_wide, box_high) = (f64::from(width), f64::from(height));
    let full = Luma::of_rgb(photo.width.into(), photo.height.into(), &photo.samples);
    let factor = match method {
        Scale => (box_wide / wide).min(box_high / high).min(1.0),
        Crop => (box_wide / wide).max(box_high / high),
    };
    if factor >= 1.0 {
        assert!(method == Scale, "no picture here is smaller than a box to be filled");
        return full;
    }
    let (out_wide, out_high) = match method {
        Scale => ((wide * factor).round(), (high * factor).round()),
        Crop => (box_wide, box_high),
    };
    let area = match method {
        Scale => [0.0, 0.0, wide, high],
        Crop => {
            let (cut_wide, cut_high) = (box_wide / factor, box_high / factor);
            [(wide - cut_wide) / 2.0, (high - cut_high) / 2.0, cut_wide, cut_high]
        }
    };
    full.resized(area, in_pixels(out_wide), in_pixels(out_high))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
fn in_pixels(side: f64) -> usize {
    side as usize
}

#[test]
fn thumbnails_look_like_those_made_the_plain_way() {
    let mut unlike = Vec::new();
    for case in cases() {
        assert_eq!(Format::sniff(&case.file), Some(case.format), "{}", case.name);
        let made = thumbnails(&case.file).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(made.len(), SIZES.len());
        for (made, size) in made.iter().zip(SIZES) {
            let (seen, expected) = (opened(made), expected(&case.photo, size));
            assert_eq!((seen.width, seen.height), (expected.width, expected.height), "{} {size:?}", case.name);
            let likeness = ssim(&seen, &expected);
            println!("{} {size:?}: {likeness:.4}", case.name);
            if likeness <= case.least {
                unlike.push(format!("{} {size:?}: {likeness:.4}", case.name));
            }
        }
    }
    assert!(unlike.is_empty(), "{unlike:#?}");
}

#[test]
fn the_measure_tells_pictures_apart() {
    let photo = photo(120, 90);
    let full = Luma::of_rgb(120, 90, &photo.samples);
    let small = full.resized([0.0, 0.0, 120.0, 90.0], 60, 45);
    let shifted = full.resized([6.0, 0.0, 114.0, 90.0], 60, 45);
    let blurred = small.resized([0.0, 0.0, 60.0, 45.0], 20, 15).resized([0.0, 0.0, 20.0, 15.0], 60, 45);

    assert!((ssim(&small, &small) - 1.0).abs() < 1e-9);
    for other in [shifted, blurred] {
        let likeness = ssim(&small, &other);
        assert!(likeness < 0.95, "{likeness}");
    }
}
