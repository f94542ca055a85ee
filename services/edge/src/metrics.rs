//! Every metric of this service; requests themselves are counted by the runtime.

use metrics::{counter, gauge};

/// How something was read: `hit` (our copy), `miss` (the core's, kept), `passed` (the core's, not
/// kept) or `unchanged` (the client has it).
pub(crate) fn read(outcome: &'static str) {
    counter!("heliograph_edge_reads_total", "outcome" => outcome).increment(1);
}

/// Bytes of content went to clients; `source` is `cache` or `upstream`.
pub(crate) fn sent(source: &'static str, bytes: usize) {
    counter!("heliograph_edge_read_bytes_total", "source" => source).increment(bytes as u64);
}

/// What the cache holds now.
pub(crate) fn cache(files: usize, bytes: u64) {
    gauge!("heliograph_edge_cached_files").set(count(files as u64));
    gauge!("heliograph_edge_cached_bytes").set(count(bytes));
}

/// A copy made room for another.
pub(crate) fn evicted() {
    counter!("heliograph_edge_evicted_total").increment(1);
}

/// A copy was not kept, or not used: `short`, `digest`, `disk`, `room` or `damaged`.
pub(crate) fn not_kept(reason: &'static str) {
    counter!("heliograph_edge_not_kept_total", "reason" => reason).increment(1);
}

/// An upload ended; `way` is `bucket` or `core`.
pub(crate) fn uploaded(way: &'static str, bytes: u64) {
    counter!("heliograph_edge_uploads_total", "way" => way).increment(1);
    counter!("heliograph_edge_upload_bytes_total", "way" => way).increment(bytes);
}

/// The core, or the bucket, did not answer.
pub(crate) fn unreachable() {
    counter!("heliograph_edge_upstream_failures_total").increment(1);
}

/// A limit of the edge struck.
pub(crate) fn limited(limit: &'static str) {
    counter!("heliograph_edge_limited_total", "limit" => limit).increment(1);
}

/// Metrics are floating-point numbers.
#[expect(clippy::cast_precision_loss, reason = "nobody reads the last of sixteen digits")]
const fn count(number: u64) -> f64 {
    number as f64
}
