//! One block of a sequential scan: the coefficients that are wanted are decoded, all others
//! only skipped.

use crate::{
    bits::Bits,
    huffman::{AcTable, DcTable, END_OF_BLOCK, PAIR_BITS, SKIP_BITS, VALUE_BITS, extend},
    scale::BlockSize,
};

const COEFFICIENTS: u32 = 64;
/// Places that damaged data can reach are behind the last coefficient.
const REACH: usize = 128;

/// By place in the zigzag: row and column.
pub(crate) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Blocks that are transformed together. Their slots are interleaved: the first of each, then
/// the second of each, so that one instruction works on all of them.
pub(crate) const GROUP: usize = 8;

/// Which coefficients of a block are kept, and where.
///
/// Those of the lowest frequencies, as many in each direction as samples are made of them,
/// row by row. The first slot is that of DC; AC coefficients that are not kept have it too.
#[derive(Debug, Clone)]
pub(crate) struct Keep {
    /// The last one wanted, by its place in the zigzag.
    pub(crate) last: u32,
    slots: [u16; REACH],
    /// Slots of a block.
    pub(crate) slot_count: usize,
}

impl Keep {
    pub(crate) fn new(size: BlockSize) -> Self {
        let (mut slots, mut last) = ([0; REACH], 0);
        for (index, place) in ZIGZAG.into_iter().enumerate() {
            let (row, column) = (u32::from(place / 8), u32::from(place % 8));
            if row < size.height && column < size.width {
                (slots[index], last) = ((row * size.width + column) as u16 * GROUP as u16, index as u32);
            }
        }
        Self { last, slots, slot_count: size.samples() }
    }

    /// Where the slot of a coefficient is, from the first slot of its block.
    #[inline(always)]
    pub(crate) fn slot(&self, place: u32) -> usize {
        self.slots[place as usize % REACH].into()
    }

    /// Slots that `blocks` take together.
    pub(crate) const fn row_slots(&self, blocks: usize) -> usize {
        blocks.next_multiple_of(GROUP) * self.slot_count
    }

    /// A block of a row, from its first slot on.
    #[inline(always)]
    pub(crate) fn block<'r>(&self, row: &'r mut [i16], index: usize) -> Option<&'r mut [i16]> {
        let group = row.get_mut(index / GROUP * GROUP * self.slot_count..)?;
        group.get_mut(index % GROUP..GROUP * self.slot_count)
    }
}

/// What is decoded of a block, and with what.
pub(crate) struct Coding<'t> {
    pub(crate) dc: &'t DcTable,
    pub(crate) ac: &'t AcTable,
    pub(crate) keep: &'t Keep,
}

/// Decodes a block into its slots, which hold zeros.
#[inline(always)]
pub(crate) fn decode_block(bits: &mut Bits<'_>, coding: &Coding<'_>, predictor: &mut i32, slots: &mut [i16]) {
    bits.refill();
    *predictor = predictor.wrapping_add(dc_difference(bits, coding.dc));
    let next = if coding.keep.last == 0 { 1 } else { keep_ac(bits, coding.ac, coding.keep, slots) };
    // Only now: coefficients that are not kept were written to this slot.
    slots[0] = *predictor as i16;
    if next < COEFFICIENTS {
        skip_ac(bits, coding.ac, next);
    }
}

/// Needs 31 bits in reach.
#[inline(always)]
pub(crate) fn dc_difference(bits: &mut Bits<'_>, table: &DcTable) -> i32 {
    let entry = table.values[bits.peek::<VALUE_BITS>()];
    if entry != 0 {
        bits.skip(entry & 0xff);
        return entry.cast_signed() >> 16;
    }
    // No such code: damaged data. One bit on, to get anywhere.
    let (length, size) = table.codes.find(bits.peek32()).unwrap_or((1, 0));
    bits.skip(length);
    value(bits, size.into())
}

/// The value of `size` bits.
#[inline(always)]
pub(crate) fn value(bits: &mut Bits<'_>, size: u32) -> i32 {
    if size == 0 { 0 } else { extend(bits.take(size), size) }
}

/// Whether an entry ends within the block. If not, its last code may belong to the next one.
#[inline(always)]
const fn is_within(next: u32) -> bool {
    next % END_OF_BLOCK + next / END_OF_BLOCK <= COEFFICIENTS
}

/// Decodes at least as far as coefficients are kept; answers the next one, 64 or more at the
/// end of the block.
#[inline(always)]
fn keep_ac(bits: &mut Bits<'_>, table: &AcTable, keep: &Keep, slots: &mut [i16]) -> u32 {
    let mut next = 1;
    loop {
        bits.refill();
        // Five entries, as that many bits are in reach.
        for _ in 0..56 / PAIR_BITS {
            let pair = table.pairs[bits.peek::<PAIR_BITS>()];
            let behind = next + u32::from(pair.advance);
            if pair.bits == 0 || (behind > keep.last && !is_within(behind)) {
                match keep_one(bits, table, keep, slots, next) {
                    Some(behind) if behind <= keep.last => next = behind,
                    Some(behind) => return behind,
                    None => return COEFFICIENTS,
                }
                break;
            }
            for (place, value) in pair.places.into_iter().zip(pair.values) {
                slots[keep.slot(next + u32::from(place))] = value;
            }
            bits.skip(pair.bits.into());
            if behind > keep.last {
                return behind;
            }
            next = behind;
        }
    }
}

/// Decodes a single coefficient; answers the next one, or nothing at the end of the block.
#[inline(always)]
fn keep_one(bits: &mut Bits<'_>, table: &AcTable, keep: &Keep, slots: &mut [i16], next: u32) -> Option<u32> {
    bits.refill();
    let (run, size) = find_one(bits, table)?;
    if size > 0 {
        slots[keep.slot(next + run)] = value(bits, size) as i16;
    }
    Some(next + run + 1)
}

/// Run and size of the next code; nothing at the end of the block. Brings at least 16 bits
/// for its value in reach.
#[inline(always)]
fn find_one(bits: &mut Bits<'_>, table: &AcTable) -> Option<(u32, u32)> {
    const ZERO_RUN: u32 = 15;
    let Some((length, symbol)) = table.codes.find(bits.peek32()) else {
        // No such code: damaged data.
        bits.skip(16);
        return None;
    };
    bits.skip(length);
    let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
    (size > 0 || run == ZERO_RUN).then_some((run, size))
}

/// Uses the bits of all coefficients from `next` to the end of the block.
#[inline(always)]
fn skip_ac(bits: &mut Bits<'_>, table: &AcTable, mut next: u32) {
    while next < COEFFICIENTS {
        bits.refill();
        for _ in 0..2 {
            let [used, advance] = table.skips[bits.peek::<SKIP_BITS>()].to_le_bytes();
            let behind = next + u32::from(advance);
            if used == 0 || (behind >= COEFFICIENTS && !is_within(behind)) {
                let Some(behind) = skip_one(bits, table, next) else { return };
                next = behind;
                break;
            }
            bits.skip(used.into());
            next = behind;
            if next >= COEFFICIENTS {
                return;
            }
        }
    }
}

/// As [`keep_one`], of a coefficient that is not wanted.
#[inline(always)]
fn skip_one(bits: &mut Bits<'_>, table: &AcTable, next: u32) -> Option<u32> {
    bits.refill();
    let (run, size) = find_one(bits, table)?;
    bits.skip(size);
    Some(next + run + 1)
}
