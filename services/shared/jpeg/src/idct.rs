//! From coefficients to samples.
//!
//! A block of eight by eight becomes `W` by `H` samples by the inverse transform of that
//! size over the lowest `W` by `H` coefficients: the picture that is left when all finer waves
//! are taken away, sampled at fewer points.

#![expect(clippy::needless_range_loop, reason = "chains of iterators are not inlined whole here, and half as fast")]

use fearless_simd::{Simd, f32x8, i16x8, prelude::*};

use crate::{block::GROUP, processor::Task, scale::BlockSize};

/// The parts of a coefficient in a sample, with the factors of both directions: the constant
/// wave is weaker.
const CONSTANT: f32 = std::f32::consts::FRAC_1_SQRT_2 / 2.0;
const WAVE: f32 = 0.5;
/// What a block without coefficients looks like, and a half to round by.
const MIDDLE: f32 = 128.5;

/// Coefficients of one row of blocks, and what they are multiplied by.
pub(crate) struct BlockRow<'c> {
    /// Slots of all blocks, as [`Keep`](crate::block::Keep) has them.
    pub(crate) slots: &'c [i16],
    pub(crate) scaling: &'c Scaling,
}

/// Quantisation by slot.
#[derive(Debug, Clone)]
pub(crate) struct Scaling {
    size: BlockSize,
    dc: i32,
    factors: [f32; 64],
}

impl Scaling {
    /// `quantisation` is row by row.
    pub(crate) fn new(size: BlockSize, quantisation: &[u16; 64]) -> Self {
        let part = |wave: usize| if wave == 0 { CONSTANT } else { WAVE };
        let width = size.width as usize;
        let mut factors = [0.0; 64];
        for (slot, factor) in factors.iter_mut().enumerate().take(size.samples()) {
            let (row, column) = (slot / width, slot % width);
            *factor = f32::from(quantisation[row * 8 + column]) * part(row) * part(column);
        }
        Self { size, dc: quantisation[0].into(), factors }
    }
}

/// Makes samples of a row of blocks.
pub(crate) struct Reconstruction<'r> {
    pub(crate) blocks: BlockRow<'r>,
    /// Rows of `stride`, with room for all blocks of all groups.
    pub(crate) samples: &'r mut [u8],
    pub(crate) stride: usize,
}

impl Task for Reconstruction<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.blocks.scaling.size.width {
            1 => self.of_width::<S, 1>(simd),
            2 => self.of_width::<S, 2>(simd),
            3 => self.of_width::<S, 3>(simd),
            4 => self.of_width::<S, 4>(simd),
            6 => self.of_width::<S, 6>(simd),
            _ => self.of_width::<S, 8>(simd),
        }
    }
}

impl Reconstruction<'_> {
    #[inline(always)]
    fn of_width<S: Simd, const W: usize>(self, simd: S) {
        let Self { blocks, samples, stride } = self;
        match blocks.scaling.size.height {
            1 if W == 1 => means(&blocks, samples),
            1 => of_size::<S, W, 1>(simd, &blocks, samples, stride),
            2 => of_size::<S, W, 2>(simd, &blocks, samples, stride),
            3 => of_size::<S, W, 3>(simd, &blocks, samples, stride),
            4 => of_size::<S, W, 4>(simd, &blocks, samples, stride),
            6 => of_size::<S, W, 6>(simd, &blocks, samples, stride),
            _ => of_size::<S, W, 8>(simd, &blocks, samples, stride),
        }
    }
}

/// One sample per block: its mean, rounded as libjpeg does it.
#[inline(always)]
fn means(blocks: &BlockRow<'_>, samples: &mut [u8]) {
    for (dc, sample) in blocks.slots.iter().zip(samples) {
        let mean = (i32::from(*dc) * blocks.scaling.dc + 4) >> 3;
        *sample = (mean + 128).clamp(0, 255).cast_unsigned() as u8;
    }
}

