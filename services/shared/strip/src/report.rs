//! What was done with a file.

use metrics::counter;

use crate::Kind;

/// What was done with a file that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// What it is, if it is of a format that was to be looked at.
    pub kind: Option<Kind>,
    /// Bytes of metadata that were removed or overwritten.
    pub removed_bytes: u64,
    /// Whether its structure broke, and what came after was passed on as it was.
    pub is_broken: bool,
}

impl Report {
    /// Counts it in the metrics.
    pub fn count(&self) {
        let Some(kind) = self.kind.map(Kind::media_type) else { return };
        if self.removed_bytes > 0 {
            counter!("heliograph_upload_metadata_stripped_total", "type" => kind).increment(1);
            counter!("heliograph_upload_metadata_stripped_bytes_total", "type" => kind).increment(self.removed_bytes);
        }
        if self.is_broken {
            counter!("heliograph_upload_metadata_unreadable_total", "type" => kind).increment(1);
            tracing::info!(kind, "a broken picture is stored with what metadata it may have");
        }
    }
}
