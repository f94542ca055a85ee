use std::io::Cursor;

use image_webp::{LoopCount, WebPDecoder};

use super::*;
use crate::{
    decode::{Format, Header},
    testing::{ANY, BLUE, GREEN, RED, Seen, WHITE, alike, assert_quarters, paint, quarters},
};

const SIZE: Size = Size { width: 40, height: 30 };
const QUALITY: u8 = 90;

fn picture(layout: Layout, samples: Vec<u8>) -> Picture {
    Picture { size: SIZE, layout, samples }
}

fn plain(color: [u8; 3]) -> Picture {
    picture(Layout::Rgb, paint(40, 30, |_, _| color))
}

fn animate(frames: &[(Picture, u64)], plays: u16) -> Vec<u8> {
    let mut animation = Animation::begin(SIZE, plays, QUALITY).unwrap();
    for (picture, micros) in frames {
        animation.add(picture, Duration::from_micros(*micros)).unwrap();
    }
    animation.finish().unwrap()
}

/// Times of the pictures and the colors in their middle, read by ourselves.
fn played(file: &[u8]) -> (Vec<(u64, [u8; 4])>, u16) {
    let file = file.to_vec();
    let header = Header::read(&file, &ANY).unwrap();
    let mut frames = header.frames(&file).unwrap();
    let middle = (15 * 40 + 20) * 4;
    let all = std::iter::from_fn(|| frames.next_frame().unwrap())
        .map(|frame| {
            let samples = &frame.picture.samples[middle..middle + 4];
            (u64::try_from(frame.lasts.as_millis()).unwrap(), samples.try_into().unwrap())
        })
        .collect();
    (all, frames.plays())
}

#[test]
fn every_layout_keeps_its_colors() {
    let rgb = quarters(40, 30);
    let ycbcr = rgb.as_chunks().0.iter().flat_map(|pixel| to_ycbcr(*pixel)).collect();
    let rgba = rgb.as_chunks::<3>().0.iter().flat_map(|[r, g, b]| [*r, *g, *b, 255]).collect();
    for picture in [picture(Layout::Rgb, rgb), picture(Layout::YCbCr, ycbcr), picture(Layout::Rgba, rgba)] {
        let file = encode(&picture, QUALITY).unwrap();

        let seen = Seen::open(&file);
        assert_eq!((seen.format, seen.size, seen.layout), (Format::WebP, SIZE, Layout::YCbCr));
        assert_quarters(&seen, [RED, GREEN, BLUE, WHITE]);
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn to_ycbcr(pixel: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = pixel.map(f64::from);
    let luma = 0.299 * r + 0.587 * g + 0.114 * b;
    [luma, (b - luma) / 1.772 + 128.0, (r - luma) / 1.402 + 128.0].map(|sample| sample.round() as u8)
}

#[test]
fn gray_and_alpha_are_kept() {
    let gray = encode(&picture(Layout::Gray, paint(40, 30, |x, _| [if x < 20 { 30 } else { 200 }])), QUALITY).unwrap();
    let veiled = picture(Layout::GrayAlpha, paint(40, 30, |x, _| if x < 20 { [30, 255] } else { [200, 77] }));
    let veiled = encode(&veiled, QUALITY).unwrap();

    let seen = Seen::open(&gray);
    assert!(alike(seen.rgb(5, 15), [30; 3]) && alike(seen.rgb(35, 15), [200; 3]));
    let seen = Seen::open(&veiled);
    assert_eq!((seen.layout, seen.raw(5, 15)[3], seen.raw(35, 15)[3]), (Layout::Rgba, 255, 77));
    assert!(alike(seen.rgb(5, 15), [30; 3]) && alike(seen.rgb(35, 15), [200; 3]));
}

#[test]
fn an_animation_comes_back_as_it_was() {
    let frames = [(plain(RED), 100_000), (plain(GREEN), 20_000), (plain(BLUE), 1_234_000)];

    let file = animate(&frames, 5);

    let (played, plays) = played(&file);
    assert_eq!(plays, 5);
    assert_eq!(played.iter().map(|frame| frame.0).collect::<Vec<_>>(), [100, 20, 1234]);
    for ((_, [red, green, blue, alpha]), color) in played.into_iter().zip([RED, GREEN, BLUE]) {
        assert!(alike([red, green, blue], color) && alpha == 255);
    }
}

#[test]
fn another_reader_sees_the_same_animation() {
    let frames = [(plain(RED), 100_000), (plain(GREEN), 20_000), (plain(BLUE), 1_234_000)];
    let file = animate(&frames, 0);

    let mut decoder = WebPDecoder::new(Cursor::new(file)).unwrap();

    assert_eq!((decoder.dimensions(), decoder.num_frames()), ((40, 30), 3));
    assert_eq!(decoder.loop_count(), LoopCount::Forever);
    let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    for (color, lasts) in [(RED, 100), (GREEN, 20), (BLUE, 1234)] {
        assert_eq!(decoder.read_frame(&mut pixels).unwrap(), lasts);
        let middle = (15 * 40 + 20) * channels;
        assert!(alike(pixels[middle..middle + 3].try_into().unwrap(), color));
    }
}

#[test]
fn parts_of_milliseconds_are_not_lost() {
    let frames: Vec<_> = (0..30).map(|index| (plain(if index % 2 == 0 { RED } else { BLUE }), 33_333)).collect();

    let (played, _) = played(&animate(&frames, 1));

    assert_eq!(played.len(), 30);
    assert_eq!(played.iter().map(|frame| frame.0).sum::<u64>(), 999);
}

#[test]
fn what_is_transparent_in_one_picture_is_so_after_another() {
    let veiled = |alpha| picture(Layout::Rgba, paint(40, 30, |_, _| [200, 20, 20, alpha]));
    let frames = [(plain(GREEN), 50_000), (veiled(0), 50_000), (veiled(128), 50_000)];

    let (played, _) = played(&animate(&frames, 1));

    assert_eq!(played.iter().map(|frame| frame.1[3]).collect::<Vec<_>>(), [255, 0, 128]);
}

#[test]
fn pictures_of_another_size_or_kind_are_refused() {
    let mut animation = Animation::begin(SIZE, 0, QUALITY).unwrap();
    let large = Picture { size: Size { width: 41, height: 30 }, layout: Layout::Rgb, samples: vec![0; 41 * 30 * 3] };

    assert!(animation.add(&large, Duration::ZERO).is_err());
    assert!(animation.add(&picture(Layout::Ycck, vec![0; 40 * 30 * 4]), Duration::ZERO).is_err());
    assert!(animation.add(&plain(RED), Duration::from_secs(u64::MAX)).is_ok());
    assert!(animation.finish().is_err(), "that long it cannot be");
}

#[test]
fn sides_that_webp_cannot_have_are_refused() {
    for (width, height) in [(16384, 1), (1, 16384), (0, 5)] {
        let size = Size { width, height };
        let picture = Picture { size, layout: Layout::Gray, samples: vec![0; (width * height) as usize] };

        assert!(encode(&picture, QUALITY).is_err());
        assert!(Animation::begin(size, 0, QUALITY).is_err());
    }
}
