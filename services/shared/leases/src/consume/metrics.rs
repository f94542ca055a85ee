//! What is counted of queues, by queue. Those who consume one all tell the same of how it stands.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::QueueStanding;

const LENGTH: &str = "heliograph_queue_length";
const LAG: &str = "heliograph_queue_lag";
const PENDING: &str = "heliograph_queue_pending";
const OLDEST: &str = "heliograph_queue_oldest_seconds";
const ASIDE: &str = "heliograph_queue_aside";
const JOBS: &str = "heliograph_queue_jobs_total";
const TAKEN_OVER: &str = "heliograph_queue_taken_over_total";
const REFUSED: &str = "heliograph_queue_refused_total";

/// Says what each metric means.
pub(super) fn describe() {
    describe_gauge!(LENGTH, "Jobs of the queue that are not done, in the whole cluster");
    describe_gauge!(LAG, "Jobs of the queue that nobody has taken yet");
    describe_gauge!(PENDING, "Jobs of the queue that are in work, or wait for another try");
    describe_gauge!(OLDEST, metrics::Unit::Seconds, "How long ago the oldest job that is not done was added");
    describe_gauge!(ASIDE, "Jobs that were set aside because nobody could do them");
    describe_counter!(
        JOBS,
        "Jobs that this process has taken, by result: done; retry and aside, when they failed; returned, unbegun; lost, \
         if the queue had forgotten them, given them to another, or was out of reach"
    );
    describe_counter!(TAKEN_OVER, "Jobs that were taken over from a consumer that was not heard of any more");
    describe_counter!(REFUSED, "Jobs that were not added because the queue was full");
}

/// How a queue stands.
#[expect(clippy::cast_precision_loss, reason = "queues are far shorter than 2^52")]
pub(super) fn stands(queue: &str, standing: &QueueStanding) {
    for (name, number) in
        [(LENGTH, standing.length), (LAG, standing.lag), (PENDING, standing.pending), (ASIDE, standing.aside)]
    {
        gauge!(name, "queue" => queue.to_owned()).set(number as f64);
    }
    gauge!(OLDEST, "queue" => queue.to_owned()).set(standing.oldest.as_secs_f64());
}

/// A job that was taken has ended.
pub(super) fn ended(queue: &str, result: &'static str) {
    counter!(JOBS, "queue" => queue.to_owned(), "result" => result).increment(1);
}

/// A job was another's, who is gone.
pub(super) fn taken_over(queue: &str) {
    counter!(TAKEN_OVER, "queue" => queue.to_owned()).increment(1);
}

/// There was no room for a job.
pub(super) fn refused(queue: &str) {
    counter!(REFUSED, "queue" => queue.to_owned()).increment(1);
}
