//! Small values that can be had again.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::StateError;

/// Keeps values for a time, shared by all instances. May forget any of them at any moment.
#[async_trait]
pub trait Caches: Send + Sync + 'static {
    /// The value, if it is still there.
    async fn find_cached(&self, key: &str) -> Result<Option<Bytes>, StateError>;

    /// Keeps a value for `ttl`.
    async fn cache(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), StateError>;

    /// Forgets a value.
    async fn forget(&self, key: &str) -> Result<(), StateError>;
}
