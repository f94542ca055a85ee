//! How much each caller may upload, as the core says (`/config`), remembered shortly: more is
//! refused before it has crossed the sea.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use heliograph_types::{Clock, Timestamp};
use lru::LruCache;
use reqwest::{Method, StatusCode};

use crate::{caller::Caller, error::EdgeError, metrics, server::Edge, upload::Refusal};

const FRESH_FOR: Duration = Duration::from_mins(1);
const CALLERS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
const CONFIG: &str = "/_matrix/client/v1/media/config";

/// See the top of the file.
pub(crate) struct Sizes {
    known: Mutex<LruCache<[u8; 32], (u64, Timestamp)>>,
    clock: Arc<dyn Clock>,
}

impl Sizes {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { known: Mutex::new(LruCache::new(CALLERS)), clock }
    }

    /// An error if the caller may not upload so much, or not at all.
    pub(crate) async fn check(&self, edge: &Edge, caller: &Caller, bytes: u64) -> Result<(), Refusal> {
        let most_bytes = match self.find(caller) {
            // Refused by what was true a while ago: the user may have more room by now.
            Some(most_bytes) if bytes <= most_bytes => most_bytes,
            _ => self.learn(edge, caller).await?,
        };
        if bytes <= most_bytes {
            return Ok(());
        }
        metrics::limited("upload_size");
        Err(EdgeError::TooLarge(most_bytes).into())
    }

    fn find(&self, caller: &Caller) -> Option<u64> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (most_bytes, asked_at) = *known.get(&caller.digest)?;
        (self.clock.now().since(asked_at) < FRESH_FOR).then_some(most_bytes)
    }

    async fn learn(&self, edge: &Edge, caller: &Caller) -> Result<u64, Refusal> {
        let answer = caller.ask(edge, Method::GET, CONFIG, &[]).await?;
        if answer.status != StatusCode::OK {
            return Err(Refusal::Core(answer));
        }
        let most_bytes = answer.json()["m.upload.size"].as_u64().unwrap_or(u64::MAX);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(caller.digest, (most_bytes, self.clock.now()));
        Ok(most_bytes)
    }
}
