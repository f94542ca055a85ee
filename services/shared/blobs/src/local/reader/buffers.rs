//! Buffers that are used again.
//!
//! The HTTP server copies a piece into its own buffer at once, on the same thread: a few buffers
//! per thread are enough for all downloads, and stay in the cache of the processor.

use std::{cell::RefCell, mem};

use bytes::Bytes;

/// So many are kept per thread.
const KEPT: usize = 4;
/// A larger one is not kept.
const LARGEST: usize = 1 << 20;

thread_local! {
    static SPARE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Room for bytes. It comes back when it is dropped, to the thread where that happens.
pub(super) struct Buffer {
    room: Box<[u8]>,
    filled: usize,
}

impl Buffer {
    /// Room for so many bytes, with anything in it.
    pub(super) fn take(length: usize) -> Self {
        let spare = SPARE.with_borrow_mut(|spare| {
            let fits = spare.iter().position(|room| room.len() == length);
            fits.map(|at| spare.swap_remove(at))
        });
        Self { room: spare.unwrap_or_else(|| vec![0; length].into()), filled: 0 }
    }

    /// Where to write.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.room
    }

    /// The first `filled` bytes of it; none of what was there before is seen.
    pub(super) fn into_bytes(mut self, filled: usize) -> Bytes {
        self.filled = filled.min(self.room.len());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.room[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let room = mem::take(&mut self.room);
        if room.len() > LARGEST {
            return;
        }
        // While a thread ends, there is nothing to give it back to.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() == KEPT {
                spare.remove(0);
            }
            spare.push(room);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_used_again_and_what_was_there_is_not_seen() {
        let mut first = Buffer::take(8);
        first.room().copy_from_slice(b"a secret");
        let place = first.room().as_ptr();
        drop(first.into_bytes(8));

        let mut second = Buffer::take(8);
        second.room()[..2].copy_from_slice(b"ok");

        assert_eq!(second.room().as_ptr(), place);
        assert_eq!(second.into_bytes(2), "ok");
    }

    #[test]
    fn a_thread_keeps_few_and_a_piece_outlives_others() {
        let held = Buffer::take(16).into_bytes(16);
        let many: Vec<Bytes> = (0..10).map(|n| Buffer::take(n + 1).into_bytes(1)).collect();
        drop(many);

        assert_eq!(SPARE.with_borrow(Vec::len), KEPT);
        assert_eq!(held.len(), 16);
    }
}
