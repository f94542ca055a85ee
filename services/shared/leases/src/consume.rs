//! Working through a queue: takes jobs as there is room, holds on to them, and ends them.
//!
//! Owns:  what this process has taken of one queue.
//! Lives: until shutdown, and then until what was begun is done.
//! Dies:  whoever is left takes its jobs over.
//! Load:  one look per word of new jobs, some every few seconds; no command blocks.

mod ends;
mod metrics;

use std::{collections::HashMap, num::NonZeroU32, num::NonZeroUsize, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{Instant, Interval, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;

use self::ends::{Ends, Fate};
use crate::{Consumer, Job, JobId, State, StateError, Subscription};

/// A job of whose holder nothing is heard for so long is anybody's. A job that failed waits as long.
const UNHEARD_FOR: Duration = Duration::from_secs(15);
/// Three words may be lost.
const HOLD_EVERY: Duration = Duration::from_secs(4);
/// Words of new jobs may be lost, and of those who died there is none.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Between two looks that found nothing: of many who hear a word few find something.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// While the worker has no room.
const ASK_FOR_ROOM_EVERY: Duration = Duration::from_secs(1);
const REPORT_EVERY: Duration = Duration::from_secs(10);
/// Who was silent for so long and holds nothing is no consumer any more.
const FORGET_AFTER: Duration = Duration::from_mins(10);
/// The pause after the first failure, and the longest one: it may be the store that fails, and not
/// the jobs, and then few of them shall lose a try.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What came of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worked {
    /// Nothing is left to be done, or nothing can ever be done.
    Done,
    /// Another time, or elsewhere, it may be done; with the reason.
    Failed(String),
}

/// Does jobs.
#[async_trait]
pub trait Worker: Send + Sync + 'static {
    /// Whether a job may be begun now.
    fn has_room(&self) -> bool {
        true
    }

    /// Does a job. Must come to an end: until then the job is held. It may be in work elsewhere too.
    async fn work(&self, task: &str) -> Worked;
}

/// How a queue is worked through.
#[derive(Debug, Clone)]
pub struct Consuming {
    /// The queue.
    pub queue: String,
    /// Tells this consumer from every other one, also from those before a restart; see
    /// [`new_consumer_name`].
    pub name: String,
    /// Jobs that are in work at once.
    pub at_once: NonZeroUsize,
    /// How often a job may be tried before it is set aside.
    pub tries: NonZeroU32,
    /// Jobs that are kept aside; of more the oldest are forgotten.
    pub most_aside: u64,
}

/// Adds a job, and wakes those who work through the queue; false if `most` are there already.
pub async fn enqueue(state: &State, queue: &str, task: &str, most: u64) -> Result<bool, StateError> {
    let waiting = state.add_job(queue, task, most).await?;
    // With others before it, those who have room are awake.
    if waiting == Some(1) {
        // Who does not hear it looks in a while.
        drop(state.publish(&topic(queue), "new").await);
    }
    if waiting.is_none() {
        metrics::refused(queue);
    }
    Ok(waiting.is_some())
}

/// Puts a job that was set aside back into the queue, or all of them, as far as no more than `most` are
/// there then, and wakes those who work through it; how many that were.
pub async fn retry(state: &State, queue: &str, id: Option<&JobId>, most: u64) -> Result<u64, StateError> {
    let retried = state.retry_aside(queue, id, most).await?;
    if retried > 0 {
        drop(state.publish(&topic(queue), "again").await);
    }
    Ok(retried)
}

/// Works through a queue until `shutdown`; then what was begun is done, and the rest given back.
pub async fn consume(state: State, consuming: Consuming, worker: Arc<dyn Worker>, shutdown: CancellationToken) {
    metrics::describe();
    let Consuming { queue, name, at_once, tries, most_aside } = consuming;
    let consumer = Consumer { queue, name, unheard_for: UNHEARD_FOR };
    let ends = Ends { state, consumer, worker, tries: tries.get().into(), most_aside };
    let shift = Shift {
        ends: Arc::new(ends),
        at_once: at_once.get(),
        jobs: JoinSet::new(),
        held: HashMap::new(),
        words: None,
        pace: Pace::begin(),
    };
    shift.run(shutdown).await;
}

/// A name for a consumer of this process: that of the machine, which tells an operator where it is,
/// and what no other one has.
pub fn new_consumer_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{:016x}", host.trim(), rand::random::<u64>())
}

fn topic(queue: &str) -> String {
    format!("queue:{queue}")
}

/// One consumer at work.
struct Shift {
    ends: Arc<Ends>,
    at_once: usize,
    jobs: JoinSet<Fate>,
    held: HashMap<Id, Job>,
    words: Option<Subscription>,
    pace: Pace,
}

/// What happens next.
enum Event {
    Ended(Result<(Id, Fate), JoinError>),
    Hold,
    Report,
    Word,
    Look,
    Shutdown,
}