#[inline(always)]
fn of_size<S: Simd, const W: usize, const H: usize>(simd: S, blocks: &BlockRow<'_>, samples: &mut [u8], stride: usize) {
    let Some(factors) = blocks.scaling.factors.get(..W * H) else { return };
    for (index, slots) in blocks.slots.chunks_exact(GROUP * W * H).enumerate() {
        let group = transform::<S, W, H>(simd, slots.as_chunks().0, factors);
        for (row, group) in samples.chunks_exact_mut(stride).zip(&group) {
            if let Some(target) = row.get_mut(index * GROUP * W..(index + 1) * GROUP * W) {
                interleave(simd, group, target.as_chunks_mut().0);
            }
        }
    }
}

/// One value of each block of a group.
type Lanes<S> = f32x8<S>;

/// The samples of a group, row by row, by their place in the block.
#[inline(always)]
fn transform<S: Simd, const W: usize, const H: usize>(
    simd: S,
    slots: &[[i16; GROUP]],
    factors: &[f32],
) -> [[Lanes<S>; W]; H] {
    let mut rows = [[simd.splat_f32x8(0.0); W]; H];
    for ((wave, slot), factor) in rows.as_flattened_mut().iter_mut().zip(slots).zip(factors) {
        let (low, high) = simd.widen_i16x8(i16x8::from_slice(simd, slot));
        *wave = simd.cvt_f32_i32x8(simd.combine_i32x4(low, high)) * simd.splat_f32x8(*factor);
    }
    rows[0][0] += simd.splat_f32x8(MIDDLE);
    for row in &mut rows {
        *row = invert(simd, row);
    }
    for x in 0..W {
        let mut column = [simd.splat_f32x8(0.0); H];
        for y in 0..H {
            column[y] = rows[y][x];
        }
        let column = invert(simd, &column);
        for y in 0..H {
            rows[y][x] = column[y];
        }
    }
    rows
}

/// Puts samples of one line in the order of the picture: block by block.
#[inline(always)]
fn interleave<S: Simd, const W: usize>(simd: S, group: &[Lanes<S>; W], target: &mut [[u8; W]]) {
    /// Samples that fit in a lane.
    const PACK: usize = 4;
    let (black, white) = (simd.splat_f32x8(0.0), simd.splat_f32x8(255.0));
    for first in (0..W).step_by(PACK) {
        let count = PACK.min(W - first);
        let mut pack = simd.splat_i32x8(0);
        for place in 0..count {
            let samples = simd.min_f32x8(simd.max_f32x8(group[first + place], black), white);
            pack |= simd.shl_i32x8(simd.cvt_i32_f32x8(samples), place as u32 * 8);
        }
        let mut packs = [0; GROUP];
        pack.store_slice(&mut packs);
        for (target, pack) in target.iter_mut().zip(packs) {
            target[first..first + count].copy_from_slice(&pack.to_le_bytes()[..count]);
        }
    }
}

/// The waves of `N` points: `BASIS[wave][point]`.
struct Basis<const N: usize>;

impl<const N: usize> Basis<N> {
    const WAVES: [[f32; N]; N] = {
        let mut waves = [[0.0; N]; N];
        let mut wave = 0;
        while wave < N {
            let mut point = 0;
            while point < N {
                waves[wave][point] = cosine((2 * point + 1) * wave * (48 / (2 * N)));
                point += 1;
            }
            wave += 1;
        }
        waves
    };
}

/// The cosine of `angle` * pi / 48.
const fn cosine(angle: usize) -> f32 {
    const QUARTER: [f64; 25] = [
        1.000_000_000,
        0.997_858_923,
        0.991_444_861,
        0.980_785_280,
        0.965_925_826,
        0.946_930_129,
        0.923_879_533,
        0.896_872_742,
        0.866_025_404,
        0.831_469_612,
        0.793_353_340,
        0.751_839_807,
        std::f64::consts::FRAC_1_SQRT_2,
        0.659_345_815,
        0.608_761_429,
        0.555_570_233,
        0.500_000_000,
        0.442_288_690,
        0.382_683_432,
        0.321_439_465,
        0.258_819_045,
        0.195_090_322,
        0.130_526_192,
        0.065_403_129,
        0.000_000_000,
    ];
    (match angle % 96 {
        angle @ 0..=24 => QUARTER[angle],
        angle @ 25..=48 => -QUARTER[48 - angle],
        angle @ 49..=71 => -QUARTER[angle - 48],
        angle => QUARTER[96 - angle],
    }) as f32
}

