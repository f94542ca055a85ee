//! Scans of sequential frames. Row by row: no more than one row of MCUs is in memory.

use std::{
    io::{self, BufRead},
    rc::Rc,
};

use fearless_simd::Simd;

use crate::{
    bands::Bands,
    bits::Coded,
    block::{Coding, decode_block},
    error::Error,
    frame::Frame,
    huffman::{AcTable, DcTable},
    input::Input,
    layout::Layout,
    processor::{Task, run_with_best_instructions},
    restarts::{McuCount, Restarts},
    scan::{Member, Scan},
    tables::Tables,
};

/// The part of a component in a scan.
pub(crate) struct Part {
    component: usize,
    dc: Rc<DcTable>,
    ac: Rc<AcTable>,
    /// Blocks of an MCU.
    across: u32,
    down: u32,
    predictor: i32,
    /// Of one row of MCUs.
    slots: Vec<i16>,
}

/// The parts of a scan, with all that they need.
pub(crate) fn build_parts(scan: &Scan, layouts: &[Layout], tables: &mut Tables) -> Result<Vec<Part>, Error> {
    let build = |member: &Member| {
        let layout = &layouts[member.component];
        let (across, down) = scan.blocks_in_mcu(&layout.component);
        Ok(Part {
            component: member.component,
            dc: tables.dc(member.dc_table)?,
            ac: tables.ac(member.ac_table)?,
            across,
            down,
            predictor: 0,
            slots: vec![0; layout.row_slots() * down as usize],
        })
    };
    scan.members.iter().map(build).collect()
}

/// One way through a scan.
pub(crate) struct Pass<'l> {
    layouts: &'l [Layout],
    parts: Vec<Part>,
    /// Across and down.
    mcus: (u32, u32),
    coded: Coded,
    restarts: Restarts,
}

/// The decoding of a row of MCUs.
struct RowOfMcus<'r, 'l, R> {
    pass: &'r mut Pass<'l>,
    input: &'r mut Input<R>,
}

impl<R: BufRead> Task for RowOfMcus<'_, '_, R> {
    type Output = io::Result<()>;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> io::Result<()> {
        self.pass.decode_row(self.input)
    }
}

impl<'l> Pass<'l> {
    pub(crate) fn new(frame: &Frame, layouts: &'l [Layout], parts: Vec<Part>, restarts: Restarts) -> Self {
        let mcus = match &*parts {
            [only] => layouts[only.component].blocks,
            _ => frame.mcus(),
        };
        Self { layouts, parts, mcus, coded: Coded::new(), restarts }
    }

    /// Decodes all and hands over the rows; answers whether all was there and well.
    pub(crate) fn run<R: BufRead>(&mut self, input: &mut Input<R>, bands: &mut Bands<'_>) -> io::Result<bool> {
        for mcu_row in 0..self.mcus.1 {
            run_with_best_instructions(RowOfMcus { pass: self, input })?;
            for part in &self.parts {
                let layout = &self.layouts[part.component];
                for (row, slots) in (0..).zip(part.slots.chunks_exact(layout.row_slots())) {
                    bands.put(part.component, layout, mcu_row * part.down + row, slots);
                }
            }
        }
        Ok(!self.restarts.is_damaged && !self.coded.is_overdrawn())
    }

    /// How many MCUs there should be, and how many were not there.
    pub(crate) fn count(&self) -> McuCount {
        McuCount { wanted: u64::from(self.mcus.0) * u64::from(self.mcus.1), missing: self.restarts.missing() }
    }

    /// Decodes a row of MCUs. What is missing stays zero, which is a middle gray.
    #[inline(always)]
    fn decode_row<R: BufRead>(&mut self, input: &mut Input<R>) -> io::Result<()> {
        for part in &mut self.parts {
            part.slots.fill(0);
        }
        for mcu in 0..self.mcus.0 as usize {
            if self.restarts.is_due() {
                self.restarts.restart(&mut self.coded, input)?;
                for part in &mut self.parts {
                    part.predictor = 0;
                }
            }
            if self.coded.ensure_mcu(input)? {
                self.decode_mcu(mcu);
            } else {
                self.restarts.miss(1);
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn decode_mcu(&mut self, mcu: usize) {
        let mut bits = self.coded.bits();
        for part in &mut self.parts {
            let layout = &self.layouts[part.component];
            let coding = Coding { dc: &part.dc, ac: &part.ac, keep: &layout.keep };
            let first = mcu * part.across as usize;
            for row in part.slots.chunks_exact_mut(layout.row_slots()) {
                for index in first..first + part.across as usize {
                    let Some(block) = layout.keep.block(row, index) else { return };
                    decode_block(&mut bits, &coding, &mut part.predictor, block);
                }
            }
        }
        let used = bits.used();
        self.coded.set_position(used);
    }
}
