//! Files that were put together chunk by chunk: the encoder at hand neither interlaces nor errs.

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};

use super::*;
use crate::{
    orientation::Orientation,
    testing::{ANY, byte, exif},
};

mod animated;
mod hostile;

const GRAY: u8 = 0;
const RGB: u8 = 2;
const PALETTE: u8 = 3;
const GRAY_ALPHA: u8 = 4;
const RGBA: u8 = 6;

/// Checksums are not looked at.
fn chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[..], &kind, content, &[0; 4]].concat()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// As large as what it holds.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn header(width: u32, height: u32, depth: u8, color: u8, interlaced: bool) -> Vec<u8> {
    let rest = [depth, color, 0, 0, u8::from(interlaced)];
    chunk(*b"IHDR", &[&width.to_be_bytes()[..], &height.to_be_bytes(), &rest].concat())
}

fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    [&MAGIC[..], &chunks.concat(), &chunk(*b"IEND", &[])].concat()
}

/// Rows without filters.
fn rows(samples: &[u8], row_bytes: usize) -> Vec<u8> {
    samples.chunks(row_bytes).flat_map(|row| [&[0], row].concat()).collect()
}

fn read(file: &[u8]) -> Result<(Header, Picture), RenderError> {
    let header = Header::read(file, &ANY)?;
    let decoded = header.decode(&file.to_vec(), header.size)?;
    match decoded.pixels {
        Pixels::Picture(picture) => Ok((header, picture)),
        Pixels::Planes { .. } => panic!("planes"),
    }
}

fn picture(file: &[u8]) -> Picture {
    let (header, picture) = read(file).unwrap();
    assert_eq!(usize::from(header.channels), picture.layout.channels());
    picture
}

/// Values of `depth` bits, packed.
fn pack(values: &[u16], depth: u8) -> Vec<u8> {
    match depth {
        16 => values.iter().flat_map(|value| value.to_be_bytes()).collect(),
        8 => values.iter().map(|value| byte((*value).into())).collect(),
        _ => {
            let per_byte = usize::from(8 / depth);
            let fold = |values: &[u16]| {
                let padded = values.iter().copied().chain(std::iter::repeat(0)).take(per_byte);
                padded.fold(0_u16, |byte, value| byte << depth | value)
            };
            values.chunks(per_byte).map(|values| byte(fold(values).into())).collect()
        }
    }
}

/// What a value of `depth` bits is among 8.
fn widened(value: u16, depth: u8) -> u8 {
    match depth {
        16 => value.to_be_bytes()[0],
        _ => byte(u32::from(value) * 255 / ((1 << depth) - 1)),
    }
}

#[test]
fn every_depth_of_every_color_type_is_read() {
    let kinds = [
        (GRAY, Layout::Gray, &[1, 2, 4, 8, 16][..]),
        (RGB, Layout::Rgb, &[8, 16]),
        (GRAY_ALPHA, Layout::GrayAlpha, &[8, 16]),
        (RGBA, Layout::Rgba, &[8, 16]),
    ];
    for (color, layout, depths) in kinds {
        for depth in depths.iter().copied() {
            let greatest = u16::MAX >> (16 - depth);
            let per_row = 5 * layout.channels();
            let values: Vec<u16> =
                (0..=u16::MAX).take(per_row * 3).map(|at| at.wrapping_mul(40_503) & greatest).collect();
            let packed: Vec<u8> = values.chunks(per_row).flat_map(|row| [vec![0], pack(row, depth)].concat()).collect();

            let file = file(&[header(5, 3, depth, color, false), chunk(*b"IDAT", &deflated(&packed))]);

            let expected: Vec<u8> = values.iter().map(|value| widened(*value, depth)).collect();
            let picture = picture(&file);
            assert_eq!((picture.layout, picture.samples), (layout, expected), "color type {color}, {depth} bits");
        }
    }
}

#[test]
fn palettes_of_every_depth_are_read_with_and_without_alpha() {
    let colors = [[250, 0, 0], [0, 250, 0], [0, 0, 250], [9, 9, 9]];
    for depth in [1, 2, 4, 8] {
        let count = if depth == 1 { 2 } else { 4 };
        let indices: Vec<u16> = (0..5).map(|at| at % count).collect();
        let palette = chunk(*b"PLTE", colors[..usize::from(count)].as_flattened());
        let pixels = chunk(*b"IDAT", &deflated(&[vec![0], pack(&indices, depth)].concat()));

        let opaque = picture(&file(&[header(5, 1, depth, PALETTE, false), palette.clone(), pixels.clone()]));
        let veiled = [header(5, 1, depth, PALETTE, false), palette, chunk(*b"tRNS", &[7]), pixels];
        let veiled = picture(&file(&veiled));

        let expected: Vec<[u8; 3]> = indices.iter().map(|index| colors[usize::from(*index)]).collect();
        assert_eq!((opaque.layout, opaque.samples), (Layout::Rgb, expected.concat()), "{depth} bits");
        let alpha = |index: u16| if index == 0 { 7 } else { 255 };
        let expected = expected.iter().zip(&indices).flat_map(|([r, g, b], index)| [*r, *g, *b, alpha(*index)]);
        assert_eq!((veiled.layout, veiled.samples), (Layout::Rgba, expected.collect()), "{depth} bits");
    }
}

