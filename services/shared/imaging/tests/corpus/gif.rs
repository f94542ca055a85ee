//! GIF.

use super::{Hostile, Size, joined};

/// One pixel: the code to clear the table, a color, the end.
const PIXEL: &[u8] = b"\x02\x02\x44\x01\0";
const END: &[u8] = b";";

pub(crate) fn bombs(size: Size) -> Vec<Hostile> {
    let screen = |width: u16, height: u16| {
        joined(&[b"GIF89a", &width.to_le_bytes(), &height.to_le_bytes(), &[0x80, 0, 0], &[0, 0, 0, 255, 255, 255]])
    };
    let frame = |width: u16, height: u16, data: &[u8]| {
        joined(&[b",\0\0\0\0", &width.to_le_bytes(), &height.to_le_bytes(), &[0], data])
    };
    let pixel = frame(1, 1, PIXEL);
    let of = |width, height, content: &[u8]| joined(&[&screen(width, height), content, END]);
    // Codes that each name the longest text so far: the table grows as fast as it can.
    let growing = joined(&[b"\x08", &joined(&[b"\xff", &[0x81; 255]]).repeat(size.many(4000)), b"\0"]);
    let bombs = [
        ("longest-sides.gif", of(65_535, 65_535, &pixel)),
        ("just-allowed-but-one-pixel.gif", of(2000, 2000, &pixel)),
        ("no-sides.gif", of(0, 0, &pixel)),
        ("a-frame-without-size.gif", of(9, 9, &frame(0, 0, PIXEL))),
        ("a-frame-larger-than-the-screen.gif", of(9, 9, &frame(65_535, 65_535, PIXEL))),
        ("a-million-frames.gif", of(4, 4, &pixel.repeat(size.many(1_000_000)))),
        ("a-million-large-frames.gif", of(1000, 1000, &frame(1000, 1000, PIXEL).repeat(size.many(1_000_000)))),
        ("a-code-that-names-itself.gif", of(9, 9, &frame(9, 9, b"\x02\x04\x34\x34\x34\x34\0"))),
        ("a-table-that-only-grows.gif", of(2000, 2000, &frame(2000, 2000, &growing))),
        ("code-size-of-255.gif", of(9, 9, &frame(9, 9, b"\xff\x01\x01\0"))),
        ("blocks-that-never-end.gif", of(9, 9, &joined(&[b"!\xfe", &[255; 256].repeat(size.many(20_000))]))),
        ("a-million-empty-extensions.gif", of(9, 9, &b"!\xfe\0".repeat(size.many(1_000_000)))),
        ("application-block-that-lies.gif", of(9, 9, b"!\xff\xffNETSCAPE2.0\x03\x01\0\0\0")),
        ("no-palette.gif", joined(&[b"GIF89a\x09\0\x09\0\0\0\0", &pixel, END])),
        ("only-a-header.gif", screen(9, 9)),
    ];
    bombs.map(|(name, file)| Hostile::new(name, file)).into()
}
