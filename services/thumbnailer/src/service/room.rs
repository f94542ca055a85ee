//! Who may have the pool do something, and when.

use std::sync::Arc;

use heliograph_imaging::{Done, Header, Job, estimate};
use heliograph_types::Failure;
use tokio::sync::OwnedSemaphorePermit;

use super::{SharedFlight, Stopped, Studio, saturated};
use crate::{bench::Flown, error::Refusal, file::PictureFile, flights::Flight, metrics};

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

    /// Looks at the header of a file; what is wrong with the file comes back inside.
    pub(super) async fn look_at<P: Send + Sync + 'static>(
        &self,
        file: &PictureFile,
        flight: &SharedFlight<P>,
    ) -> Result<Result<Header, Refusal>, Stopped> {
        let flown: Flown = Arc::clone(flight) as _;
        give(self.bench.look(file, &self.rules, &flown).await)
    }

    /// Works on a file with this header, likewise.
    pub(super) async fn work_on<P: Send + Sync + 'static>(
        &self,
        file: &PictureFile,
        header: &Header,
        job: Job,
        flight: &SharedFlight<P>,
    ) -> Result<Result<Done, Refusal>, Stopped> {
        let flown: Flown = Arc::clone(flight) as _;
        let cost = estimate(header, &job);
        give(self.bench.work(file, job, cost, &flown).await)
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

/// Tells what is wrong with the file from what is not.
fn give<T>(outcome: Result<T, Refusal>) -> Result<Result<T, Refusal>, Stopped> {
    match outcome {
        Err(Refusal::Abandoned) => Err(Stopped::Abandoned),
        Err(refusal @ Refusal::Closed) => Err(refusal.into_failure(false).into()),
        outcome => Ok(outcome),
    }
}
