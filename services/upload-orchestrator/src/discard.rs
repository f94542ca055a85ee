//! Removing what an upload has stored, never what a record names.

use heliograph_blobs::{BlobError, BlobStore};
use heliograph_catalog::{Catalog, CatalogError, blob_key};
use heliograph_types::Mxc;

/// Removes the blob and the note on it, unless it is the content of `mxc`: then only the
/// note goes.
pub(crate) async fn discard_unless_recorded(
    blobs: &dyn BlobStore,
    catalog: &Catalog,
    mxc: &Mxc,
    blob_id: &str,
) -> Result<(), CatalogError> {
    let blob = blob_key(blob_id);
    let record = catalog.find(mxc).await?;
    if record.is_none_or(|record| record.blob != blob.as_str()) {
        remove(blobs, &blob).await.map_err(CatalogError::Store)?;
    }
    catalog.unmark(blob_id).await
}

async fn remove(blobs: &dyn BlobStore, blob: &heliograph_blobs::Key) -> Result<(), BlobError> {
    blobs.delete(blob).await?;
    blobs.clear_leftovers(blob).await
}
