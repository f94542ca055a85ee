//! One actor per remote origin.
//!
//! Owns:  what is asked of one origin, who waits for it, and what is known of its failures.
//! Lives: from the first wish until nobody has asked for a while and nothing is remembered.
//! Dies:  a panic loses its memory; fetches in progress go on, and the registry starts
//!        another. A second fetch of the same medium then finds the first one's ticket.
//! Load:  one message per caller and one per fetch; bytes never come here.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::prelude::*;
use futures_util::FutureExt;
use heliograph_matrix::FederationConfig;
use heliograph_proto::Fetch;
use heliograph_types::{Clock, Failure, MediaId, Timestamp};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use super::registry::PATIENCE;
use crate::{
    fetch::Fetcher,
    flight::{Flight, Pilot, Stored, take_off},
    metrics,
    origin::{Admission, Limits, Next, Origin, Outcome},
    verdict::FetchError,
};

/// What every such actor works with.
pub(crate) struct Work {
    pub(crate) fetcher: Fetcher,
    pub(crate) config: FederationConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: TaskTracker,
    /// Where fetches run: not on the actors' threads, which must stay free.
    pub(crate) runtime: Handle,
    /// Room for fetches on this node.
    pub(crate) room: Arc<Semaphore>,
}

/// A fetch that waits for its turn.
struct Waiting {
    request: Fetch,
    pilot: Pilot,
}

pub(crate) struct OriginActor {
    work: Arc<Work>,
    origin: Origin,
    flights: HashMap<MediaId, Flight>,
    waiting: HashMap<MediaId, Waiting>,
    used_at: Timestamp,
    /// Tells the registry whether somebody waits for a fetch.
    is_busy: Arc<AtomicBool>,
}

impl OriginActor {
    pub(crate) fn new(work: Arc<Work>, is_busy: Arc<AtomicBool>) -> Self {
        let FederationConfig { max_fetches_per_origin, max_queued_per_origin, backoff_min, backoff_max, .. } =
            work.config;
        let limits =
            Limits { running: max_fetches_per_origin.get(), queued: max_queued_per_origin, backoff_min, backoff_max };
        let used_at = work.clock.now();
        let origin = Origin::new(limits);
        Self { work, origin, flights: HashMap::new(), waiting: HashMap::new(), used_at, is_busy }
    }
}

// === messages ===

/// Somebody wants media of this origin. The answer is a flight that may still wait.
#[derive(Debug, Message)]
#[rtype(result = "Result<Flight, Failure>")]
pub(crate) struct Want(pub(crate) Fetch);

/// A fetch is over; its room goes to the next.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Finished {
    media_id: MediaId,
    outcome: Outcome,
    room: OwnedSemaphorePermit,
}

/// Others need the place: stops, unless somebody waits for a fetch.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Retire;

// === lifecycle ===

impl Actor for OriginActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
        ctx.run_interval(self.work.config.origin_idle.max(SHORTEST_INTERVAL), |actor, ctx| {
            if actor.is_idle() {
                ctx.stop();
            }
        });
    }
}

// === handlers ===

impl Handler<Want> for OriginActor {
    type Result = Result<Flight, Failure>;

    fn handle(&mut self, Want(request): Want, ctx: &mut Self::Context) -> Self::Result {
        self.used_at = self.work.clock.now();
        let media_id = request.mxc.media_id.clone();
        let answer = match self.origin.want(&media_id, self.used_at) {
            Admission::Join => {
                self.flights.get(&media_id).cloned().ok_or_else(|| Failure::internal("a fetch has been lost"))
            }
            Admission::Start => self.start_if_room(request, ctx),
            Admission::Wait => Ok(self.enqueue(request)),
            Admission::Refuse(failure) => Err(failure),
            Admission::Full => {
                metrics::limited("max_queued_per_origin");
                Err(Failure::saturated("too many media of this server are being fetched", Duration::from_secs(5)))
            }
        };
        self.tell_busy();
        answer
    }
}

impl Handler<Finished> for OriginActor {
    type Result = ();

    fn handle(&mut self, Finished { media_id, outcome, room }: Finished, ctx: &mut Self::Context) {
        self.flights.remove(&media_id);
        let next = self.origin.finished(&media_id, outcome, self.work.clock.now(), rand::random());
        self.go_on(next, room, ctx);
        self.tell_busy();
    }
}

