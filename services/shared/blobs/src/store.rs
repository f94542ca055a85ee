//! The interface of a store.

use std::{fmt, ops::Range, pin::Pin};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use heliograph_types::Timestamp;

use crate::{BlobError, Key};

/// The bytes of a blob, piece by piece.
pub type BlobReader = Pin<Box<dyn Stream<Item = Result<Bytes, BlobError>> + Send>>;

/// Keys below a prefix, in no order.
pub type Listing = Pin<Box<dyn Stream<Item = Result<(Key, Timestamp), BlobError>> + Send>>;

/// A store of blobs. What it has acknowledged is durable.
#[async_trait]
pub trait BlobStore: fmt::Debug + Send + Sync + 'static {
    /// Stores a small blob if there is nothing under the key yet. Of many concurrent callers
    /// one gets `Ok`, the others `AlreadyExists`, if `creates_are_atomic`; else several may get
    /// `Ok`, and a lease must decide. What an earlier, unanswered try of the same caller has
    /// stored is `AlreadyExists` too.
    async fn create(&self, key: &Key, content: Bytes) -> Result<(), BlobError>;

    /// Stores a small blob, in place of what is there.
    async fn put(&self, key: &Key, content: Bytes) -> Result<(), BlobError>;

    /// Stores a small blob that may be lost when the machine loses power: a note about
    /// work in progress, not a promise.
    async fn note(&self, key: &Key, content: Bytes) -> Result<(), BlobError>;

    /// A whole small blob. More than `most_bytes` is an error: this never fills memory.
    async fn get(&self, key: &Key, most_bytes: u64) -> Result<Bytes, BlobError>;

    /// The size of a blob.
    async fn size_of(&self, key: &Key) -> Result<u64, BlobError>;

    /// A part of a blob, `range` within its size. Opens it before returning, so that
    /// `NotFound` is known at once.
    async fn open(&self, key: &Key, range: Range<u64>) -> Result<BlobReader, BlobError>;

    /// Begins a blob of unknown size. Nothing is visible under the key before `finish`.
    async fn begin(&self, key: &Key) -> Result<Box<dyn BlobWriter>, BlobError>;

    /// Removes a blob. A missing one is no error.
    async fn delete(&self, key: &Key) -> Result<(), BlobError>;

    /// Removes what a writer of this key has left behind that was killed. Only for keys
    /// that nobody writes now.
    async fn clear_leftovers(&self, key: &Key) -> Result<(), BlobError>;

    /// Removes what killed writers have left behind anywhere in the store before
    /// `older_than`; tells how many. Looks at everything: for start-up, not for every day.
    async fn clear_staged(&self, older_than: Timestamp) -> Result<usize, BlobError>;

    /// The keys below a prefix, and when each was last written.
    fn list(&self, prefix: &Key) -> Listing;

    /// Whether `create` decides by itself who is first.
    fn creates_are_atomic(&self) -> bool;

    /// Whether the store answers and lets us write.
    async fn check(&self) -> Result<(), BlobError>;
}

/// One blob that is being written by one caller.
#[async_trait]
pub trait BlobWriter: Send {
    /// Takes the next piece. Waits while the store is slower than the caller.
    async fn write(&mut self, piece: Bytes) -> Result<(), BlobError>;

    /// Makes the blob visible. Durable when this answers.
    async fn finish(self: Box<Self>) -> Result<(), BlobError>;

    /// Leaves nothing behind. Dropping a writer does the same, but later.
    async fn abort(self: Box<Self>);
}
