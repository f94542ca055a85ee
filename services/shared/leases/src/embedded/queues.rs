//! Queues in memory.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use heliograph_types::Timestamp;

use super::EmbeddedState;
use crate::{Again, Consumer, Job, JobAside, JobId, QueueStanding, Queues, StateError};

/// The queues of this process, by name. Their names are ours: there are few.
#[derive(Default)]
pub(super) struct QueueBook(Mutex<HashMap<String, Line>>);

/// One queue.
#[derive(Default)]
struct Line {
    last_number: u64,
    /// Nobody has taken these yet.
    waiting: VecDeque<(JobId, String)>,
    /// Taken and not done.
    pending: BTreeMap<JobId, Pending>,
    aside: VecDeque<JobAside>,
    /// When something was last heard of each consumer.
    consumers: HashMap<String, Timestamp>,
}

struct Pending {
    task: String,
    tries: u64,
    /// None once it was given back.
    holder: Option<String>,
    /// When it is anybody's.
    free_at: Timestamp,
}

impl QueueBook {
    /// Does one step on a queue.
    fn on<T>(&self, queue: &str, step: impl FnOnce(&mut Line) -> T) -> T {
        let mut lines = self.lines();
        if let Some(line) = lines.get_mut(queue) {
            return step(line);
        }
        step(lines.entry(queue.to_owned()).or_default())
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<String, Line>> {
        // A step that panics leaves at most a job that is lost.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn next_id(&mut self, now: Timestamp) -> JobId {
        self.last_number += 1;
        JobId::new(now.as_millis(), self.last_number)
    }

    fn len(&self) -> u64 {
        (self.waiting.len() + self.pending.len()) as u64
    }

    fn add(&mut self, task: &str, most: u64, now: Timestamp) -> Option<u64> {
        if self.len() >= most {
            return None;
        }
        let id = self.next_id(now);
        self.waiting.push_back((id, task.to_owned()));
        Some(self.waiting.len() as u64)
    }

    fn take(&mut self, consumer: &Consumer, most: usize, now: Timestamp) -> Vec<Job> {
        self.consumers.insert(consumer.name.clone(), now);
        let free_at = now + consumer.unheard_for;
        let mut taken = Vec::new();
        for (id, job) in self.pending.iter_mut().filter(|(_, job)| job.free_at <= now).take(most) {
            let taken_over = job.holder.replace(consumer.name.clone()).is_some();
            (job.tries, job.free_at) = (job.tries + 1, free_at);
            taken.push(Job { id: id.clone(), task: job.task.clone(), tries: job.tries, taken_over });
        }
        let new = self.waiting.len().min(most - taken.len());
        for (id, task) in self.waiting.drain(..new) {
            let holder = Some(consumer.name.clone());
            self.pending.insert(id.clone(), Pending { task: task.clone(), tries: 1, holder, free_at });
            taken.push(Job { id, task, tries: 1, taken_over: false });
        }
        taken
    }

    /// A job that is the consumer's own.
    fn own(&mut self, consumer: &Consumer, id: &JobId) -> Option<&mut Pending> {
        self.pending.get_mut(id).filter(|job| job.holder.as_ref() == Some(&consumer.name))
    }

    fn hold(&mut self, consumer: &Consumer, ids: &[JobId], now: Timestamp) -> u64 {
        let mut held = 0;
        for id in ids {
            if let Some(job) = self.own(consumer, id) {
                job.free_at = now + consumer.unheard_for;
                held += 1;
            }
        }
        if held > 0 {
            self.consumers.insert(consumer.name.clone(), now);
        }
        held
    }

    fn give_back(&mut self, consumer: &Consumer, id: &JobId, again: Again, now: Timestamp) -> bool {
        let Some(job) = self.own(consumer, id) else { return false };
        job.holder = None;
        match again {
            Again::Unbegun => (job.tries, job.free_at) = (job.tries.saturating_sub(1), now),
            Again::Later => job.free_at = now + consumer.unheard_for,
        }
        true
    }

    fn set_aside(&mut self, consumer: &Consumer, id: &JobId, reason: &str, most: u64, now: Timestamp) -> bool {
        if self.own(consumer, id).is_none() {
            return false;
        }
        let Some(Pending { task, tries, .. }) = self.pending.remove(id) else { return false };
        let id = self.next_id(now);
        self.aside.push_back(JobAside { id, task, reason: reason.to_owned(), tries });
        while self.aside.len() as u64 > most {
            self.aside.pop_front();
        }
        true
    }

    fn forget_aside(&mut self, id: Option<&JobId>) -> u64 {
        let before = self.aside.len();
        self.aside.retain(|job| id.is_some_and(|id| job.id != *id));
        (before - self.aside.len()) as u64
    }

    fn retry_aside(&mut self, id: Option<&JobId>, most: u64, now: Timestamp) -> u64 {
        let mut retried = 0;
        for job in std::mem::take(&mut self.aside) {
            if id.is_none_or(|id| job.id == *id) && self.add(&job.task, most, now).is_some() {
                retried += 1;
            } else {
                self.aside.push_back(job);
            }
        }
        retried
    }

    fn measure(&self, now: Timestamp) -> QueueStanding {
        let oldest = self.pending.keys().chain(self.waiting.iter().map(|(id, _)| id)).min();
        QueueStanding {
            length: self.len(),
            lag: self.waiting.len() as u64,
            pending: self.pending.len() as u64,
            oldest: oldest.map_or(Duration::ZERO, |id| now.since(Timestamp::from_millis(id.added_at()))),
            aside: self.aside.len() as u64,
        }
    }

    fn forget_consumers(&mut self, unheard_for: Duration, now: Timestamp) -> u64 {
        let before = self.consumers.len();
        let pending = &self.pending;
        let holds = |name: &String| pending.values().any(|job| job.holder.as_ref() == Some(name));
        self.consumers.retain(|name, heard_at| *heard_at + unheard_for > now || holds(name));
        (before - self.consumers.len()) as u64
    }
}

#[async_trait]
impl Queues for EmbeddedState {
    async fn add_job(&self, queue: &str, task: &str, most: u64) -> Result<Option<u64>, StateError> {
        Ok(self.queues.on(queue, |line| line.add(task, most, self.clock.now())))
    }

