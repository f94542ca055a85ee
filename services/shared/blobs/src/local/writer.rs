//! One blob that is being written.

use std::{io, path::PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload, local::LocalFileSystem, path::Path};

use super::{fresh::write_fresh, translate, translate_io};
use crate::{BlobError, BlobWriter, Key, location::location_of, pieces::Pieces};

/// A small blob is one put; a larger one is written in chunks.
pub(super) struct LocalWriter {
    fs: LocalFileSystem,
    folder: PathBuf,
    key: Key,
    pieces: Pieces,
    chunk_size: usize,
    upload: Option<Box<dyn MultipartUpload>>,
}

impl LocalWriter {
    /// A writer of `key` below `folder`, which is that of `fs`. It collects `chunk_size` bytes before it writes them.
    pub(super) fn new(fs: LocalFileSystem, folder: PathBuf, key: Key, chunk_size: usize) -> Self {
        Self { fs, folder, key, pieces: Pieces::default(), chunk_size, upload: None }
    }

    async fn flush(&mut self) -> object_store::Result<()> {
        let payload = self.pieces.take();
        if self.upload.is_none() {
            self.upload = Some(open_upload(self.fs.clone(), location_of(&self.key)).await?);
        }
        match &mut self.upload {
            Some(upload) => upload.put_part(payload).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl BlobWriter for LocalWriter {
    async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.pieces.push(piece);
        if self.pieces.size_bytes() >= self.chunk_size {
            self.flush().await.map_err(|error| translate(self.key.as_str(), error))?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), BlobError> {
        let payload = self.pieces.take();
        let Some(upload) = &mut self.upload else { return write_whole(self.fs, self.folder, &self.key, payload).await };
        let finished = match upload.put_part(payload).await {
            Ok(()) => upload.complete().await.map(drop),
            Err(error) => Err(error),
        };
        finished.map_err(|error| translate(self.key.as_str(), error))
    }

    async fn abort(mut self: Box<Self>) {
        if let Some(mut upload) = self.upload.take()
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(key = %self.key, %error, "could not remove an aborted upload");
        }
    }
}

/// Opening makes folders and syncs them on the calling thread: that must not be ours.
async fn open_upload(fs: LocalFileSystem, path: Path) -> object_store::Result<Box<dyn MultipartUpload>> {
    let runtime = tokio::runtime::Handle::current();
    let opening = tokio::task::spawn_blocking(move || runtime.block_on(fs.put_multipart(&path)));
    opening.await.map_err(|source| object_store::Error::JoinError { source })?
}

/// All of a small blob at once.
async fn write_whole(fs: LocalFileSystem, folder: PathBuf, key: &Key, content: PutPayload) -> Result<(), BlobError> {
    let location = location_of(key);
    let path = folder.join(location.as_ref());
    let writing = tokio::task::spawn_blocking(move || (write_fresh(&path, &content), content));
    let (written, content) = writing.await.map_err(|error| translate_io(key.as_str(), io::Error::other(error)))?;
    match written {
        // It makes the folder, durably.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs.put(&location, content).await.map(drop).map_err(|error| translate(key.as_str(), error))
        }
        written => written.map_err(|error| translate_io(key.as_str(), error)),
    }
}
