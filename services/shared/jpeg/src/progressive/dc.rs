//! Scans of DC coefficients.

use std::{io::BufRead, rc::Rc};

use super::{Coefficients, Source};
use crate::{
    bits::Bits,
    block::dc_difference,
    error::Error,
    frame::Frame,
    huffman::DcTable,
    layout::Layout,
    scan::{Member, Scan},
    tables::Tables,
};

/// The part of a component in a scan.
struct Part {
    component: usize,
    /// None if the scan only brings one more bit of each.
    table: Option<Rc<DcTable>>,
    across: usize,
    down: usize,
    predictor: i32,
}

/// Decodes a scan; answers how many MCUs it should have.
pub(super) fn decode_scan<R: BufRead>(
    source: &mut Source<'_, R>,
    components: &mut [Coefficients],
    frame: &Frame,
    scan: &Scan,
    layouts: &[Layout],
    tables: &mut Tables,
) -> Result<u64, Error> {
    let mut parts = build_parts(scan, layouts, tables)?;
    let (mcus_across, mcus_down) = match &*parts {
        [only] => layouts[only.component].blocks,
        _ => frame.mcus(),
    };
    let total = u64::from(mcus_across) * u64::from(mcus_down);
    for y in 0..mcus_down as usize {
        for x in 0..mcus_across as usize {
            if source.restarts.is_due() {
                source.restarts.restart(&mut source.coded, source.input)?;
                for part in &mut parts {
                    part.predictor = 0;
                }
            }
            if !source.coded.ensure_mcu(source.input)? {
                if source.restarts.is_none() {
                    // None of those that follow either.
                    source.restarts.miss(total - (y as u64 * u64::from(mcus_across) + x as u64));
                    return Ok(total);
                }
                source.restarts.miss(1);
                continue;
            }
            let mut bits = source.coded.bits();
            for part in &mut parts {
                let slots = &mut components[part.component].slots;
                part.decode_mcu(&mut bits, &layouts[part.component], slots, (x, y), scan.low);
            }
            let used = bits.used();
            source.coded.set_position(used);
        }
    }
    Ok(total)
}

fn build_parts(scan: &Scan, layouts: &[Layout], tables: &mut Tables) -> Result<Vec<Part>, Error> {
    let build = |member: &Member| {
        let (across, down) = scan.blocks_in_mcu(&layouts[member.component].component);
        Ok(Part {
            component: member.component,
            table: if scan.high == 0 { Some(tables.dc(member.dc_table)?) } else { None },
            across: across as usize,
            down: down as usize,
            predictor: 0,
        })
    };
    scan.members.iter().map(build).collect()
}

impl Part {
    #[inline(always)]
    fn decode_mcu(
        &mut self,
        bits: &mut Bits<'_>,
        layout: &Layout,
        slots: &mut [i16],
        (x, y): (usize, usize),
        low: u32,
    ) {
        let rows = slots.chunks_exact_mut(layout.row_slots()).skip(y * self.down).take(self.down);
        for row in rows {
            for index in x * self.across..(x + 1) * self.across {
                let Some(block) = layout.keep.block(row, index) else { return };
                bits.refill();
                if let Some(table) = &self.table {
                    self.predictor = self.predictor.wrapping_add(dc_difference(bits, table));
                    block[0] = (self.predictor << low) as i16;
                } else {
                    block[0] |= (bits.take(1) << low) as i16;
                }
            }
        }
    }
}
