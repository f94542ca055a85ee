//! The contract: finds what there is, admits what there is room for, and lets the pool do
//! the rest.

mod order;
mod room;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use heliograph_blobs::{BlobError, BlobStore, Key};
use heliograph_catalog::{Catalog, MediaRecord};
use heliograph_imaging::{self as imaging, Done, Encoding, Header, Job, Made, RenderError, Rules};
use heliograph_proto::{Describe, Description, MOST_THUMBNAIL_BYTES, Remake, Render, Thumbnail, ThumbnailService};
use heliograph_types::{ContentType, ErrorCode, Failure, Mxc, ThumbnailFormat, ThumbnailSpec};
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::task::TaskTracker;

use self::order::Order;
use crate::{
    bench::{Bench, Threads},
    config::ThumbnailsConfig,
    error::{Refusal, too_large_code},
    flights::{Flight, Flights},
    metrics,
    refusals::Refusals,
    wanted::Wanted,
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

type Outcome<T> = Result<T, Failure>;
type SharedFlight<T> = Arc<Flight<Outcome<T>>>;

/// The service.
pub struct Thumbnailer {
    studio: Arc<Studio>,
}

/// What the service shares with its tasks, which may outlive the callers that started
/// them.
struct Studio {
    config: ThumbnailsConfig,
    rules: Rules,
    deps: Deps,
    bench: Arc<dyn Bench>,
    /// Where the tasks run. Not where their callers do: those may be threads that end first.
    runtime: Handle,
    /// Pictures that wait or are in work.
    queue: Arc<Semaphore>,
    /// Files in memory.
    files: Arc<Semaphore>,
    thumbnails: Flights<(Mxc, Wanted), Outcome<Thumbnail>>,
    foreign: Flights<Remake, Outcome<Thumbnail>>,
    descriptions: Flights<Describe, Outcome<Description>>,
    refusals: Refusals,
}

/// Why something is not made after all.
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
        let bench = Arc::new(Threads::start(config.threads()));
        Self::start_with(config, deps, bench)
    }

    fn start_with(config: ThumbnailsConfig, deps: Deps, bench: Arc<dyn Bench>) -> Arc<Self> {
        metrics::describe();
        let threads = config.threads();
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        let studio = Studio {
            queue: semaphore(config.queue_limit.get()),
            files: semaphore(threads.saturating_mul(FILES_PER_WORKER)),
            thumbnails: Flights::default(),
            foreign: Flights::default(),
            descriptions: Flights::default(),
            refusals: Refusals::default(),
            runtime: Handle::current(),
            rules: config.rules(),
            config,
            deps,
            bench,
        };
        Arc::new(Self { studio: Arc::new(studio) })
    }

    /// Waits for the flight that carries out `order`, which is started if there is none.
    async fn ask<O: Order>(&self, order: O) -> Outcome<O::Product> {
        let studio = &self.studio;
        let (seat, new_flight) = O::flights(studio).join(&order);
        if let Some(flight) = new_flight {
            studio.deps.tasks.spawn_on(Arc::clone(studio).fly(order, flight), &studio.runtime);
        }
        match tokio::time::timeout(studio.config.timeout, seat.outcome()).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Err(Failure::internal("the task that worked on the picture died")),
            Err(_elapsed) => {
                metrics::timed_out();
                Err(saturated("the picture is still in work"))
            }
        }
    }
}

impl Studio {
    /// Runs until the flight has landed, whoever of its passengers is still there.
    async fn fly<O: Order>(self: Arc<Self>, order: O, flight: SharedFlight<O::Product>) {
        let flights = O::flights(&self);
        loop {
            let outcome = match order.carry_out(&self, &flight).await {
                Ok(product) => Ok(product),
                Err(Stopped::Failed(failure)) => Err(failure),
                Err(Stopped::Abandoned) if flights.try_cancel(&order, &flight) => return metrics::abandoned(O::KIND),
                // Somebody came just when we were about to leave it.
                Err(Stopped::Abandoned) => continue,
            };
            metrics::finished(O::KIND, &outcome);
            return flights.land(&order, &flight, outcome);
        }
    }

