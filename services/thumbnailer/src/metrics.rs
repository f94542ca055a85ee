//! What the thumbnailer counts.

use std::time::Duration;

use heliograph_jail::Reason;
use heliograph_types::{ErrorCode, Failure};

use crate::{bench::wire::Outcome, error::Refusal};

const REQUESTS: &str = "heliograph_thumbnail_requests_total";
const RENDER_SECONDS: &str = "heliograph_thumbnail_render_seconds";
const QUEUED: &str = "heliograph_thumbnail_queue_depth";
const TIMEOUTS: &str = "heliograph_thumbnail_timeouts_total";
const REFUSALS: &str = "heliograph_thumbnail_refusals_total";
const TURNS: &str = "heliograph_thumbnail_turns_total";
const PREMADE: &str = "heliograph_thumbnail_premade_total";
const JOBS: &str = "heliograph_thumbnail_jobs_total";
const WORKERS_LOST: &str = "heliograph_thumbnail_workers_lost_total";
const WAIT_SECONDS: &str = "heliograph_thumbnail_wait_seconds";
const READ_SECONDS: &str = "heliograph_thumbnail_read_seconds";
const STORE_SECONDS: &str = "heliograph_thumbnail_store_seconds";
const ADMITTED: &str = "heliograph_thumbnail_admitted_memory_bytes";
const BYTES: &str = "heliograph_thumbnail_bytes_total";

/// Says what each metric means.
pub(crate) fn describe() {
    metrics::describe_counter!(
        REQUESTS,
        "Thumbnails and descriptions asked for, by kind and result; callers that share one count once"
    );
    metrics::describe_histogram!(
        RENDER_SECONDS,
        metrics::Unit::Seconds,
        "Time on the processor that a worker took for one job"
    );
    metrics::describe_counter!(
        JOBS,
        "Jobs that went to workers, by kind (look: the header alone) and result; lost: it cost the worker"
    );
    metrics::describe_counter!(WORKERS_LOST, "Workers that ended otherwise than by our wish, by reason");
    metrics::describe_histogram!(
        WAIT_SECONDS,
        metrics::Unit::Seconds,
        "How long a job has waited for a worker, and for memory"
    );
    metrics::describe_histogram!(
        READ_SECONDS,
        metrics::Unit::Seconds,
        "How long it takes until a picture is there to be worked on: read from the store into memory"
    );
    metrics::describe_histogram!(
        STORE_SECONDS,
        metrics::Unit::Seconds,
        "How long it takes until what was made of a picture is stored"
    );
    metrics::describe_gauge!(ADMITTED, metrics::Unit::Bytes, "Memory that jobs in work are estimated to take");
    metrics::describe_gauge!(QUEUED, "Pictures that wait or are in work");
    metrics::describe_counter!(
        TIMEOUTS,
        "Callers who were sent away because what they asked for was not ready in time"
    );
    metrics::describe_counter!(
        REFUSALS,
        "Files of which nothing could be made, by reason; remembered ones do not count"
    );
    metrics::describe_counter!(
        TURNS,
        "Turns at making what was not stored, in a cluster: ours; theirs, and then found, ours or impatient, which is \
         made twice"
    );
    metrics::describe_counter!(
        PREMADE,
        "Tries to make thumbnails of new pictures beforehand, by result: done; refused, by the fault of the picture; \
         gone, if nobody may see it any more; failed, which is tried again"
    );
    metrics::describe_counter!(BYTES, metrics::Unit::Bytes, "Bytes of files read and of thumbnails made");
}

/// Nothing could be made of a file, for this reason.
pub(crate) fn refused(reason: &'static str) {
    metrics::counter!(REFUSALS, "reason" => reason).increment(1);
}

/// It was decided in the cluster who makes a thumbnail.
pub(crate) fn took_turn(result: &'static str) {
    metrics::counter!(TURNS, "result" => result).increment(1);
}

/// What came of a new picture.
pub(crate) fn premade(result: &'static str) {
    metrics::counter!(PREMADE, "result" => result).increment(1);
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

/// A worker has answered, or not.
pub(crate) fn job_ended(kind: &'static str, outcome: &Result<Outcome, Refusal>) {
    let result = match outcome {
        Ok(Outcome::Looked(_) | Outcome::Worked(..)) => "ok",
        Ok(Outcome::Failed(_)) => "cannot",
        Err(Refusal::Abandoned) => "abandoned",
        Err(_) => "lost",
    };
    metrics::counter!(JOBS, "kind" => kind, "result" => result).increment(1);
}

/// A worker is gone.
pub(crate) fn worker_lost(reason: Reason) {
    metrics::counter!(WORKERS_LOST, "reason" => reason.label()).increment(1);
}

/// A job begins.
#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
pub(crate) fn admitted(bytes: u64, waited: Duration) {
    metrics::histogram!(WAIT_SECONDS).record(waited.as_secs_f64());
    metrics::gauge!(ADMITTED).increment(bytes as f64);
}

/// A job has ended.
#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
pub(crate) fn released(bytes: u64) {
    metrics::gauge!(ADMITTED).decrement(bytes as f64);
}

/// A worker is through with a picture.
pub(crate) fn rendered(took: Duration) {
    metrics::histogram!(RENDER_SECONDS).record(took.as_secs_f64());
}

/// A file was read.
pub(crate) fn read(bytes: u64, took: Duration) {
    metrics::histogram!(READ_SECONDS).record(took.as_secs_f64());
    metrics::counter!(BYTES, "direction" => "read").increment(bytes);
}

/// What was made of a picture is stored, or was tried to.
pub(crate) fn stored(took: Duration) {
    metrics::histogram!(STORE_SECONDS).record(took.as_secs_f64());
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
