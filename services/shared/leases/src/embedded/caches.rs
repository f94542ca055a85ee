//! Caches in memory: what was not asked for longest goes first.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use heliograph_types::Timestamp;
use lru::LruCache;

/// Values that are kept, whatever their size.
const MOST_VALUES: usize = 50_000;

/// What all keys and values may weigh together.
const MOST_BYTES: usize = 64 << 20;

/// Values until they expire or others need the room.
pub(super) struct CacheBook(Mutex<Kept>);

struct Kept {
    values: LruCache<String, (Bytes, Timestamp)>,
    bytes: usize,
}

impl Default for CacheBook {
    fn default() -> Self {
        Self(Mutex::new(Kept { values: LruCache::unbounded(), bytes: 0 }))
    }
}

impl CacheBook {
    pub(super) fn find(&self, key: &str, now: Timestamp) -> Option<Bytes> {
        let mut kept = self.kept();
        let (value, until) = kept.values.get(key)?.clone();
        if now < until {
            return Some(value);
        }
        kept.remove(key);
        None
    }

    pub(super) fn store(&self, key: &str, value: Bytes, until: Timestamp) {
        let mut kept = self.kept();
        kept.remove(key);
        kept.bytes += key.len() + value.len();
        kept.values.put(key.to_owned(), (value, until));
        while kept.bytes > MOST_BYTES || kept.values.len() > MOST_VALUES {
            kept.remove_oldest();
        }
    }

    pub(super) fn forget(&self, key: &str) {
        self.kept().remove(key);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn remove(&mut self, key: &str) {
        if let Some((value, _)) = self.values.pop(key) {
            self.bytes -= key.len() + value.len();
        }
    }

    fn remove_oldest(&mut self) {
        match self.values.pop_lru() {
            Some((key, (value, _))) => self.bytes -= key.len() + value.len(),
            None => self.bytes = 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Timestamp = Timestamp::from_millis(u64::MAX);
    const NOW: Timestamp = Timestamp::from_millis(0);

    #[test]
    fn the_bytes_are_bounded_and_the_least_used_value_goes_first() {
        let book = CacheBook::default();
        let quarter = Bytes::from(vec![0; MOST_BYTES / 4]);
        for key in ["a", "b", "c"] {
            book.store(key, quarter.clone(), NEVER);
        }

        let used = book.find("a", NOW);
        book.store("d", quarter, NEVER);

        assert!(used.is_some());
        assert!(book.find("a", NOW).is_some());
        assert!(book.find("b", NOW).is_none());
        assert!(book.kept().bytes <= MOST_BYTES);
    }

    #[test]
    fn a_value_that_is_replaced_forgotten_or_expired_weighs_nothing() {
        let book = CacheBook::default();

        book.store("a", Bytes::from_static(b"1234"), NEVER);
        book.store("a", Bytes::from_static(b"12"), NEVER);
        book.store("b", Bytes::from_static(b"1234"), NOW);
        let expired = book.find("b", NOW);
        book.forget("a");

        assert_eq!(expired, None);
        assert_eq!(book.kept().bytes, 0);
    }

    #[test]
    fn a_value_lasts_exactly_its_time() {
        let book = CacheBook::default();
        book.store("a", Bytes::from_static(b"1"), Timestamp::from_millis(300));

        assert!(book.find("a", Timestamp::from_millis(299)).is_some());
        assert!(book.find("a", Timestamp::from_millis(300)).is_none());
    }

    #[test]
    fn the_number_of_values_is_bounded() {
        let book = CacheBook::default();

        for n in 0..MOST_VALUES + 5 {
            book.store(&n.to_string(), Bytes::new(), NEVER);
        }

        assert_eq!(book.kept().values.len(), MOST_VALUES);
    }
}
