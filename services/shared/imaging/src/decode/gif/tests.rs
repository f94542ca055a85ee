//! Animations, held against canvases that were drawn by hand.

use std::{borrow::Cow, time::Duration};

use gif::{DisposalMethod, Encoder, Repeat};

use super::*;
use crate::{
    decode::Pixels,
    picture::Picture,
    testing::{ANY, byte},
};

mod hostile;

/// The colors that all pictures share; a picture may have its own.
const COLORS: [[u8; 3]; 4] = [[9, 9, 9], [200, 0, 0], [0, 0, 200], [0, 200, 0]];
const BLACK: [u8; 4] = [9, 9, 9, 255];
const RED: [u8; 4] = [200, 0, 0, 255];
const BLUE: [u8; 4] = [0, 0, 200, 255];
const NONE: [u8; 4] = [0; 4];

fn frame(left: u16, top: u16, width: u16, indices: &[u8]) -> gif::Frame<'static> {
    gif::Frame {
        left,
        top,
        width,
        height: u16::try_from(indices.len()).unwrap() / width.max(1),
        dispose: DisposalMethod::Keep,
        delay: 10,
        buffer: Cow::Owned(indices.to_vec()),
        ..gif::Frame::default()
    }
}

fn file_with(width: u16, height: u16, frames: &[gif::Frame<'_>], repeat: Option<Repeat>) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), width, height, COLORS.as_flattened()).unwrap();
    if let Some(repeat) = repeat {
        encoder.set_repeat(repeat).unwrap();
    }
    for frame in frames {
        encoder.write_frame(frame).unwrap();
    }
    encoder.into_inner().unwrap()
}

fn file(width: u16, height: u16, frames: &[gif::Frame<'_>]) -> Vec<u8> {
    file_with(width, height, frames, None)
}

fn read(file: &[u8]) -> Result<(Header, Picture), RenderError> {
    let header = Header::read(file, &ANY)?;
    match header.decode(&file.to_vec(), header.size)?.pixels {
        Pixels::Picture(picture) => Ok((header, picture)),
        Pixels::Planes { .. } => panic!("planes"),
    }
}

fn still(file: &[u8]) -> Vec<[u8; 4]> {
    read(file).unwrap().1.samples.as_chunks().0.to_vec()
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
    let table = [
        (DisposalMethod::Any, BLUE),
        (DisposalMethod::Keep, BLUE),
        (DisposalMethod::Background, NONE),
        (DisposalMethod::Previous, RED),
    ];
    for (dispose, left_behind) in table {
        let second = gif::Frame { dispose, ..frame(1, 0, 1, &[2]) };
        let file = file(3, 1, &[frame(0, 0, 3, &[1, 1, 1]), second, frame(0, 0, 1, &[0])]);

        let expected = [vec![RED; 3], vec![RED, BLUE, RED], vec![BLACK, left_behind, RED]];
        assert_eq!(canvases(&file), expected, "{dispose:?}");
        assert_eq!(still(&file), [RED; 3]);
    }
}

#[test]
fn what_is_restored_is_what_was_there_before_all_pictures_that_are_taken_back() {
    let taken_back = |index| gif::Frame { dispose: DisposalMethod::Previous, ..frame(0, 0, 2, &[index, index]) };
    let file = file(2, 1, &[frame(0, 0, 2, &[1, 1]), taken_back(2), taken_back(0), frame(1, 0, 1, &[2])]);

    assert_eq!(canvases(&file), [[RED; 2], [BLUE; 2], [BLACK; 2], [RED, BLUE]]);
}

#[test]
fn transparent_pixels_show_what_was_there_before() {
    let second = gif::Frame { transparent: Some(2), ..frame(0, 0, 3, &[0, 2, 0]) };
    let file = file(3, 1, &[gif::Frame { transparent: Some(3), ..frame(0, 0, 3, &[1, 1, 3]) }, second]);

    assert_eq!(canvases(&file), [[RED, RED, NONE], [BLACK, RED, BLACK]]);
}

#[test]
fn a_picture_may_have_colors_of_its_own() {
    let second = gif::Frame { palette: Some(vec![1, 2, 3, 4, 5, 6]), ..frame(0, 0, 2, &[1, 0]) };
    let file = file(2, 1, &[frame(0, 0, 2, &[1, 2]), second, frame(0, 0, 1, &[0])]);

    assert_eq!(canvases(&file), [[RED, BLUE], [[4, 5, 6, 255], [1, 2, 3, 255]], [BLACK, [1, 2, 3, 255]]]);
}

#[test]
fn a_color_that_the_palette_does_not_have_is_transparent() {
    let second = gif::Frame { palette: Some(vec![1, 2, 3, 4, 5, 6]), ..frame(0, 0, 2, &[1, 0]) };
    let mut bytes = file(2, 1, &[second]);
    // Its codes now have two bits more than its palette has colors.
    let colors = bytes.windows(6).position(|bytes| bytes == [1, 2, 3, 4, 5, 6]).unwrap();
    assert_eq!(bytes[colors + 6], 2, "the bits of a color");
    let codes = file(2, 1, &[frame(0, 0, 2, &[3, 1])]);
    let data = codes.iter().rposition(|byte| *byte == 0x2c).unwrap() + 10;
    bytes.truncate(colors + 6);
    bytes.extend(&codes[data..]);

    assert_eq!(still(&bytes), [NONE, [4, 5, 6, 255]]);
}

#[test]
fn the_first_picture_need_not_cover_the_canvas() {
    let file = file(3, 2, &[frame(1, 1, 2, &[1, 2])]);

    let (header, _) = read(&file).unwrap();

    assert_eq!((header.size, header.frames, header.duration_ms), (Size { width: 3, height: 2 }, 1, 0));
    assert_eq!(still(&file), [NONE, NONE, NONE, NONE, RED, BLUE]);
}

#[test]
fn what_is_beyond_the_canvas_is_cut_off() {
    let bytes = file(2, 2, &[frame(1, 0, 2, &[1, 0, 2, 0, 0, 0]), frame(0, 1, 3, &[1, 2, 0])]);

    assert_eq!(canvases(&bytes), [[NONE, RED, NONE, BLUE], [NONE, RED, RED, BLUE]]);
    let elsewhere = file(2, 1, &[frame(0, 0, 2, &[1, 1]), frame(2, 0, 1, &[0]), frame(0, 1, 1, &[0])]);
    assert_eq!(Header::read(&elsewhere, &ANY).unwrap().frames, 1, "what is nowhere on it is no picture");
}

#[test]
fn a_canvas_without_a_size_is_as_large_as_the_first_picture() {
    for (width, height) in [(0, 0), (0, 9), (9, 0)] {
        let file = file(width, height, &[frame(0, 0, 2, &[1, 2, 0, 1])]);

        assert_eq!(Header::read(&file, &ANY).unwrap().size, Size { width: 2, height: 2 });
        assert_eq!(still(&file), [RED, BLUE, BLACK, RED]);
    }
}

#[test]
fn interlaced_pictures_of_all_heights_are_read() {
    for height in 1..20_u8 {
        let passes = [(0, 8), (4, 8), (2, 4), (1, 2)];
        let in_passes = passes.iter().flat_map(|(start, step)| (*start..height).step_by(*step)).map(|y| y % 4);
        let interlaced = gif::Frame { interlaced: true, ..frame(0, 0, 1, &in_passes.collect::<Vec<_>>()) };

        let pixels = still(&file(1, height.into(), &[interlaced]));

        let expected: Vec<_> =
            (0..height).map(|y| COLORS[usize::from(y % 4)]).map(|[r, g, b]| [r, g, b, 255]).collect();
        assert_eq!(pixels, expected, "{height}");
    }
}

#[test]
fn large_pictures_are_read() {
    let indices: Vec<u8> = (0..300 * 200).map(|at: u32| byte(at * at / 7) % 4).collect();
    let expected: Vec<_> =
        indices.iter().map(|index| COLORS[usize::from(*index)]).map(|[r, g, b]| [r, g, b, 255]).collect();

    assert_eq!(still(&file(300, 200, &[frame(0, 0, 300, &indices)])), expected);
}

#[test]
fn the_header_counts_pictures_and_their_time() {
    let lasting = |delay| gif::Frame { delay, ..frame(0, 0, 1, &[1]) };
    let file = file(1, 1, &[lasting(0), lasting(1), lasting(2), lasting(500)]);

    let header = Header::read(&file, &ANY).unwrap();

    assert_eq!((header.frames, header.duration_ms), (4, 100 + 100 + 20 + 5000));
    let mut frames = header.frames(&file).unwrap();
    let lasts: Vec<_> = std::iter::from_fn(|| frames.next_frame().unwrap()).map(|frame| frame.lasts).collect();
    assert_eq!(lasts, [100, 100, 20, 5000].map(Duration::from_millis));
}

#[test]
fn the_file_says_how_often_it_is_repeated() {
    let two = [frame(0, 0, 1, &[1]), frame(0, 0, 1, &[2])];
    let table = [
        (None, 1),
        (Some(Repeat::Infinite), 0),
        (Some(Repeat::Finite(4)), 5),
        (Some(Repeat::Finite(u16::MAX)), u16::MAX),
    ];
    for (repeat, plays) in table {
        let file = file_with(1, 1, &two, repeat);

        assert_eq!(Header::read(&file, &ANY).unwrap().frames(&file).unwrap().plays(), plays, "{repeat:?}");
    }
}

#[test]
fn what_is_more_than_the_rules_allow_stands_still() {
    let bytes = file(2, 1, &[frame(0, 0, 1, &[1]), frame(0, 0, 1, &[2]), frame(0, 0, 1, &[0])]);
    let frames = |rules: Rules| Header::read(&bytes, &rules).map(|header| (header.frames, header.duration_ms)).unwrap();

    assert_eq!(frames(Rules { most_frames: 3, ..ANY }), (3, 300));
    assert_eq!(frames(Rules { most_frames: 2, ..ANY }), (1, 0));
    assert_eq!(frames(Rules { most_animated_pixels: 6, ..ANY }), (3, 300));
    assert_eq!(frames(Rules { most_animated_pixels: 5, ..ANY }), (1, 0));
    assert_eq!(still(&bytes), [RED, NONE]);
}
