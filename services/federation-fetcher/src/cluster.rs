//! Which instance of the cluster asks an origin for a medium, and where the others find it.
//!
//! A claim saves the origin work; it is not what makes us right: two instances that fetch the
//! same at once are harmless, for the record decides. All of it may be lost at any time.

mod peers;

use std::{
    convert::Infallible,
    future::pending,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join;
use heliograph_leases::{Lease, State, StateError};
use heliograph_proto::Ticket;
use heliograph_types::Mxc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::peers::Peers;

/// How long a fetch stays with an instance of which nothing is heard.
pub(crate) const CLAIM_TTL: Duration = Duration::from_secs(6);
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// The address outlives a few renewals that fail.
const ANNOUNCED_FOR: Duration = Duration::from_secs(20);
/// The ticket outlives the claim: the successor needs it.
const TICKET_KEPT_FOR: Duration = Duration::from_mins(1);

/// The other instances, as far as fetches are concerned.
pub(crate) struct Cluster {
    state: State,
    /// Where the others reach us.
    url: Option<Url>,
    pub(crate) peers: Peers,
}

/// Whose a fetch is.
pub(crate) enum Claimed<'a> {
    Ours(Claim<'a>),
    /// Of another instance.
    Theirs,
    /// The shared state does not answer.
    Unknown,
}

impl Cluster {
    pub(crate) fn new(state: State, url: Option<Url>) -> Self {
        Self { state, url, peers: Peers::default() }
    }

    /// Claims the fetch of a medium, unless another instance has it.
    pub(crate) async fn claim(&self, mxc: &Mxc) -> Claimed<'_> {
        let key = format!("fetch/{mxc}");
        match self.state.try_acquire(&key, CLAIM_TTL).await {
            Ok(Some(lease)) => Claimed::Ours(Claim::new(self, key, lease)),
            Ok(None) => Claimed::Theirs,
            Err(error) => {
                tracing::debug!(%mxc, %error, "fetching without a claim: the record will decide");
                Claimed::Unknown
            }
        }
    }

    /// Where the instance that fetches a medium can be reached, if it has said so.
    pub(crate) async fn find_holder(&self, mxc: &Mxc) -> Option<String> {
        let found = self.state.find_cached(&format!("fetch/{mxc}")).await;
        let found = found.inspect_err(|error| tracing::debug!(%mxc, %error, "whoever fetches this is not found"));
        String::from_utf8(found.ok()??.into()).ok()
    }
}

/// The fetch of one medium, ours while it is kept.
pub(crate) struct Claim<'a> {
    cluster: &'a Cluster,
    key: String,
    lease: Mutex<Lease>,
    ticket: Mutex<Option<Bytes>>,
    lost: CancellationToken,
}

impl<'a> Claim<'a> {
    fn new(cluster: &'a Cluster, key: String, lease: Lease) -> Self {
        Self { cluster, key, lease: Mutex::new(lease), ticket: Mutex::default(), lost: CancellationToken::new() }
    }

    /// Holds on to it, and tells the others where we are, for as long as this is polled.
    pub(crate) async fn keep(&self) -> Infallible {
        self.announce().await;
        loop {
            sleep(RENEW_EVERY).await;
            if !self.renew().await {
                self.lost.cancel();
                return pending().await;
            }
            self.announce().await;
        }
    }

    /// Cancelled when another instance has it.
    pub(crate) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// We write the copy with this ticket: who takes over can give it up. Told before anybody gets a byte:
    /// without it, a successor waits until the orchestrator has given up who is silent.
    pub(crate) async fn tell_ticket(&self, ticket: &Ticket) {
        let ticket = ticket.to_bytes();
        *self.ticket() = Some(ticket.clone());
        note(&self.key, self.announce_ticket(ticket).await);
    }

    /// The ticket of whoever had the claim before us and did not give it back.
    pub(crate) async fn find_ticket_before(&self) -> Option<Ticket> {
        let found = self.cluster.state.find_cached(&self.ticket_key()).await.ok()??;
        Ticket::from_bytes(&found).ok()
    }

    /// Gives it back: another instance may claim it at once.
    pub(crate) async fn release(self, is_lost: bool) {
        let (state, lease) = (&self.cluster.state, self.lease().clone());
        // What is announced may be another's, once it is released.
        if !is_lost {
            let (address, ticket) = join(state.forget(&self.key), state.forget(&self.ticket_key())).await;
            note(&self.key, address.and(ticket));
        }
        note(&self.key, state.release(&lease).await);
    }

    /// Gives it back without having done anything with it.
    pub(crate) async fn release_untouched(self) {
        let lease = self.lease().clone();
        note(&self.key, self.cluster.state.release(&lease).await);
    }

    async fn announce(&self) {
        let (state, ticket) = (&self.cluster.state, self.ticket().clone());
        let tell_address = async {
            let Some(url) = &self.cluster.url else { return Ok(()) };
            state.cache(&self.key, Bytes::copy_from_slice(url.as_str().as_bytes()), ANNOUNCED_FOR).await
        };
        let tell_ticket = async {
            let Some(ticket) = ticket else { return Ok(()) };
            self.announce_ticket(ticket).await
        };
        let (address, ticket) = join(tell_address, tell_ticket).await;
        note(&self.key, address.and(ticket));
    }

    async fn announce_ticket(&self, ticket: Bytes) -> Result<(), StateError> {
        self.cluster.state.cache(&self.ticket_key(), ticket, TICKET_KEPT_FOR).await
    }

    /// False if another instance has it.
    pub(crate) async fn renew(&self) -> bool {
        let (state, lease) = (&self.cluster.state, self.lease().clone());
        match state.renew(&lease, CLAIM_TTL).await {
            // It came too late, or the state has forgotten everything.
            Ok(false) => match state.try_acquire(&self.key, CLAIM_TTL).await {
                Ok(Some(lease)) => *self.lease() = lease,
                Ok(None) => return false,
                Err(error) => note(&self.key, Err(error)),
            },
            outcome => note(&self.key, outcome.map(drop)),
        }
        true
    }

    fn ticket_key(&self) -> String {
        format!("{}/ticket", self.key)
    }

    fn lease(&self) -> MutexGuard<'_, Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ticket(&self) -> MutexGuard<'_, Option<Bytes>> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing depends on it: the other instances wait a little longer.
fn note(key: &str, outcome: Result<(), StateError>) {
    if let Err(error) = outcome {
        tracing::debug!(key, %error, "the other instances were not told of a fetch");
    }
}
