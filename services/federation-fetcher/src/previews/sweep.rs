//! Pictures of previews that are over are deleted, by one instance at a time.

use std::{sync::Arc, time::Duration};

use heliograph_proto::{Action, Moderate};
use heliograph_types::{ErrorCode, Mxc, UserId};
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
        let now = self.clock.now().as_millis();
        let old = self.state.range(INDEX, now, MOST_AT_ONCE).await.map_err(|error| error.to_string())?;
        for entry in old {
            if self.remove(&entry.member).await? {
                metrics::preview_picture("deleted");
            }
            self.state.remove(INDEX, &entry.member).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Whether it was there. One that is only just arriving is not here by now: it has as long
    /// as a preview lives.
    async fn remove(&self, member: &str) -> Result<bool, String> {
        let Ok(mxc) = member.parse::<Mxc>() else { return Ok(false) };
        let Ok(moderator) = UserId::of_previews(&mxc.server_name) else { return Ok(false) };
        match self.uploads.moderate(Moderate { mxc, action: Action::Delete, moderator }).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.code == ErrorCode::NotFound => Ok(false),
            Err(failure) => Err(failure.to_string()),
        }
    }
}
