//! One back end under test, and a way to let time pass for it.

use std::{ops::Deref, sync::Arc, time::Duration};

use heliograph_types::{ManualClock, Secret, Timestamp};
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::server::RedisServer;
use crate::{EmbeddedState, RedisState, State, StateConfig};

/// A back end; acts as its state.
pub(super) struct Bench {
    state: State,
    clock: Option<Arc<ManualClock>>,
    _server: Option<RedisServer>,
}

impl Bench {
    pub(super) fn over_memory() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let state = EmbeddedState::in_memory(clock.clone()).unwrap();
        Self { state: Arc::new(state), clock: Some(clock), _server: None }
    }

    pub(super) fn over_redis(server: RedisServer) -> Self {
        Self { state: Arc::new(connect(&server)), clock: None, _server: Some(server) }
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

/// A client of a test server. Patient: the machine may be busy.
pub(super) fn connect(server: &RedisServer) -> RedisState {
    connect_within(server, Duration::from_secs(20))
}

/// A client of a test server with that timeout.
pub(super) fn connect_within(server: &RedisServer, timeout: Duration) -> RedisState {
    let config = StateConfig { redis_url: Some(Secret::new(server.url())), timeout, ..StateConfig::default() };
    RedisState::connect(&config, &TaskTracker::new(), CancellationToken::new()).unwrap()
}
