//! Tokens become bits.

use super::{codes::Codes, tokens::Token};

/// Appends coded bits to a file.
pub(super) struct EntropyWriter<'f> {
    file: &'f mut Vec<u8>,
    codes: &'f Codes,
    /// The next bits, from the highest down.
    bits: u64,
    count: u32,
}

impl<'f> EntropyWriter<'f> {
    pub(super) const fn new(file: &'f mut Vec<u8>, codes: &'f Codes) -> Self {
        Self { file, codes, bits: 0, count: 0 }
    }

    #[inline(always)]
    pub(super) fn put(&mut self, token: Token) {
        let (code, size) = (self.codes.of(token.symbol()), token.size());
        // Sixteen bits at most, and eleven: with 31 that may be waiting they fit.
        self.count += u32::from(code.length) + size;
        self.bits |= u64::from(u32::from(code.bits) << size | token.bits()) << (u64::BITS - self.count);
        if self.count >= u32::BITS {
            self.write_word();
        }
    }

    #[inline(always)]
    fn write_word(&mut self) {
        let word = (self.bits >> u32::BITS) as u32;
        if has_prefix(word) {
            word.to_be_bytes().into_iter().for_each(|byte| self.write_byte(byte));
        } else {
            self.file.extend_from_slice(&word.to_be_bytes());
        }
        self.bits <<= u32::BITS;
        self.count -= u32::BITS;
    }

    /// What would begin a marker is followed by a zero.
    fn write_byte(&mut self, byte: u8) {
        self.file.push(byte);
        if byte == u8::MAX {
            self.file.push(0);
        }
    }

    /// Fills the last byte with ones.
    pub(super) fn finish(mut self) {
        let bytes = self.count.div_ceil(u8::BITS);
        let filled = self.bits | u64::MAX.checked_shr(self.count).unwrap_or(0);
        filled.to_be_bytes().into_iter().take(bytes as usize).for_each(|byte| self.write_byte(byte));
    }
}

/// Whether a byte is all ones.
#[inline(always)]
const fn has_prefix(word: u32) -> bool {
    const LOW: u32 = 0x0101_0101;
    const HIGH: u32 = 0x8080_8080;
    // As one looks for a byte that is zero among those of the complement.
    (!word).wrapping_sub(LOW) & word & HIGH != 0
}

#[cfg(test)]
mod tests {
    use super::has_prefix;

    #[test]
    fn a_byte_of_ones_is_seen_wherever_it_is() {
        for word in [0xff00_0000, 0x00ff_0000, 0x0000_ff00, 0x0000_00ff, 0xffff_ffff, 0x1234_ff7f] {
            assert!(has_prefix(word), "{word:x}");
        }
        for word in [0, 0x7f7f_7f7f, 0xfefe_fefe, 0x80fe_7f01, 0x0ff0_0ff0] {
            assert!(!has_prefix(word), "{word:x}");
        }
    }
}
