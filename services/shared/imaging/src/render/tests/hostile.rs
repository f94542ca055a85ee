//! Files that mean no good, and files that came to harm.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

#[test]
fn what_is_no_picture_is_refused() {
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>"#;
    let wave = b"RIFF\x1a\0\0\0WAVEfmt ";
    for file in [
        &b""[..],
        b"\xff",
        b"\xff\xd8",
        b"\x89PNG",
        b"GIF8",
        b"BM, a text",
        b"\0\0\x01\0",
        wave,
        &[0; 4096],
        b"<!doctype html>",
    ] {
        assert_eq!(refusal(file), RenderError::UnknownFormat);
    }
    let no_drawings = Rules { svg: false, ..RULES };
    let refused = render(&mut Scratch::default(), svg, &spec(32, 32, Crop), &no_drawings).unwrap_err();
    assert_eq!(refused, RenderError::UnknownFormat);
}

#[test]
fn a_pixel_bomb_is_refused_by_its_header() {
    let mut jpeg = Jpeg::new(8, 8, JpegColor::Rgb).encode(&quarters(8, 8));
    let frame = jpeg.windows(2).position(|bytes| bytes == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);

    let many = |pixels| RenderError::TooManyPixels { pixels, most: RULES.most_pixels };
    assert_eq!(refusal(&png_header(60_000, 60_000)), many(3_600_000_000));
    assert_eq!(refusal(&png_header(u32::MAX, u32::MAX)), many(u64::from(u32::MAX).pow(2)));
    assert_eq!(refusal(&jpeg), many(65_535 * 65_535));
}

#[test]
fn the_pixel_limit_itself_is_allowed() {
    let file = png_file(40, 25, PngColor::Grayscale, BitDepth::Eight, &[9; 1000]);
    let make = |most_pixels| {
        let limits = Rules { most_pixels, ..RULES };
        render(&mut Scratch::default(), &file, &spec(32, 32, Crop), &limits)
    };

    assert!(make(1000).is_ok());
    assert_eq!(make(999), Err(RenderError::TooManyPixels { pixels: 1000, most: 999 }));
}

#[test]
fn the_scans_of_a_scan_bomb_are_not_walked() {
    let mut file = Jpeg { progressive: true, ..Jpeg::new(64, 64, JpegColor::Rgb) }.encode(&quarters(64, 64));
    let before = thumbnail(&file, &spec(32, 32, Crop));
    file.truncate(file.len() - 2);
    for _ in 0..1000 {
        file.extend(b"\xff\xda\0\x08\x01\x01\x00\x01\x3f\x00\x00");
    }

    assert_eq!(thumbnail(&file, &spec(32, 32, Crop)), before);
}

#[test]
fn a_baseline_jpeg_with_a_scan_per_component_keeps_its_colors() {
    let file = Jpeg { separate_scans: true, ..Jpeg::new(64, 64, JpegColor::Rgb) }.encode(&quarters(64, 64));

    assert_quarters(&seen(&file, 32, 32, Crop), [RED, GREEN, BLUE, WHITE]);
    assert_quarters(&seen(&file, 64, 64, Scale), [RED, GREEN, BLUE, WHITE]);
}

#[test]
fn headers_without_pixels_are_broken() {
    let mut jpeg = Jpeg::new(8, 8, JpegColor::Rgb).encode(&quarters(8, 8));
    let frame = jpeg.windows(2).position(|bytes| bytes == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&[0; 2]);

    assert!(matches!(refusal(&jpeg), RenderError::Broken(_)));
    assert!(matches!(refusal(&png_header(0, 5)), RenderError::Broken(_)));
    assert!(matches!(refusal(b"\xff\xd8\xff\xd9"), RenderError::Broken(_)));
    assert!(matches!(refusal(b"\xff\xd8\xff\xe0\xff\xff"), RenderError::Broken(_)));
    assert!(matches!(refusal(b"\x89PNG\r\n\x1a\n"), RenderError::Broken(_)));
}

#[test]
fn what_is_left_of_a_jpeg_that_was_cut_off_is_shown() {
    let file = Jpeg::new(128, 128, JpegColor::Rgb).encode(&quarters(128, 128));

    let picture = seen(&file[..file.len() * 3 / 4], 32, 32, Crop);

    assert_eq!(picture.size, size(32, 32));
    assert!(alike(picture.quarters()[0], RED) && alike(picture.quarters()[1], GREEN));
}

