//! Scans of AC coefficients, of one component each.

use std::io::{self, BufRead};

use fearless_simd::Simd;

use super::{Coefficients, Source};
use crate::{
    bits::Bits,
    block::{Keep, value},
    huffman::{AcTable, END_OF_BLOCK, SKIP_BITS},
    layout::Layout,
    processor::Task,
    scan::Scan,
};

const COEFFICIENTS: u32 = 64;
const ZERO_RUN: u32 = 15;

/// The coefficients of one block.
struct Block<'b> {
    keep: &'b Keep,
    slots: &'b mut [i16],
    /// None if AC coefficients are not refined.
    others: Option<&'b mut u64>,
}

/// What is the same for all blocks of a scan.
struct Band<'s> {
    first: u32,
    last: u32,
    low: u32,
    /// Behind this one nothing is kept, nor needed to understand a later scan.
    last_wanted: u32,
    table: &'s AcTable,
    /// Blocks from here on that bring no coefficients.
    empty_run: u32,
}

/// A scan to be decoded.
pub(super) struct AcScan<'s, 'i, R> {
    pub(super) source: &'s mut Source<'i, R>,
    pub(super) coefficients: &'s mut Coefficients,
    pub(super) layout: &'s Layout,
    pub(super) scan: &'s Scan,
    pub(super) table: &'s AcTable,
}

impl<R: BufRead> Task for AcScan<'_, '_, R> {
    type Output = io::Result<()>;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> io::Result<()> {
        self.decode()
    }
}

impl<R: BufRead> AcScan<'_, '_, R> {
    #[inline(always)]
    fn decode(self) -> io::Result<()> {
        let Self { source, coefficients, layout, scan, table } = self;
        let &Scan { first, last, low, .. } = scan;
        let Coefficients { slots, others, .. } = coefficients;
        let last_wanted = if others.is_empty() { layout.keep.last } else { last };
        let mut band = Band { first, last, low, last_wanted, table, empty_run: 0 };
        let (row_slots, row_blocks) = (layout.row_slots(), layout.coded_blocks as usize);
        for (y, row) in slots.chunks_exact_mut(row_slots).take(layout.blocks.1 as usize).enumerate() {
            for x in 0..layout.blocks.0 as usize {
                if source.restarts.is_due() {
                    source.restarts.restart(&mut source.coded, source.input)?;
                    band.empty_run = 0;
                }
                if band.empty_run == 0 && !source.coded.ensure_mcu(source.input)? {
                    source.restarts.miss(1);
                    if source.restarts.is_none() {
                        return Ok(());
                    }
                    continue;
                }
                let mut bits = source.coded.bits();
                let Some(slots) = layout.keep.block(row, x) else { return Ok(()) };
                let block = Block { keep: &layout.keep, slots, others: others.get_mut(y * row_blocks + x) };
                if scan.high == 0 {
                    band.decode_first(&mut bits, block);
                } else {
                    band.refine(&mut bits, block);
                }
                let used = bits.used();
                source.coded.set_position(used);
            }
        }
        Ok(())
    }
}

