//! The file of a picture, as it is given to a worker: open, and never copied into our own memory.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use heliograph_blobs::{BlobStore, Key};
use heliograph_jail::SealedFile;
use heliograph_types::Failure;

/// An open file that nobody changes.
#[derive(Debug, Clone)]
pub(crate) struct PictureFile(Arc<File>);

impl PictureFile {
    /// A blob of so many bytes. One in a folder is opened, one in a bucket comes piece by piece into a file
    /// that is in memory alone.
    pub(crate) async fn open(blobs: &dyn BlobStore, key: &Key, size_bytes: u64) -> Result<Self, Failure> {
        if let Some(file) = blobs.open_file(key).await? {
            return Ok(Self(Arc::new(file)));
        }
        let mut sealed = SealedFile::begin().map_err(no_room)?;
        let mut pieces = blobs.open(key, 0..size_bytes).await?;
        while let Some(piece) = pieces.try_next().await? {
            sealed.write(&piece).map_err(no_room)?;
        }
        Ok(Self(Arc::new(sealed.seal().map_err(no_room)?)))
    }

    /// One that is in memory.
    pub(crate) fn of(content: &Bytes) -> Result<Self, Failure> {
        Ok(Self(Arc::new(SealedFile::of(content).map_err(no_room)?)))
    }

    /// Its descriptor.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Its bytes, in this process.
    #[cfg(test)]
    pub(crate) fn map(&self) -> io::Result<heliograph_jail::Mapping> {
        heliograph_jail::Mapping::of(&self.0)
    }
}

/// The system has no memory or no descriptors left.
#[expect(clippy::needless_pass_by_value, reason = "what `map_err` gives")]
fn no_room(error: io::Error) -> Failure {
    tracing::error!(%error, "no file in memory for a picture");
    Failure::unavailable("there is no room for the picture")
}
