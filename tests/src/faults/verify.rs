//! Compares what is there with what clients were told.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use heliograph_blobs::{BlobStore, Key};
use reqwest::Method;
use serde_json::Value;

use super::{
    content::{Content, Digest, digest},
    ledger::Medium,
    load::{Clients, told},
    tally::End,
};
use crate::{Client, noise};

const AT_ONCE: usize = 8;
/// So large files no front keeps in its memory.
const UNREMEMBERED: usize = 300 << 10;

/// Looks from every front, and into the store.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) clients: Arc<Clients>,
    pub(super) fronts: Vec<Client>,
    pub(super) store: Arc<dyn BlobStore>,
    /// Where records of our media are.
    pub(super) records: Key,
    /// Media that nobody was told of, and that were right when they were looked at.
    strangers: Mutex<HashSet<String>>,
}

impl Verifier {
    pub(super) fn new(clients: &Arc<Clients>, fronts: Vec<Client>, store: Arc<dyn BlobStore>) -> Self {
        let records = Key::new("records/media.test").unwrap();
        Self { clients: Arc::clone(clients), fronts, store, records, strangers: Mutex::default() }
    }

    /// All that was acknowledged since the last time, and some of the rest.
    pub(super) async fn verify_fresh(&self, others: usize) {
        self.verify(self.clients.ledger.take_fresh(others)).await;
    }

    /// All that was ever acknowledged.
    pub(super) async fn verify_all(&self) {
        self.verify(self.clients.ledger.kept()).await;
    }

    /// Whether it sees what must never happen: of two media we change the bytes of one behind everybody's back, and
    /// remove those of the other; a third one no client knows of.
    pub(super) async fn is_awake(&self) -> bool {
        let ledger = &self.clients.ledger;
        let mut blobs = Vec::new();
        for _ in 0..2 {
            let content = Content::of(noise(UNREMEMBERED, rand::random()), false);
            let id = self.fronts[0].upload(content.bytes.clone(), "video/mp4").await;
            ledger.acknowledged(&id, &content);
            blobs.push(self.blob_of(&id).await);
        }
        self.store.put(&blobs[0], noise(UNREMEMBERED, rand::random()).into()).await.unwrap();
        self.store.delete(&blobs[1]).await.unwrap();
        self.fronts[0].upload(noise(1000, rand::random()), "text/plain").await;
        self.verify_fresh(0).await;
        let verdict = ledger.take_verdict();
        (verdict.wrong.len(), verdict.lost.len()) == (self.fronts.len() + 1, self.fronts.len())
    }

    /// The key of the bytes of a medium.
    async fn blob_of(&self, id: &str) -> Key {
        let media_id = id.rsplit('/').next().unwrap();
        let keys: Vec<Key> = self.store.list(&self.records).map_ok(|(key, _)| key).try_collect().await.unwrap();
        let key = keys.iter().find(|key| key.as_str().ends_with(media_id)).unwrap();
        let record: Value = serde_json::from_slice(&self.store.get(key, UNREMEMBERED as u64).await.unwrap()).unwrap();
        Key::new(record["blob"].as_str().unwrap()).unwrap()
    }

    async fn verify(&self, media: Vec<Arc<Medium>>) {
        let looks = media.iter().flat_map(|medium| self.fronts.iter().map(move |front| (front, medium)));
        stream::iter(looks)
            .for_each_concurrent(AT_ONCE, async |(front, medium)| self.is_there(front, medium).await)
            .await;
        let deleted = self.clients.ledger.take_deleted();
        let looks = deleted.iter().flat_map(|id| self.fronts.iter().map(move |front| (front, id)));
        stream::iter(looks).for_each_concurrent(AT_ONCE, async |(front, id)| self.is_gone(front, id).await).await;
        let unfilled = self.clients.ledger.unfilled();
        stream::iter(&unfilled)
            .for_each_concurrent(AT_ONCE, async |(id, sent)| self.is_empty_or_whole(id, sent).await)
            .await;
        let strangers = self.find_strangers().await;
        stream::iter(&strangers).for_each_concurrent(AT_ONCE, async |id| self.is_whole(id).await).await;
    }

    async fn is_there(&self, front: &Client, medium: &Medium) {
        match look(front, &medium.id).await {
            Ok(found) if found == medium.digest => {}
            Ok(_) => self.clients.ledger.wrong(format!("{}: other bytes", medium.id)),
            Err(end) => self.clients.ledger.lost(format!("{}: {end:?}", medium.id)),
        }
    }

    async fn is_gone(&self, front: &Client, id: &str) {
        let found = look(front, id).await;
        if !matches!(found, Err(End::Refused(404))) {
            self.clients.ledger.wrong(format!("{id}: was deleted, and there is {found:?}"));
        }
    }

    /// An id of which no upload was acknowledged: nothing, or all of one that was tried, the same everywhere.
    async fn is_empty_or_whole(&self, id: &str, sent: &[Digest]) {
        let mut seen = Vec::new();
        for front in &self.fronts {
            seen.push(look(front, id).await);
        }
        let is_right = |found: &Result<Digest, End>| match found {
            Ok(found) => sent.contains(found),
            Err(end) => matches!(end, End::Refused(404 | 504)),
        };
        if !seen.iter().all(is_right) || seen.windows(2).any(|pair| pair[0] != pair[1]) {
            self.clients.ledger.wrong(format!("{id}: no upload was acknowledged, and there is {seen:?}"));
        }
    }

    /// Media in the store of which no client knows.
    async fn find_strangers(&self) -> Vec<String> {
        let keys: Vec<Key> = self.store.list(&self.records).map_ok(|(key, _)| key).try_collect().await.unwrap();
        let ids = keys.iter().map(|key| format!("media.test/{}", key.as_str().rsplit('/').next().unwrap()));
        let known = self.strangers.lock().unwrap();
        ids.filter(|id| !known.contains(id) && !self.clients.ledger.knows(id)).collect()
    }

    /// A medium of which no client knows: all of an upload whose answer was lost.
    async fn is_whole(&self, id: &str) {
        match look(&self.fronts[0], id).await {
            Ok(found) if self.clients.ledger.may_be_there(&found) => {
                self.strangers.lock().unwrap().insert(id.to_owned());
            }
            found => self.clients.ledger.wrong(format!("{id}: nobody knows of it, and there is {found:?}")),
        }
    }
}

async fn look(front: &Client, id: &str) -> Result<Digest, End> {
    let request = front.request(Method::GET, &format!("/_matrix/client/v1/media/download/{id}?timeout_ms=0"));
    told(request).await.map(|bytes| digest(&bytes))
}