#[test]
fn what_is_left_of_a_png_that_was_cut_off_is_shown() {
    let noise = std::cell::RefCell::new(StdRng::seed_from_u64(1));
    let speckled = paint(128, 128, |_, _| RED.map(|sample| sample ^ noise.borrow_mut().random_range(0..4)));
    let file = png_file(128, 128, PngColor::Rgb, BitDepth::Eight, &speckled);

    let picture = seen(&file[..file.len() / 2], 32, 32, Crop);

    assert_quarters(&picture, [RED, RED, [255; 3], [255; 3]]);
    let before_pixels = file.windows(4).position(|bytes| bytes == b"IDAT").unwrap();
    assert!(matches!(refusal(&file[..before_pixels]), RenderError::Broken(_)));
}

#[test]
fn a_decompression_bomb_beside_the_pixels_is_harmless() {
    let file = png_with(8, 8, PngColor::Rgb, BitDepth::Eight, &quarters(8, 8), |encoder| {
        encoder.add_ztxt_chunk("Comment".to_owned(), "x".repeat(8 << 20)).unwrap();
    });

    assert_eq!(seen(&file, 32, 32, Crop).size, size(8, 8));
}

fn specimens() -> Vec<(&'static str, Vec<u8>)> {
    let jpeg = |color, progressive, sampling| Jpeg {
        progressive,
        sampling,
        exif: Some(exif(6, true)),
        ..Jpeg::new(61, 47, color)
    };
    let (whole, half) = (SamplingFactor::F_1_1, SamplingFactor::F_2_2);
    let inks = ink_quarters(61, 47);
    let deep: Vec<u8> = quarters(61, 47).into_iter().flat_map(|sample| [sample, 1]).collect();
    let veiled = paint(61, 47, |x, y| [byte(x), byte(y), 99, byte(x * y)]);
    let palette =
        png_with(61, 47, PngColor::Indexed, BitDepth::Eight, &paint(61, 47, |x, _| [byte(x % 4)]), |encoder| {
            encoder.set_palette([RED, GREEN, BLUE, WHITE].concat());
            encoder.set_trns(vec![255, 9]);
        });
    vec![
        ("baseline JPEG", jpeg(JpegColor::Rgb, false, half).encode(&quarters(61, 47))),
        ("progressive JPEG", jpeg(JpegColor::Rgb, true, half).encode(&quarters(61, 47))),
        ("gray JPEG", jpeg(JpegColor::Luma, false, whole).encode(&paint(61, 47, |x, y| [byte(x * y)]))),
        ("CMYK JPEG", jpeg(JpegColor::Cmyk, false, whole).encode(&inks)),
        ("YCCK JPEG", jpeg(JpegColor::CmykAsYcck, true, whole).encode(&inks)),
        ("16-bit PNG", png_file(61, 47, PngColor::Rgb, BitDepth::Sixteen, &deep)),
        ("PNG with alpha", png_file(61, 47, PngColor::Rgba, BitDepth::Eight, &veiled)),
        ("PNG with a palette", palette),
        ("GIF", animated_gif()),
        ("APNG", animated_png()),
        ("BMP", foreign(image::ImageFormat::Bmp)),
        ("TIFF", foreign(image::ImageFormat::Tiff)),
        ("ICO", foreign(image::ImageFormat::Ico)),
    ]
}

fn animated_gif() -> Vec<u8> {
    let frame = |samples: &[u8]| gif::Frame::from_rgb(61, 47, samples);
    let colors = [RED, GREEN, BLUE, WHITE].concat();
    let mut encoder = gif::Encoder::new(Vec::new(), 61, 47, &colors).unwrap();
    encoder.write_frame(&frame(&quarters(61, 47))).unwrap();
    encoder.write_frame(&frame(&paint(61, 47, |x, y| [byte(x), byte(y), 99]))).unwrap();
    encoder.into_inner().unwrap()
}

