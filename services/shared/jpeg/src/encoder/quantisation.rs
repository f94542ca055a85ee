//! How coarsely coefficients are written.

use super::transform::{GAIN, WAVES};
use crate::block::ZIGZAG;

/// The example of the standard's annex K for brightness, which all writers take; row by row.
pub(super) const LUMA: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];
/// That for color.
pub(super) const CHROMA: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99,
];

/// What each coefficient is divided by.
#[derive(Debug)]
pub(super) struct Quantisation {
    /// Row by row.
    steps: [u8; 64],
    /// What a transformed value is multiplied by, in the order in which
    /// [`transform`](super::transform::transform) has them.
    divisors: [[f32; WAVES]; WAVES],
}

impl Quantisation {
    /// As libjpeg makes it of a quality.
    pub(super) fn new(base: &[u8; 64], quality: u8) -> Self {
        let quality = u32::from(quality.clamp(1, 100));
        let percent = if quality < 50 { 5000 / quality } else { 200 - quality * 2 };
        let steps = base.map(|step| ((u32::from(step) * percent + 50) / 100).clamp(1, 255) as u8);
        let divisor =
            |across: usize, down: usize| 1.0 / (f32::from(steps[down * WAVES + across]) * GAIN[across] * GAIN[down]);
        let divisors = std::array::from_fn(|across| std::array::from_fn(|down| divisor(across, down)));
        Self { steps, divisors }
    }

    pub(super) const fn divisors(&self) -> &[[f32; WAVES]; WAVES] {
        &self.divisors
    }

    /// As they are written in a file.
    pub(super) fn in_zigzag(&self) -> [u8; 64] {
        ZIGZAG.map(|place| self.steps[usize::from(place)])
    }
}
