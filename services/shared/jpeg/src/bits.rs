//! Coded bits.

use std::io::{self, BufRead};

use crate::input::Input;

/// No MCU has more coded bytes: ten blocks of 64 coefficients, 31 bits each.
const MCU_BYTES: usize = 10 * 64 * 31 / 8 + 8;
/// How much is taken from the input at once.
const WINDOW_BYTES: usize = 32 << 10;
/// Bits of seven bytes: what a refill brings at least. Those of the eighth are there in part.
const WHOLE_BYTES: u32 = 0b11_1000;
/// Zeros behind the last coded byte, so that eight bytes can be read from it.
const PADDING: [u8; 8] = [0; 8];

/// A place among coded bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    /// The next byte.
    at: usize,
    /// The next bits, from the highest down; those below `count` may be there or not.
    bits: u64,
    count: u32,
}

/// The coded bytes of a scan, of which a window is in memory.
pub(crate) struct Coded {
    window: Vec<u8>,
    /// The length of the window without padding.
    end: usize,
    position: Position,
    /// No more bytes follow the window before a marker.
    complete: bool,
}

impl Coded {
    pub(crate) fn new() -> Self {
        Self { window: Vec::new(), end: 0, position: Position::default(), complete: false }
    }

    /// Forgets all that was coded up to here.
    pub(crate) fn restart(&mut self) {
        self.window.clear();
        (self.end, self.position, self.complete) = (0, Position::default(), false);
    }

    /// As [`Self::restart`], when nothing more is coded.
    pub(crate) fn finish(&mut self) {
        self.restart();
        self.complete = true;
    }

    /// Sees to it that a whole MCU is in memory. False if not a single bit is left.
    #[inline(always)]
    pub(crate) fn ensure_mcu<R: BufRead>(&mut self, input: &mut Input<R>) -> io::Result<bool> {
        if self.position.at + MCU_BYTES <= self.end {
            return Ok(true);
        }
        self.refill_window(input)
    }

    #[cold]
    fn refill_window<R: BufRead>(&mut self, input: &mut Input<R>) -> io::Result<bool> {
        if !self.complete {
            let kept = self.position.at.min(self.end);
            self.window.truncate(self.end);
            self.window.drain(..kept);
            self.position.at -= kept;
            self.complete = !input.take_coded(&mut self.window, WINDOW_BYTES)?;
            self.end = self.window.len();
            self.window.extend_from_slice(&PADDING);
        }
        Ok(self.used_bits() < self.end * 8)
    }

    fn used_bits(&self) -> usize {
        (self.position.at * 8).saturating_sub(self.position.count as usize)
    }

    /// Whether more bits were used than there were.
    pub(crate) fn is_overdrawn(&self) -> bool {
        self.complete && self.used_bits() > self.end * 8
    }

    /// The bits to come. What is used of them must be told with [`Self::set_position`].
    #[inline(always)]
    pub(crate) fn bits(&self) -> Bits<'_> {
        Bits { window: &self.window, position: self.position }
    }

    #[inline(always)]
    pub(crate) const fn set_position(&mut self, position: Used) {
        self.position = position.0;
    }
}

/// How far bits were used.
#[derive(Clone, Copy)]
pub(crate) struct Used(Position);

/// Bits of one MCU. A value, not a reference, so that it stays in registers.
pub(crate) struct Bits<'w> {
    window: &'w [u8],
    position: Position,
}

impl Bits<'_> {
    /// Brings at least 56 bits in reach. Behind the end they are zeros.
    #[inline(always)]
    pub(crate) fn refill(&mut self) {
        let Position { at, bits, count } = &mut self.position;
        let next = self.window.get(*at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_be_bytes(*bytes));
        *bits |= next >> *count;
        *at += ((63 - *count) >> 3) as usize;
        *count |= WHOLE_BYTES;
    }

    /// The next `N` bits.
    #[inline(always)]
    pub(crate) const fn peek<const N: u32>(&self) -> usize {
        (self.position.bits >> (64 - N)) as usize
    }

    /// The next 32 bits.
    #[inline(always)]
    pub(crate) const fn peek32(&self) -> u32 {
        (self.position.bits >> 32) as u32
    }

    /// Uses `count` bits; no more than were brought in reach.
    #[inline(always)]
    pub(crate) const fn skip(&mut self, count: u32) {
        self.position.bits <<= count;
        self.position.count -= count;
    }

    /// The next `count` bits, used: at least one and no more than 16.
    #[inline(always)]
    pub(crate) const fn take(&mut self, count: u32) -> u32 {
        let bits = (self.position.bits >> (64 - count)) as u32;
        self.skip(count);
        bits
    }

    #[inline(always)]
    pub(crate) const fn used(&self) -> Used {
        Used(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn bits_come_in_order_whatever_the_chunks() {
        let bytes: Vec<u8> = (0..60_000_u32).map(|index| (index * 7 % 251).to_be_bytes()[3]).collect();
        for chunk in [1, 3, 1000, 100_000] {
            let mut input = Input::new(BufReader::with_capacity(chunk, &*bytes));
            let mut coded = Coded::new();
            let mut at = 0;
            while coded.ensure_mcu(&mut input).unwrap() {
                let mut bits = coded.bits();
                for size in [3, 13, 16, 8] {
                    bits.refill();
                    let expected = (at..at + size).fold(0, |sum, bit| {
                        sum << 1 | u32::from(bytes.get(bit / 8).copied().unwrap_or(0) >> (7 - bit % 8) & 1)
                    });
                    assert_eq!(bits.take(u32::try_from(size).unwrap()), expected, "at bit {at}");
                    at += size;
                }
                let used = bits.used();
                coded.set_position(used);
            }
            assert_eq!((at, coded.is_overdrawn()), (bytes.len() * 8, false));
        }
    }

    #[test]
    fn zeros_follow_the_last_bit() {
        let mut input = Input::new(&b"\xff\0"[..]);
        let mut coded = Coded::new();
        assert!(coded.ensure_mcu(&mut input).unwrap());

        let mut bits = coded.bits();
        bits.refill();
        assert_eq!(bits.take(12), 0xff0);
        for _ in 0..100 {
            bits.refill();
            assert_eq!(bits.take(16), 0);
        }
        let used = bits.used();
        coded.set_position(used);

        assert!(coded.is_overdrawn() && !coded.ensure_mcu(&mut input).unwrap());
    }
}
