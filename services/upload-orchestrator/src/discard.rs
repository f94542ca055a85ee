//! Removing what an upload has stored, never what a record names.

use std::sync::Arc;

use futures_util::TryStreamExt;
use heliograph_blobs::{BlobError, BlobStore, Key};
use heliograph_catalog::{Catalog, CatalogError, MediaRecord};
use heliograph_types::Mxc;

/// Removes the blob of an upload unless it is the content of `mxc`. Answers what the id stands
/// for, if it has content.
///
/// Only for a blob that no other medium can use: its upload never got as far as to tell of it.
pub(crate) async fn discard_unless_recorded(
    blobs: &dyn BlobStore,
    catalog: &Catalog,
    mxc: &Mxc,
    blob: &Key,
) -> Result<Option<Arc<MediaRecord>>, CatalogError> {
    let record = catalog.find_now(mxc).await?;
    if record.as_ref().is_none_or(|record| record.blob != blob.as_str()) {
        remove(blobs, blob).await.map_err(CatalogError::Store)?;
    }
    Ok(record.filter(|record| record.deleted.is_none()))
}

/// Removes a blob, and what killed writers have left of it.
pub(crate) async fn remove(blobs: &dyn BlobStore, blob: &Key) -> Result<(), BlobError> {
    blobs.delete(blob).await?;
    blobs.clear_leftovers(blob).await
}

/// Removes everything below a prefix.
pub(crate) async fn remove_all(blobs: &dyn BlobStore, prefix: &Key) -> Result<(), BlobError> {
    blobs.list(prefix).try_for_each(|(key, _)| async move { blobs.delete(&key).await }).await
}