impl Handler<Retire> for OriginActor {
    type Result = ();

    fn handle(&mut self, Retire: Retire, ctx: &mut Self::Context) {
        if !self.origin.is_busy() {
            ctx.stop();
        }
    }
}

// === shell ===

impl OriginActor {
    fn tell_busy(&self) {
        self.is_busy.store(self.origin.is_busy(), Ordering::Relaxed);
    }

    fn is_idle(&self) -> bool {
        let now = self.work.clock.now();
        now.since(self.used_at) >= self.work.config.origin_idle && self.origin.is_idle(now)
    }

    fn start_if_room(&mut self, request: Fetch, ctx: &mut Context<Self>) -> Result<Flight, Failure> {
        let Ok(room) = Arc::clone(&self.work.room).try_acquire_owned() else {
            // Nothing can wait here while there was a free place, so nothing is to be started.
            self.origin.finished(&request.mxc.media_id, Outcome::Ours, self.used_at, 0.0);
            metrics::limited("max_fetches");
            return Err(Failure::saturated("too many fetches are in progress", Duration::from_secs(5)));
        };
        let (pilot, flight) = take_off(request.timeout);
        self.flights.insert(request.mxc.media_id.clone(), flight.clone());
        self.spawn_fetch(Waiting { request, pilot }, room, ctx);
        Ok(flight)
    }

    fn enqueue(&mut self, request: Fetch) -> Flight {
        let (media_id, (pilot, flight)) = (request.mxc.media_id.clone(), take_off(request.timeout));
        self.flights.insert(media_id.clone(), flight.clone());
        self.waiting.insert(media_id, Waiting { request, pilot });
        flight
    }

    /// One place is free, so at most one starts: the room of the one before is enough.
    fn go_on(&mut self, Next { start, fail }: Next, room: OwnedSemaphorePermit, ctx: &mut Context<Self>) {
        for (media_id, failure) in fail {
            self.flights.remove(&media_id);
            if let Some(Waiting { pilot, .. }) = self.waiting.remove(&media_id) {
                pilot.land(Err(failure));
            }
        }
        debug_assert!(start.len() <= 1, "one place was free");
        if let Some(waiting) = start.first().and_then(|media_id| self.waiting.remove(media_id)) {
            self.spawn_fetch(waiting, room, ctx);
        }
    }

    /// The task outlives this actor, and its callers.
    fn spawn_fetch(&self, Waiting { request, pilot }: Waiting, room: OwnedSemaphorePermit, ctx: &Context<Self>) {
        let (work, actor) = (Arc::clone(&self.work), ctx.address());
        pilot.begin();
        let fetch = async move {
            let result = fly(&work, &request, &pilot).await;
            let FederationConfig { remember_missing, remember_failed, .. } = work.config;
            let outcome = match &result {
                Ok(_) => Outcome::Answered,
                Err(error) => error.clone().into_outcome(remember_missing, remember_failed),
            };
            // The actor first: who hears of the end may want the same medium again at once.
            // If it is gone, nobody needs to know.
            let finished = Finished { media_id: request.mxc.media_id, outcome, room };
            let _ = timeout(PATIENCE, actor.send(finished)).await;
            pilot.land(result.map_err(|error| error.failure));
        };
        self.work.tasks.spawn_on(fetch, &self.work.runtime);
    }
}

/// Runs one fetch to its end, whatever that is.
async fn fly(work: &Work, request: &Fetch, pilot: &Pilot) -> Result<Stored, FetchError> {
    let began_at = Instant::now();
    metrics::fetch_began();
    let result = AssertUnwindSafe(work.fetcher.run(request, pilot)).catch_unwind().await;
    let result = result.unwrap_or_else(|_| Err(FetchError::ours(Failure::internal("the fetch panicked"))));
    let label = result.as_ref().map(|stored| stored.size_bytes).map_err(|error| &error.failure);
    metrics::fetch_ended(label, began_at.elapsed());
    if let Err(error) = &result {
        let FetchError { failure, blame, reason, .. } = error;
        tracing::info!(mxc = %request.mxc, code = %failure.code, ?blame, reason, "fetch failed: {failure}");
    }
    result
}

/// Kills the actor.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Panic;

#[cfg(test)]
impl Handler<Panic> for OriginActor {
    type Result = ();

    fn handle(&mut self, Panic: Panic, _: &mut Self::Context) {
        panic!("killed by a test");
    }
}
