//! Small files that are asked for often, in memory, within a fixed number of bytes.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use lru::LruCache;

/// What an entry costs beside its bytes.
const OVERHEAD: usize = 256;

/// The least recently used go first.
pub(crate) struct HotFiles {
    most_bytes: usize,
    most_file_bytes: u64,
    files: Mutex<Files>,
}

struct Files {
    by_key: LruCache<String, Bytes>,
    bytes: usize,
}

impl HotFiles {
    pub(crate) fn new(most_bytes: u64, most_file_bytes: u64) -> Self {
        Self {
            most_bytes: usize::try_from(most_bytes).unwrap_or(usize::MAX),
            most_file_bytes: most_file_bytes.min(most_bytes),
            files: Mutex::new(Files { by_key: LruCache::unbounded(), bytes: 0 }),
        }
    }

    /// Whether a file of this size is kept.
    pub(crate) const fn takes(&self, size_bytes: u64) -> bool {
        size_bytes <= self.most_file_bytes
    }

    pub(crate) fn find(&self, key: &str) -> Option<Bytes> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).by_key.get(key).cloned()
    }

    /// Forgets all whose keys begin so.
    pub(crate) fn forget(&self, prefix: &str) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = files.by_key.iter().map(|(key, _)| key).filter(|key| key.starts_with(prefix));
        for key in keys.cloned().collect::<Vec<_>>() {
            if let Some(forgotten) = files.by_key.pop(&key) {
                files.bytes -= forgotten.len() + OVERHEAD;
            }
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.by_key.clear();
        files.bytes = 0;
    }

    pub(crate) fn keep(&self, key: &str, content: Bytes) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.bytes += content.len() + OVERHEAD;
        if let Some(replaced) = files.by_key.put(key.to_owned(), content) {
            files.bytes -= replaced.len() + OVERHEAD;
        }
        while files.bytes > self.most_bytes {
            let Some((_, oldest)) = files.by_key.pop_lru() else { break };
            files.bytes -= oldest.len() + OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_kept_stay_within_the_limit_and_the_oldest_go() {
        let hot = HotFiles::new(10_000, 4_000);
        let file = || Bytes::from(vec![0; 3_000]);

        for key in ["a", "b", "c"] {
            hot.keep(key, file());
        }
        hot.keep("c", file());
        assert!(hot.find("a").is_some());
        hot.keep("d", file());

        assert!(hot.find("b").is_none());
        assert!(hot.find("a").is_some() && hot.find("c").is_some() && hot.find("d").is_some());
        assert!(!hot.takes(4_001));

        hot.forget("a");
        assert!(hot.find("a").is_none() && hot.find("c").is_some());
        hot.clear();
        assert!(hot.find("c").is_none());
    }
}
