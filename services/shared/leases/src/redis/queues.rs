//! Queues in Redis: a stream for each, with one group of consumers, and a second stream of jobs
//! that were set aside.

use std::time::Duration;

use async_trait::async_trait;
use redis::{FromRedisValue, cmd};

use super::{RedisState, millis, queue_scripts as scripts};
use crate::{Again, Consumer, Job, JobAside, JobId, QueueStanding, Queues, StateError, queue::CONSUMER_GROUP};

/// Holds what was given back, so that it is nobody's; no consumer has this name.
const NOBODY: &str = "";

#[async_trait]
impl Queues for RedisState {
    async fn add_job(&self, queue: &str, task: &str, most: u64) -> Result<Option<u64>, StateError> {
        let [jobs, _] = keys(&self.prefix, queue);
        self.link.invoke("add_job", &scripts::ADD, &[jobs], (CONSUMER_GROUP, task, most)).await
    }

    async fn take_jobs(&self, consumer: &Consumer, most: usize) -> Result<Vec<Job>, StateError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let [jobs, _] = keys(&self.prefix, &consumer.queue);
        let arguments = (CONSUMER_GROUP, &consumer.name, most, millis(consumer.unheard_for), NOBODY);
        let rows: Vec<(String, String, u64, bool)> =
            self.link.invoke("take_jobs", &scripts::TAKE, &[jobs], arguments).await?;
        let read = |(id, task, tries, taken_over): (String, String, u64, bool)| {
            Ok(Job { id: self.read_id(&id)?, task, tries, taken_over })
        };
        rows.into_iter().map(read).collect()
    }

    async fn hold_jobs(&self, consumer: &Consumer, ids: &[JobId]) -> Result<u64, StateError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let ids: Vec<String> = ids.iter().map(JobId::to_string).collect();
        self.of_own("hold_jobs", &scripts::HOLD, consumer, &ids).await
    }

    async fn finish_job(&self, queue: &str, id: &JobId) -> Result<bool, StateError> {
        let [jobs, _] = keys(&self.prefix, queue);
        self.link.invoke("finish_job", &scripts::FINISH, &[jobs], (CONSUMER_GROUP, id.to_string())).await
    }

    async fn give_job_back(&self, consumer: &Consumer, id: &JobId, again: Again) -> Result<bool, StateError> {
        // Whoever takes it next looks at how long nothing was heard of it.
        let (unheard_for, is_begun) = match again {
            Again::Unbegun => (millis(consumer.unheard_for), false),
            Again::Later => (0, true),
        };
        let arguments = (id.to_string(), unheard_for, is_begun, NOBODY);
        self.of_own("give_job_back", &scripts::GIVE_BACK, consumer, arguments).await
    }

    async fn set_job_aside(
        &self,
        consumer: &Consumer,
        id: &JobId,
        reason: &str,
        most: u64,
    ) -> Result<bool, StateError> {
        let keys = keys(&self.prefix, &consumer.queue);
        let arguments = (CONSUMER_GROUP, &consumer.name, id.to_string(), reason, most);
        self.link.invoke("set_job_aside", &scripts::SET_ASIDE, &keys, arguments).await
    }

    async fn jobs_aside(&self, queue: &str, after: Option<&JobId>, limit: usize) -> Result<Vec<JobAside>, StateError> {
        let [_, aside] = keys(&self.prefix, queue);
        let from = after.map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let arguments = (from, i64::try_from(limit).unwrap_or(i64::MAX));
        let rows: Vec<(String, String, String, u64)> =
            self.link.invoke("jobs_aside", &scripts::LIST_ASIDE, &[aside], arguments).await?;
        let read = |(id, task, reason, tries): (String, String, String, u64)| {
            Ok(JobAside { id: self.read_id(&id)?, task, reason, tries })
        };
        rows.into_iter().map(read).collect()
    }

    async fn forget_aside(&self, queue: &str, id: Option<&JobId>) -> Result<u64, StateError> {
        let [_, aside] = keys(&self.prefix, queue);
        match id {
            Some(id) => self.query("forget_aside", cmd("XDEL").arg(aside).arg(id.to_string())).await,
            None => self.query("forget_aside", cmd("XTRIM").arg(aside).arg("MAXLEN").arg(0)).await,
        }
    }

    async fn retry_aside(&self, queue: &str, id: Option<&JobId>, most: u64) -> Result<u64, StateError> {
        let (first, last) = match id {
            Some(id) => (id.to_string(), id.to_string()),
            None => ("-".to_owned(), "+".to_owned()),
        };
        self.link.invoke("retry_aside", &scripts::RETRY_ASIDE, &keys(&self.prefix, queue), (first, last, most)).await
    }

    async fn measure_queue(&self, queue: &str) -> Result<QueueStanding, StateError> {
        let keys = keys(&self.prefix, queue);
        let (length, pending, oldest, aside): (u64, u64, u64, u64) =
            self.link.invoke("measure_queue", &scripts::MEASURE, &keys, CONSUMER_GROUP).await?;
        // What is not done is in the stream, and what was taken of it is pending.
        let lag = length.saturating_sub(pending);
        Ok(QueueStanding { length, lag, pending, oldest: Duration::from_millis(oldest), aside })
    }

    async fn forget_consumers(&self, queue: &str, unheard_for: Duration) -> Result<u64, StateError> {
        let [jobs, _] = keys(&self.prefix, queue);
        let arguments = (CONSUMER_GROUP, millis(unheard_for));
        self.link.invoke("forget_consumers", &scripts::FORGET_CONSUMERS, &[jobs], arguments).await
    }
}

impl RedisState {
    /// Runs a script over the jobs that a consumer holds.
    async fn of_own<T: FromRedisValue>(
        &self,
        operation: &'static str,
        step: &super::scripts::Step,
        consumer: &Consumer,
        arguments: impl redis::ToRedisArgs + Send + Sync,
    ) -> Result<T, StateError> {
        let [jobs, _] = keys(&self.prefix, &consumer.queue);
        self.link.invoke(operation, step, &[jobs], (CONSUMER_GROUP, &consumer.name, arguments)).await
    }

    fn read_id(&self, id: &str) -> Result<JobId, StateError> {
        id.parse().map_err(|error| self.link.error("read a job", error))
    }
}

/// The jobs of a queue, and those that were set aside. The braces make a cluster keep both together.
fn keys(prefix: &str, queue: &str) -> [String; 2] {
    ["", ":aside"].map(|end| format!("{prefix}queue:{{{queue}}}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_queue_are_those_that_are_documented() {
        assert_eq!(
            keys("heliograph:", "thumbnails"),
            ["heliograph:queue:{thumbnails}", "heliograph:queue:{thumbnails}:aside"]
        );
    }
}
