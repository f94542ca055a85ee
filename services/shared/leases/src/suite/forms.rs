//! Several real servers that are one Redis together, and one that trusts nobody.

mod authority;
mod cluster;
mod secured;
mod watched;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use heliograph_types::Secret;

pub(super) use self::{
    authority::{Authority, Papers},
    cluster::Cluster,
    secured::Secured,
    watched::Watched,
};
use super::server::RedisServer;
use crate::StateConfig;

/// The password of the servers.
pub(super) const PASSWORD: &str = "hunter2";

/// How long a server may be silent, in ms, before others take it for lost. On a busy machine any may be
/// for a while: only while one is lost indeed, those who watch it are impatient.
const PATIENT: u32 = 600_000;
const IMPATIENT: u32 = 1000;

/// What one running example of is enough for many tests, while any of them uses it.
pub(super) struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    /// The one that runs, or else a new one.
    pub(super) fn get(&self, start: impl FnOnce() -> Option<T>) -> Option<Arc<T>> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = current.upgrade() {
            return Some(running);
        }
        let started = Arc::new(start()?);
        *current = Arc::downgrade(&started);
        Some(started)
    }
}

/// Where a test finds its Redis.
pub(super) trait Redis: Send + Sync + 'static {
    /// The settings for it.
    fn config(&self) -> StateConfig;
}

impl Redis for RedisServer {
    fn config(&self) -> StateConfig {
        StateConfig { redis_url: Some(Secret::new(self.url())), ..StateConfig::default() }
    }
}

/// Words of a command line.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Says something to a server that it must agree to.
fn order(server: &RedisServer, command: &str) {
    assert_eq!(server.tell(command), "+OK\r\n", "{command}");
}
