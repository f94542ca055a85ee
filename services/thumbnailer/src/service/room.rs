//! Who may have the pool do something, and when.

use std::sync::Arc;

use bytes::Bytes;
use heliograph_types::Failure;
use tokio::sync::OwnedSemaphorePermit;

use super::{SharedFlight, Stopped, Studio, saturated};
use crate::{
    actors::worker::{Work, WorkOn},
    error::RenderError,
    flights::Flight,
    metrics,
};

/// A place in the queue.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _queued: metrics::Queued,
}

impl Studio {
    /// A place in the queue, and then room for a file.
    pub(super) async fn admit<P>(&self, flight: &Flight<P>) -> Result<(Place, OwnedSemaphorePermit), Stopped> {
        let Ok(place) = Arc::clone(&self.queue).try_acquire_owned() else {
            return Err(saturated("too many pictures are in work").into());
        };
        let place = Place { _permit: place, _queued: metrics::Queued::enter() };
        Ok((place, self.wait_for_room(flight).await?))
    }

    /// Has the pool do `work` on a file; what is wrong with the file comes back inside.
    pub(super) async fn work_on<T: Send + 'static, P: Send + Sync + 'static>(
        &self,
        file: Bytes,
        work: Work<T>,
        flight: &SharedFlight<P>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Result<T, RenderError>, Stopped> {
        let flight = Arc::clone(flight);
        let is_awaited = Box::new(move || flight.is_awaited());
        match self.pool.send(WorkOn { file, work, is_awaited, permit }).await {
            Ok(Err(RenderError::Abandoned)) => Err(Stopped::Abandoned),
            Ok(outcome) => Ok(outcome),
            Err(_closed) => Err(Failure::unavailable("the thumbnailer is shutting down").into()),
        }
    }

    /// Waits in the queue, with empty hands: no file is read before there is room for it.
    async fn wait_for_room<P>(&self, flight: &Flight<P>) -> Result<OwnedSemaphorePermit, Stopped> {
        tokio::select! {
            permit = Arc::clone(&self.files).acquire_owned() => {
                permit.map_err(|_closed| Failure::unavailable("the thumbnailer is shutting down").into())
            }
            () = flight.abandoned() => Err(Stopped::Abandoned),
        }
    }
}
