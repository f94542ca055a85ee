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
use heliograph_types::{Clock, ErrorCode, Failure, MediaId, Timestamp};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span, debug_span};

use super::registry::PATIENCE;
use crate::{
    fetch::Fetcher,
    flight::{Flight, Pilot, Stored, take_off},
    metrics,
    origin::{Admission, Limits, Next, Origin, Outcome, overdrawn},
    verdict::{FetchError, Memory},
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
    /// The request that began it.
    span: Span,
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
        let limits = limits(&work.config);
        let used_at = work.clock.now();
        let origin = Origin::new(limits);
        Self { work, origin, flights: HashMap::new(), waiting: HashMap::new(), used_at, is_busy }
    }
}

fn limits(config: &FederationConfig) -> Limits {
    Limits {
        running: config.max_fetches_per_origin.get(),
        queued: config.max_queued_per_origin,
        backoff_min: config.backoff_min,
        backoff_max: config.backoff_max,
        bytes: config.max_bytes_per_origin.as_u64(),
        period: config.origin_period,
    }
}

// === messages ===

/// Somebody wants media of this origin. The answer is a flight that may still wait.
#[derive(Debug, Message)]
#[rtype(result = "Result<Flight, Failure>")]
pub(crate) struct Want {
    pub(crate) request: Fetch,
    /// The request that a fetch for it would be a part of.
    pub(crate) span: Span,
}

/// The flight of a medium, if it is in the air.
#[derive(Debug, Message)]
#[rtype(result = "Option<Flight>")]
pub(crate) struct InTheAir(pub(crate) MediaId);

/// A fetch is over; its room goes to the next.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Finished {
    media_id: MediaId,
    outcome: Outcome,
    received_bytes: u64,
    room: OwnedSemaphorePermit,
}

/// The fetch for which the others wait has a head.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Answered(MediaId);

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

    fn handle(&mut self, Want { request, span }: Want, ctx: &mut Self::Context) -> Self::Result {
        self.used_at = self.work.clock.now();
        let media_id = request.mxc.media_id.clone();
        let answer = match self.origin.want(&media_id, self.used_at) {
            Admission::Join => {
                self.flights.get(&media_id).cloned().ok_or_else(|| Failure::internal("a fetch has been lost"))
            }
            Admission::Start => self.start_if_room(request, span, ctx),
            Admission::Wait => Ok(self.enqueue(request, span)),
            Admission::Refuse(failure) => Err(failure),
            Admission::Overdrawn(wait) => {
                metrics::limited("max_bytes_per_origin");
                Err(overdrawn(wait))
            }
            Admission::Full => {
                metrics::limited("max_queued_per_origin");
                Err(Failure::saturated("too many media of this server are being fetched", Duration::from_secs(5)))
            }
        };
        self.tell_busy();
        answer
    }
}

impl Handler<InTheAir> for OriginActor {
    type Result = Option<Flight>;

    fn handle(&mut self, InTheAir(media_id): InTheAir, _: &mut Self::Context) -> Self::Result {
        self.flights.get(&media_id).cloned()
    }
}

impl Handler<Finished> for OriginActor {
    type Result = ();

    fn handle(&mut self, message: Finished, ctx: &mut Self::Context) {
        let Finished { media_id, outcome, received_bytes, room } = message;
        self.flights.remove(&media_id);
        let now = self.work.clock.now();
        self.origin.received(received_bytes, now);
        let next = self.origin.finished(&media_id, outcome, now, rand::random());
        self.go_on(next, Some(room), ctx);
        self.tell_busy();
    }
}

impl Handler<Answered> for OriginActor {
    type Result = ();

