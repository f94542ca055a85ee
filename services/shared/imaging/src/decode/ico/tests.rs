//! Icons of several pictures.

use ::png::{BitDepth, ColorType};

use super::*;
use crate::{
    decode::foreign::testing::{assert_each_length_is_safe, read},
    picture::Layout,
    testing::{ANY, png_file},
};

/// Directory, then pictures: width, height, bits, content.
fn icon(pictures: &[(u8, u8, u16, Vec<u8>)]) -> Vec<u8> {
    let count = u16::try_from(pictures.len()).unwrap();
    let mut file = [&HEAD[..], &count.to_le_bytes()].concat();
    let mut start = u32::try_from(HEAD_BYTES + ENTRY_BYTES * pictures.len()).unwrap();
    for (width, height, bits, content) in pictures {
        let length = u32::try_from(content.len()).unwrap();
        file.extend([*width, *height, 0, 0, 1, 0]);
        file.extend(bits.to_le_bytes());
        file.extend(length.to_le_bytes());
        file.extend(start.to_le_bytes());
        start += length;
    }
    for (.., content) in pictures {
        file.extend(content);
    }
    file
}

/// Of one color, 32 bits, with a mask that hides nothing.
fn bitmap(width: u32, height: u32, pixel: [u8; 4]) -> Vec<u8> {
    let [red, green, blue, alpha] = pixel;
    let mut file = [40, width, height * 2].map(u32::to_le_bytes).concat();
    file.extend([1, 0, 32, 0]);
    file.extend([0; 24]);
    file.extend([blue, green, red, alpha].repeat((width * height) as usize));
    file.extend(vec![0; (width.div_ceil(32) * 4 * height) as usize]);
    file
}

fn png(width: u32, height: u32, color: ColorType, pixel: &[u8]) -> Vec<u8> {
    png_file(width, height, color, BitDepth::Eight, &pixel.repeat((width * height) as usize))
}

#[test]
fn the_largest_picture_is_taken_and_of_those_the_one_with_most_colors() {
    let file = icon(&[
        (4, 4, 32, bitmap(4, 4, [1, 1, 1, 255])),
        (8, 8, 8, bitmap(8, 8, [2, 2, 2, 255])),
        (8, 8, 32, bitmap(8, 8, [3, 4, 5, 255])),
        (2, 8, 32, bitmap(2, 8, [6, 6, 6, 255])),
    ]);

    let (header, picture) = read(&file).unwrap();

    assert_eq!((header.format, header.size), (Format::Ico, Size { width: 8, height: 8 }));
    assert_eq!((picture.layout, picture.samples), (Layout::Rgba, [3, 4, 5, 255].repeat(64)));
}

#[test]
fn a_png_in_it_may_be_of_any_kind_and_size() {
    let table = [(ColorType::Rgba, &[1, 2, 3, 4][..], Layout::Rgba), (ColorType::Rgb, &[1, 2, 3], Layout::Rgb)];
    for (color, pixel, layout) in table {
        let file = icon(&[(16, 16, 32, bitmap(16, 16, [9; 4])), (0, 0, 32, png(300, 256, color, pixel))]);

        let (header, picture) = read(&file).unwrap();

        assert_eq!(header.size, Size { width: 300, height: 256 });
        assert_eq!((picture.layout, &picture.samples[..pixel.len()]), (layout, pixel));
    }
}

#[test]
fn the_mask_makes_pixels_transparent() {
    let mut masked = bitmap(2, 2, [5, 6, 7, 255]);
    // Of the lower row, the left pixel.
    let mask = masked.len() - 8;
    masked[mask] = 0x80;

    let (_, picture) = read(&icon(&[(2, 2, 32, masked)])).unwrap();

    assert_eq!(picture.samples.as_chunks::<4>().0.iter().map(|pixel| pixel[3]).collect::<Vec<_>>(), [255, 255, 0, 255]);
}

#[test]
fn what_the_directory_says_of_the_size_does_not_count() {
    let (header, picture) = read(&icon(&[(77, 3, 32, bitmap(2, 2, [5, 6, 7, 255]))])).unwrap();

    assert_eq!((header.size, picture.samples), (Size { width: 2, height: 2 }, [5, 6, 7, 255].repeat(4)));
}

#[test]
fn bombs_are_refused_by_their_header() {
    let huge_png = crate::testing::png_header(30_000, 32_000);
    let mut huge_bitmap = bitmap(1, 1, [0; 4]);
    huge_bitmap[4..12].copy_from_slice(&[30_000_u32, 64_000].map(u32::to_le_bytes).concat());
    let limits = crate::Rules::default();

    for content in [huge_png, huge_bitmap] {
        let refusal = Header::read(&icon(&[(0, 0, 32, content)]), &limits).unwrap_err();
        assert!(matches!(refusal, RenderError::TooManyPixels { pixels: 960_000_000, .. }), "{refusal:?}");
    }
}

#[test]
fn what_has_no_picture_is_broken() {
    let mut elsewhere = icon(&[(2, 2, 32, bitmap(2, 2, [5; 4]))]);
    elsewhere[18..22].copy_from_slice(&u32::MAX.to_le_bytes());
    let garbage = icon(&[(2, 2, 32, vec![0xff; 200])]);
    let too_large = icon(&[(2, 2, 32, [bitmap(2, 2, [5; 4]), vec![0; 2 << 20]].concat())]);
    for file in [elsewhere, garbage, too_large] {
        assert!(matches!(Header::read(&file, &ANY), Err(RenderError::Broken(_))));
    }
}

#[test]
fn no_length_of_a_cut_off_file_is_a_danger() {
    let size = Size { width: 4, height: 4 };
    assert_each_length_is_safe(&icon(&[(4, 4, 32, bitmap(4, 4, [1, 2, 3, 4]))]), size);
    assert_each_length_is_safe(&icon(&[(4, 4, 32, png(4, 4, ColorType::Rgba, &[1, 2, 3, 4]))]), size);
}
