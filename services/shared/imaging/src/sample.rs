//! A picture that is drawn, not stored: for the first upload to a new installation.

use crate::{
    encode::encode_jpeg,
    geometry::Size,
    picture::{Layout, Picture},
};

const SIZE: Size = Size { width: 640, height: 480 };
const QUALITY: u8 = 85;
const HORIZON: f64 = 0.62;
const SUN: (f64, f64) = (0.64, 0.34);

type Color = [f64; 3];
const ZENITH: Color = [38.0, 60.0, 122.0];
const DUSK: Color = [255.0, 170.0, 92.0];
const SUNLIGHT: Color = [255.0, 244.0, 206.0];
const SHALLOWS: Color = [150.0, 112.0, 112.0];
const DEEP: Color = [14.0, 30.0, 66.0];

/// A small JPEG (640x480): the sun over the sea, and the flash of a distant heliograph.
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "the picture is always the same, and a test draws it"
)]
pub fn sample_picture() -> Vec<u8> {
    let rows = (0..SIZE.height).map(|y| f64::from(y) / f64::from(SIZE.height));
    let aspect = f64::from(SIZE.width) / f64::from(SIZE.height);
    let columns = (0..SIZE.width).map(|x| f64::from(x) / f64::from(SIZE.width));
    let samples = rows
        .flat_map(|y| columns.clone().map(move |x| (x, y)))
        .flat_map(|(x, y)| if y < HORIZON { sky(x, y, aspect) } else { sea(x, y) })
        .map(to_sample)
        .collect();
    let picture = Picture { size: SIZE, layout: Layout::Rgb, samples };
    encode_jpeg(&picture, QUALITY).expect("an RGB picture of this size can be a JPEG")
}

fn sky(x: f64, y: f64, aspect: f64) -> Color {
    let air = mix(ZENITH, DUSK, (y / HORIZON).powf(1.6));
    let (across, down) = ((x - SUN.0) * aspect, y - SUN.1);
    let distance = across.hypot(down);
    let rays = 0.5 + 0.5 * (down.atan2(across) * 16.0).sin();
    let glow = (-distance * 5.0).exp() * (0.55 + 0.25 * rays);
    let disc = ((0.085 - distance) * 220.0).clamp(0.0, 1.0);
    mix(air, SUNLIGHT, glow.max(disc).max(flash(x, y, aspect)))
}

/// A star of light on the horizon: the mirror that answers.
fn flash(x: f64, y: f64, aspect: f64) -> f64 {
    let (across, down) = (((x - 0.2) * aspect).abs(), (y - HORIZON).abs());
    let beams = (-(across * 90.0 + down * 700.0)).exp() + (-(across * 700.0 + down * 90.0)).exp();
    (beams + (-across.hypot(down) * 60.0).exp()).min(1.0)
}

fn sea(x: f64, y: f64) -> Color {
    let depth = (y - HORIZON) / (1.0 - HORIZON);
    let water = mix(SHALLOWS, DEEP, depth.sqrt());
    let waves = (260.0 * depth.sqrt() + 3.0 * (x * 40.0).sin()).sin() * (x * 90.0 + depth * 35.0).cos();
    let path = (-((x - SUN.0) / (0.05 + 0.14 * depth)).powi(2)).exp();
    mix(water, SUNLIGHT, path * (0.45 + 0.4 * waves).max(0.0))
}

fn mix(from: Color, to: Color, part: f64) -> Color {
    let part = part.clamp(0.0, 1.0);
    std::array::from_fn(|index| from[index] + (to[index] - from[index]) * part)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
fn to_sample(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}
