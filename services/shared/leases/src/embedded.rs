//! The state of one process: memory, and one file for the indexes and ledgers.
//!
//! Leases, signals, budgets, caches and queues are gone with the process, as they may be. Their steps
//! are short and under a mutex; only the index file blocks, and it does so off async threads.

mod budgets;
mod caches;
mod index_file;
mod index_tables;
mod leases;
mod ledger_tables;
mod ledgers;
mod look;
mod queues;
mod standing;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use heliograph_types::Clock;

pub use self::look::{StateFile, look_at_state_file};
use self::{
    budgets::BudgetBook,
    caches::CacheBook,
    index_file::IndexFile,
    index_tables::{IndexTables, read_range},
    leases::LeaseBook,
    queues::QueueBook,
};
use crate::{
    Budget, Budgets, Caches, IndexEntry, Indexes, Lease, Leases, Signals, Spent, StateError, Subscription,
    topics::Topics,
};

/// Every kind of state for one process. Right for one, wrong for several.
pub struct EmbeddedState {
    clock: Arc<dyn Clock>,
    leases: LeaseBook,
    topics: Arc<Topics>,
    budgets: BudgetBook,
    caches: CacheBook,
    queues: QueueBook,
    file: IndexFile,
}

impl EmbeddedState {
    /// State whose indexes and ledgers are in `index_file`, which is made if it is missing. A
    /// damaged file is set aside and begun anew; one that another process has open is an error.
    /// Reads the file: call it at start.
    pub fn open(index_file: &Path, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let file = IndexFile::open(index_file, Arc::clone(&clock))?;
        Ok(Self::with_file(file, clock))
    }

    /// State that leaves no trace: for tests and trials.
    pub fn in_memory(clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let file = IndexFile::in_memory(Arc::clone(&clock))?;
        Ok(Self::with_file(file, clock))
    }

    fn with_file(file: IndexFile, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            leases: LeaseBook::default(),
            topics: Topics::new(|_| ()),
            budgets: BudgetBook::default(),
            caches: CacheBook::default(),
            queues: QueueBook::default(),
            file,
        }
    }
}

#[async_trait]
impl Leases for EmbeddedState {
    async fn try_acquire(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, StateError> {
        Ok(self.leases.try_acquire(key, ttl, self.clock.now()))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StateError> {
        Ok(self.leases.renew(lease, ttl, self.clock.now()))
    }

    async fn release(&self, lease: &Lease) -> Result<(), StateError> {
        self.leases.release(lease);
        Ok(())
    }
}

#[async_trait]
impl Signals for EmbeddedState {
    async fn publish(&self, topic: &str, message: &str) -> Result<(), StateError> {
        self.topics.deliver(topic, message);
        Ok(())
    }

    async fn subscribe(&self, topic: &str) -> Result<Subscription, StateError> {
        Ok(self.topics.join(topic))
    }
}

#[async_trait]
impl Budgets for EmbeddedState {
    async fn try_spend(&self, key: &str, budget: Budget, amount: u64) -> Result<Spent, StateError> {
        Ok(self.budgets.try_spend(key, budget, amount, self.clock.now()))
    }
}

#[async_trait]
impl Caches for EmbeddedState {
    async fn find_cached(&self, key: &str) -> Result<Option<Bytes>, StateError> {
        Ok(self.caches.find(key, self.clock.now()))
    }

    async fn cache(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), StateError> {
        self.caches.store(key, value, self.clock.now() + ttl);
        Ok(())
    }

    async fn forget(&self, key: &str) -> Result<(), StateError> {
        self.caches.forget(key);
        Ok(())
    }
}

#[async_trait]
impl Indexes for EmbeddedState {
    async fn insert(&self, index: &str, member: &str, score: u64) -> Result<(), StateError> {
        let (index, member) = (index.to_owned(), member.to_owned());
        let insert = move |transaction: &_| Ok(IndexTables::open(transaction)?.insert(&index, &member, score)?);
        self.file.write("insert", insert).await
    }

    async fn insert_within(
        &self,
        index: &str,
        member: &str,
        score: u64,
        live_from: u64,
        most: u64,
    ) -> Result<bool, StateError> {
        let (index, member) = (index.to_owned(), member.to_owned());
        self.file
            .write("insert_within", move |transaction| {
                let mut tables = IndexTables::open(transaction)?;
                tables.remove_below(&index, live_from)?;
                if tables.count_others(&index, &member, most)? >= most {
                    return Ok(false);
                }
                tables.insert(&index, &member, score)?;
                Ok(true)
            })
            .await
    }

    async fn remove(&self, index: &str, member: &str) -> Result<(), StateError> {
        let (index, member) = (index.to_owned(), member.to_owned());
        let remove = move |transaction: &_| Ok(IndexTables::open(transaction)?.remove(&index, &member)?);
        self.file.write("remove", remove).await
    }

    async fn range(&self, index: &str, up_to: u64, limit: usize) -> Result<Vec<IndexEntry>, StateError> {
        let index = index.to_owned();
        self.file.read("range", move |transaction| read_range(transaction, &index, up_to, limit)).await
    }
}
