//! Removes what killed processes and forgetful clients leave: remains of uploads, and ids
//! that expired without content.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use heliograph_catalog::{CatalogError, incoming_prefix};
use heliograph_proto::BlobId;
use heliograph_types::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{actors::registry::Shared, discard::discard_unless_recorded, metrics};

/// Sweeps now and then until shutdown.
pub(crate) async fn run(shared: Arc<Shared>, shutdown: CancellationToken, alone: bool) {
    // Nobody else writes: what is in the store from before we started is dead.
    let started_at = shared.clock.now();
    if alone {
        sweep_remains(&shared, started_at).await;
    }
    loop {
        let older_than = shared.clock.now() - shared.config.staging_lifetime;
        sweep_remains(&shared, older_than).await;
        sweep_reservations(&shared).await;
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(shared.config.sweep_interval) => {}
        }
    }
}

/// Removes uploads that nobody here owns and that began before `older_than`.
async fn sweep_remains(shared: &Shared, older_than: Timestamp) {
    let markers = shared.blobs.list(&incoming_prefix()).map_err(CatalogError::Store);
    let swept = markers.try_for_each(|(key, _)| async move {
        let blob_id = key.as_str().rsplit('/').next().unwrap_or_default();
        sweep_one(shared, blob_id, older_than).await
    });
    if let Err(error) = swept.await {
        tracing::warn!(%error, "the sweep of uploads was interrupted");
    }
}

async fn sweep_one(shared: &Shared, blob_id: &str, older_than: Timestamp) -> Result<(), CatalogError> {
    let Ok(id) = blob_id.parse::<BlobId>() else { return Ok(()) };
    let marker = match shared.catalog.find_marker(blob_id).await {
        Ok(Some(marker)) => marker,
        Ok(None) => return Ok(()),
        Err(CatalogError::Damaged { key, source }) => {
            // Without the medium we cannot know whether a record names the blob: keep it.
            tracing::warn!(%key, %source, "a note on an upload cannot be read; its blob stays");
            return shared.catalog.unmark(blob_id).await;
        }
        Err(error) => return Err(error),
    };
    if marker.began_at >= older_than || shared.uploads.find(&id).is_some() {
        return Ok(());
    }
    discard_unless_recorded(&*shared.blobs, &shared.catalog, &marker.mxc, blob_id).await?;
    tracing::info!(mxc = %marker.mxc, "removed the remains of an upload");
    metrics::swept("upload");
    Ok(())
}

async fn sweep_reservations(shared: &Shared) {
    let now = shared.clock.now();
    let mut reservations = std::pin::pin!(shared.catalog.all_reserved());
    while let Some(reserved) = reservations.next().await {
        let expired = match reserved {
            Ok(reserved) if reserved.unused_expires_at <= now => reserved,
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(%error, "the sweep of reservations was interrupted");
                return;
            }
        };
        match shared.catalog.remove_reserved(&expired.mxc).await {
            Ok(()) => metrics::swept("reservation"),
            Err(error) => tracing::warn!(mxc = %expired.mxc, %error, "an expired reservation stays"),
        }
    }
}
