//! Scans of progressive frames. Each brings some coefficients, or some bits of them, of all
//! blocks: those that are wanted are kept until the last scan.
//!
//! At a quarter of the full size and below, scans that only refine AC coefficients are
//! skipped. What they bring, at most the two lowest bits as encoders write them, cannot be
//! seen in so small a picture, and they are the most expensive ones.

use std::io::BufRead;

use crate::{
    bands::Bands,
    bits::Coded,
    error::Error,
    frame::Frame,
    input::Input,
    layout::Layout,
    processor::run_with_best_instructions,
    restarts::{McuCount, Restarts},
    scan::Scan,
    tables::Tables,
};

mod ac;
mod dc;

const COEFFICIENTS: usize = 64;
/// The largest block of which AC coefficients are not refined.
const MOST_UNREFINED: u32 = 2;

/// Coefficients of all components.
pub(crate) struct Progressive {
    components: Vec<Coefficients>,
    /// Of the first scans of DC coefficients.
    dc_count: McuCount,
}

/// Coefficients of one component.
pub(crate) struct Coefficients {
    /// Those that are kept, block by block.
    slots: Vec<i16>,
    /// A bit per coefficient and block, kept or not: whether it is other than zero. Empty if
    /// AC coefficients are not refined.
    others: Vec<u64>,
    /// How many low bits of each coefficient are still open.
    open_bits: [Option<u32>; COEFFICIENTS],
}

/// What scans of both kinds work with.
pub(crate) struct Source<'i, R> {
    input: &'i mut Input<R>,
    coded: Coded,
    restarts: Restarts,
}

impl<'i, R: BufRead> Source<'i, R> {
    pub(crate) fn new(input: &'i mut Input<R>, restarts: Restarts) -> Self {
        Self { input, coded: Coded::new(), restarts }
    }

    /// Whether all was there and well.
    fn is_well(&self) -> bool {
        !self.restarts.is_damaged && !self.coded.is_overdrawn()
    }
}

/// Rows of blocks of a component, with those that only fill the last MCUs.
fn row_count(frame: &Frame, layout: &Layout) -> usize {
    (frame.mcus().1 * layout.component.down) as usize
}

fn is_refined(layout: &Layout) -> bool {
    layout.size.width.max(layout.size.height) > MOST_UNREFINED
}

/// Whether anything of an AC scan is kept, or needed to understand a later one.
fn is_wanted(scan: &Scan, layout: &Layout) -> bool {
    is_refined(layout) || (scan.high == 0 && scan.first <= layout.keep.last)
}

impl Progressive {
    /// The memory that the coefficients of a component take.
    pub(crate) fn memory_bytes(frame: &Frame, layout: &Layout) -> u64 {
        let mask_bytes = if is_refined(layout) { size_of::<u64>() } else { 0 };
        let row = layout.row_slots() * size_of::<i16>() + layout.coded_blocks as usize * mask_bytes;
        (row * row_count(frame, layout)) as u64
    }

    pub(crate) fn new(frame: &Frame, layouts: &[Layout]) -> Self {
        let coefficients = |layout: &Layout| {
            let rows = row_count(frame, layout);
            let masks = if is_refined(layout) { layout.coded_blocks as usize } else { 0 };
            Coefficients {
                slots: vec![0; rows * layout.row_slots()],
                others: vec![0; rows * masks],
                open_bits: [None; COEFFICIENTS],
            }
        };
        Self { components: layouts.iter().map(coefficients).collect(), dc_count: McuCount::default() }
    }

    /// Decodes a scan, unless it brings nothing that is wanted; answers whether all was there
    /// and well.
    pub(crate) fn decode_scan<R: BufRead>(
        &mut self,
        mut source: Source<'_, R>,
        frame: &Frame,
        scan: &Scan,
        layouts: &[Layout],
        tables: &mut Tables,
    ) -> Result<bool, Error> {
        if scan.first == 0 {
            let wanted = dc::decode_scan(&mut source, &mut self.components, frame, scan, layouts, tables)?;
            if scan.high == 0 {
                self.dc_count.add(McuCount { wanted, missing: source.restarts.missing() });
            }
        } else if let [member] = &*scan.members {
            let (layout, coefficients) = (&layouts[member.component], &mut self.components[member.component]);
            if !is_wanted(scan, layout) {
                return Ok(true);
            }
            let table = tables.ac(member.ac_table)?;
            let source = &mut source;
            run_with_best_instructions(ac::AcScan { source, coefficients, layout, scan, table: &table })?;
        }
        for member in &scan.members {
            self.components[member.component].open_bits[scan.first as usize..=scan.last as usize].fill(Some(scan.low));
        }
        Ok(source.is_well())
    }

    /// How many MCUs there should be, and how many were not there.
    pub(crate) const fn count(&self) -> McuCount {
        self.dc_count
    }

    /// Whether no further scan can bring anything that is wanted.
    pub(crate) fn has_all(&self, layouts: &[Layout]) -> bool {
        self.components.iter().zip(layouts).all(|(coefficients, layout)| coefficients.has_all(layout))
    }

    /// Whether there is at least a first guess of each block.
    pub(crate) fn has_dc(&self) -> bool {
        self.components.iter().all(|coefficients| coefficients.open_bits[0].is_some())
    }

    /// Hands over the picture.
    pub(crate) fn put(&self, layouts: &[Layout], bands: &mut Bands<'_>) {
        for (component, (coefficients, layout)) in self.components.iter().zip(layouts).enumerate() {
            let rows = coefficients.slots.chunks_exact(layout.row_slots());
            for (block_row, slots) in (0..layout.blocks.1).zip(rows) {
                bands.put(component, layout, block_row, slots);
            }
        }
    }
}

impl Coefficients {
    fn has_all(&self, layout: &Layout) -> bool {
        let is_open = |open_bits: &Option<u32>| open_bits.is_none_or(|open_bits| open_bits > 0);
        let (dc, ac) = (&self.open_bits[0], &self.open_bits[1..=layout.keep.last as usize]);
        let is_ac_open = if is_refined(layout) { ac.iter().any(is_open) } else { ac.contains(&None) };
        !is_open(dc) && !is_ac_open
    }
}
