//! Shared state that can be looked into, and that fails when it is told to.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use heliograph_leases::{
    Again, Allowance, Budget, Budgets, Caches, Consumer, EmbeddedState, Exceeded, Holdings, IndexEntry, Indexes, Job,
    JobAside, JobId, Lease, Leases, LedgerEntry, Ledgers, QueueStanding, Queues, Signals, Spent, StateError,
    Subscription,
};
use heliograph_types::Clock;

pub(crate) struct ProbedState {
    inner: EmbeddedState,
    is_down: AtomicBool,
    cached: Mutex<Vec<(String, Bytes)>>,
}

impl ProbedState {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let inner = EmbeddedState::in_memory(clock).unwrap();
        Self { inner, is_down: AtomicBool::new(false), cached: Mutex::default() }
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Everything that was put into the cache so far.
    pub(crate) fn cached(&self) -> Vec<(String, Bytes)> {
        self.cached.lock().unwrap().clone()
    }

    fn up(&self) -> Result<&EmbeddedState, StateError> {
        let down = || StateError { context: "test".to_owned(), reason: "down".to_owned() };
        if self.is_down.load(Ordering::SeqCst) { Err(down()) } else { Ok(&self.inner) }
    }
}

#[async_trait]
impl Caches for ProbedState {
    async fn find_cached(&self, key: &str) -> Result<Option<Bytes>, StateError> {
        self.up()?.find_cached(key).await
    }

    async fn cache(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), StateError> {
        self.cached.lock().unwrap().push((key.to_owned(), value.clone()));
        self.up()?.cache(key, value, ttl).await
    }

    async fn forget(&self, key: &str) -> Result<(), StateError> {
        self.up()?.forget(key).await
    }
}

#[async_trait]
impl Signals for ProbedState {
    async fn publish(&self, topic: &str, message: &str) -> Result<(), StateError> {
        self.up()?.publish(topic, message).await
    }

    async fn subscribe(&self, topic: &str) -> Result<Subscription, StateError> {
        self.up()?.subscribe(topic).await
    }
}

#[async_trait]
impl Leases for ProbedState {
    async fn try_acquire(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, StateError> {
        self.up()?.try_acquire(key, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StateError> {
        self.up()?.renew(lease, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StateError> {
        self.up()?.release(lease).await
    }
}

#[async_trait]
impl Budgets for ProbedState {
    async fn try_spend(&self, key: &str, budget: Budget, amount: u64) -> Result<Spent, StateError> {
        self.up()?.try_spend(key, budget, amount).await
    }
}

#[async_trait]
impl Indexes for ProbedState {
    async fn insert(&self, index: &str, member: &str, score: u64) -> Result<(), StateError> {
        self.up()?.insert(index, member, score).await
    }

    async fn insert_within(
        &self,
        index: &str,
        member: &str,
        score: u64,
        live_from: u64,
        most: u64,
    ) -> Result<bool, StateError> {
        self.up()?.insert_within(index, member, score, live_from, most).await
    }

    async fn remove(&self, index: &str, member: &str) -> Result<(), StateError> {
        self.up()?.remove(index, member).await
    }

    async fn range(&self, index: &str, up_to: u64, limit: usize) -> Result<Vec<IndexEntry>, StateError> {
        self.up()?.range(index, up_to, limit).await
    }
}

#[async_trait]
impl Ledgers for ProbedState {
    async fn claim(
        &self,
        account: &str,
        claim: &str,
        bytes: u64,
        lifetime: Duration,
        allowance: &Allowance,
    ) -> Result<Result<(), Exceeded>, StateError> {
        self.up()?.claim(account, claim, bytes, lifetime, allowance).await
    }

    async fn enter(
        &self,
        account: &str,
        entry: &LedgerEntry,
        claim: Option<&str>,
        allowance: &Allowance,
    ) -> Result<Result<(), Exceeded>, StateError> {
        self.up()?.enter(account, entry, claim, allowance).await
    }

    async fn unclaim(&self, account: &str, claim: &str) -> Result<(), StateError> {
        self.up()?.unclaim(account, claim).await
    }

    async fn strike(&self, account: &str, member: &str) -> Result<(), StateError> {
        self.up()?.strike(account, member).await
    }

    async fn enter_all(&self, account: &str, entries: &[LedgerEntry]) -> Result<(), StateError> {
        self.up()?.enter_all(account, entries).await
    }

    async fn move_up(&self, account: &str, times: &[(String, u64)]) -> Result<u64, StateError> {
        self.up()?.move_up(account, times).await
    }

    async fn strike_unless_later(&self, account: &str, member: &str, at: u64) -> Result<bool, StateError> {
        self.up()?.strike_unless_later(account, member, at).await
    }

    async fn times(&self, account: &str, members: &[String]) -> Result<Vec<Option<u64>>, StateError> {
        self.up()?.times(account, members).await
    }

    async fn holdings(&self, account: &str) -> Result<Holdings, StateError> {
        self.up()?.holdings(account).await
    }

    async fn entries(
        &self,
        account: &str,
        newest_first: bool,
        from: usize,
        limit: usize,
    ) -> Result<Vec<LedgerEntry>, StateError> {
        self.up()?.entries(account, newest_first, from, limit).await
    }
}

#[async_trait]
impl Queues for ProbedState {
    async fn add_job(&self, queue: &str, task: &str, most: u64) -> Result<Option<u64>, StateError> {
        self.up()?.add_job(queue, task, most).await
    }

    async fn take_jobs(&self, consumer: &Consumer, most: usize) -> Result<Vec<Job>, StateError> {
        self.up()?.take_jobs(consumer, most).await
    }

    async fn hold_jobs(&self, consumer: &Consumer, ids: &[JobId]) -> Result<u64, StateError> {
        self.up()?.hold_jobs(consumer, ids).await
    }

    async fn finish_job(&self, queue: &str, id: &JobId) -> Result<bool, StateError> {
        self.up()?.finish_job(queue, id).await
    }

    async fn give_job_back(&self, consumer: &Consumer, id: &JobId, again: Again) -> Result<bool, StateError> {
        self.up()?.give_job_back(consumer, id, again).await
    }

    async fn set_job_aside(
        &self,
        consumer: &Consumer,
        id: &JobId,
        reason: &str,
        most: u64,
    ) -> Result<bool, StateError> {
        self.up()?.set_job_aside(consumer, id, reason, most).await
    }

    async fn jobs_aside(&self, queue: &str, after: Option<&JobId>, limit: usize) -> Result<Vec<JobAside>, StateError> {
        self.up()?.jobs_aside(queue, after, limit).await
    }

    async fn forget_aside(&self, queue: &str, id: Option<&JobId>) -> Result<u64, StateError> {
        self.up()?.forget_aside(queue, id).await
    }

    async fn retry_aside(&self, queue: &str, id: Option<&JobId>, most: u64) -> Result<u64, StateError> {
        self.up()?.retry_aside(queue, id, most).await
    }

    async fn measure_queue(&self, queue: &str) -> Result<QueueStanding, StateError> {
        self.up()?.measure_queue(queue).await
    }

    async fn forget_consumers(&self, queue: &str, unheard_for: Duration) -> Result<u64, StateError> {
        self.up()?.forget_consumers(queue, unheard_for).await
    }
}
