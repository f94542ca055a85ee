//! The interface of a store.

use std::{fmt, fs::File, ops::Range, pin::Pin, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use heliograph_types::{StoreName, Timestamp};
use url::Url;

use crate::{BlobError, Key};

/// The bytes of a blob, piece by piece.
pub type BlobReader = Pin<Box<dyn Stream<Item = Result<Bytes, BlobError>> + Send>>;

/// Keys below a prefix, in no order.
pub type Listing = Pin<Box<dyn Stream<Item = Result<(Key, Timestamp), BlobError>> + Send>>;

/// What a store knows of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub size_bytes: u64,
    /// What was said of it when it was written; a folder keeps none.
    pub content_type: Option<String>,
}

/// What the holder of a URL may do with one blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant<'a> {
    /// Write it, by `PUT`. Neither the size nor the type is fixed.
    Put,
    /// Read it, by `GET`, answered with these headers.
    Get {
        /// `Content-Type`.
        content_type: &'a str,
        /// `Content-Disposition`.
        disposition: &'a str,
    },
}

/// A store of blobs. What it has acknowledged is durable, but for `create_quickly`.
#[async_trait]
pub trait BlobStore: fmt::Debug + Send + Sync + 'static {
    /// Stores a small blob if there is nothing under the key yet. Of many concurrent callers
    /// one gets `Ok`, the others `AlreadyExists`, if `creates_are_atomic`; else several may get
    /// `Ok`, and a lease must decide. What an earlier, unanswered try of the same caller has
    /// stored is `AlreadyExists` too.
    async fn create(&self, key: &Key, content: Bytes) -> Result<(), BlobError>;

    /// The same for what may be lost. A killed process loses nothing that was acknowledged; a power cut
    /// may cost what was stored in the last seconds, or leave a part of it, or nothing under its key:
    /// whoever cannot read such a blob takes it for lost. A bucket knows no such difference.
    async fn create_quickly(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        self.create(key, content).await
    }

    /// Stores a small blob, in place of what is there.
    async fn put(&self, key: &Key, content: Bytes) -> Result<(), BlobError>;

    /// A whole small blob. More than `most_bytes` is an error: this never fills memory.
    async fn get(&self, key: &Key, most_bytes: u64) -> Result<Bytes, BlobError>;

    /// The size of a blob.
    async fn size_of(&self, key: &Key) -> Result<u64, BlobError>;

    /// What the store knows of a blob.
    async fn stat(&self, key: &Key) -> Result<Stat, BlobError>;

    /// Copies a blob within the store, to a key that is new: of what was written within the same
    /// millisecond, Garage may keep the other. A bucket does that by itself: no byte passes
    /// through us. Durable when this answers.
    async fn copy(&self, from: &Key, to: &Key) -> Result<(), BlobError>;

    /// A URL by which anybody may do one thing with one blob for this time; `None` if the store
    /// has no such URLs. Whether there is a blob is not looked at.
    async fn presign(&self, key: &Key, grant: Grant<'_>, lifetime: Duration) -> Result<Option<Url>, BlobError>;

    /// A part of a blob, `range` within its size. Opens it before returning, so that
    /// `NotFound` is known at once.
    async fn open(&self, key: &Key, range: Range<u64>) -> Result<BlobReader, BlobError>;

    /// The file of a blob, open for reading, where there is one: in a folder. Nobody writes to it. A
    /// bucket has none.
    async fn open_file(&self, key: &Key) -> Result<Option<File>, BlobError> {
        _ = key;
        Ok(None)
    }

    /// Begins a blob of unknown size. Nothing is visible under the key before `finish`.
    async fn begin(&self, key: &Key) -> Result<Box<dyn BlobWriter>, BlobError>;

    /// Removes a blob. A missing one is no error.
    async fn delete(&self, key: &Key) -> Result<(), BlobError>;

    /// Removes what a writer of this key has left behind that was killed. Only for keys
    /// that nobody writes now.
    async fn clear_leftovers(&self, key: &Key) -> Result<(), BlobError>;

    /// Removes what killed writers have left behind below a prefix, or anywhere, before
    /// `older_than`; tells how many. Looks at everything there.
    async fn clear_staged(&self, prefix: Option<&Key>, older_than: Timestamp) -> Result<usize, BlobError>;

    /// The keys below a prefix, and when each was last written.
    fn list(&self, prefix: &Key) -> Listing;

    /// The stores that there are besides the usual one.
    fn others(&self) -> Vec<StoreName> {
        Vec::new()
    }

    /// Whether `create` decides by itself who is first.
    fn creates_are_atomic(&self) -> bool;

    /// Whether the store answers and lets us write: the usual one.
    async fn check(&self) -> Result<(), BlobError>;

    /// Whether all others do.
    async fn check_others(&self) -> Result<(), BlobError> {
        Ok(())
    }
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
