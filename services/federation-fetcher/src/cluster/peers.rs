//! Links to other instances that fetch.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use heliograph_proto::{GrpcFetchPeerClient, Link};
use lru::LruCache;
use tokio::time::Instant;

/// Links that are kept, each a connection if it was used lately.
const MOST_LINKS: NonZeroUsize = NonZeroUsize::new(64).unwrap();
/// A link that nobody has used for so long is dropped at the next occasion.
const IDLE: Duration = Duration::from_mins(5);
/// An instance that is asked answers at once, whatever its origin does.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The links, by where they lead; the one that was used last comes first.
pub(crate) struct Peers(Mutex<LruCache<String, (GrpcFetchPeerClient, Instant)>>);

impl Default for Peers {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST_LINKS)))
    }
}

impl Peers {
    /// The instance at `url`; `None` if that is no URL. Connects when it is asked something.
    pub(crate) fn find(&self, url: &str) -> Option<GrpcFetchPeerClient> {
        let (mut links, now) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        while links.peek_lru().is_some_and(|(_, (_, used_at))| now.duration_since(*used_at) > IDLE) {
            links.pop_lru();
        }
        if let Some((link, used_at)) = links.get_mut(url) {
            *used_at = now;
            return Some(link.clone());
        }
        let link = GrpcFetchPeerClient::new(Link::connect_lazy(url, TIMEOUT).ok()?);
        links.put(url.to_owned(), (link.clone(), now));
        Some(link)
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn links_are_bounded_and_go_when_they_are_not_used() {
        let peers = Peers::default();

        assert!(peers.find("no url").is_none());
        for port in 0..2 * MOST_LINKS.get() {
            assert!(peers.find(&format!("http://127.0.0.1:{port}/")).is_some());
        }
        assert_eq!(peers.count(), MOST_LINKS.get());
        tokio::time::advance(2 * IDLE).await;
        peers.find("http://127.0.0.1:1/");

        assert_eq!(peers.count(), 1);
    }
}
