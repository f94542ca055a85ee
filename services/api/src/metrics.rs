//! Every metric of this service; requests themselves are counted by the runtime.

use std::time::Duration;

use metrics::{counter, histogram};

/// A phase of an upload is over: `admit` (may it be, and where to), `receive` (its bytes), `store` (until they
/// are durable), `commit` (until the id means them).
pub(crate) fn upload_phase(phase: &'static str, took: Duration) {
    histogram!("heliograph_upload_phase_seconds", "phase" => phase).record(took);
}

/// Somebody was sent to where the bytes are.
pub(crate) fn redirected(target: &'static str) {
    counter!("heliograph_redirects_total", "target" => target).increment(1);
}

/// Somebody got the bytes although redirects are on.
pub(crate) fn not_redirected(reason: &'static str) {
    counter!("heliograph_redirects_not_made_total", "reason" => reason).increment(1);
}

/// Reads of copies of remote media were written down.
pub(crate) fn reads_written(count: u64) {
    counter!("heliograph_remote_reads_written_total").increment(count);
}

/// A read of a copy was not noted: too many others were.
pub(crate) fn read_forgotten() {
    counter!("heliograph_remote_reads_forgotten_total").increment(1);
}

/// Thumbnails of a new picture are not made before somebody asks: the queue is `full` or `unreachable`, or
/// we are `busy` with others that it does not take.
pub(crate) fn premake_dropped(reason: &'static str) {
    counter!("heliograph_premake_dropped_total", "reason" => reason).increment(1);
}

/// A limit of the front struck.
pub(crate) fn limited(limit: &'static str) {
    counter!("heliograph_api_limited_total", "limit" => limit).increment(1);
}