#[test]
fn one_gray_or_one_color_may_be_transparent() {
    let gray = [header(2, 1, 8, GRAY, false), chunk(*b"tRNS", &[0, 9]), chunk(*b"IDAT", &deflated(&[0, 8, 9]))];
    let color = [
        header(2, 1, 8, RGB, false),
        chunk(*b"tRNS", &[0, 1, 0, 2, 0, 3]),
        chunk(*b"IDAT", &deflated(&[0, 1, 2, 3, 1, 2, 4])),
    ];

    let (gray, color) = (picture(&file(&gray)), picture(&file(&color)));

    assert_eq!((gray.layout, gray.samples), (Layout::GrayAlpha, vec![8, 255, 9, 0]));
    assert_eq!((color.layout, color.samples), (Layout::Rgba, vec![1, 2, 3, 0, 1, 2, 4, 255]));
}

/// Where the seven passes begin, and how far they go on.
const PASSES: [[u32; 4]; 7] =
    [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

fn value(x: u32, y: u32) -> u8 {
    byte(x * 16 + y)
}

fn interlaced(width: u32, height: u32) -> Vec<u8> {
    let mut raw = Vec::new();
    for [left, top, across, down] in PASSES {
        for y in (top..height).step_by(down as usize) {
            let row: Vec<u8> = (left..width).step_by(across as usize).map(|x| value(x, y)).collect();
            if !row.is_empty() {
                raw.push(0);
                raw.extend(row);
            }
        }
    }
    raw
}

#[test]
fn interlaced_pictures_of_all_small_sizes_are_read() {
    for (width, height) in (1..10).flat_map(|width| (1..10).map(move |height| (width, height))) {
        let raw = deflated(&interlaced(width, height));

        let file = file(&[header(width, height, 8, GRAY, true), chunk(*b"IDAT", &raw)]);

        let expected: Vec<u8> = (0..height).flat_map(|y| (0..width).map(move |x| value(x, y))).collect();
        assert!(Header::read(&file, &ANY).unwrap().progressive);
        assert_eq!(picture(&file).samples, expected, "{width}x{height}");
    }
}

#[test]
fn pixels_may_be_spread_over_many_chunks() {
    let samples: Vec<u8> = (0..64 * 64).map(|at| byte(at * 7)).collect();
    let raw = deflated(&rows(&samples, 64));
    for bytes in [1, 2, 3, 100] {
        let mut chunks = vec![header(64, 64, 8, GRAY, false), chunk(*b"IDAT", &[])];
        chunks.extend(raw.chunks(bytes).map(|content| chunk(*b"IDAT", content)));

        assert_eq!(picture(&file(&chunks)).samples, samples, "{bytes} bytes in each");
    }
}

#[test]
fn a_picture_is_as_small_as_it_may_be_and_keeps_its_colors() {
    for (color, pixel) in [(RGB, &[10, 200, 90][..]), (RGBA, &[10, 200, 90, 128])] {
        let samples = pixel.repeat(700 * 500);
        let raw = deflated(&rows(&samples, 700 * pixel.len()));
        let file = file(&[header(700, 500, 8, color, false), chunk(*b"IDAT", &raw)]);
        let header = Header::read(&file, &ANY).unwrap();

        let decoded = header.decode(&file, Size { width: 56, height: 40 }).unwrap();

        let Pixels::Picture(picture) = decoded.pixels else { panic!("planes") };
        assert_eq!(picture.size, Size { width: 116, height: 83 });
        let alike = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= 1;
        assert!(picture.samples.iter().zip(pixel.iter().cycle()).all(alike), "{:?}", &picture.samples[..8]);
        assert!(header.memory_bytes(Size { width: 56, height: 40 }, false) < 9 << 20, "little is kept");
    }
}

#[test]
fn the_orientation_is_found_before_and_after_the_pixels() {
    let (pixels, turned) = (chunk(*b"IDAT", &deflated(&[0, 1, 2])), chunk(*b"eXIf", &exif(6, true)));
    let head = header(2, 1, 8, GRAY, false);
    let files = [file(&[head.clone(), turned.clone(), pixels.clone()]), file(&[head.clone(), pixels.clone(), turned])];
    for file in files {
        let header = Header::read(&file, &ANY).unwrap();

        assert_eq!((header.orientation, header.seen_size()), (Orientation::TurnRight, Size { width: 1, height: 2 }));
    }
    assert_eq!(Header::read(&file(&[head, pixels]), &ANY).unwrap().orientation, Orientation::Upright);
}

fn with_profile(profile: &[u8]) -> Vec<u8> {
    let content = [b"name\0\0", &deflated(profile)[..]].concat();
    file(&[header(1, 1, 8, GRAY, false), chunk(*b"iCCP", &content), chunk(*b"IDAT", &deflated(&[0, 1]))])
}

fn profile_of(file: &[u8]) -> Option<Vec<u8>> {
    let header = Header::read(file, &ANY).unwrap();
    header.decode(&file.to_vec(), header.size).unwrap().icc
}

#[test]
fn the_color_profile_comes_with_the_pixels() {
    assert_eq!(profile_of(&with_profile(b"a profile")).as_deref(), Some(&b"a profile"[..]));
    assert_eq!(profile_of(&with_profile(&vec![7; 3 << 20])).map(|profile| profile.len()), Some(3 << 20));
    assert_eq!(profile_of(&file(&[header(1, 1, 8, GRAY, false), chunk(*b"IDAT", &deflated(&[0, 1]))])), None);
}
