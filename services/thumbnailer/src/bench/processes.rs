//! Worker processes, each in its jail.

use actix::{Actor, Addr, ArbiterHandle};
use async_trait::async_trait;
use heliograph_imaging::{Cost, Done, Header, Job, RenderError, Rules};
use heliograph_jail::{Budget, Lost, Reason, Reply};
use tokio::sync::oneshot;
use tracing::{Instrument, debug_span};

use super::{
    Bench, Flown,
    budget::{LOOK, budget, check},
    wire::{Order, Outcome, unpack},
};
use crate::{
    actors::pool::{Claim, Lease, Pool, PoolConfig},
    config::ThumbnailsConfig,
    error::Refusal,
    file::PictureFile,
    metrics,
};

/// When a worker is killed from outside, its job is done by another; if that is killed as well, by none.
const ATTEMPTS: usize = 2;

/// A pool of them.
pub(crate) struct Processes {
    pool: Addr<Pool>,
    config: ThumbnailsConfig,
}

impl Processes {
    /// On this arbiter; the workers are started when they are needed.
    pub(crate) fn start(config: ThumbnailsConfig, pool: PoolConfig, arbiter: &ArbiterHandle) -> Self {
        Self { pool: Pool::start_in_arbiter(arbiter, move |_| Pool::new(pool)), config }
    }

    /// Has an order carried out, unless everybody leaves before: that ends the worker.
    async fn carry_out(
        &self,
        order: &Order,
        file: &PictureFile,
        cost: Cost,
        flown: &Flown,
    ) -> Result<Outcome, Refusal> {
        if !flown.is_awaited() {
            return Err(Refusal::Abandoned);
        }
        let head = serde_json::to_vec(order).map_err(|error| RenderError::Broken(error.to_string()))?;
        let budget = budget(cost, &self.config);
        let outcome = tokio::select! {
            outcome = self.try_twice(&head, file, cost, budget) => outcome,
            () = flown.abandoned() => Err(Refusal::Abandoned),
        };
        let outcome = outcome.and_then(|reply| {
            metrics::rendered(reply.took);
            // A worker that does not speak as we do is no better than a dead one.
            unpack(&reply).ok_or(Refusal::WorkerLost { reason: Reason::Garbled })
        });
        metrics::job_ended(order.kind(), &outcome);
        match outcome? {
            Outcome::Failed(error) => Err(error.into()),
            outcome => Ok(outcome),
        }
    }

    async fn try_twice(&self, head: &[u8], file: &PictureFile, cost: Cost, budget: Budget) -> Result<Reply, Refusal> {
        let mut reason = Reason::NotStarted;
        for _ in 0..ATTEMPTS {
            let lease = self.claim(cost.memory_bytes).instrument(debug_span!("thumbnail wait")).await?;
            match lease.call(head, file, budget).instrument(debug_span!("thumbnail work")).await {
                Ok(reply) => return Ok(reply),
                Err(lost) => reason = note(&lost),
            }
            if reason.is_of_the_call() {
                break;
            }
        }
        Err(Refusal::WorkerLost { reason })
    }

    /// A worker, when there is one and memory for the job.
    async fn claim(&self, bytes: u64) -> Result<Lease, Refusal> {
        let (seat, lease) = oneshot::channel();
        self.pool.send(Claim { bytes, seat }).await.map_err(|_| Refusal::Closed)?;
        lease.await.map_err(|_| Refusal::WorkerLost { reason: Reason::NotStarted })
    }
}

/// A worker is gone.
fn note(lost: &Lost) -> Reason {
    metrics::worker_lost(lost.reason);
    tracing::warn!(%lost, "a picture has cost a worker");
    lost.reason
}

#[async_trait]
impl Bench for Processes {
    async fn look(&self, file: &PictureFile, rules: &Rules, flown: &Flown) -> Result<Header, Refusal> {
        match self.carry_out(&Order::Look(*rules), file, LOOK, flown).await? {
            Outcome::Looked(header) => Ok(header),
            Outcome::Worked(..) | Outcome::Failed(_) => Err(Refusal::WorkerLost { reason: Reason::Garbled }),
        }
    }

    async fn work(&self, file: &PictureFile, job: Job, cost: Cost, flown: &Flown) -> Result<Done, Refusal> {
        check(cost, &self.config)?;
        match self.carry_out(&Order::Work(job), file, cost, flown).await? {
            Outcome::Worked(done, _) => Ok(done),
            Outcome::Looked(_) | Outcome::Failed(_) => Err(Refusal::WorkerLost { reason: Reason::Garbled }),
        }
    }
}
