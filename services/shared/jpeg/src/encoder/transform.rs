//! From samples to coefficients.
//!
//! The algorithm of Arai, Agui and Nakajima (1988): five multiplications for eight points, as most of them
//! are left to the quantisation. With 32-bit floating point, which is as fast as integers of that
//! size and closer to the formula than those of libjpeg.

use fearless_simd::{Simd, f32x8, prelude::*};

pub(super) const WAVES: usize = 8;
const MIDDLE: f32 = 128.0;

/// By how much the algorithm's waves of one direction are stronger than those of the standard.
pub(super) const GAIN: [f32; WAVES] = [
    GAIN_0,
    GAIN_0 * 1.387_039_9,
    GAIN_0 * 1.306_563,
    GAIN_0 * 1.175_875_6,
    GAIN_0,
    GAIN_0 * 0.785_694_96,
    GAIN_0 * 0.541_196_1,
    GAIN_0 * 0.275_899_4,
];
/// The square root of eight.
const GAIN_0: f32 = 2.0 * std::f32::consts::SQRT_2;

/// The coefficients of a block, by the number of the wave across, then down.
pub(super) struct Coefficients {
    pub(super) values: [[i32; WAVES]; WAVES],
    /// A bit for each that is not zero, in the same order, from the lowest up.
    pub(super) others: u64,
}

/// One sample of each column, or one wave of each.
type Lanes<S> = f32x8<S>;

/// Transforms the samples of a block, and multiplies each coefficient by its part of `divisors`.
#[inline(always)]
pub(super) fn transform<S: Simd>(
    simd: S,
    samples: &[[u8; WAVES]; WAVES],
    divisors: &[[f32; WAVES]; WAVES],
) -> Coefficients {
    let (zero, middle) = (simd.splat_f32x8(0.0), simd.splat_f32x8(MIDDLE));
    let mut rows = [zero; WAVES];
    for y in 0..WAVES {
        rows[y] = f32x8::from_slice(simd, &samples[y].map(f32::from)) - middle;
    }
    let across = waves(simd, transpose(simd, waves(simd, rows)));
    let mut block = Coefficients { values: [[0; WAVES]; WAVES], others: 0 };
    for wave in 0..WAVES {
        let exact = across[wave] * f32x8::from_slice(simd, &divisors[wave]);
        let rounded = simd.round_ties_even_f32x8(exact);
        simd.cvt_i32_f32x8(rounded).store_slice(&mut block.values[wave]);
        let others = simd.to_bitmask_mask32x8(simd.simd_ne_f32x8(rounded, zero));
        block.others |= (others & 0xff) << (wave * WAVES);
    }
    block
}

/// Eight waves of eight points, each stronger by its [`GAIN`].
#[inline(always)]
fn waves<S: Simd>(simd: S, points: [Lanes<S>; WAVES]) -> [Lanes<S>; WAVES] {
    let [p0, p1, p2, p3, p4, p5, p6, p7] = points;
    let times = |lanes: Lanes<S>, factor: f32| lanes * simd.splat_f32x8(factor);

    // Even waves are symmetric.
    let (outer, inner) = ([p0 + p7, p1 + p6], [p3 + p4, p2 + p5]);
    let (sums, differences) = ([outer[0] + inner[0], outer[1] + inner[1]], [outer[0] - inner[0], outer[1] - inner[1]]);
    let turned = times(differences[0] + differences[1], std::f32::consts::FRAC_1_SQRT_2);

    // Odd ones are mirrored with the other sign.
    let (d0, d1, d2, d3) = (p0 - p7, p1 - p6, p2 - p5, p3 - p4);
    let (low, middle, high) = (d3 + d2, d2 + d1, d1 + d0);
    let shared = times(low - high, 0.382_683_43);
    let (low, high) = (times(low, 0.541_196_1) + shared, times(high, 1.306_563) + shared);
    let middle = times(middle, std::f32::consts::FRAC_1_SQRT_2);
    let (plus, minus) = (d0 + middle, d0 - middle);

    [
        sums[0] + sums[1],
        plus + high,
        differences[0] + turned,
        minus - low,
        sums[0] - sums[1],
        minus + low,
        differences[0] - turned,
        plus - high,
    ]
}

/// Rows become columns: three times, lanes of the first four are put between those of the last four.
#[inline(always)]
fn transpose<S: Simd>(simd: S, mut rows: [Lanes<S>; WAVES]) -> [Lanes<S>; WAVES] {
    for _ in 0..3 {
        let mut mixed = rows;
        for pair in 0..WAVES / 2 {
            (mixed[2 * pair], mixed[2 * pair + 1]) = simd.interleave_f32x8(rows[pair], rows[pair + WAVES / 2]);
        }
        rows = mixed;
    }
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::processor::{Task, run_with_best_instructions};

    struct Transform<'b>(&'b [[u8; WAVES]; WAVES], [[f32; WAVES]; WAVES]);

    impl Task for Transform<'_> {
        type Output = Coefficients;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Coefficients {
            transform(simd, self.0, &self.1)
        }
    }

    /// The formula of the standard.
    fn expected(samples: &[[u8; WAVES]; WAVES], across: usize, down: usize) -> f64 {
        let part = |wave: usize| if wave == 0 { 0.5_f64.sqrt() } else { 1.0 };
        let cosine = |point: usize, wave: usize| {
            let steps = u32::try_from((2 * point + 1) * wave).unwrap();
            (f64::from(steps) * std::f64::consts::PI / 16.0).cos()
        };
        let mut sum = 0.0;
        for (y, x) in (0..WAVES).flat_map(|y| (0..WAVES).map(move |x| (y, x))) {
            sum += (f64::from(samples[y][x]) - 128.0) * cosine(x, across) * cosine(y, down);
        }
        sum * part(across) * part(down) / 4.0
    }

    proptest! {
        #[test]
        fn coefficients_are_those_of_the_formula(
            samples in prop::array::uniform8(prop::array::uniform8(any::<u8>())),
            step in 1_u8..=255,
        ) {
            let divisors =
                std::array::from_fn(|across| std::array::from_fn(|down| 1.0 / (f32::from(step) * GAIN[across] * GAIN[down])));

            let block = run_with_best_instructions(Transform(&samples, divisors));

            for (across, down) in (0..WAVES).flat_map(|across| (0..WAVES).map(move |down| (across, down))) {
                let (value, exact) = (block.values[across][down], expected(&samples, across, down) / f64::from(step));
                prop_assert!((f64::from(value) - exact).abs() < 0.501, "{value} should be {exact}");
                prop_assert_eq!(block.others >> (across * WAVES + down) & 1 == 1, value != 0);
            }
        }
    }

    #[test]
    fn black_and_white_have_no_waves() {
        let divisors = std::array::from_fn(|across| std::array::from_fn(|down| 1.0 / (GAIN[across] * GAIN[down])));
        for (sample, dc) in [(0, -1024), (128, 0), (255, 1016)] {
            let block = run_with_best_instructions(Transform(&[[sample; WAVES]; WAVES], divisors));

            assert_eq!((block.values[0][0], block.others >> 1), (dc, 0));
        }
    }
}
