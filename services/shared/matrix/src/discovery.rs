//! Where a server is: server name resolution (Server-Server API).
//!
//! Owns the cache of well-known answers. SRV records are not asked yet: `Discovery::by_name`
//! is where they come in.

use std::{
    net::IpAddr,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use heliograph_types::{Clock, ServerName, Timestamp};
use lru::LruCache;
use url::Url;

use crate::{
    Flights, GuardedClient,
    well_known::{self, Answer},
};

/// Where federation is spoken unless something else is said.
const DEFAULT_PORT: u16 = 8448;
/// Well-known answers remembered, about 200 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// The first failure is believed for this long, each further one for twice as long.
const FIRST_FAILURE: Duration = Duration::from_mins(1);
const LONGEST_FAILURE: Duration = Duration::from_hours(1);
/// How much longer a good answer is used while its server fails to repeat it.
const STALE: Duration = Duration::from_hours(1);

/// Where to send a request for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// `https://host:port/`. The host is the name in the certificate.
    pub base: Url,
    /// The `Host` header, which has a port only if the name has one.
    pub host_header: String,
}

impl Destination {
    /// The URL of a path and query, taken as they are.
    pub fn url(&self, target: &str) -> Result<Url, url::ParseError> {
        let target = target.strip_prefix('/').unwrap_or(target);
        format!("{}{target}", self.base).parse()
    }
}

/// The name cannot be that of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} cannot be reached: its name is not that of a host")]
pub struct InvalidHost(String);

#[derive(Debug, Clone)]
struct Remembered {
    delegate: Option<ServerName>,
    believed_until: Timestamp,
    /// A good answer outlives failures to repeat it until then.
    usable_until: Timestamp,
    failures: u32,
}

/// Finds servers.
pub struct Discovery {
    client: GuardedClient,
    clock: Arc<dyn Clock>,
    remembered: Mutex<LruCache<String, Remembered>>,
    flights: Flights<String, Option<ServerName>>,
}

impl std::fmt::Debug for Discovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discovery").finish_non_exhaustive()
    }
}

impl Discovery {
    /// Asks with `client`.
    pub fn new(client: GuardedClient, clock: Arc<dyn Clock>) -> Self {
        Self { client, clock, remembered: Mutex::new(LruCache::new(REMEMBERED)), flights: Flights::default() }
    }

    /// Where to send requests for `server_name`.
    pub async fn find(&self, server_name: &ServerName) -> Result<Destination, InvalidHost> {
        if is_address(server_name) || server_name.port().is_some() {
            return Self::by_name(server_name);
        }
        let delegate = self.find_delegate(server_name.host()).await;
        Self::by_name(delegate.as_ref().unwrap_or(server_name))
    }

    /// The steps after well-known. A name without a port would be looked up as SRV
    /// `_matrix-fed._tcp`, then `_matrix._tcp`, before the default port is taken.
    fn by_name(name: &ServerName) -> Result<Destination, InvalidHost> {
        let (host, port) = (name.host(), name.port().unwrap_or(DEFAULT_PORT));
        let base = format!("https://{host}:{port}/").parse().map_err(|_| InvalidHost(name.to_string()))?;
        Ok(Destination { base, host_header: name.to_string() })
    }

    async fn find_delegate(&self, host: &str) -> Option<ServerName> {
        if let Some(known) = self.find_remembered(host)
            && self.clock.now() < known.believed_until
        {
            return known.delegate;
        }
        self.flights.join(host.to_owned(), || self.fetch_delegate(host)).await
    }

    async fn fetch_delegate(&self, host: &str) -> Option<ServerName> {
        let answer = well_known::fetch(&self.client, host, self.clock.now()).await;
        let entry = next_entry(self.find_remembered(host).as_ref(), answer, self.clock.now(), rand::random());
        let delegate = entry.delegate.clone();
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).put(host.to_owned(), entry);
        delegate
    }

    fn find_remembered(&self, host: &str) -> Option<Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }
}

fn is_address(name: &ServerName) -> bool {
    name.host().starts_with('[') || name.host().parse::<IpAddr>().is_ok()
}

/// What to remember after an answer. `luck` from 0 to 1 spreads the next questions.
fn next_entry(old: Option<&Remembered>, answer: Option<Answer>, now: Timestamp, luck: f64) -> Remembered {
    if let Some(Answer { delegate, fresh_for }) = answer {
        let believed_until = now + jittered(fresh_for, luck);
        let usable_until = believed_until + STALE;
        return Remembered { delegate: Some(delegate), believed_until, usable_until, failures: 0 };
    }
    let failures = old.map_or(0, |old| old.failures);
    let pause = FIRST_FAILURE.saturating_mul(1 << failures.min(10)).min(LONGEST_FAILURE);
    let still_good = old.filter(|old| old.delegate.is_some() && now < old.usable_until);
    Remembered {
        delegate: still_good.and_then(|old| old.delegate.clone()),
        believed_until: now + jittered(pause, luck),
        usable_until: still_good.map_or(now, |old| old.usable_until),
        failures: failures.saturating_add(1),
    }
}

/// 90 to 110 %.
fn jittered(span: Duration, luck: f64) -> Duration {
    span.mul_f64(0.9 + 0.2 * luck.clamp(0.0, 1.0))
}
