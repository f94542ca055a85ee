//! Who of the cluster makes what is not stored yet.
//!
//! A lease saves work; it is not what makes us right: two who make the same store the same.
//! Whoever does not get it waits for a word, and looks into the store. Alone, nothing is asked.

use std::{convert::Infallible, future::pending, time::Duration};

use heliograph_blobs::Key;
use heliograph_leases::{Lease, StateError, Subscription};
use heliograph_types::Failure;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Stopped, Studio};
use crate::{flights::Flight, metrics};

/// How long it stays the turn of an instance of which nothing is heard.
const TTL: Duration = Duration::from_secs(6);
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// Words may get lost.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Nobody waits longer for what takes milliseconds: then it is made twice.
const PATIENCE: Duration = Duration::from_secs(15);

/// What there is, or leave to make it.
pub(super) enum Turn<'a, T> {
    /// Another one has made it.
    Found(T),
    /// It is to be made here.
    Ours(Claim<'a>),
}

/// Our turn, while it is held.
pub(super) struct Claim<'a> {
    studio: &'a Studio,
    /// None if we are alone, or cannot know whether another one makes it.
    lease: Option<Lease>,
}

impl Studio {
    /// Waits until `find` finds what is stored under `key`, or until it is our turn to make it.
    /// The caller has looked already.
    pub(super) async fn take_turn<T, P, F>(
        &self,
        key: &Key,
        flight: &Flight<P>,
        find: impl Fn() -> F + Send,
    ) -> Result<Turn<'_, T>, Stopped>
    where
        F: Future<Output = Result<Option<T>, Failure>> + Send,
    {
        if !self.deps.has_peers {
            return Ok(Turn::Ours(Claim { studio: self, lease: None }));
        }
        let name = format!("render/{key}");
        tokio::select! {
            turn = self.await_turn(&name, find) => turn.map_err(Stopped::Failed),
            () = flight.abandoned() => Err(Stopped::Abandoned),
        }
    }

    async fn await_turn<T, F>(&self, name: &str, find: impl Fn() -> F + Send) -> Result<Turn<'_, T>, Failure>
    where
        F: Future<Output = Result<Option<T>, Failure>> + Send,
    {
        let until = Instant::now() + PATIENCE;
        let mut words = None;
        loop {
            let lease = match self.try_claim(name).await {
                Ok(Some(lease)) => Some(lease),
                // First to listen, then to look again: no word is missed in between.
                Ok(None) if words.is_none() => match self.deps.state.subscribe(name).await {
                    Ok(subscription) => {
                        metrics::took_turn("theirs");
                        words = Some(subscription);
                        continue;
                    }
                    Err(error) => return Ok(self.go_without(&error)),
                },
                Ok(None) if Instant::now() < until => None,
                Ok(None) => {
                    metrics::took_turn("impatient");
                    return Ok(Turn::Ours(Claim { studio: self, lease: None }));
                }
                Err(error) => return Ok(self.go_without(&error)),
            };
            let mut claim = Claim { studio: self, lease };
            // Whoever had the turn before may have stored it since we looked.
            let found = find().await;
            if !matches!(found, Ok(None)) {
                claim.give_back().await;
            }
            if let Some(found) = found? {
                metrics::took_turn("found");
                return Ok(Turn::Found(found));
            }
            if claim.lease.is_some() {
                metrics::took_turn("ours");
                return Ok(Turn::Ours(claim));
            }
            await_word(words.as_mut(), until).await;
        }
    }

    async fn try_claim(&self, name: &str) -> Result<Option<Lease>, StateError> {
        self.deps.state.try_acquire(name, TTL).await
    }

    fn go_without<T>(&self, error: &StateError) -> Turn<'_, T> {
        tracing::debug!(%error, "a thumbnail is made without asking whether another instance makes it");
        Turn::Ours(Claim { studio: self, lease: None })
    }
}

/// Until somebody has said something, or it is time to look all the same.
async fn await_word(words: Option<&mut Subscription>, until: Instant) {
    let next = async {
        match words {
            Some(words) => drop(words.next().await),
            None => pending().await,
        }
    };
    // Whether it was a word or the time, the caller looks.
    drop(timeout_at(until.min(Instant::now() + LOOK_AGAIN), next).await);
}

impl Claim<'_> {
    /// Works, and holds on to the turn meanwhile; then it is over, whatever came of it.
    pub(super) async fn hold<T>(mut self, work: impl Future<Output = T> + Send) -> T {
        let outcome = tokio::select! {
            outcome = work => outcome,
            never = self.renew() => match never {},
        };
        self.give_back().await;
        outcome
    }

    async fn renew(&self) -> Infallible {
        let Some(lease) = &self.lease else { return pending().await };
        loop {
            sleep(RENEW_EVERY).await;
            note(lease, self.studio.deps.state.renew(lease, TTL).await.map(drop));
        }
    }

    /// Tells those who wait.
    async fn give_back(&mut self) {
        let Some(lease) = &self.lease.take() else { return };
        note(lease, self.studio.deps.state.release(lease).await);
        note(lease, self.studio.deps.state.publish(&lease.key, "done").await);
    }
}

/// Nothing depends on it: the others wait a little longer.
fn note(lease: &Lease, outcome: Result<(), StateError>) {
    if let Err(error) = outcome {
        tracing::debug!(key = lease.key, %error, "the other instances were not told of a thumbnail");
    }
}
