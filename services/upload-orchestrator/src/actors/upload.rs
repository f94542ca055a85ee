//! One actor per upload in progress.
//!
//! Owns:  the state of one upload, its timers, its lease.
//! Lives: from admission until the upload is committed or given up.
//! Dies:  a panic loses it; the registry starts another from the marker in the store.
//! Load:  its permit is the admission; a message per progress report.

use std::{future::Future, sync::Arc, time::Duration};

use actix::prelude::*;
use heliograph_blobs::Key;
use heliograph_catalog::{CatalogError, MediaRecord, blob_key};
use heliograph_leases::Lease;
use heliograph_proto::{Commit, Ticket};
use heliograph_types::{Failure, UserId};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::{Instrument, Span};

use crate::{
    actors::registry::{Incarnation, Shared},
    discard::discard_unless_recorded,
    metrics,
    session::{Effect, Event, State},
};

/// How long an id is owned without renewal.
pub(crate) const LEASE_TTL: Duration = Duration::from_secs(30);
/// How often the lease is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// See the top of the file.
pub(crate) struct UploadActor {
    pub(crate) ticket: Ticket,
    pub(crate) uploader: Option<UserId>,
    pub(crate) lease: Option<Lease>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) incarnation: Option<Incarnation>,
    _permit: OwnedSemaphorePermit,
    state: State,
    idle_timer: Option<SpawnHandle>,
    commit: Option<(Commit, Span)>,
    awaiting_commit: Vec<oneshot::Sender<Result<(), Failure>>>,
}

impl UploadActor {
    /// An upload that was just admitted, or is picked up again.
    pub(crate) fn new(
        ticket: Ticket,
        uploader: Option<UserId>,
        lease: Option<Lease>,
        shared: Arc<Shared>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            ticket,
            uploader,
            lease,
            shared,
            incarnation: None,
            _permit: permit,
            state: State::Receiving { stored_bytes: 0 },
            idle_timer: None,
            commit: None,
            awaiting_commit: Vec::new(),
        }
    }
}

// === messages ===

/// More bytes are stored.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct ReportProgress(pub(crate) u64);

/// Everything is stored: make it the content of the id. Answered through `answer`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CommitUpload {
    pub(crate) commit: Commit,
    pub(crate) answer: oneshot::Sender<Result<(), Failure>>,
    /// The request that all of this is a part of.
    pub(crate) span: Span,
}

/// The caller gives up.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AbortUpload;

/// Makes the actor panic, to see what is left then.
#[cfg(test)]
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Panic;

// === lifecycle ===

impl Actor for UploadActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        metrics::began();
        self.perform(Effect::ArmIdleTimer, ctx);
        ctx.run_later(self.shared.config.max_duration, |actor, ctx| actor.apply(Event::OutOfTime, ctx));
        if self.lease.is_some() {
            ctx.run_interval(RENEW_EVERY, Self::renew_lease);
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        metrics::ended();
        self.shared.uploads.remove(&self.ticket.blob_id, self.incarnation);
    }
}

// === handlers ===

impl Handler<ReportProgress> for UploadActor {
    type Result = Result<(), Failure>;

    fn handle(&mut self, ReportProgress(stored_bytes): ReportProgress, ctx: &mut Self::Context) -> Self::Result {
        self.apply(Event::Progressed(stored_bytes), ctx);
        match self.state {
            State::Receiving { .. } | State::Committing => Ok(()),
            State::Committed | State::Discarding | State::Discarded => Err(Failure::not_found()),
        }
    }
}

impl Handler<CommitUpload> for UploadActor {
    type Result = ();

    fn handle(&mut self, CommitUpload { commit, answer, span }: CommitUpload, ctx: &mut Self::Context) {
        self.awaiting_commit.push(answer);
        self.commit.get_or_insert((commit, span));
        self.apply(Event::CommitAsked, ctx);
    }
}

