//! The keys of other servers: fetched, checked, remembered, shared.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use heliograph_leases::State;
use heliograph_matrix::{Flights, KeyDocument, KeyId};
use heliograph_proto::FoundKey;
use heliograph_types::{Clock, ErrorCode, Failure, ServerName, Timestamp};
use lru::LruCache;
use tokio::{runtime::Handle, sync::Semaphore, task::JoinHandle, time::timeout};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::{
    key_source::KeySource,
    metrics,
    shared_keys::{self, SharedKeys},
};

/// Servers whose keys are remembered, about 500 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();
/// For asking a server, and again for asking all notaries.
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

    fn is_valid(&self, now: Timestamp) -> bool {
        self.document.as_ref().is_some_and(|document| now < document.valid_until)
    }

    /// Whether nothing would be gained by asking now.
    fn is_enough(&self, key_id: &KeyId, now: Timestamp) -> bool {
        now < self.ask_again_at || (now < self.renew_at && self.find(key_id, now).is_some())
    }

    /// What to answer for a key that is not known while the server is not to be asked.
    fn answer_unknown(&self) -> Result<Option<FoundKey>, Failure> {
        self.failure.clone().map_or(Ok(None), Err)
    }
}

impl From<SharedKeys> for Remembered {
    fn from(SharedKeys { document, ask_again_at, renew_at }: SharedKeys) -> Self {
        Self { document: Some(document), ask_again_at, renew_at, ..Self::default() }
    }
}

/// Finds keys.
pub(crate) struct KeyFinder {
    source: KeySource,
    /// Who is asked for the keys of those who do not give them.
    notaries: Vec<ServerName>,
    state: State,
    clock: Arc<dyn Clock>,
    remembered: Mutex<LruCache<ServerName, Remembered>>,
    flights: Flights<ServerName, Remembered>,
    /// For the keys of notaries, which are never asked for at other notaries: so nobody waits
    /// in a circle.
    notary_flights: Flights<ServerName, Remembered>,
    room: Semaphore,
    room_for_known: Semaphore,
    tasks: TaskTracker,
    /// Where keys are fetched: callers and their runtimes may end first.
    runtime: Handle,
}

