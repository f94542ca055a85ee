//! The keys of other servers: fetched, checked, remembered.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use heliograph_matrix::{Discovery, Flights, GuardedClient, KeyDocument, KeyId, MOST_KEY_DOCUMENT_BYTES, read_body};
use heliograph_proto::FoundKey;
use heliograph_types::{Clock, ErrorCode, Failure, ServerName, Timestamp};
use lru::LruCache;
use reqwest::StatusCode;
use tokio::{runtime::Handle, sync::Semaphore, task::JoinHandle, time::timeout};
use tokio_util::task::TaskTracker;

use crate::metrics;

/// Servers whose keys are remembered, about 500 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Fetches in progress, each up to 100 KiB. Strangers name the servers that are asked, so
/// slow ones made up for it must not keep us from those that we know: they have their own
/// room.
const MOST_FETCHES: usize = 256;
const MOST_FETCHES_OF_KNOWN: usize = 64;
/// The first failure is believed for this long, each further one for twice as long.
const FIRST_FAILURE: Duration = Duration::from_secs(30);
const LONGEST_FAILURE: Duration = Duration::from_mins(15);
/// How often an unknown key id makes us ask again.
const ASK_AGAIN_EVERY: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Default)]
struct Remembered {
    document: Option<KeyDocument>,
    failures: u32,
    /// Why the last attempt failed.
    failure: Option<Failure>,
    /// Not to be asked again before.
    ask_again_at: Timestamp,
    /// From then on the keys are fetched anew although they are still valid: so a server
    /// that is out of reach for a moment is not missed.
    renew_at: Timestamp,
}

impl Remembered {
    fn find(&self, key_id: &KeyId, now: Timestamp) -> Option<FoundKey> {
        let document = self.document.as_ref().filter(|document| now < document.valid_until)?;
        let public_key = *document.keys.get(key_id)?;
        Some(FoundKey { public_key, valid_until: document.valid_until })
    }

    /// What to answer for a key that is not known while the server is not to be asked.
    fn answer_unknown(&self) -> Result<Option<FoundKey>, Failure> {
        self.failure.clone().map_or(Ok(None), Err)
    }
}

/// Finds keys.
pub(crate) struct KeyFinder {
    client: GuardedClient,
    discovery: Arc<Discovery>,
    clock: Arc<dyn Clock>,
    remembered: Mutex<LruCache<ServerName, Remembered>>,
    flights: Flights<ServerName, Remembered>,
    room: Semaphore,
    room_for_known: Semaphore,
    tasks: TaskTracker,
    /// Where keys are fetched: callers and their runtimes may end first.
    runtime: Handle,
}

impl KeyFinder {
    pub(crate) fn new(
        client: GuardedClient,
        discovery: Arc<Discovery>,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
        runtime: Handle,
    ) -> Self {
        Self {
            tasks,
            runtime,
            client,
            discovery,
            clock,
            remembered: Mutex::new(LruCache::new(REMEMBERED)),
            flights: Flights::default(),
            room: Semaphore::new(MOST_FETCHES),
            room_for_known: Semaphore::new(MOST_FETCHES_OF_KNOWN),
        }
    }

    /// A key that is valid now; `None` if the server does not have it.
    pub(crate) async fn find(
        self: &Arc<Self>,
        server_name: &ServerName,
        key_id: &KeyId,
    ) -> Result<Option<FoundKey>, Failure> {
        let now = self.clock.now();
        if let Some(remembered) = self.remembered().get(server_name) {
            if let Some(found) = remembered.find(key_id, now) {
                if now >= remembered.renew_at.max(remembered.ask_again_at) {
                    // Nobody waits for it.
                    drop(self.share_refresh(server_name));
                }
                return Ok(Some(found));
            }
            if now < remembered.ask_again_at {
                return remembered.answer_unknown();
            }
        }
        let fetched = self.share_refresh(server_name).await;
        let fetched = fetched.map_err(|_| Failure::internal("fetching keys ended without a result"))?;
        fetched.find(key_id, self.clock.now()).map_or_else(|| fetched.answer_unknown(), |found| Ok(Some(found)))
    }

