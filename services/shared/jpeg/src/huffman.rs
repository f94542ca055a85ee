//! Huffman tables: what a file defines, and what is looked up in their stead.

use crate::error::Error;

const SHORT_BITS: u32 = 9;
/// A code and the value that follows it.
pub(crate) const VALUE_BITS: u32 = 10;
/// Up to two codes with their values.
pub(crate) const PAIR_BITS: u32 = 11;
/// As many codes as fit, whose values are skipped.
pub(crate) const SKIP_BITS: u32 = 12;
/// The most bits of one entry of the table of skips: two of them after one refill.
const MOST_SKIPPED_BITS: u32 = 27;
/// Added to how far an entry goes on, when the block ends with it.
pub(crate) const END_OF_BLOCK: u32 = 128;
const MOST_CODE_BITS: usize = 16;
const ZERO_RUN: u32 = 15;

/// A table as a file defines it.
#[derive(Clone)]
pub(crate) struct Definition {
    counts: [u8; MOST_CODE_BITS],
    symbols: Vec<u8>,
}

impl Definition {
    /// Takes a definition from the front of a segment.
    pub(crate) fn read(segment: &[u8], is_dc: bool) -> Result<(Self, &[u8]), Error> {
        const MALFORMED: Error = Error::Malformed("Huffman table");
        let (counts, rest) = segment.split_first_chunk().ok_or(MALFORMED)?;
        let total = counts.iter().map(|count| usize::from(*count)).sum();
        let (symbols, rest) = rest.split_at_checked(total).ok_or(MALFORMED)?;
        let mut room = 1_i32;
        for count in counts {
            room = room * 2 - i32::from(*count);
            if room < 0 {
                return Err(MALFORMED);
            }
        }
        if is_dc && symbols.iter().any(|size| *size > 15) {
            return Err(MALFORMED);
        }
        Ok((Self { counts: *counts, symbols: symbols.to_vec() }, rest))
    }
}

/// Codes and what they mean.
#[derive(Clone)]
pub(crate) struct Codes {
    /// By the next bits: length and symbol of a short code, else 0.
    short: [u16; 1 << SHORT_BITS],
    /// By length: one more than the last code.
    ends: [u32; MOST_CODE_BITS + 1],
    /// By length: what to add to a code to get the place of its symbol.
    offsets: [i32; MOST_CODE_BITS + 1],
    symbols: Vec<u8>,
}

impl Codes {
    pub(crate) fn new(definition: &Definition) -> Self {
        let mut codes = Self {
            short: [0; 1 << SHORT_BITS],
            ends: [0; MOST_CODE_BITS + 1],
            offsets: [0; MOST_CODE_BITS + 1],
            symbols: definition.symbols.clone(),
        };
        let (mut code, mut place) = (0_u32, 0_u32);
        for (length, count) in (1..).zip(definition.counts) {
            codes.offsets[length] = place.cast_signed() - code.cast_signed();
            for symbol in definition.symbols.iter().skip(place as usize).take(count.into()) {
                codes.enter(length as u32, code, *symbol);
                code += 1;
            }
            place += u32::from(count);
            codes.ends[length] = code;
            code <<= 1;
        }
        codes
    }

    fn enter(&mut self, length: u32, code: u32, symbol: u8) {
        if length <= SHORT_BITS {
            let free = SHORT_BITS - length;
            let first = (code << free) as usize;
            self.short[first..first + (1 << free)].fill((length as u16) << 8 | u16::from(symbol));
        }
    }

    /// Length and symbol of the code that `bits` begin with.
    #[inline(always)]
    pub(crate) fn find(&self, bits: u32) -> Option<(u32, u8)> {
        let [symbol, length] = self.short[(bits >> (32 - SHORT_BITS)) as usize].to_le_bytes();
        if length > 0 { Some((length.into(), symbol)) } else { self.find_long(bits) }
    }

    #[cold]
    fn find_long(&self, bits: u32) -> Option<(u32, u8)> {
        // Codes of one length are below their end, unless shorter ones came first.
        (SHORT_BITS + 1..=MOST_CODE_BITS as u32).find_map(|length| {
            let code = bits >> (32 - length);
            let place = usize::try_from(code.cast_signed() + self.offsets[length as usize]).ok()?;
            (code < self.ends[length as usize]).then(|| Some((length, *self.symbols.get(place)?)))?
        })
    }
}

/// The value of `size` bits: the lower half of them stands for negative values.
#[inline(always)]
pub(crate) const fn extend(bits: u32, size: u32) -> i32 {
    let (bits, half) = (bits.cast_signed(), 1 << (size - 1));
    if bits < half { bits - 2 * half + 1 } else { bits }
}

/// One code and its value, as they are looked up.
#[derive(Clone, Copy)]
struct Single {
    /// Both together; 0 if they do not fit.
    bits: u32,
    run: u32,
    value: i16,
    ends: bool,
}

