//! What is left in the store when everything is over and was swept.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use heliograph_blobs::{BlobStore, Key};
use serde_json::Value;

use super::{content::Content, verify::Verifier};
use crate::noise;

const PATIENCE: Duration = Duration::from_mins(3);
const MOST_BYTES: u64 = 1 << 20;

/// Waits until nothing is left but what records name; gives what is left after some minutes. What was written by a clock
/// that was fast does not count: its hour is not over.
pub(super) async fn find_remains(verifier: &Verifier) -> Vec<String> {
    let content = Content::of(noise(100, rand::random()), false);
    let newest = verifier.fronts[0].upload(content.bytes.clone(), "text/plain").await;
    verifier.clients.ledger.acknowledged(&newest, &content);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let remains = look(&*verifier.store, &newest).await;
        if remains.is_empty() || Instant::now() > deadline {
            return remains;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Bytes without a record, records without bytes, and notes on what is done. `newest` was uploaded just now.
async fn look(store: &dyn BlobStore, newest: &str) -> Vec<String> {
    let (mut named, mut filled, mut now) = (HashSet::new(), HashSet::new(), String::new());
    for key in list(store, "records").await {
        // It may just be deleted.
        let Ok(record) = store.get(&Key::new(&key).unwrap(), MOST_BYTES).await else { continue };
        let record: Value = serde_json::from_slice(&record).unwrap();
        let (media_id, blob) = (key.rsplit('/').next().unwrap(), record["blob"].as_str().unwrap());
        if newest.ends_with(media_id) {
            hour_of(blob).clone_into(&mut now);
        }
        filled.insert(media_id.to_owned());
        if record["deleted"].is_null() {
            named.insert(blob.to_owned());
        }
    }
    let blobs: HashSet<String> = list(store, "blobs").await.into_iter().collect();
    let of_filled = |key: &String| filled.contains(key.rsplit('/').next().unwrap());
    let is_due = |key: &&String| !blobs.contains(*key) || hour_of(key) <= now.as_str();
    let mut remains: Vec<String> = blobs.symmetric_difference(&named).filter(is_due).cloned().collect();
    remains.extend(list(store, "removals").await);
    remains.extend(list(store, "reserved").await.into_iter().filter(of_filled));
    remains
}

/// The hour in which a blob was begun, as it stands in its key.
fn hour_of(blob: &str) -> &str {
    blob.split('/').nth(1).unwrap_or_default()
}

async fn list(store: &dyn BlobStore, prefix: &str) -> Vec<String> {
    store.list(&Key::new(prefix).unwrap()).map_ok(|(key, _)| key.to_string()).try_collect().await.unwrap()
}
