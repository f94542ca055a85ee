use super::*;
use crate::testing::{ANY, BLUE, GREEN, RED, Seen, WHITE, alike, assert_quarters, golden};

const SIZE: Size = Size { width: 64, height: 48 };

fn header(file: &[u8]) -> Header {
    Header::read(file, &ANY).unwrap()
}

fn all_frames(file: &[u8]) -> (Vec<Frame>, u16) {
    let file = file.to_vec();
    let mut frames = header(&file).frames(&file).unwrap();
    let all = std::iter::from_fn(|| frames.next_frame().unwrap()).collect();
    (all, frames.plays())
}

#[test]
fn colors_survive_in_every_coding() {
    for name in ["lossy", "lossless", "p3"] {
        let file = golden(&format!("{name}.webp"));

        assert_eq!(header(&file).size, SIZE, "{name}");
        assert_quarters(&Seen::open(&file), [RED, GREEN, BLUE, WHITE]);
    }
}

#[test]
fn sides_of_an_odd_length_are_whole() {
    let seen = Seen::open(&golden("lossy-odd.webp"));

    assert_eq!(seen.size, Size { width: 37, height: 29 });
    assert_quarters(&seen, [RED, GREEN, BLUE, WHITE]);
    assert!(alike(seen.rgb(36, 28), WHITE) && alike(seen.rgb(0, 28), BLUE), "up to the edge");
}

#[test]
fn a_lossy_picture_stays_planes_and_becomes_full_range() {
    let file = golden("lossy.webp");

    let Pixels::Planes { layout, planes } = decode(&file, &header(&file), SIZE).unwrap().pixels else {
        panic!("no planes")
    };

    assert_eq!(layout, Layout::YCbCr);
    assert_eq!(
        planes.iter().map(|plane| (plane.width, plane.height)).collect::<Vec<_>>(),
        [(64, 48), (32, 24), (32, 24)]
    );
    assert!(planes[0].samples.last().unwrap().abs_diff(250) <= 3, "white is not 235");
}

#[test]
fn alpha_is_kept() {
    for name in ["lossy-alpha", "lossless-alpha"] {
        let seen = Seen::open(&golden(&format!("{name}.webp")));

        assert_eq!(seen.layout, Layout::Rgba, "{name}");
        let alpha = [(5, 5), (5, 40), (60, 5), (60, 40)].map(|(x, y)| seen.raw(x, y)[3]);
        assert_eq!(alpha, [128, 128, 255, 0], "{name}");
        assert!(
            alike(seen.rgb(16, 12), RED) && alike(seen.rgb(48, 12), GREEN) && alike(seen.rgb(16, 36), BLUE),
            "{name}"
        );
    }
}

#[test]
fn the_orientation_after_the_picture_is_found() {
    for number in 1..=8 {
        let header = header(&golden(&format!("turned-{number}.webp")));

        assert_eq!(Some(header.orientation), crate::Orientation::from_exif(number));
        assert_eq!(header.size, SIZE);
    }
}

#[test]
fn a_profile_comes_with_the_picture() {
    let file = golden("p3.webp");

    let decoded = decode(&file, &header(&file), SIZE).unwrap();

    let profile = decoded.icc.unwrap();
    assert_eq!(profile.len(), usize::try_from(u32::from_be_bytes(*profile.first_chunk().unwrap())).unwrap());
    let plain = golden("lossless.webp");
    assert_eq!(decode(&plain, &header(&plain), SIZE).unwrap().icc, None);
}

#[test]
fn an_animation_has_its_pictures_and_times() {
    let file = golden("moving.webp");

    let header = header(&file);
    assert_eq!((header.frames, header.duration_ms, header.size), (3, 390, SIZE));
    let (frames, plays) = all_frames(&file);
    assert_eq!(plays, 3);
    assert_eq!(frames.iter().map(|frame| frame.lasts.as_millis()).collect::<Vec<_>>(), [100, 250, 40]);
    let at = |frame: &Frame, x: usize, y: usize| {
        let start = (y * 64 + x) * 4;
        <[u8; 3]>::try_from(&frame.picture.samples[start..start + 3]).unwrap()
    };
    let corners = |frame| [at(frame, 5, 5), at(frame, 58, 5), at(frame, 5, 42), at(frame, 58, 42)];
    let expected = [[RED, RED, RED, RED], [RED, GREEN, RED, RED], [RED, RED, BLUE, RED]];
    for (frame, expected) in frames.iter().zip(expected) {
        assert!(corners(frame).into_iter().zip(expected).all(|(a, b)| alike(a, b)), "{:?}", corners(frame));
    }
}

