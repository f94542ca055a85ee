//! The pool of workers: who waits for one, and who has one.
//!
//! Owns:  the worker processes that wait for a job, and the memory that jobs may take together.
//! Lives: as long as the process, on one thread: a worker ends with the thread that began it.
//! Dies:  never by itself. A worker that dies costs one answer, and another is started.
//! Load:  one message per job; its sender has a place in the queue of the service. Bytes pass it by.

use std::time::{Duration, Instant};

use actix::prelude::*;
use heliograph_jail::{Budget, Lost, Program, Reason, Reply, Support, Worker};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::{bench::admission::Admission, file::PictureFile, metrics};

/// A worker is in its jail within milliseconds, unless the machine is very busy.
const START_WITHIN: Duration = Duration::from_secs(20);
/// Between attempts to start a worker, when those end at once.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// Failed starts in a row after which nobody is left waiting for the next.
const MOST_FAILURES: u32 = 3;

/// How many workers there are, and how long they serve.
#[derive(Debug, Clone)]
pub(crate) struct PoolConfig {
    /// What runs as a worker.
    pub(crate) program: Program,
    /// Where their answers are awaited.
    pub(crate) runtime: Handle,
    /// At once.
    pub(crate) workers: usize,
    /// After so many, a worker makes room for a new one.
    pub(crate) jobs_per_worker: u32,
    /// That jobs may take together.
    pub(crate) memory_bytes: u64,
}

/// Lends workers to jobs.
pub(crate) struct Pool {
    config: PoolConfig,
    admission: Admission<Ticket>,
    idle: Vec<Held>,
    /// All that there are: idle, lent, and about to be ready.
    workers: usize,
    /// About to be ready.
    starting: usize,
    /// Starts that have failed since one was good.
    failures: u32,
    /// None is started before that is over.
    in_backoff: bool,
    returned: mpsc::UnboundedSender<Returned>,
    /// Until it is listened to.
    returns: Option<mpsc::UnboundedReceiver<Returned>>,
}

/// Who waits for a worker.
#[derive(Debug)]
struct Ticket {
    seat: oneshot::Sender<Lease>,
    since: Instant,
}

/// A worker, and what it has done.
#[derive(Debug)]
struct Held {
    worker: Worker,
    jobs: u32,
}

/// A worker that belongs to one job, and the memory that this may take. Goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    held: Option<Held>,
    bytes: u64,
    back: mpsc::UnboundedSender<Returned>,
}

impl Lease {
    /// Has the worker answer. Whoever drops this kills it.
    pub(crate) async fn call(mut self, head: &[u8], file: &PictureFile, budget: Budget) -> Result<Reply, Lost> {
        let Some(Held { worker, jobs }) = self.held.take() else {
            return Err(Lost { reason: Reason::NotStarted, words: String::new() });
        };
        let (worker, reply) = worker.call(head, Some(file.descriptor()), budget).await?;
        self.held = Some(Held { worker, jobs: jobs.saturating_add(1) });
        Ok(reply)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        metrics::released(self.bytes);
        // The pool is gone only when the process ends: then its workers may, too.
        drop(self.back.send(Returned { held: self.held.take(), bytes: self.bytes }));
    }
}

impl Pool {
    pub(crate) fn new(config: PoolConfig) -> Self {
        let (returned, returns) = mpsc::unbounded_channel();
        let admission = Admission::new(config.memory_bytes);
        Self {
            config,
            admission,
            idle: Vec::new(),
            workers: 0,
            starting: 0,
            failures: 0,
            in_backoff: false,
            returned,
            returns: Some(returns),
        }
    }
}

// === messages ===

/// A worker is wanted, and so much memory. The seat is dropped if there are none to be had.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Claim {
    pub(crate) bytes: u64,
    pub(crate) seat: oneshot::Sender<Lease>,
}

