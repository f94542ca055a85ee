//! The instructions that the processor has, beyond those that each has.

use fearless_simd::{Level, Simd};

/// Work that gets faster with more instructions. What it calls must be inlined into it.
pub(crate) trait Task {
    /// What comes of it.
    type Output;

    /// Does it, with `simd`'s vectors.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Does a task with the instructions of the processor at hand: AVX2 and BMI2, for example.
#[inline(always)]
pub(crate) fn run_with_best_instructions<T: Task>(task: T) -> T::Output {
    fearless_simd::dispatch!(Level::new(), simd => task.run(simd))
}
