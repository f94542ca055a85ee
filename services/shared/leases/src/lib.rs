//! State that instances share and that may be lost: leases, signals, budgets, caches, indexes,
//! ledgers.
//!
//! Each kind is a trait with two back ends: embedded (one process, memory and one file) and
//! Redis. Nothing here is the truth about media: the bucket is. A lease saves work, it is
//! not what makes us right.

mod budget;
mod cache;
mod config;
mod embedded;
mod error;
mod index;
mod lease;
mod ledger;
mod measure;
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
pub use embedded::{EmbeddedState, StateFile, look_at_state_file};
pub use error::StateError;
pub use index::{IndexEntry, Indexes};
pub use lease::{Lease, Leases};
pub use ledger::{Allowance, Exceeded, Holdings, LedgerEntry, Ledgers};
pub use signal::{Signals, Subscription};

/// One back end of every kind.
pub trait StateBackend: Leases + Signals + Budgets + Caches + Indexes + Ledgers {}
impl<T: Leases + Signals + Budgets + Caches + Indexes + Ledgers> StateBackend for T {}

/// The shared state, as services hold it.
pub type State = Arc<dyn StateBackend>;
