//! Bytes that are collected before they are written.

use bytes::{Bytes, BytesMut};
use object_store::PutPayload;

/// Smaller pieces are copied together: each piece that is kept costs, whatever its size.
const SMALL_PIECE: usize = 8 << 10;

/// Pieces in their order; large ones are kept as they are.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    collected: Vec<Bytes>,
    /// Small pieces that come after `collected`.
    tail: BytesMut,
    size_bytes: usize,
}

impl Pieces {
    /// How many bytes there are.
    pub(crate) const fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(crate) fn push(&mut self, piece: Bytes) {
        self.size_bytes += piece.len();
        if piece.len() < SMALL_PIECE {
            self.tail.extend_from_slice(&piece);
        } else {
            self.close_tail();
            self.collected.push(piece);
        }
    }

    /// All of them; none are left.
    pub(crate) fn take(&mut self) -> PutPayload {
        self.close_tail();
        self.size_bytes = 0;
        std::mem::take(&mut self.collected).into_iter().collect()
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.collected.push(self.tail.split().freeze());
        }
    }
}
