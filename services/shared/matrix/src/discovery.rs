//! Where a server is: server name resolution (Server-Server API), and which server has its
//! media (MSC3859).
//!
//! Owns what is remembered of well-known answers, in this process and for all that share
//! their state. The steps after that are taken where connections are opened.

mod memory;

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use heliograph_leases::State;
use heliograph_types::{Clock, ServerName, Timestamp};
use lru::LruCache;
use url::Url;

use self::memory::{Remembered, next_entry};
use crate::{
    Flights, GuardedClient,
    egress::{DEFAULT_PORT, Host},
    metrics, well_known,
};

/// Well-known answers remembered, about 200 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Media servers that did not work, about 100 bytes each.
const SHUNNED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// How long one is left alone.
const SHUN_FOR: Duration = Duration::from_mins(15);

/// A server to send requests to: a name by which it is looked for, without well-known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    name: ServerName,
    host: Host,
}

impl Destination {
    /// The server that has this very name.
    pub fn new(name: ServerName) -> Result<Self, InvalidHost> {
        let host = Host::read(name.host()).ok_or_else(|| InvalidHost(name.to_string()))?;
        Ok(Self { name, host })
    }

    /// The `Host` header, which has a port only if the name has one.
    pub fn name(&self) -> &ServerName {
        &self.name
    }

    /// The URL of a path and query, to which redirects may be relative.
    pub fn url(&self, target: &str) -> Result<Url, url::ParseError> {
        let (host, port) = (self.name.host(), self.name.port().unwrap_or(DEFAULT_PORT));
        format!("https://{host}:{port}{target}").parse()
    }

    pub(crate) fn host(&self) -> Host {
        self.host.clone()
    }
}

/// Where to ask for media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destinations {
    /// The server that says it has them (MSC3859). It may turn out not to work.
    pub media: Option<Destination>,
    /// Where everything else is asked, and media too if there is no other place.
    pub usual: Destination,
}

/// The name cannot be that of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} cannot be reached: its name is not that of a host")]
pub struct InvalidHost(String);

/// Finds servers.
pub struct Discovery {
    client: GuardedClient,
    clock: Arc<dyn Clock>,
    state: State,
    remembered: Mutex<LruCache<String, Remembered>>,
    shunned: Mutex<LruCache<ServerName, Timestamp>>,
    flights: Flights<String, Remembered>,
}

impl std::fmt::Debug for Discovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discovery").finish_non_exhaustive()
    }
}

impl Discovery {
    /// Asks with `client`; answers are shared through `state`.
    pub fn new(client: GuardedClient, clock: Arc<dyn Clock>, state: State) -> Self {
        let (remembered, shunned) = (Mutex::new(LruCache::new(REMEMBERED)), Mutex::new(LruCache::new(SHUNNED)));
        Self { client, clock, state, remembered, shunned, flights: Flights::default() }
    }

    /// Where to send requests for `server_name`.
    pub async fn find(&self, server_name: &ServerName) -> Result<Destination, InvalidHost> {
        Ok(self.find_for_media(server_name).await?.usual)
    }

    /// Where to send requests for media of `server_name`.
    pub async fn find_for_media(&self, server_name: &ServerName) -> Result<Destinations, InvalidHost> {
        let own = Destination::new(server_name.clone())?;
        if matches!(own.host, Host::Address(_)) || server_name.port().is_some() {
            return Ok(Destinations { media: None, usual: own });
        }
        let Remembered { delegate, media_server, .. } = self.find_answer(server_name.host()).await;
        let usual = delegate.map(Destination::new).transpose()?.unwrap_or(own);
        let media = media_server.filter(|_| !self.is_shunned(server_name)).map(Destination::new).transpose()?;
        // To ask the same server twice helps nobody.
        Ok(Destinations { media: media.filter(|media| *media != usual), usual })
    }

    /// The media server of `server_name` does not work: it is left alone for a while.
    pub fn shun_media_server(&self, server_name: &ServerName) {
        let until = self.clock.now() + SHUN_FOR;
        lock(&self.shunned).put(server_name.clone(), until);
        metrics::discovered("media_server_shunned");
    }

    /// The URL of the server that has the media of `server_name`, for others to be sent there.
    pub async fn locate(&self, server_name: &ServerName) -> Result<Url, String> {
        let found = self.find_for_media(server_name).await.map_err(|error| error.to_string())?;
        self.client.locate(found.media.as_ref().unwrap_or(&found.usual)).await
    }

    fn is_shunned(&self, server_name: &ServerName) -> bool {
        let now = self.clock.now();
        lock(&self.shunned).get(server_name).is_some_and(|until| now < *until)
    }

    async fn find_answer(&self, host: &str) -> Remembered {
        let known = lock(&self.remembered).get(host).cloned();
        match known.filter(|known| self.clock.now() < known.believed_until) {
            Some(known) => known,
            None => self.flights.join(host.to_owned(), || self.refresh(host)).await,
        }
    }

    /// Takes what another instance was told, or asks.
    async fn refresh(&self, host: &str) -> Remembered {
        let shared = memory::find_shared(&self.state, host, self.clock.now()).await;
        let old = shared.or_else(|| lock(&self.remembered).get(host).cloned());
        let (entry, is_new) = match old {
            Some(old) if self.clock.now() < old.believed_until => (old, false),
            old => (self.ask(host, old.as_ref()).await, true),
        };
        lock(&self.remembered).put(host.to_owned(), entry.clone());
        if is_new {
            memory::share(&self.state, host, &entry, self.clock.now()).await;
        }
        entry
    }

    async fn ask(&self, host: &str, old: Option<&Remembered>) -> Remembered {
        let answer = well_known::fetch(&self.client, host, self.clock.now()).await;
        metrics::discovered(if answer.is_some() { "answered" } else { "unanswered" });
        next_entry(old, answer, self.clock.now(), rand::random())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
