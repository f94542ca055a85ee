//! What becomes of each component at the scale that is wanted.

use crate::{
    block::{GROUP, Keep},
    frame::{BLOCK, Component, Frame},
    idct::Scaling,
    scale::BlockSize,
};

/// What becomes of one component.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) component: Component,
    pub(crate) size: BlockSize,
    pub(crate) keep: Keep,
    /// Samples of the plane, across and down.
    pub(crate) plane: (u32, u32),
    /// Blocks that hold a part of the picture, across and down.
    pub(crate) blocks: (u32, u32),
    /// Blocks of a row with those that only fill the last MCU.
    pub(crate) coded_blocks: u32,
    /// As it was when the first scan of the component began.
    pub(crate) scaling: Option<Scaling>,
}

impl Layout {
    pub(crate) fn new(frame: &Frame, component: Component, size: BlockSize) -> Self {
        let (most_across, most_down) = frame.most_factors();
        let samples_of = |full: u32, factor: u32, most: u32, count: u32| {
            let scaled = (u64::from(full) * u64::from(factor * count)).div_ceil(u64::from(most * BLOCK));
            u32::try_from(scaled).unwrap_or(u32::MAX)
        };
        Self {
            component,
            size,
            keep: Keep::new(size),
            plane: (
                samples_of(frame.width, component.across, most_across, size.width),
                samples_of(frame.height, component.down, most_down, size.height),
            ),
            blocks: frame.blocks(&component),
            coded_blocks: frame.mcus().0 * component.across,
            scaling: None,
        }
    }

    /// The part of the plane that the picture covers: its last samples may reach beyond.
    pub(crate) fn covered(&self, frame: &Frame) -> (f64, f64) {
        let (most_across, most_down) = frame.most_factors();
        let side = |full: u32, factor: u32, most: u32, samples: u32| {
            f64::from(full) * f64::from(factor * samples) / f64::from(most * BLOCK)
        };
        (
            side(frame.width, self.component.across, most_across, self.size.width),
            side(frame.height, self.component.down, most_down, self.size.height),
        )
    }

    /// Slots of a row of blocks.
    pub(crate) const fn row_slots(&self) -> usize {
        self.keep.row_slots(self.coded_blocks as usize)
    }

    /// Samples of a row of blocks.
    pub(crate) const fn row_samples(&self) -> usize {
        self.stride() * self.size.height as usize
    }

    /// Samples from one line of a row of blocks to the next.
    pub(crate) const fn stride(&self) -> usize {
        (self.coded_blocks as usize).next_multiple_of(GROUP) * self.size.width as usize
    }
}
