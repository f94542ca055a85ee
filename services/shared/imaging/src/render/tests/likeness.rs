//! Thumbnails of what was decoded smaller, held against those of the full picture.

use std::cell::Cell;

use super::*;
use crate::{
    decode::{Pixels, decode_in_full},
    picture::Picture,
};

const WINDOW: usize = 7;
/// From one window to the next: some must do.
const STRIDE: usize = 3;

/// Soft shapes, edges at all angles, and the noise of a sensor.
fn shapes(width: u16, height: u16) -> Vec<u8> {
    let noise = Cell::new(0x9e37_79b9_u32);
    paint(width.into(), height.into(), |x, y| {
        [0.0, 1.1, 2.3].map(|phase| {
            let mut state = noise.get();
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            noise.set(state);
            let (x, y) = (f64::from(x), f64::from(y));
            let shape = (x / 41.0 + phase).sin() * (y / 29.0).cos() + (x * y / 3000.0).sin() / 3.0;
            let edge = if (x - 400.0).hypot(y - 300.0) % 90.0 < 30.0 { 40.0 } else { 0.0 };
            to_sample(shape * 70.0 + edge + 110.0 + f64::from(state >> 28))
        })
    })
}

fn photo(width: u16, height: u16, progressive: bool, sampling: SamplingFactor) -> Vec<u8> {
    let samples = shapes(width, height);
    Jpeg { progressive, sampling, ..Jpeg::new(width, height, JpegColor::Rgb) }.encode(&samples)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn to_sample(value: f64) -> u8 {
    value as u8
}

/// The first channel, row by row.
fn luma(picture: &Picture) -> Vec<Vec<f64>> {
    let channels = picture.layout.channels();
    let row = |row: &[u8]| row.iter().step_by(channels).copied().map(f64::from).collect();
    picture.samples.chunks_exact(picture.size.width as usize * channels).map(row).collect()
}

/// Structural similarity (Wang et al., 2004), the mean over windows of seven by seven.
fn ssim(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.size, a.layout), (b.size, b.layout));
    let (a, b) = (luma(a), luma(b));
    let corners = |length: usize| (0..=length - WINDOW).step_by(STRIDE);
    let windows: Vec<f64> = corners(a.len())
        .flat_map(|y| corners(a[0].len()).map(move |x| (x, y)))
        .map(|(x, y)| {
            let places = || (y..y + WINDOW).flat_map(move |y| (x..x + WINDOW).map(move |x| (x, y)));
            ssim_of(&places().map(|(x, y)| (a[y][x], b[y][x])).collect::<Vec<_>>())
        })
        .collect();
    mean(windows.iter().copied())
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = f64::from(u32::try_from(values.len()).unwrap());
    values.sum::<f64>() / count
}

fn ssim_of(window: &[(f64, f64)]) -> f64 {
    const C1: f64 = 6.5025;
    const C2: f64 = 58.5225;
    let (a, b) = (mean(window.iter().map(|pair| pair.0)), mean(window.iter().map(|pair| pair.1)));
    let variance = mean(window.iter().map(|pair| (pair.0 - a).powi(2) + (pair.1 - b).powi(2)));
    let covariance = mean(window.iter().map(|pair| (pair.0 - a) * (pair.1 - b)));
    (2.0 * a * b + C1) * (2.0 * covariance + C2) / ((a * a + b * b + C1) * (variance + C2))
}

#[test]
fn a_thumbnail_is_like_that_of_the_full_picture_at_each_scale() {
    let mut worst = 1.0_f64;
    for (progressive, sampling) in
        [(false, SamplingFactor::F_2_2), (true, SamplingFactor::F_2_2), (false, SamplingFactor::F_2_1)]
    {
        let file = photo(800, 600, progressive, sampling);
        let header = Header::read(&file, &RULES).unwrap();
        for width in [48, 80, 83, 130, 166, 167, 240, 249, 251, 333, 334, 420, 500, 501, 660] {
            let plan = plan(header.size, &spec(width, width, Scale));
            let mut still = Still::decode(&file, &header, &[plan], false).unwrap();
            let drawn = still.draw(&mut Scratch::default(), plan).unwrap();

            let full = Pixels::Picture(decode_in_full(&file, &header).unwrap());
            let expected = Scratch::default().fit(full, header.size, &plan).unwrap();

            let ssim = ssim(&drawn, &expected);
            println!("{width}, progressive {progressive}: {ssim:.4}");
            assert!(ssim > 0.995, "{width}, progressive {progressive}: {ssim}");
            worst = worst.min(ssim);
        }
    }
    println!("at worst {worst:.4}");
}

#[test]
fn a_thumbnail_of_a_png_is_like_that_of_the_full_picture() {
    let samples = shapes(800, 600);
    let veiled = samples.as_chunks().0.iter().flat_map(|[r, g, b]| [*r, *g, *b, 100 + r / 2]).collect::<Vec<_>>();
    let files = [
        png_file(800, 600, PngColor::Rgb, BitDepth::Eight, &samples),
        png_file(800, 600, PngColor::Rgba, BitDepth::Eight, &veiled),
    ];
    let mut worst = 1.0_f64;
    for file in files {
        let header = Header::read(&file, &RULES).unwrap();
        for width in [32, 48, 80, 83, 99, 130, 166, 199, 200, 201, 333, 660] {
            let plan = plan(header.size, &spec(width, width, Scale));
            let mut still = Still::decode(&file, &header, &[plan], false).unwrap();
            let drawn = still.draw(&mut Scratch::default(), plan).unwrap();

            let full = Pixels::Picture(decode_in_full(&file, &header).unwrap());
            let expected = Scratch::default().fit(full, header.size, &plan).unwrap();

            let ssim = ssim(&drawn, &expected);
            println!("{width}: {ssim:.4}");
            worst = worst.min(ssim);
        }
    }
    assert!(worst > 0.995, "{worst}");
}
