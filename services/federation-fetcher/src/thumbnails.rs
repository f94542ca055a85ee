//! Thumbnails that origins make, for media that are too large to be fetched for one.
//!
//! Owns: which are being asked for, and which could not be had a short while ago. What comes
//! back is passed on as it is and kept nowhere: there is no record that it belongs to.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use heliograph_matrix::Flights;
use heliograph_proto::{FetchThumbnail, MOST_FOREIGN_BYTES};
use heliograph_types::{Failure, Mxc, ServerName, ThumbnailSpec, Timestamp};
use lru::LruCache;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::{
    actors::origin::Work,
    ask::Asker,
    metrics,
    phase::Phase,
    question::{Question, What},
    verdict::{Blame, FetchError},
};

/// Failures remembered, about 300 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// There is room again as soon as one is here.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// One thumbnail of one medium.
type Which = (Mxc, ThumbnailSpec);

pub(crate) struct Thumbnails {
    work: Arc<Work>,
    flights: Flights<Which, Result<Bytes, Failure>>,
    failed: Mutex<LruCache<Which, (Failure, Timestamp)>>,
    /// How many are asked of each origin.
    asked: Arc<Mutex<HashMap<ServerName, usize>>>,
}

impl Thumbnails {
    pub(crate) fn new(work: Arc<Work>) -> Self {
        let failed = Mutex::new(LruCache::new(REMEMBERED));
        Self { work, flights: Flights::default(), failed, asked: Arc::default() }
    }

    /// Asks the origin, with all who want the same one now.
    pub(crate) async fn fetch(&self, request: FetchThumbnail) -> Result<Bytes, Failure> {
        let which = (request.mxc.clone(), request.spec);
        if let Some(failure) = self.find_failure(&which) {
            return Err(failure);
        }
        self.flights.join(which, || self.ask(request)).await
    }

    async fn ask(&self, request: FetchThumbnail) -> Result<Bytes, Failure> {
        let work = Arc::clone(&self.work);
        let saturated = |limit| {
            metrics::limited(limit);
            Failure::saturated("too many fetches are in progress", RETRY_AFTER)
        };
        let room = Arc::clone(&work.room).try_acquire_owned().map_err(|_| saturated("max_fetches"))?;
        let most = work.config.max_fetches_per_origin.get();
        let seat = Seat::take(&self.asked, &request.mxc.server_name, most);
        let seat = seat.ok_or_else(|| saturated("max_fetches_per_origin"))?;
        let which = (request.mxc.clone(), request.spec);
        let (tasks, runtime) = (work.tasks.clone(), work.runtime.clone());
        // The connections outlive this question, and may outlive the thread of the caller.
        let task = async move {
            let _held = (room, seat);
            let patience = work.config.until_first_byte();
            let image = timeout(patience, work.fetcher.asker.fetch_thumbnail(&request)).await;
            image.unwrap_or_else(|_| Err(Phase::Total.late()))
        };
        let task = AbortOnDropHandle::new(tasks.spawn_on(task.in_current_span(), &runtime));
        let result = task.await.unwrap_or_else(|_| Err(FetchError::ours(Failure::internal("the question panicked"))));
        metrics::thumbnail_fetched(result.as_ref().map(Bytes::len).map_err(|error| &error.failure));
        result.map_err(|error| self.note(which, error))
    }

    /// Remembers why not, unless the fault is ours.
    fn note(&self, which: Which, error: FetchError) -> Failure {
        let FetchError { failure, blame, reason, .. } = error;
        tracing::info!(mxc = %which.0, spec = %which.1, code = %failure.code, reason, "no thumbnail: {failure}");
        let config = &self.work.config;
        let span = match blame {
            Blame::Missing => config.remember_missing,
            Blame::TooLarge => config.remember_too_large,
            Blame::Throttle(span) => span.min(config.backoff_max),
            Blame::Media | Blame::Origin => config.remember_failed,
            Blame::Nobody | Blame::Ours => return failure,
        };
        self.failed().put(which, (failure.clone(), self.work.clock.now() + span));
        failure
    }

    fn find_failure(&self, which: &Which) -> Option<Failure> {
        let now = self.work.clock.now();
        self.failed().get(which).filter(|(_, until)| now < *until).map(|(failure, _)| failure.clone())
    }

    fn failed(&self) -> MutexGuard<'_, LruCache<Which, (Failure, Timestamp)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the questions to one origin.
struct Seat {
    asked: Arc<Mutex<HashMap<ServerName, usize>>>,
    origin: ServerName,
}

impl Seat {
    fn take(asked: &Arc<Mutex<HashMap<ServerName, usize>>>, origin: &ServerName, most: usize) -> Option<Self> {
        let mut counts = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(origin.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Self { asked: Arc::clone(asked), origin: origin.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.origin) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.origin);
            }
        }
    }
}

impl Asker {
    async fn fetch_thumbnail(&self, request: &FetchThumbnail) -> Result<Bytes, FetchError> {
        let FetchThumbnail { tenant, mxc, spec } = request;
        let mut content = self.ask(&Question { tenant, mxc, what: What::Thumbnail(*spec) }).await?;
        content.limit(MOST_FOREIGN_BYTES as u64)?;
        let mut image = BytesMut::new();
        while let Some(piece) = content.next().await? {
            image.extend_from_slice(&piece);
        }
        Ok(image.freeze())
    }
}
