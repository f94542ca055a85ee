//! JPEG.

use jpeg_encoder::SamplingFactor;

use super::{Hostile, Size, joined};
use crate::photographs::photo;

pub(crate) fn bombs(size: Size) -> Vec<Hostile> {
    let (baseline, progressive) =
        (photo(64, 48).jpeg(SamplingFactor::F_2_2, false), photo(64, 48).jpeg(SamplingFactor::F_2_2, true));
    let bombs = [
        ("longest-sides.jpg", with_sides(&baseline, 65_535, 65_535)),
        ("longest-sides-progressive.jpg", with_sides(&progressive, 65_535, 65_535)),
        ("one-row.jpg", with_sides(&baseline, 65_535, 1)),
        ("one-column.jpg", with_sides(&progressive, 1, 65_535)),
        ("just-allowed.jpg", with_sides(&baseline, 2000, 2000)),
        ("just-allowed-progressive.jpg", with_sides(&progressive, 2000, 2000)),
        ("no-height.jpg", with_sides(&baseline, 64, 0)),
        ("height-at-the-end.jpg", with_height_at_the_end(&baseline)),
        ("ten-thousand-scans.jpg", with_scans(&progressive, size.many(10_000))),
        ("tables-that-lie.jpg", with_segment(&baseline, 0xc4, &[0xff; 17])),
        ("table-longer-than-the-file.jpg", joined(&[&baseline[..2], b"\xff\xdb\xff\xff", &baseline[2..200]])),
        ("empty-tables.jpg", with_segment(&baseline, 0xdb, &[])),
        ("quantized-by-nothing.jpg", with_segment(&baseline, 0xdb, &[0; 65])),
        (
            "a-thousand-tables.jpg",
            (0..size.many(20_000)).fold(baseline.clone(), |file, _| {
                if file.len() > 200_000 { file } else { with_segment(&file, 0xdb, &[1; 65]) }
            }),
        ),
        ("restart-after-each-unit.jpg", with_segment(&baseline, 0xdd, &[0, 1])),
        ("a-profile-in-255-pieces.jpg", with_profile(&baseline)),
        ("endless-fill.jpg", joined(&[&baseline[..2], &vec![0xff; size.many(2 << 20)], &baseline[2..]])),
        (
            "endless-comments.jpg",
            joined(&[&baseline[..2], &b"\xff\xfe\0\x02".repeat(size.many(200_000)), &baseline[2..]]),
        ),
        ("two-pictures.jpg", joined(&[&baseline[..baseline.len() - 2], &progressive[2..]])),
        (
            "a-frame-without-components.jpg",
            b"\xff\xd8\xff\xc0\0\x08\x08\0\x10\0\x10\0\xff\xda\0\x06\0\0\x3f\0\xff\xd9".to_vec(),
        ),
        (
            "a-frame-of-sixteen-by-sixteen.jpg",
            b"\xff\xd8\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\x01\xff\0\xff\xda\0\x08\x01\x01\0\0\x3f\0\xff\xd9".to_vec(),
        ),
    ];
    bombs.map(|(name, file)| Hostile::new(name, file)).into()
}

fn start_of_frame(file: &[u8]) -> usize {
    file.windows(2).position(|bytes| bytes == b"\xff\xc0" || bytes == b"\xff\xc2").unwrap()
}

fn with_sides(file: &[u8], width: u16, height: u16) -> Vec<u8> {
    let mut file = file.to_vec();
    let at = start_of_frame(&file) + 5;
    file[at..at + 2].copy_from_slice(&height.to_be_bytes());
    file[at + 2..at + 4].copy_from_slice(&width.to_be_bytes());
    file
}

/// The number of lines, which may follow the first scan.
fn with_height_at_the_end(file: &[u8]) -> Vec<u8> {
    let end = file.len() - 2;
    joined(&[&with_sides(file, 64, 0)[..end], b"\xff\xdc\0\x04\xff\xff", &file[end..]])
}

fn with_segment(file: &[u8], marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    let at = start_of_frame(file);
    joined(&[&file[..at], &[0xff, marker], &length, content, &file[at..]])
}

/// The last scan again and again.
fn with_scans(file: &[u8], count: usize) -> Vec<u8> {
    let at = file.windows(2).rposition(|bytes| bytes == b"\xff\xda").unwrap();
    let end = file.len() - 2;
    joined(&[&file[..end], &file[at..end].repeat(count.min((4 << 20) / (end - at))), &file[end..]])
}

fn with_profile(file: &[u8]) -> Vec<u8> {
    (1..=255).fold(file.to_vec(), |file, piece| {
        with_segment(&file, 0xe2, &joined(&[b"ICC_PROFILE\0", &[piece, 255], &vec![0; 60_000]]))
    })
}
