//! The contract: finds what there is, admits what there is room for, and lets the pool do
//! the rest.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::Addr;
use async_trait::async_trait;
use bytes::Bytes;
use heliograph_blobs::{BlobError, BlobStore, Key};
use heliograph_catalog::{Catalog, MediaRecord, thumbnail_key};
use heliograph_proto::{MOST_THUMBNAIL_BYTES, Render, Thumbnail, ThumbnailService};
use heliograph_types::{ContentType, ErrorCode, Failure, Mxc, ThumbnailSpec};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::task::TaskTracker;

use crate::{
    actors::worker::{RenderPicture, RenderWorker, Renderer, start_pool},
    config::ThumbnailsConfig,
    decode::Format,
    error::{RenderError, too_large_code},
    flights::{Flight, Flights},
    metrics,
    refusals::Refusals,
    render::{Limits, Rendered, Wanted, render},
    resize::Scratch,
};

/// Files that may be in memory per worker: one in work, one that is read meanwhile.
const FILES_PER_WORKER: usize = 2;
/// A thumbnail takes a few dozen milliseconds: by then there is room again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What the thumbnailer works with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Originals, and thumbnails that were made before.
    pub blobs: Arc<dyn BlobStore>,
    /// What media there is.
    pub catalog: Arc<Catalog>,
    /// Knows our tasks, so that shutdown can wait for them.
    pub tasks: TaskTracker,
}

type Outcome = Result<Thumbnail, Failure>;
type SharedFlight = Arc<Flight<Outcome>>;

/// The service.
pub struct Thumbnailer {
    studio: Arc<Studio>,
}

/// What the service shares with its tasks, which may outlive the callers that started
/// them.
struct Studio {
    config: ThumbnailsConfig,
    deps: Deps,
    pool: Addr<RenderWorker>,
    /// Where the tasks run. Not where their callers do: those may be threads that end first.
    runtime: Handle,
    /// Thumbnails that wait or are in the making.
    queue: Arc<Semaphore>,
    /// Files in memory.
    files: Arc<Semaphore>,
    flights: Flights<(Mxc, Wanted), Outcome>,
    refusals: Refusals,
}

/// Why a thumbnail is not made after all.
enum Stopped {
    /// Nobody waits for it any more.
    Abandoned,
    /// It cannot be had.
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Thumbnailer {
    /// Starts the workers. Must be called inside an actix system, on the runtime where
    /// thumbnails are to be seen to: it must outlive all callers.
    pub fn start(config: ThumbnailsConfig, deps: Deps) -> Arc<Self> {
        let limits = Limits::from(&config);
        let renderer: Renderer = Arc::new(move |scratch, file, wanted| render(scratch, file, wanted, &limits));
        Self::start_with(config, deps, renderer)
    }

    pub(crate) fn start_with(config: ThumbnailsConfig, deps: Deps, renderer: Renderer) -> Arc<Self> {
        metrics::describe();
        let threads = config.threads();
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        let studio = Studio {
            pool: start_pool(threads, renderer),
            queue: semaphore(config.queue_limit.get()),
            files: semaphore(threads.saturating_mul(FILES_PER_WORKER)),
            flights: Flights::default(),
            refusals: Refusals::default(),
            runtime: Handle::current(),
            config,
            deps,
        };
        Arc::new(Self { studio: Arc::new(studio) })
    }
}

impl Studio {
    /// Runs until the flight has landed, whoever of its passengers is still there.
    async fn fly(self: Arc<Self>, mxc: Mxc, wanted: Wanted, flight: SharedFlight) {
        let key = (mxc, wanted);
        loop {
            let outcome = match self.find_or_make(&key.0, &key.1, &flight).await {
                Ok(thumbnail) => Ok(thumbnail),
                Err(Stopped::Failed(failure)) => Err(failure),
                Err(Stopped::Abandoned) if self.flights.try_cancel(&key, &flight) => return metrics::abandoned(),
                // Somebody came just when we were about to leave it.
                Err(Stopped::Abandoned) => continue,
            };
            metrics::finished(&outcome);
            return self.flights.land(&key, &flight, outcome);
        }
    }

    async fn find_or_make(&self, mxc: &Mxc, wanted: &Wanted, flight: &SharedFlight) -> Result<Thumbnail, Stopped> {
        let record = self.deps.catalog.find(mxc).await?.ok_or_else(Failure::not_found)?;
        self.check(&record)?;
        let key = wanted.stored.map(|form| thumbnail_key(mxc, &form));
        if let Some(key) = &key
            && let Some(thumbnail) = self.find_stored(key).await?
        {
            return Ok(thumbnail);
        }
        if let Some(error) = self.refusals.find(&record.blob, wanted, Instant::now()) {
            return Err(error.into_failure(is_remote(&record)).into());
        }
        let rendered = self.make(&record, wanted, flight).await?;
        metrics::made(rendered.image.len());
        if let Some(key) = key.filter(|_| rendered.for_all) {
            self.store(&key, &rendered).await;
        }
        Ok(to_thumbnail(rendered.format, rendered.image)?)
    }