    /// The record of what may be a picture.
    async fn get_record(&self, mxc: &Mxc) -> Result<Arc<MediaRecord>, Failure> {
        let record = self.deps.catalog.find(mxc).await?.ok_or_else(Failure::not_found)?;
        self.check(&record)?;
        Ok(record)
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
            Ok(image) => Encoding::sniff(&image).map(|encoding| to_thumbnail(encoding, image)).transpose(),
            Err(BlobError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Works on the picture of a record; `thumbnail` says which one is made, if it is one. Not tried
    /// on a file that was no good a short while ago.
    async fn make<T, P: Send + Sync + 'static>(
        &self,
        record: &MediaRecord,
        thumbnail: Option<ThumbnailSpec>,
        to_job: impl FnOnce(&Header) -> Job + Send,
        check: impl FnOnce(&Header, Done) -> Result<T, Refusal> + Send,
        flight: &SharedFlight<P>,
    ) -> Result<T, Stopped> {
        if let Some(refusal) = self.refusals.find(&record.blob, thumbnail, Instant::now()) {
            return Err(refusal.into_failure(is_remote(record)).into());
        }
        let (_place, _permit) = self.admit(flight).await?;
        let blob = record.blob_key()?;
        let file = self.deps.blobs.get(&blob, self.config.max_source_size.as_u64()).await?;
        metrics::read(file.len());
        let outcome = self.work_on(&file, to_job, flight).await?;
        match outcome.and_then(|(header, done)| check(&header, done)) {
            Ok(product) => Ok(product),
            Err(refusal) => {
                self.refusals.note(&record.blob, thumbnail, &refusal, Instant::now());
                Err(refusal.into_failure(is_remote(record)).into())
            }
        }
    }

    /// One thumbnail.
    fn to_job(&self, spec: ThumbnailSpec) -> Job {
        let wanted = vec![imaging::Wanted { spec, format: ThumbnailFormat::Usual }];
        Job { wanted, describe: false, rules: self.rules, quality: self.config.quality() }
    }

    /// Keeps a thumbnail for the next who asks. It can be made again, so a failure to store
    /// it is not one of the request.
    async fn store(&self, mxc: &Mxc, key: &Key, image: &Bytes) {
        if let Err(error) = self.deps.blobs.put(key, image.clone()).await {
            tracing::warn!(%key, %error, "thumbnail not stored");
            return;
        }
        // A medium that was deleted meanwhile has lost its other thumbnails by now.
        if !self.is_there(mxc).await
            && let Err(error) = self.deps.blobs.delete(key).await
        {
            tracing::error!(%key, %error, "a thumbnail of a deleted medium stays");
        }
    }

    /// As the store has it now. What cannot be known is taken for there.
    async fn is_there(&self, mxc: &Mxc) -> bool {
        match self.deps.catalog.find_now(mxc).await {
            Ok(record) => record.is_some_and(|record| record.deleted.is_none()),
            Err(_) => true,
        }
    }
}

/// Copies of remote media have no uploader.
const fn is_remote(record: &MediaRecord) -> bool {
    record.uploader.is_none()
}

/// The one thumbnail that was made. What the contract could not carry is none.
fn the_only(done: Done) -> Result<Made, Refusal> {
    let made = done.thumbnails.into_iter().next().ok_or_else(|| RenderError::Broken("nothing was made".to_owned()))?;
    match made.image.len() {
        bytes if bytes > MOST_THUMBNAIL_BYTES => Err(Refusal::TooManyBytes { bytes, most: MOST_THUMBNAIL_BYTES }),
        _ => Ok(made),
    }
}

fn saturated(message: &str) -> Failure {
    Failure::saturated(message, RETRY_AFTER)
}

fn to_thumbnail(encoding: Encoding, image: Bytes) -> Result<Thumbnail, Failure> {
    let content_type: Result<ContentType, _> = encoding.media_type().parse();
    let content_type = content_type.map_err(|error| Failure::internal(error.to_string()))?;
    Ok(Thumbnail { content_type, image })
}

#[async_trait]
impl ThumbnailService for Thumbnailer {
    #[tracing::instrument(skip_all, fields(mxc = %request.mxc, spec = %request.spec))]
    async fn render(&self, request: Render) -> Result<Thumbnail, Failure> {
        self.ask((request.mxc, Wanted::by(request.spec))).await
    }

    #[tracing::instrument(skip_all, fields(spec = %request.spec))]
    async fn remake(&self, request: Remake) -> Result<Thumbnail, Failure> {
        self.ask(request).await
    }

    #[tracing::instrument(skip_all, fields(mxc = %request.mxc))]
    async fn describe(&self, request: Describe) -> Result<Description, Failure> {
        self.ask(request).await
    }
}

#[cfg(test)]
mod tests;