    async fn take_jobs(&self, consumer: &Consumer, most: usize) -> Result<Vec<Job>, StateError> {
        Ok(self.queues.on(&consumer.queue, |line| line.take(consumer, most, self.clock.now())))
    }

    async fn hold_jobs(&self, consumer: &Consumer, ids: &[JobId]) -> Result<u64, StateError> {
        Ok(self.queues.on(&consumer.queue, |line| line.hold(consumer, ids, self.clock.now())))
    }

    async fn finish_job(&self, queue: &str, id: &JobId) -> Result<bool, StateError> {
        Ok(self.queues.on(queue, |line| line.pending.remove(id).is_some()))
    }

    async fn give_job_back(&self, consumer: &Consumer, id: &JobId, again: Again) -> Result<bool, StateError> {
        Ok(self.queues.on(&consumer.queue, |line| line.give_back(consumer, id, again, self.clock.now())))
    }

    async fn set_job_aside(
        &self,
        consumer: &Consumer,
        id: &JobId,
        reason: &str,
        most: u64,
    ) -> Result<bool, StateError> {
        Ok(self.queues.on(&consumer.queue, |line| line.set_aside(consumer, id, reason, most, self.clock.now())))
    }

    async fn jobs_aside(&self, queue: &str, after: Option<&JobId>, limit: usize) -> Result<Vec<JobAside>, StateError> {
        let is_wanted = |job: &&JobAside| after.is_none_or(|after| job.id > *after);
        Ok(self.queues.on(queue, |line| line.aside.iter().filter(is_wanted).take(limit).cloned().collect()))
    }

    async fn forget_aside(&self, queue: &str, id: Option<&JobId>) -> Result<u64, StateError> {
        Ok(self.queues.on(queue, |line| line.forget_aside(id)))
    }

    async fn retry_aside(&self, queue: &str, id: Option<&JobId>, most: u64) -> Result<u64, StateError> {
        Ok(self.queues.on(queue, |line| line.retry_aside(id, most, self.clock.now())))
    }

    async fn measure_queue(&self, queue: &str) -> Result<QueueStanding, StateError> {
        Ok(self.queues.on(queue, |line| line.measure(self.clock.now())))
    }

    async fn forget_consumers(&self, queue: &str, unheard_for: Duration) -> Result<u64, StateError> {
        Ok(self.queues.on(queue, |line| line.forget_consumers(unheard_for, self.clock.now())))
    }
}