    fn handle(&mut self, Answered(media_id): Answered, ctx: &mut Self::Context) {
        let next = self.origin.answered(&media_id, self.work.clock.now());
        self.go_on(next, None, ctx);
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

    fn start_if_room(&mut self, request: Fetch, span: Span, ctx: &mut Context<Self>) -> Result<Flight, Failure> {
        let Ok(room) = Arc::clone(&self.work.room).try_acquire_owned() else {
            // Nothing can wait here while there was a free place, so nothing is to be started.
            self.origin.finished(&request.mxc.media_id, Outcome::Ours, self.used_at, 0.0);
            metrics::limited("max_fetches");
            return Err(Failure::saturated("too many fetches are in progress", Duration::from_secs(5)));
        };
        let (pilot, flight) = take_off(&request);
        self.flights.insert(request.mxc.media_id.clone(), flight.clone());
        self.spawn_fetch(Waiting { request, pilot, span }, room, ctx);
        Ok(flight)
    }

    fn enqueue(&mut self, request: Fetch, span: Span) -> Flight {
        let (media_id, (pilot, flight)) = (request.mxc.media_id.clone(), take_off(&request));
        self.flights.insert(media_id.clone(), flight.clone());
        self.waiting.insert(media_id, Waiting { request, pilot, span });
        flight
    }

    /// The first takes over the `room` of the fetch before; what has none waits on.
    fn go_on(&mut self, next: Next, mut room: Option<OwnedSemaphorePermit>, ctx: &mut Context<Self>) {
        for (media_id, failure) in next.fail {
            if failure.code == ErrorCode::LimitExceeded {
                metrics::limited("max_bytes_per_origin");
            }
            self.flights.remove(&media_id);
            if let Some(Waiting { pilot, .. }) = self.waiting.remove(&media_id) {
                pilot.land(Err(failure));
            }
        }
        for (index, media_id) in next.start.iter().enumerate() {
            let room = room.take().or_else(|| Arc::clone(&self.work.room).try_acquire_owned().ok());
            let Some(room) = room else { return self.origin.postpone(&next.start[index..]) };
            if let Some(waiting) = self.waiting.remove(media_id) {
                self.spawn_fetch(waiting, room, ctx);
            }
        }
    }

    /// The task outlives this actor, and its callers. In traces it belongs to the first of them.
    fn spawn_fetch(&self, Waiting { request, pilot, span }: Waiting, room: OwnedSemaphorePermit, ctx: &Context<Self>) {
        let (work, actor) = (Arc::clone(&self.work), ctx.address());
        self.watch_probe(&request.mxc.media_id, ctx);
        pilot.begin();
        let fetch = async move {
            let result = fly(&work, &request, &pilot).await;
            let outcome = match &result {
                Ok(_) => Outcome::Answered,
                Err(error) => error.clone().into_outcome(Memory::new(&work.config)),
            };
            // The actor first: who hears of the end may want the same medium again at once.
            // If it is gone, nobody needs to know.
            let (media_id, received_bytes) = (request.mxc.media_id, pilot.arrived_bytes());
            let finished = Finished { media_id, outcome, received_bytes, room };
            let _ = timeout(PATIENCE, actor.send(finished)).await;
            pilot.land(result.map_err(|error| error.failure));
        };
        let detail = span.in_scope(|| debug_span!("fetch"));
        self.work.tasks.spawn_on(fetch.instrument(detail).instrument(span), &self.work.runtime);
    }

    /// Others may wait for this one: they need not wait until all of it is here.
    fn watch_probe(&self, media_id: &MediaId, ctx: &Context<Self>) {
        let Some(flight) = self.flights.get(media_id).filter(|_| self.origin.is_probe(media_id)).cloned() else {
            return;
        };
        let (actor, answered) = (ctx.address(), Answered(media_id.clone()));
        let watch = async move {
            if flight.has_head().await {
                let _ = timeout(PATIENCE, actor.send(answered)).await;
            }
        };
        self.work.tasks.spawn_on(watch, &self.work.runtime);
    }
}

/// Runs one fetch to its end, whatever that is.
async fn fly(work: &Work, request: &Fetch, pilot: &Pilot) -> Result<Stored, FetchError> {
    let began_at = Instant::now();
    metrics::fetch_began();
    let result = AssertUnwindSafe(work.fetcher.run(request, pilot)).catch_unwind().await;
    let result = result.unwrap_or_else(|_| Err(FetchError::ours(Failure::internal("the fetch panicked"))));
    let label = result.as_ref().map(|_| ()).map_err(|error| &error.failure);
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
