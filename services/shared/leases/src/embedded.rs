//! The state of one process: memory, and one file for the indexes and ledgers.
//!
//! Leases, signals, budgets, caches and queues are gone with the process, as they may be. Their steps
//! are short and under a mutex; only the index file blocks, and it does so off async threads. What needs no
//! answer is written behind, in its order, by a thread that sleeps otherwise.

mod bounds;
mod budgets;
mod caches;
mod index_file;
#[cfg(test)]
mod index_model;
mod index_tables;
mod leases;
#[cfg(test)]
mod ledger_model;
mod ledger_stretches;
mod ledger_tables;
mod ledgers;
mod look;
mod opening;
mod queues;
mod standing;
mod tables;
mod waiting;
mod writer;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use heliograph_types::Clock;

pub use self::look::{StateFile, look_at_state_file};
use self::{
    bounds::Touch,
    budgets::BudgetBook,
    caches::CacheBook,
    index_file::IndexFile,
    index_tables::{Insertion, read_range},
    leases::LeaseBook,
    queues::QueueBook,
    tables::Tables,
    waiting::About,
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
        let about = About::index("insert", index, member, Touch::Adds);
        let (index, member) = (index.to_owned(), member.to_owned());
        let insert = move |tables: &mut Tables<'_>| Ok(tables.indexes()?.insert(&index, &member, score)?);
        self.file.write_behind(about, insert).await
    }

    async fn insert_within(
        &self,
        index: &str,
        member: &str,
        score: u64,
        live_from: u64,
        most: u64,
    ) -> Result<bool, StateError> {
        let about = About::index("insert_within", index, member, Touch::AddsWithin);
        let insertion = Insertion { index: index.to_owned(), member: member.to_owned(), score, live_from, most };
        let insert = move |tables: &mut Tables<'_>| Ok(tables.indexes()?.insert_within(&insertion)?);
        self.file.write_within(about, most, insert).await
    }

    async fn remove(&self, index: &str, member: &str) -> Result<(), StateError> {
        let about = About::index("remove", index, member, Touch::Removes);
        let (index, member) = (index.to_owned(), member.to_owned());
        let remove = move |tables: &mut Tables<'_>| Ok(tables.indexes()?.remove(&index, &member)?);
        self.file.write_behind(about, remove).await
    }

    async fn range(&self, index: &str, up_to: u64, limit: usize) -> Result<Vec<IndexEntry>, StateError> {
        let index = index.to_owned();
        self.file.read("range", move |transaction| read_range(transaction, &index, up_to, limit)).await
    }
}
