use super::*;
use crate::testing::{ANY, BLUE, GREEN, RED, Seen, WHITE, alike, assert_quarters, golden};

const SIZE: Size = Size { width: 64, height: 48 };
const COLORS: [[u8; 3]; 4] = [RED, GREEN, BLUE, WHITE];

fn header(file: &[u8]) -> Header {
    Header::read(file, &ANY).unwrap()
}

fn seen(name: &str) -> Seen {
    Seen::open(&golden(&format!("{name}.jxl")))
}

#[test]
fn colors_survive_in_every_coding() {
    for name in ["lossy", "lossy-container", "lossless", "progressive", "p3"] {
        let seen = seen(name);

        assert_eq!((seen.format, seen.size, seen.layout), (Format::Jxl, SIZE, Layout::Rgb), "{name}");
        assert_quarters(&seen, COLORS);
    }
}

#[test]
fn gray_is_gray_and_sixteen_bits_become_eight() {
    let lossy = seen("gray");
    let deep = seen("gray-16");

    assert_eq!((lossy.layout, deep.layout), (Layout::Gray, Layout::Gray));
    assert!(lossy.raw(48, 36)[0] > 245);
    assert_eq!((deep.raw(16, 24), deep.raw(48, 24)), (&[40][..], &[199][..]));
    assert_eq!(header(&golden("gray-16.jxl")).bits, 16);
}

#[test]
fn alpha_is_kept() {
    for name in ["alpha", "alpha-lossy", "gray-alpha"] {
        let seen = seen(name);

        assert_eq!(seen.layout, if name == "gray-alpha" { Layout::GrayAlpha } else { Layout::Rgba }, "{name}");
        let alpha = [(5, 5), (5, 40), (60, 5), (60, 40)].map(|(x, y)| *seen.raw(x, y).last().unwrap());
        assert!(alpha.into_iter().zip([128, 128, 255, 0]).all(|(a, b)| a.abs_diff(b) < 3), "{name}: {alpha:?}");
        assert!(name == "gray-alpha" || alike(seen.rgb(16, 12), RED) && alike(seen.rgb(48, 12), GREEN), "{name}");
    }
}

#[test]
fn the_orientation_is_left_to_the_small_picture() {
    for number in 1..=8 {
        let file = golden(&format!("turned-{number}.jxl"));

        let header = header(&file);

        assert_eq!((Some(header.orientation), header.size), (Orientation::from_exif(number), SIZE), "{number}");
        assert_quarters(&Seen::open(&file), COLORS);
    }
}

#[test]
fn a_profile_comes_with_the_picture() {
    let icc = |name: &str| {
        let file = golden(name);
        header(&file).decode(&file, SIZE).unwrap().icc
    };

    assert_eq!((icc("lossless.jxl"), icc("lossy.jxl"), icc("gray.jxl")), (None, None, None));
    let profile = moxcms::ColorProfile::new_from_slice(&icc("p3.jxl").unwrap()).unwrap();
    assert!((profile.red_colorant.x - 0.515).abs() < 0.002, "the primaries of Display P3");
}

#[test]
fn an_animation_has_its_pictures_and_times() {
    let file = golden("moving.jxl");

    let header = header(&file);
    assert_eq!((header.frames, header.duration_ms, header.size), (3, 390, SIZE));
    let mut frames = header.frames(&file).unwrap();
    let at = |frame: &Frame, x: usize, y: usize| {
        let start = (y * 64 + x) * 4;
        <[u8; 3]>::try_from(&frame.picture.samples[start..start + 3]).unwrap()
    };
    let corners = |frame: &Frame| [at(frame, 5, 5), at(frame, 58, 5), at(frame, 5, 42), at(frame, 58, 42)];
    let expected = [[RED, RED, RED, RED], [RED, GREEN, RED, RED], [RED, RED, BLUE, RED]];
    for (lasts, expected) in [100, 250, 40].into_iter().zip(expected) {
        let frame = frames.next_frame().unwrap().unwrap();
        assert_eq!((frame.lasts.as_millis(), corners(&frame)), (lasts, expected));
    }
    assert_eq!(frames.next_frame().unwrap(), None);
    assert_quarters(&Seen::open(&file), [RED; 4]);
}

#[test]
fn an_animation_beyond_the_rules_stands_still() {
    let file = golden("moving.jxl");
    let pixels = SIZE.pixels() * 3;

    for (most_frames, most_animated_pixels, frames) in [(3, pixels, 3), (2, pixels, 1), (3, pixels - 1, 1)] {
        let header = Header::read(&file, &Rules { most_frames, most_animated_pixels, ..ANY }).unwrap();

        assert_eq!(header.frames, frames);
    }
}

#[test]
fn files_that_are_cut_off_or_damaged_never_panic() {
    let rules = Rules { most_pixels: 1 << 20, ..ANY };
    for name in ["lossy-container", "lossless", "alpha", "gray-16", "moving", "p3"] {
        let file = golden(&format!("{name}.jxl"));
        let cut = (0..file.len()).map(|length| file[..length].to_vec());
        let damaged = (0..file.len()).map(|at| {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << (at % 8);
            damaged
        });
        for file in cut.chain(damaged) {
            let Ok(header) = Header::read(&file, &rules) else { continue };
            if let Ok(decoded) = header.decode(&file, header.size) {
                let Pixels::Picture(picture) = decoded.pixels else { panic!("planes") };
                assert_eq!(picture.samples.len() as u64, header.size.pixels() * picture.layout.channels() as u64);
            }
            if header.is_animated()
                && let Ok(mut frames) = header.frames(&file)
            {
                while let Ok(Some(_)) = frames.next_frame() {}
            }
        }
    }
}
