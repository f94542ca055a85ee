//! A decorator that counts and traces what is asked of a store.

use std::{
    fs::File,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use heliograph_types::{StoreName, Timestamp};
use url::Url;

use crate::{
    BlobError, BlobReader, BlobStore, BlobWriter, Grant, Key, Listing, Stat,
    meter::{Meters, Operation, Running},
};

/// A store whose operations are counted, and are spans of the trace that they belong to.
#[derive(Debug)]
pub(crate) struct MeasuredStore {
    inner: Arc<dyn BlobStore>,
    meters: Arc<Meters>,
}

impl MeasuredStore {
    /// `kind` is what all its figures are labelled with: `folder`, `s3`, `azure`, `google`.
    pub(crate) fn new(inner: Arc<dyn BlobStore>, kind: &'static str) -> Self {
        Self { inner, meters: Arc::new(Meters::new(kind)) }
    }

    fn begin_operation(&self, operation: Operation) -> Running {
        Running::begin(Arc::clone(&self.meters), operation)
    }

    /// Runs what is over when it answers.
    async fn run<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, BlobError>> + Send,
        bytes: impl FnOnce(&T) -> u64 + Send,
    ) -> Result<T, BlobError> {
        let mut running = self.begin_operation(operation);
        let outcome = work.await;
        if let Ok(answer) = &outcome {
            running.add_bytes(bytes(answer));
        }
        running.end(outcome.as_ref().err());
        outcome
    }
}

/// Of what carries none.
const fn no_bytes<T>(_: &T) -> u64 {
    0
}

#[async_trait]
impl BlobStore for MeasuredStore {
    async fn create(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        let bytes = content.len() as u64;
        self.run(Operation::Create, self.inner.create(key, content), |()| bytes).await
    }

    async fn create_quickly(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        let bytes = content.len() as u64;
        self.run(Operation::Create, self.inner.create_quickly(key, content), |()| bytes).await
    }

    async fn put(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        let bytes = content.len() as u64;
        self.run(Operation::Put, self.inner.put(key, content), |()| bytes).await
    }

    async fn get(&self, key: &Key, most_bytes: u64) -> Result<Bytes, BlobError> {
        self.run(Operation::Get, self.inner.get(key, most_bytes), |content| content.len() as u64).await
    }

    async fn size_of(&self, key: &Key) -> Result<u64, BlobError> {
        self.run(Operation::Stat, self.inner.size_of(key), no_bytes).await
    }

    async fn stat(&self, key: &Key) -> Result<Stat, BlobError> {
        self.run(Operation::Stat, self.inner.stat(key), no_bytes).await
    }

    async fn copy(&self, from: &Key, to: &Key) -> Result<(), BlobError> {
        self.run(Operation::Copy, self.inner.copy(from, to), no_bytes).await
    }

    async fn presign(&self, key: &Key, grant: Grant<'_>, lifetime: Duration) -> Result<Option<Url>, BlobError> {
        self.run(Operation::Presign, self.inner.presign(key, grant, lifetime), no_bytes).await
    }

    /// Counted twice: until it is open, and until the last byte, as fast as the reader takes them.
    async fn open(&self, key: &Key, range: Range<u64>) -> Result<BlobReader, BlobError> {
        let reading = self.begin_operation(Operation::Read);
        let opened = self.inner.open(key, range).await;
        reading.note(Operation::Open);
        match opened {
            Ok(reader) => Ok(Box::pin(MeasuredStream { inner: reader, running: Some(reading), weigh: Bytes::len })),
            Err(error) => {
                reading.end(Some(&error));
                Err(error)
            }
        }
    }

    /// How long a file stays open, and what is read of it, nobody sees here.
    async fn open_file(&self, key: &Key) -> Result<Option<File>, BlobError> {
        let running = self.begin_operation(Operation::Open);
        let opened = self.inner.open_file(key).await;
        match &opened {
            // Nothing was asked: there are no files.
            Ok(None) => running.forget(),
            Ok(Some(_)) => running.end(None),
            Err(error) => running.end(Some(error)),
        }
        opened
    }

    async fn begin(&self, key: &Key) -> Result<Box<dyn BlobWriter>, BlobError> {
        let writing = self.begin_operation(Operation::Write);
        match self.inner.begin(key).await {
            Ok(inner) => Ok(Box::new(MeasuredWriter { inner, running: writing })),
            Err(error) => {
                writing.end(Some(&error));
                Err(error)
            }
        }
    }

    async fn delete(&self, key: &Key) -> Result<(), BlobError> {
        self.run(Operation::Delete, self.inner.delete(key), no_bytes).await
    }

    async fn clear_leftovers(&self, key: &Key) -> Result<(), BlobError> {
        self.run(Operation::Clear, self.inner.clear_leftovers(key), no_bytes).await
    }

    async fn clear_staged(&self, prefix: Option<&Key>, older_than: Timestamp) -> Result<usize, BlobError> {
        self.run(Operation::Clear, self.inner.clear_staged(prefix, older_than), no_bytes).await
    }

    fn list(&self, prefix: &Key) -> Listing {
        let running = Some(self.begin_operation(Operation::List));
        Box::pin(MeasuredStream { inner: self.inner.list(prefix), running, weigh: |_: &(Key, Timestamp)| 0 })
    }

    fn others(&self) -> Vec<StoreName> {
        self.inner.others()
    }

    fn creates_are_atomic(&self) -> bool {
        self.inner.creates_are_atomic()
    }

    async fn check(&self) -> Result<(), BlobError> {
        self.run(Operation::Check, self.inner.check(), no_bytes).await
    }

    async fn check_others(&self) -> Result<(), BlobError> {
        self.inner.check_others().await
    }
}

/// What a store sends piece by piece. Over at the end, at an error, or when nobody wants more.
struct MeasuredStream<T> {
    inner: Pin<Box<dyn Stream<Item = Result<T, BlobError>> + Send>>,
    running: Option<Running>,
    /// How many bytes an item is.
    weigh: fn(&T) -> usize,
}

impl<T> Stream for MeasuredStream<T> {
    type Item = Result<T, BlobError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = std::task::ready!(self.inner.poll_next_unpin(context));
        match &item {
            Some(Ok(item)) => {
                let bytes = (self.weigh)(item) as u64;
                if let Some(running) = &mut self.running {
                    running.add_bytes(bytes);
                }
            }
            Some(Err(error)) => {
                if let Some(running) = self.running.take() {
                    running.end(Some(error));
                }
            }
            None => drop(self.running.take()),
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

/// One operation from `begin` to `finish`, in however many parts.
struct MeasuredWriter {
    inner: Box<dyn BlobWriter>,
    running: Running,
}

#[async_trait]
impl BlobWriter for MeasuredWriter {
    async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        let bytes = piece.len() as u64;
        self.inner.write(piece).await?;
        self.running.add_bytes(bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), BlobError> {
        let Self { inner, running } = *self;
        let begun = Instant::now();
        let finished = inner.finish().await;
        running.note_since(Operation::Finish, begun);
        running.end(finished.as_ref().err());
        finished
    }

    async fn abort(self: Box<Self>) {
        self.inner.abort().await;
    }
}

#[cfg(test)]
mod tests;