/// The inverse transform of `N` points. Even waves are symmetric, odd ones are mirrored with
/// the other sign: half of the points follows from the other half.
#[inline(always)]
fn invert<S: Simd, const N: usize>(simd: S, waves: &[Lanes<S>; N]) -> [Lanes<S>; N] {
    let mut points = [simd.splat_f32x8(0.0); N];
    for point in 0..N.div_ceil(2) {
        let (mut even, mut odd) = (waves[0], simd.splat_f32x8(0.0));
        for wave in 1..N {
            let sum = if wave % 2 == 0 { &mut even } else { &mut odd };
            *sum += waves[wave] * simd.splat_f32x8(Basis::<N>::WAVES[wave][point]);
        }
        points[point] = even + odd;
        if point != N - 1 - point {
            points[N - 1 - point] = even - odd;
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{block::Keep, processor::run_with_best_instructions};

    /// The formula of the standard, sampled at the middles of fewer, larger squares.
    fn expected(coefficients: &[i16; 64], quantisation: &[u16; 64], size: BlockSize) -> Vec<f64> {
        let wave = |wave: u32, point: u32, points: u32| {
            let part = if wave == 0 { 0.5_f64.sqrt() / 2.0 } else { 0.5 };
            let angle = f64::from(2 * point + 1) * f64::from(wave) * std::f64::consts::PI / f64::from(2 * points);
            part * angle.cos()
        };
        let sample = |x, y| {
            let mut sum = 128.0;
            for (row, column) in (0..size.height).flat_map(|row| (0..size.width).map(move |column| (row, column))) {
                let place = (row * 8 + column) as usize;
                let coefficient = f64::from(coefficients[place]) * f64::from(quantisation[place]);
                sum += coefficient * wave(column, x, size.width) * wave(row, y, size.height);
            }
            sum.clamp(0.0, 255.0)
        };
        (0..size.height).flat_map(|y| (0..size.width).map(move |x| sample(x, y))).collect()
    }

    fn side() -> impl Strategy<Value = u32> {
        prop::sample::select(vec![1_u32, 2, 3, 4, 6, 8])
    }

    proptest! {
        #[test]
        fn samples_are_those_of_the_formula(
            coefficients in prop::array::uniform32(-60_i16..60),
            width in side(),
            height in side(),
            quantum in 1_u16..20,
        ) {
            let size = BlockSize { width, height };
            let coefficients: [i16; 64] = std::array::from_fn(|place| coefficients[place % 32]);
            let keep = Keep::new(size);
            let mut slots = vec![0; keep.row_slots(1)];
            for (index, place) in crate::block::ZIGZAG.into_iter().enumerate() {
                slots[keep.slot(index as u32)] = coefficients[usize::from(place)];
            }
            slots[0] = coefficients[0];
            let quantisation = [quantum; 64];
            let (stride, width) = (GROUP * width as usize, width as usize);
            let mut samples = vec![0; size.samples() * GROUP];

            let scaling = Scaling::new(size, &quantisation);
            let blocks = BlockRow { slots: &slots, scaling: &scaling };
            run_with_best_instructions(Reconstruction { blocks, samples: &mut samples, stride });

            let first = samples.chunks(stride).flat_map(|row| &row[..width]);
            for (sample, expected) in first.zip(expected(&coefficients, &quantisation, size)) {
                prop_assert!((f64::from(*sample) - expected).abs() < 0.51, "{sample} should be {expected}");
            }
        }
    }

    #[test]
    fn a_block_of_one_color_is_the_same_at_each_size() {
        for (width, height) in [1, 2, 3, 4, 6, 8].into_iter().flat_map(|w| [1, 2, 3, 4, 6, 8].map(|h| (w, h))) {
            let size = BlockSize { width, height };
            let mut slots = vec![0; size.samples() * GROUP];
            slots[..GROUP].fill(40);
            let mut samples = vec![0; size.samples() * GROUP];

            let scaling = Scaling::new(size, &[16; 64]);
            let blocks = BlockRow { slots: &slots, scaling: &scaling };
            run_with_best_instructions(Reconstruction {
                blocks,
                samples: &mut samples,
                stride: GROUP * width as usize,
            });

            assert!(samples.iter().all(|sample| *sample == 128 + 80), "{samples:?}");
        }
    }
}
