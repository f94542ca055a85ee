//! What is counted of the files in memory. Looked up once: this is on the path of every download.

use metrics::{Counter, Gauge, counter, gauge};

use super::Files;

pub(super) struct Meters {
    found: Counter,
    missing: Counter,
    evicted: Counter,
    files: Gauge,
    bytes: Gauge,
}

impl Meters {
    pub(super) fn new() -> Self {
        Self {
            found: counter!("heliograph_hot_files_found_total"),
            missing: counter!("heliograph_hot_files_missing_total"),
            evicted: counter!("heliograph_hot_files_evicted_total"),
            files: gauge!("heliograph_hot_files"),
            bytes: gauge!("heliograph_hot_files_bytes"),
        }
    }

    /// Somebody asked for one.
    pub(super) fn asked(&self, is_found: bool) {
        if is_found { &self.found } else { &self.missing }.increment(1);
    }

    /// One went to make room.
    pub(super) fn evicted(&self) {
        self.evicted.increment(1);
    }

    /// So much is held now.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub(super) fn holds(&self, Files { by_key, bytes }: &Files) {
        self.files.set(by_key.len() as f64);
        self.bytes.set(*bytes as f64);
    }
}
