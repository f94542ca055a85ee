//! Jobs that wait for whoever of the cluster has room.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use crate::StateError;

/// The group of consumers of every queue, by which others find it: such as an autoscaler that
/// looks at the lag of the stream.
pub const CONSUMER_GROUP: &str = "heliograph";

/// Names a job within its queue; grows with the time at which it was added. Opaque to others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId {
    /// When it was added, in ms since 1970.
    at: u64,
    /// Tells it from others of the same ms.
    number: u64,
}

impl JobId {
    pub(crate) const fn new(at: u64, number: u64) -> Self {
        Self { at, number }
    }

    /// When it was added, in ms since 1970, by the clock of the back end.
    pub const fn added_at(&self) -> u64 {
        self.at
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.number)
    }
}

/// A text that names no job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a job")]
pub struct InvalidJobId;

impl std::str::FromStr for JobId {
    type Err = InvalidJobId;

    fn from_str(text: &str) -> Result<Self, InvalidJobId> {
        let (at, number) = text.split_once('-').ok_or(InvalidJobId)?;
        let read = |digits: &str| {
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten().ok_or(InvalidJobId)
        };
        Ok(Self { at: read(at)?, number: read(number)? })
    }
}

/// Who takes jobs of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// The queue.
    pub queue: String,
    /// Tells it from every other consumer, also from those before a restart; not empty.
    pub name: String,
    /// A job of which its holder says nothing for this long is anybody's. The same for all who
    /// take jobs of a queue.
    pub unheard_for: Duration,
}

/// A job that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Names it.
    pub id: JobId,
    /// What is to be done, as it was added.
    pub task: String,
    /// How often it was taken, this time included, and not counting those times that it was given
    /// back unbegun.
    pub tries: u64,
    /// Whether its last holder was not heard of any more: it died, or hung.
    pub taken_over: bool,
}

/// When a job that is given back can be taken again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// At once, and as if it had not been taken: it was not begun.
    Unbegun,
    /// After `unheard_for`: what was in its way may be over then.
    Later,
}

/// How a queue stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStanding {
    /// Jobs that are not done: those that wait and those that were taken.
    pub length: u64,
    /// Jobs that nobody has taken yet.
    pub lag: u64,
    /// Jobs that were taken and are not done; those that were given back among them.
    pub pending: u64,
    /// How long ago the oldest job was added; zero without one.
    pub oldest: Duration,
    /// Jobs that were set aside.
    pub aside: u64,
}

/// A job that nobody could do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobAside {
    /// Names it among those that were set aside. Its time is that at which this was done.
    pub id: JobId,
    /// What was to be done.
    pub task: String,
    /// Why it was not.
    pub reason: String,
    /// How often it was tried.
    pub tries: u64,
}

/// Keeps queues, shared by all instances.
///
/// A job that is taken stays in the queue until it is done: if its holder dies, another takes it
/// over. So a job may be worked on twice, also at once, and that must be harmless. A back end may
/// forget all of it at any moment. Nothing blocks: who wants to know of new jobs listens to a signal.
#[async_trait]
pub trait Queues: Send + Sync + 'static {
    /// Adds a job unless `most` are not done; says how many wait with it that nobody has taken yet,
    /// or `None` if it was refused. After an outage it may have been added twice.
    async fn add_job(&self, queue: &str, task: &str, most: u64) -> Result<Option<u64>, StateError>;

    /// Takes at most `most` jobs, the oldest first: those whose holder was not heard of for long and
    /// those that were given back, then those that nobody has taken yet.
    async fn take_jobs(&self, consumer: &Consumer, most: usize) -> Result<Vec<Job>, StateError>;

    /// Says that these jobs are still in work; how many of them are still the consumer's own.
    async fn hold_jobs(&self, consumer: &Consumer, ids: &[JobId]) -> Result<u64, StateError>;

    /// Ends a job that is done, whoever holds it by now; false if it was gone already.
    async fn finish_job(&self, queue: &str, id: &JobId) -> Result<bool, StateError>;

    /// Gives a job back; false, and nothing changes, if it is not the consumer's own any more.
    async fn give_job_back(&self, consumer: &Consumer, id: &JobId, again: Again) -> Result<bool, StateError>;

    /// Ends a job that nobody can do, and keeps it aside with the reason, together with at most
    /// `most - 1` others: the oldest are forgotten. False, and nothing changes, if it is not the
    /// consumer's own any more.
    async fn set_job_aside(&self, consumer: &Consumer, id: &JobId, reason: &str, most: u64)
    -> Result<bool, StateError>;

    /// Jobs that were set aside after `after`, the oldest first, at most `limit`.
    async fn jobs_aside(&self, queue: &str, after: Option<&JobId>, limit: usize) -> Result<Vec<JobAside>, StateError>;

    /// Forgets a job that was set aside, or all of them; how many that were.
    async fn forget_aside(&self, queue: &str, id: Option<&JobId>) -> Result<u64, StateError>;

    /// Puts a job that was set aside back into the queue, or all of them, the oldest first, as far as no
    /// more than `most` are not done then; how many that were. Each is as one that was just added.
    async fn retry_aside(&self, queue: &str, id: Option<&JobId>, most: u64) -> Result<u64, StateError>;

    /// How a queue stands; nothing is in one that is not known.
    async fn measure_queue(&self, queue: &str) -> Result<QueueStanding, StateError>;

    /// Forgets consumers that hold nothing and were not heard of for `unheard_for`; how many that
    /// were. One that comes back after all is known again.
    async fn forget_consumers(&self, queue: &str, unheard_for: Duration) -> Result<u64, StateError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_job_is_read_as_it_is_written_and_nothing_else_is_one() {
        let id = JobId::new(1_700_000_000_000, 7);

        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "1", "-", "1-", "-1", "+1-0", "1-+0", "1-0-0", "(1-0", "a-b", "99999999999999999999-0"] {
            assert_eq!(wrong.parse::<JobId>(), Err(InvalidJobId), "{wrong}");
        }
    }
}
