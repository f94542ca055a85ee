//! One place that starts, finds and replaces the actors of origins.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::prelude::*;
use actix_rt::ArbiterHandle;
use heliograph_proto::Fetch;
use heliograph_types::{Failure, Mxc, ServerName};
use lru::LruCache;
use tokio::time::timeout;
use tracing::Span;

use super::origin::{InTheAir, OriginActor, Retire, Want, Work};
use crate::{flight::Flight, metrics};

/// An actor never blocks: one that takes longer is as good as dead.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

struct Entry {
    actor: Addr<OriginActor>,
    /// Whether somebody waits for a fetch, as the actor tells it.
    is_busy: Arc<AtomicBool>,
}

impl Entry {
    fn is_idle(&self) -> bool {
        !self.is_busy.load(Ordering::Relaxed) || !self.actor.connected()
    }
}

/// By origin; the one that was asked for last comes first.
type Entries = LruCache<ServerName, Entry>;

/// The actors. Users choose the origins, so there is a bound.
pub(crate) struct Registry {
    work: Arc<Work>,
    arbiters: Vec<ArbiterHandle>,
    next_arbiter: AtomicUsize,
    actors: Mutex<Entries>,
}

impl Registry {
    /// Starts actors on `arbiters`, each in turn.
    pub(crate) fn new(work: Arc<Work>, arbiters: Vec<ArbiterHandle>) -> Self {
        Self { work, arbiters, next_arbiter: AtomicUsize::new(0), actors: Mutex::new(LruCache::unbounded()) }
    }

    /// Asks the origin's actor; one that died is replaced, once.
    pub(crate) async fn want(&self, request: Fetch) -> Result<Flight, Failure> {
        for _ in 0..2 {
            let actor = self.find_or_start(&request.mxc.server_name)?;
            match timeout(PATIENCE, actor.send(Want { request: request.clone(), span: Span::current() })).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(MailboxError::Closed)) => {}
                Ok(Err(MailboxError::Timeout)) | Err(_) => break,
            }
        }
        Err(Failure::unavailable("fetching from this server is not possible right now"))
    }

    /// The flight of a medium, if it is in the air here.
    pub(crate) async fn find_flight(&self, mxc: &Mxc) -> Option<Flight> {
        let actor = self.find(&mxc.server_name)?;
        timeout(PATIENCE, actor.send(InTheAir(mxc.media_id.clone()))).await.ok()?.ok()?
    }

    fn find_or_start(&self, origin: &ServerName) -> Result<Addr<OriginActor>, Failure> {
        let mut actors = self.actors();
        if let Some(entry) = actors.get(origin).filter(|entry| entry.actor.connected()) {
            return Ok(entry.actor.clone());
        }
        actors.pop(origin);
        if actors.len() >= self.work.config.max_origins.get() {
            make_room(&mut actors)?;
        }
        let entry = self.start()?;
        let actor = entry.actor.clone();
        actors.put(origin.clone(), entry);
        Ok(actor)
    }

    fn actors(&self) -> MutexGuard<'_, Entries> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> Result<Entry, Failure> {
        let turn = self.next_arbiter.fetch_add(1, Ordering::Relaxed);
        let arbiter = self.arbiters.get(turn.checked_rem(self.arbiters.len()).unwrap_or(0));
        let arbiter = arbiter.ok_or_else(|| Failure::internal("there is no thread for actors"))?;
        let (work, is_busy) = (Arc::clone(&self.work), Arc::<AtomicBool>::default());
        let tells = Arc::clone(&is_busy);
        let actor = OriginActor::start_in_arbiter(arbiter, move |_| OriginActor::new(work, tells));
        Ok(Entry { actor, is_busy })
    }

    /// The actor of an origin, if there is one.
    pub(crate) fn find(&self, origin: &ServerName) -> Option<Addr<OriginActor>> {
        self.actors().peek(origin).map(|entry| entry.actor.clone())
    }
}

/// Forgets the origin that nobody has asked for longest. At most as many are busy as there
/// are fetches in progress, so the search is short.
fn make_room(actors: &mut Entries) -> Result<(), Failure> {
    let idle = actors.iter().rev().find(|(_, entry)| entry.is_idle()).map(|(origin, _)| origin.clone());
    let Some(entry) = idle.and_then(|origin| actors.pop(&origin)) else {
        metrics::limited("max_origins");
        return Err(Failure::saturated("too many other servers are being asked", Duration::from_mins(1)));
    };
    // A wish that is on its way comes first, and keeps the actor until nobody waits. One that
    // does not get this stops when it is idle.
    let _ = entry.actor.try_send(Retire);
    Ok(())
}