impl Band<'_> {
    /// Run and size of the next code.
    #[inline(always)]
    fn find(&self, bits: &mut Bits<'_>) -> Option<(u32, u32)> {
        let (length, symbol) = self.table.codes.find(bits.peek32())?;
        bits.skip(length);
        Some((u32::from(symbol >> 4), u32::from(symbol & 15)))
    }

    /// The number of blocks that bring nothing, the one at hand included.
    #[inline(always)]
    fn empty_blocks(bits: &mut Bits<'_>, size: u32) -> u32 {
        (1 << size) + if size > 0 { bits.take(size) } else { 0 }
    }

    /// Coefficients that no scan brought yet.
    #[inline(always)]
    fn decode_first(&mut self, bits: &mut Bits<'_>, mut block: Block<'_>) {
        if self.empty_run > 0 {
            self.empty_run -= 1;
            return;
        }
        let mut place = self.first;
        while place <= self.last {
            if place > self.last_wanted {
                return self.skip_rest(bits, place);
            }
            bits.refill();
            let Some((run, size)) = self.find(bits) else {
                // No such code: damaged data.
                bits.skip(16);
                return;
            };
            if size == 0 && run < ZERO_RUN {
                self.empty_run = Self::empty_blocks(bits, run) - 1;
                return;
            }
            place += run;
            if size > 0 && place < COEFFICIENTS {
                block.set(place, value(bits, size) << self.low);
            }
            place += 1;
        }
    }

    /// Uses the bits of all coefficients from `place` on, several at once.
    #[inline(always)]
    fn skip_rest(&mut self, bits: &mut Bits<'_>, mut place: u32) {
        while place <= self.last {
            bits.refill();
            let [used, advance] = self.table.skips[bits.peek::<SKIP_BITS>()].to_le_bytes();
            let behind = place + u32::from(advance);
            // Else its last code may belong to the next block.
            if used > 0 && behind % END_OF_BLOCK + behind / END_OF_BLOCK <= self.last + 1 {
                bits.skip(used.into());
                place = behind;
                continue;
            }
            let Some((run, size)) = self.find(bits) else {
                bits.skip(16);
                return;
            };
            if size == 0 && run < ZERO_RUN {
                self.empty_run = Self::empty_blocks(bits, run) - 1;
                return;
            }
            bits.skip(size);
            place += run + 1;
        }
    }

    /// One more bit of coefficients that earlier scans brought, and new ones of that bit.
    #[inline(always)]
    fn refine(&mut self, bits: &mut Bits<'_>, mut block: Block<'_>) {
        let mut place = self.first;
        if self.empty_run == 0 {
            while place <= self.last {
                bits.refill();
                let Some((run, size)) = self.find(bits) else {
                    bits.skip(16);
                    return;
                };
                if size == 0 && run < ZERO_RUN {
                    self.empty_run = Self::empty_blocks(bits, run);
                    break;
                }
                let new = (size > 0).then(|| if bits.take(1) == 1 { 1 << self.low } else { -1 << self.low });
                place = self.refine_run(bits, &mut block, place, run);
                if let Some(new) = new.filter(|_| place <= self.last) {
                    block.set(place, new);
                }
                place += 1;
            }
        }
        if self.empty_run > 0 {
            self.refine_run(bits, &mut block, place, COEFFICIENTS);
            self.empty_run -= 1;
        }
    }

    /// Refines from `place` on, past `zeros` coefficients that are zero; answers the place of
    /// the zero after them.
    #[inline(always)]
    fn refine_run(&self, bits: &mut Bits<'_>, block: &mut Block<'_>, mut place: u32, mut zeros: u32) -> u32 {
        while place <= self.last {
            if block.is_other(place) {
                bits.refill();
                if bits.take(1) == 1 {
                    block.refine(place, 1 << self.low);
                }
            } else if zeros == 0 {
                break;
            } else {
                zeros -= 1;
            }
            place += 1;
        }
        place
    }
}

impl Block<'_> {
    #[inline(always)]
    fn set(&mut self, place: u32, value: i32) {
        if let slot @ 1.. = self.keep.slot(place) {
            self.slots[slot] = value as i16;
        }
        if let Some(others) = &mut self.others {
            **others |= 1 << place;
        }
    }

    #[inline(always)]
    fn is_other(&self, place: u32) -> bool {
        self.others.as_ref().is_some_and(|others| **others >> place & 1 == 1)
    }

    /// Adds a bit to a coefficient, away from zero.
    #[inline(always)]
    fn refine(&mut self, place: u32, bit: i16) {
        if let slot @ 1.. = self.keep.slot(place) {
            let coefficient = &mut self.slots[slot];
            let bit = if *coefficient < 0 { -bit } else { bit };
            *coefficient = coefficient.wrapping_add(bit);
        }
    }
}
