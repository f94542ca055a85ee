//! Pictures of previews that are over are deleted, by one instance at a time.
//!
//! The index says which are next. It is made of the notes in the store again whenever the
//! shared state has lost it, and once a day in case that it has lost a part of it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt;
use heliograph_catalog::{preview_picture_of, preview_pictures_prefix};
use heliograph_proto::{Action, Moderate};
use heliograph_types::{ErrorCode, Mxc, Timestamp, UserId};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Previews, picture::Pictures};
use crate::metrics;

/// All pictures of previews, by when they are to go.
pub(crate) const INDEX: &str = "preview_pictures";
const SWEEP_EVERY: Duration = Duration::from_mins(1);
const LEASE: &str = "preview_pictures:sweep";
const LEASE_TTL: Duration = Duration::from_mins(5);
/// Of one sweep: what is left comes with the next one.
const MOST_AT_ONCE: usize = 500;
/// Remembered as long as the index is believed: where it is lost, so is this.
const INDEXED: &str = "preview_pictures:indexed";
const BELIEVED: Duration = Duration::from_hours(24);
/// Notes that are entered at once.
const ENTERED_AT_ONCE: usize = 16;

pub(crate) async fn run(previews: Arc<Previews>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = sleep(SWEEP_EVERY) => {}
            () = shutdown.cancelled() => return,
        }
        tokio::select! {
            () = previews.sweep() => {}
            () = shutdown.cancelled() => return,
        }
    }
}

impl Previews {
    /// Deletes what is over, unless another instance does.
    pub(crate) async fn sweep(&self) {
        let Ok(Some(lease)) = self.state.try_acquire(LEASE, LEASE_TTL).await else { return };
        if let Err(reason) = self.pictures.remove_old().await {
            tracing::warn!(reason, "old pictures of previews are not deleted");
        }
        if let Err(error) = self.state.release(&lease).await {
            tracing::debug!(%error, "the lease of a sweep is left to end");
        }
    }
}

impl Pictures {
    async fn remove_old(&self) -> Result<(), String> {
        self.index_all().await?;
        let now = self.clock.now().as_millis();
        let old = self.state.range(INDEX, now, MOST_AT_ONCE).await.map_err(|error| error.to_string())?;
        for entry in old {
            match entry.member.parse() {
                Ok(mxc) => self.remove(mxc, Timestamp::from_millis(entry.score)).await?,
                Err(_) => self.state.remove(INDEX, &entry.member).await.map_err(|error| error.to_string())?,
            }
        }
        Ok(())
    }

    /// Enters every picture of which there is a note, unless that was done lately.
    async fn index_all(&self) -> Result<(), String> {
        if self.state.find_cached(INDEXED).await.map_err(|error| error.to_string())?.is_some() {
            return Ok(());
        }
        let notes = self.blobs.list(&preview_pictures_prefix()).map_err(|error| error.to_string());
        notes
            .try_for_each_concurrent(ENTERED_AT_ONCE, async |(note, _)| {
                let Some((mxc, gone_at)) = preview_picture_of(&note) else { return Ok(()) };
                let entered = self.state.insert(INDEX, &mxc.to_string(), gone_at.as_millis()).await;
                entered.map_err(|error| error.to_string())
            })
            .await?;
        let believed = self.state.cache(INDEXED, Bytes::from_static(b"1"), BELIEVED).await;
        believed.map_err(|error| error.to_string())
    }

    /// One that is only just arriving is not here by now: it has as long as a preview lives.
    async fn remove(&self, mxc: Mxc, gone_at: Timestamp) -> Result<(), String> {
        let moderator = UserId::of_previews(&mxc.server_name).map_err(|error| error.to_string())?;
        match self.uploads.moderate(Moderate { mxc: mxc.clone(), action: Action::Delete, moderator }).await {
            Ok(_) => metrics::preview_picture("deleted"),
            Err(failure) if failure.code == ErrorCode::NotFound => {}
            Err(failure) => return Err(failure.to_string()),
        }
        self.forget(&mxc, gone_at).await
    }
}
