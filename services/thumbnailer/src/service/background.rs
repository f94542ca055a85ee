//! What is made of each new picture before anybody asks for it.
//!
//! Nothing depends on it: what is dropped, or lost when the process ends, is made when somebody
//! asks. Few are in work at once, so that those who wait for a thumbnail come first.

use std::sync::Arc;

use heliograph_proto::Describe;
use heliograph_types::{Failure, Mxc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument;

use super::{Studio, saturated};
use crate::metrics;

/// One of so many threads may be busy with it.
const THREADS_EACH: usize = 4;

/// Room for what nobody waits for.
pub(super) struct Background {
    /// New pictures that wait or are in work.
    queue: Arc<Semaphore>,
    /// In work at once.
    room: Arc<Semaphore>,
}

impl Background {
    pub(super) fn new(queue_limit: usize, threads: usize) -> Self {
        let room = threads.div_ceil(THREADS_EACH);
        Self {
            queue: Arc::new(Semaphore::new(queue_limit.min(Semaphore::MAX_PERMITS))),
            room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))),
        }
    }
}

impl Studio {
    /// Has what is made of each new picture made of this one, when there is room.
    pub(super) fn prepare(self: &Arc<Self>, mxc: Mxc) -> Result<(), Failure> {
        let Ok(place) = Arc::clone(&self.background.queue).try_acquire_owned() else {
            metrics::background("dropped");
            return Err(saturated("too many new pictures wait"));
        };
        let studio = Arc::clone(self);
        self.deps
            .tasks
            .spawn_on(async move { studio.make_beforehand(mxc, place).await }.in_current_span(), &self.runtime);
        Ok(())
    }

    async fn make_beforehand(self: Arc<Self>, mxc: Mxc, _place: OwnedSemaphorePermit) {
        let Ok(_room) = self.background.room.acquire().await else { return };
        match self.ask(Describe { mxc: mxc.clone() }).await {
            Ok(_) => metrics::background("done"),
            Err(failure) => {
                tracing::debug!(%mxc, %failure, "nothing was made beforehand");
                metrics::background("failed");
            }
        }
    }
}
