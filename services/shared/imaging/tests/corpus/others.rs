//! BMP, TIFF and ICO.

use image::ImageFormat;

use super::{Hostile, joined};
use crate::photographs::photo;

pub(crate) fn bombs() -> Vec<Hostile> {
    [bmp(), tiff(), ico()].concat()
}

fn bmp() -> Vec<Hostile> {
    let header = |width: i32, height: i32, bits: u16, compression: u32, colors: u32| {
        let sides = joined(&[&40_u32.to_le_bytes(), &width.to_le_bytes(), &height.to_le_bytes(), &1_u16.to_le_bytes()]);
        let rest = [compression, 0, 0, 0, colors, 0].map(u32::to_le_bytes).concat();
        joined(&[b"BM\0\0\0\0\0\0\0\0\x36\0\0\0", &sides, &bits.to_le_bytes(), &rest, &[0; 64]])
    };
    let bombs = [
        ("longest-sides.bmp", header(i32::MAX, i32::MAX, 24, 0, 0)),
        ("sides-of-65535.bmp", header(65_535, 65_535, 1, 0, 2)),
        ("just-allowed-but-empty.bmp", header(2000, 2000, 32, 0, 0)),
        ("upside-down.bmp", header(9, i32::MIN, 24, 0, 0)),
        ("negative-width.bmp", header(-9, 9, 24, 0, 0)),
        ("no-height.bmp", header(9, 0, 24, 0, 0)),
        ("palette-of-four-billion.bmp", header(9, 9, 8, 0, u32::MAX)),
        ("runs-outside.bmp", joined(&[&header(9, 9, 8, 1, 2), &[255, 1].repeat(100_000)])),
        ("jumps-outside.bmp", joined(&[&header(9, 9, 8, 1, 2), &[0, 2, 255, 255].repeat(100_000)])),
        ("bits-of-65535.bmp", header(9, 9, u16::MAX, 0, 0)),
        ("header-of-four-billion.bmp", joined(&[b"BM\0\0\0\0\0\0\0\0\x36\0\0\0", &[0xff; 60]])),
    ];
    bombs.map(|(name, file)| Hostile::new(name, file)).into()
}

/// A TIFF with one directory.
fn directory(entries: &[(u16, u16, u32, u32)], next: u32) -> Vec<u8> {
    let mut file = b"II\x2a\0\x08\0\0\0".to_vec();
    file.extend(u16::try_from(entries.len()).unwrap().to_le_bytes());
    for (tag, kind, count, value) in entries {
        file.extend(joined(&[&tag.to_le_bytes(), &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()]));
    }
    file.extend(next.to_le_bytes());
    file.resize(file.len() + 64, 0);
    file
}

fn tiff() -> Vec<Hostile> {
    const LONG: u16 = 4;
    let picture = |width: u32, height: u32, more: &[(u16, u16, u32, u32)], next: u32| {
        let mut entries =
            vec![(256, LONG, 1, width), (257, LONG, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)];
        entries.extend_from_slice(more);
        directory(&entries, next)
    };
    let strip = [(273, LONG, 1, 8), (278, LONG, 1, u32::MAX), (279, LONG, 1, 81)];
    let bombs = [
        ("longest-sides.tiff", picture(u32::MAX, u32::MAX, &strip, 0)),
        ("just-allowed-but-empty.tiff", picture(2000, 2000, &strip, 0)),
        ("no-sides.tiff", picture(0, 0, &strip, 0)),
        ("directory-that-follows-itself.tiff", picture(9, 9, &strip, 8)),
        (
            "strips-by-the-billion.tiff",
            picture(9, 9, &[(273, LONG, u32::MAX, 8), (278, LONG, 1, 1), (279, LONG, u32::MAX, 8)], 0),
        ),
        (
            "strip-of-four-gigabytes.tiff",
            picture(9, 9, &[(273, LONG, 1, 8), (278, LONG, 1, 9), (279, LONG, 1, u32::MAX)], 0),
        ),
        (
            "tiles-without-size.tiff",
            picture(9, 9, &[(322, LONG, 1, 0), (323, LONG, 1, 0), (324, LONG, 1, 8), (325, LONG, 1, 9)], 0),
        ),
        (
            "tiles-larger-than-the-picture.tiff",
            picture(
                9,
                9,
                &[(322, LONG, 1, u32::MAX), (323, LONG, 1, u32::MAX), (324, LONG, 1, 8), (325, LONG, 1, 9)],
                0,
            ),
        ),
        ("samples-by-the-thousand.tiff", picture(9, 9, &[(277, 3, 1, 65_535), strip[0], strip[1], strip[2]], 0)),
        ("giant-profile.tiff", picture(9, 9, &[strip[0], strip[1], strip[2], (34_675, 7, u32::MAX, 8)], 0)),
        ("directory-of-65535.tiff", joined(&[b"II\x2a\0\x08\0\0\0\xff\xff", &[0xff; 200]])),
    ];
    bombs.map(|(name, file)| Hostile::new(name, file)).into()
}

fn ico() -> Vec<Hostile> {
    let entry =
        |length: u32, offset: u32| joined(&[&[0, 0, 0, 0, 1, 0, 32, 0], &length.to_le_bytes(), &offset.to_le_bytes()]);
    let icon =
        |count: u16, entries: &[u8], content: &[u8]| joined(&[b"\0\0\x01\0", &count.to_le_bytes(), entries, content]);
    let mut large = photo(16, 16).png(png::BitDepth::Eight);
    large[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let length = u32::try_from(large.len()).unwrap();
    let inner = photo(16, 16).by_image(ImageFormat::Ico);
    let inner_length = u32::try_from(inner.len()).unwrap();
    let bombs = [
        ("points-at-itself.ico", icon(1, &entry(22, 0), &[])),
        ("icon-in-an-icon.ico", icon(1, &entry(inner_length, 22), &inner)),
        ("entries-by-the-thousand.ico", icon(u16::MAX, &entry(9, 9).repeat(65_535), &[])),
        ("entries-that-are-not-there.ico", icon(u16::MAX, &[], &[])),
        ("picture-outside.ico", icon(1, &entry(u32::MAX, u32::MAX), &[0; 40])),
        ("large-png-inside.ico", icon(1, &entry(length, 22), &large)),
        ("no-entries.ico", icon(0, &[], &[0; 40])),
    ];
    bombs.map(|(name, file)| Hostile::new(name, file)).into()
}