impl KeyFinder {
    pub(crate) fn new(
        source: KeySource,
        notaries: Vec<ServerName>,
        state: State,
        tasks: TaskTracker,
        runtime: Handle,
    ) -> Self {
        Self {
            tasks,
            runtime,
            clock: Arc::clone(&source.clock),
            source,
            notaries,
            state,
            remembered: Mutex::new(LruCache::new(REMEMBERED)),
            flights: Flights::default(),
            notary_flights: Flights::default(),
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
                    drop(self.share_refresh(server_name, key_id));
                }
                return Ok(Some(found));
            }
            if now < remembered.ask_again_at {
                return remembered.answer_unknown();
            }
        }
        let fetched = self.share_refresh(server_name, key_id).await;
        let fetched = fetched.map_err(|_| Failure::internal("fetching keys ended without a result"))?;
        fetched.find(key_id, self.clock.now()).map_or_else(|| fetched.answer_unknown(), |found| Ok(Some(found)))
    }

    /// Fetches, or waits for a fetch in progress; goes on when nobody waits any more.
    fn share_refresh(self: &Arc<Self>, server_name: &ServerName, key_id: &KeyId) -> JoinHandle<Remembered> {
        let (this, server_name, key_id) = (Arc::clone(self), server_name.clone(), key_id.clone());
        let shared =
            async move { this.flights.join(server_name.clone(), || this.refresh(&server_name, &key_id)).await };
        self.tasks.spawn_on(shared.in_current_span(), &self.runtime)
    }

    fn remembered(&self) -> MutexGuard<'_, LruCache<ServerName, Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find_remembered(&self, server_name: &ServerName) -> Option<Remembered> {
        self.remembered().get(server_name).cloned()
    }

    async fn refresh(&self, server_name: &ServerName, key_id: &KeyId) -> Remembered {
        let known = self.find_known(server_name, key_id).await;
        if let Some(known) = known.as_ref().filter(|known| known.is_enough(key_id, self.clock.now())) {
            return known.clone();
        }
        let is_known = known.is_some_and(|known| known.document.is_some());
        let room = if is_known { &self.room_for_known } else { &self.room };
        let Ok(_room) = room.try_acquire() else {
            metrics::limited("key_fetches");
            let failure = Failure::saturated("too many keys are being fetched", Duration::from_secs(5));
            return Remembered { failure: Some(failure), ..Remembered::default() };
        };
        let fetched = match self.fetch(server_name).await {
            Err(reason) if !self.notaries.is_empty() => {
                let queried = timeout(FETCH_TIMEOUT, self.ask_notaries(server_name, key_id)).await;
                let queried = queried.unwrap_or_else(|_| Err("the notaries timed out".to_owned()));
                queried.map_err(|more| format!("{reason}; {more}"))
            }
            fetched => fetched,
        };
        self.remember(server_name, fetched).await
    }

    /// What this instance remembers, or else another. Another caller's fetch may have ended
    /// since this one looked.
    async fn find_known(&self, server_name: &ServerName, key_id: &KeyId) -> Option<Remembered> {
        let (known, now) = (self.find_remembered(server_name), self.clock.now());
        if known.as_ref().is_some_and(|known| known.is_enough(key_id, now)) {
            return known;
        }
        let shared = shared_keys::find(&self.state, server_name, now).await.map(Remembered::from);
        let is_newer = |shared: &Remembered| known.as_ref().is_none_or(|known| known.renew_at < shared.renew_at);
        let Some(shared) = shared.filter(is_newer) else { return known };
        self.remembered().put(server_name.clone(), shared.clone());
        Some(shared)
    }

    /// Asks the server itself.
    async fn fetch(&self, server_name: &ServerName) -> Result<KeyDocument, String> {
        let fetched = timeout(FETCH_TIMEOUT, self.source.fetch(server_name)).await;
        let fetched = fetched.unwrap_or_else(|_| Err("timed out".to_owned()));
        metrics::keys_fetched(if fetched.is_ok() { "fetched" } else { "failed" });
        fetched
    }

    /// Asks the notaries until one has the keys.
    async fn ask_notaries(&self, server_name: &ServerName, key_id: &KeyId) -> Result<KeyDocument, String> {
        let mut reasons = Vec::new();
        for notary in self.notaries.iter().filter(|notary| *notary != server_name) {
            let queried = match self.find_notary_keys(notary).await {
                Some(keys) => self.source.query((notary, &keys), (server_name, key_id)).await,
                None => Err("its own keys cannot be had".to_owned()),
            };
            metrics::keys_fetched(if queried.is_ok() { "notary_fetched" } else { "notary_failed" });
            match queried {
                Ok(document) => return Ok(document),
                Err(reason) => reasons.push(format!("notary {notary}: {reason}")),
            }
        }
        Err(reasons.join("; "))
    }

    /// The keys of a notary, asked of itself alone.
    async fn find_notary_keys(&self, notary: &ServerName) -> Option<KeyDocument> {
        let is_usable =
            |known: &Remembered, now| now < known.ask_again_at || (known.is_valid(now) && now < known.renew_at);
        let known = self.notary_flights.join(notary.clone(), || async {
            match self.find_remembered(notary).filter(|known| is_usable(known, self.clock.now())) {
                Some(known) => known,
                None => self.remember(notary, self.fetch(notary).await).await,
            }
        });
        let known = known.await;
        known.document.filter(|document| self.clock.now() < document.valid_until)
    }

    /// Keeps the result of an attempt, here and for the other instances.
    async fn remember(&self, server_name: &ServerName, fetched: Result<KeyDocument, String>) -> Remembered {
        let (old, now) = (self.find_remembered(server_name).unwrap_or_default(), self.clock.now());
        let is_new = fetched.is_ok();
        let next = next_entry(server_name, old, fetched, now);
        self.remembered().put(server_name.clone(), next.clone());
        if let Some(document) = next.document.clone().filter(|_| is_new) {
            let keys = SharedKeys { document, ask_again_at: next.ask_again_at, renew_at: next.renew_at };
            shared_keys::store(&self.state, server_name, &keys, now).await;
        }
        next
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
