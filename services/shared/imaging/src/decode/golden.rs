//! Files that another program wrote (Pillow, by `tests/golden/raster/write.py`): a square that moves
//! over a flat ground.

use std::{fs, path::Path};

use super::*;
use crate::testing::ANY;

const SIZE: Size = Size { width: 24, height: 16 };
const GROUND: [u8; 4] = [30, 60, 90, 255];
const NONE: [u8; 4] = [0; 4];

/// The scene when the square has moved `step` times. If it is veiled, its last row is transparent.
fn scene(step: u32, veiled: bool) -> Vec<[u8; 4]> {
    let (left, top) = (3 * step, 2 * step);
    let shade = 200 - 50 * u8::try_from(step).unwrap();
    let places = (0..SIZE.height).flat_map(|y| (0..SIZE.width).map(move |x| (x, y)));
    let color = |(x, y): (u32, u32)| match () {
        () if veiled && y == SIZE.height - 1 => NONE,
        () if (left..left + 4).contains(&x) && (top..top + 4).contains(&y) => [250, shade, 10, 255],
        () => GROUND,
    };
    places.map(color).collect()
}

fn load(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/raster").join(name)).unwrap()
}

fn pixels(picture: &Picture) -> Vec<[u8; 4]> {
    let samples = picture.samples.chunks_exact(picture.layout.channels());
    samples
        .map(|pixel| match *pixel {
            [gray] => [gray, gray, gray, 255],
            [red, green, blue] => [red, green, blue, 255],
            [red, green, blue, alpha] => [red, green, blue, alpha],
            _ => panic!("{:?}", picture.layout),
        })
        // What is not seen has no color.
        .map(|pixel| if pixel[3] == 0 { NONE } else { pixel })
        .collect()
}

fn still(name: &str) -> (Header, Vec<[u8; 4]>) {
    let file = load(name);
    let header = Header::read(&file, &ANY).unwrap();
    match header.decode(&file, header.size).unwrap().pixels {
        Pixels::Picture(picture) => (header, pixels(&picture)),
        Pixels::Planes { .. } => panic!("{name}: planes"),
    }
}

fn canvases(name: &str) -> (Header, u16, Vec<Vec<[u8; 4]>>) {
    let file = load(name);
    let header = Header::read(&file, &ANY).unwrap();
    let mut frames = header.frames(&file).unwrap();
    let pictures = std::iter::from_fn(|| frames.next_frame().unwrap()).map(|frame| pixels(&frame.picture)).collect();
    (header, frames.plays(), pictures)
}

#[test]
fn stills_of_another_program_are_read() {
    for name in ["lzw.tiff", "deflate.tiff", "packbits.tiff", "pages.tiff", "rgb.bmp", "palette.bmp"] {
        assert_eq!(still(name).1, scene(1, false), "{name}");
    }
    assert_eq!(still("alpha.tiff").1, scene(1, true));
    let (_, gray) = still("gray.tiff");
    assert_eq!((gray[0], gray[SIZE.width as usize * 2 + 3]), ([54, 54, 54, 255], [164, 164, 164, 255]));
    let (header, bits) = still("bits.bmp");
    assert!(bits.iter().all(|pixel| matches!(pixel, [0, 0, 0, 255] | [255, 255, 255, 255])), "{header:?}");
}

#[test]
fn icons_of_another_program_are_read() {
    for name in ["bitmaps.ico", "pngs.ico"] {
        let (header, pixels) = still(name);

        assert_eq!(header.size, Size { width: 24, height: 24 }, "{name}");
        assert!(pixels.iter().all(|pixel| *pixel == [9, 8, 7, 255]), "{name}");
    }
}

#[test]
fn animations_of_another_program_are_read() {
    let scenes = |veiled| (0..3).map(|step| scene(step, veiled)).collect::<Vec<_>>();
    for name in ["disposal-1.gif", "disposal-2.gif"] {
        let (header, plays, pictures) = canvases(name);

        assert_eq!((header.frames, header.duration_ms, plays), (3, 300, 0), "{name}");
        assert_eq!(pictures, scenes(false), "{name}");
        assert_eq!(still(name).1, scene(0, false), "{name}");
    }
    for (name, expected_plays) in [("veiled.gif", 3), ("veiled.png", 2), ("cleared.png", 0), ("separate.png", 0)] {
        let (header, plays, pictures) = canvases(name);

        assert_eq!((header.frames, header.duration_ms, plays), (3, 300, expected_plays), "{name}");
        assert_eq!(pictures, scenes(true), "{name}");
        assert_eq!(still(name).1, scene(0, true), "{name}");
    }
}
