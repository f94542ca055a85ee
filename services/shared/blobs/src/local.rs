//! A folder on a local (or shared) disk.
//!
//! `object_store`'s local back end publishes a file atomically: it writes `name#1` beside
//! it and renames (or hard-links, for create-only). What this adds: fsync of everything
//! that is acknowledged, larger reads, errors that say what to do, and removal of the
//! `name#1` that a killed process leaves.

mod fresh;
mod quick;
mod reader;
mod staged;
mod writer;

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    ops::Range,
    path::{Path as FsPath, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use heliograph_types::Timestamp;
use object_store::{
    GetOptions, GetResultPayload, ObjectStore, ObjectStoreExt, PutMode, PutPayload, local::LocalFileSystem, path::Path,
};
use url::Url;

use self::{
    quick::QuickWriter,
    staged::{remove_all_staged, remove_staged},
    writer::LocalWriter,
};
use crate::{
    BlobError, BlobReader, BlobStore, BlobWriter, Grant, Key, Listing, Stat, StorageConfig,
    location::{key_at, location_of},
};

/// Blobs as files below one folder.
pub struct LocalStore {
    folder: PathBuf,
    durable: LocalFileSystem,
    quick: LocalFileSystem,
    quick_writer: QuickWriter,
    read_chunk_size: usize,
    write_chunk_size: usize,
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalStore").field(&self.folder).finish()
    }
}

impl LocalStore {
    /// Opens the store in `folder`, which is made if it is missing.
    pub fn open(folder: &FsPath, config: &StorageConfig) -> Result<Self, BlobError> {
        let failed = |source: object_store::Error| translate(&folder.display().to_string(), source);
        std::fs::create_dir_all(folder).map_err(|error| translate_io(&folder.display().to_string(), error))?;
        let folder_size = |size: bytesize::ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX).max(4096);
        Ok(Self {
            folder: folder.to_owned(),
            durable: LocalFileSystem::new_with_prefix(folder).map_err(failed)?.with_fsync(true),
            quick: LocalFileSystem::new_with_prefix(folder).map_err(failed)?,
            quick_writer: QuickWriter::default(),
            read_chunk_size: folder_size(config.read_chunk_size),
            write_chunk_size: folder_size(config.write_chunk_size),
        })
    }

    async fn store(&self, key: &Key, content: Bytes, mode: PutMode) -> Result<(), BlobError> {
        self.durable
            .put_opts(&location_of(key), content.into(), mode.into())
            .await
            .map_err(|error| translate(key.as_str(), error))?;
        Ok(())
    }

    /// Opens the file of a blob; the size is that of the whole blob.
    async fn open_whole(&self, key: &Key) -> Result<(File, u64), BlobError> {
        let found = self.quick.get_opts(&location_of(key), GetOptions::default()).await;
        let found = found.map_err(|error| translate(key.as_str(), error))?;
        match found.payload {
            GetResultPayload::File(file, _) => Ok((file, found.meta.size)),
            GetResultPayload::Stream(_) => {
                Err(BlobError::Failed { key: key.to_string(), source: "the local store gave no file".into() })
            }
        }
    }
}

#[async_trait]
impl BlobStore for LocalStore {
    async fn create(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        self.store(key, content, PutMode::Create).await
    }

