//! How much is read at once: little for most, more for who takes it fast.
//!
//! Large pieces cost the kernel less. But what a slow client has not taken waits in memory: it gets
//! small ones.

use std::time::{Duration, Instant};

/// So many bytes tell how fast a client is: more than what lies on the way to one that reads none.
const WINDOW_BYTES: u64 = 16 << 20;
/// Who takes them within this time is fast: a gigabit and more.
const FAST: Duration = Duration::from_millis(125);
/// How much larger the pieces of fast ones are.
const LARGER: usize = 8;

pub(super) struct Pace {
    small_bytes: usize,
    began_at: Instant,
    /// Bytes of this window.
    taken: u64,
    is_fast: bool,
}

impl Pace {
    pub(super) const fn new(small_bytes: usize, now: Instant) -> Self {
        Self { small_bytes, began_at: now, taken: 0, is_fast: false }
    }

    /// How much to read next.
    pub(super) const fn piece_bytes(&self) -> usize {
        if self.is_fast { self.small_bytes.saturating_mul(LARGER) } else { self.small_bytes }
    }

    /// So many bytes are wanted after all before them were taken.
    pub(super) fn take(&mut self, bytes: u64, now: impl FnOnce() -> Instant) {
        self.taken += bytes;
        if self.taken < WINDOW_BYTES {
            return;
        }
        let now = now();
        self.is_fast = now.duration_since(self.began_at) <= FAST;
        (self.began_at, self.taken) = (now, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_taken_much_in_little_time_gets_large_pieces_and_as_long_as_that_goes_on() {
        let began = Instant::now();
        let mut pace = Pace::new(100, began);
        assert_eq!(pace.piece_bytes(), 100);

        pace.take(WINDOW_BYTES - 1, || began);
        assert_eq!(pace.piece_bytes(), 100, "nobody knows yet");
        pace.take(1, || began + FAST);
        assert_eq!(pace.piece_bytes(), 800);
        pace.take(WINDOW_BYTES, || began + 2 * FAST);
        assert_eq!(pace.piece_bytes(), 800);
        pace.take(WINDOW_BYTES, || began + 4 * FAST);
        assert_eq!(pace.piece_bytes(), 100, "it has become slow");
    }
}