    /// Refuses what need not even be read.
    fn check(&self, record: &MediaRecord) -> Result<(), Failure> {
        if !record.content_type.essence().starts_with("image/") {
            let message = format!("{} is not a picture", record.content_type);
            return Err(Failure::new(ErrorCode::CannotThumbnail, message));
        }
        let most = self.config.max_source_size.as_u64();
        if record.size_bytes > most {
            let message = format!("the picture has {} bytes, more than {most}", record.size_bytes);
            return Err(Failure::new(too_large_code(is_remote(record)), message));
        }
        Ok(())
    }

    /// What was made before. Something else under its key is made anew.
    async fn find_stored(&self, key: &Key) -> Result<Option<Thumbnail>, Failure> {
        match self.deps.blobs.get(key, MOST_THUMBNAIL_BYTES as u64).await {
            Ok(image) => Format::sniff(&image).map(|format| to_thumbnail(format, image)).transpose(),
            Err(BlobError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn make(&self, record: &MediaRecord, wanted: &Wanted, flight: &SharedFlight) -> Result<Rendered, Stopped> {
        let Ok(_place) = Arc::clone(&self.queue).try_acquire_owned() else {
            return Err(saturated("too many thumbnails are in the making").into());
        };
        let _queued = metrics::Queued::enter();
        let permit = self.wait_for_room(flight).await?;
        let blob = Key::new(&record.blob).map_err(|error| Failure::internal(error.to_string()))?;
        let file = self.deps.blobs.get(&blob, self.config.max_source_size.as_u64()).await?;
        metrics::read(file.len());

        let flight = Arc::clone(flight);
        let is_awaited = Box::new(move || flight.is_awaited());
        let outcome = self.pool.send(RenderPicture { file, wanted: *wanted, is_awaited, permit }).await;
        let error = match outcome.map(check_bytes) {
            Ok(Ok(rendered)) => return Ok(rendered),
            Ok(Err(RenderError::Abandoned)) => return Err(Stopped::Abandoned),
            Ok(Err(error)) => error,
            Err(_closed) => return Err(Failure::unavailable("the thumbnailer is shutting down").into()),
        };
        self.refusals.note(&record.blob, wanted, &error, Instant::now());
        Err(error.into_failure(is_remote(record)).into())
    }

    /// Waits in the queue, with empty hands: no file is read before there is room for it.
    async fn wait_for_room(&self, flight: &SharedFlight) -> Result<OwnedSemaphorePermit, Stopped> {
        tokio::select! {
            permit = Arc::clone(&self.files).acquire_owned() => {
                permit.map_err(|_closed| Failure::unavailable("the thumbnailer is shutting down").into())
            }
            () = flight.abandoned() => Err(Stopped::Abandoned),
        }
    }

    /// Keeps a thumbnail for the next who asks. It can be made again, so a failure to store
    /// it is not one of the request.
    async fn store(&self, key: &Key, rendered: &Rendered) {
        if let Err(error) = self.deps.blobs.put(key, rendered.image.clone()).await {
            tracing::warn!(%key, %error, "thumbnail not stored");
        }
    }
}

/// Copies of remote media have no uploader.
const fn is_remote(record: &MediaRecord) -> bool {
    record.uploader.is_none()
}

/// What the contract could not carry is no thumbnail.
fn check_bytes(outcome: Result<Rendered, RenderError>) -> Result<Rendered, RenderError> {
    outcome.and_then(|rendered| match rendered.image.len() {
        bytes if bytes > MOST_THUMBNAIL_BYTES => Err(RenderError::TooManyBytes { bytes, most: MOST_THUMBNAIL_BYTES }),
        _ => Ok(rendered),
    })
}

fn saturated(message: &str) -> Failure {
    Failure::saturated(message, RETRY_AFTER)
}

fn to_thumbnail(format: Format, image: Bytes) -> Result<Thumbnail, Failure> {
    let content_type: Result<ContentType, _> = format.media_type().parse();
    let content_type = content_type.map_err(|error| Failure::internal(error.to_string()))?;
    Ok(Thumbnail { content_type, image })
}

#[async_trait]
impl ThumbnailService for Thumbnailer {
    #[tracing::instrument(skip_all, fields(mxc = %request.mxc, spec = %request.spec))]
    async fn render(&self, request: Render) -> Result<Thumbnail, Failure> {
        let studio = &self.studio;
        let wanted = Wanted::by(request.spec);
        let (seat, new_flight) = studio.flights.join(&(request.mxc.clone(), wanted));
        if let Some(flight) = new_flight {
            studio.deps.tasks.spawn_on(Arc::clone(studio).fly(request.mxc, wanted, flight), &studio.runtime);
        }
        match tokio::time::timeout(studio.config.timeout, seat.outcome()).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Err(Failure::internal("the task that made the thumbnail died")),
            Err(_elapsed) => {
                metrics::timed_out();
                Err(saturated("the thumbnail is not ready yet"))
            }
        }
    }
}

/// Makes a thumbnail at once, on the thread of the caller; for tools and for measuring.
pub fn render_here(file: Bytes, spec: &ThumbnailSpec, config: &ThumbnailsConfig) -> Result<Thumbnail, Failure> {
    let outcome = render(&mut Scratch::default(), file, &Wanted::exactly(*spec), &Limits::from(config));
    let Rendered { format, image, .. } = outcome.map_err(|error| error.into_failure(false))?;
    to_thumbnail(format, image)
}

#[cfg(test)]
mod tests;