fn animated_png() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 61, 47);
    encoder.set_color(PngColor::Rgba);
    encoder.set_animated(3, 0).unwrap();
    encoder.set_blend_op(png::BlendOp::Over).unwrap();
    encoder.set_dispose_op(png::DisposeOp::Previous).unwrap();
    let mut writer = encoder.write_header().unwrap();
    for shift in [0, 5, 9] {
        writer.write_image_data(&paint(61, 47, |x, y| [byte(x << shift), byte(y), 99, byte(x * y)])).unwrap();
    }
    writer.finish().unwrap();
    file
}

fn foreign(format: image::ImageFormat) -> Vec<u8> {
    let veiled = paint(61, 47, |x, y| [byte(x), byte(y), 99, byte(x * y)]);
    let mut file = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut file, &veiled, 61, 47, image::ExtendedColorType::Rgba8, format).unwrap();
    file.into_inner()
}

/// Cuts, flips, overwrites, repeats or removes something.
fn harm(file: &mut Vec<u8>, random: &mut StdRng) {
    if file.is_empty() {
        // An earlier harm took all of it.
        return;
    }
    let at = random.random_range(0..file.len());
    let span = random.random_range(1..=16).min(file.len() - at);
    match random.random_range(0..6) {
        0 => file.truncate(at.max(9)),
        1 => file[at] ^= 1 << random.random_range(0..8),
        2 => file[at..at + span].fill(random.random()),
        3 => drop(file.splice(at..at, vec![random.random(); span])),
        4 => drop(file.drain(at..at + span)),
        _ => file[at] = [0x00, 0xff, 0x7f, 0x80, 0xda, 0xc4][random.random_range(0..6)],
    }
}

/// PNG protects itself with checksums: without new ones no harm would get past them.
fn mend_checksums(file: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = file.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let end = at.saturating_add(8).saturating_add(length);
        let Some(content) = file.get(at + 4..end) else { return };
        let checksum = crc32(content);
        let Some(stored) = file.get_mut(end..end + 4) else { return };
        stored.copy_from_slice(&checksum.to_be_bytes());
        at = end + 4;
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// Draws all pictures of an animation, if it is one.
fn play(file: &dyn Source, rules: &Rules) {
    let Ok(header) = Header::read(file.bytes(), rules) else { return };
    let Ok(mut frames) = header.frames(file) else { return };
    let mut count = 0;
    while let Ok(Some(frame)) = frames.next_frame() {
        assert_eq!(frame.picture.size, header.size);
        count += 1;
    }
    assert!(count <= header.frames, "{count} pictures of {}", header.frames);
}

#[test]
fn harmed_files_are_refused_or_rendered() {
    // The same harm each time, unless somebody wants to look for more.
    let seed: u64 = std::env::var("HELIOGRAPH_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(2026);
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut panics = 0_usize;
    for (name, file) in specimens() {
        let mut rendered = 0;
        for round in 0..250 {
            let mut harmed = file.clone();
            for _ in 0..random.random_range(1..4) {
                harm(&mut harmed, &mut random);
            }
            if name.contains("PNG") && round % 4 != 0 {
                mend_checksums(&mut harmed);
            }
            let spec = spec(random.random_range(1..70), random.random_range(1..70), [Crop, Scale][round % 2]);
            let limits = Rules { most_pixels: 1_000_000, most_animated_pixels: 10_000_000, ..RULES };
            let outcome = catch_unwind(AssertUnwindSafe(|| render(&mut Scratch::default(), &harmed, &spec, &limits)));
            let played = catch_unwind(AssertUnwindSafe(|| play(&harmed, &limits)));
            panics += usize::from(played.is_err());
            match outcome {
                Ok(Ok(thumbnail)) => {
                    let size = Seen::open(&thumbnail.image).size;
                    assert!(size.width <= spec.width.max(61) && size.height <= spec.height.max(61), "{name} {round}");
                    rendered += 1;
                }
                Ok(Err(_)) => {}
                // The worker catches these; here they must at least be rare.
                Err(_) => panics += 1,
            }
        }
        println!("{name}: {rendered} of 250 rendered");
        assert!(rendered > 0, "{name}: the harm is too great to test anything");
    }
    println!("{panics} panics inside decoders");
    assert!(panics < 20, "seed {seed}: {panics} panics");
}
