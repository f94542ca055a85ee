//! Keys of other servers that were asked for lately, so that a signed request costs no call.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use heliograph_proto::{FederationService, FindKey};
use heliograph_types::{Clock, ErrorCode, Failure, ServerName, Timestamp};
use lru::LruCache;

const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Looked at again after this, so that a key that was withdrawn does not live on here.
const BELIEVED_FOR: Duration = Duration::from_mins(10);

type KeyName = (ServerName, String);

/// See the top of the file.
pub(crate) struct RemoteKeys(Mutex<LruCache<KeyName, ([u8; 32], Timestamp)>>);

impl RemoteKeys {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }

    /// The key, if it can be had and is valid now; failures are remembered by the fetcher.
    /// The only failures that are told are that there is no room to ask now, and that we have
    /// nothing to do with the server.
    pub(crate) async fn find(
        &self,
        federation: &dyn FederationService,
        clock: &dyn Clock,
        server_name: &ServerName,
        key_id: &str,
    ) -> Result<Option<[u8; 32]>, Failure> {
        let name = (server_name.clone(), key_id.to_owned());
        if let Some((key, until)) = self.remembered().get(&name)
            && clock.now() < *until
        {
            return Ok(Some(*key));
        }
        let request = FindKey { server_name: server_name.clone(), key_id: key_id.to_owned() };
        match federation.find_key(request).await {
            Ok(Some(found)) if clock.now() < found.valid_until => {
                let until = found.valid_until.min(clock.now() + BELIEVED_FOR);
                self.remembered().put(name, (found.public_key, until));
                Ok(Some(found.public_key))
            }
            Ok(_) => Ok(None),
            Err(failure) if matches!(failure.code, ErrorCode::LimitExceeded | ErrorCode::Forbidden) => Err(failure),
            Err(failure) => {
                tracing::debug!(%server_name, key_id, %failure, "a key cannot be had");
                Ok(None)
            }
        }
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, LruCache<KeyName, ([u8; 32], Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
