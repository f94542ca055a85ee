//! How alike two pictures are to the eye, and thumbnails made the plain way to compare with.

use std::f64::consts::PI;

/// Brightness, row by row, from 0 to 255.
#[derive(Debug, Clone)]
pub(crate) struct Luma {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) samples: Vec<f64>,
}

/// A part of a picture, not bound to whole pixels: left, top, width, height.
pub(crate) type Area = [f64; 4];

impl Luma {
    pub(crate) fn of_rgb(width: usize, height: usize, samples: &[u8]) -> Self {
        let luma = |pixel: &[u8; 3]| {
            let [red, green, blue] = pixel.map(f64::from);
            0.299 * red + 0.587 * green + 0.114 * blue
        };
        Self { width, height, samples: samples.as_chunks().0.iter().map(luma).collect() }
    }

    /// Cut out and made smaller, by the definition of Lanczos' filter with three lobes.
    pub(crate) fn resized(&self, [left, top, wide, high]: Area, width: usize, height: usize) -> Self {
        let across: Vec<_> = (0..width).map(|x| weights(x, left, wide / real(width), self.width)).collect();
        let down: Vec<_> = (0..height).map(|y| weights(y, top, high / real(height), self.height)).collect();
        let row = |y: usize| -> Vec<f64> {
            let row = &self.samples[y * self.width..][..self.width];
            across.iter().map(|weights| weights.iter().map(|(x, weight)| row[*x] * weight).sum()).collect()
        };
        let rows: Vec<Vec<f64>> = (0..self.height).map(row).collect();
        let sample = &|weights: &[(usize, f64)], x: usize| {
            weights.iter().map(|(y, weight)| rows[*y][x] * weight).sum::<f64>().clamp(0.0, 255.0)
        };
        let samples = down.iter().flat_map(|weights| (0..width).map(move |x| sample(weights, x))).collect();
        Self { width, height, samples }
    }
}

/// The samples that make one of the result, and their shares.
fn weights(place: usize, start: f64, scale: f64, length: usize) -> Vec<(usize, f64)> {
    const LOBES: f64 = 3.0;
    let reach = scale.max(1.0);
    let center = start + (real(place) + 0.5) * scale;
    let near = (0..length).map(|at| (at, (real(at) + 0.5 - center) / reach)).filter(|(_, away)| away.abs() < LOBES);
    let near: Vec<_> = near.map(|(at, away)| (at, sinc(away) * sinc(away / LOBES))).collect();
    let sum: f64 = near.iter().map(|(_, weight)| weight).sum();
    near.into_iter().map(|(at, weight)| (at, weight / sum)).collect()
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

#[expect(clippy::cast_precision_loss, reason = "sides of small pictures")]
fn real(number: usize) -> f64 {
    number as f64
}

/// Structural similarity (Wang et al., 2004): the mean over windows of seven by seven.
pub(crate) fn ssim(a: &Luma, b: &Luma) -> f64 {
    const WINDOW: usize = 7;
    assert_eq!((a.width, a.height), (b.width, b.height));
    let mut values = Vec::new();
    for top in (0..=a.height - WINDOW).step_by(2) {
        for left in (0..=a.width - WINDOW).step_by(2) {
            let places = || (top..top + WINDOW).flat_map(|y| (left..left + WINDOW).map(move |x| y * a.width + x));
            values.push(of_window(&places().map(|at| (a.samples[at], b.samples[at])).collect::<Vec<_>>()));
        }
    }
    values.iter().sum::<f64>() / real(values.len())
}

fn of_window(window: &[(f64, f64)]) -> f64 {
    const C1: f64 = 6.5025;
    const C2: f64 = 58.5225;
    let mean = |value: &dyn Fn(&(f64, f64)) -> f64| window.iter().map(value).sum::<f64>() / real(window.len());
    let (a, b) = (mean(&|pair| pair.0), mean(&|pair| pair.1));
    let variances = mean(&|pair| (pair.0 - a).powi(2) + (pair.1 - b).powi(2));
    let covariance = mean(&|pair| (pair.0 - a) * (pair.1 - b));
    (2.0 * a * b + C1) * (2.0 * covariance + C2) / ((a * a + b * b + C1) * (variances + C2))
}
