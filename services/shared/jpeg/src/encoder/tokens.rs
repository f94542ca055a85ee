//! What is to be written, before it has codes.

use super::transform::{Coefficients, WAVES};
use crate::block::ZIGZAG;

/// Tables of codes: of DC and AC, for brightness, then for color.
pub(super) const TABLES: usize = 4;
pub(super) const SYMBOLS: usize = 256;
const AC: u32 = SYMBOLS as u32;
const COLOR: u32 = 2 * SYMBOLS as u32;
const SIZE_BITS: u32 = 4;
/// Sixteen zeros.
const ZERO_RUN: u32 = 0xf0;
const END_OF_BLOCK: u32 = 0;
const LAST: u32 = 63;

/// Where a coefficient is in the zigzag, by its place in [`Coefficients`].
const PLACES: [u8; 64] = {
    let mut places = [0; 64];
    let mut index = 0;
    while index < places.len() {
        let (down, across) = (ZIGZAG[index] as usize / WAVES, ZIGZAG[index] as usize % WAVES);
        places[across * WAVES + down] = index as u8;
        index += 1;
    }
    places
};
/// The other way round.
const FROM_ZIGZAG: [u8; 64] = {
    let mut from = [0; 64];
    let mut place = 0;
    while place < from.len() {
        from[PLACES[place] as usize] = place as u8;
        place += 1;
    }
    from
};

/// A code that is to be written, and the bits behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token(u32);

impl Token {
    const BITS_FROM: u32 = 16;

    /// `symbol` counts through all tables.
    #[inline(always)]
    const fn new(symbol: u32, bits: u32) -> Self {
        Self(bits << Self::BITS_FROM | symbol)
    }

    /// Its code's place among those of all tables.
    #[inline(always)]
    pub(super) const fn symbol(self) -> usize {
        self.0 as usize % (TABLES * SYMBOLS)
    }

    /// How many bits follow the code.
    #[inline(always)]
    pub(super) const fn size(self) -> u32 {
        self.0 % (1 << SIZE_BITS)
    }

    #[inline(always)]
    pub(super) const fn bits(self) -> u32 {
        self.0 >> Self::BITS_FROM
    }
}

/// All tokens of a picture, and how often each symbol comes.
#[derive(Debug)]
pub(super) struct Tokens {
    tokens: Vec<Token>,
    counts: [u32; TABLES * SYMBOLS],
}

impl Default for Tokens {
    fn default() -> Self {
        Self { tokens: Vec::new(), counts: [0; TABLES * SYMBOLS] }
    }
}

impl Tokens {
    pub(super) fn clear(&mut self) {
        self.tokens.clear();
        self.counts.fill(0);
    }

    pub(super) fn of_component(&mut self, is_color: bool) -> BlockWriter<'_> {
        BlockWriter { tokens: self, table: if is_color { COLOR } else { 0 } }
    }

    pub(super) const fn counts(&self) -> &[u32; TABLES * SYMBOLS] {
        &self.counts
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Token> {
        self.tokens.iter().copied()
    }

    #[inline(always)]
    fn push(&mut self, token: Token) {
        self.counts[token.symbol()] += 1;
        self.tokens.push(token);
    }
}

/// Notes what is to be written of the blocks of a component.
pub(super) struct BlockWriter<'t> {
    tokens: &'t mut Tokens,
    table: u32,
}

impl BlockWriter<'_> {
    #[inline(always)]
    pub(super) fn put(&mut self, block: &Coefficients, predictor: &mut i32) {
        let dc = block.values[0][0];
        self.put_value(self.table, dc - *predictor);
        *predictor = dc;
        self.put_ac(block);
    }

    /// A block of which nothing differs from the one before, and without AC coefficients.
    #[inline(always)]
    pub(super) fn put_nothing(&mut self) {
        self.put_value(self.table, 0);
        self.put_symbol(END_OF_BLOCK);
    }

    #[inline(always)]
    fn put_ac(&mut self, block: &Coefficients) {
        let mut others = in_zigzag(block.others & !1);
        let mut next = 1;
        while others != 0 {
            let place = others.trailing_zeros();
            others &= others - 1;
            let mut run = place - next;
            while run > 15 {
                self.put_symbol(ZERO_RUN);
                run -= 16;
            }
            let value = block.values.as_flattened()[usize::from(FROM_ZIGZAG[place as usize % 64])];
            self.put_value(self.table + AC + (run << SIZE_BITS), value);
            next = place + 1;
        }
        if next <= LAST {
            self.put_symbol(END_OF_BLOCK);
        }
    }

    /// `symbol` without its size.
    #[inline(always)]
    fn put_value(&mut self, symbol: u32, value: i32) {
        let size = 32 - value.unsigned_abs().leading_zeros();
        // Negative values are written as if one less, without the bits above.
        let bits = (value + (value >> 31)).cast_unsigned() & ((1 << size) - 1);
        self.tokens.push(Token::new(symbol + size, bits));
    }

    #[inline(always)]
    fn put_symbol(&mut self, symbol: u32) {
        self.tokens.push(Token::new(self.table + AC + symbol, 0));
    }
}

/// Bits by their place in the zigzag. There are few: one by one.
#[inline(always)]
fn in_zigzag(mut others: u64) -> u64 {
    let mut zigzag = 0;
    while others != 0 {
        zigzag |= 1 << PLACES[others.trailing_zeros() as usize % 64];
        others &= others - 1;
    }
    zigzag
}
