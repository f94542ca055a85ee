//! Files of the encoder at hand, and some that were put together tag by tag.

use image::{ExtendedColorType, ImageEncoder, codecs::tiff::TiffEncoder};

use super::*;
use crate::{
    decode::foreign::testing::{assert_each_length_is_safe, read},
    geometry::Size,
    orientation::Orientation,
    picture::Layout,
    testing::ANY,
};

const SHORT: u16 = 3;
const LONG: u16 = 4;

fn encode(samples: &[u8], width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    TiffEncoder::new(&mut file).write_image(samples, width, height, color).unwrap();
    file.into_inner()
}

/// A page of these tags, which must be in order; pixels are at [`PIXELS_AT`].
fn page(tags: &[(u16, u16, &[u32])], pixels: &[u8]) -> Vec<u8> {
    let mut file = b"II\x2a\0\x08\0\0\0".to_vec();
    file.extend(u16::try_from(tags.len()).unwrap().to_le_bytes());
    let mut more: Vec<u8> = Vec::new();
    for (tag, kind, values) in tags {
        let bytes: Vec<u8> = match *kind {
            SHORT => values.iter().flat_map(|value| value.to_le_bytes()[..2].to_vec()).collect(),
            _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        };
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(u32::try_from(values.len()).unwrap().to_le_bytes());
        if bytes.len() <= 4 {
            file.extend([&bytes[..], &[0; 4]].concat().first_chunk::<4>().unwrap());
        } else {
            let at = MORE_AT + u32::try_from(more.len()).unwrap();
            file.extend(at.to_le_bytes());
            more.extend(bytes);
        }
    }
    file.extend([0; 4]);
    file.resize(MORE_AT as usize, 0);
    file.extend(more);
    file.resize(PIXELS_AT as usize, 0);
    file.extend(pixels);
    file
}

const MORE_AT: u32 = 300;
const PIXELS_AT: u32 = 500;

fn strip<'t>(
    width: &'t [u32],
    height: &'t [u32],
    bits: &'t [u32],
    light: &'t [u32],
    count: &'t [u32],
) -> Vec<(u16, u16, &'t [u32])> {
    vec![
        (256, LONG, width),
        (257, LONG, height),
        (258, SHORT, bits),
        (259, SHORT, &[1]),
        (262, SHORT, light),
        (273, LONG, &[PIXELS_AT]),
        (277, SHORT, count),
        (278, LONG, height),
        (279, LONG, &[64]),
    ]
}

#[test]
fn gray_and_color_and_transparency_of_8_and_16_bits_are_read() {
    use ExtendedColorType as Color;
    let table = [
        (Color::L8, Layout::Gray, 1),
        (Color::Rgb8, Layout::Rgb, 1),
        (Color::Rgba8, Layout::Rgba, 1),
        (Color::L16, Layout::Gray, 2),
        (Color::Rgb16, Layout::Rgb, 2),
        (Color::Rgba16, Layout::Rgba, 2),
    ];
    for (color, layout, sample_bytes) in table {
        let high: Vec<u8> = (0..3 * 2 * layout.channels()).map(|at| u8::try_from(at * 9).unwrap()).collect();
        let samples: Vec<u8> = match sample_bytes {
            1 => high.clone(),
            _ => high.iter().flat_map(|high| u16::from_be_bytes([*high, 0x7f]).to_ne_bytes()).collect(),
        };

        let (header, picture) = read(&encode(&samples, 3, 2, color)).unwrap();

        assert_eq!((header.format, header.bits), (Format::Tiff, sample_bytes * 8));
        assert_eq!((picture.layout, picture.samples), (layout, high), "{color:?}");
    }
}

#[test]
fn ink_is_shown_as_light() {
    let tags = strip(&[2], &[1], &[8, 8, 8, 8], &[5], &[4]);

    let (_, picture) = read(&page(&tags, &[[0, 255, 255, 0, 0, 0, 0, 0].to_vec(), vec![0; 64]].concat())).unwrap();

    assert_eq!((picture.layout, picture.samples), (Layout::Rgb, vec![255, 0, 0, 255, 255, 255]));
}

#[test]
fn the_orientation_is_found() {
    for (number, expected) in [(1, Orientation::Upright), (3, Orientation::UpsideDown), (6, Orientation::TurnRight)] {
        let mut tags = strip(&[2], &[1], &[8], &[1], &[1]);
        let number = [number];
        tags.insert(6, (274, SHORT, &number));

        let (header, picture) = read(&page(&tags, &[7; 64])).unwrap();

        assert_eq!((header.orientation, picture.samples), (expected, vec![7; 2]));
    }
}

#[test]
fn tiles_are_read() {
    let tags: [(u16, u16, &[u32]); 10] = [
        (256, LONG, &[17]),
        (257, LONG, &[16]),
        (258, SHORT, &[8]),
        (259, SHORT, &[1]),
        (262, SHORT, &[1]),
        (277, SHORT, &[1]),
        (322, LONG, &[16]),
        (323, LONG, &[16]),
        (324, LONG, &[PIXELS_AT, PIXELS_AT + 256]),
        (325, LONG, &[256, 256]),
    ];

    let (header, picture) = read(&page(&tags, &[[1; 256], [2; 256]].concat())).unwrap();

    let row = [&[1; 16][..], &[2]].concat();
    assert_eq!((header.size, picture.samples), (Size { width: 17, height: 16 }, row.repeat(16)));
}

#[test]
fn bombs_are_refused_by_their_header() {
    let refusal = |width, height| {
        Header::read(&page(&strip(&[width], &[height], &[8], &[1], &[1]), &[]), &crate::Rules::default())
    };

    assert!(matches!(refusal(60_000, 60_000), Err(RenderError::TooManyPixels { pixels: 3_600_000_000, .. })));
    assert!(refusal(u32::MAX, u32::MAX).is_err());
    assert!(matches!(refusal(0, 5), Err(RenderError::Broken(_))));
}

#[test]
fn a_tag_that_asks_for_all_memory_does_not_get_it() {
    let tags = strip(&[2], &[1], &[8], &[1], &[1]);
    for tag in 0..tags.len() {
        let mut file = page(&tags, &[7; 64]);
        let count_at = 8 + 2 + tag * 12 + 4;
        file[count_at..count_at + 4].copy_from_slice(&u32::MAX.to_le_bytes());

        assert!(matches!(read(&file), Err(RenderError::Broken(_))), "{:?}", tags[tag]);
    }
}

#[test]
fn what_is_no_light_is_broken() {
    for (bits, light, count) in [(&[8][..], 3, 1), (&[32], 1, 1), (&[8; 3], 6, 3), (&[8; 5], 5, 5)] {
        let file = page(&strip(&[2], &[1], bits, &[light], &[count]), &[0; 64]);

        assert!(matches!(Header::read(&file, &ANY), Err(RenderError::Broken(_))), "{light}");
    }
}

#[test]
fn no_length_of_a_cut_off_file_is_a_danger() {
    let samples: Vec<u8> = (0..8 * 8 * 3).collect();
    assert_each_length_is_safe(&encode(&samples, 8, 8, ExtendedColorType::Rgb8), Size { width: 8, height: 8 });
}