impl Shift {
    async fn run(mut self, shutdown: CancellationToken) {
        let (mut hold, mut report) = (every(HOLD_EVERY), every(REPORT_EVERY));
        loop {
            let has_hands = self.free_hands() > 0;
            let event = tokio::select! {
                () = shutdown.cancelled() => Event::Shutdown,
                Some(ended) = self.jobs.join_next_with_id() => Event::Ended(ended),
                _ = hold.tick() => Event::Hold,
                _ = report.tick() => Event::Report,
                () = hear(self.words.as_mut()) => Event::Word,
                () = sleep_until(self.pace.next), if has_hands => Event::Look,
            };
            match event {
                Event::Ended(ended) => self.end(ended).await,
                Event::Hold => self.hold().await,
                Event::Report => self.ends.report(FORGET_AFTER).await,
                Event::Word => self.pace.word_came(),
                Event::Look => self.look(&shutdown).await,
                Event::Shutdown => break,
            }
        }
        self.finish_what_was_begun(hold).await;
    }

    /// How many jobs may be begun; none beside one that may be our death.
    fn free_hands(&self) -> usize {
        if self.held.values().any(is_suspect) { 0 } else { self.at_once.saturating_sub(self.held.len()) }
    }

    /// Takes what there is room for.
    async fn look(&mut self, shutdown: &CancellationToken) {
        if !self.ends.worker.has_room() {
            return self.pace.look_in(ASK_FOR_ROOM_EVERY);
        }
        // First to listen, then to look: no word is missed in between.
        self.listen().await;
        let most = self.free_hands();
        match self.ends.take(most).await {
            Ok(jobs) if shutdown.is_cancelled() => self.ends.give_back(&jobs).await,
            Ok(mut jobs) => {
                self.pace.looked(jobs.len() == most);
                self.ends.give_back(&beside_a_suspect(&mut jobs)).await;
                for job in jobs {
                    self.begin(job);
                }
            }
            Err(error) => {
                tracing::debug!(%error, queue = self.ends.consumer.queue, "no jobs can be taken");
                self.pace.looked(false);
            }
        }
    }

    async fn listen(&mut self) {
        if self.words.is_none() {
            let queue = &self.ends.consumer.queue;
            // Without it we look every few seconds.
            self.words = self.ends.state.subscribe(&topic(queue)).await.ok();
        }
    }

    fn begin(&mut self, job: Job) {
        let (ends, begun) = (Arc::clone(&self.ends), job.clone());
        let task = self.jobs.spawn(async move { ends.see_to(&begun).await });
        self.held.insert(task.id(), job);
    }

    async fn end(&mut self, ended: Result<(Id, Fate), JoinError>) {
        let fate = match ended {
            Ok((id, fate)) => {
                self.held.remove(&id);
                fate
            }
            Err(error) => match self.held.remove(&error.id()) {
                Some(job) => self.ends.fail(&job, "the work on it panicked").await,
                None => return,
            },
        };
        self.pace.ended(fate);
    }

    async fn hold(&self) {
        let ids: Vec<JobId> = self.held.values().map(|job| job.id.clone()).collect();
        if !ids.is_empty() {
            self.ends.hold(&ids).await;
        }
    }

    async fn finish_what_was_begun(mut self, mut hold: Interval) {
        while !self.held.is_empty() {
            tokio::select! {
                Some(ended) = self.jobs.join_next_with_id() => self.end(ended).await,
                _ = hold.tick() => self.hold().await,
            }
        }
    }
}

/// Whether a job was begun before and did not end well: it may be what its consumer died of. It is
/// begun alone, so that no other one loses its tries with it.
const fn is_suspect(job: &Job) -> bool {
    job.tries > 1
}

/// Leaves one suspect alone, if there is any, and gives the others.
fn beside_a_suspect(jobs: &mut Vec<Job>) -> Vec<Job> {
    let Some(place) = jobs.iter().position(is_suspect) else { return Vec::new() };
    jobs.swap(0, place);
    jobs.split_off(1)
}

/// When to look next.
struct Pace {
    next: Instant,
    /// Not before this, whatever is heard.
    earliest: Instant,
    /// The next pause, if something fails.
    pause: Duration,
}

impl Pace {
    fn begin() -> Self {
        let now = Instant::now();
        Self { next: now, earliest: now, pause: PAUSE.0 }
    }

    /// After a look: whether there may be more.
    fn looked(&mut self, may_be_more: bool) {
        if may_be_more {
            return self.look_in(Duration::ZERO);
        }
        // Apart from others, who may have begun with us.
        self.earliest = self.earliest.max(Instant::now() + LOOK_AGAIN_AFTER.mul_f64(rand::random_range(1.0..2.0)));
        self.look_in(LOOK_EVERY.mul_f64(rand::random_range(0.8..1.2)));
    }

    fn word_came(&mut self) {
        self.next = self.next.min(self.earliest.max(Instant::now()));
    }

    fn ended(&mut self, fate: Fate) {
        match fate {
            Fate::Done => self.pause = PAUSE.0,
            Fate::Failed => {
                self.earliest = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(PAUSE.1);
            }
        }
        // There is a free hand.
        self.look_in(Duration::ZERO);
    }

    fn look_in(&mut self, span: Duration) {
        self.next = self.earliest.max(Instant::now() + span);
    }
}

/// Until something is said, or may have been.
async fn hear(words: Option<&mut Subscription>) {
    match words {
        Some(words) => drop(words.next().await),
        None => std::future::pending().await,
    }
}

fn every(span: Duration) -> Interval {
    let mut interval = interval(span);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests;
