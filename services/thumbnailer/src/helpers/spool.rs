//! Files for helpers: on disk, never in memory.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
};

use futures_util::TryStreamExt;
use heliograph_blobs::{BlobStore, Key};
use heliograph_types::Failure;
use tokio::io::AsyncWriteExt;

use super::kind::Kind;

/// The first bytes of a blob.
pub(super) async fn beginning(blobs: &dyn BlobStore, blob: &Key, size_bytes: u64) -> Result<Vec<u8>, Failure> {
    let mut beginning = Vec::new();
    let mut pieces = blobs.open(blob, 0..size_bytes.min(Kind::SNIFFED_BYTES)).await?;
    while let Some(piece) = pieces.try_next().await? {
        beginning.extend_from_slice(&piece);
    }
    Ok(beginning)
}

/// The file of a blob; of one in a bucket a copy in the system's folder for temporary files, without a name.
/// Not one in memory: the jail of a helper lets it read files alone that are in a folder.
pub(super) async fn spool(blobs: &dyn BlobStore, blob: &Key, size_bytes: u64) -> Result<File, Failure> {
    if let Some(file) = blobs.open_file(blob).await? {
        return Ok(file);
    }
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(failed)?);
    let mut pieces = blobs.open(blob, 0..size_bytes).await?;
    while let Some(piece) = pieces.try_next().await? {
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    Ok(file.into_std().await)
}

/// The same file once more, from its beginning. No two read it at once: they share the position.
pub(super) fn again(file: &File) -> Result<File, Failure> {
    let mut file = file.try_clone().map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(file)
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn failed(error: std::io::Error) -> Failure {
    tracing::error!(%error, folder = %std::env::temp_dir().display(), "no room for a file for a helper");
    Failure::unavailable("there is no room for the file now")
}