/// A lease has ended; without a worker, that one is lost.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Returned {
    held: Option<Held>,
    bytes: u64,
}

// === lifecycle ===

impl Actor for Pool {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(returns) = self.returns.take() {
            ctx.add_stream(UnboundedReceiverStream::new(returns));
        }
    }
}

// === handlers ===

impl Handler<Claim> for Pool {
    type Result = ();

    fn handle(&mut self, Claim { bytes, seat }: Claim, ctx: &mut Self::Context) {
        self.admission.join(Ticket { seat, since: Instant::now() }, bytes);
        self.lend(ctx);
    }
}

impl StreamHandler<Returned> for Pool {
    fn handle(&mut self, Returned { held, bytes }: Returned, ctx: &mut Self::Context) {
        self.admission.give_back(bytes);
        match held {
            Some(held) if held.jobs < self.config.jobs_per_worker => self.idle.push(held),
            Some(_) | None => self.workers -= 1,
        }
        self.lend(ctx);
    }
}

// === shell ===

impl Pool {
    /// Gives out what there is to those whose turn it is, and sees to it that there are workers.
    fn lend(&mut self, ctx: &mut Context<Self>) {
        self.admission.retain(|ticket| !ticket.seat.is_closed());
        while let Some(held) = self.pop_idle() {
            let Some((ticket, bytes)) = self.admission.next() else {
                return self.idle.push(held);
            };
            metrics::admitted(bytes, ticket.since.elapsed());
            let lease = Lease { held: Some(held), bytes, back: self.returned.clone() };
            // Who has just left gives it back by dropping it.
            drop(ticket.seat.send(lease));
        }
        self.start_workers(ctx);
    }

    /// The one that worked last: what it needs is in the caches. Those who died in their sleep go.
    fn pop_idle(&mut self) -> Option<Held> {
        loop {
            let mut held = self.idle.pop()?;
            if !held.worker.has_ended() {
                return Some(held);
            }
            metrics::worker_lost(Reason::Killed);
            self.workers -= 1;
        }
    }

    /// As many as there are who wait, within the limit.
    fn start_workers(&mut self, ctx: &mut Context<Self>) {
        while !self.in_backoff && self.workers < self.config.workers && self.starting < self.admission.waiting() {
            self.workers += 1;
            self.starting += 1;
            let spawned = Worker::spawn(&self.config.program, &self.config.runtime);
            let greeted = async { spawned?.greet(START_WITHIN).await };
            ctx.spawn(greeted.into_actor(self).map(|outcome, pool, ctx| pool.started_one(outcome, ctx)));
        }
    }

    fn started_one(&mut self, outcome: Result<(Worker, Support), Lost>, ctx: &mut Context<Self>) {
        self.starting -= 1;
        match outcome {
            Ok((worker, _)) => {
                self.failures = 0;
                self.idle.push(Held { worker, jobs: 0 });
                self.lend(ctx);
            }
            Err(lost) => self.start_failed(&lost, ctx),
        }
    }

    /// If it goes on like that, those who wait learn it, unless others are at work: their turn may still come.
    fn start_failed(&mut self, lost: &Lost, ctx: &mut Context<Self>) {
        tracing::error!(%lost, "no worker for pictures could be started");
        metrics::worker_lost(Reason::NotStarted);
        self.workers -= 1;
        self.failures = self.failures.saturating_add(1);
        if self.workers == 0 && self.failures >= MOST_FAILURES {
            self.admission.send_away();
        }
        if !self.in_backoff {
            self.in_backoff = true;
            ctx.run_later(backoff(self.failures), |pool, ctx| {
                pool.in_backoff = false;
                pool.lend(ctx);
            });
        }
    }
}

fn backoff(failures: u32) -> Duration {
    BACKOFF_MIN.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_to_start_become_rarer() {
        assert_eq!([1, 2, 3, 99].map(backoff), [100, 200, 400, 10_000].map(Duration::from_millis));
    }
}
