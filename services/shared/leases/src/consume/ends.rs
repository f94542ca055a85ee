//! How a job ends: done, tried again, or set aside.

use std::{sync::Arc, time::Duration};

use super::{Worked, Worker, metrics, topic};
use crate::{Again, Consumer, Job, JobId, State, StateError};

/// Of a longer reason the rest is not kept.
const MOST_REASON_BYTES: usize = 1000;

/// Whether the work goes well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    Failed,
}

/// What is told the queue. Nothing that cannot be told stops us: whoever does not hear of a job any
/// more takes it, and finds it done, or does it again.
pub(super) struct Ends {
    pub(super) state: State,
    pub(super) consumer: Consumer,
    pub(super) worker: Arc<dyn Worker>,
    pub(super) tries: u64,
    pub(super) most_aside: u64,
}

impl Ends {
    pub(super) async fn take(&self, most: usize) -> Result<Vec<Job>, StateError> {
        let jobs = self.state.take_jobs(&self.consumer, most).await?;
        for job in jobs.iter().filter(|job| job.taken_over) {
            tracing::info!(queue = self.consumer.queue, job = job.task, "taken over from a consumer that is gone");
            metrics::taken_over(&self.consumer.queue);
        }
        Ok(jobs)
    }

    /// Does a job, and ends it.
    pub(super) async fn see_to(&self, job: &Job) -> Fate {
        if job.tries > self.tries {
            let reason =
                format!("it was begun {} times, and each time its worker was not heard of any more", self.tries);
            return self.set_aside(job, &reason).await;
        }
        match self.worker.work(&job.task).await {
            Worked::Done => self.finish(job).await,
            Worked::Failed(reason) => self.fail(job, &reason).await,
        }
    }

    async fn finish(&self, job: &Job) -> Fate {
        let finished = self.state.finish_job(&self.consumer.queue, &job.id).await;
        self.told("done", job, finished);
        Fate::Done
    }

    /// Leaves a job for another try, if it has one left.
    pub(super) async fn fail(&self, job: &Job, reason: &str) -> Fate {
        if job.tries >= self.tries {
            return self.set_aside(job, reason).await;
        }
        tracing::debug!(queue = self.consumer.queue, job = job.task, tries = job.tries, reason, "a job failed");
        self.leave(job, Again::Later).await;
        Fate::Failed
    }

    async fn set_aside(&self, job: &Job, reason: &str) -> Fate {
        let reason = shortened(reason);
        tracing::warn!(queue = self.consumer.queue, job = job.task, tries = job.tries, reason, "a job is set aside");
        let told = self.state.set_job_aside(&self.consumer, &job.id, reason, self.most_aside).await;
        self.told("aside", job, told);
        Fate::Failed
    }

    /// Gives a job back.
    pub(super) async fn leave(&self, job: &Job, again: Again) {
        let result = match again {
            Again::Unbegun => "returned",
            Again::Later => "retry",
        };
        self.told(result, job, self.state.give_job_back(&self.consumer, &job.id, again).await);
    }

    /// Gives back what was taken and not begun.
    pub(super) async fn give_back(&self, jobs: &[Job]) {
        for job in jobs {
            self.leave(job, Again::Unbegun).await;
        }
        if !jobs.is_empty() {
            // Who does not hear it looks in a while.
            drop(self.state.publish(&topic(&self.consumer.queue), "returned").await);
        }
    }

    fn told(&self, result: &'static str, job: &Job, outcome: Result<bool, StateError>) {
        let queue = &self.consumer.queue;
        match outcome {
            Ok(true) => metrics::ended(queue, result),
            Ok(false) => metrics::ended(queue, "lost"),
            Err(error) => {
                tracing::debug!(queue, job = job.task, %error, "how a job ended could not be told");
                metrics::ended(queue, "lost");
            }
        }
    }

    /// Says that jobs are in work.
    pub(super) async fn hold(&self, ids: &[JobId]) {
        if let Err(error) = self.state.hold_jobs(&self.consumer, ids).await {
            tracing::debug!(queue = self.consumer.queue, %error, "jobs in work may be taken over");
        }
    }

    /// Measures the queue, and forgets consumers that are gone.
    pub(super) async fn report(&self, forget_after: Duration) {
        let queue = &self.consumer.queue;
        match self.state.measure_queue(queue).await {
            Ok(standing) => metrics::stands(queue, &standing),
            Err(error) => tracing::debug!(queue, %error, "the queue cannot be measured"),
        }
        // Next time, if not now.
        drop(self.state.forget_consumers(queue, forget_after).await);
    }
}

fn shortened(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MOST_REASON_BYTES)]
}
