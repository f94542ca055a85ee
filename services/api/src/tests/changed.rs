//! A house where something is another way.

use std::{sync::Arc, time::Duration};

use heliograph_blobs::Key;
use heliograph_catalog::{Reserved, record_key};
use heliograph_matrix::{FederationConfig, ServerLists};
use heliograph_types::{Clock, Failure, Sizes, SystemClock, ThumbnailFormat};

use crate::testing::house::{BLOB, House, Others};

impl House {
    /// The same with a fetcher that fails so.
    pub(crate) fn failing(mut self, failure: Failure) -> Self {
        self.deps.federation = Arc::new(Others { failure: Some(failure) });
        self
    }

    /// The same with thumbnails in these formats, the best first.
    pub(crate) fn offering(mut self, formats: &[ThumbnailFormat]) -> Self {
        self.deps.formats = formats.to_vec();
        self
    }

    /// The same with these sizes.
    pub(crate) fn sized(mut self, sizes: Sizes) -> Self {
        self.deps.sizes = sizes;
        self
    }

    /// The same with servers that are blocked.
    pub(crate) fn blocking(mut self, pattern: &str) -> Self {
        let blocked_servers = vec![pattern.to_owned()];
        self.deps.servers = ServerLists::new(&FederationConfig { blocked_servers, ..FederationConfig::default() });
        self
    }

    /// Has a medium of which everybody remembers the record removed elsewhere, and its bytes with it.
    pub(crate) async fn evict_unseen(&self, mxc: &str) {
        let mxc = mxc.parse().unwrap();
        self.catalog.find(&mxc).await.unwrap().unwrap();
        for key in [record_key(&mxc), Key::new(BLOB).unwrap()] {
            self.deps.blobs.delete(&key).await.unwrap();
        }
        self.catalog.find(&mxc).await.unwrap().expect("it is remembered");
    }

    pub(crate) async fn reserve(&self, mxc: &str) {
        let uploader = "@alice:ours.example".parse().unwrap();
        let unused_expires_at = SystemClock.now() + Duration::from_hours(1);
        self.catalog.reserve(&Reserved { mxc: mxc.parse().unwrap(), uploader, unused_expires_at }).await.unwrap();
    }
}
