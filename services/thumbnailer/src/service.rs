//! The contract: finds what there is, admits what there is room for, and lets the pool do
//! the rest.

mod background;
mod order;
mod room;
mod shelf;
mod turn;
mod work;

use std::{sync::Arc, time::Duration};

use actix::ArbiterHandle;
use async_trait::async_trait;
use heliograph_blobs::BlobStore;
use heliograph_catalog::{Catalog, MediaRecord};
use heliograph_imaging::Rules;
use heliograph_leases::State;
use heliograph_proto::{Describe, Description, Remake, Render, Thumbnail, ThumbnailService};
use heliograph_types::{ErrorCode, Failure, Mxc, Sizes, ThumbnailVariant};
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use self::order::Order;
use crate::{
    bench::Bench,
    config::ThumbnailsConfig,
    error::too_large_code,
    flights::{Flight, Flights},
    helpers::Helpers,
    metrics,
    refusals::Refusals,
    wanted::Wanted,
    workers::{CannotStart, Workers},
};

/// Files that may be open per worker, in memory if they come from a bucket: one in work, one that is read meanwhile.
const FILES_PER_WORKER: usize = 2;
/// A thumbnail takes a few dozen milliseconds: by then there is room again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What the thumbnailer works with.
#[derive(Clone)]
pub struct Deps {
    /// Originals, and thumbnails that were made before.
    pub blobs: Arc<dyn BlobStore>,
    /// What media there is.
    pub catalog: Arc<Catalog>,
    /// What is shared with other thumbnailers.
    pub state: State,
    /// Whether there can be others. Alone, nothing is asked of the shared state.
    pub has_peers: bool,
    /// Knows our tasks, so that shutdown can wait for them.
    pub tasks: TaskTracker,
    /// Ends the taking of new pictures.
    pub shutdown: CancellationToken,
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
    sizes: Sizes,
    deps: Deps,
    bench: Arc<dyn Bench>,
    /// Where the tasks run. Not where their callers do: those may be threads that end first.
    runtime: Handle,
    /// Pictures that wait or are in work.
    queue: Arc<Semaphore>,
    /// Files that are open.
    files: Arc<Semaphore>,
    thumbnails: Flights<(Mxc, Wanted), Outcome<Thumbnail>>,
    foreign: Flights<Remake, Outcome<Thumbnail>>,
    descriptions: Flights<Describe, Outcome<Description>>,
    refusals: Refusals,
    helpers: Helpers,
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
    /// Tries the workers out; they are started when they are needed, on `arbiter`. Must be called on the runtime
    /// where thumbnails are to be seen to: it must outlive all callers.
    pub fn start(
        config: ThumbnailsConfig,
        deps: Deps,
        workers: Workers,
        arbiter: &ArbiterHandle,
    ) -> Result<Arc<Self>, CannotStart> {
        let bench = Arc::new(workers.start(&config, arbiter)?);
        Ok(Self::start_with(config, deps, bench))
    }

    fn start_with(config: ThumbnailsConfig, deps: Deps, bench: Arc<dyn Bench>) -> Arc<Self> {
        metrics::describe();
        let workers = config.workers();
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        let studio = Studio {
            queue: semaphore(config.queue_limit.get()),
            files: semaphore(workers.saturating_mul(FILES_PER_WORKER)),
            thumbnails: Flights::default(),
            foreign: Flights::default(),
            descriptions: Flights::default(),
            refusals: Refusals::new(&config, deps.has_peers.then(|| State::clone(&deps.state))),
            helpers: Helpers::new(&config),
            runtime: Handle::current(),
            rules: config.rules(),
            sizes: config.sizes(),
            config,
            deps,
            bench,
        };
        let studio = Arc::new(studio);
        studio.take_new_pictures();
        Arc::new(Self { studio })
    }
}

impl Studio {
    /// Waits for the flight that carries out `order`, which is started if there is none.
    async fn ask<O: Order>(self: &Arc<Self>, order: O) -> Outcome<O::Product> {
        let (seat, new_flight) = O::flights(self).join(&order);
        if let Some(flight) = new_flight {
            // In traces it belongs to the first who asks.
            self.deps.tasks.spawn_on(Arc::clone(self).fly(order, flight).in_current_span(), &self.runtime);
        }
        match tokio::time::timeout(self.config.timeout, seat.outcome()).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Err(Failure::internal("the task that worked on the picture died")),
            Err(_elapsed) => {
                metrics::timed_out();
                Err(saturated("the picture is still in work"))
            }
        }
    }

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
        let is_picture = is_picture(record);
        if !is_picture && !self.helpers.may_know(&record.content_type) {
            let message = format!("{} is not a picture", record.content_type);
            return Err(Failure::new(ErrorCode::CannotThumbnail, message));
        }
        let most = if is_picture { self.config.max_source_size } else { self.config.max_helper_source_size }.as_u64();
        if record.size_bytes > most {
            let message = format!("the file has {} bytes, more than {most}", record.size_bytes);
            return Err(Failure::new(too_large_code(is_remote(record)), message));
        }
        Ok(())
    }
}

/// What is none needs a helper.
fn is_picture(record: &MediaRecord) -> bool {
    record.content_type.essence().starts_with("image/")
}

/// Copies of remote media have no uploader.
const fn is_remote(record: &MediaRecord) -> bool {
    record.uploader.is_none()
}

fn saturated(message: &str) -> Failure {
    Failure::saturated(message, RETRY_AFTER)
}

#[async_trait]
impl ThumbnailService for Thumbnailer {
    #[tracing::instrument(skip_all, fields(mxc = %request.mxc, spec = %request.spec))]
    async fn render(&self, request: Render) -> Result<Thumbnail, Failure> {
        let Render { mxc, spec, format } = request;
        let wanted = Wanted::by(&self.studio.sizes, ThumbnailVariant { spec, format });
        self.studio.ask((mxc, wanted)).await
    }

    #[tracing::instrument(skip_all, fields(spec = %request.spec))]
    async fn remake(&self, request: Remake) -> Result<Thumbnail, Failure> {
        self.studio.ask(request).await
    }

    #[tracing::instrument(skip_all, fields(mxc = %request.mxc))]
    async fn describe(&self, request: Describe) -> Result<Description, Failure> {
        self.studio.ask(request).await
    }
}

#[cfg(test)]
mod tests;
