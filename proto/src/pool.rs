//! The instances of a role, and which of them a call goes to.
//!
//! A name lists the instances; it is looked up again every few seconds, and at once when one
//! fails. A call goes to the instance that its key belongs to ([`crate::placement`]), to the next
//! one in the order of the key if that one is left out, and on from one that fails as far as that
//! is safe ([`Route`]). One that has failed is left out for a while, then one call tries it.

mod fate;
mod metrics;
mod names;
mod route;
mod standing;
#[cfg(test)]
mod tests;
mod tour;

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use futures_util::future::select_ok;
use tokio::{
    net::TcpStream,
    runtime::Handle,
    sync::{Mutex as AsyncMutex, Notify},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use url::Url;

pub use self::names::{Names, SystemNames, find_instances};
pub(crate) use self::route::Route;
use self::standing::Standing;
use crate::{
    link::{Connection, Link},
    placement::{RouteKey, in_order},
};

/// So long apart are two looks at the names at least, however many calls fail.
const LEAST_PAUSE: Duration = Duration::from_millis(250);
/// How many instances are asked whether they are there; one is enough.
const MOST_KNOCKS: usize = 4;
const KNOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// The instances of a role. Clones are the same ones.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    role: &'static str,
    urls: Vec<Url>,
    patience: Duration,
    names: Arc<dyn Names>,
    /// Connections live here, whoever makes the first call.
    runtime: Handle,
    instances: RwLock<Arc<[Arc<Instance>]>>,
    looked_up: AsyncMutex<LookedUp>,
    wants_names: Notify,
}

/// The last look at the names.
#[derive(Default)]
struct LookedUp {
    /// When it began, and when it ended.
    at: Option<(Instant, Instant)>,
    has_failed: bool,
}

/// One process of the role.
struct Instance {
    address: SocketAddr,
    /// The address as text: what keys are placed by.
    name: String,
    channel: Channel,
    standing: Mutex<Standing>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("role", &self.0.role).field("instances", &self.addresses()).finish_non_exhaustive()
    }
}

impl Instance {
    fn connection(&self) -> Connection {
        Link::over(self.channel.clone()).0
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// The instances of `role` behind `urls` (`http://host:port`). Each call has `patience` until
    /// its head arrives. Nothing is looked up before the first call, or [`Self::follow_names`].
    /// Inside the runtime on which connections are to live.
    pub fn new(role: &'static str, urls: Vec<Url>, patience: Duration) -> Self {
        Self::with_names(role, urls, patience, Arc::new(SystemNames))
    }

    /// The same with addresses from somebody else than the system.
    pub fn with_names(role: &'static str, urls: Vec<Url>, patience: Duration, names: Arc<dyn Names>) -> Self {
        Self(Arc::new(Inner {
            role,
            urls,
            patience,
            names,
            runtime: Handle::current(),
            instances: RwLock::new(Arc::new([])),
            looked_up: AsyncMutex::default(),
            wants_names: Notify::new(),
        }))
    }

    /// The addresses that are known now.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.instances().iter().map(|instance| instance.address).collect()
    }

    /// Keeps up with which instances there are: looks every so often, and when a call has failed.
    /// A background task.
    pub async fn follow_names(self, every: Duration, idle: CancellationToken) {
        let keep_up = async {
            loop {
                self.look_up().await;
                tokio::select! {
                    () = sleep(every) => {}
                    () = self.0.wants_names.notified() => sleep(LEAST_PAUSE).await,
                }
            }
        };
        idle.run_until_cancelled(keep_up).await;
    }

    /// Whether any instance is there. The error is for the operator.
    pub async fn reach(&self) -> Result<(), String> {
        if self.instances().is_empty() {
            self.look_up().await;
        }
        let mut instances = self.instances().to_vec();
        if instances.is_empty() {
            return Err(find_instances(&self.0.urls, &*self.0.names).await.err().unwrap_or_default());
        }
        instances.sort_by_key(|instance| instance.standing().is_out());
        let knocks = instances.into_iter().take(MOST_KNOCKS).map(|instance| Box::pin(knock(instance.address)));
        select_ok(knocks).await.map(drop)
    }

