//! Animations, held against canvases that were drawn by hand.

use std::time::Duration;

use super::*;

const RED: [u8; 4] = [200, 0, 0, 255];
const BLUE: [u8; 4] = [0, 0, 200, 255];
const VEIL: [u8; 4] = [0, 200, 0, 128];
const NONE: [u8; 4] = [0; 4];

const KEEP: u8 = 0;
const CLEAR: u8 = 1;
const RESTORE: u8 = 2;
const SOURCE: u8 = 0;
const OVER: u8 = 1;

/// Of pictures that are one pixel high.
fn control(left: u32, width: u32, dispose: u8, blend: u8, delay: (u16, u16)) -> Vec<u8> {
    let numbers = [0, width, 1, left, 0].map(u32::to_be_bytes).concat();
    let delay = [delay.0.to_be_bytes(), delay.1.to_be_bytes()].concat();
    chunk(*b"fcTL", &[numbers, delay, vec![dispose, blend]].concat())
}

fn announce(pictures: u32, plays: u32) -> Vec<u8> {
    chunk(*b"acTL", &[pictures.to_be_bytes(), plays.to_be_bytes()].concat())
}

fn row(pixels: &[[u8; 4]]) -> Vec<u8> {
    deflated(&[&[0], pixels.as_flattened()].concat())
}

fn still(pixels: &[[u8; 4]]) -> Vec<u8> {
    chunk(*b"IDAT", &row(pixels))
}

fn more(pixels: &[[u8; 4]]) -> Vec<u8> {
    chunk(*b"fdAT", &[vec![0; 4], row(pixels)].concat())
}

/// The first picture covers the canvas of three pixels; the second one is in its middle, the third
/// one at its left.
fn animation(dispose: u8, blend: u8, second: [u8; 4]) -> Vec<u8> {
    file(&[
        header(3, 1, 8, RGBA, false),
        announce(3, 0),
        control(0, 3, KEEP, SOURCE, (1, 2)),
        still(&[RED; 3]),
        control(1, 1, dispose, blend, (50, 1000)),
        more(&[second]),
        control(0, 1, KEEP, SOURCE, (3, 0)),
        more(&[BLUE]),
    ])
}

pub(super) fn three_frames() -> Vec<u8> {
    animation(RESTORE, OVER, VEIL)
}

fn canvases(file: &[u8]) -> Vec<Vec<[u8; 4]>> {
    let file = file.to_vec();
    let header = Header::read(&file, &ANY).unwrap();
    let mut frames = header.frames(&file).unwrap();
    let next = || frames.next_frame().unwrap().map(|frame| frame.picture.samples.as_chunks().0.to_vec());
    std::iter::from_fn(next).collect()
}

#[test]
fn pictures_are_drawn_and_disposed_of_as_they_say() {
    for (dispose, left_behind) in [(KEEP, BLUE), (CLEAR, NONE), (RESTORE, RED)] {
        let expected = [vec![RED; 3], vec![RED, BLUE, RED], vec![BLUE, left_behind, RED]];

        assert_eq!(canvases(&animation(dispose, SOURCE, BLUE)), expected, "{dispose}");
    }
}

#[test]
fn what_is_transparent_is_copied_or_lies_over_what_was_there() {
    // 200 of red under a veil of 128/255 is 99.6, and 200 of green through it 100.4.
    let table = [
        (SOURCE, VEIL, VEIL),
        (SOURCE, NONE, NONE),
        (OVER, VEIL, [100, 100, 0, 255]),
        (OVER, NONE, RED),
        (OVER, BLUE, BLUE),
    ];
    for (blend, pixel, expected) in table {
        assert_eq!(canvases(&animation(KEEP, blend, pixel))[1], [RED, expected, RED], "{blend} {pixel:?}");
    }
}

#[test]
fn a_veil_over_a_veil_is_denser_and_over_nothing_itself() {
    let file = file(&[
        header(2, 1, 8, RGBA, false),
        announce(2, 0),
        control(0, 2, KEEP, SOURCE, (1, 10)),
        still(&[VEIL, NONE]),
        control(0, 2, KEEP, OVER, (1, 10)),
        more(&[[0, 0, 200, 128], VEIL]),
    ]);

    // 128 and 128 of the other 127 are 191.7; of that, 128 are blue.
    assert_eq!(canvases(&file)[1], [[0, 66, 134, 192], VEIL]);
}

