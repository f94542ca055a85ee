//! The keys of other servers as all instances share them: what one has fetched, no other asks
//! for, nor the same one after a restart.
//!
//! Whoever can write to the shared state can make up keys, as it can say who a token belongs
//! to. That the state is out of reach costs questions, nothing else.

use std::time::Duration;

use bytes::Bytes;
use heliograph_leases::State;
use heliograph_matrix::KeyDocument;
use heliograph_types::{ServerName, Timestamp};
use serde::{Deserialize, Serialize};

/// A document with when it was fetched. Failures are not shared: they are short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SharedKeys {
    pub(crate) document: KeyDocument,
    /// Not to be asked again before.
    pub(crate) ask_again_at: Timestamp,
    /// From then on to be asked again, although it is still valid.
    pub(crate) renew_at: Timestamp,
}

/// What is valid longer is shared no longer: servers that nobody hears of again are forgotten.
const LONGEST: Duration = Duration::from_hours(24);

fn key(server_name: &ServerName) -> String {
    format!("server-keys/{server_name}")
}

/// What another instance has fetched, if it is still valid.
pub(crate) async fn find(state: &State, server_name: &ServerName, now: Timestamp) -> Option<SharedKeys> {
    let value = state.find_cached(&key(server_name)).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "the keys of other servers are not shared");
        None
    });
    let keys: SharedKeys = serde_json::from_slice(&value?).ok()?;
    (now < keys.document.valid_until).then_some(keys)
}

/// Tells the others.
pub(crate) async fn store(state: &State, server_name: &ServerName, keys: &SharedKeys, now: Timestamp) {
    let ttl = keys.document.valid_until.since(now).min(LONGEST);
    let Ok(value) = serde_json::to_vec(keys) else { return };
    if ttl.is_zero() {
        return;
    }
    if let Err(error) = state.cache(&key(server_name), Bytes::from(value), ttl).await {
        tracing::debug!(%error, "the keys of other servers are not shared");
    }
}
