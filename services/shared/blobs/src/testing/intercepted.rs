//! A store that asks before each step whether it may take it.

use std::{fmt, fs::File, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, TryStreamExt, future::BoxFuture};
use heliograph_types::{StoreName, Timestamp};
use url::Url;

use crate::{BlobError, BlobReader, BlobStore, BlobWriter, Grant, Key, Listing, Stat};

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is a method of the interface")]
pub enum Step {
    Create,
    Put,
    Get,
    SizeOf,
    Stat,
    Copy,
    Presign,
    Open,
    Begin,
    Write,
    Finish,
    Delete,
    List,
}

type Ask = dyn Fn(Step, &Key) -> BoxFuture<'static, Result<(), BlobError>> + Send + Sync;

/// A store that asks `ask` before each step: it may wait, fail, or just look.
#[derive(Clone)]
pub struct Intercepted {
    store: Arc<dyn BlobStore>,
    ask: Arc<Ask>,
}

impl fmt::Debug for Intercepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Intercepted").field(&self.store).finish()
    }
}

impl Intercepted {
    /// Asks before each step of `store`.
    pub fn new(
        store: Arc<dyn BlobStore>,
        ask: impl Fn(Step, &Key) -> BoxFuture<'static, Result<(), BlobError>> + Send + Sync + 'static,
    ) -> Self {
        Self { store, ask: Arc::new(ask) }
    }

    async fn ask(&self, step: Step, key: &Key) -> Result<(), BlobError> {
        (self.ask)(step, key).await
    }
}

#[async_trait]
impl BlobStore for Intercepted {
    async fn create(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        self.ask(Step::Create, key).await?;
        self.store.create(key, content).await
    }

    async fn create_quickly(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        self.ask(Step::Create, key).await?;
        self.store.create_quickly(key, content).await
    }

    async fn put(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        self.ask(Step::Put, key).await?;
        self.store.put(key, content).await
    }

    async fn get(&self, key: &Key, most_bytes: u64) -> Result<Bytes, BlobError> {
        self.ask(Step::Get, key).await?;
        self.store.get(key, most_bytes).await
    }

    async fn size_of(&self, key: &Key) -> Result<u64, BlobError> {
        self.ask(Step::SizeOf, key).await?;
        self.store.size_of(key).await
    }

    async fn stat(&self, key: &Key) -> Result<Stat, BlobError> {
        self.ask(Step::Stat, key).await?;
        self.store.stat(key).await
    }

    async fn copy(&self, from: &Key, to: &Key) -> Result<(), BlobError> {
        self.ask(Step::Copy, to).await?;
        self.store.copy(from, to).await
    }

    async fn presign(&self, key: &Key, grant: Grant<'_>, lifetime: Duration) -> Result<Option<Url>, BlobError> {
        self.ask(Step::Presign, key).await?;
        self.store.presign(key, grant, lifetime).await
    }

    async fn open(&self, key: &Key, range: Range<u64>) -> Result<BlobReader, BlobError> {
        self.ask(Step::Open, key).await?;
        self.store.open(key, range).await
    }

    async fn open_file(&self, key: &Key) -> Result<Option<File>, BlobError> {
        self.ask(Step::Open, key).await?;
        self.store.open_file(key).await
    }

    async fn begin(&self, key: &Key) -> Result<Box<dyn BlobWriter>, BlobError> {
        self.ask(Step::Begin, key).await?;
        let writer = self.store.begin(key).await?;
        Ok(Box::new(InterceptedWriter { store: self.clone(), key: key.clone(), writer }))
    }

    async fn delete(&self, key: &Key) -> Result<(), BlobError> {
        self.ask(Step::Delete, key).await?;
        self.store.delete(key).await
    }

    async fn clear_leftovers(&self, key: &Key) -> Result<(), BlobError> {
        self.ask(Step::Delete, key).await?;
        self.store.clear_leftovers(key).await
    }

    async fn clear_staged(&self, prefix: Option<&Key>, older_than: Timestamp) -> Result<usize, BlobError> {
        self.store.clear_staged(prefix, older_than).await
    }

    fn list(&self, prefix: &Key) -> Listing {
        let (store, key) = (self.clone(), prefix.clone());
        let listing = async move { store.ask(Step::List, &key).await.map(|()| store.store.list(&key)) };
        Box::pin(listing.into_stream().try_flatten())
    }

    fn others(&self) -> Vec<StoreName> {
        self.store.others()
    }

    fn creates_are_atomic(&self) -> bool {
        self.store.creates_are_atomic()
    }

    async fn check(&self) -> Result<(), BlobError> {
        self.store.check().await
    }
}

struct InterceptedWriter {
    store: Intercepted,
    key: Key,
    writer: Box<dyn BlobWriter>,
}

#[async_trait]
impl BlobWriter for InterceptedWriter {
    async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.store.ask(Step::Write, &self.key).await?;
        self.writer.write(piece).await
    }

    async fn finish(self: Box<Self>) -> Result<(), BlobError> {
        self.store.ask(Step::Finish, &self.key).await?;
        self.writer.finish().await
    }

    async fn abort(self: Box<Self>) {
        self.writer.abort().await;
    }
}
