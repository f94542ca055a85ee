//! Bitmaps of the encoder at hand, and some that were put together by hand.

use image::{ExtendedColorType, codecs::bmp::BmpEncoder};

use super::*;
use crate::{
    decode::foreign::testing::{assert_each_length_is_safe, read},
    geometry::Size,
    picture::Layout,
    testing::ANY,
};

fn encode(samples: &[u8], width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
    let mut file = Vec::new();
    BmpEncoder::new(&mut file).encode(samples, width, height, color).unwrap();
    file
}

/// A header, then what comes after it.
fn bitmap(width: i32, height: i32, bits: u16, compression: u32, rest: &[u8]) -> Vec<u8> {
    let numbers = [40, width, height].map(i32::to_le_bytes).concat();
    let kind = [1_u16.to_le_bytes(), bits.to_le_bytes()].concat();
    let rest_of_header = [compression, 0, 0, 0, 0, 0].map(u32::to_le_bytes).concat();
    let colors = if bits <= 8 { 4 << bits } else { 0 };
    let start = (14 + 40_u32 + colors).to_le_bytes();
    [b"BM", &[0; 8][..], &start, &numbers, &kind, &rest_of_header, rest].concat()
}

#[test]
fn color_and_gray_and_transparency_are_read() {
    let table = [
        (ExtendedColorType::Rgb8, Layout::Rgb, &[1, 2, 3, 4, 5, 6][..]),
        (ExtendedColorType::Rgba8, Layout::Rgba, &[1, 2, 3, 255, 4, 5, 6, 7]),
    ];
    for (color, layout, samples) in table {
        let (header, picture) = read(&encode(samples, 2, 1, color)).unwrap();

        assert_eq!((header.format, picture.layout, &picture.samples[..]), (Format::Bmp, layout, samples));
    }
    let gray = read(&encode(&[7, 200], 2, 1, ExtendedColorType::L8)).unwrap().1;
    assert_eq!((gray.layout, gray.samples), (Layout::Rgb, vec![7, 7, 7, 200, 200, 200]));
}

#[test]
fn rows_may_come_from_the_bottom_or_from_the_top() {
    let rows = [1, 1, 1, 0, 2, 2, 2, 0];

    assert_eq!(read(&bitmap(1, 2, 24, 0, &rows)).unwrap().1.samples, [2, 2, 2, 1, 1, 1]);
    assert_eq!(read(&bitmap(1, -2, 24, 0, &rows)).unwrap().1.samples, [1, 1, 1, 2, 2, 2]);
}

#[test]
fn palettes_and_runs_are_read() {
    let colors: Vec<u8> = (0..=255).flat_map(|gray| [gray, gray, gray, 0]).collect();
    let plain = [&colors[..], &[5, 5, 9, 0]].concat();
    let runs = [&colors[..], &[2, 5, 1, 9, 0, 1]].concat();
    let bits = [&[10, 20, 30, 0, 40, 50, 60, 0][..], &[0b1010_0000, 0, 0, 0]].concat();

    let expected = [5, 5, 5, 5, 5, 5, 9, 9, 9];
    assert_eq!(read(&bitmap(3, 1, 8, 0, &plain)).unwrap().1.samples, expected);
    assert_eq!(read(&bitmap(3, 1, 8, 1, &runs)).unwrap().1.samples, expected);
    assert_eq!(read(&bitmap(3, 1, 1, 0, &bits)).unwrap().1.samples, [60, 50, 40, 30, 20, 10, 60, 50, 40]);
}

#[test]
fn a_text_that_begins_with_its_two_letters_is_no_bitmap() {
    assert!(!is_of(b"BM is the name of a museum in London"));
    assert!(!is_of(b"BM"));
    assert!(is_of(&bitmap(1, 1, 24, 0, &[])));
}

#[test]
fn bombs_are_refused_by_their_header() {
    for (width, height) in [(65_535, 65_535), (65_535, -65_535)] {
        let refusal = Header::read(&bitmap(width, height, 24, 0, &[]), &crate::Rules::default()).unwrap_err();

        assert!(matches!(refusal, RenderError::TooManyPixels { pixels: 4_294_836_225, .. }), "{refusal:?}");
    }
    for (width, height) in [(0, 1), (1, 0), (-1, 1), (i32::MAX, i32::MAX), (1, i32::MIN)] {
        let refusal = Header::read(&bitmap(width, height, 24, 0, &[]), &ANY).unwrap_err();

        assert!(matches!(refusal, RenderError::Broken(_)), "{width} {height}: {refusal:?}");
    }
}

#[test]
fn no_length_of_a_cut_off_file_is_a_danger() {
    let samples: Vec<u8> = (0..8 * 8 * 3).collect();
    assert_each_length_is_safe(&encode(&samples, 8, 8, ExtendedColorType::Rgb8), Size { width: 8, height: 8 });
}
