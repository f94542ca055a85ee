//! Content that is not wanted: an object for each digest, and all digests in memory.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
};

use futures_util::TryStreamExt;
use heliograph_blobs::BlobStore;
use heliograph_types::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{CatalogError, keys::blocked_prefix};

/// Who does not want some content, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// The moderator.
    pub by: UserId,
    /// In ms since 1970.
    pub at: Timestamp,
    /// For other moderators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The digests of all such content, 32 bytes each.
#[derive(Debug, Default)]
pub(crate) struct BlockList(RwLock<HashSet<[u8; 32]>>);

impl BlockList {
    pub(crate) fn contains(&self, sha256: &str) -> bool {
        let list = self.0.read().unwrap_or_else(PoisonError::into_inner);
        !list.is_empty() && digest(sha256).is_some_and(|digest| list.contains(&digest))
    }

    /// Takes in what the store has now.
    pub(crate) async fn load(&self, blobs: &dyn BlobStore) -> Result<(), CatalogError> {
        let keys = blobs.list(&blocked_prefix()).map_ok(|(key, _)| key);
        let digests =
            keys.try_filter_map(|key| std::future::ready(Ok(key.as_str().rsplit('/').next().and_then(digest))));
        let list = digests.try_collect().await.map_err(CatalogError::Store)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = list;
        Ok(())
    }
}

/// What a digest in hexadecimal stands for.
fn digest(sha256: &str) -> Option<[u8; 32]> {
    hex::decode(sha256).ok()?.try_into().ok()
}
