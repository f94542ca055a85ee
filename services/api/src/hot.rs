//! Small files that are asked for often, in memory, within a fixed number of bytes.

mod meters;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use lru::LruCache;

use self::meters::Meters;
use crate::picture::Picture;

/// What an entry costs beside its bytes: itself, its key, its places in the list and the map.
const OVERHEAD: usize = 512;

/// A small file, and what was learned of it.
#[derive(Debug)]
pub(crate) struct HotFile {
    pub(crate) content: Bytes,
    picture: OnceLock<Option<Arc<Picture>>>,
}

impl HotFile {
    pub(crate) fn new(content: Bytes) -> Self {
        Self { content, picture: OnceLock::new() }
    }

    /// The thumbnail that it is, if it is one.
    pub(crate) fn picture(&self) -> Option<Arc<Picture>> {
        self.picture.get_or_init(|| Picture::read(self.content.clone()).map(Arc::new)).clone()
    }

    fn cost(&self) -> usize {
        self.content.len() + OVERHEAD
    }
}

/// The least recently used go first.
pub(crate) struct HotFiles {
    most_bytes: usize,
    most_file_bytes: u64,
    files: Mutex<Files>,
    meters: Meters,
}

struct Files {
    by_key: LruCache<String, Arc<HotFile>>,
    bytes: usize,
}

impl HotFiles {
    pub(crate) fn new(most_bytes: u64, most_file_bytes: u64) -> Self {
        Self {
            most_bytes: usize::try_from(most_bytes).unwrap_or(usize::MAX),
            most_file_bytes: most_file_bytes.min(most_bytes),
            files: Mutex::new(Files { by_key: LruCache::unbounded(), bytes: 0 }),
            meters: Meters::new(),
        }
    }

    /// Whether a file of this size is kept.
    pub(crate) const fn takes(&self, size_bytes: u64) -> bool {
        size_bytes <= self.most_file_bytes
    }

    pub(crate) fn find(&self, key: &str) -> Option<Arc<HotFile>> {
        let found = self.files().by_key.get(key).cloned();
        self.meters.asked(found.is_some());
        found
    }

    /// Forgets all whose keys begin so.
    pub(crate) fn forget(&self, prefix: &str) {
        let mut files = self.files();
        let keys = files.by_key.iter().map(|(key, _)| key).filter(|key| key.starts_with(prefix));
        for key in keys.cloned().collect::<Vec<_>>() {
            if let Some(forgotten) = files.by_key.pop(&key) {
                files.bytes -= forgotten.cost();
            }
        }
        self.meters.holds(&files);
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        let mut files = self.files();
        files.by_key.clear();
        files.bytes = 0;
        self.meters.holds(&files);
    }

    pub(crate) fn keep(&self, key: &str, file: Arc<HotFile>) {
        let mut files = self.files();
        files.bytes += file.cost();
        if let Some(replaced) = files.by_key.put(key.to_owned(), file) {
            files.bytes -= replaced.cost();
        }
        while files.bytes > self.most_bytes {
            let Some((_, oldest)) = files.by_key.pop_lru() else { break };
            files.bytes -= oldest.cost();
            self.meters.evicted();
        }
        self.meters.holds(&files);
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    fn file() -> Arc<HotFile> {
        Arc::new(HotFile::new(Bytes::from(vec![0; 2_700])))
    }

    #[test]
    fn the_bytes_kept_stay_within_the_limit_and_the_oldest_go() {
        let hot = HotFiles::new(10_000, 4_000);

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

    #[test]
    fn what_the_memory_is_good_for_can_be_read() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let hot = metrics::with_local_recorder(&recorder, || HotFiles::new(5_000, 4_000));

        hot.find("a");
        hot.keep("a", file());
        hot.find("a");
        hot.find("a");
        hot.keep("b", file());

        let text = recorder.handle().render();
        for line in [
            "heliograph_hot_files_found_total 2",
            "heliograph_hot_files_missing_total 1",
            "heliograph_hot_files_evicted_total 1",
            "heliograph_hot_files 1",
            "heliograph_hot_files_bytes 3212",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is missing in {text}");
        }
    }

    #[test]
    fn what_is_no_picture_is_found_to_be_none() {
        let picture = HotFile::new(Bytes::from_static(b"\xff\xd8\xff\xe0"));

        assert!(file().picture().is_none());
        assert!(Arc::ptr_eq(&picture.picture().unwrap(), &picture.picture().unwrap()), "it is read once");
    }
}
