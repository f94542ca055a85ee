//! Removes what killed processes and forgetful clients leave: remains of uploads, and ids
//! that expired without content.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use heliograph_catalog::{CatalogError, incoming_prefix};
use heliograph_proto::BlobId;
use heliograph_types::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{actors::registry::Shared, discard::discard_unless_recorded, metrics};

/// Files are dated by the file system, whose clock is coarser than ours or another's. What
/// is younger goes at the next start, or with the note on its upload.
const CLOCKS_APART: Duration = Duration::from_mins(1);

/// Sweeps now and then until shutdown. With `dead_before`, what is older is removed at once.
pub(crate) async fn run(shared: Arc<Shared>, shutdown: CancellationToken, dead_before: Option<Timestamp>) {
    let sweeps = async {
        if let Some(dead_before) = dead_before {
            sweep_remains(&shared, dead_before).await;
            sweep_staged(&shared, dead_before - CLOCKS_APART).await;
        }
        loop {
            let abandoned_before = shared.clock.now() - shared.config.staging_lifetime;
            sweep_remains(&shared, abandoned_before).await;
            sweep_reservations(&shared).await;
            tokio::time::sleep(shared.config.sweep_interval).await;
        }
    };
    let _ = shutdown.run_until_cancelled(sweeps).await;
}

/// Removes uploads that nobody here owns and that began before `older_than`. One that
/// cannot be removed is left for the next sweep.
async fn sweep_remains(shared: &Shared, older_than: Timestamp) {
    let mut markers = shared.blobs.list(&incoming_prefix());
    while let Some(marker) = markers.next().await {
        let key = match marker {
            Ok((key, _)) => key,
            Err(error) => return tracing::warn!(%error, "the sweep of uploads was interrupted"),
        };
        let blob_id = key.as_str().rsplit('/').next().unwrap_or_default();
        if let Err(error) = sweep_one(shared, blob_id, older_than).await {
            tracing::warn!(blob_id, %error, "remains of an upload stay");
        }
    }
}

/// Removes the half-written files of killed writers, whatever they were to become.
async fn sweep_staged(shared: &Shared, older_than: Timestamp) {
    match shared.blobs.clear_staged(older_than).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed half-written files"),
        Err(error) => tracing::warn!(%error, "the sweep of half-written files was interrupted"),
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
    // First: without its note nobody would come here again.
    shared.catalog.clear_leftovers(&marker.mxc).await?;
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
                tracing::warn!(%error, "a reservation cannot be read");
                continue;
            }
        };
        match shared.catalog.remove_reserved(&expired.mxc).await {
            Ok(()) => metrics::swept("reservation"),
            Err(error) => tracing::warn!(mxc = %expired.mxc, %error, "an expired reservation stays"),
        }
    }
}
