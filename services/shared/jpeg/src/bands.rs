//! Finished rows of samples, on their way out.

use crate::{
    idct::{BlockRow, Reconstruction},
    layout::Layout,
    processor::run_with_best_instructions,
};

/// A few rows of samples of one component.
#[derive(Debug, Clone, Copy)]
pub struct Band<'s> {
    /// Which component, in the order of the frame.
    pub component: usize,
    /// The first row's place in the plane.
    pub top: u32,
    /// Samples of a row.
    pub width: u32,
    stride: usize,
    samples: &'s [u8],
}

impl<'s> Band<'s> {
    /// The rows, from the top down; each has [`width`](Self::width) samples.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'s [u8]> + use<'s> {
        let width = self.width as usize;
        self.samples.chunks_exact(self.stride).map(move |row| &row[..width.min(row.len())])
    }
}

/// Makes bands and hands them over.
pub(crate) struct Bands<'o> {
    out: &'o mut dyn FnMut(Band<'_>),
    samples: Vec<u8>,
}

impl<'o> Bands<'o> {
    pub(crate) fn new(out: &'o mut dyn FnMut(Band<'_>)) -> Self {
        Self { out, samples: Vec::new() }
    }

    /// Hands over what becomes of a row of blocks.
    pub(crate) fn put(&mut self, component: usize, layout: &Layout, block_row: u32, slots: &[i16]) {
        let stride = layout.stride();
        self.samples.resize(layout.row_samples(), 0);
        match &layout.scaling {
            Some(scaling) => {
                let blocks = BlockRow { slots, scaling };
                run_with_best_instructions(Reconstruction { blocks, samples: &mut self.samples, stride });
            }
            // No scan of this component came.
            None => self.samples.fill(128),
        }
        let top = block_row * layout.size.height;
        let rows = layout.size.height.min(layout.plane.1.saturating_sub(top));
        if rows > 0 {
            let samples = &self.samples[..rows as usize * stride];
            (self.out)(Band { component, top, width: layout.plane.0, stride, samples });
        }
    }

    /// Hands over all rows of a component that never came.
    pub(crate) fn put_nothing(&mut self, component: usize, layout: &Layout) {
        let slots = vec![0; layout.row_slots()];
        for block_row in 0..layout.blocks.1 {
            self.put(component, layout, block_row, &slots);
        }
    }
}
