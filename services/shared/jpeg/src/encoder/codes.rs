//! Huffman codes that suit how often each symbol comes.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::tokens::{SYMBOLS, TABLES};

const MOST_BITS: usize = 16;
/// Each symbol, and one that never comes: its code would be all ones, which the standard forbids.
const LEAVES: usize = SYMBOLS + 1;

/// A code, and how many bits it has; none if its symbol never comes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Code {
    pub(super) bits: u16,
    pub(super) length: u8,
}

/// Codes of one table.
#[derive(Debug)]
pub(super) struct Table {
    /// How many there are of each length, from 1 bit on.
    pub(super) counts: [u8; MOST_BITS],
    /// By code.
    pub(super) symbols: Vec<u8>,
}

/// All tables of a picture.
pub(super) struct Codes {
    pub(super) tables: Vec<Table>,
    by_symbol: Box<[Code; TABLES * SYMBOLS]>,
}

impl Codes {
    /// Those for `counts`.
    pub(super) fn suiting(counts: &[u32; TABLES * SYMBOLS], has_color: bool) -> Self {
        let used = if has_color { TABLES } else { TABLES / 2 };
        let tables: Vec<Table> = counts.as_chunks().0.iter().take(used).map(Table::suiting).collect();
        let mut by_symbol = Box::new([Code::default(); TABLES * SYMBOLS]);
        for (table, codes) in tables.iter().zip(by_symbol.chunks_exact_mut(SYMBOLS)) {
            for (symbol, code) in table.codes() {
                codes[usize::from(symbol)] = code;
            }
        }
        Self { tables, by_symbol }
    }

    /// `symbol` counts through all tables.
    #[inline(always)]
    pub(super) const fn of(&self, symbol: usize) -> Code {
        self.by_symbol[symbol % (TABLES * SYMBOLS)]
    }
}

impl Table {
    fn suiting(counts: &[u32; SYMBOLS]) -> Self {
        let lengths = tree_lengths(counts);
        let mut of_length = [0_u32; LEAVES];
        lengths.iter().filter(|length| **length > 0).for_each(|length| of_length[*length] += 1);
        limit(&mut of_length);
        // The longest code is that of the symbol that never comes.
        if let Some(longest) = of_length.iter_mut().rfind(|count| **count > 0) {
            *longest -= 1;
        }
        let mut symbols: Vec<u8> = (0..=u8::MAX).filter(|symbol| lengths[usize::from(*symbol)] > 0).collect();
        symbols.sort_by_key(|symbol| lengths[usize::from(*symbol)]);
        Self { counts: std::array::from_fn(|index| of_length[index + 1] as u8), symbols }
    }

    /// Each symbol with its code: codes of a length follow each other.
    fn codes(&self) -> impl Iterator<Item = (u8, Code)> {
        let lengths = (1..).zip(self.counts).flat_map(|(length, count)| std::iter::repeat_n(length, count.into()));
        let codes = lengths.scan((0_u32, 0_u8), |(next, before), length| {
            let bits = *next << (length - *before);
            (*next, *before) = (bits + 1, length);
            Some(Code { bits: bits as u16, length })
        });
        self.symbols.iter().copied().zip(codes)
    }
}

/// The length of each code in Huffman's tree: the two rarest become one, until one is left.
fn tree_lengths(counts: &[u32; SYMBOLS]) -> [usize; LEAVES] {
    let of_leaf = |leaf: usize| counts.get(leaf).map_or(1, |count| u64::from(*count));
    // Of equal ones the later first, so that the code of the one that never comes is the longest.
    let mut rarest: BinaryHeap<Reverse<(u64, Reverse<usize>)>> =
        (0..LEAVES).map(|leaf| Reverse((of_leaf(leaf), Reverse(leaf)))).filter(|entry| entry.0.0 > 0).collect();
    let mut parents = [0; 2 * LEAVES];
    let mut node = LEAVES;
    while let (Some(Reverse(first)), Some(Reverse(second))) = (rarest.pop(), rarest.pop()) {
        parents[first.1.0] = node;
        parents[second.1.0] = node;
        rarest.push(Reverse((first.0 + second.0, Reverse(node))));
        node += 1;
    }
    // Parents come after their children: from the root down, each length is known when it is needed.
    let mut lengths = [0; 2 * LEAVES];
    for child in (0..node.saturating_sub(1)).rev().filter(|child| parents[*child] > 0) {
        lengths[child] = lengths[parents[child]] + 1;
    }
    std::array::from_fn(|leaf| lengths[leaf])
}

/// Makes codes of more than sixteen bits shorter, at the cost of some that have fewer, as the
/// standard's annex K does it.
fn limit(of_length: &mut [u32; LEAVES]) {
    for length in (MOST_BITS + 1..LEAVES).rev() {
        while of_length[length] > 0 {
            let Some(shorter) = (1..length - 1).rfind(|shorter| of_length[*shorter] > 0) else { return };
            // Of a pair one takes the place of both; the other is put beside one that is shorter.
            of_length[length] -= 2;
            of_length[length - 1] += 1;
            of_length[shorter + 1] += 2;
            of_length[shorter] -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Fibonacci's numbers make the deepest trees.
    fn fibonacci(symbols: usize) -> [u32; SYMBOLS] {
        let (mut counts, mut pair) = ([0; SYMBOLS], (1_u32, 1_u32));
        for count in counts.iter_mut().take(symbols) {
            *count = pair.0;
            pair = (pair.1, pair.0 + pair.1);
        }
        counts
    }

    fn assert_sound(counts: &[u32; SYMBOLS]) {
        let table = Table::suiting(counts);
        let codes: Vec<(u8, Code)> = table.codes().collect();

        let mut symbols: Vec<u8> = codes.iter().map(|(symbol, _)| *symbol).collect();
        symbols.sort_unstable();
        let used: Vec<u8> = (0..=u8::MAX).filter(|symbol| counts[usize::from(*symbol)] > 0).collect();
        assert_eq!(symbols, used);
        for (index, (_, code)) in codes.iter().enumerate() {
            assert!((1..=16).contains(&code.length));
            assert!(u32::from(code.bits) < (1 << code.length) - 1, "all ones: {code:?}");
            for (_, other) in &codes[index + 1..] {
                assert!(other.bits >> (other.length - code.length) != code.bits, "{code:?} begins {other:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_code_begins_another_and_none_is_all_ones(
            counts in prop::collection::vec((any::<u8>(), 1_u32..2_000_000), 0..256),
        ) {
            let mut by_symbol = [0; SYMBOLS];
            for (symbol, count) in counts {
                by_symbol[usize::from(symbol)] = count;
            }
            assert_sound(&by_symbol);
        }
    }

    #[test]
    fn codes_that_would_be_too_long_are_made_shorter() {
        for symbols in [1, 2, 15, 16, 17, 30, 40] {
            assert_sound(&fibonacci(symbols));
        }
        assert_sound(&[1; SYMBOLS]);
    }

    #[test]
    fn what_is_frequent_is_short() {
        let mut counts = [0; SYMBOLS];
        (counts[7], counts[9], counts[200]) = (1000, 10, 3);

        let table = Table::suiting(&counts);

        assert_eq!((table.symbols, &table.counts[..4]), (vec![7, 9, 200], &[1, 1, 1, 0][..]));
    }
}