    /// Fetches, or waits for a fetch in progress; goes on when nobody waits any more.
    fn share_refresh(self: &Arc<Self>, server_name: &ServerName) -> JoinHandle<Remembered> {
        let (this, server_name) = (Arc::clone(self), server_name.clone());
        let shared = async move { this.flights.join(server_name.clone(), || this.refresh(&server_name)).await };
        self.tasks.spawn_on(shared, &self.runtime)
    }

    fn remembered(&self) -> MutexGuard<'_, LruCache<ServerName, Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn refresh(&self, server_name: &ServerName) -> Remembered {
        let known = self.remembered().get(server_name).cloned();
        // Another caller's fetch may have ended since this one looked.
        if let Some(known) = known.as_ref().filter(|known| self.clock.now() < known.ask_again_at) {
            return known.clone();
        }
        let is_known = known.is_some_and(|known| known.document.is_some());
        let room = if is_known { &self.room_for_known } else { &self.room };
        let Ok(_room) = room.try_acquire() else {
            metrics::limited("key_fetches");
            let failure = Failure::saturated("too many keys are being fetched", Duration::from_secs(5));
            return Remembered { failure: Some(failure), ..Remembered::default() };
        };
        let fetched = timeout(FETCH_TIMEOUT, self.fetch(server_name)).await;
        let fetched = fetched.unwrap_or_else(|_| Err("timed out".to_owned()));
        metrics::keys_fetched(if fetched.is_ok() { "fetched" } else { "failed" });
        let old = self.remembered().get(server_name).cloned().unwrap_or_default();
        let next = next_entry(server_name, old, fetched, self.clock.now());
        self.remembered().put(server_name.clone(), next.clone());
        next
    }

    async fn fetch(&self, server_name: &ServerName) -> Result<KeyDocument, String> {
        let destination = self.discovery.find(server_name).await.map_err(|error| error.to_string())?;
        let request = self.client.get_from(&destination, "/_matrix/key/v2/server");
        let response = request.map_err(|error| error.to_string())?.send().await.map_err(|error| error.to_string())?;
        if response.status() != StatusCode::OK {
            return Err(format!("answered {}", response.status()));
        }
        let body = read_body(response, MOST_KEY_DOCUMENT_BYTES).await.map_err(|error| error.to_string())?;
        KeyDocument::check(&body, server_name, self.clock.now()).map_err(|error| error.reason)
    }
}

/// What to remember after an attempt.
fn next_entry(
    server_name: &ServerName,
    old: Remembered,
    fetched: Result<KeyDocument, String>,
    now: Timestamp,
) -> Remembered {
    match fetched {
        Ok(document) => {
            let document = keep_known_keys(server_name, old.document, document, now);
            let renew_at = now + document.valid_until.since(now) / 2;
            let ask_again_at = now + ASK_AGAIN_EVERY;
            Remembered { document: Some(document), failures: 0, failure: None, ask_again_at, renew_at }
        }
        Err(reason) => {
            tracing::info!(%server_name, reason, "the keys of a server could not be fetched");
            let pause = FIRST_FAILURE.saturating_mul(1 << old.failures.min(10)).min(LONGEST_FAILURE);
            let failure = Failure::new(ErrorCode::BadGateway, format!("the keys of {server_name} cannot be fetched"));
            Remembered {
                document: old.document,
                failures: old.failures.saturating_add(1),
                failure: Some(failure.retry_after(pause)),
                ask_again_at: now + pause,
                renew_at: old.renew_at,
            }
        }
    }
}

/// A key does not change under its id while it is valid: who could do that could as well
/// have the server's name for a moment only. What is kept is not valid for longer than it
/// was, so that a server gets its way in the end.
fn keep_known_keys(
    server_name: &ServerName,
    old: Option<KeyDocument>,
    mut new: KeyDocument,
    now: Timestamp,
) -> KeyDocument {
    let Some(old) = old.filter(|old| now < old.valid_until) else { return new };
    for (key_id, known) in old.keys {
        if let Some(key) = new.keys.get_mut(&key_id).filter(|key| **key != known) {
            tracing::warn!(%server_name, %key_id, "a server has changed a key that is still valid: the old one is kept");
            *key = known;
            new.valid_until = new.valid_until.min(old.valid_until);
        }
    }
    new
}