    async fn create_quickly(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        let path = self.folder.join(location_of(key).as_ref());
        let written = self.quick_writer.write(path, content).await;
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => BlobError::AlreadyExists { key: key.to_string() },
            _ => translate_io(key.as_str(), error),
        })
    }

    async fn put(&self, key: &Key, content: Bytes) -> Result<(), BlobError> {
        self.store(key, content, PutMode::Overwrite).await
    }

    async fn get(&self, key: &Key, most_bytes: u64) -> Result<Bytes, BlobError> {
        let (file, size) = self.open_whole(key).await?;
        if size > most_bytes {
            let source = format!("{size} bytes, more than the {most_bytes} expected here").into();
            return Err(BlobError::Failed { key: key.to_string(), source });
        }
        read_whole(key, file, size).await
    }

    async fn size_of(&self, key: &Key) -> Result<u64, BlobError> {
        let found = self.quick.head(&location_of(key)).await.map_err(|error| translate(key.as_str(), error))?;
        Ok(found.size)
    }

    async fn stat(&self, key: &Key) -> Result<Stat, BlobError> {
        Ok(Stat { size_bytes: self.size_of(key).await?, content_type: None })
    }

    async fn copy(&self, from: &Key, to: &Key) -> Result<(), BlobError> {
        // A hard link to what is durable already: nothing of ours changes a file once it is there.
        let copied = self.durable.copy(&location_of(from), &location_of(to)).await;
        copied.map_err(|error| translate(from.as_str(), error))
    }

    async fn presign(&self, _: &Key, _: Grant<'_>, _: Duration) -> Result<Option<Url>, BlobError> {
        Ok(None)
    }

    async fn open(&self, key: &Key, range: Range<u64>) -> Result<BlobReader, BlobError> {
        let (file, _) = self.open_whole(key).await?;
        Ok(Box::pin(reader::read(key.clone(), file, range, self.read_chunk_size)))
    }

    async fn open_file(&self, key: &Key) -> Result<Option<File>, BlobError> {
        Ok(Some(self.open_whole(key).await?.0))
    }

    async fn begin(&self, key: &Key) -> Result<Box<dyn BlobWriter>, BlobError> {
        let (durable, folder) = (self.durable.clone(), self.folder.clone());
        Ok(Box::new(LocalWriter::new(durable, folder, key.clone(), self.write_chunk_size)))
    }

    async fn delete(&self, key: &Key) -> Result<(), BlobError> {
        match self.quick.delete(&location_of(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(translate(key.as_str(), error)),
        }
    }

    async fn clear_leftovers(&self, key: &Key) -> Result<(), BlobError> {
        let target = self.folder.join(location_of(key).as_ref());
        let cleared = tokio::task::spawn_blocking(move || remove_staged(&target)).await;
        cleared.map_err(io::Error::other).flatten().map_err(|error| translate_io(key.as_str(), error))
    }

    async fn clear_staged(&self, prefix: Option<&Key>, older_than: Timestamp) -> Result<usize, BlobError> {
        let folder =
            prefix.map_or_else(|| self.folder.clone(), |prefix| self.folder.join(location_of(prefix).as_ref()));
        let cleared = tokio::task::spawn_blocking(move || remove_all_staged(&folder, older_than)).await;
        cleared.map_err(io::Error::other).flatten().map_err(|error| translate_io("the store", error))
    }

    fn list(&self, prefix: &Key) -> Listing {
        let prefix = prefix.clone();
        let entries = self.quick.list(Some(&location_of(&prefix)));
        Box::pin(entries.map_err(move |error| translate(prefix.as_str(), error)).try_filter_map(|entry| async move {
            let key = key_at(&entry.location);
            let written_at = u64::try_from(entry.last_modified.timestamp_millis()).unwrap_or_default();
            Ok(key.map(|key| (key, Timestamp::from_millis(written_at))))
        }))
    }

    fn creates_are_atomic(&self) -> bool {
        true
    }

    async fn check(&self) -> Result<(), BlobError> {
        let key = Path::from("check");
        let content = PutPayload::from_static(b"heliograph may write here\n");
        self.quick.put(&key, content).await.map_err(|error| translate("check", error))?;
        Ok(())
    }
}

/// All of a small file.
async fn read_whole(key: &Key, mut file: File, size: u64) -> Result<Bytes, BlobError> {
    let read = tokio::task::spawn_blocking(move || {
        let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        (&mut file).take(size).read_to_end(&mut content)?;
        Ok::<_, io::Error>(content)
    });
    let content = read.await.map_err(io::Error::other).flatten().map_err(|error| translate_io(key.as_str(), error))?;
    if (content.len() as u64) < size { Err(reader::too_short(key)) } else { Ok(content.into()) }
}

fn translate(key: &str, error: object_store::Error) -> BlobError {
    match error {
        object_store::Error::NotFound { .. } => BlobError::NotFound { key: key.to_owned() },
        object_store::Error::AlreadyExists { .. } => BlobError::AlreadyExists { key: key.to_owned() },
        error => translate_kind(key, io_kind(&error), error.into()),
    }
}

fn translate_io(key: &str, error: io::Error) -> BlobError {
    translate_kind(key, Some(error.kind()), error.into())
}

fn translate_kind(
    key: &str,
    kind: Option<io::ErrorKind>,
    source: Box<dyn std::error::Error + Send + Sync>,
) -> BlobError {
    match kind {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => BlobError::Full,
        Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            BlobError::Denied { key: key.to_owned(), advice: "check its permissions" }
        }
        _ => BlobError::Failed { key: key.to_owned(), source },
    }
}

/// The kind of the first I/O error in the chain of causes.
fn io_kind(error: &object_store::Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}