#[test]
fn the_header_counts_pictures_and_their_time() {
    let header = Header::read(&three_frames(), &ANY).unwrap();
    assert_eq!((header.frames, header.duration_ms, header.is_animated()), (3, 500 + 50 + 30, true));

    let bytes = three_frames();
    let mut frames = header.frames(&bytes).unwrap();
    let lasts: Vec<_> = std::iter::from_fn(|| frames.next_frame().unwrap()).map(|frame| frame.lasts).collect();
    assert_eq!(lasts, [500, 50, 30].map(Duration::from_millis));
    assert_eq!(frames.plays(), 0);
}

#[test]
fn a_default_image_beside_the_animation_is_only_the_still() {
    let file = file(&[
        header(1, 1, 8, RGBA, false),
        announce(2, 7),
        still(&[VEIL]),
        control(0, 1, KEEP, SOURCE, (1, 10)),
        more(&[RED]),
        control(0, 1, KEEP, SOURCE, (1, 10)),
        more(&[BLUE]),
    ]);

    let header = Header::read(&file, &ANY).unwrap();

    assert_eq!((header.frames, header.frames(&file).unwrap().plays()), (2, 7));
    assert_eq!(picture(&file).samples, VEIL);
    assert_eq!(canvases(&file), [[RED], [BLUE]]);
}

#[test]
fn a_picture_may_be_spread_over_many_chunks() {
    let data = row(&[BLUE]);
    let pieces: Vec<u8> = data.iter().flat_map(|byte| chunk(*b"fdAT", &[0, 0, 0, 0, *byte])).collect();
    let file = file(&[
        header(1, 1, 8, RGBA, false),
        announce(2, 0),
        control(0, 1, KEEP, SOURCE, (1, 10)),
        still(&[RED]),
        control(0, 1, KEEP, SOURCE, (1, 10)),
        chunk(*b"tEXt", b"Comment\0between"),
        pieces,
    ]);

    assert_eq!(canvases(&file), [[RED], [BLUE]]);
}

#[test]
fn what_is_more_than_the_rules_allow_stands_still() {
    let bytes = three_frames();
    let frames = |rules: Rules| Header::read(&bytes, &rules).unwrap().frames;

    assert_eq!(frames(Rules { most_frames: 3, ..ANY }), 3);
    assert_eq!(frames(Rules { most_frames: 2, ..ANY }), 1);
    assert_eq!(frames(Rules { most_animated_pixels: 9, ..ANY }), 3);
    assert_eq!(frames(Rules { most_animated_pixels: 8, ..ANY }), 1);
    let header = Header::read(&bytes, &Rules { most_frames: 2, ..ANY }).unwrap();
    assert_eq!((header.duration_ms, picture(&bytes).samples), (0, [RED; 3].concat()));
}

#[test]
fn no_more_pictures_are_shown_than_are_announced_or_there() {
    let count = |announced: u32| {
        let mut bytes = three_frames();
        let at = bytes.windows(4).position(|bytes| bytes == b"acTL").unwrap() + 4;
        bytes[at..at + 4].copy_from_slice(&announced.to_be_bytes());
        (Header::read(&bytes, &ANY).unwrap().frames, canvases(&bytes).len())
    };

    assert_eq!(count(2), (2, 2));
    assert_eq!(count(u32::MAX), (3, 3));
    assert_eq!(Header::read(&animation_cut_before_third(), &ANY).unwrap().frames, 2);
    assert_eq!(count(1).0, 1);
    assert_eq!(count(0).0, 1);
}

fn animation_cut_before_third() -> Vec<u8> {
    let bytes = three_frames();
    let third = bytes.windows(4).enumerate().filter(|(_, bytes)| bytes == b"fcTL").nth(2).unwrap().0;
    bytes[..third].to_vec()
}

#[test]
fn a_picture_beyond_the_canvas_makes_the_file_stand_still() {
    for (left, width) in [(3, 1), (2, 2), (0, 4), (0, 0), (u32::MAX, 2)] {
        let bytes = file(&[
            header(3, 1, 8, RGBA, false),
            announce(2, 0),
            control(0, 3, KEEP, SOURCE, (1, 10)),
            still(&[RED; 3]),
            control(left, width, KEEP, SOURCE, (1, 10)),
            more(&[BLUE]),
        ]);

        assert_eq!(Header::read(&bytes, &ANY).unwrap().frames, 1, "{left} {width}");
        assert_eq!(picture(&bytes).samples, [RED; 3].concat());
    }
}

#[test]
fn a_picture_that_cannot_be_read_shows_the_one_before() {
    let file = file(&[
        header(1, 1, 8, RGBA, false),
        announce(2, 0),
        control(0, 1, KEEP, SOURCE, (1, 10)),
        still(&[RED]),
        control(0, 1, KEEP, SOURCE, (1, 10)),
        chunk(*b"fdAT", b"0000 no pixels"),
    ]);

    assert_eq!(canvases(&file), [[RED], [RED]]);
}
