//! State that instances share and that may be lost: leases, signals, budgets, caches, indexes,
//! ledgers, queues.
//!
//! Each kind is a trait with two back ends: embedded (one process, memory and one file) and
//! Redis. Nothing here is the truth about media: the bucket is. A lease saves work, it is
//! not what makes us right.

mod budget;
mod cache;
mod config;
mod consume;
mod embedded;
mod error;
mod index;
mod lease;
mod ledger;
mod measure;
mod queue;
mod redis;
mod signal;
#[cfg(test)]
mod suite;
mod topics;

use std::sync::Arc;

pub use self::redis::{RedisFacts, RedisForm, RedisState, ServerFacts};
pub use budget::{Budget, Budgets, Spent};
pub use cache::Caches;
pub use config::StateConfig;
pub use consume::{Consuming, Worked, Worker, consume, enqueue, new_consumer_name, retry};
pub use embedded::{EmbeddedState, StateFile, look_at_state_file};
pub use error::StateError;
pub use index::{IndexEntry, Indexes, MARKS};
pub use lease::{Lease, Leases};
pub use ledger::{Allowance, Exceeded, Holdings, LedgerEntry, Ledgers};
pub use queue::{Again, CONSUMER_GROUP, Consumer, InvalidJobId, Job, JobAside, JobId, QueueStanding, Queues};
pub use signal::{Signals, Subscription};

/// One back end of every kind.
pub trait StateBackend: Leases + Signals + Budgets + Caches + Indexes + Ledgers + Queues {}
impl<T: Leases + Signals + Budgets + Caches + Indexes + Ledgers + Queues> StateBackend for T {}

/// The shared state, as services hold it.
pub type State = Arc<dyn StateBackend>;
