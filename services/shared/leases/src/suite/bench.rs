//! One back end under test, and a way to let time pass for it.

use std::{
    any::Any,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{
    StreamExt,
    future::{self, BoxFuture},
    stream,
};
use heliograph_types::{ManualClock, Secret, Timestamp};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{forms::Redis, server::RedisServer};
use crate::{EmbeddedState, RedisState, State, StateConfig};

/// A back end; acts as its state.
pub(super) struct Bench {
    state: State,
    clock: Option<Arc<ManualClock>>,
    _server: Option<Arc<dyn Any + Send + Sync>>,
}

/// Tests that share a Redis have different keys.
static PREFIXES: AtomicU32 = AtomicU32::new(0);

impl Bench {
    pub(super) fn over_memory() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let state = EmbeddedState::in_memory(clock.clone()).unwrap();
        Self { state: Arc::new(state), clock: Some(clock), _server: None }
    }

    /// Over a Redis that others use as well.
    pub(super) fn over(redis: Arc<impl Redis>) -> Self {
        let key_prefix = format!("test{}:", PREFIXES.fetch_add(1, Ordering::Relaxed));
        let config = StateConfig { key_prefix, ..redis.config() };
        Self { state: Arc::new(connect_as(config)), clock: None, _server: Some(redis) }
    }

    /// Lets time pass: for Redis there is no way but to wait, and longer than by our clock,
    /// because Redis looks at its own only now and then.
    pub(super) async fn pass(&self, span: Duration) {
        match &self.clock {
            Some(clock) => clock.advance(span),
            None => tokio::time::sleep(span + Duration::from_millis(100)).await,
        }
    }

    /// Calls `work` that often at once; the answers in no order.
    pub(super) async fn at_once<T, F>(&self, times: usize, work: impl Fn(State, usize) -> F) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let callers: JoinSet<T> = (0..times).map(|caller| work(Arc::clone(&self.state), caller)).collect();
        callers.join_all().await
    }
}

impl Deref for Bench {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

/// More would be in each other's way.
const AT_A_TIME: usize = 6;

/// Runs tests that may run beside each other; which of them failed is told.
pub(super) async fn run_some_at_a_time(tests: Vec<(&'static str, BoxFuture<'static, ()>)>) {
    let tasks = TaskTracker::new();
    let run = |(name, test)| {
        let task = tasks.spawn(test);
        async move { task.await.is_err().then_some(name) }
    };
    let failed: Vec<_> =
        stream::iter(tests).map(run).buffer_unordered(AT_A_TIME).filter_map(future::ready).collect().await;
    assert!(failed.is_empty(), "{failed:?}");
}

/// The timeout of a client that may lose an answer: longer than a busy machine takes for one.
pub(super) const IMPATIENT: Duration = Duration::from_secs(2);

/// A client with these settings. Patient: the machine may be busy.
pub(super) fn connect_as(config: StateConfig) -> RedisState {
    let config = StateConfig { timeout: Duration::from_secs(20), ..config };
    RedisState::connect(&config, &TaskTracker::new(), CancellationToken::new()).unwrap()
}

/// A client of a test server. Patient: the machine may be busy.
pub(super) fn connect(server: &RedisServer) -> RedisState {
    connect_within(server, Duration::from_secs(20))
}

/// A client of a test server with that timeout.
pub(super) fn connect_within(server: &RedisServer, timeout: Duration) -> RedisState {
    let config = StateConfig { redis_url: Some(Secret::new(server.url())), timeout, ..StateConfig::default() };
    RedisState::connect(&config, &TaskTracker::new(), CancellationToken::new()).unwrap()
}
