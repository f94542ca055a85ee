//! One blob that is being sent to a bucket.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt};
use tokio::task::JoinSet;

use super::Shared;
use crate::{BlobError, BlobWriter, Key, location::location_of, pieces::Pieces};

/// A blob smaller than a part is one put; a larger one is sent in parts, all but the last of
/// the same size.
pub(super) struct CloudWriter {
    shared: Arc<Shared>,
    key: Key,
    pieces: Pieces,
    upload: Option<Box<dyn MultipartUpload>>,
    /// Parts under way.
    parts: JoinSet<object_store::Result<()>>,
}

impl CloudWriter {
    pub(super) fn new(shared: Arc<Shared>, key: Key) -> Self {
        Self { shared, key, pieces: Pieces::default(), upload: None, parts: JoinSet::new() }
    }

    /// Sends what was collected, as soon as there is room under way.
    async fn send_part(&mut self) -> object_store::Result<()> {
        if self.parts.len() >= self.shared.part_concurrency {
            self.join_part().await?;
        }
        if self.upload.is_none() {
            self.upload = Some(self.shared.objects.put_multipart(&location_of(&self.key)).await?);
        }
        let payload = self.pieces.take();
        if let Some(upload) = &mut self.upload {
            self.parts.spawn_on(upload.put_part(payload), &self.shared.runtime);
        }
        Ok(())
    }

    /// Waits for one part to arrive.
    async fn join_part(&mut self) -> object_store::Result<()> {
        match self.parts.join_next().await {
            None => Ok(()),
            Some(arrived) => arrived.map_err(|source| object_store::Error::JoinError { source })?,
        }
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        if self.upload.is_none() {
            let payload = self.pieces.take();
            return self.shared.objects.put(&location_of(&self.key), payload).await.map(drop);
        }
        if self.pieces.size_bytes() > 0 {
            self.send_part().await?;
        }
        while !self.parts.is_empty() {
            self.join_part().await?;
        }
        if let Some(upload) = &mut self.upload {
            upload.complete().await?;
        }
        // It is no longer there to be aborted.
        self.upload = None;
        Ok(())
    }

    /// The most that is in memory now.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.pieces.size_bytes() + self.parts.len() * self.shared.part_size
    }

    /// What is to be aborted, if anything.
    fn take_abandoned(&mut self) -> Option<Abandoned> {
        let upload = self.upload.take()?;
        Some(Abandoned { key: self.key.clone(), upload, parts: std::mem::take(&mut self.parts) })
    }
}

#[async_trait]
impl BlobWriter for CloudWriter {
    async fn write(&mut self, mut piece: Bytes) -> Result<(), BlobError> {
        while !piece.is_empty() {
            let room = self.shared.part_size - self.pieces.size_bytes();
            self.pieces.push(piece.split_to(room.min(piece.len())));
            if self.pieces.size_bytes() >= self.shared.part_size {
                self.send_part().await.map_err(|error| self.shared.translate_write(&self.key, error))?;
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), BlobError> {
        let completed = self.complete().await;
        if let Some(abandoned) = self.take_abandoned() {
            abandoned.abort().await;
        }
        completed.map_err(|error| self.shared.translate_write(&self.key, error))
    }

    async fn abort(mut self: Box<Self>) {
        if let Some(abandoned) = self.take_abandoned() {
            abandoned.abort().await;
        }
    }
}

/// The writer may go in the midst of a request of its own.
impl Drop for CloudWriter {
    fn drop(&mut self) {
        if let Some(abandoned) = self.take_abandoned() {
            self.shared.runtime.spawn(abandoned.abort());
        }
    }
}

/// An upload whose parts nobody wants any more.
struct Abandoned {
    key: Key,
    upload: Box<dyn MultipartUpload>,
    parts: JoinSet<object_store::Result<()>>,
}

impl Abandoned {
    async fn abort(mut self) {
        // A part that arrived after the end would stay.
        self.parts.shutdown().await;
        if let Err(error) = self.upload.abort().await {
            tracing::warn!(key = %self.key, %error, "parts of an aborted upload stay in the bucket");
        }
    }
}
