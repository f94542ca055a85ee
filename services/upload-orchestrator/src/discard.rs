//! Removing what an upload has stored, never what a record names.

use std::sync::Arc;

use futures_util::TryStreamExt;
use heliograph_blobs::{BlobError, BlobStore, Key};
use heliograph_catalog::{Catalog, CatalogError, MediaRecord, blob_key, thumbnails_prefix};
use heliograph_types::Mxc;

/// Removes the blob and the note on it, unless it is the content of `mxc`: then only the
/// note goes. Of a medium that was deleted, the thumbnails go too. Answers what the id
/// stands for, if it has content.
pub(crate) async fn discard_unless_recorded(
    blobs: &dyn BlobStore,
    catalog: &Catalog,
    mxc: &Mxc,
    blob_id: &str,
) -> Result<Option<Arc<MediaRecord>>, CatalogError> {
    let blob = blob_key(blob_id);
    let record = catalog.find_now(mxc).await?;
    let is_deleted = record.as_ref().is_some_and(|record| record.deleted.is_some());
    if is_deleted || record.as_ref().is_none_or(|record| record.blob != blob.as_str()) {
        remove(blobs, &blob).await.map_err(CatalogError::Store)?;
    }
    if is_deleted {
        remove_all(blobs, &thumbnails_prefix(mxc)).await.map_err(CatalogError::Store)?;
    }
    catalog.unmark(blob_id).await?;
    Ok(record.filter(|_| !is_deleted))
}

async fn remove(blobs: &dyn BlobStore, blob: &Key) -> Result<(), BlobError> {
    blobs.delete(blob).await?;
    blobs.clear_leftovers(blob).await
}

async fn remove_all(blobs: &dyn BlobStore, prefix: &Key) -> Result<(), BlobError> {
    blobs.list(prefix).try_for_each(|(key, _)| async move { blobs.delete(&key).await }).await
}