impl Single {
    const NONE: Self = Self { bits: 0, run: 0, value: 0, ends: false };

    /// What `width` bits begin with; the rest of `bits` is not known.
    fn find(codes: &Codes, bits: u32, width: u32, is_dc: bool) -> Self {
        let Some((length, symbol)) = codes.find(bits) else { return Self::NONE };
        let (run, size) = if is_dc { (0, symbol.into()) } else { (u32::from(symbol >> 4), u32::from(symbol & 15)) };
        let ends = !is_dc && size == 0 && run != ZERO_RUN;
        // A run without value only exists in progressive scans.
        if length + size > width || (ends && run > 0) {
            return Self::NONE;
        }
        let value = if size == 0 { 0 } else { extend((bits << length) >> (32 - size), size) };
        Self { bits: length + size, run, value: value as i16, ends }
    }
}

/// A table of DC differences.
#[derive(Clone)]
pub(crate) struct DcTable {
    /// Value and number of bits; 0 if they do not fit.
    pub(crate) values: Box<[u32; 1 << VALUE_BITS]>,
    pub(crate) codes: Codes,
}

impl DcTable {
    pub(crate) fn new(definition: &Definition) -> Self {
        let codes = Codes::new(definition);
        let mut values = Box::new([0; 1 << VALUE_BITS]);
        for (index, entry) in (0..).zip(values.iter_mut()) {
            let single = Single::find(&codes, index << (32 - VALUE_BITS), VALUE_BITS, true);
            *entry = u32::from(single.value.cast_unsigned()) << 16 | single.bits;
        }
        Self { values, codes }
    }
}

/// A table of AC coefficients.
#[derive(Clone)]
pub(crate) struct AcTable {
    pub(crate) pairs: Box<[Pair; 1 << PAIR_BITS]>,
    /// Bits, and shifted by 8, how far the block goes on.
    pub(crate) skips: Box<[u16; 1 << SKIP_BITS]>,
    pub(crate) codes: Codes,
}

/// Up to two coefficients. Where there are fewer, a value is 0 and its place not taken yet.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    /// 0 if not even one fits.
    pub(crate) bits: u8,
    /// How far the block goes on; with [`END_OF_BLOCK`] where it ends.
    pub(crate) advance: u8,
    pub(crate) places: [u8; 2],
    pub(crate) values: [i16; 2],
}

impl AcTable {
    pub(crate) fn new(definition: &Definition) -> Self {
        let codes = Codes::new(definition);
        let singles: Vec<Single> = (0..1 << PAIR_BITS)
            .map(|index: u32| Single::find(&codes, index << (32 - PAIR_BITS), PAIR_BITS, false))
            .collect();
        let mut pairs = Box::new([Pair { bits: 0, advance: 0, places: [0; 2], values: [0; 2] }; 1 << PAIR_BITS]);
        for (index, pair) in pairs.iter_mut().enumerate() {
            *pair = Pair::new(index, &singles);
        }
        let mut skips = Box::new([0; 1 << SKIP_BITS]);
        for (index, skip) in (0..).zip(skips.iter_mut()) {
            *skip = skip_all(&codes, index << (32 - SKIP_BITS));
        }
        Self { pairs, skips, codes }
    }
}

impl Pair {
    fn new(index: usize, singles: &[Single]) -> Self {
        let first = singles[index];
        let behind = (index << first.bits) & (singles.len() - 1);
        let fits = |second: &Single| first.bits > 0 && second.bits > 0 && first.bits + second.bits <= PAIR_BITS;
        let second = singles.get(behind).copied().filter(|second| !first.ends && fits(second)).unwrap_or(Single::NONE);
        let one = if first.bits == 0 || first.ends { 0 } else { first.run + 1 };
        let two = if second.bits == 0 || second.ends { 0 } else { second.run + 1 };
        let end = if first.ends || second.ends { END_OF_BLOCK } else { 0 };
        Self {
            bits: (first.bits + second.bits) as u8,
            advance: (one + two + end) as u8,
            places: [first.run as u8, (one + second.run) as u8],
            values: [first.value, second.value],
        }
    }
}

/// As many codes as `bits` have within [`SKIP_BITS`]; of their values only the length counts.
fn skip_all(codes: &Codes, bits: u32) -> u16 {
    let (mut used, mut advance) = (0, 0);
    while let Some((length, symbol)) = (used < SKIP_BITS).then(|| codes.find(bits << used)).flatten() {
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if used + length > SKIP_BITS {
            break;
        }
        if size == 0 && run != ZERO_RUN {
            if run == 0 {
                used += length;
                advance += END_OF_BLOCK;
            }
            break;
        }
        if advance + run + 1 > 63 || used + length + size > MOST_SKIPPED_BITS {
            break;
        }
        advance += run + 1;
        used += length + size;
    }
    (advance as u16) << 8 | used as u16
}