    fn instances(&self) -> Arc<[Arc<Instance>]> {
        Arc::clone(&self.0.instances.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the names, unless that was done just now. Without an answer all stays as it is.
    async fn look_up(&self) {
        let mut looked_up = self.0.looked_up.lock().await;
        if looked_up.at.is_none_or(|(_, ended)| ended.elapsed() >= LEAST_PAUSE) {
            self.look(&mut looked_up).await;
        }
    }

    /// Looks at the names not before now: an instance may have been listed since the last look. Of
    /// those who come at once, one looks for all.
    async fn look_up_anew(&self) {
        let now = Instant::now();
        let mut looked_up = self.0.looked_up.lock().await;
        if let Some((began, ended)) = looked_up.at {
            if began >= now {
                return;
            }
            sleep_until(ended + LEAST_PAUSE).await;
        }
        self.look(&mut looked_up).await;
    }

    async fn look(&self, looked_up: &mut LookedUp) {
        let (role, began) = (self.0.role, Instant::now());
        let found = find_instances(&self.0.urls, &*self.0.names).await;
        let has_failed = found.is_err();
        match found {
            Ok(addresses) => self.replace(&addresses),
            Err(reason) => {
                metrics::lookup_failed(role);
                if !looked_up.has_failed {
                    tracing::warn!(role, reason, "instances cannot be looked up: those that were known are used");
                }
            }
        }
        *looked_up = LookedUp { at: Some((began, Instant::now())), has_failed };
    }

    /// Those that are still there keep their connection and their standing. A connection to one
    /// that is gone ends with the last call on it.
    fn replace(&self, addresses: &[SocketAddr]) {
        let mut kept: HashMap<SocketAddr, Arc<Instance>> =
            self.instances().iter().map(|instance| (instance.address, Arc::clone(instance))).collect();
        if addresses.len() != kept.len() || !addresses.iter().all(|address| kept.contains_key(address)) {
            tracing::info!(role = self.0.role, instances = ?addresses, "instances have changed");
        }
        let instances = addresses.iter().filter_map(|address| kept.remove(address).or_else(|| self.open(*address)));
        let instances: Arc<[Arc<Instance>]> = instances.collect();
        *self.0.instances.write().unwrap_or_else(PoisonError::into_inner) = instances;
        self.measure();
    }

    fn open(&self, address: SocketAddr) -> Option<Arc<Instance>> {
        let _on_our_runtime = self.0.runtime.enter();
        let opened = Link::endpoint(&format!("http://{address}"));
        let channel = opened.inspect_err(|error| tracing::error!(%address, %error, "no address for calls")).ok()?;
        let channel = channel.connect_lazy();
        Some(Arc::new(Instance { address, name: address.to_string(), channel, standing: Mutex::default() }))
    }

    /// The first in the order of `key` that is not left out and not among `tried`; without any,
    /// the first that is not among them: it may be back.
    fn pick(&self, key: RouteKey, tried: &[SocketAddr]) -> Option<Arc<Instance>> {
        let (instances, now) = (self.instances(), Instant::now());
        let ordered = in_order(instances.iter(), key, |instance| &instance.name);
        let untried = || ordered.iter().filter(|instance| !tried.contains(&instance.address));
        let chosen = untried().find(|instance| instance.standing().admit(now)).or_else(|| untried().next())?;
        if tried.is_empty() && chosen.address != ordered[0].address {
            metrics::rerouted(self.0.role, "left_out");
        }
        Some(Arc::clone(chosen))
    }

    /// Changes what is thought of an instance.
    fn judge(&self, instance: &Instance, change: impl FnOnce(&mut Standing, Instant)) {
        let (was_out, is_out) = {
            let mut standing = instance.standing();
            let was_out = standing.is_out();
            change(&mut standing, Instant::now());
            (was_out, standing.is_out())
        };
        if was_out != is_out {
            tracing::info!(role = self.0.role, instance = instance.name, is_out, "an instance is left out, or back");
            self.measure();
        }
        if is_out {
            self.0.wants_names.notify_one();
        }
    }

    fn measure(&self) {
        let instances = self.instances();
        let left_out = instances.iter().filter(|instance| instance.standing().is_out()).count();
        metrics::instances(self.0.role, instances.len(), left_out);
    }
}

async fn knock(address: SocketAddr) -> Result<(), String> {
    let connected = timeout(KNOCK_TIMEOUT, TcpStream::connect(address)).await;
    let connected = connected.map_err(|_| format!("cannot connect to {address}: no answer"))?;
    connected.map(drop).map_err(|error| format!("cannot connect to {address}: {error}"))
}
