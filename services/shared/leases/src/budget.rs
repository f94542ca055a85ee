//! Rates: so much at once, so much per time.

use std::time::Duration;

use async_trait::async_trait;

use crate::StateError;

/// A bucket of `capacity` that refills evenly within `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// What may be spent at once; at least 1.
    pub capacity: u64,
    /// How long an empty bucket takes to be full again.
    pub period: Duration,
}

/// Whether there was enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    /// It was taken.
    Yes,
    /// Nothing was taken; there will be enough after this span.
    No {
        /// How long to wait.
        retry_after: Duration,
    },
}

/// Keeps budgets, shared by all instances.
#[async_trait]
pub trait Budgets: Send + Sync + 'static {
    /// Spends `amount` of the budget of `key` if there is enough. More than the capacity is
    /// taken as the capacity, so that a large amount empties the bucket but can pass.
    async fn try_spend(&self, key: &str, budget: Budget, amount: u64) -> Result<Spent, StateError>;
}
