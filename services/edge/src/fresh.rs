//! What the core has just said of a copy to whom: believed for as long as the operator wants,
//! which by default is not at all.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use heliograph_types::{Clock, Timestamp};
use lru::LruCache;
use reqwest::header::HeaderMap;
use sha2::{Digest, Sha256};

const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The same caller with the same request.
pub(crate) type Asked = [u8; 32];

struct Said {
    etag: String,
    headers: HeaderMap,
    at: Timestamp,
}

/// See the top of the file.
pub(crate) struct Fresh {
    lifetime: Duration,
    said: Mutex<LruCache<Asked, Said>>,
    clock: Arc<dyn Clock>,
}

impl Fresh {
    pub(crate) fn new(lifetime: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { lifetime, said: Mutex::new(LruCache::new(REMEMBERED)), clock }
    }

    /// Who asks for what.
    pub(crate) fn asked(authorization: Option<&[u8]>, host: Option<&[u8]>, target: &str) -> Asked {
        let mut digest = Sha256::new();
        for part in [authorization.unwrap_or_default(), host.unwrap_or_default(), target.as_bytes()] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    /// What the core said of this copy, if that still counts.
    pub(crate) fn find(&self, asked: &Asked, etag: &str) -> Option<HeaderMap> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let found = said.get(asked)?;
        let is_fresh = found.etag == etag && self.clock.now().since(found.at) < self.lifetime;
        is_fresh.then(|| found.headers.clone())
    }

    /// Remembers what the core says.
    pub(crate) fn remember(&self, asked: Asked, etag: &str, headers: &HeaderMap) {
        if self.lifetime > Duration::ZERO {
            let said = Said { etag: etag.to_owned(), headers: headers.clone(), at: self.clock.now() };
            self.said.lock().unwrap_or_else(PoisonError::into_inner).put(asked, said);
        }
    }
}

#[cfg(test)]
mod tests {
    use heliograph_types::ManualClock;

    use super::*;

    fn fresh(fresh_for: Duration) -> (Fresh, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
        (Fresh::new(fresh_for, Arc::<ManualClock>::clone(&clock)), clock)
    }

    #[test]
    fn by_default_nothing_is_believed_twice() {
        let (fresh, _) = fresh(Duration::ZERO);
        let asked = Fresh::asked(Some(b"Bearer a"), None, "/x");

        fresh.remember(asked, "\"e\"", &HeaderMap::new());

        assert_eq!(fresh.find(&asked, "\"e\""), None);
    }

    #[test]
    fn what_was_said_counts_for_this_caller_and_this_copy_and_for_a_while() {
        let (fresh, clock) = fresh(Duration::from_secs(10));
        let asked = |token: &[u8], target| Fresh::asked(Some(token), None, target);

        fresh.remember(asked(b"a", "/x"), "\"e\"", &HeaderMap::new());

        assert!(fresh.find(&asked(b"a", "/x"), "\"e\"").is_some());
        assert!(fresh.find(&asked(b"b", "/x"), "\"e\"").is_none());
        assert!(fresh.find(&asked(b"a", "/y"), "\"e\"").is_none());
        assert!(fresh.find(&asked(b"a", "/x"), "\"f\"").is_none());
        clock.advance(Duration::from_secs(10));
        assert!(fresh.find(&asked(b"a", "/x"), "\"e\"").is_none());
    }
}