#[test]
fn the_first_picture_stands_for_an_animation() {
    let seen = Seen::open(&golden("moving.webp"));

    assert_quarters(&seen, [RED; 4]);
}

#[test]
fn an_animation_beyond_the_rules_stands_still() {
    let file = golden("moving.webp");
    let pixels = SIZE.pixels() * 3;

    for (most_frames, most_animated_pixels, frames) in [(3, pixels, 3), (2, pixels, 1), (3, pixels - 1, 1)] {
        let header = Header::read(&file, &Rules { most_frames, most_animated_pixels, ..ANY }).unwrap();

        assert_eq!(header.frames, frames);
        assert_quarters(&Seen::open(&file), [RED; 4]);
    }
}

#[test]
fn of_an_animation_that_is_cut_off_the_whole_pictures_are_shown() {
    let file = golden("moving.webp");
    let ends: Vec<usize> = (1..=file.len())
        .filter(|length| header_frames(&file[..*length]) > header_frames(&file[..*length - 1]))
        .collect();
    assert_eq!(ends.len(), 3);

    for (count, end) in (1..).zip(&ends) {
        let (frames, _) = all_frames(&file[..*end]);

        assert_eq!(frames.len(), count);
        assert_eq!(frames[0].picture, all_frames(&file).0[0].picture);
    }
}

fn header_frames(file: &[u8]) -> u32 {
    Header::read(file, &ANY).map_or(0, |header| header.frames)
}

#[test]
fn a_picture_that_is_cut_off_shows_the_rows_that_came() {
    let mut shown = 0;
    for name in ["lossy", "lossless", "lossy-alpha", "lossless-alpha", "lossy-odd"] {
        let file = golden(&format!("{name}.webp"));
        for length in 0..file.len() {
            let part = &file[..length].to_vec();
            let Ok(header) = Header::read(part, &ANY) else { continue };
            let Ok(decoded) = header.decode(part, header.size) else { continue };
            let Pixels::Planes { planes, .. } = &decoded.pixels else { continue };
            let missing = planes[0].samples.last().unwrap();
            shown += u32::from(alike([*missing; 3], [131; 3]));
        }
    }
    assert!(shown > 0, "gray where nothing came");
}

#[test]
fn sizes_that_contradict_each_other_are_refused() {
    let mut file = golden("lossy-alpha.webp");
    assert_eq!(&file[12..16], b"VP8X");
    file[24] += 1; // the canvas' width

    let header = header(&file);

    assert_eq!(header.size.width, SIZE.width + 1);
    assert!(header.decode(&file, header.size).is_err());
}

#[test]
fn a_canvas_beyond_the_limit_is_refused_by_its_header() {
    let mut file = golden("moving.webp");
    file[24..30].fill(0xff);

    let refused = Header::read(&file, &Rules::default());

    assert!(matches!(refused, Err(RenderError::TooManyPixels { pixels, .. }) if pixels == 1 << 48), "{refused:?}");
}

#[test]
fn damaged_files_are_refused_or_shown_but_never_panic() {
    for name in ["lossy", "lossless", "lossy-alpha", "lossless-alpha", "moving", "turned-6", "p3"] {
        let file = golden(&format!("{name}.webp"));
        for at in 0..file.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[at] ^= change;
                let Ok(header) = Header::read(&damaged, &Rules::default()) else { continue };
                if let Ok(decoded) = header.decode(&damaged, header.size) {
                    assert_whole(&decoded, header.size);
                }
                if header.is_animated()
                    && let Ok(mut frames) = header.frames(&damaged)
                {
                    while let Ok(Some(_)) = frames.next_frame() {}
                }
            }
        }
    }
}

fn assert_whole(decoded: &Decoded, size: Size) {
    match &decoded.pixels {
        Pixels::Picture(picture) => {
            assert_eq!(picture.samples.len() as u64, size.pixels() * picture.layout.channels() as u64);
        }
        Pixels::Planes { planes, .. } => {
            assert!(planes.iter().all(|plane| plane.samples.len() == (plane.width * plane.height) as usize));
        }
    }
}
