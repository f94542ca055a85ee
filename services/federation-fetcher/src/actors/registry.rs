//! One place that starts, finds and replaces the actors of origins.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::prelude::*;
use actix_rt::ArbiterHandle;
use heliograph_proto::Fetch;
use heliograph_types::{Failure, ServerName};
use tokio::time::timeout;

use super::origin::{OriginActor, Want, Work};
use crate::flight::Flight;

/// Users choose the origins, so there is a bound. An idle one is about 1 KiB.
const MOST_ORIGINS: usize = 20_000;
/// An actor never blocks: one that takes longer is as good as dead.
const PATIENCE: Duration = Duration::from_secs(5);

/// The actors, by origin.
pub(crate) struct Registry {
    work: Arc<Work>,
    arbiters: Vec<ArbiterHandle>,
    next_arbiter: AtomicUsize,
    actors: Mutex<HashMap<ServerName, Addr<OriginActor>>>,
}

impl Registry {
    /// Starts actors on `arbiters`, each in turn.
    pub(crate) fn new(work: Arc<Work>, arbiters: Vec<ArbiterHandle>) -> Self {
        Self { work, arbiters, next_arbiter: AtomicUsize::new(0), actors: Mutex::default() }
    }

    /// Asks the origin's actor; one that died is replaced, once.
    pub(crate) async fn want(&self, request: Fetch) -> Result<Flight, Failure> {
        for _ in 0..2 {
            let actor = self.find_or_start(&request.mxc.server_name)?;
            match timeout(PATIENCE, actor.send(Want(request.clone()))).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(MailboxError::Closed)) => {}
                Ok(Err(MailboxError::Timeout)) | Err(_) => break,
            }
        }
        Err(Failure::unavailable("fetching from this server is not possible right now"))
    }

    fn find_or_start(&self, origin: &ServerName) -> Result<Addr<OriginActor>, Failure> {
        let mut actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(actor) = actors.get(origin).filter(|actor| actor.connected()) {
            return Ok(actor.clone());
        }
        if actors.len() >= MOST_ORIGINS {
            actors.retain(|_, actor| actor.connected());
        }
        if actors.len() >= MOST_ORIGINS {
            return Err(Failure::saturated("too many other servers are being asked", Duration::from_mins(1)));
        }
        let actor = self.start()?;
        actors.insert(origin.clone(), actor.clone());
        Ok(actor)
    }

    fn start(&self) -> Result<Addr<OriginActor>, Failure> {
        let turn = self.next_arbiter.fetch_add(1, Ordering::Relaxed);
        let arbiter = self.arbiters.get(turn.checked_rem(self.arbiters.len()).unwrap_or(0));
        let arbiter = arbiter.ok_or_else(|| Failure::internal("there is no thread for actors"))?;
        let work = Arc::clone(&self.work);
        Ok(OriginActor::start_in_arbiter(arbiter, move |_| OriginActor::new(work)))
    }

    /// The actor of an origin, if there is one.
    #[cfg(test)]
    pub(crate) fn find(&self, origin: &ServerName) -> Option<Addr<OriginActor>> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner).get(origin).cloned()
    }
}
