//! Answers of yes or no, remembered for a time and asked for once at a time.

use std::{
    hash::Hash,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use heliograph_types::{Clock, Timestamp};
use lru::LruCache;

use crate::{AuthError, Flights};

/// Answers by key. Failures are not remembered.
pub(crate) struct Recent<K: Eq + Hash + Clone> {
    clock: Arc<dyn Clock>,
    known: Mutex<LruCache<K, (bool, Timestamp)>>,
    flights: Flights<K, Result<bool, AuthError>>,
}

impl<K: Eq + Hash + Clone> Recent<K> {
    pub(crate) fn new(most: NonZeroUsize, clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::new(LruCache::new(most)), flights: Flights::default() }
    }

    /// What is known, or else what `ask` says, which is believed for `ttl` from the question on.
    pub(crate) async fn find_or_ask<F>(&self, key: K, ttl: Duration, ask: impl FnOnce() -> F) -> Result<bool, AuthError>
    where
        F: Future<Output = Result<bool, AuthError>>,
    {
        let now = self.clock.now();
        if let Some((answer, _)) = self.known().get(&key).filter(|(_, until)| now < *until) {
            return Ok(*answer);
        }
        let attempt = || async {
            let answer = ask().await?;
            self.known().put(key.clone(), (answer, now + ttl));
            Ok(answer)
        };
        self.flights.join(key.clone(), attempt).await
    }

    fn known(&self) -> MutexGuard<'_, LruCache<K, (bool, Timestamp)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
