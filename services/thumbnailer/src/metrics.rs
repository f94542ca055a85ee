//! What the thumbnailer counts.

use std::time::Duration;

use heliograph_types::{ErrorCode, Failure};

const REQUESTS: &str = "heliograph_thumbnail_requests_total";
const RENDER_SECONDS: &str = "heliograph_thumbnail_render_seconds";
const QUEUED: &str = "heliograph_thumbnail_queue_depth";
const TIMEOUTS: &str = "heliograph_thumbnail_timeouts_total";
const BYTES: &str = "heliograph_thumbnail_bytes_total";

/// Says what each metric means.
pub(crate) fn describe() {
    metrics::describe_counter!(
        REQUESTS,
        "Thumbnails and descriptions asked for, by kind and result; callers that share one count once"
    );
    metrics::describe_histogram!(RENDER_SECONDS, metrics::Unit::Seconds, "Time on a worker for one picture");
    metrics::describe_gauge!(QUEUED, "Pictures that wait or are in work");
    metrics::describe_counter!(
        TIMEOUTS,
        "Callers who were sent away because what they asked for was not ready in time"
    );
    metrics::describe_counter!(BYTES, metrics::Unit::Bytes, "Bytes of files read and of thumbnails made");
}

/// One of `kind` was made, refused or found.
pub(crate) fn finished<T>(kind: &'static str, outcome: &Result<T, Failure>) {
    let result = match outcome {
        Ok(_) => "ok",
        Err(failure) => match failure.code {
            ErrorCode::CannotThumbnail => "cannot",
            ErrorCode::TooLarge | ErrorCode::RemoteTooLarge => "too_large",
            ErrorCode::NotFound => "not_found",
            ErrorCode::LimitExceeded => "saturated",
            _ => "failed",
        },
    };
    metrics::counter!(REQUESTS, "kind" => kind, "result" => result).increment(1);
}

/// Nobody waited for it any more.
pub(crate) fn abandoned(kind: &'static str) {
    metrics::counter!(REQUESTS, "kind" => kind, "result" => "abandoned").increment(1);
}

/// A caller was sent away before it was ready.
pub(crate) fn timed_out() {
    metrics::counter!(TIMEOUTS).increment(1);
}

/// A worker is through with a picture.
pub(crate) fn rendered(took: Duration) {
    metrics::histogram!(RENDER_SECONDS).record(took.as_secs_f64());
}

/// A file was read.
pub(crate) fn read(bytes: usize) {
    metrics::counter!(BYTES, "direction" => "read").increment(bytes as u64);
}

/// A thumbnail was made.
pub(crate) fn made(bytes: usize) {
    metrics::counter!(BYTES, "direction" => "made").increment(bytes as u64);
}

/// Counts as one in the queue until dropped.
#[derive(Debug)]
pub(crate) struct Queued(());

impl Queued {
    pub(crate) fn enter() -> Self {
        metrics::gauge!(QUEUED).increment(1.0);
        Self(())
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        metrics::gauge!(QUEUED).decrement(1.0);
    }
}