impl Handler<AbortUpload> for UploadActor {
    type Result = ();

    fn handle(&mut self, _: AbortUpload, ctx: &mut Self::Context) {
        self.apply(Event::AbortAsked, ctx);
    }
}

#[cfg(test)]
impl Handler<Panic> for UploadActor {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        panic!("asked to");
    }
}

// === shell ===

impl UploadActor {
    /// Steps, keeps the state, performs each effect. An event that came too late is dropped.
    fn apply(&mut self, event: Event, ctx: &mut Context<Self>) {
        match self.state.step(event) {
            Ok((state, effects)) => {
                tracing::debug!(mxc = %self.ticket.mxc, ?event, ?state, "upload");
                self.state = state;
                count(event);
                for effect in effects {
                    self.perform(effect, ctx);
                }
            }
            Err(error) => tracing::debug!(mxc = %self.ticket.mxc, %error, "dropped"),
        }
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::ArmIdleTimer => {
                self.perform(Effect::DisarmIdleTimer, ctx);
                let idle = self.shared.config.idle_timeout;
                self.idle_timer = Some(ctx.run_later(idle, |actor, ctx| actor.apply(Event::IdleTooLong, ctx)));
            }
            Effect::DisarmIdleTimer => {
                self.idle_timer.take().map(|timer| ctx.cancel_future(timer));
            }
            Effect::WriteRecord => self.write_record(ctx),
            Effect::RefuseCommit => self.answer_commit(&Err(Failure::not_found())),
            Effect::RemoveBlob => self.remove_blob(ctx),
            Effect::TakeLeaseAgain => self.take_lease_again(ctx),
            Effect::Stop => {
                self.release_lease();
                ctx.stop();
            }
        }
    }

    fn write_record(&mut self, ctx: &mut Context<Self>) {
        let Some((commit, span)) = self.commit.take() else { return };
        let record = self.record(commit);
        let shared = Arc::clone(&self.shared);
        let uploader = self.uploader.clone();
        let work = async move { create_record(&shared, &record, uploader.as_ref()).await }.instrument(span);
        ctx.spawn(work.into_actor(self).map(|outcome, actor, ctx| actor.recorded(&outcome, ctx)));
    }

    fn recorded(&mut self, outcome: &Result<(), Failure>, ctx: &mut Context<Self>) {
        let event = match outcome {
            Ok(()) => Event::Recorded,
            Err(failure) if failure.code.may_be_retried() => Event::RecordFailed,
            Err(_) => Event::Refused,
        };
        self.answer_commit(outcome);
        self.apply(event, ctx);
    }

    fn answer_commit(&mut self, outcome: &Result<(), Failure>) {
        for answer in self.awaiting_commit.drain(..) {
            let _ = answer.send(outcome.clone());
        }
    }

    fn record(&self, commit: Commit) -> MediaRecord {
        MediaRecord {
            schema: MediaRecord::SCHEMA,
            mxc: self.ticket.mxc.clone(),
            content_type: commit.content_type,
            sniffed_type: commit.sniffed_type,
            size_bytes: commit.size_bytes,
            sha256: hex::encode(commit.sha256),
            blob: blob_key(self.ticket.blob_id.as_str()).to_string(),
            uploader: self.uploader.clone(),
            file_name: commit.file_name,
            created_at: self.shared.clock.now(),
            quarantined: None,
            protected: false,
            deleted: None,
        }
    }

    /// Until this is done the upload is ours, and nobody can pick it up and commit it.
    fn remove_blob(&self, ctx: &mut Context<Self>) {
        let (shared, ticket) = (Arc::clone(&self.shared), self.ticket.clone());
        let uploader = self.uploader.clone();
        let removal = async move {
            let blob_id = ticket.blob_id.as_str();
            match discard_unless_recorded(&*shared.blobs, &shared.catalog, &ticket.mxc, blob_id).await {
                Ok(now) => shared.accounts.set_right(uploader.as_ref(), &ticket.mxc, blob_id, now.as_deref()).await,
                Err(error) => {
                    tracing::warn!(mxc = %ticket.mxc, blob_id, %error, "remains of an upload stay until the sweep");
                }
            }
        };
        ctx.spawn(removal.into_actor(self).map(|(), actor, ctx| actor.apply(Event::Removed, ctx)));
    }

    fn renew_lease(&mut self, ctx: &mut Context<Self>) {
        let Some(lease) = self.lease.clone() else { return };
        let shared = Arc::clone(&self.shared);
        let renewal = async move { shared.state.renew(&lease, LEASE_TTL).await };
        ctx.spawn(renewal.into_actor(self).map(|renewed, actor, ctx| {
            // Without an answer we do not know: the next renewal will tell.
            if let Ok(false) = renewed {
                actor.apply(Event::LeaseLost, ctx);
            }
        }));
    }

    fn take_lease_again(&mut self, ctx: &mut Context<Self>) {
        let Some(Lease { key, .. }) = self.lease.clone() else { return };
        let shared = Arc::clone(&self.shared);
        let attempt = async move { shared.state.try_acquire(&key, LEASE_TTL).await };
        ctx.spawn(attempt.into_actor(self).map(|lease, actor, _| {
            if let Ok(Some(lease)) = lease {
                actor.lease = Some(lease);
            }
        }));
    }

    fn release_lease(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let shared = Arc::clone(&self.shared);
        self.in_background(async move {
            if let Err(error) = shared.state.release(&lease).await {
                tracing::debug!(key = lease.key, %error, "lease left to expire");
            }
        });
    }

    fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.shared.in_background(work);
    }
}

