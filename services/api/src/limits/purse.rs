//! Shares of buckets that this instance has taken from the shared state.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use heliograph_leases::{Budget, Spent, State};
use lru::LruCache;
use tokio::time::Instant;

/// A share is this part of a bucket: the first refusal comes so much early for each further
/// instance that serves the same caller.
const SHARE: u64 = 20;
/// Buckets that are remembered, about 200 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(50_000).unwrap();

/// What is left of the share of one bucket.
#[derive(Debug, Default)]
struct Purse {
    left: u64,
    /// What is older could have been given out again by now.
    until: Option<Instant>,
}

/// All shares.
pub(super) struct Purses {
    state: State,
    // Each behind a lock of its own, that is held while its bucket is asked: of many requests
    // at once, one takes a share for all.
    purses: Mutex<LruCache<String, Arc<tokio::sync::Mutex<Purse>>>>,
}

impl Purses {
    pub(super) fn new(state: State) -> Self {
        let mut purses = LruCache::unbounded();
        purses.resize(REMEMBERED);
        Self { state, purses: Mutex::new(purses) }
    }

    /// Spends, or says when there will be enough.
    pub(super) async fn spend(&self, key: &str, budget: Budget, amount: u64) -> Result<(), Duration> {
        let purse = self.purse(key);
        let mut purse = purse.lock().await;
        if purse.until.is_none_or(|until| until <= Instant::now()) {
            purse.left = 0;
        }
        if purse.left >= amount {
            purse.left -= amount;
            return Ok(());
        }
        let share = (budget.capacity / SHARE).max(1);
        if share > amount && self.take(key, budget, share).await.is_ok() {
            *purse = Purse { left: purse.left + share - amount, until: Some(Instant::now() + budget.period) };
            return Ok(());
        }
        self.take(key, budget, amount).await
    }

    /// While the state is out of reach, nothing is counted.
    async fn take(&self, key: &str, budget: Budget, amount: u64) -> Result<(), Duration> {
        match self.state.try_spend(key, budget, amount).await {
            Ok(Spent::Yes) => Ok(()),
            Ok(Spent::No { retry_after }) => Err(retry_after),
            Err(error) => {
                tracing::debug!(%error, "a limit is not counted");
                Ok(())
            }
        }
    }

    fn purse(&self, key: &str) -> Arc<tokio::sync::Mutex<Purse>> {
        let mut purses = self.purses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(purse) = purses.get(key) {
            return Arc::clone(purse);
        }
        let purse = Arc::default();
        purses.put(key.to_owned(), Arc::clone(&purse));
        purse
    }
}

#[cfg(test)]
mod tests {
    use heliograph_leases::EmbeddedState;
    use heliograph_types::SystemClock;

    use super::*;

    fn state() -> State {
        Arc::new(EmbeddedState::in_memory(Arc::new(SystemClock)).unwrap())
    }

    fn hourly(capacity: u64) -> Budget {
        Budget { capacity, period: Duration::from_hours(1) }
    }

    async fn count(purses: &Purses, key: &str, budget: Budget, tries: usize) -> usize {
        let tries = (0..tries).map(|_| purses.spend(key, budget, 1));
        futures_util::future::join_all(tries).await.into_iter().flatten().count()
    }

    #[tokio::test]
    async fn of_many_at_once_exactly_as_many_pass_as_there_is_room_for() {
        let purses = Purses::new(state());

        for capacity in [1, 7, 100, 999] {
            assert_eq!(count(&purses, &capacity.to_string(), hourly(capacity), 1500).await as u64, capacity);
        }
    }

    #[tokio::test]
    async fn instances_share_a_bucket_but_for_a_share() {
        let state = state();
        let (one, other) = (Purses::new(State::clone(&state)), Purses::new(state));

        let first = count(&one, "key", hourly(100), 38).await;
        let second = count(&other, "key", hourly(100), 200).await;

        assert_eq!(first, 38);
        assert!((57..=62).contains(&second), "{second}");
    }

    #[tokio::test]
    async fn what_is_refused_says_when_to_come_again() {
        let purses = Purses::new(state());
        purses.spend("key", hourly(60), 60).await.unwrap();

        let wait = purses.spend("key", hourly(60), 30).await.unwrap_err();

        assert!(wait > Duration::from_mins(29) && wait <= Duration::from_mins(30), "{wait:?}");
    }
}