/// The commit itself: one create-only write. Afterwards those who wait are woken and the
/// id gives its place back; what is then superfluous goes in the background.
async fn create_record(shared: &Arc<Shared>, record: &MediaRecord, uploader: Option<&UserId>) -> Result<(), Failure> {
    check_blob(shared, record).await?;
    // Counted first: of two uploads that no longer fit together, one is refused.
    shared.accounts.enter(record, record.blob_id()).await?;
    match shared.catalog.create(record).await {
        Ok(()) => {}
        Err(CatalogError::AlreadyExists(mxc)) => {
            // An earlier try of this very commit may have reached the store.
            let found = shared.catalog.find_now(&mxc).await?;
            if found.as_ref().is_none_or(|found| found.blob != record.blob) {
                return Err(crate::service::already_has_content());
            }
        }
        Err(error) => {
            tracing::error!(mxc = %record.mxc, %error, "could not write a record");
            return Err(error.into());
        }
    }
    metrics::committed(record.size_bytes);
    shared.forget_pending(uploader, &record.mxc).await;
    shared.catalog.announce(&record.mxc).await;
    let (shared_, record) = (Arc::clone(shared), record.clone());
    shared.in_background(async move { shared_.tidy_after_commit(&record).await });
    Ok(())
}

/// No promise without the bytes: a blob that was removed or is not whole is not recorded.
async fn check_blob(shared: &Shared, record: &MediaRecord) -> Result<(), Failure> {
    let key = Key::new(record.blob.as_str()).map_err(|error| Failure::internal(error.to_string()))?;
    match shared.blobs.size_of(&key).await {
        Ok(size_bytes) if size_bytes == record.size_bytes => Ok(()),
        Ok(size_bytes) => {
            tracing::error!(mxc = %record.mxc, size_bytes, expected = record.size_bytes, "a blob is not whole");
            Err(Failure::not_found())
        }
        Err(error) => Err(error.into()),
    }
}

fn count(event: Event) {
    match event {
        Event::AbortAsked => metrics::refused("aborted"),
        Event::IdleTooLong => metrics::refused("idle"),
        Event::OutOfTime => metrics::refused("too_slow"),
        Event::Refused => metrics::refused("taken"),
        _ => {}
    }
}
